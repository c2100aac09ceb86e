package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// Indexes of the cache: what a pass needs is found without looking at what it
// does not need, however long the queue of reviews is.
const (
	// indexVersionRef finds the Reviews of a version.
	indexVersionRef = "spec.versionRef.name"
	// indexRejects finds the Reviews that reject something of a program.
	indexRejects = "rejects"
	// indexRollout finds the Reviews of a Rollout's steps.
	indexRollout = "spec.rollout.name"
	// indexProgram finds the versions and the Rollouts of a program.
	indexProgram = "spec.miniProgramRef.name"
	// indexServes finds the Rollouts that hand out a version, or could.
	indexServes = "serves"
	// indexPublished finds the Rollout of a published document.
	indexPublished = "published"
	// indexLedger finds what the ledger of an app ID is about: the programs that claim it, the
	// Rollouts that have decided something for it, and the documents that are published.
	indexLedger = "ledger"
	// indexAudience finds the parts of a Rollout's audience.
	indexAudience = "audience"
)

func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, index := range []struct {
		of     client.Object
		name   string
		values client.IndexerFunc
	}{
		{&v1alpha1.Review{}, indexVersionRef, of(func(r *v1alpha1.Review) []string { return []string{r.Spec.VersionRef.Name} })},
		{&v1alpha1.Review{}, indexRejects, of(func(r *v1alpha1.Review) []string {
			if r.Spec.Decision != v1alpha1.DecisionRejected {
				return nil
			}
			return []string{r.Spec.MiniProgramRef.Name}
		})},
		{&v1alpha1.Review{}, indexRollout, of(func(r *v1alpha1.Review) []string {
			if r.Spec.Rollout == nil {
				return nil
			}
			return []string{r.Spec.Rollout.Name}
		})},
		{&v1alpha1.MiniProgramVersion{}, indexProgram, func(o client.Object) []string { return []string{programOf(o)} }},
		{&v1alpha1.Rollout{}, indexProgram, func(o client.Object) []string { return []string{programOf(o)} }},
		{&v1alpha1.Rollout{}, indexServes, of(servedBy)},
		{&v1alpha1.Rollout{}, indexPublished, of(func(ro *v1alpha1.Rollout) []string {
			return []string{delivery.RolloutConfigMap(ro.Namespace, ro.Name)}
		})},
		{&v1alpha1.MiniProgram{}, indexLedger, of(func(p *v1alpha1.MiniProgram) []string {
			return []string{delivery.LedgerConfigMap(p.Spec.AppID)}
		})},
		{&v1alpha1.Rollout{}, indexLedger, of(func(ro *v1alpha1.Rollout) []string {
			if ro.Status.Document == nil {
				return nil
			}
			return []string{delivery.LedgerConfigMap(ro.Status.Document.AppID)}
		})},
		{&corev1.ConfigMap{}, indexLedger, func(o client.Object) []string { return []string{o.GetLabels()[delivery.LedgerLabel]} }},
		{&corev1.ConfigMap{}, indexAudience, func(o client.Object) []string { return []string{o.GetLabels()[delivery.AudienceLabel]} }},
	} {
		if err := indexer.IndexField(ctx, index.of, index.name, index.values); err != nil {
			return fmt.Errorf("indexing %T by %s: %w", index.of, index.name, err)
		}
	}
	return nil
}

// of reads something of one kind; of another there is nothing to read.
func of[K client.Object, V any](read func(K) V) func(client.Object) V {
	return func(o client.Object) V {
		if k, is := o.(K); is {
			return read(k)
		}
		var nothing V
		return nothing
	}
}

// What reconcilers watch beside their own kind changes often in ways that mean
// nothing to them: the status of a policy with every version, that of a version
// with every approval.
var (
	specChanged   = builder.WithPredicates(predicate.GenerationChangedPredicate{})
	labelsChanged = builder.WithPredicates(predicate.LabelChangedPredicate{})

	// becameVeto: whether a Review rejects.
	becameVeto = changed(of(func(r *v1alpha1.Review) any { return r.Spec.Decision == v1alpha1.DecisionRejected }))
	// becameUsable: whether a version could be released, as far as it goes itself.
	becameUsable = changed(of(func(v *v1alpha1.MiniProgramVersion) any {
		return meta.IsStatusConditionTrue(v.Status.Conditions, v1alpha1.ConditionReady)
	}))
	// contentJudged: what policies say of a version's content, and which ones.
	contentJudged = changed(of(func(v *v1alpha1.MiniProgramVersion) any {
		passed := meta.FindStatusCondition(v.Status.Conditions, v1alpha1.ConditionPolicyPassed)
		if passed == nil {
			return nil
		}
		return []any{passed.Status, passed.Message, v.Status.Policies}
	}))
	// coveredAnew: what policies select a program by.
	coveredAnew = changed(of(func(p *v1alpha1.MiniProgram) any { return []any{p.Spec.HostApps, p.Labels} }))
	// keepsAnew: which versions a Rollout keeps from being deleted.
	keepsAnew = changed(of(func(ro *v1alpha1.Rollout) any { return servedBy(ro) }))
	// keepsOthers: which rejections a program keeps.
	keepsOthers = changed(of(func(p *v1alpha1.MiniProgram) any { return p.Status.Rejections }))
	// judgedAnew: what the verdict on a version takes from its program.
	judgedAnew = changed(of(func(p *v1alpha1.MiniProgram) any { return []any{p.Spec, p.Labels, p.Status.Rejections} }))
)

// changed lets creations and deletions pass, and those updates that change what
// look returns.
func changed(look func(client.Object) any) builder.Predicates {
	return builder.WithPredicates(predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !equality.Semantic.DeepEqual(look(e.ObjectOld), look(e.ObjectNew))
	}})
}
