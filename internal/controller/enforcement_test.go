package controller

import (
	"errors"
	"testing"
	"time"
)

func TestTheGateIsShutUnlessAProofIsRecent(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	unmade := errors.New("the API server does not answer")
	for name, test := range map[string]struct {
		proofs []error // a minute apart
		open   bool
	}{
		"before the first proof":                        {nil, false},
		"a proof opens it":                              {[]error{nil}, true},
		"a first proof that cannot be made does not":    {[]error{unmade}, false},
		"one that cannot be made leaves a recent one":   {[]error{nil, unmade, unmade}, true},
		"after five minutes without a proof it is shut": {[]error{nil, unmade, unmade, unmade, unmade, unmade}, false},
		"one that fails shuts it at once":               {[]error{nil, errUnguarded}, false},
		"and it stays shut while none can be made":      {[]error{nil, errUnguarded, unmade}, false},
		"the next proof opens it again":                 {[]error{nil, errUnguarded, nil}, true},
		"a proof after an outage starts the time anew":  {[]error{nil, unmade, nil, unmade, unmade, unmade, unmade}, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEnforcement(nil, nil, "ns", "published")
			for i, err := range test.proofs {
				e.record(err, start.Add(time.Duration(i)*time.Minute))
			}
			if open := e.Shut() == ""; open != test.open {
				t.Errorf("open is %t, want %t: %s", open, test.open, e.Shut())
			}
		})
	}
}
