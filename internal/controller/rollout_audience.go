package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// Lists of users' keys
//
// They are read when a target needs them: when it starts, after an edit, and when a part
// of them is gone. What they have become is written before it is recorded, and
// recorded before a document names it; so whatever is recorded is there, and a crash leaves
// at most parts that nothing names, which the next pass removes.

// gatherLists reads the lists of the audience, if what is decided may need them, and
// asks whether the host apps may have such an audience. What is wrong with either holds
// the share, and nothing else.
func (r *RolloutReconciler) gatherLists(ctx context.Context, s *rolloutScope) error {
	s.seen.Unlisted = s.needsTokens()
	seed, needed := s.listsNeeded()
	if !needed {
		return nil
	}
	lists, made, err := r.readLists(ctx, s, seed)
	if err != nil {
		s.unlist(err)
		return nil
	}
	s.seen.Lists, s.made = lists, made
	for digest := range made {
		delete(s.seen.Lost, digest) // it is written anew
	}
	return nil
}

// needsTokens says which host app must not be served such an audience; nil: none.
func (s *rolloutScope) needsTokens() *rollout.Hold {
	if len(s.public) == 0 {
		return nil
	}
	if s.plan.Audience.From() == "" {
		if s.plan.Window.Users == 0 {
			return nil
		}
		return &rollout.Hold{Reason: "HostAppWithoutTokens", Message: fmt.Sprintf(
			"spec.window.users counts what host apps with access Token report, and HostApp %s is Public: "+
				"leave it out of spec.hostApps, set spec.window.end instead, or ask the platform's administrators for HostApp spec.access.type Token", s.public[0])}
	}
	return &rollout.Hold{Reason: "HostAppWithoutTokens", Message: fmt.Sprintf(
		"spec.audience has lists in ConfigMaps (from), which are for host apps with access Token, and HostApp %s is Public: "+
			"leave it out of spec.hostApps, write the keys as users, or ask the platform's administrators for HostApp spec.access.type Token", s.public[0])}
}

// unlist holds the share because of lists that cannot be had.
func (s *rolloutScope) unlist(err error) {
	reason, message := failure(err)
	s.seen.Lists, s.seen.Unlisted, s.held = nil, &rollout.Hold{Reason: reason, Message: message}, err
}

// listsNeeded tells for which target the lists are needed.
func (s *rolloutScope) listsNeeded() (seed string, needed bool) {
	st, c, from := &s.before.Status, s.seen.Candidate, s.plan.Audience.From()
	var digest string
	switch {
	case from == "":
		return "", false
	case c != nil && c.Problem == nil && s.mayStart(c):
		digest = c.Variant.Digest
	case st.Target != nil:
		digest = st.Target.Digest
	default:
		return "", false
	}
	seed = rollout.AudienceSeed(s.seen.AppID, digest)
	if st.Target == nil || st.Document == nil || st.Document.Audience == nil {
		return seed, true
	}
	a := st.Document.Audience
	return seed, a.From != from || a.Seed != seed || slices.ContainsFunc(a.Parts, func(p v1alpha1.AudiencePart) bool {
		_, is := s.missing[p.Digest]
		return is && p.List != v1alpha1.PartHad
	})
}

// mayStart tells that the candidate is or could become the target.
func (s *rolloutScope) mayStart(c *rollout.Candidate) bool {
	st := &s.before.Status
	retries := s.seen.Action != nil && strings.HasPrefix(s.seen.Action.Value, rollout.VerbRetry)
	refused := st.Refused != nil && st.Refused.VersionRef == s.plan.VersionRef && !retries
	earlier := slices.ContainsFunc(st.Rollbacks, func(v v1alpha1.Variant) bool { return v.Digest == c.Variant.Digest })
	return !refused && !earlier && (st.Stable == nil || st.Stable.Digest != c.Variant.Digest)
}

