package controller

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/inspection"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// What a version contains and declares is held against policies by its own
// reconciler alone, which records what they say and the sum of all that it was held
// against. Rollouts go by that record for as long as the sum is still right, and
// wait where it is not.

// checkPolicies holds the content against the policies that cover the version: when
// it is packaged, and when something that matters to it has changed while it waits
// or is a target.
func (r *MiniProgramVersionReconciler) checkPolicies(ctx context.Context, s *versionScope) error {
	st := &s.version.Status
	if st.Artifact == nil {
		return nil
	}
	inputs, err := r.policyInputs(ctx, s.program, s.judgment.policies)
	if err != nil {
		return err
	}
	if checked := passed(st) != metav1.ConditionUnknown; checked && st.PolicyInputs == inputs {
		s.checkedPolicies = true
		return nil
	} else if checked {
		matters, err := r.matters(ctx, s)
		if err != nil || !matters {
			s.checkedPolicies = err == nil
			return err
		}
	}
	if err := r.checkContent(ctx, s); err != nil {
		return err
	}
	st.PolicyInputs, s.checkedPolicies = inputs, true
	return nil
}

// passed is what is recorded of the policies' word.
func passed(st *v1alpha1.MiniProgramVersionStatus) metav1.ConditionStatus {
	c := meta.FindStatusCondition(st.Conditions, v1alpha1.ConditionPolicyPassed)
	if c == nil || st.PolicyInputs == "" {
		return metav1.ConditionUnknown
	}
	return c.Status
}

