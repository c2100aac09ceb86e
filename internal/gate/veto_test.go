package gate

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// remembered puts rejections into the status of the program.
func remembered(rejections ...Rejection) func(*Question) {
	return func(q *Question) { q.Rejections = rejections }
}

// rejected is the verdict on question() under bob's veto r0, when nothing or one review counts.
func rejected(counted ...string) Verdict {
	v := Verdict{
		Rejected: true, Reason: "Rejected", Message: "rejected by bob in role quality (review r0): " + liftHint,
		Required: 1, Given: len(counted), Counted: counted, Vetoes: []Rejection{rejection()},
	}
	if len(counted) == 0 {
		v.Missing = []Missing{{Role: "quality", Count: 1}}
	}
	return v
}

func TestJudgeVetoes(t *testing.T) {
	both := hostApps("wallet", "chat")
	forWallet := func(r *Rejection) { r.HostApp = "wallet" }
	runJudge(t, map[string]judgeCase{
		"one rejection shuts the gate, whoever else approves": {
			question: question(), reviews: []Review{review("r0", rejects), review("r1", by("carol"))}, want: rejected("r1"),
		},
		"a rejection in a role that nobody asked for does too": {
			question: question(), reviews: []Review{review("r0", rejects, role("legal")), review("r1", by("carol"))},
			want: with(rejected("r1"), func(v *Verdict) {
				v.Message = "rejected by bob in role legal (review r0): " + liftHint
				v.Vetoes = []Rejection{rejection(func(r *Rejection) { r.Role = "legal" })}
			}),
		},
		"a rejection shuts the gate also where no approval is needed": {
			question: question(rules(), func(q *Question) { q.NoApprovalNeeded = true }), reviews: []Review{review("r0", rejects)},
			want: with(rejected(), func(v *Verdict) { v.Required, v.Missing = 0, nil }),
		},
		"a rejection stays when it expires": {
			question: question(rules(Rule{Role: "quality", Count: 1, Valid: time.Minute})), reviews: []Review{review("r0", rejects, expires(-1))},
			want: rejected(),
		},
		"a rejection stays when its Review is deleted and the program remembers it": {
			question: question(remembered(rejection())), reviews: []Review{review("r1", by("carol"))}, want: rejected("r1"),
		},
		"a rejection stays when its Review is deleted and the version remembers it": {
			question: question(func(q *Question) {
				q.Decisions = []Decision{{Review: "r0", Role: "quality", Reviewer: "bob", Decision: "Rejected", Digest: digest, Time: metav1.NewTime(at(-60))}}
			}),
			reviews: []Review{review("r1", by("carol"))}, want: rejected("r1"),
		},
		"a rejection that is known three times is one": {
			question: question(remembered(rejection()), func(q *Question) {
				q.Decisions = []Decision{{Review: "r0", Role: "quality", Reviewer: "bob", Decision: "Rejected", Digest: digest, Time: metav1.NewTime(at(-70))}}
			}),
			reviews: []Review{review("r0", rejects, decided(-80))},
			want: with(rejected(), func(v *Verdict) {
				v.Vetoes = []Rejection{rejection(func(r *Rejection) { r.Time = metav1.NewTime(at(-70)) })}
			}),
		},
		"a rejection by another version of the same bytes holds": {
			question: question(), reviews: []Review{review("r0", rejects, func(r *Review) { r.VersionRef = "map-0" })}, want: rejected(),
		},
		"a rejection of other bytes holds nothing": {
			question: question(remembered(rejection(func(r *Rejection) { r.Digest = other })), func(q *Question) {
				q.Decisions = []Decision{{Review: "r7", Role: "quality", Reviewer: "bob", Decision: "Rejected", Digest: other}}
			}),
			reviews: []Review{review("r0", rejects, ofDigest(other)), review("r1")},
			want: with(approved("r1"), func(v *Verdict) {
				v.Ignored = []Ignored{{"r0", "OtherDigest", "review r0 rejects sha256:aaaaaaaaaaaa…, but the version's artifact is sha256:bbbbbbbbbbbb…: it is no veto of these bytes"}}
			}),
		},
		"a rejection of another program holds nothing": {
			question: question(), reviews: []Review{review("r0", rejects, func(r *Review) { r.MiniProgram = "shop" }), review("r1")}, want: approved("r1"),
		},
		"a rejection by the author holds": {
			question: question(), reviews: []Review{review("r0", rejects, by("ann")), review("r1")},
			want: with(rejected("r1"), func(v *Verdict) {
				v.Message = "rejected by ann in role quality (review r0): " + liftHint
				v.Vetoes = []Rejection{rejection(func(r *Rejection) { r.Reviewer = "ann" })}
			}),
		},
		"a veto for a host app holds for that one only": {
			question: question(both), reviews: []Review{review("r0", rejects, forApp("wallet")), review("r1")},
			want: Verdict{
				Rejected: true, Reason: "Rejected", Message: "rejected by bob in role quality for host app wallet (review r0): " + liftHint,
				Required: 1, Given: 1, ApprovedHostApps: []string{"chat"}, Counted: []string{"r1"}, Vetoes: []Rejection{rejection(forWallet)},
			},
		},
		"a veto for a host app that is not asked about is only shown": {
			question: question(hostApps("chat"), remembered(rejection(forWallet))), reviews: []Review{review("r1")},
			want: Verdict{
				Approved: true, Reason: "Approved", Message: "has 1 of 1 approvals, for host app chat",
				Required: 1, Given: 1, ApprovedHostApps: []string{"chat"}, Counted: []string{"r1"}, Vetoes: []Rejection{rejection(forWallet)},
			},
		},
		"beside a veto for one host app the others still wait, and only for what helps": {
			question: question(both, rules(Rule{Role: "privacy", Count: 1, HostApp: "wallet"}, Rule{Role: "quality", Count: 1}), remembered(rejection(forWallet))),
			want: Verdict{
				Rejected: true, Reason: "Rejected", Required: 2,
				Message: "rejected by bob in role quality for host app wallet (review r0): " + liftHint + "; " + waitsQuality,
				Missing: []Missing{{Role: "privacy", HostApp: "wallet", Count: 1}, {Role: "quality", Count: 1}}, Vetoes: []Rejection{rejection(forWallet)},
			},
		},
		"vetoes are told in the order of their times": {
			question: question(remembered(rejection(func(r *Rejection) { r.Review, r.Reviewer = "r9", "carol" }), rejection(func(r *Rejection) { r.Time = metav1.NewTime(at(-10)) }))),
			reviews:  []Review{review("r1", by("dave"))},
			want: with(rejected("r1"), func(v *Verdict) {
				v.Message = "rejected by carol in role quality (review r9): " + liftHint + "; rejected by bob in role quality (review r0): " + liftHint
				v.Vetoes = []Rejection{
					rejection(func(r *Rejection) { r.Review, r.Reviewer = "r9", "carol" }),
					rejection(func(r *Rejection) { r.Time = metav1.NewTime(at(-10)) }),
				}
			}),
		},
		"a veto that names no review cannot be lifted": {
			question: question(remembered(rejection(func(r *Rejection) { r.Review = "" }))), reviews: []Review{review("r1")},
			want: with(rejected("r1"), func(v *Verdict) {
				v.Message = "rejected by bob in role quality: a changed bundle needs a new version"
				v.Vetoes = []Rejection{rejection(func(r *Rejection) { r.Review = "" })}
			}),
		},
		"without a policy a veto is told first": {
			question: question(rules(), func(q *Question) { q.Covered = false }), reviews: []Review{review("r0", rejects)},
			want: with(rejected(), func(v *Verdict) {
				v.Required, v.Missing = 0, nil
				v.Message += "; nothing is approved, for no ReviewPolicy with enforcement Enforce covers this version: ask the platform's administrators for one"
			}),
		},
	})
}