// readLists reads every list that the spec names, and cuts the hashes of their keys into parts.
func (r *RolloutReconciler) readLists(ctx context.Context, s *rolloutScope, seed string) (*rollout.Lists, map[string]document.PartData, error) {
	lists := &rollout.Lists{From: s.plan.Audience.From(), Seed: seed}
	made := map[string]document.PartData{}
	total := 0
	for _, list := range []struct {
		name, field string
		keys        *v1alpha1.AudienceKeys
	}{
		{v1alpha1.PartInclude, "spec.audience.include", s.before.Spec.Audience.Include},
		{v1alpha1.PartExclude, "spec.audience.exclude", s.before.Spec.Audience.Exclude},
	} {
		if list.keys == nil {
			continue
		}
		var keys []string
		for i, from := range list.keys.From {
			some, err := r.readList(ctx, s, fmt.Sprintf("%s.from[%d].configMap", list.field, i), from.ConfigMap)
			if err != nil {
				return nil, nil, err
			}
			keys = append(keys, some...)
		}
		for _, data := range document.HashParts(seed, keys) {
			total += data.Keys()
			made[data.Digest()] = data
			lists.Parts = append(lists.Parts, v1alpha1.AudiencePart{List: list.name, Digest: data.Digest(), Keys: int32(data.Keys())})
		}
	}
	if total > delivery.MaxListedKeys {
		return nil, nil, task.Stall("AudienceTooLarge", fmt.Errorf(
			"the lists of spec.audience have %d keys together, %d are allowed: shorten them, or let a rule of spec.audience.rules say who is meant", total, delivery.MaxListedKeys))
	}
	return lists, made, nil
}

