package controller

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// reportVersion sets all conditions from what the pass found and its error.
func reportVersion(s *versionScope, err error, now metav1.Time) {
	v, st := s.version, &s.version.Status
	st.ObservedGeneration = v.Generation
	set := func(kind string, status metav1.ConditionStatus, reason, message string) {
		setCondition(&st.Conditions, v.Generation, now, kind, status, reason, message)
	}
	reason, message := failure(err)
	done := "the artifact is published and checked"
	switch {
	case st.Artifact != nil && st.Artifact.DeletionTime != nil:
		done = "its artifact is deleted in the registry, as older than those that are kept"
		set(v1alpha1.ConditionVerified, metav1.ConditionTrue, "Checked", verifiedMessage(st))
		set(v1alpha1.ConditionPublished, metav1.ConditionFalse, reasonArtifactDeleted, "see condition "+v1alpha1.ConditionArtifactDeleted)
	case st.Artifact != nil && s.elsewhere != "":
		set(v1alpha1.ConditionVerified, metav1.ConditionTrue, "Checked", verifiedMessage(st))
		set(v1alpha1.ConditionPublished, metav1.ConditionFalse, reasonArtifactElsewhere, s.elsewhere)
	case st.Artifact != nil:
		set(v1alpha1.ConditionVerified, metav1.ConditionTrue, "Checked", verifiedMessage(st))
		set(v1alpha1.ConditionPublished, metav1.ConditionTrue, "Pushed", st.Artifact.Repository+"@"+st.Artifact.Digest)
	case s.checked != nil:
		set(v1alpha1.ConditionVerified, metav1.ConditionFalse, reason, message)
		set(v1alpha1.ConditionPublished, metav1.ConditionFalse, "NotVerified", "the bundle was not accepted")
	default:
		set(v1alpha1.ConditionVerified, metav1.ConditionUnknown, "Pending", "the bundle was not checked yet")
		set(v1alpha1.ConditionPublished, metav1.ConditionFalse, orPending(reason), orElse(message, "the bundle is not in the registry yet"))
	}
	reportPolicies(s, message, set)
	reportApproval(s, message, set)
	st.Conditions = task.Conditions(st.Conditions, v.Generation, err, now, done)
	st.Summary = clip(versionSummary(s, message), maxSummary)
}

func reportPolicies(s *versionScope, failed string, set func(string, metav1.ConditionStatus, string, string)) {
	switch {
	case s.version.Status.Artifact == nil:
		set(v1alpha1.ConditionPolicyPassed, metav1.ConditionUnknown, "Pending", "policies are applied after the bundle was checked")
	case !s.checkedPolicies:
		set(v1alpha1.ConditionPolicyPassed, metav1.ConditionUnknown, "NotChecked", "the policies could not be applied: "+failed)
	case s.policies == nil: // nothing has changed: what is recorded holds
	case policy.Blocking(s.policies) > 0:
		set(v1alpha1.ConditionPolicyPassed, metav1.ConditionFalse, "PolicyFailed", policyMessage(s.policies))
	default:
		set(v1alpha1.ConditionPolicyPassed, metav1.ConditionTrue, "Passed", policyMessage(s.policies))
	}
}

// objection is what policies have against the content, in this pass or as it is
// recorded; empty: nothing.
func (s *versionScope) objection() string {
	switch {
	case policy.Blocking(s.policies) > 0:
		return policyMessage(s.policies)
	case s.checkedPolicies && s.policies == nil:
		if c := meta.FindStatusCondition(s.version.Status.Conditions, v1alpha1.ConditionPolicyPassed); c != nil && c.Status == metav1.ConditionFalse {
			return c.Message
		}
	}
	return ""
}

func reportApproval(s *versionScope, failed string, set func(string, metav1.ConditionStatus, string, string)) {
	st := &s.version.Status
	if s.judgment == nil {
		st.Reviews, st.ApprovedHostApps = nil, nil
		reason, message := "Pending", "reviews are asked for after the artifact is published"
		if st.Artifact != nil {
			reason, message = "NotJudged", "nobody can tell now whether the version is approved: "+failed
		}
		set(v1alpha1.ConditionApproved, metav1.ConditionFalse, reason, message)
		return
	}
	verdict := s.judgment.verdict
	st.Reviews = &v1alpha1.ReviewsStatus{Required: int32(verdict.Required), Approved: int32(verdict.Given), WithheldPermissions: verdict.Withheld}
	for _, m := range verdict.Missing[:min(len(verdict.Missing), maxMissing)] {
		st.Reviews.Missing = append(st.Reviews.Missing, v1alpha1.MissingApproval{Role: m.Role, HostApp: m.HostApp, Count: int32(m.Count)})
	}
	st.ApprovedHostApps = verdict.ApprovedHostApps
	switch {
	case withdrawn(s.version):
		st.ApprovedHostApps = nil
		set(v1alpha1.ConditionApproved, metav1.ConditionFalse, "Withdrawn", "the version was withdrawn; create another version")
	case retired(s.version) && !verdict.Approved:
		set(v1alpha1.ConditionApproved, metav1.ConditionFalse, reasonArtifactDeleted, "nobody is asked for reviews any more: see condition "+v1alpha1.ConditionArtifactDeleted)
	case s.objection() != "":
		st.ApprovedHostApps = nil
		set(v1alpha1.ConditionApproved, metav1.ConditionFalse, "PolicyFailed", "a policy objects to the content: see condition PolicyPassed")
	case verdict.Approved:
		set(v1alpha1.ConditionApproved, metav1.ConditionTrue, verdict.Reason, verdict.Message)
	case s.version.Spec.Review != v1alpha1.ReviewRequested && !verdict.Rejected:
		set(v1alpha1.ConditionApproved, metav1.ConditionFalse, "ReviewNotRequested", "set spec.review to Requested to ask for reviews")
	default:
		set(v1alpha1.ConditionApproved, metav1.ConditionFalse, verdict.Reason, approvalMessage(s))
	}
}

