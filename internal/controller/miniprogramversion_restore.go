package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/gate"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// Approvals of a cluster that was lost
//
// A version that finds its artifact in the registry may have been approved in a cluster
// that is gone. The journal has who approved what was handed out, in entries that the keys
// of the installation have signed, so that nobody is asked twice. The namespace tells the
// lives apart: all its objects go with it, so an entry from before it was there is of
// another life, and whoever deletes a version and creates it anew finds none.
//
// That is looked up before the artifact is recorded, and so once, and before anybody is asked.

// lost is what the journal knows of a version; the zero value: nothing.
type lost struct {
	entry   string
	order   journal.Order
	version *journal.Version
}

// Bounds of the search.
const (
	lostRollouts = 20
	lostEntries  = 30
	lostTimeout  = time.Minute
)

// findLost looks for the newest entry that hands out the version's artifact.
func (r *MiniProgramVersionReconciler) findLost(ctx context.Context, s *versionScope, digest, appID string) (lost, error) {
	if r.Journal == nil {
		return lost{}, nil
	}
	var namespace corev1.Namespace
	if err := r.Client.Get(ctx, client.ObjectKey{Name: s.version.Namespace}, &namespace); err != nil {
		return lost{}, fmt.Errorf("reading namespace %s: %w", s.version.Namespace, err)
	}
	ctx, cancel := context.WithTimeout(ctx, lostTimeout)
	defer cancel()
	rollouts, err := r.Journal.Registry.Rollouts(ctx, appID)
	if err != nil {
		return lost{}, r.lostAway(s, err)
	}
	rollouts = slices.DeleteFunc(rollouts, func(x journal.Index) bool { return x.Namespace != s.version.Namespace })
	var newest lost
	for _, x := range rollouts[:min(len(rollouts), lostRollouts)] {
		found, err := r.findLostIn(ctx, s, x, digest, namespace.CreationTimestamp.Time)
		if err != nil {
			return lost{}, err
		}
		if found.version != nil && (newest.version == nil || found.order.Second > newest.order.Second) {
			newest = found
		}
	}
	return newest, nil
}

// findLostIn looks into the journal of one Rollout. One that was deleted before the cluster
// was lost ends the search: what had been approved was over.
func (r *MiniProgramVersionReconciler) findLostIn(ctx context.Context, s *versionScope, x journal.Index, digest string, born time.Time) (lost, error) {
	repository := journal.RolloutRepository(x.Namespace, x.Rollout)
	tags, err := r.Journal.Registry.Tags(ctx, repository)
	if err != nil {
		return lost{}, r.lostAway(s, err)
	}
	orders := journal.Before(journal.Sort(tags), born)
	if len(orders) == 0 {
		return lost{}, nil
	}
	set, err := r.keys(ctx)
	if err != nil {
		return lost{}, err
	}
	for _, o := range orders[:min(len(orders), lostEntries)] {
		a, err := r.Journal.Registry.ReadEntry(ctx, repository, o.Tag())
		if known, ok := errors.AsType[*registry.Error](err); ok && known.Reason == registry.RegistryInconsistent {
			continue
		}
		if err != nil {
			return lost{}, r.lostAway(s, err)
		}
		v, over, err := lostVersion(a, x, s.version, digest, set.Believed())
		switch {
		case err != nil:
			r.event(s.version, corev1.EventTypeWarning, "JournalEntryIgnored", "Restore", "entry %s of the journal of Rollout %s tells nothing: %v", o.Tag(), x.Rollout, err)
		case over:
			return lost{}, nil
		case v != nil:
			return lost{entry: repository + ":" + o.Tag(), order: o, version: v}, nil
		}
	}
	return lost{}, nil
}

func (r *MiniProgramVersionReconciler) lostAway(s *versionScope, err error) error {
	again := retryAfter(s.version.Status.Conditions, s.version.CreationTimestamp, s.now)
	return task.Wait("JournalUnavailable", again, "whether this version was approved before its cluster was lost could not be looked up in the journal, and nobody is asked before: %v", err)
}

// lostVersion is what an entry knows of the version; nil: nothing. over tells that the
// Rollout was deleted.
func lostVersion(a *journal.Artifact, x journal.Index, v *v1alpha1.MiniProgramVersion, digest string, keys []dsse.Key) (known *journal.Version, over bool, err error) {
	e, doc, err := journal.Read(a, keys)
	if err != nil {
		return nil, false, err
	}
	if doc == nil || doc.Rollout != (document.Rollout{Namespace: x.Namespace, Name: x.Rollout}) || doc.AppID != x.AppID {
		return nil, false, fmt.Errorf("it is not of this Rollout for app ID %s", x.AppID)
	}
	if doc.Availability == delivery.Retained || doc.Availability == delivery.Removed {
		return nil, true, nil
	}
	known = e.Basis.Version(digest)
	if known == nil || known.Name != v.Name || known.Version != v.Spec.Version {
		return nil, false, nil
	}
	return known, false, nil
}