// readList reads one list, which has to be the one that the spec means.
func (r *RolloutReconciler) readList(ctx context.Context, s *rolloutScope, field string, from v1alpha1.AudienceConfigMap) ([]string, error) {
	again := retryAfter(s.before.Status.Conditions, s.before.CreationTimestamp, s.now)
	var cm corev1.ConfigMap
	if err := r.readGroupObject(ctx, s.before.Namespace, from.Name, "ConfigMap", field, &cm); err != nil {
		return nil, waitAgain(err, again)
	}
	at := fmt.Sprintf("ConfigMap %s/%s, key %s", s.before.Namespace, from.Name, from.Key)
	data, ok := valueOf(&cm, from.Key)
	if !ok {
		return nil, task.Wait(source.SourceMissing, again, "ConfigMap %s/%s has no key %q, which %s.key names: add it under data", s.before.Namespace, from.Name, from.Key, field)
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != from.SHA256 {
		return nil, task.Wait("SourceDigest", again, "%s has sha256 %s, but %s.sha256 says %s: correct the digest or the list", at, got, field, from.SHA256)
	}
	keys, err := delivery.ReadKeys(string(data))
	if err != nil {
		return nil, task.Stall("AudienceInvalid", fmt.Errorf("%s, which %s names: %w; correct the list, and the digest in the spec", at, field, err))
	}
	return keys, nil
}

// waitAgain gives a wait for what cannot be watched an end.
func waitAgain(err error, after time.Duration) error {
	if wait, ok := errors.AsType[*task.WaitError](err); ok {
		return task.Wait(wait.Reason, after, "%s", wait.Message)
	}
	return err
}

// gatherParts finds out which recorded parts are not there any longer. Until they are
// made again they count as lost, for an abort must not wait for them.
func (r *RolloutReconciler) gatherParts(ctx context.Context, s *rolloutScope) error {
	s.missing, s.seen.Lost = map[string]v1alpha1.AudiencePart{}, map[string]bool{}
	for _, p := range partsOf(&s.before.Status) {
		there, _, err := r.hasPart(ctx, s, p)
		if err != nil {
			return err
		}
		if !there {
			s.missing[p.Digest], s.seen.Lost[p.Digest] = p, true
		}
	}
	return nil
}

// partsOf are all parts that a record names.
func partsOf(st *v1alpha1.RolloutStatus) []v1alpha1.AudiencePart {
	var all []v1alpha1.AudiencePart
	if st.Document != nil && st.Document.Audience != nil {
		all = append(all, st.Document.Audience.Parts...)
	}
	for _, recall := range st.Recalls {
		if recall.Audience != nil {
			all = append(all, recall.Audience.Parts...)
		}
	}
	return all
}

// hasPart tells whether a part is there as it should be, and returns what is there in its
// place. The cache may not show yet what was just written; only the API server can say that
// it is not there.
func (r *RolloutReconciler) hasPart(ctx context.Context, s *rolloutScope, p v1alpha1.AudiencePart) (there bool, instead *corev1.ConfigMap, err error) {
	name := delivery.AudienceConfigMap(s.before.Namespace, s.before.Name, p.Digest, p.Keys)
	cached, err := r.findPublished(ctx, name)
	if err != nil {
		return false, nil, err
	}
	if cached != nil && heldIn(cached) == p.Digest {
		return true, nil, nil
	}
	live := &corev1.ConfigMap{}
	err = r.Live.Get(ctx, client.ObjectKey{Namespace: r.PublicationNamespace, Name: name}, live)
	if apierrors.IsNotFound(err) {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, fmt.Errorf("reading ConfigMap %s/%s: %w", r.PublicationNamespace, name, err)
	}
	if document.PartData(live.BinaryData[delivery.KeyPart]).Digest() == p.Digest {
		return true, nil, nil
	}
	return false, live, nil
}

// heldIn is the digest of the part in a ConfigMap, as the cache keeps it.
func heldIn(cm *corev1.ConfigMap) string {
	if data, whole := cm.BinaryData[delivery.KeyPart]; whole {
		return document.PartData(data).Digest()
	}
	return cm.Data[delivery.KeyPartDigest]
}

// writeAudience writes the parts that a take-back names which begins another target at the
// same time. Where they cannot be written it is decided again without them: what takes back
// does not wait for it.
func (r *RolloutReconciler) writeAudience(ctx context.Context, s *rolloutScope) error {
	err := r.writeDecided(ctx, s)
	if err == nil || overtaken(err) {
		return err
	}
	s.unlist(err)
	return r.decide(ctx, s)
}

// writeDecided writes the parts that the decision names, before it is recorded.
func (r *RolloutReconciler) writeDecided(ctx context.Context, s *rolloutScope) error {
	recorded := map[string]bool{}
	for _, p := range partsOf(&s.before.Status) {
		recorded[p.Digest] = true
	}
	for _, p := range partsOf(&s.move.Status) {
		if recorded[p.Digest] {
			continue
		}
		if err := r.ensurePart(ctx, s, p); err != nil {
			return err
		}
	}
	return nil
}

// writeRecorded mends what the recorded document names and is gone.
func (r *RolloutReconciler) writeRecorded(ctx context.Context, s *rolloutScope) error {
	for _, p := range partsOf(&s.before.Status) {
		if _, missing := s.missing[p.Digest]; !missing || p.List == v1alpha1.PartHad {
			continue
		}
		if err := r.ensurePart(ctx, s, p); err != nil {
			return err
		}
		delete(s.missing, p.Digest)
	}
	return nil
}

func (r *RolloutReconciler) ensurePart(ctx context.Context, s *rolloutScope, p v1alpha1.AudiencePart) error {
	there, instead, err := r.hasPart(ctx, s, p)
	if err != nil || there {
		return err
	}
	name := delivery.AudienceConfigMap(s.before.Namespace, s.before.Name, p.Digest, p.Keys)
	data, ok := s.made[p.Digest]
	if !ok {
		again := retryAfter(s.before.Status.Conditions, s.before.CreationTimestamp, s.now)
		return task.Wait("AudiencePartMissing", again, "ConfigMap %s/%s, a part of the audience, is gone, and what spec.audience names now does not make it again: "+
			"restore the lists that it was made of, or annotate miniprogram.dev/action=abort@%d", r.PublicationNamespace, name, s.before.Status.Attempt)
	}
	if err := r.notOvertaken(ctx, s); err != nil {
		return err
	}
	if instead != nil { // somebody has put it there by hand
		gone := client.Preconditions{UID: &instead.UID}
		if err := r.Client.Delete(ctx, instead, gone); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting ConfigMap %s, which is not the part of its name: %w", name, err)
		}
	}
	return r.createPart(ctx, s, name, p.Digest, data)
}

