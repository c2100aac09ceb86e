package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// shownItems bounds lists in messages: a program for fifty host apps may lack hundreds of approvals.
const shownItems = 10

const noArtifact = "nothing can be approved before the version's artifact is in the registry"

// explain returns the verdict's reason and message. unasked are the host apps
// that need an approval and that no rule asks one for.
func (j *judge) explain(unasked []string) (reason, message string) {
	switch {
	case j.q.Digest == "":
		return ReasonNoArtifact, noArtifact
	case len(j.q.HostApps) == 0:
		return ReasonNoHostApp, "nothing is approved, for no host app is asked about: name one in spec.hostApps"
	case j.v.Approved && len(j.tallies) == 0:
		return ReasonNoApprovalNeeded, "no approval is needed, as a ReviewPolicy with role none says"
	case j.v.Approved:
		return ReasonApproved, fmt.Sprintf("has %d of %d approvals, for host %s", j.v.Given, j.v.Required, apps(j.q.HostApps)) + j.withheldText()
	}

	var parts []string
	if j.v.Rejected {
		reason = ReasonRejected
		parts = append(parts, j.vetoesText())
	}
	if !j.q.Covered {
		reason = firstOf(reason, ReasonNoPolicy)
		parts = append(parts, "nothing is approved, for no ReviewPolicy with enforcement Enforce covers this version: ask the platform's administrators for one")
		return reason, strings.Join(parts, "; ")
	}
	if why, waits := j.waits(); why != "" {
		reason = firstOf(reason, why)
		parts = append(parts, waits)
	}
	unasked = slices.DeleteFunc(unasked, j.vetoed)
	if len(unasked) > 0 {
		reason = firstOf(reason, ReasonNoApprovalAsked)
		parts = append(parts, fmt.Sprintf("no enforcing ReviewPolicy asks for an approval for host %s, and without any nothing is approved: ask the platform's administrators for an approval rule, or for role none", apps(unasked)))
	}
	return reason, strings.Join(parts, "; ")
}

// vetoesText tells the vetoes that concern the question.
func (j *judge) vetoesText() string {
	var items []string
	for _, v := range j.v.Vetoes {
		if v.HostApp != "" && !slices.Contains(j.q.HostApps, v.HostApp) {
			continue
		}
		item := fmt.Sprintf("rejected by %s in role %s%s", person(v.Reviewer), v.Role, forHostApp(v.HostApp))
		if v.Review != "" {
			item += fmt.Sprintf(" (review %s): only a later approval by the same person, or with verb overrule, that names it in spec.supersedes lifts this; a changed bundle needs a new version", v.Review)
		} else {
			item += ": a changed bundle needs a new version"
		}
		items = append(items, item)
	}
	return list(items)
}

// waits tells which approvals are missing. What a veto makes useless is not asked for.
func (j *judge) waits() (reason, message string) {
	var waits, others []string
	for _, t := range j.tallies {
		useful := slices.ContainsFunc(j.q.HostApps, func(h string) bool { return t.rule.speaksFor(h, j.q.LateHostApps) && !j.vetoed(h) })
		if t.missing == 0 || !useful {
			continue
		}
		lacks := fmt.Sprintf("%s of role %s%s", approvals(t.missing), t.rule.Role, forHostApp(t.rule.HostApp))
		switch {
		case t.unproven:
			reason = ReasonAuthorNotProven
			others = append(others, lacks+" would not count: "+unprovenText(t.rule, j.q.Author))
		case len(t.withdrawn) > 0:
			reason = firstOf(reason, ReasonRequestWithdrawn)
			var by []string
			for _, r := range t.withdrawn {
				by = append(by, withdrawn(r).Message)
			}
			others = append(others, fmt.Sprintf("%s is not asked for: %s", lacks, list(by)))
		default:
			waits = append(waits, fmt.Sprintf("%s (needs %s)", lacks, RightsFor(t.rule.Role, t.rule.HostApp)))
		}
	}
	if len(waits) > 0 {
		if reason != ReasonAuthorNotProven { // all other approvals together would not help
			reason = ReasonWaitingForApproval
		}
		others = append([]string{"waits for " + list(waits)}, others...)
	}
	return reason, list(others)
}

