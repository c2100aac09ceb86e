package controller

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/gate"
)

// demand is what a role is asked for a host app.
type demand struct {
	// count of approvals that are missing.
	count int
	// lifts are the rejections that hold, by the names of their Reviews. Each is asked to be lifted by
	// name: an approval beside a veto helps nobody.
	lifts []string
}

// demands are what the verdict asks people for, by role and host app.
func demands(v gate.Verdict) map[gate.Missing]demand {
	out, silent := map[gate.Missing]demand{}, map[gate.Missing]bool{}
	for _, m := range v.Missing {
		key := gate.Missing{Role: m.Role, HostApp: m.HostApp}
		if silent[key] = m.Unasked; !m.Unasked {
			out[key] = demand{count: m.Count}
		}
	}
	for _, x := range v.Vetoes {
		key := gate.Missing{Role: x.Role, HostApp: x.HostApp}
		if x.Review == "" || silent[key] {
			continue
		}
		d := out[key]
		d.lifts = append(d.lifts, x.Review)
		out[key] = d
	}
	return out
}

// compare tells which pending Reviews are wanted no more, which rejections nobody
// is asked to lift yet, and how many others are to be asked for. Who lifts a
// rejection approves too, so that one is not asked for twice.
func (d demand) compare(pending []v1alpha1.Review) (surplus []v1alpha1.Review, lifts []string, others int) {
	lifts = slices.Clone(d.lifts)
	var plain []v1alpha1.Review
	for _, r := range pending {
		if i := slices.Index(lifts, r.Spec.Supersedes); i >= 0 {
			lifts = slices.Delete(lifts, i, i+1)
			continue
		}
		plain = append(plain, r)
	}
	need := max(d.count-len(d.lifts), 0)
	return plain[min(len(plain), need):], lifts, max(need-len(plain), 0)
}

// askForReviews keeps one pending Review for each approval that is missing and
// for each rejection that holds, and takes away pending ones that nobody needs
// any more.
func (r *MiniProgramVersionReconciler) askForReviews(ctx context.Context, s *versionScope) error {
	if s.judgment == nil {
		return nil
	}
	pending, names := s.pendingReviews()
	wanted := map[gate.Missing]demand{}
	if s.wantsReview() {
		wanted = demands(s.judgment.verdict)
	}
	for key, d := range wanted {
		surplus, lifts, others := d.compare(pending[key])
		pending[key] = surplus
		for _, lift := range append(lifts, make([]string, others)...) {
			if err := r.createReview(ctx, s, key, lift, names); err != nil {
				return err
			}
		}
	}
	for _, surplus := range pending {
		for i := range surplus {
			err := r.Client.Delete(ctx, &surplus[i], client.Preconditions{ResourceVersion: &surplus[i].ResourceVersion})
			if err = client.IgnoreNotFound(err); err != nil {
				return fmt.Errorf("removing Review %s, which nobody needs any more: %w", surplus[i].Name, err)
			}
		}
	}
	return nil
}

// pendingReviews are those that the controller has asked for, by role and host
// app, and the names that are taken.
func (s *versionScope) pendingReviews() (pending map[gate.Missing][]v1alpha1.Review, names map[string]bool) {
	pending, names = map[gate.Missing][]v1alpha1.Review{}, map[string]bool{}
	for _, review := range s.judgment.reviews {
		key := gate.Missing{Role: review.Spec.Role, HostApp: review.Spec.HostApp}
		if review.Spec.Digest != s.version.Status.Artifact.Digest {
			key.Count = -1 // of other bytes: never wanted
		}
		names[review.Name] = true
		if review.Spec.Rollout != nil {
			continue // asked for by a Rollout
		}
		if review.Spec.Decision == v1alpha1.DecisionPending && metav1.IsControlledBy(&review, s.version) {
			pending[key] = append(pending[key], review)
		}
	}
	return pending, names
}
