package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/gate"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// specSHA256 tells a policy from another that had its name and its generation.
func specSHA256(p *v1alpha1.ReviewPolicy) (string, error) {
	spec, err := json.Marshal(p.Spec)
	if err != nil {
		return "", fmt.Errorf("encoding the spec of ReviewPolicy %s: %w", p.Name, err)
	}
	sum := sha256.Sum256(spec)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// judge asks the gate, and keeps what it counted: a decision stays known when
// its Review is deleted.
func (r *MiniProgramVersionReconciler) judge(ctx context.Context, s *versionScope) error {
	if s.version.Status.Artifact == nil {
		return nil
	}
	if s.version.Status.Author == nil { // once: who may edit the version can remove the annotation later
		s.version.Status.Author = authorOf(s.version)
	}
	if err := r.rememberDecisions(ctx, s); err != nil {
		return err
	}
	j, err := r.Shared.judge(ctx, s.version, s.program, s.program.Spec.HostApps, s.now)
	if err != nil {
		return err
	}
	s.judgment = j
	return nil
}

// Standings of an author.
const (
	standingProven   = "Proven"
	standingDeclared = "Declared"
	standingUnknown  = "Unknown"
)

// authorOf tells how sure the author is: admission stamps who really created the
// version, where the cluster has the policy for it. A service account is nobody's
// own: admission cannot tell who acted as it.
func authorOf(v *v1alpha1.MiniProgramVersion) *v1alpha1.Author {
	switch by := v.Spec.SubmittedBy; {
	case by == "":
		return &v1alpha1.Author{Standing: standingUnknown}
	case by == v.Annotations[v1alpha1.SubmittedThroughAnnotation] && !gate.IsServiceAccount(by):
		return &v1alpha1.Author{Name: by, Standing: standingProven}
	default:
		return &v1alpha1.Author{Name: by, Standing: standingDeclared}
	}
}

// Bounds of lists in a version's status.
const (
	maxDecisions = 50
	maxPolicies  = 50
	maxMissing   = 50
)

func (r *MiniProgramVersionReconciler) rememberDecisions(ctx context.Context, s *versionScope) error {
	reviews, err := r.reviewsOf(ctx, s.version, s.program.Name)
	if err != nil {
		return err
	}
	st := &s.version.Status
	exists := map[string]bool{}
	for i := range reviews {
		exists[reviews[i].Name] = true
	}
	for i := range reviews {
		review := &reviews[i]
		if d := decisionOf(review, metav1.NewTime(s.now.Truncate(time.Second))); remembers(s.version, review) && !slices.ContainsFunc(st.Decisions, sameDecision(d)) {
			st.Decisions = append(st.Decisions, d)
		}
	}
	st.Decisions = fewer(st.Decisions, exists)
	leaveToReviews(s.version, reviews)
	return nil
}

// fewer keeps decisions within their bound. The first to go are approvals whose
// Review is gone, for they count for nothing; then the latest approvals, whose
// Reviews still speak for themselves; rejections go last. What went is not taken
// up again in the place of another, or every pass would write a new status.
func fewer(decisions []v1alpha1.Decision, exists map[string]bool) []v1alpha1.Decision {
	for _, useless := range []func(v1alpha1.Decision) bool{
		func(d v1alpha1.Decision) bool { return d.Decision == v1alpha1.DecisionApproved && !exists[d.Review] },
		func(d v1alpha1.Decision) bool { return d.Decision == v1alpha1.DecisionApproved },
		func(v1alpha1.Decision) bool { return true },
	} {
		for i := len(decisions) - 1; i >= 0 && len(decisions) > maxDecisions; i-- {
			if useless(decisions[i]) {
				decisions = slices.Delete(decisions, i, i+1)
			}
		}
	}
	return decisions
}

func (s *versionScope) wantsReview() bool {
	return s.version.Spec.Review == v1alpha1.ReviewRequested &&
		!withdrawn(s.version) && !retired(s.version) && s.objection() == ""
}

// createReview asks for an approval, and to lift a rejection where lifts names
// one, under the first name that no Review has: after one was purged, counting them
// would lead to a name that another has.
func (r *MiniProgramVersionReconciler) createReview(ctx context.Context, s *versionScope, key gate.Missing, lifts string, taken map[string]bool) error {
	v := s.version
	review := &v1alpha1.Review{
		ObjectMeta: metav1.ObjectMeta{Namespace: v.Namespace},
		Spec: v1alpha1.ReviewSpec{
			MiniProgramRef: v.Spec.MiniProgramRef, VersionRef: v1alpha1.VersionReference{Name: v.Name},
			Digest: v.Status.Artifact.Digest, Role: key.Role, HostApp: key.HostApp,
			RequestedBy: v.Spec.SubmittedBy, Decision: v1alpha1.DecisionPending,
		},
	}
	if lifts != "" {
		review.Spec.Supersedes = lifts
		review.Labels = map[string]string{v1alpha1.SupersedesLabel: "true"}
	}
	if err := controllerutil.SetControllerReference(v, review, r.Client.Scheme()); err != nil {
		return err
	}
	// Any of this version the cache will show, and the next pass goes by it.
	ours := func(there *v1alpha1.Review) bool { return there.Spec.VersionRef.Name == v.Name }
	name := func() string { return freeName(v, key.Role, key.HostApp, taken) }
	if err := r.createUnder(ctx, review, name, taken, ours); err != nil {
		return fmt.Errorf("creating a Review for role %s: %w", key.Role, err)
	}
	return nil
}

// createUnder creates the pending Review under the first name that is free, and
// marks that as taken. Names can be known before, so that somebody may have created
// another Review under one; one that is ours, and that the cache does not show yet, will do.
func (s *Shared) createUnder(ctx context.Context, review *v1alpha1.Review, free func() string, taken map[string]bool, ours func(*v1alpha1.Review) bool) error {
	for {
		review.Name = free()
		err := s.Client.Create(ctx, review.DeepCopy(), client.FieldOwner(FieldManager))
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		taken[review.Name] = true
		if err == nil {
			return nil
		}
		var there v1alpha1.Review
		if gone := s.Live.Get(ctx, client.ObjectKeyFromObject(review), &there); apierrors.IsNotFound(gone) {
			return err // overtaken: the name is free again
		} else if gone != nil {
			return gone
		}
		if ours(&there) {
			return nil
		}
	}
}

// freeName is the first name for a Review of a role and of what else it is about
// that no other has, so far as is known.
func freeName(v *v1alpha1.MiniProgramVersion, role, about string, taken map[string]bool) string {
	for slot := 0; ; slot++ {
		if name := nameOfReview(v, role, about, slot); !taken[name] {
			return name
		}
	}
}

// nameOfReview cannot collide with that of another version, digest, role or of
// what else it is about, a host app or a step, and cannot be guessed before the
// version exists.
func nameOfReview(v *v1alpha1.MiniProgramVersion, role, about string, slot int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%s/%s/%d", v.UID, v.Status.Artifact.Digest, role, about, slot))
	prefix := v.Name
	if len(prefix) > 150 {
		prefix = strings.TrimRight(prefix[:150], ".-")
	}
	return fmt.Sprintf("%s-%s-%d-%s", prefix, role, slot+1, hex.EncodeToString(sum[:4]))
}

// conclude stalls when a policy objects: only another version or another policy
// helps. A version that was withdrawn before it was packaged never becomes one.
func (r *MiniProgramVersionReconciler) conclude(_ context.Context, s *versionScope) error {
	if s.version.Status.Artifact == nil {
		return task.Stall("Withdrawn", fmt.Errorf("the version was withdrawn before it was packaged; create another version"))
	}
	if objection := s.objection(); objection != "" {
		return task.Stall("PolicyFailed", fmt.Errorf("%s", objection))
	}
	return nil
}
