package gate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func withdraws(r *Review) { r.Decision = "Withdrawn" }

// agreesTo narrows what an approval agrees to.
func agreesTo(names ...string) func(*Review) {
	return func(r *Review) { r.ApprovedPermissions = names }
}

func createdAt(instant time.Time) func(*Review) {
	return func(r *Review) { r.Created = instant }
}

// declares has the version need location and pay, and do without camera and album.
func declares(q *Question) {
	q.Permissions = []v1alpha1.Permission{
		{Name: "pay", Need: "Required"}, {Name: "location"}, {Name: "camera", Need: "Optional"}, {Name: "album", Need: "Optional"},
	}
}

func TestJudgeMindsPermissions(t *testing.T) {
	refused := func(name, what string) Ignored {
		return Ignored{name, "PermissionRefused", "review " + name + " by bob approves without " + what +
			", which the version needs: reject it with a comment, or agree to it in spec.approvedPermissions of another review"}
	}
	withholding := func(v Verdict, names ...string) Verdict {
		v.Withheld = names
		return v
	}
	runJudge(t, map[string]judgeCase{
		"an approval that lists nothing agrees to everything": {
			question: question(declares), reviews: []Review{review("r1")}, want: approved("r1"),
		},
		"an approval that leaves out what is needed does not count": {
			question: question(declares), reviews: []Review{review("r1", agreesTo("camera", "pay"))}, want: withholding(waiting(refused("r1", `permission "location"`)), "album"),
		},
		"none agrees to nothing": {
			question: question(declares), reviews: []Review{review("r1", agreesTo("none"))},
			want: withholding(waiting(refused("r1", `permissions "location", "pay"`)), "album", "camera"),
		},
		"none agrees to nothing, also where a permission has that name": {
			question: question(func(q *Question) { q.Permissions = []v1alpha1.Permission{{Name: "none"}} }),
			reviews:  []Review{review("r1", agreesTo("none"))}, want: waiting(refused("r1", `permission "none"`)),
		},
		"none is fine where nothing is declared": {
			question: question(), reviews: []Review{review("r1", agreesTo("none"))}, want: approved("r1"),
		},
		"what it lists and nobody declares has no effect": {
			question: question(declares), reviews: []Review{review("r1", agreesTo("pay", "location", "camera", "album", "contacts"))}, want: approved("r1"),
		},
		"what the version can do without is withheld, and told": {
			question: question(declares), reviews: []Review{review("r1", agreesTo("pay", "location", "camera"))},
			want: with(approved("r1"), func(v *Verdict) {
				v.Message, v.Withheld = `has 1 of 1 approvals, for host app wallet; without permission "album", which reviewers withhold`, []string{"album"}
			}),
		},
		"what several withhold is told once": {
			question: question(declares), reviews: []Review{review("r1", agreesTo("pay", "location", "camera")), review("r2", by("carol"), agreesTo("pay", "location", "camera"))},
			want: with(approved("r1"), func(v *Verdict) {
				v.Message, v.Withheld = `has 1 of 1 approvals, for host app wallet; without permission "album", which reviewers withhold`, []string{"album"}
				v.Counted = []string{"r1", "r2"}
			}),
		},
		"one of several who agree less is enough to withhold": {
			question: question(declares, rules(Rule{Role: "quality", Count: 2})),
			reviews:  []Review{review("r1", agreesTo("pay", "location", "camera")), review("r2", by("carol"), agreesTo("pay", "location", "album"))},
			want: Verdict{
				Approved: true, Reason: "Approved", Required: 2, Given: 2, ApprovedHostApps: []string{"wallet"}, Counted: []string{"r1", "r2"},
				Message:  `has 2 of 2 approvals, for host app wallet; without permissions "album", "camera", which reviewers withhold`,
				Withheld: []string{"album", "camera"},
			},
		},
		"another review of the same person takes nothing back": {
			question: question(declares), reviews: []Review{review("r1"), review("r2", agreesTo("pay", "location", "camera"), expires(5))},
			want: with(approved("r1"), func(v *Verdict) {
				v.Message, v.Withheld = `has 1 of 1 approvals, for host app wallet; without permission "album", which reviewers withhold`, []string{"album"}
				v.Expires = new(at(5))
				v.Ignored = []Ignored{{"r2", "SamePerson", "review r2 and review r1 are both by bob in role quality: a person counts once"}}
			}),
		},
		"who refuses what is needed withholds the rest all the same": {
			question: question(declares), reviews: []Review{review("r1", agreesTo("camera")), review("r2", by("carol"))},
			want: with(approved("r2"), func(v *Verdict) {
				v.Message, v.Withheld = `has 1 of 1 approvals, for host app wallet; without permission "album", which reviewers withhold`, []string{"album"}
				v.Ignored = []Ignored{refused("r1", `permissions "location", "pay"`)}
			}),
		},
		"an approval that does not count for another reason withholds nothing": {
			question: question(declares), reviews: []Review{review("r1"), review("r2", by("ann"), agreesTo("pay", "location"))},
			want: with(approved("r1"), func(v *Verdict) {
				v.Ignored = []Ignored{{"r2", "ByAuthor", "review r2 is by ann, the author of the version: somebody else has to approve"}}
			}),
		},
	})
}

