package admissiontest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
)

// unchecked is what the API server adds where it could not go on to rules in CEL.
const unchecked = "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"

func newPolicy(spec string) request {
	return create("ReviewPolicy", "new", "spec: {"+spec+"}")
}

// policyFields has what the API server takes and refuses of the content rules.
var policyFields = map[string]field{
	"every field that may be required": {who: installer, do: newPolicy("quality: {requiredFields: [description, icon, categories, owners, locales, permissions, domains, verification, minimumVersion, privacy.policyURL, privacy.contact, privacy.data]}")},
	"a field that does not exist": {who: installer, do: newPolicy("quality: {requiredFields: [colour]}"), want: []string{
		unchecked,
		`spec.quality.requiredFields[0]: Unsupported value: "colour": supported values: "description", "icon", "categories", "owners", "locales", "permissions", "domains", "verification", "minimumVersion", "privacy.policyURL", "privacy.contact", "privacy.data"`,
	}},
	"the least of each size": {who: installer, do: newPolicy("quality: {maxContentBytes: 1, maxMainBytes: 1, maxSubBytes: 1}")},
	"sizes of nothing": {who: installer, do: newPolicy("quality: {maxContentBytes: 0, maxMainBytes: 0, maxSubBytes: 0}"), want: []string{
		"spec.quality.maxContentBytes: Invalid value: 0: spec.quality.maxContentBytes in body should be greater than or equal to 1",
		"spec.quality.maxMainBytes: Invalid value: 0: spec.quality.maxMainBytes in body should be greater than or equal to 1",
		"spec.quality.maxSubBytes: Invalid value: 0: spec.quality.maxSubBytes in body should be greater than or equal to 1",
	}},
	"a pattern of files in a folder": {who: installer, do: newPolicy(`quality: {forbiddenFiles: ["a/**/*.map"]}`)},
	"a pattern of files from the root": {who: installer, do: newPolicy(`quality: {forbiddenFiles: ["/a"]}`), want: []string{
		`spec.quality.forbiddenFiles[0]: Invalid value: "/a": spec.quality.forbiddenFiles[0] in body should match '^[^/\\]+(/[^/\\]+)*$'`,
	}},
	"hosts, and all below one": {who: installer, do: newPolicy(`privacy: {allowedDomains: [none, api.example.com, "*.example.com"]}`)},
	"an origin for a host": {who: installer, do: newPolicy(`privacy: {allowedDomains: ["https://example.com"]}`), want: []string{
		`spec.privacy.allowedDomains[0]: Invalid value: "https://example.com": spec.privacy.allowedDomains[0] in body should match '^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$'`,
	}},
	"a rule that only warns": {who: installer, do: newPolicy(`rules: [{name: notes, expression: "true", severity: warning}]`)},
	"a rule of another severity": {who: installer, do: newPolicy(`rules: [{name: notes, expression: "true", severity: info}]`), want: []string{
		unchecked,
		`spec.rules[0].severity: Unsupported value: "info": supported values: "error", "warning"`,
	}},
	"sources must be pinned or not": {who: installer, do: newPolicy("pinnedSource: Perhaps"), want: []string{
		unchecked,
		`spec.pinnedSource: Unsupported value: "Perhaps": supported values: "Required", "Optional"`,
	}},
	"an approval that a trial waits for, too": {who: installer, do: newPolicy("approvals: [{role: quality, channels: [release, trial]}]")},
	"an approval that only a trial waits for": {who: installer, do: newPolicy("approvals: [{role: quality, channels: [trial]}]"), want: []string{
		"spec.approvals[0]: approvals[].channels must name release: what testers wait for, a release waits for as well",
	}},
	"an approval in no channel": {who: installer, do: newPolicy("approvals: [{role: quality, channels: []}]"), want: []string{
		"spec.approvals[0].channels: Invalid value: 0: spec.approvals[0].channels in body should have at least 1 items",
		"spec.approvals[0]: approvals[].channels must name release: what testers wait for, a release waits for as well",
	}},
	"a plan's first share as text":   {who: installer, do: newPolicy(`rollout: {maxFirstPercent: "0.25%"}`)},
	"a plan's first share as number": {who: installer, do: newPolicy("rollout: {maxFirstPercent: 100}")},
	"a plan's first share above all": {who: installer, do: newPolicy("rollout: {maxFirstPercent: 101}"), want: []string{
		`spec.rollout.maxFirstPercent: maxFirstPercent must be a whole number from 0 to 100, or a string such as "0.25%" with at most two decimals`,
	}},
}

func TestTheContentRulesOfPolicies(t *testing.T) {
	w := theWorld(t)
	for name, f := range policyFields {
		t.Run(name, func(t *testing.T) {
			_, err := w.try(t.Context(), f.who, f.do)
			got, other := problems(err)
			if other != nil {
				t.Fatalf("creating the policy: %v", other)
			}
			slices.Sort(got) // the API server names them in any order
			if diff := cmp.Diff(f.want, got); diff != "" {
				t.Errorf("creating the policy (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheSamplePoliciesAreTaken(t *testing.T) {
	w := theWorld(t)
	root, err := controlplane.RepositoryDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "config", "samples", "policies")
	raw, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var listed struct{ Resources []string }
	if err := yaml.Unmarshal(raw, &listed); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*-*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 5 || len(listed.Resources) != len(found) {
		t.Errorf("%d policies, and kustomization.yaml lists %d, want 5", len(found), len(listed.Resources))
	}
	for _, name := range listed.Resources {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			var p v1alpha1.ReviewPolicy
			if err := yaml.UnmarshalStrict(raw, &p); err != nil {
				t.Fatal(err)
			}
			if err := policy.CheckSpec(&p); err != nil {
				t.Error(err)
			}
			if err := w.as(installer).Create(t.Context(), &p, client.DryRunAll); err != nil {
				t.Errorf("creating ReviewPolicy %s: %v", p.Name, err)
			}
		})
	}
}