// matters tells that somebody waits for the policies' word: reviewers, or a Rollout
// that is to hand the version out, also to a host app that was added later. Otherwise
// what is approved and at rest, and what is stable, is not judged again.
func (r *MiniProgramVersionReconciler) matters(ctx context.Context, s *versionScope) (bool, error) {
	if withdrawn(s.version) || retired(s.version) {
		return false, nil
	}
	if !s.judgment.verdict.Approved {
		return true, nil
	}
	var rollouts v1alpha1.RolloutList
	if err := r.Client.List(ctx, &rollouts, append(beside(s.version, indexServes, s.version.Name), client.UnsafeDisableDeepCopy)...); err != nil {
		return false, err
	}
	for i := range rollouts.Items {
		if isTarget(&rollouts.Items[i], s.version) || len(s.judgment.question.LateHostApps) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// isTarget tells that the Rollout is to hand out the version, and that it is not
// what it hands out to everybody already.
func isTarget(ro *v1alpha1.Rollout, v *v1alpha1.MiniProgramVersion) bool {
	stable, target := ro.Status.Stable, ro.Status.Target
	if target != nil && target.VersionRef == v.Name {
		return true
	}
	return ro.Spec.VersionRef.Name == v.Name && (stable == nil || stable.Digest != v.Status.Artifact.Digest)
}

// checkContent records what the policies say.
func (r *MiniProgramVersionReconciler) checkContent(ctx context.Context, s *versionScope) error {
	st, covering := &s.version.Status, s.judgment.policies
	known, err := r.inspect(ctx, s, covering)
	if err != nil {
		return err
	}
	facts := *known.Facts
	facts.Program, facts.Version = policy.ProgramFactsOf(s.program), policy.VersionFactsOf(s.version)
	results := policy.Check(facts, covering)
	if st.Policies, err = judgedBy(covering, results); err != nil {
		return err
	}
	hosts, err := r.hostApps(ctx, s.program.Spec.HostApps)
	if err != nil {
		return err
	}
	// Not nil, where nobody has anything to say: nil means that what is recorded holds.
	s.policies = append([]policy.Result{}, slices.Concat(results, checkHostApps(facts.Declaration, hosts))...)
	st.Findings = findingsStatus(append(policy.Shown(s.policies), asFindings(known.Findings)...))
	return nil
}

// inspect returns what is known of the content: what this pass has found out
// itself, or what is kept beside the artifact.
func (r *MiniProgramVersionReconciler) inspect(ctx context.Context, s *versionScope, covering []v1alpha1.ReviewPolicy) (inspection.Inspection, error) {
	patterns, err := policy.PatternsOf(covering)
	if err != nil {
		return inspection.Inspection{}, err // such a policy covers nothing: coveringPolicies has stalled
	}
	if s.inspected != nil && patterns.SearchedIn(*s.inspected.Facts) {
		return *s.inspected, nil
	}
	reader := &inspection.Reader{Store: r.Registry, TempDir: r.TempDir, Limits: r.Limits, Packer: r.Packer}
	known, err := reader.Read(ctx, s.version, patterns)
	if bad, ok := errors.AsType[*bundle.CheckError](err); ok {
		return known, task.Stall(bad.Findings[0].Rule, fmt.Errorf("a policy asks about the content, and this release of the manager does not accept the bundle any more: %w; publish a corrected bundle as a new MiniProgramVersion", bad))
	}
	if _, ok := errors.AsType[*registry.Error](err); ok {
		return known, r.explainRegistry(s, err)
	}
	return known, err
}

// judgedBy names the policies in the generation that was applied, with how much
// each has found. Where there is no room for all, those that object stay.
func judgedBy(covering []v1alpha1.ReviewPolicy, results []policy.Result) ([]v1alpha1.JudgedBy, error) {
	var by []v1alpha1.JudgedBy
	for i := range covering {
		p := &covering[i]
		sum, err := specSHA256(p)
		if err != nil {
			return nil, err
		}
		one := v1alpha1.JudgedBy{Name: p.Name, Generation: p.Generation, SHA256: sum}
		for _, result := range results {
			if result.Policy == p.Name {
				one.Errors = int32(policy.Blocking([]policy.Result{result}))
				one.Warnings = int32(len(result.Findings)) - one.Errors
			}
		}
		by = append(by, one)
	}
	slices.SortStableFunc(by, func(a, b v1alpha1.JudgedBy) int { return cmp.Compare(min(b.Errors, 1), min(a.Errors, 1)) })
	by = by[:min(len(by), maxPolicies)]
	slices.SortFunc(by, func(a, b v1alpha1.JudgedBy) int { return cmp.Compare(a.Name, b.Name) })
	return by, nil
}

// policyInputs is the sum of all that the content of a program's versions is held
// against.
func (s *Shared) policyInputs(ctx context.Context, program *v1alpha1.MiniProgram, covering []v1alpha1.ReviewPolicy) (string, error) {
	hosts, err := s.hostApps(ctx, program.Spec.HostApps)
	if err != nil {
		return "", err
	}
	inputs := struct {
		Policies []v1alpha1.JudgedBy
		Program  policy.ProgramFacts
		HostApps map[string][]string
	}{Program: policy.ProgramFactsOf(program), HostApps: map[string][]string{}}
	for i := range covering {
		sum, err := specSHA256(&covering[i])
		if err != nil {
			return "", err
		}
		inputs.Policies = append(inputs.Policies, v1alpha1.JudgedBy{Name: covering[i].Name, SHA256: sum})
	}
	for _, h := range hosts {
		inputs.HostApps[h.Name] = h.Spec.Capabilities
	}
	raw, err := json.Marshal(inputs)
	if err != nil {
		return "", fmt.Errorf("encoding what policies judge by: %w", err)
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// hostApps are those of the names that exist: the Rollout tells of others, and a
// version can be packaged before its host app exists.
func (s *Shared) hostApps(ctx context.Context, names []string) ([]v1alpha1.HostApp, error) {
	var hosts []v1alpha1.HostApp
	for _, name := range names {
		var host v1alpha1.HostApp
		err := s.Client.Get(ctx, client.ObjectKey{Name: name}, &host)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// checkHostApps tells what host apps cannot grant of what a version needs.
func checkHostApps(declaration v1alpha1.Declaration, hosts []v1alpha1.HostApp) []policy.Result {
	var results []policy.Result
	for _, host := range hosts {
		if found := policy.CheckHostApp(declaration, host); len(found) > 0 {
			results = append(results, policy.Result{Policy: "HostApp " + host.Name, Enforcement: v1alpha1.Enforce, Findings: found})
		}
	}
	return results
}

// contentHold says why the content of a version must not go out to the host apps,
// as far as policies are asked; empty: it may.
func (s *Shared) contentHold(ctx context.Context, v *v1alpha1.MiniProgramVersion, program *v1alpha1.MiniProgram, covering []v1alpha1.ReviewPolicy, hostApps []string) (reason, message string, err error) {
	inputs, err := s.policyInputs(ctx, program, covering)
	if err != nil {
		return "", "", err
	}
	if passed(&v.Status) == metav1.ConditionUnknown || v.Status.PolicyInputs != inputs {
		return "PolicyPending", fmt.Sprintf("MiniProgramVersion %s is being held against the policies anew: see its condition PolicyPassed", v.Name), nil
	}
	hosts, err := s.hostApps(ctx, hostApps)
	if err != nil {
		return "", "", err
	}
	var declaration v1alpha1.Declaration
	if v.Status.Declaration != nil {
		declaration = *v.Status.Declaration
	}
	objects := slices.ContainsFunc(v.Status.Policies, func(by v1alpha1.JudgedBy) bool { return by.Errors > 0 })
	if objects || policy.Blocking(checkHostApps(declaration, hosts)) > 0 {
		return "PolicyFailed", fmt.Sprintf("a policy objects to MiniProgramVersion %s: see its condition PolicyPassed", v.Name), nil
	}
	return "", "", nil
}