func TestJudgeMindsTheAuthorsStanding(t *testing.T) {
	proven := rules(Rule{Policy: "strict", Role: "quality", Count: 1, Proven: true})
	declared := "ReviewPolicy strict asks in role quality for versions whose author admission has checked, and ann was only declared by another account (status.author): the author has to create a version with an own account"
	unproven := func(ignored ...Ignored) Verdict {
		return with(waiting(ignored...), func(v *Verdict) {
			v.Reason, v.Message = "AuthorNotProven", "1 approval of role quality would not count: "+declared
			v.Missing[0].Unasked = true
		})
	}
	runJudge(t, map[string]judgeCase{
		"a rule for proven authors is met when admission has checked the author": {
			question: question(proven, func(q *Question) { q.AuthorProven = true }), reviews: []Review{review("r1")}, want: approved("r1"),
		},
		"where the author was only declared nobody meets it": {
			question: question(proven), reviews: []Review{review("r1")},
			want: unproven(Ignored{"r1", "AuthorNotProven", "review r1 by bob does not count: " + declared}),
		},
		"nobody is asked in vain": {question: question(proven), want: unproven()},
		"where no author is known the rule is not met, even if it allows self-approval": {
			question: question(rules(Rule{Policy: "strict", Role: "quality", Proven: true, SelfApproval: true}), func(q *Question) { q.Author = "" }),
			want: with(unproven(), func(v *Verdict) {
				v.Message = "1 approval of role quality would not count: ReviewPolicy strict asks in role quality for versions whose author admission has checked, and nobody knows who handed this one in (status.author): the author has to create a version with an own account"
			}),
		},
		"of two rules for the same the one for proven authors holds": {
			question: question(rules(Rule{Policy: "base", Role: "quality"}, Rule{Policy: "strict", Role: "quality", Proven: true})),
			want: with(unproven(), func(v *Verdict) {
				v.Message = "1 approval of role quality would not count: ReviewPolicy base, strict asks in role quality for versions whose author admission has checked, and ann was only declared by another account (status.author): the author has to create a version with an own account"
			}),
		},
		"what can be given is still waited for": {
			question: question(rules(Rule{Policy: "strict", Role: "quality", Count: 1, Proven: true}, Rule{Role: "legal", Count: 1})),
			want: Verdict{
				Reason: "AuthorNotProven", Required: 2,
				Message: "waits for 1 approval of role legal (needs approve on miniprograms/review-legal); 1 approval of role quality would not count: " + declared,
				Missing: []Missing{{Role: "legal", Count: 1}, {Role: "quality", Count: 1, Unasked: true}},
			},
		},
	})
}

