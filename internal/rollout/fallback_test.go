package rollout

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

func TestFallbacks(t *testing.T) {
	selective := func(st *status) { st.Stable.Compatibility = &v1alpha1.Compatibility{MinContainerVersion: "2.0"} }
	six := released("0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "0.9.0")
	approvedFor := func(hostApps []string, versions ...string) func(*Seen) {
		return func(s *Seen) {
			if s.FallbackHostApps == nil {
				s.FallbackHostApps = map[string][]string{}
			}
			for _, v := range versions {
				s.FallbackHostApps[variant(v).Digest] = hostApps
			}
		}
	}
	all := approvedFor([]string{"chat", "wallet"}, "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "0.9.0", "1.0.0")
	had := func(versions ...string) func(*status) {
		return func(st *status) {
			for _, v := range versions {
				st.Document.Fallbacks = append(st.Document.Fallbacks, variant(v).Digest)
			}
		}
	}
	for name, test := range map[string]struct {
		recorded status
		seen     Seen
		want     []string
	}{
		"the five newest":                         {changed(six, selective), seeing("1.0.0", all), []string{"0.9.0", "0.8.0", "0.7.0", "0.6.0", "0.5.0"}},
		"none where stable runs everywhere":       {changed(six, had("0.9.0")), seeing("1.0.0", all), nil},
		"none that is withdrawn":                  {changed(six, selective, had("0.9.0")), seeing("1.0.0", all, withdrawn("0.9.0", "0.7.0")), []string{"0.8.0", "0.6.0", "0.5.0", "0.4.0"}},
		"none that is blocked":                    {changed(six, selective, had("0.9.0")), seeing("1.0.0", all, blocking("0.9.0")), []string{"0.8.0", "0.7.0", "0.6.0", "0.5.0", "0.4.0"}},
		"none that is not approved":               {changed(six, selective), seeing("1.0.0", all, approvedFor(nil, "0.9.0"), approvedFor([]string{"chat"}, "0.8.0")), []string{"0.7.0", "0.6.0", "0.5.0", "0.4.0"}},
		"what is not known stays as it was":       {changed(six, selective, had("0.8.0")), seeing("1.0.0"), []string{"0.8.0"}},
		"it is known of some":                     {changed(six, selective, had("0.8.0")), seeing("1.0.0", approvedFor([]string{"wallet"}, "0.9.0")), []string{"0.9.0", "0.8.0"}},
		"what was stable until now is the newest": {changed(underWay(3, 2500, now, "0.9.0"), func(st *status) { st.Target.Compatibility = &v1alpha1.Compatibility{MinContainerVersion: "2.0"} }), seeing("1.1.0", all, asked("promote-full@2")), []string{"1.0.0", "0.9.0"}},
		"none without stable":                     {changed(released("0.9.0"), selective, had("0.9.0")), seeing("1.0.0", all, withdrawn("1.0.0", "0.9.0")), nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := planTo("1.0.0")
			if test.recorded.Target != nil {
				p = planTo("1.1.0")
			}
			st := Decide(p, test.recorded, test.seen, now).Status
			var got []string
			for _, digest := range st.Document.Fallbacks {
				for _, v := range st.Rollbacks {
					if v.Digest == digest {
						got = append(got, v.Version)
					}
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" || len(got) != len(st.Document.Fallbacks) {
				t.Errorf("of %v -want +got:\n%s", st.Document.Fallbacks, diff)
			}
			doc := new(document.Release)
			if data, err := document.Parse(rendered(t, st)); err == nil {
				doc = data
			}
			if len(doc.Fallbacks) != len(got) {
				t.Errorf("the document has %d", len(doc.Fallbacks))
			}
		})
	}
}

func blocking(version string) func(*Seen) {
	return func(s *Seen) { s.Blocked = map[string]Hold{variant(version).Digest: {"Blocked", "it is blocked"}} }
}

// A document that is too large with them is published without the oldest.
func TestFallbacksDoNotMakeADocumentTooLarge(t *testing.T) {
	recorded := changed(released("0.7.0", "0.8.0", "0.9.0"), func(st *status) {
		st.Stable.Compatibility = &v1alpha1.Compatibility{MinContainerVersion: "2.0"}
		for i := range st.Rollbacks {
			st.Rollbacks[i].Declaration = &v1alpha1.Declaration{Privacy: &v1alpha1.Privacy{Contact: strings.Repeat("x", 100<<10)}}
			st.Document.Fallbacks = append(st.Document.Fallbacks, st.Rollbacks[2-i].Digest)
		}
	})
	got := Decide(planTo("1.0.0"), recorded, seeing("1.0.0"), now).Status
	if diff := cmp.Diff([]string{variant("0.9.0").Digest, variant("0.8.0").Digest}, got.Document.Fallbacks); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	rendered(t, got)
}