func TestJudgeLiftsVetoes(t *testing.T) {
	lifted := func(by string) Ignored {
		return Ignored{"r0", "Superseded", "the rejection in review r0 by bob was lifted by review r1 by " + by}
	}
	open := func(by string) Verdict {
		return with(approved("r1"), func(v *Verdict) { v.Ignored = []Ignored{lifted(by)} })
	}
	cannot := Ignored{"r1", "LiftsNothing", "review r1 names r0 in spec.supersedes and does not lift it: that takes a later approval of the same digest, role and host app, by the same person or, while that review exists, by somebody with verb overrule who is not the author, in a review that was created a second after that one or later"}
	shut := func(counted ...string) Verdict {
		return with(rejected(counted...), func(v *Verdict) { v.Ignored = []Ignored{cannot} })
	}
	veto := review("r0", rejects)
	runJudge(t, map[string]judgeCase{
		"a later approval by the same person lifts it": {
			question: question(), reviews: []Review{veto, review("r1", supersedes("r0"), decided(-30))}, want: open("bob"),
		},
		"one that was seen in the same moment does": {
			question: question(), reviews: []Review{veto, review("r1", supersedes("r0"))}, want: open("bob"),
		},
		"one within the second that a status can tell does": {
			question: question(remembered(rejection(func(r *Rejection) { r.Time = metav1.NewTime(at(-60).Add(900 * time.Millisecond)) }))),
			reviews:  []Review{review("r1", supersedes("r0"))}, want: open("bob"),
		},
		"it lifts what is only remembered": {
			question: question(remembered(rejection())), reviews: []Review{review("r1", supersedes("r0"), decided(-30))}, want: open("bob"),
		},
		"an approval that names nothing lifts nothing": {
			question: question(), reviews: []Review{veto, review("r1", decided(-30))}, want: rejected("r1"),
		},
		"an approval that names another review lifts nothing": {
			question: question(), reviews: []Review{veto, review("r1", supersedes("r8"), decided(-30))}, want: rejected("r1"),
		},
		"an earlier approval lifts nothing": {
			question: question(), reviews: []Review{veto, review("r1", supersedes("r0"), decided(-61))}, want: shut("r1"),
		},
		"an approval after a rejection lifts it, however late the program's status has told of that": {
			question: question(remembered(rejection(func(r *Rejection) { r.Time = metav1.NewTime(at(-20)) })), func(q *Question) {
				q.Decisions = []Decision{{Review: "r0", Role: "quality", Reviewer: "bob", Decision: "Rejected", Digest: digest, Time: metav1.NewTime(at(-40))}}
			}),
			reviews: []Review{veto, review("r1", supersedes("r0"), decided(-30))}, want: open("bob"),
		},
		"an approval of before lifts no rejection of a new Review of the same name": {
			question: question(remembered(rejection(func(r *Rejection) { r.Time = metav1.NewTime(at(-50)) }))),
			reviews: []Review{
				review("r0", rejects, decided(-50), func(r *Review) { r.Created = at(-20) }),
				review("r1", supersedes("r0"), decided(-30)),
			},
			want: with(shut("r1"), func(v *Verdict) {
				v.Vetoes = []Rejection{rejection(func(r *Rejection) { r.Time = metav1.NewTime(at(-20)) })}
			}),
		},
		"what a status has told of a veto goes before what its Review says": {
			question: question(remembered(rejection(func(r *Rejection) { r.Time = metav1.NewTime(at(-20)) }))),
			reviews:  []Review{veto, review("r1", supersedes("r0"), decided(-30))},
			want: with(shut("r1"), func(v *Verdict) {
				v.Vetoes = []Rejection{rejection(func(r *Rejection) { r.Time = metav1.NewTime(at(-20)) })}
			}),
		},
		"somebody else lifts nothing": {
			question: question(), reviews: []Review{veto, review("r1", by("carol"), supersedes("r0"), decided(-30))}, want: shut("r1"),
		},
		"somebody else who may overrule lifts it": {
			question: question(), reviews: []Review{veto, review("r1", by("carol"), overrules, supersedes("r0"), decided(-30))}, want: open("carol"),
		},
		"nobody may overrule a rejection whose Review is gone": {
			question: question(remembered(rejection())), reviews: []Review{review("r1", by("carol"), overrules, supersedes("r0"), decided(-30))}, want: shut("r1"),
		},
		"nobody may overrule a rejection by rejecting anew under the name of a Review that is gone": {
			question: question(remembered(rejection())),
			reviews:  []Review{review("r0", by("carol"), rejects), review("r1", by("carol"), overrules, supersedes("r0"), decided(-30))},
			want: with(rejected("r1"), func(v *Verdict) {
				v.Ignored = []Ignored{{"r0", "Superseded", "the rejection in review r0 by carol was lifted by review r1 by carol"}}
			}),
		},
		"nobody may overrule a rejection that another decision has taken the name of": {
			question: question(remembered(rejection())),
			reviews:  []Review{review("r0"), review("r1", by("carol"), overrules, supersedes("r0"), decided(-30))},
			want:     with(shut("r0", "r1"), func(v *Verdict) { v.Given = 1 }),
		},
		"the author may not overrule, also where self-approval is allowed": {
			question: question(rules(Rule{Role: "quality", Count: 1, SelfApproval: true})),
			reviews:  []Review{veto, review("r1", by("ann"), overrules, supersedes("r0"), decided(-30))}, want: shut("r1"),
		},
		"nobody in particular may not overrule": {
			question: question(remembered(rejection(func(r *Rejection) { r.Reviewer = "" }))),
			reviews:  []Review{review("r1", by(""), overrules, supersedes("r0"), decided(-30))},
			want: with(shut(), func(v *Verdict) {
				v.Message = "rejected by somebody without a name in role quality (review r0): " + liftHint
				v.Vetoes = []Rejection{rejection(func(r *Rejection) { r.Reviewer = "" })}
				v.Ignored = append(v.Ignored, Ignored{"r1", "NoReviewer", "review r1 does not say who decided: set spec.reviewer together with the decision"})
			}),
		},
		"an approval in another role lifts nothing": {
			question: question(rules(Rule{Role: "legal", Count: 1})), reviews: []Review{veto, review("r1", role("legal"), supersedes("r0"), decided(-30))}, want: shut("r1"),
		},
		"an approval for one host app lifts no veto for all": {
			question: question(rules(Rule{Role: "quality", Count: 1, HostApp: "wallet"})),
			reviews:  []Review{veto, review("r1", forApp("wallet"), supersedes("r0"), decided(-30))}, want: shut("r1"),
		},
		"an approval for all lifts no veto for one host app": {
			question: question(), reviews: []Review{review("r0", rejects, forApp("wallet")), review("r1", supersedes("r0"), decided(-30))},
			want: with(shut("r1"), func(v *Verdict) {
				v.Message = "rejected by bob in role quality for host app wallet (review r0): " + liftHint
				v.Vetoes = []Rejection{rejection(func(r *Rejection) { r.HostApp = "wallet" })}
			}),
		},
		"an approval of other bytes lifts nothing": {
			question: question(), reviews: []Review{veto, review("r1", ofDigest(other), supersedes("r0"), decided(-30))},
			want: with(shut(), func(v *Verdict) {
				v.Ignored = append(v.Ignored, Ignored{"r1", "OtherDigest", "review r1 approves sha256:aaaaaaaaaaaa…, but the version's artifact is sha256:bbbbbbbbbbbb…: a changed bundle needs a new approval"})
			}),
		},
		"a withdrawn review lifts nothing": {
			question: question(), reviews: []Review{veto, review("r1", supersedes("r0"), decided(-30), func(r *Review) { r.Decision = "Withdrawn" })},
			want: with(rejected(), func(v *Verdict) {
				v.Missing[0].Unasked = true
				v.Ignored = []Ignored{{"r1", "Withdrawn", "review r1 was withdrawn by bob; kubectl delete mprev r1 asks again"}}
			}),
		},
		"the approval of a step lifts nothing": {
			question: question(), reviews: []Review{veto, review("r1", supersedes("r0"), decided(-30), forStep("main", 1, 0))},
			want: with(rejected(), func(v *Verdict) { v.Ignored = []Ignored{liftsNothing(review("r1", supersedes("r0")))} }),
		},
		"a rejection of a step is a veto of the version": {
			question: question(), reviews: []Review{review("r0", rejects, forStep("main", 1, 0)), review("r1", by("carol"))},
			want: with(rejected(), func(v *Verdict) { v.Given, v.Missing, v.Counted = 1, nil, []string{"r1"} }),
		},
		"a rejection lifts no other": {
			question: question(), reviews: []Review{veto, review("r1", rejects, supersedes("r0"), decided(-30))},
			want: with(rejected(), func(v *Verdict) {
				v.Message += "; rejected by bob in role quality (review r1): " + liftHint
				v.Vetoes = append(v.Vetoes, rejection(func(r *Rejection) { r.Review, r.Time = "r1", metav1.NewTime(at(-30)) }))
			}),
		},
		"a veto stays lifted when the approval that lifted it expires": {
			question: question(), reviews: []Review{veto, review("r1", supersedes("r0"), decided(-30), expires(-1)), review("r2", by("carol"))},
			want: with(approved("r2"), func(v *Verdict) {
				v.Ignored = []Ignored{lifted("bob"), {"r1", "Expired", "review r1 counted until 2026-05-04T11:59:00Z: a new approval is needed"}}
			}),
		},
		"a veto in a role that nobody asks for is lifted in that role": {
			question: question(), reviews: []Review{review("r0", rejects, role("legal")), review("r1", role("legal"), supersedes("r0"), decided(-30)), review("r2", by("carol"))},
			want: with(approved("r2"), func(v *Verdict) { v.Ignored = []Ignored{lifted("bob")} }),
		},
		"an approval for another version of the same bytes lifts a veto and does not count": {
			question: question(), reviews: []Review{veto, review("r1", supersedes("r0"), decided(-30), func(r *Review) { r.VersionRef = "map-0" })},
			want: waiting(lifted("bob")),
		},
	})
}
