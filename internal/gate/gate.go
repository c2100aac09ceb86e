// Package gate decides whether a version may be released: it holds what
// reviewers said of a digest against the approvals that policies ask for.
//
// What counts:
//
//   - An approval counts when program, version, digest, role and host app are
//     exactly those asked for. An approval without host app counts for rules
//     without host app only, and these speak for the host apps that the version
//     was packaged for: one that was added later needs an approval that names it.
//   - An approval is never older than the version object: a version that was
//     deleted and created anew is asked for anew. Only what the journal has restored
//     is: version and Review were lost with their cluster, and nobody deleted them.
//   - An approval of a step of a Rollout counts for that step of that attempt and
//     for nothing else, and no other approval counts for a step.
//   - Approvals are counted by distinct people. The author of the version is
//     not among them unless the rule allows it. Where nobody knows the author,
//     nobody is known to be somebody else, so only rules that allow
//     self-approval can be met. A rule can ask for an author whom admission has
//     checked; for other versions nothing meets it.
//   - An approval that does not agree to every permission that the version needs
//     does not count. Permissions that it can do without are withheld when a
//     single approval leaves them out that counts, or would but for what it refuses.
//   - An approval counts until the earlier of its own expiration and the rule's
//     validity, and only while its Review exists, where it was not restored.
//   - One rejection of a digest is a veto, in whatever role, asked for or not,
//     and from whichever version of the program. It stays when its Review is
//     deleted or expires. A veto that names a host app holds for that one only.
//   - A veto is lifted by an approval of the same digest, role and host app that
//     names it in Supersedes and was not decided before it: by the same
//     reviewer, or by somebody else who was proved to hold the verb overrule and
//     is not the author; by the latter only while the rejecting Review exists, and
//     in a Review that was created after it, for the proof is about that object. It
//     stays lifted when that approval expires, and comes back when its Review is
//     deleted. A rejection never lifts another, and the approval of a step lifts none.
//   - A request that the author has withdrawn is not made again while the
//     withdrawn Review exists. That closes nothing: who may decide still can.
//   - A host app is approved when every rule that concerns it is met, there is at
//     least one such rule, and no veto holds. Only a policy that says role none
//     makes a rule unnecessary, and without an enforcing policy nothing is approved.
//
// Whatever is in doubt counts for nothing: more reviews can be asked for, a
// release cannot be taken back from devices.
package gate