// restore takes over what is known of the version from before: its host apps, for an approval
// for all speaks for those of then; that its author was proven; and what was decided.
func (r *MiniProgramVersionReconciler) restore(s *versionScope, known lost) {
	if known.version == nil {
		return
	}
	st := &s.version.Status
	if then := known.version.HostApps; len(then) > 0 {
		st.HostApps = slices.Clone(then)
	}
	if by := s.version.Spec.SubmittedBy; by != "" && by == known.version.Author && known.version.Standing == standingProven {
		st.Author = &v1alpha1.Author{Name: by, Standing: standingProven}
	}
	restored := &v1alpha1.Restored{Entry: known.entry}
	for _, d := range known.version.Decisions {
		holds := d.Decision == v1alpha1.DecisionRejected || d.Decision == v1alpha1.DecisionApproved && (d.Counted || d.Supersedes != "")
		if d.Rollout != "" || d.Digest != known.version.Digest || !holds || len(restored.Decisions) == maxDecisions {
			continue // steps that were passed are in the Rollout's own record
		}
		out := v1alpha1.RestoredDecision{
			Review: d.Review, Role: d.Role, HostApp: d.HostApp, Reviewer: d.Reviewer, Decision: d.Decision, Supersedes: d.Supersedes,
			ApprovedPermissions: d.Permissions, CreationTime: metav1.NewTime(d.Created), Time: metav1.NewTime(d.Decided),
		}
		if d.Expires != nil {
			at := metav1.NewTime(*d.Expires)
			out.ExpirationTime = &at
		}
		restored.Decisions = append(restored.Decisions, out)
	}
	st.Restored = restored
	r.event(s.version, corev1.EventTypeNormal, "DecisionsRestored", "Restore", "%d decisions about this artifact are taken over from entry %s of the journal", len(restored.Decisions), known.entry)
}

// leaveToReviews ends what was restored where the Review is there again: deleting that takes
// the approval back, and not only until the journal is asked. Another Review under the name
// of a rejection does not lift it.
func leaveToReviews(v *v1alpha1.MiniProgramVersion, reviews []v1alpha1.Review) {
	if v.Status.Restored == nil {
		return
	}
	v.Status.Restored.Decisions = slices.DeleteFunc(v.Status.Restored.Decisions, func(d v1alpha1.RestoredDecision) bool {
		return slices.ContainsFunc(reviews, func(r v1alpha1.Review) bool {
			return r.Name == d.Review && (d.Decision == v1alpha1.DecisionApproved || r.Spec.Decision == d.Decision && r.Spec.Digest == v.Status.Artifact.Digest)
		})
	})
}

// restoredReviews are the Reviews that the journal tells of, beside those that are there.
func restoredReviews(v *v1alpha1.MiniProgramVersion, there []v1alpha1.Review) []gate.Review {
	if v.Status.Restored == nil {
		return nil
	}
	all := v.Status.Restored.Decisions
	var out []gate.Review
	for i := range all {
		d := &all[i]
		if slices.ContainsFunc(there, func(r v1alpha1.Review) bool { return r.Name == d.Review }) {
			continue
		}
		g := gate.Review{
			Name: d.Review, VersionRef: v.Name, MiniProgram: v.Spec.MiniProgramRef.Name, Digest: v.Status.Artifact.Digest,
			Role: d.Role, HostApp: d.HostApp, Decision: d.Decision, Reviewer: d.Reviewer, Supersedes: d.Supersedes,
			// As for Reviews that are there.
			Overrules: slices.ContainsFunc(all, func(o v1alpha1.RestoredDecision) bool {
				return o.Review == d.Supersedes && o.CreationTime.Before(&d.CreationTime)
			}),
			Decided: d.Time.Time, ApprovedPermissions: d.ApprovedPermissions, Created: d.CreationTime.Time, Restored: true,
		}
		if d.ExpirationTime != nil {
			g.Expires = &d.ExpirationTime.Time
		}
		out = append(out, g)
	}
	return out
}

// restoredRejections are vetoes whatever Reviews are there now.
func restoredRejections(v *v1alpha1.MiniProgramVersion) []gate.Decision {
	if v.Status.Restored == nil {
		return nil
	}
	var out []gate.Decision
	for _, d := range v.Status.Restored.Decisions {
		if d.Decision == v1alpha1.DecisionRejected {
			out = append(out, gate.Decision{
				Review: d.Review, Role: d.Role, HostApp: d.HostApp, Reviewer: d.Reviewer, Decision: d.Decision, Digest: v.Status.Artifact.Digest, Time: d.Time,
			})
		}
	}
	return out
}

// restoredBasis tells the journal anew what it has told: the cluster can be lost again.
func restoredBasis(v *v1alpha1.MiniProgramVersion, j *judgment) []journal.Decision {
	var out []journal.Decision
	for _, g := range restoredReviews(v, j.reviews) {
		d := journal.Decision{
			Review: g.Name, Digest: g.Digest, Role: g.Role, HostApp: g.HostApp, Decision: g.Decision, Reviewer: g.Reviewer, Supersedes: g.Supersedes,
			Permissions: slices.Clone(g.ApprovedPermissions), Created: g.Created.UTC(), Decided: g.Decided.UTC(),
			Counted: slices.Contains(j.verdict.Counted, g.Name), Entry: v.Status.Restored.Entry,
		}
		if g.Expires != nil {
			expires := g.Expires.UTC()
			d.Expires = &expires
		}
		out = append(out, d)
	}
	return out
}