func (r *RolloutReconciler) createPart(ctx context.Context, s *rolloutScope, name, digest string, data document.PartData) error {
	immutable := true
	owner := delivery.AudienceOwner(s.before.Namespace, s.before.Name)
	err := r.Client.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.PublicationNamespace, Name: name, Labels: map[string]string{
			v1alpha1.PublishedLabel: "true", delivery.DocumentLabel: delivery.KindAudience, delivery.AudienceLabel: owner,
		}},
		Immutable:  &immutable,
		Data:       map[string]string{delivery.KeyPartDigest: digest, delivery.KeyPartRollout: s.before.Namespace + "/" + s.before.Name},
		BinaryData: map[string][]byte{delivery.KeyPart: data},
	}, client.FieldOwner(FieldManager))
	if err != nil {
		return fmt.Errorf("writing ConfigMap %s/%s: %w", r.PublicationNamespace, name, err)
	}
	return nil
}

// retire removes what newer documents have replaced, of others and of the rollout itself.
func (r *RolloutReconciler) retire(ctx context.Context, s *rolloutScope) error {
	return inOrder(ctx, s, r.retireRivals, r.removeUnnamedParts)
}

// removeUnnamedParts removes the parts of the rollout that neither what is out nor what
// was decided names.
func (r *RolloutReconciler) removeUnnamedParts(ctx context.Context, s *rolloutScope) error {
	if s.frozen() || s.published == nil || s.published.Sequence != s.before.Status.Sequence {
		return nil // nobody can tell what is out
	}
	named := map[string]bool{}
	for _, p := range slices.Concat(partsOf(&s.before.Status), partsOf(&s.move.Status)) {
		named[p.Digest] = true
	}
	unnamed, err := r.parts(ctx, s.before.Namespace, s.before.Name, named)
	if err != nil || len(unnamed) == 0 {
		return err
	}
	if err := r.notOvertaken(ctx, s); err != nil {
		return err
	}
	return r.remove(ctx, unnamed)
}

// notOvertaken asks whether the record is the one that is there. Parts carry no version that
// could refuse who leads no longer: he knows an old record, and must neither remove what a
// newer one names nor write what none does.
func (r *RolloutReconciler) notOvertaken(ctx context.Context, s *rolloutScope) error {
	var now v1alpha1.Rollout
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(s.before), &now); err != nil {
		return fmt.Errorf("reading the Rollout before its parts are changed: %w", err)
	}
	if now.ResourceVersion != s.before.ResourceVersion {
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("rollouts").GroupResource(), s.before.Name, errors.New("it was changed meanwhile"))
	}
	return nil
}

// removeParts removes all parts of a Rollout whose document is gone.
func (r *RolloutReconciler) removeParts(ctx context.Context, namespace, name string) error {
	all, err := r.parts(ctx, namespace, name, nil)
	if err != nil {
		return err
	}
	return r.remove(ctx, all)
}

// parts are those of a Rollout but for those that are named.
func (r *RolloutReconciler) parts(ctx context.Context, namespace, name string, named map[string]bool) ([]corev1.ConfigMap, error) {
	var list corev1.ConfigMapList
	owner := delivery.AudienceOwner(namespace, name)
	if err := r.Client.List(ctx, &list, client.InNamespace(r.PublicationNamespace), client.MatchingFields{indexAudience: owner}); err != nil {
		return nil, fmt.Errorf("listing the parts of the audience: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(cm corev1.ConfigMap) bool { return named[heldIn(&cm)] }), nil
}

func (r *RolloutReconciler) remove(ctx context.Context, parts []corev1.ConfigMap) error {
	for i := range parts {
		gone := client.Preconditions{UID: &parts[i].UID}
		if err := r.Client.Delete(ctx, &parts[i], gone); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting ConfigMap %s, which no document names any longer: %w", parts[i].Name, err)
		}
	}
	return nil
}
