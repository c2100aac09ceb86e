package admissiontest

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

// rbacObjects reads the roles and bindings of a YAML stream.
func rbacObjects(t *testing.T, text []byte) (roles []rbacv1.ClusterRole, bindings []rbacv1.ClusterRoleBinding) {
	t.Helper()
	for _, document := range bytes.Split(text, []byte("\n---")) {
		var kind struct{ Kind string }
		if err := yaml.Unmarshal(document, &kind); err != nil {
			t.Fatal(err)
		}
		switch kind.Kind {
		case "Role", "ClusterRole": // the fields are the same
			var role rbacv1.ClusterRole
			if err := yaml.UnmarshalStrict(document, &role); err != nil {
				t.Fatal(err)
			}
			roles = append(roles, role)
		case "RoleBinding", "ClusterRoleBinding":
			var binding rbacv1.ClusterRoleBinding
			if err := yaml.UnmarshalStrict(document, &binding); err != nil {
				t.Fatal(err)
			}
			bindings = append(bindings, binding)
		}
	}
	return roles, bindings
}

// yamlBelow has all YAML files below config, by their path.
func yamlBelow(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	root, err := controlplane.RepositoryDir()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	err = filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Names of roles that may read Secrets or ConfigMaps anywhere that they are bound.
var readers = []string{"miniprogram-source-reader"}

func TestNoRoleOfTheProjectHasAWildcardOrReadsSecretsEverywhere(t *testing.T) {
	checked := 0
	for file, text := range yamlBelow(t, "config") {
		roles, bindings := rbacObjects(t, text)
		for _, role := range roles {
			checked++
			for i, rule := range role.Rules {
				words := slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs, rule.NonResourceURLs)
				if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, "*") }) {
					t.Errorf("%s: %s %s, rule %d has a wildcard: %v", file, role.Kind, role.Name, i, words)
				}
				private := slices.ContainsFunc(rule.Resources, func(r string) bool { return r == "secrets" || r == "configmaps" })
				if role.Kind == "ClusterRole" && private && !slices.Contains(readers, role.Name) {
					t.Errorf("%s: ClusterRole %s, rule %d is about %v of every namespace", file, role.Name, i, rule.Resources)
				}
				if verbs := fmt.Sprint(rule.Verbs); role.Kind == "ClusterRole" && private && verbs != "[get]" {
					t.Errorf("%s: ClusterRole %s, rule %d has %s, want get alone: one by one, never listed", file, role.Name, i, verbs)
				}
			}
		}
		for _, binding := range bindings {
			if binding.Kind == "ClusterRoleBinding" && slices.Contains(readers, binding.RoleRef.Name) {
				t.Errorf("%s: ClusterRoleBinding %s gives %s everywhere", file, binding.Name, binding.RoleRef.Name)
			}
		}
	}
	if checked < 15 {
		t.Errorf("only %d roles were found", checked)
	}
}

// grants lists what a service account gets: "namespace: verbs of resources", an
// empty namespace for the whole cluster.
func grants(roles []rbacv1.ClusterRole, bindings []rbacv1.ClusterRoleBinding, account string) []string {
	var lines []string
	for _, binding := range bindings {
		if !slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool { return s.Kind == rbacv1.ServiceAccountKind && s.Name == account }) {
			continue
		}
		for _, role := range roles {
			if role.Kind != binding.RoleRef.Kind || role.Name != binding.RoleRef.Name || role.Namespace != "" && role.Namespace != binding.Namespace {
				continue
			}
			for _, rule := range role.Rules {
				line := fmt.Sprintf("%s: %s of %s", binding.Namespace, strings.Join(rule.Verbs, " "), strings.Join(rule.Resources, " "))
				if len(rule.ResourceNames) > 0 {
					line += " " + fmt.Sprint(rule.ResourceNames)
				}
				lines = append(lines, line)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func TestTheInstallGivesItsAccountsExactlyThis(t *testing.T) {
	plane := controlplane.ForTest(t)
	root, err := controlplane.RepositoryDir()
	if err != nil {
		t.Fatal(err)
	}
	text, err := plane.Kubectl(t.Context(), "", "kustomize", filepath.Join(root, "config", "default"))
	if err != nil {
		t.Fatal(err)
	}
	roles, bindings := rbacObjects(t, []byte(text))
	want := map[string][]string{
		"miniprogram-manager": {
			": create delete get list watch of reviews",
			": create patch of events",
			": get list patch watch of miniprogramversions rollouts",
			": get list watch of hostapps miniprograms reviewpolicies",
			": get list watch of namespaces",
			": get list watch of validatingadmissionpolicies validatingadmissionpolicybindings",
			": patch update of hostapps/status miniprograms/status miniprogramversions/status reviewpolicies/status reviews/status rollouts/status",
			": report publish of controllers",
			": update of miniprogramversions/finalizers",
			"miniprogram-published: get list watch create update patch delete retire of configmaps",
			"miniprogram-system: create of leases",
			"miniprogram-system: create of secrets configmaps",
			"miniprogram-system: get delete of secrets [miniprogram-signing-key miniprogram-signing-key-2]",
			"miniprogram-system: get update of configmaps [miniprogram-trusted-keys]",
			"miniprogram-system: get update patch of leases [miniprogram-manager]",
			"miniprogram-system: list of endpointslices",
		},
		"miniprogram-manifest-service": {"miniprogram-published: get list watch of configmaps"},
		"generic-garbage-collector":    {": purge of reviews"},
	}
	got := map[string][]string{}
	for _, binding := range bindings {
		for _, s := range binding.Subjects {
			if s.Kind == rbacv1.ServiceAccountKind {
				got[s.Name] = grants(roles, bindings, s.Name)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s\nof the accounts %v", diff, slices.Sorted(maps.Keys(got)))
	}
}

func TestTheManifestServiceAsksWhoSomebodyIsOnlyWithTheComponent(t *testing.T) {
	plane := controlplane.ForTest(t)
	root, err := controlplane.RepositoryDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rel, err := filepath.Rel(dir, filepath.Join(root, "config"))
	if err != nil {
		t.Fatal(err)
	}
	tree := fmt.Sprintf("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [%s/default]\ncomponents: [%[1]s/components/explain]\n", rel)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(tree), 0o600); err != nil {
		t.Fatal(err)
	}
	published := "miniprogram-published: get list watch of configmaps"
	for name, test := range map[string]struct {
		tree  string
		want  []string
		flags int
	}{
		"by default":         {filepath.Join(root, "config", "default"), []string{published}, 0},
		"with the component": {dir, []string{": create of subjectaccessreviews", ": create of tokenreviews", published}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := plane.Kubectl(t.Context(), "", "kustomize", test.tree)
			if err != nil {
				t.Fatal(err)
			}
			roles, bindings := rbacObjects(t, []byte(text))
			if diff := cmp.Diff(test.want, grants(roles, bindings, "miniprogram-manifest-service")); diff != "" {
				t.Errorf("rights (-want +got):\n%s", diff)
			}
			if n := strings.Count(text, "- --explain\n"); n != test.flags {
				t.Errorf("the flag --explain is there %d times, want %d", n, test.flags)
			}
		})
	}
}
