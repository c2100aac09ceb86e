package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// The linter of the API's types holds every rule, and nothing is left out: a
// rule that is in the way is a question about the API, not about the linter.
func TestEveryRuleOfTheAPILinterIsOn(t *testing.T) {
	root := filepath.Join("..", "..")
	data, err := os.ReadFile(filepath.Join(root, ".golangci-api.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Linters map[string]any `json:"linters"`
	}
	if err := yaml.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	custom := dig(config.Linters, "settings", "custom", "kubeapilinter", "settings")
	got := map[string]any{
		"linters": config.Linters["enable"], "exclusions": config.Linters["exclusions"], "rules": custom["linters"],
		// The rules that start only with a configuration, which must ask for something.
		"asked for": map[string]int{
			"conflictingmarkers": length(dig(custom, "lintersConfig", "conflictingmarkers")["conflicts"]),
			"dependenttags":      length(dig(custom, "lintersConfig", "dependenttags")["rules"]),
			"forbiddenmarkers":   length(dig(custom, "lintersConfig", "forbiddenmarkers")["markers"]),
			"namingconventions":  length(dig(custom, "lintersConfig", "namingconventions")["conventions"]),
			"preferredmarkers":   length(dig(custom, "lintersConfig", "preferredmarkers")["markers"]),
		},
	}
	want := map[string]any{
		"linters": []any{"kubeapilinter"}, "exclusions": nil, "rules": map[string]any{"enable": []any{"*"}},
		"asked for": map[string]int{"conflictingmarkers": 5, "dependenttags": 9, "forbiddenmarkers": 9, "namingconventions": 5, "preferredmarkers": 6},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf(".golangci-api.yml (-want +got):\n%s", diff)
	}

	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(makefile), "golangci-lint run --config .golangci-api.yml ./api/...") {
		t.Error("make lint does not lint api/ with .golangci-api.yml")
	}
}

func dig(m map[string]any, keys ...string) map[string]any {
	for _, key := range keys {
		m, _ = m[key].(map[string]any)
	}
	return m
}

func length(value any) int {
	list, _ := value.([]any)
	return len(list)
}