import (
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Rejection is a veto as the status of a MiniProgram remembers it.
type Rejection = v1alpha1.Rejection

// Decision is a reviewer's word as the status of a version remembers it.
type Decision = v1alpha1.Decision

// Review is what the gate needs of a Review object.
type Review struct {
	// Name of the object; unique among the reviews of one question.
	Name string
	// VersionRef and MiniProgram are the names of the objects that it is about.
	VersionRef, MiniProgram string
	// Digest of the artifact that was looked at.
	Digest string
	// Role in which the reviewer speaks.
	Role string
	// HostApp that the decision is for; "" for all.
	HostApp string
	// Rollout whose step the decision is for; "" for one about the version.
	Rollout string
	// Attempt, from 1, and Step, from 0, of that Rollout. Without Rollout they mean nothing.
	Attempt, Step int32
	// Decision is one of v1alpha1.Decision….
	Decision string
	// Reviewer is the user who decided.
	Reviewer string
	// Supersedes names a Review whose rejection this approval lifts.
	Supersedes string
	// Overrules says that the reviewer was proved to hold the verb overrule, as when admission asks
	// everybody for it who sets supersedes. Without, Supersedes lifts only the reviewer's own rejections.
	Overrules bool
	// Decided is when the decision was first seen, or taken. All reviews of a question need the same clock.
	Decided time.Time
	// Expires is the review's own end; nil for none.
	Expires *time.Time
	// ApprovedPermissions are those that an approval agrees to; empty for all that are declared.
	// Names that are not declared have no effect.
	ApprovedPermissions []string
	// Created is when the object was.
	Created time.Time
	// Restored says that the object was lost with its cluster, and the journal tells of it.
	Restored bool
}

// Rule asks for approvals in a role.
type Rule struct {
	// Policy that asks; several names are joined by ", ".
	Policy string
	// Role of the reviewers.
	Role string
	// Count of distinct people; below 1 means 1.
	Count int
	// HostApp that they approve for; "" for one approval that concerns all host apps.
	HostApp string
	// SelfApproval allows the version's author to be one of them.
	SelfApproval bool
	// Proven asks for a version whose author admission has checked.
	Proven bool
	// Valid is how long a decision counts; 0 for without end.
	Valid time.Duration
}

// Question is everything about the version that Judge needs.
type Question struct {
	// MiniProgram and VersionRef are the names of the objects.
	MiniProgram, VersionRef string
	// Digest of the version's artifact; "" while there is none.
	Digest string
	// Created is when the version object was; approvals from before do not count. Zero when there is
	// no such object: then none does. Compared in whole seconds, as the API server tells them.
	Created time.Time
	// Author of the version; "" when nobody knows.
	Author string
	// AuthorProven says that admission has checked the author.
	AuthorProven bool
	// Permissions that the version declares. Need unset means Required.
	Permissions []v1alpha1.Permission
	// HostApps that are asked about: all of the program's, or those of one
	// rollout. They must be among those that Rules was called with.
	HostApps []string
	// LateHostApps were added to the program after the version was packaged: rules without host app do
	// not speak for them. The same as Rules was called with.
	LateHostApps []string
	// Rules of the enforcing policies that cover the version, as Rules returns
	// them. Those for host apps that are not asked about are left out of account.
	Rules []Rule
	// NoApprovalNeeded says that host apps without any rule are approved all the same.
	NoApprovalNeeded bool
	// Covered says that at least one enforcing policy covers the version.
	Covered bool
	// Rejections are remembered in the status of the MiniProgram. Those that were lifted may stay there.
	Rejections []Rejection
	// Decisions are remembered in the status of the version.
	Decisions []Decision
}

// Reasons of a Verdict.
const (
	// ReasonApproved: every approval is there.
	ReasonApproved = "Approved"
	// ReasonNoApprovalNeeded: a policy asks for nobody, and no other asks for anybody.
	ReasonNoApprovalNeeded = "NoApprovalNeeded"
	// ReasonRejected: a veto holds for at least one host app.
	ReasonRejected = "Rejected"
	// ReasonWaitingForApproval: approvals are missing.
	ReasonWaitingForApproval = "WaitingForApproval"
	// ReasonAuthorNotProven: a policy asks for an author whom admission has checked, so no approval helps.
	ReasonAuthorNotProven = "AuthorNotProven"
	// ReasonRequestWithdrawn: approvals are missing, and the author took back the requests for all of them.
	ReasonRequestWithdrawn = "RequestWithdrawn"
	// ReasonNoPolicy: no enforcing policy covers the version.
	ReasonNoPolicy = "NoPolicy"
	// ReasonNoApprovalAsked: policies cover the version and ask for no approval for some host app.
	ReasonNoApprovalAsked = "NoApprovalAsked"
	// ReasonNoArtifact: there is nothing yet that could be approved.
	ReasonNoArtifact = "NoArtifact"
	// ReasonNoHostApp: no host app is asked about.
	ReasonNoHostApp = "NoHostApp"
)

// Verdict is the gate's answer.
type Verdict struct {
	// Approved says that every host app of the question is approved.
	Approved bool
	// Rejected says that a veto holds for at least one host app of the question.
	Rejected bool
	// Reason is one of Reason….
	Reason string
	// Message says for people what is waited for, and who can give it. At most ten
	// items of each sort are written out.
	Message string
	// Required and Given count approvals over all rules; Given never counts more for a rule than it asks for.
	Required, Given int
	// Missing approvals, sorted by role and host app. Complete, so it may exceed what a status takes.
	Missing []Missing
	// ApprovedHostApps are sorted.
	ApprovedHostApps []string
	// Withheld are declared permissions that the version can do without and that a reviewer leaves
	// out. Sorted; host apps are not to grant them.
	Withheld []string
	// Counted are the sorted names of the reviews that counted, one for each person and rule.
	Counted []string
	// Expires is the earliest instant at which time alone can change the verdict,
	// other than the reasons in Ignored; nil for never.
	Expires *time.Time
	// Ignored are reviews that do not count, and why, sorted by review and reason. A
	// review that counts as an approval is here with ReasonLiftsNothing too when its Supersedes has no effect.
	Ignored []Ignored
	// Vetoes that hold for the digest, sorted by time and review; also those for host apps that are not asked about.
	Vetoes []Rejection
}

// Missing is a number of approvals that are waited for.
type Missing struct {
	// Role of the reviewers.
	Role string
	// HostApp that they approve for; "" for all.
	HostApp string
	// Count of distinct people.
	Count int
	// Unasked says that people are not to be asked for it: the author has withdrawn the request, or
	// nobody can meet the rule for this version.
	Unasked bool
}

// Reasons why a review does not count. ReasonAuthorNotProven is one too.
const (
	// ReasonOlderThanVersion: it was created before the version object.
	ReasonOlderThanVersion = "OlderThanVersion"
	// ReasonPermissionRefused: it does not agree to a permission that the version needs.
	ReasonPermissionRefused = "PermissionRefused"
	// ReasonOtherDigest: it is about other bytes.
	ReasonOtherDigest = "OtherDigest"
	// ReasonOtherVersion: it approves another version that has the same bytes.
	ReasonOtherVersion = "OtherVersion"
	// ReasonNotAsked: no rule asks for its role and host app.
	ReasonNotAsked = "NotAsked"
	// ReasonNoReviewer: it does not say who decided.
	ReasonNoReviewer = "NoReviewer"
	// ReasonByAuthor: the reviewer is the version's author.
	ReasonByAuthor = "ByAuthor"
	// ReasonAuthorUnknown: the reviewer may be the version's author.
	ReasonAuthorUnknown = "AuthorUnknown"
	// ReasonExpired: its time is over.
	ReasonExpired = "Expired"
	// ReasonSamePerson: another review of the same person counts.
	ReasonSamePerson = "SamePerson"
	// ReasonWithdrawn: it was withdrawn.
	ReasonWithdrawn = "Withdrawn"
	// ReasonDeleted: the Review of a remembered approval is gone.
	ReasonDeleted = "Deleted"
	// ReasonSuperseded: it is a rejection that was lifted.
	ReasonSuperseded = "Superseded"
	// ReasonLiftsNothing: it names a rejection in Supersedes and may not lift it.
	ReasonLiftsNothing = "LiftsNothing"
)

// Ignored is a review that does not count.
type Ignored struct {
	// Review is the name of the object.
	Review string
	// Reason is one of the reasons above.
	Reason string
	// Message says why, and what to do.
	Message string
}
