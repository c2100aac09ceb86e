package controller

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestACodeIsClaimedByOneContentAtATime(t *testing.T) {
	a, b := types.NamespacedName{Namespace: "team", Name: "a"}, types.NamespacedName{Namespace: "team", Name: "b"}
	type claim struct {
		by      types.NamespacedName
		program string
		code    int64
		content string
	}
	first := claim{a, "app", 7, "sha256:1"}
	for name, test := range map[string]struct {
		second claim
		holder string
	}{
		"by another version for other content": {claim{b, "app", 7, "sha256:2"}, "a"},
		"for the same content":                 {claim{b, "app", 7, "sha256:1"}, ""},
		"another code":                         {claim{b, "app", 8, "sha256:2"}, ""},
		"of another program":                   {claim{b, "other", 7, "sha256:2"}, ""},
		"in another namespace":                 {claim{types.NamespacedName{Namespace: "x", Name: "b"}, "app", 7, "sha256:2"}, ""},
		"by the same version, tried again":     {claim{a, "app", 7, "sha256:2"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var c codeClaims
			for _, try := range []claim{first, test.second} {
				want := ""
				if try == test.second {
					want = test.holder
				}
				if holder, ok := c.claim(try.by, try.program, try.code, try.content); holder != want || ok != (want == "") {
					t.Errorf("%+v: held by %q (%t), want %q", try, holder, ok, want)
				}
			}
			c.forget(a)
			if holder, ok := c.claim(test.second.by, test.second.program, test.second.code, test.second.content); !ok {
				t.Errorf("still held by %s after it was forgotten", holder)
			}
		})
	}
}