func TestJudgeMindsTheVersionsAge(t *testing.T) {
	older := Ignored{"r1", "OlderThanVersion", "review r1 is older than version map-1, which was deleted and created anew, or exists no more: an approval does not outlive the version that it was given for, so a new one is needed"}
	anew := func(q *Question) { q.Created = at(-80) }
	runJudge(t, map[string]judgeCase{
		"an approval from before the version does not count": {question: question(anew), reviews: []Review{review("r1")}, want: waiting(older)},
		"nor does one that was asked for before and given after": {
			question: question(anew), reviews: []Review{review("r1", decided(-10))}, want: waiting(older),
		},
		"an approval of the same second counts": {
			question: question(anew), reviews: []Review{review("r1", createdAt(at(-80)))}, want: approved("r1"),
		},
		"seconds are not divided": {
			question: question(func(q *Question) { q.Created = at(-80).Add(900 * time.Millisecond) }),
			reviews:  []Review{review("r1", createdAt(at(-80).Add(100*time.Millisecond)))}, want: approved("r1"),
		},
		"one second is enough to be older": {
			question: question(anew), reviews: []Review{review("r1", createdAt(at(-80).Add(-time.Second)))}, want: waiting(older),
		},
		"a version that exists no more is approved by nobody": {
			question: question(func(q *Question) { q.Created = time.Time{} }), reviews: []Review{review("r1")}, want: waiting(older),
		},
		"a rejection counts whatever its age": {
			question: question(func(q *Question) { q.Created = at(0) }), reviews: []Review{review("r0", rejects)}, want: rejected(),
		},
		"a withdrawal from before the version keeps nobody from being asked": {
			question: question(anew), reviews: []Review{review("r1", withdraws)}, want: waiting(),
		},
	})
}

func TestJudgeDoesNotAskForWhatWasWithdrawn(t *testing.T) {
	taken := Ignored{"r1", "Withdrawn", "review r1 was withdrawn by ann; kubectl delete mprev r1 asks again"}
	two := rules(Rule{Role: "quality", Count: 1}, Rule{Role: "privacy", Count: 1, HostApp: "wallet"})
	runJudge(t, map[string]judgeCase{
		"a request that was withdrawn is not made again, and the way back is told": {
			question: question(), reviews: []Review{review("r1", withdraws, by("ann"))},
			want: with(waiting(taken), func(v *Verdict) {
				v.Reason, v.Message = "RequestWithdrawn", "1 approval of role quality is not asked for: "+taken.Message
				v.Missing[0].Unasked = true
			}),
		},
		"who withdrew need not have written a name": {
			question: question(), reviews: []Review{review("r1", withdraws, by(""))},
			want: with(waiting(Ignored{"r1", "Withdrawn", "review r1 was withdrawn by the author; kubectl delete mprev r1 asks again"}), func(v *Verdict) {
				v.Reason, v.Message = "RequestWithdrawn", "1 approval of role quality is not asked for: review r1 was withdrawn by the author; kubectl delete mprev r1 asks again"
				v.Missing[0].Unasked = true
			}),
		},
		"others are still asked for": {
			question: question(two), reviews: []Review{review("r1", withdraws, by("ann"))},
			want: Verdict{
				Reason: "WaitingForApproval", Required: 2,
				Message: "waits for " + waitsPrivacy + "; 1 approval of role quality is not asked for: " + taken.Message,
				Missing: []Missing{{Role: "privacy", HostApp: "wallet", Count: 1}, {Role: "quality", Count: 1, Unasked: true}},
				Ignored: []Ignored{taken},
			},
		},
		"a withdrawal takes back no request for another host app or role, nor for other bytes": {
			question: question(),
			reviews:  []Review{review("r1", withdraws, forApp("wallet")), review("r2", withdraws, role("legal")), review("r3", withdraws, ofDigest(other)), review("r4", withdraws, forStep("main", 1, 0))},
			want: waiting(
				Ignored{"r1", "Withdrawn", "review r1 was withdrawn by bob; kubectl delete mprev r1 asks again"},
				Ignored{"r2", "Withdrawn", "review r2 was withdrawn by bob; kubectl delete mprev r2 asks again"},
			),
		},
		"who may decide still can": {
			question: question(), reviews: []Review{review("r1", withdraws, by("ann")), review("r2")},
			want: with(approved("r2"), func(v *Verdict) { v.Ignored = []Ignored{taken} }),
		},
	})
}

