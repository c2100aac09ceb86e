package gate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	now    = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	digest = "sha256:" + strings.Repeat("b", 64)
	other  = "sha256:" + strings.Repeat("a", 64)
)

// at is the instant that many minutes after now.
func at(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }

// question is about version map-1 by ann, for host app wallet, where one quality approval is asked for.
func question(change ...func(*Question)) Question {
	q := Question{
		MiniProgram: "map", VersionRef: "map-1", Digest: digest, Author: "ann", HostApps: []string{"wallet"}, Covered: true,
		Created: at(-90),
		Rules:   []Rule{{Policy: "base", Role: "quality", Count: 1}},
	}
	for _, c := range change {
		c(&q)
	}
	return q
}

// review is bob's approval of that version in role quality, an hour ago.
func review(name string, change ...func(*Review)) Review {
	r := Review{
		Name: name, MiniProgram: "map", VersionRef: "map-1", Digest: digest, Role: "quality",
		Decision: "Approved", Reviewer: "bob", Decided: at(-60), Created: at(-90),
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func by(reviewer string) func(*Review)     { return func(r *Review) { r.Reviewer = reviewer } }
func role(name string) func(*Review)       { return func(r *Review) { r.Role = name } }
func forApp(hostApp string) func(*Review)  { return func(r *Review) { r.HostApp = hostApp } }
func ofDigest(digest string) func(*Review) { return func(r *Review) { r.Digest = digest } }
func decided(minutes int) func(*Review)    { return func(r *Review) { r.Decided = at(minutes) } }
func expires(minutes int) func(*Review)    { return func(r *Review) { r.Expires = new(at(minutes)) } }
func supersedes(name string) func(*Review) { return func(r *Review) { r.Supersedes = name } }
func rejects(r *Review)                    { r.Decision = "Rejected" }
func overrules(r *Review)                  { r.Overrules = true }

func hostApps(names ...string) func(*Question) { return func(q *Question) { q.HostApps = names } }
func rules(rules ...Rule) func(*Question)      { return func(q *Question) { q.Rules = rules } }

const (
	waitsQuality = "waits for 1 approval of role quality (needs approve on miniprograms/review-quality)"
	waitsPrivacy = "1 approval of role privacy for host app wallet (needs approve on miniprograms/review-privacy and on hostapps/review-privacy)"
	liftHint     = "only a later approval by the same person, or with verb overrule, that names it in spec.supersedes lifts this; a changed bundle needs a new version"
)

// approved is the verdict on question() when one review counts.
func approved(counted string) Verdict {
	return Verdict{
		Approved: true, Reason: "Approved", Message: "has 1 of 1 approvals, for host app wallet",
		Required: 1, Given: 1, ApprovedHostApps: []string{"wallet"}, Counted: []string{counted},
	}
}

// waiting is the verdict on question() when none does.
func waiting(ignored ...Ignored) Verdict {
	return Verdict{
		Reason: "WaitingForApproval", Message: waitsQuality,
		Required: 1, Missing: []Missing{{Role: "quality", Count: 1}}, Ignored: ignored,
	}
}

// with changes a verdict.
func with(v Verdict, change func(*Verdict)) Verdict {
	change(&v)
	return v
}

type judgeCase struct {
	question Question
	reviews  []Review
	want     Verdict
}

func runJudge(t *testing.T, tests map[string]judgeCase) {
	t.Helper()
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Judge(tc.question, tc.reviews, now)); diff != "" {
				t.Errorf("Judge (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudgeCountsApprovals(t *testing.T) {
	two := rules(Rule{Role: "quality", Count: 2})
	runJudge(t, map[string]judgeCase{
		"without a review the version waits and says who can help": {question: question(), want: waiting()},
		"a pending review is waited for": {
			question: question(), reviews: []Review{review("r1", func(r *Review) { r.Decision, r.Reviewer = "Pending", "" })}, want: waiting(),
		},
		"one approval by somebody else opens the gate": {
			question: question(), reviews: []Review{review("r1")}, want: approved("r1"),
		},
		"an approval of other bytes counts for nothing": {
			question: question(), reviews: []Review{review("r1", ofDigest(other))},
			want: waiting(Ignored{"r1", "OtherDigest", "review r1 approves sha256:aaaaaaaaaaaa…, but the version's artifact is sha256:bbbbbbbbbbbb…: a changed bundle needs a new approval"}),
		},
		"an approval of another version with the same bytes counts for nothing": {
			question: question(), reviews: []Review{review("r1", func(r *Review) { r.VersionRef = "map-0" })},
			want: waiting(Ignored{"r1", "OtherVersion", "review r1 approves version map-0, not map-1: each version needs its own approval"}),
		},
		"reviews of other programs and of other versions with other bytes are passed over": {
			question: question(),
			reviews: []Review{
				review("r1", func(r *Review) { r.MiniProgram = "shop" }),
				review("r2", func(r *Review) { r.VersionRef, r.Digest = "map-0", other }),
			},
			want: waiting(),
		},
		"the author does not count": {
			question: question(), reviews: []Review{review("r1", by("ann"))},
			want: waiting(Ignored{"r1", "ByAuthor", "review r1 is by ann, the author of the version: somebody else has to approve"}),
		},
		"the author counts where the rule allows it": {
			question: question(rules(Rule{Role: "quality", Count: 1, SelfApproval: true})),
			reviews:  []Review{review("r1", by("ann"))}, want: approved("r1"),
		},
		"an unknown author may be anybody, so nobody counts": {
			question: question(func(q *Question) { q.Author = "" }), reviews: []Review{review("r1")},
			want: waiting(Ignored{"r1", "AuthorUnknown", "review r1 by bob may be the author's own, for the version does not name its author: create a version with spec.submittedBy"}),
		},
		"an unknown author does not matter where self-approval is allowed": {
			question: question(func(q *Question) { q.Author = "" }, rules(Rule{Role: "quality", Count: 1, SelfApproval: true})),
			reviews:  []Review{review("r1")}, want: approved("r1"),
		},
		"a decision without a person counts for nothing": {
			question: question(rules(Rule{Role: "quality", SelfApproval: true})), reviews: []Review{review("r1", by(""))},
			want: waiting(Ignored{"r1", "NoReviewer", "review r1 does not say who decided: set spec.reviewer together with the decision"}),
		},
		"an approval in another role is not asked for": {
			question: question(), reviews: []Review{review("r1", role("legal"))},
			want: waiting(Ignored{"r1", "NotAsked", "review r1 approves in role legal, which no enforcing ReviewPolicy asks for"}),
		},
		"an approval for one host app is not one for all": {
			question: question(), reviews: []Review{review("r1", forApp("wallet"))},
			want: waiting(Ignored{"r1", "NotAsked", "review r1 approves in role quality for host app wallet, which no enforcing ReviewPolicy asks for; role quality is asked for: all host apps"}),
		},
		"one person counts once, with the review that counts longest": {
			question: question(two), reviews: []Review{review("r1", expires(5)), review("r2")},
			want: Verdict{
				Reason: "WaitingForApproval", Message: waitsQuality, Required: 2, Given: 1, Counted: []string{"r2"},
				Missing: []Missing{{Role: "quality", Count: 1}},
				Ignored: []Ignored{{"r1", "SamePerson", "review r1 and review r2 are both by bob in role quality: a person counts once"}},
			},
		},
		"of two reviews of one person that count equally long the first by name counts": {
			question: question(), reviews: []Review{review("r2"), review("r1"), review("r3")},
			want: with(approved("r1"), func(v *Verdict) {
				v.Ignored = []Ignored{
					{"r2", "SamePerson", "review r2 and review r1 are both by bob in role quality: a person counts once"},
					{"r3", "SamePerson", "review r3 and review r1 are both by bob in role quality: a person counts once"},
				}
			}),
		},
		"two people are two approvals": {
			question: question(two), reviews: []Review{review("r1"), review("r2", by("carol"))},
			want: Verdict{
				Approved: true, Reason: "Approved", Message: "has 2 of 2 approvals, for host app wallet",
				Required: 2, Given: 2, ApprovedHostApps: []string{"wallet"}, Counted: []string{"r1", "r2"},
			},
		},
		"more approvals than asked for do not stand in for others": {
			question: question(rules(Rule{Role: "quality", Count: 1}, Rule{Role: "legal", Count: 2})),
			reviews:  []Review{review("r1"), review("r2", by("carol"))},
			want: Verdict{
				Reason: "WaitingForApproval", Message: "waits for 2 approvals of role legal (needs approve on miniprograms/review-legal)",
				Required: 3, Given: 1, Counted: []string{"r1", "r2"}, Missing: []Missing{{Role: "legal", Count: 2}},
			},
		},
		"an approval whose Review was deleted counts for nothing": {
			question: question(func(q *Question) {
				q.Decisions = []Decision{{Review: "r1", Role: "quality", Reviewer: "bob", Decision: "Approved", Digest: digest}}
			}),
			want: waiting(Ignored{"r1", "Deleted", "review r1 by bob was deleted: an approval counts only while its Review exists"}),
		},
		"a remembered approval whose Review exists is nothing special": {
			question: question(func(q *Question) {
				q.Decisions = []Decision{{Review: "r1", Role: "quality", Reviewer: "bob", Decision: "Approved", Digest: digest}}
			}),
			reviews: []Review{review("r1")}, want: approved("r1"),
		},
		"rules that ask the same twice ask for the stricter": {
			question: question(rules(Rule{Role: "quality", Count: 1, SelfApproval: true}, Rule{Role: "quality", Count: 2})),
			reviews:  []Review{review("r1"), review("r2", by("ann"))},
			want: Verdict{
				Reason: "WaitingForApproval", Message: waitsQuality, Required: 2, Given: 1, Counted: []string{"r1"},
				Missing: []Missing{{Role: "quality", Count: 1}},
				Ignored: []Ignored{{"r2", "ByAuthor", "review r2 is by ann, the author of the version: somebody else has to approve"}},
			},
		},
	})
}

func TestJudgeMindsTime(t *testing.T) {
	valid := rules(Rule{Role: "quality", Count: 1, Valid: 90 * time.Minute})
	until := func(minutes int) func(*Verdict) { return func(v *Verdict) { v.Expires = new(at(minutes)) } }
	over := func(name, instant string) Ignored {
		return Ignored{name, "Expired", "review " + name + " counted until " + instant + ": a new approval is needed"}
	}
	runJudge(t, map[string]judgeCase{
		"an approval counts until its own end": {
			question: question(), reviews: []Review{review("r1", expires(1))}, want: with(approved("r1"), until(1)),
		},
		"at its end it no longer does": {
			question: question(), reviews: []Review{review("r1", expires(0))}, want: waiting(over("r1", "2026-05-04T12:00:00Z")),
		},
		"the policy's validity begins with the decision": {
			question: question(valid), reviews: []Review{review("r1")}, want: with(approved("r1"), until(30)),
		},
		"when the policy's validity is over, the approval is too": {
			question: question(valid), reviews: []Review{review("r1", decided(-90))}, want: waiting(over("r1", "2026-05-04T12:00:00Z")),
		},
		"the review's own end cannot prolong the policy's validity": {
			question: question(valid), reviews: []Review{review("r1", decided(-91), expires(500))}, want: waiting(over("r1", "2026-05-04T11:59:00Z")),
		},
		"the policy's validity cannot prolong the review's own end": {
			question: question(valid), reviews: []Review{review("r1", expires(-1))}, want: waiting(over("r1", "2026-05-04T11:59:00Z")),
		},
		"the review's end shows when it is the earlier": {
			question: question(valid), reviews: []Review{review("r1", expires(20))}, want: with(approved("r1"), until(20)),
		},
		"the verdict expires with the first approval that does": {
			question: question(), reviews: []Review{review("r1", expires(9)), review("r2", by("carol"), expires(7)), review("r3", by("dave"))},
			want: with(approved("r1"), func(v *Verdict) { v.Counted, v.Expires = []string{"r1", "r2", "r3"}, new(at(7)) }),
		},
		"a second approval of one person prolongs the first": {
			question: question(), reviews: []Review{review("r1", expires(9)), review("r2", expires(-1)), review("r3", expires(20))},
			want: with(approved("r3"), func(v *Verdict) {
				v.Expires = new(at(20))
				v.Ignored = []Ignored{
					{"r1", "SamePerson", "review r1 and review r3 are both by bob in role quality: a person counts once"},
					over("r2", "2026-05-04T11:59:00Z"),
				}
			}),
		},
	})
}

func TestJudgeHostApps(t *testing.T) {
	both := hostApps("wallet", "chat")
	perApp := rules(Rule{Role: "quality", Count: 1}, Rule{Role: "privacy", Count: 1, HostApp: "wallet"})
	runJudge(t, map[string]judgeCase{
		"a rule for one host app keeps only that one waiting": {
			question: question(both, perApp), reviews: []Review{review("r1")},
			want: Verdict{
				Reason: "WaitingForApproval", Message: "waits for " + waitsPrivacy, Required: 2, Given: 1,
				Missing: []Missing{{Role: "privacy", HostApp: "wallet", Count: 1}}, ApprovedHostApps: []string{"chat"}, Counted: []string{"r1"},
			},
		},
		"a rule for all host apps keeps all waiting, and all that is missing is told": {
			question: question(both, perApp),
			want: Verdict{
				Reason: "WaitingForApproval", Required: 2,
				Message: "waits for " + waitsPrivacy + "; 1 approval of role quality (needs approve on miniprograms/review-quality)",
				Missing: []Missing{{Role: "privacy", HostApp: "wallet", Count: 1}, {Role: "quality", Count: 1}},
			},
		},
		"with every rule met all host apps are approved": {
			question: question(both, perApp), reviews: []Review{review("r1"), review("r2", role("privacy"), forApp("wallet"))},
			want: Verdict{
				Approved: true, Reason: "Approved", Message: "has 2 of 2 approvals, for host apps chat, wallet",
				Required: 2, Given: 2, ApprovedHostApps: []string{"chat", "wallet"}, Counted: []string{"r1", "r2"},
			},
		},
		"an approval for all or for another host app is not the one asked for": {
			question: question(rules(Rule{Role: "quality", Count: 1, HostApp: "wallet"})),
			reviews:  []Review{review("r1"), review("r2", forApp("chat"))},
			want: Verdict{
				Reason: "WaitingForApproval", Required: 1, Missing: []Missing{{Role: "quality", HostApp: "wallet", Count: 1}},
				Message: "waits for 1 approval of role quality for host app wallet (needs approve on miniprograms/review-quality and on hostapps/review-quality)",
				Ignored: []Ignored{
					{"r1", "NotAsked", "review r1 approves in role quality, which no enforcing ReviewPolicy asks for; role quality is asked for: host app wallet"},
					{"r2", "NotAsked", "review r2 approves in role quality for host app chat, which no enforcing ReviewPolicy asks for; role quality is asked for: host app wallet"},
				},
			},
		},
		"rules for host apps that are not asked about do not matter": {
			question: question(hostApps("chat"), perApp), reviews: []Review{review("r1")},
			want: with(approved("r1"), func(v *Verdict) {
				v.Message, v.ApprovedHostApps = "has 1 of 1 approvals, for host app chat", []string{"chat"}
			}),
		},
		"a host app that no rule concerns is not approved": {
			question: question(both, rules(Rule{Role: "quality", Count: 1, HostApp: "wallet"})), reviews: []Review{review("r1", forApp("wallet"))},
			want: Verdict{
				Reason: "NoApprovalAsked", Required: 1, Given: 1, ApprovedHostApps: []string{"wallet"}, Counted: []string{"r1"},
				Message: "no enforcing ReviewPolicy asks for an approval for host app chat, and without any nothing is approved: ask the platform's administrators for an approval rule, or for role none",
			},
		},
		"a host app that is named twice is one": {
			question: question(hostApps("wallet", "wallet")), reviews: []Review{review("r1")}, want: approved("r1"),
		},
	})
}

func TestJudgeWithoutApprovals(t *testing.T) {
	noRules := rules()
	runJudge(t, map[string]judgeCase{
		"without an enforcing policy nothing is approved, whoever approves": {
			question: question(noRules, func(q *Question) { q.Covered = false }), reviews: []Review{review("r1")},
			want: Verdict{
				Reason:  "NoPolicy",
				Message: "nothing is approved, for no ReviewPolicy with enforcement Enforce covers this version: ask the platform's administrators for one",
				Ignored: []Ignored{{"r1", "NotAsked", "review r1 approves in role quality, which no enforcing ReviewPolicy asks for"}},
			},
		},
		"role none does not open the gate without an enforcing policy": {
			question: question(noRules, func(q *Question) { q.Covered, q.NoApprovalNeeded = false, true }),
			want: Verdict{
				Reason:  "NoPolicy",
				Message: "nothing is approved, for no ReviewPolicy with enforcement Enforce covers this version: ask the platform's administrators for one",
			},
		},
		"policies that ask for nothing approve nothing": {
			question: question(noRules),
			want: Verdict{
				Reason:  "NoApprovalAsked",
				Message: "no enforcing ReviewPolicy asks for an approval for host app wallet, and without any nothing is approved: ask the platform's administrators for an approval rule, or for role none",
			},
		},
		"role none approves without anybody": {
			question: question(noRules, func(q *Question) { q.NoApprovalNeeded = true }),
			want: Verdict{
				Approved: true, Reason: "NoApprovalNeeded", Message: "no approval is needed, as a ReviewPolicy with role none says",
				ApprovedHostApps: []string{"wallet"},
			},
		},
		"role none takes no other rule away": {
			question: question(func(q *Question) { q.NoApprovalNeeded = true }), want: waiting(),
		},
		"without an artifact there is nothing to approve, not even with role none": {
			question: question(noRules, func(q *Question) { q.Digest, q.NoApprovalNeeded = "", true }),
			reviews:  []Review{review("r1", ofDigest("")), review("r2", ofDigest(""), rejects)},
			want:     Verdict{Reason: "NoArtifact", Message: "nothing can be approved before the version's artifact is in the registry"},
		},
		"without an artifact an approval of no bytes counts for nothing": {
			question: question(func(q *Question) { q.Digest = "" }), reviews: []Review{review("r1", ofDigest(""))},
			want: with(waiting(), func(v *Verdict) {
				v.Reason, v.Message = "NoArtifact", "nothing can be approved before the version's artifact is in the registry"
			}),
		},
		"without a host app nothing is approved": {
			question: question(hostApps()), reviews: []Review{review("r1")},
			want: Verdict{
				Reason: "NoHostApp", Message: "nothing is approved, for no host app is asked about: name one in spec.hostApps",
				Required: 1, Given: 1, Counted: []string{"r1"},
			},
		},
	})
}

func TestJudgeWritesOutTenItems(t *testing.T) {
	var many []Rule
	for i := range 12 {
		many = append(many, Rule{Role: fmt.Sprintf("role-%02d", i), Count: 1})
	}
	v := Judge(question(rules(many...)), nil, now)
	if len(v.Missing) != 12 {
		t.Errorf("%d approvals are missing, want all 12", len(v.Missing))
	}
	if n := strings.Count(v.Message, "1 approval of role"); n != 10 || !strings.HasSuffix(v.Message, "review-role-09); and 2 more") {
		t.Errorf("the message writes out %d items, want 10 and the number of others: %s", n, v.Message)
	}
}

func TestJudgeChangesNothing(t *testing.T) {
	end := at(5)
	reviews := func() []Review {
		return []Review{review("r2", func(r *Review) { r.Expires = &end }), review("r1", by("carol"), rejects)}
	}
	ask := func() Question {
		return question(hostApps("wallet", "chat", "wallet"), rules(Rule{Role: "quality"}, Rule{Role: "privacy", HostApp: "maps"}),
			func(q *Question) {
				q.Rejections = []Rejection{{Digest: digest, Review: "z"}, {Digest: digest, Review: "a"}}
			})
	}
	q, rs := ask(), reviews()
	v := Judge(q, rs, now)
	if diff := cmp.Diff(ask(), q); diff != "" {
		t.Errorf("the question changed:\n%s", diff)
	}
	if diff := cmp.Diff(reviews(), rs); diff != "" {
		t.Errorf("the reviews changed:\n%s", diff)
	}
	if v.Expires == rs[0].Expires {
		t.Error("the verdict shares its expiry with a review")
	}
}

// rejection is bob's veto in review r0, as the status of the program remembers it.
func rejection(change ...func(*Rejection)) Rejection {
	r := Rejection{Digest: digest, Role: "quality", Reviewer: "bob", Review: "r0", Time: metav1.NewTime(at(-60))}
	for _, c := range change {
		c(&r)
	}
	return r
}
