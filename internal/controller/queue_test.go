package controller

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/gate"
)

func TestWhatPeopleAreAskedFor(t *testing.T) {
	quality, wallet := gate.Missing{Role: "quality"}, gate.Missing{Role: "quality", HostApp: "wallet"}
	missing := func(key gate.Missing, count int) gate.Missing { key.Count = count; return key }
	veto := func(key gate.Missing, review string) gate.Rejection {
		return gate.Rejection{Role: key.Role, HostApp: key.HostApp, Review: review}
	}
	for name, test := range map[string]struct {
		verdict gate.Verdict
		want    map[gate.Missing]demand
	}{
		"what is missing": {
			verdict: gate.Verdict{Missing: []gate.Missing{missing(quality, 2), missing(wallet, 1)}},
			want:    map[gate.Missing]demand{quality: {count: 2}, wallet: {count: 1}},
		},
		"a veto is asked to be lifted, also in a role that nobody asks for": {
			verdict: gate.Verdict{Missing: []gate.Missing{missing(quality, 1)}, Vetoes: []gate.Rejection{veto(quality, "a"), veto(wallet, "b")}},
			want:    map[gate.Missing]demand{quality: {count: 1, lifts: []string{"a"}}, wallet: {lifts: []string{"b"}}},
		},
		"a request that was taken back is not made by a veto": {
			verdict: gate.Verdict{Missing: []gate.Missing{{Role: "quality", Count: 1, Unasked: true}}, Vetoes: []gate.Rejection{veto(quality, "a")}},
			want:    map[gate.Missing]demand{},
		},
		"a veto without a Review cannot be named": {
			verdict: gate.Verdict{Vetoes: []gate.Rejection{veto(quality, "")}}, want: map[gate.Missing]demand{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, demands(test.verdict), cmp.AllowUnexported(demand{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWhatIsPendingAgainstWhatIsWanted(t *testing.T) {
	type answer struct {
		Surplus, Lifts []string
		Others         int
	}
	for name, test := range map[string]struct {
		demand  demand
		pending []string // what each supersedes; empty: nothing
		want    answer
	}{
		"nothing is there":                             {demand: demand{count: 2}, want: answer{Others: 2}},
		"enough is there":                              {demand: demand{count: 1}, pending: []string{""}},
		"one is too many":                              {demand: demand{count: 1}, pending: []string{"", ""}, want: answer{Surplus: []string{"1"}}},
		"a veto is to be lifted":                       {demand: demand{count: 1, lifts: []string{"a"}}, want: answer{Lifts: []string{"a"}}},
		"who lifts it approves too":                    {demand: demand{count: 1, lifts: []string{"a"}}, pending: []string{""}, want: answer{Surplus: []string{"0"}, Lifts: []string{"a"}}},
		"beside it another is missing":                 {demand: demand{count: 2, lifts: []string{"a"}}, pending: []string{"a"}, want: answer{Others: 1}},
		"two vetoes need two":                          {demand: demand{count: 1, lifts: []string{"a", "b"}}, pending: []string{"b"}, want: answer{Lifts: []string{"a"}}},
		"what was lifted is asked of nobody":           {demand: demand{}, pending: []string{"a"}, want: answer{Surplus: []string{"0"}}},
		"a draft that names something else is no lift": {demand: demand{count: 1}, pending: []string{"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			var pending []v1alpha1.Review
			for i, supersedes := range test.pending {
				r := v1alpha1.Review{Spec: v1alpha1.ReviewSpec{Supersedes: supersedes}}
				r.Name = string(rune('0' + i))
				pending = append(pending, r)
			}
			surplus, lifts, others := test.demand.compare(pending)
			got := answer{Others: others}
			got.Lifts = append(got.Lifts, lifts...)
			for _, r := range surplus {
				got.Surplus = append(got.Surplus, r.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