// RightsFor are the rights that admission asks of who decides in a role, for one
// host app or, where that is empty, for all.
func RightsFor(role, hostApp string) string {
	rights := "approve on miniprograms/review-" + role
	if hostApp != "" {
		rights += " and on hostapps/review-" + role
	}
	return rights
}

// withheldText tells what the approvals leave out.
func (j *judge) withheldText() string {
	if len(j.v.Withheld) == 0 {
		return ""
	}
	return fmt.Sprintf("; without %s, which reviewers withhold", quoted(j.v.Withheld))
}

// list joins items by "; " and writes out the first ten.
func list(items []string) string {
	text := strings.Join(items[:min(shownItems, len(items))], "; ")
	if rest := len(items) - shownItems; rest > 0 {
		text += fmt.Sprintf("; and %d more", rest)
	}
	return text
}

// apps writes "app a", or "apps a, b".
func apps(names []string) string {
	if len(names) == 1 {
		return "app " + names[0]
	}
	text := "apps " + strings.Join(names[:min(shownItems, len(names))], ", ")
	if rest := len(names) - shownItems; rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

// approvals writes "1 approval" or "2 approvals".
func approvals(n int) string {
	if n == 1 {
		return "1 approval"
	}
	return fmt.Sprintf("%d approvals", n)
}

func forHostApp(name string) string {
	if name == "" {
		return ""
	}
	return " for host app " + name
}

func person(name string) string {
	if name == "" {
		return "somebody without a name"
	}
	return name
}

func firstOf(reason, other string) string {
	if reason != "" {
		return reason
	}
	return other
}

// short shows enough of a digest to tell it from others.
func short(digest string) string {
	const shown = len("sha256:") + 12
	if len(digest) <= shown {
		return digest
	}
	return digest[:shown] + "…"
}

// as writes a review's role and host app.
func as(r Review) string { return "in role " + r.Role + forHostApp(r.HostApp) }

func noReviewer(r Review) Ignored {
	return Ignored{r.Name, ReasonNoReviewer, fmt.Sprintf("review %s does not say who decided: set spec.reviewer together with the decision", r.Name)}
}

func byAuthor(r Review) Ignored {
	return Ignored{r.Name, ReasonByAuthor, fmt.Sprintf("review %s is by %s, the author of the version: somebody else has to approve", r.Name, r.Reviewer)}
}

func authorUnknown(r Review) Ignored {
	return Ignored{r.Name, ReasonAuthorUnknown, fmt.Sprintf("review %s by %s may be the author's own, for the version does not name its author: create a version with spec.submittedBy", r.Name, r.Reviewer)}
}

func expired(r Review, until time.Time) Ignored {
	return Ignored{r.Name, ReasonExpired, fmt.Sprintf("review %s counted until %s: a new approval is needed", r.Name, until.UTC().Format(time.RFC3339))}
}

func samePerson(r, counted Review) Ignored {
	return Ignored{r.Name, ReasonSamePerson, fmt.Sprintf("review %s and review %s are both by %s %s: a person counts once", r.Name, counted.Name, r.Reviewer, as(r))}
}

func withdrawn(r Review) Ignored {
	by := r.Reviewer
	if by == "" {
		by = "the author"
	}
	return Ignored{r.Name, ReasonWithdrawn, fmt.Sprintf("review %s was withdrawn by %s; kubectl delete mprev %s asks again", r.Name, by, r.Name)}
}

func olderThanVersion(r Review, version string) Ignored {
	return Ignored{r.Name, ReasonOlderThanVersion, fmt.Sprintf("review %s is older than version %s, which was deleted and created anew, or exists no more: an approval does not outlive the version that it was given for, so a new one is needed", r.Name, version)}
}

func authorNotProven(r Review, rule Rule, author string) Ignored {
	return Ignored{r.Name, ReasonAuthorNotProven, fmt.Sprintf("review %s by %s does not count: %s", r.Name, r.Reviewer, unprovenText(rule, author))}
}

// unprovenText says why a rule that asks for a proven author cannot be met, and what to do.
func unprovenText(rule Rule, author string) string {
	fact := "nobody knows who handed this one in"
	switch {
	case IsServiceAccount(author):
		fact = author + " is a service account, as which others can act"
	case author != "":
		fact = author + " was only declared by another account"
	}
	return fmt.Sprintf("ReviewPolicy %s asks in role %s for versions whose author admission has checked, and %s (status.author): the author has to create a version with an own account", rule.Policy, rule.Role, fact)
}

func permissionRefused(r Review, refused []string) Ignored {
	return Ignored{r.Name, ReasonPermissionRefused, fmt.Sprintf("review %s by %s approves without %s, which the version needs: reject it with a comment, or agree to it in spec.approvedPermissions of another review", r.Name, r.Reviewer, quoted(refused))}
}

func refusedAtStep(r Review, refused []string) Ignored {
	return Ignored{r.Name, ReasonPermissionRefused, fmt.Sprintf("review %s by %s approves without %s, which the version is released with: reject it with a comment, leave out spec.approvedPermissions, or have it withheld by a review of the version", r.Name, r.Reviewer, quoted(refused))}
}

// quoted writes `permission "a"`, or `permissions "a", "b"`.
func quoted(names []string) string {
	text := "permission "
	if len(names) > 1 {
		text = "permissions "
	}
	for i, n := range names[:min(shownItems, len(names))] {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%q", n)
	}
	if rest := len(names) - shownItems; rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

func otherDigest(r Review, digest string) Ignored {
	verb, hint := "approves", "a changed bundle needs a new approval"
	if r.Decision == v1alpha1.DecisionRejected {
		verb, hint = "rejects", "it is no veto of these bytes"
	}
	return Ignored{r.Name, ReasonOtherDigest, fmt.Sprintf("review %s %s %s, but the version's artifact is %s: %s", r.Name, verb, short(r.Digest), short(digest), hint)}
}

func otherVersion(r Review, version string) Ignored {
	return Ignored{r.Name, ReasonOtherVersion, fmt.Sprintf("review %s approves version %s, not %s: each version needs its own approval", r.Name, r.VersionRef, version)}
}

// notAsked names what is asked for in the same role, since the host app is what people forget.
func notAsked(r Review, rules []Rule) Ignored {
	var near []string
	for _, rule := range rules {
		if rule.Role == r.Role && rule.HostApp != "" {
			near = append(near, "host app "+rule.HostApp)
		} else if rule.Role == r.Role {
			near = append(near, "all host apps")
		}
	}
	message := fmt.Sprintf("review %s approves %s, which no enforcing ReviewPolicy asks for", r.Name, as(r))
	if len(near) > 0 {
		message += fmt.Sprintf("; role %s is asked for: %s", r.Role, list(near))
	}
	return Ignored{r.Name, ReasonNotAsked, message}
}

func deleted(d Decision) Ignored {
	return Ignored{d.Review, ReasonDeleted, fmt.Sprintf("review %s by %s was deleted: an approval counts only while its Review exists", d.Review, person(d.Reviewer))}
}

func superseded(x Rejection, by Review) Ignored {
	return Ignored{x.Review, ReasonSuperseded, fmt.Sprintf("the rejection in review %s by %s was lifted by review %s by %s", x.Review, person(x.Reviewer), by.Name, by.Reviewer)}
}

func liftsNothing(r Review) Ignored {
	return Ignored{r.Name, ReasonLiftsNothing, fmt.Sprintf("review %s names %s in spec.supersedes and does not lift it: that takes a later approval of the same digest, role and host app, by the same person or, while that review exists, by somebody with verb overrule who is not the author, in a review that was created a second after that one or later", r.Name, r.Supersedes)}
}
