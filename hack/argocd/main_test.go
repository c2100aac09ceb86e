package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestTheConfigMapsAreThoseOfTheScripts(t *testing.T) {
	root := filepath.Join("..", "..")
	want, err := generate(os.DirFS(filepath.Join(root, scriptsDir, group)))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(text), string(got)); diff != "" {
			t.Errorf("%s: run make generate (-rendered +present):\n%s", name, diff)
		}
	}
}

func TestAnActionLeavesOneNameToAdmission(t *testing.T) {
	const by = `obj.metadata.annotations["miniprogram.dev/action-by"] = nil -- admission writes whose request it is` + "\n"
	scripts := func(action string) fstest.MapFS {
		return fstest.MapFS{
			"App/health.lua":             {Data: []byte("return {status = 'Healthy'}\n")},
			"App/actions/discovery.lua":  {Data: []byte("return {}\n")},
			"App/actions/go/action.lua":  {Data: []byte(action)},
			"Else/health.lua":            {Data: []byte("local x = 1\n\nreturn x\n")},
			"App/actions/testdata/x.lua": {Data: []byte("no script")},
		}
	}
	for name, action := range map[string]string{"none": "return obj\n", "two": by + by} {
		if _, err := generate(scripts(action)); err == nil || !strings.HasPrefix(err.Error(), scriptsDir+"/miniprogram.dev/App/actions/go/action.lua must have one line that ends with") {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := generate(scripts(by + "return obj\n"))
	if err != nil {
		t.Fatal(err)
	}
	tail := func(name string) string {
		_, data, _ := strings.Cut(string(got[name]), "\ndata:\n")
		return data
	}
	const actions = `  resource.customizations.actions.miniprogram.dev_App: |
    discovery.lua: |
      return {}
    definitions:
    - name: go
      action.lua: |
        obj.metadata.annotations["miniprogram.dev/action-by"] = `
	want := map[string]string{
		stampedFile: "  resource.customizations.health.miniprogram.dev_App: |\n    return {status = 'Healthy'}\n" +
			actions + "nil -- admission writes whose request it is\n        return obj\n" +
			"  resource.customizations.health.miniprogram.dev_Else: |\n    local x = 1\n\n    return x\n",
		unstampedFile: actions + "\"system:serviceaccount:argocd:argocd-server\"\n        return obj\n",
	}
	if diff := cmp.Diff(want, map[string]string{stampedFile: tail(stampedFile), unstampedFile: tail(unstampedFile)}); diff != "" {
		t.Errorf("rendered (-want +got):\n%s", diff)
	}
}
