package controller

import (
	"errors"
	"fmt"
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

func TestReconcilersAreWokenWheneverTheyHaveSomethingElseToSay(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	missing := fmt.Errorf("%w: a policy is missing", errUnguarded)
	refused := func(name string) error {
		return fmt.Errorf("%w: reviews.miniprogram.dev %q is forbidden", errUnguarded, name)
	}
	for name, test := range map[string]struct {
		before, after error
		wakes         bool
	}{
		"the gate opens":               {missing, nil, true},
		"the gate shuts":               {nil, missing, true},
		"the gate stays open":          {nil, nil, false},
		"it is shut for the same":      {missing, missing, false},
		"it is shut for another":       {missing, errUnguarded, true},
		"only the dry run has another": {refused("enforcement-probe-x7k2v"), refused("enforcement-probe-9qd4m"), false},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEnforcement(nil, nil, "ns", "published")
			woken := e.changes()
			e.record(test.before, start)
			<-woken
			e.record(test.after, start)
			if wakes := len(woken) > 0; wakes != test.wakes {
				t.Errorf("wakes is %t, want %t: %s", wakes, test.wakes, e.Shut())
			}
		})
	}
}