func TestJudgeAsksLateHostAppsByName(t *testing.T) {
	late := func(q *Question) {
		q.HostApps, q.LateHostApps = []string{"chat", "wallet"}, []string{"chat"}
		q.Rules = []Rule{{Role: "quality", Count: 1}, {Role: "quality", Count: 1, HostApp: "chat"}}
	}
	runJudge(t, map[string]judgeCase{
		"an approval for all speaks for those that the version was packaged for": {
			question: question(late), reviews: []Review{review("r1")},
			want: Verdict{
				Reason: "WaitingForApproval", Required: 2, Given: 1, ApprovedHostApps: []string{"wallet"}, Counted: []string{"r1"},
				Message: "waits for 1 approval of role quality for host app chat (needs approve on miniprograms/review-quality and on hostapps/review-quality)",
				Missing: []Missing{{Role: "quality", HostApp: "chat", Count: 1}},
			},
		},
		"one that names the late host app speaks for it, and for no other": {
			question: question(late), reviews: []Review{review("r1", forApp("chat"))},
			want: Verdict{
				Reason: "WaitingForApproval", Required: 2, Given: 1, ApprovedHostApps: []string{"chat"}, Counted: []string{"r1"},
				Message: waitsQuality, Missing: []Missing{{Role: "quality", Count: 1}},
			},
		},
		"where only the late host app is asked about, the rule for all does not matter": {
			question: question(late, hostApps("chat")), reviews: []Review{review("r1", forApp("chat"))},
			want: with(approved("r1"), func(v *Verdict) {
				v.Message, v.ApprovedHostApps = "has 1 of 1 approvals, for host app chat", []string{"chat"}
			}),
		},
	})
}

func TestRulesForLateHostApps(t *testing.T) {
	policies := []v1alpha1.ReviewPolicy{
		policy("base", []v1alpha1.ApprovalRule{{Role: "quality"}}),
		policy("chats", []v1alpha1.ApprovalRule{{Role: "privacy"}}, onlyFor("chat")),
	}
	privacy := Rule{Policy: "chats", Role: "privacy", Count: 1, HostApp: "chat"}
	tests := map[string]struct {
		hostApps, late []string
		want           []Rule
	}{
		"a rule for all names the host apps that are late": {
			hostApps: []string{"wallet", "chat"}, late: []string{"chat"},
			want: []Rule{privacy, {Policy: "base", Role: "quality", Count: 1}, {Policy: "base", Role: "quality", Count: 1, HostApp: "chat"}},
		},
		"where all are late there is no rule for all": {
			hostApps: []string{"wallet", "chat"}, late: []string{"chat", "wallet"},
			want: []Rule{privacy, {Policy: "base", Role: "quality", Count: 1, HostApp: "chat"}, {Policy: "base", Role: "quality", Count: 1, HostApp: "wallet"}},
		},
		"what the program is no longer for is not asked for": {
			hostApps: []string{"wallet"}, late: []string{"maps"}, want: []Rule{{Policy: "base", Role: "quality", Count: 1}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, _, _ := Rules(policies, tc.hostApps, tc.late)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Rules (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRoleNoneFreesALateHostAppOnlyWhereNothingIsAskedThere(t *testing.T) {
	policies := []v1alpha1.ReviewPolicy{
		policy("a", []v1alpha1.ApprovalRule{{Role: "none"}}, onlyFor("wallet")), policy("b", []v1alpha1.ApprovalRule{{Role: "quality"}}),
	}
	rules, covered, none := Rules(policies, []string{"chat"}, []string{"chat"})
	want := []Rule{{Policy: "b", Role: "quality", Count: 1, HostApp: "chat"}}
	if diff := cmp.Diff(want, rules); diff != "" || !covered || none {
		t.Errorf("covered is %t, none is %t, rules (-want +got):\n%s", covered, none, diff)
	}
}
