package controller_test

import (
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func TestAVersionCodeStandsForOneContent(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	coded := func(v *v1alpha1.MiniProgramVersion) { v.Spec.VersionCode = 7 }
	g.configMap(t, "app-1.0.0", archive(t, "one"))
	g.version(t, "app", "1.0.0", coded)
	first := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")

	g.configMap(t, "app-1.0.1", archive(t, "two"))
	g.version(t, "app", "1.0.1", coded)
	eventually(t, "the code is refused for other content", func() string {
		var v v1alpha1.MiniProgramVersion
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.1"), &v))
		got := condition(v.Status.Conditions, v1alpha1.ConditionStalled)
		want := "True VersionReused: version code 7 is that of MiniProgramVersion app-1.0.0, which has other content (" + first.Status.Bundle.ContentDigest + ", not sha256:"
		if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "), and a code is never used twice: publish this with a higher one, as a new MiniProgramVersion") {
			return "it says " + got
		}
		return ""
	})
	// The same content may have it again, and a code that nobody wrote down is in nobody's way.
	g.configMap(t, "app-1.0.2", archive(t, "one"))
	g.version(t, "app", "1.0.2", coded)
	g.awaitVersion(t, "app-1.0.2", v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	for _, version := range []string{"2.0.0-rc.1", "2.0.0"} {
		g.release(t, "app", version)
		g.awaitVersion(t, "app-"+version, v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	}
}