// maxIgnored is how many reviews that do not count a message explains; each says
// so in its own status too.
const maxIgnored = 5

// approvalMessage adds to what is waited for why a review that is there does not count.
func approvalMessage(s *versionScope) string {
	message := s.judgment.verdict.Message
	ignored := s.judgment.verdict.Ignored
	for _, i := range ignored[:min(len(ignored), maxIgnored)] {
		if !strings.Contains(message, i.Message) {
			message += "; " + i.Message
		}
	}
	if more := len(ignored) - maxIgnored; more > 0 {
		message += fmt.Sprintf("; and %d more reviews do not count", more)
	}
	return message
}

func versionSummary(s *versionScope, failed string) string {
	if withdrawn(s.version) {
		return "withdrawn"
	}
	if failed != "" {
		return failed
	}
	if a := s.version.Status.Artifact; a != nil && a.DeletionTime != nil {
		return "artifact deleted"
	}
	approved := meta.FindStatusCondition(s.version.Status.Conditions, v1alpha1.ConditionApproved)
	if j := s.judgment; j != nil && approved.Status == metav1.ConditionFalse && approved.Reason == j.verdict.Reason {
		return j.verdict.Message // why other reviews do not count is told by the condition, and by each of them
	}
	return approved.Message
}

func verifiedMessage(st *v1alpha1.MiniProgramVersionStatus) string {
	m := fmt.Sprintf("%s bundle with %d files", st.Bundle.Format, st.Bundle.Files)
	if st.Source != nil && st.Source.VerifiedBy != "" {
		m += ", signed by " + st.Source.VerifiedBy
	}
	if st.Findings != nil && st.Findings.Warnings > 0 {
		m += fmt.Sprintf(", %d warnings: see status.findings", st.Findings.Warnings)
	}
	return m
}

// policyMessage lists what the policies found, three findings at most.
func policyMessage(results []policy.Result) string {
	var lines []string
	more := 0
	for _, r := range results {
		if r.Enforcement == v1alpha1.Audit {
			continue
		}
		for _, f := range r.Findings {
			if len(lines) == 3 {
				more++
				continue
			}
			lines = append(lines, f.Rule+place(f)+": "+f.Message)
		}
	}
	if len(lines) == 0 {
		return "no policy has an objection"
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "; ")
}

// place is where a finding is, in parentheses; empty: it is about the bundle as a whole.
func place(f v1alpha1.Finding) string {
	switch {
	case f.File == "":
		return ""
	case f.Line == 0:
		return " (" + f.File + ")"
	}
	return fmt.Sprintf(" (%s:%d)", f.File, f.Line)
}

// asFindings are the findings of the bundle's checks, as the API has them.
func asFindings(found []bundle.Finding) []v1alpha1.Finding {
	out := make([]v1alpha1.Finding, 0, len(found))
	for _, f := range found {
		out = append(out, v1alpha1.Finding{Rule: f.Rule, Severity: string(f.Severity), File: f.File, Message: clip(f.Message, maxFinding)})
	}
	return out
}

// findingsStatus counts findings, and keeps the first.
func findingsStatus(found []v1alpha1.Finding) *v1alpha1.FindingsStatus {
	if len(found) == 0 {
		return nil
	}
	st := &v1alpha1.FindingsStatus{First: found[:min(len(found), 10)]}
	for _, f := range found {
		if f.Severity == policy.SeverityError {
			st.Errors++
		} else {
			st.Warnings++
		}
	}
	return st
}

// failure is the reason and the message of a pass that did not get through.
func failure(err error) (reason, message string) {
	if err == nil {
		return "", ""
	}
	c := task.Conditions(nil, 0, err, metav1.Time{}, "")
	ready := meta.FindStatusCondition(c, v1alpha1.ConditionReady)
	return ready.Reason, ready.Message
}

func orPending(reason string) string { return orElse(reason, "Pending") }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// tellVersion tells what changed in this pass as events.
func (r *MiniProgramVersionReconciler) tellVersion(before, after *v1alpha1.MiniProgramVersion) {
	if before.Status.Artifact == nil && after.Status.Artifact != nil {
		r.event(after, corev1.EventTypeNormal, "Published", "Publish", "%s@%s", after.Status.Artifact.Repository, after.Status.Artifact.Digest)
	}
	for kind, eventType := range map[string]string{v1alpha1.ConditionApproved: corev1.EventTypeNormal, v1alpha1.ConditionStalled: corev1.EventTypeWarning} {
		was, is := meta.FindStatusCondition(before.Status.Conditions, kind), meta.FindStatusCondition(after.Status.Conditions, kind)
		if is != nil && is.Status == metav1.ConditionTrue && (was == nil || was.Status != is.Status || was.Reason != is.Reason) {
			r.event(after, eventType, is.Reason, "Review", "%s", is.Message)
		}
	}
}
