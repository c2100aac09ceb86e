// Command argocd renders the scripts below config/argocd/resource_customizations into
// the ConfigMap in which Argo CD looks for them.
//
//	go run ./hack/argocd            # in the repository's root
//	go run ./hack/argocd -root DIR  # the same for a checkout elsewhere
//
// Scripts leave it to admission to write whose request an action is. Kubernetes before 1.36
// does not, so the actions are rendered once more for it, with the name of the account.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const (
	scriptsDir    = "config/argocd/resource_customizations"
	stampedFile   = "config/argocd/argocd-cm.yaml"
	unstampedFile = "config/argocd/unstamped/argocd-cm.yaml"

	group = "miniprogram.dev"

	// unsigned ends each line of a script that leaves a name to admission.
	unsigned = "= nil -- admission writes whose request it is\n"
	signed   = "= \"system:serviceaccount:argocd:argocd-server\"\n"
)

func main() {
	root := flag.String("root", ".", "the repository's root folder")
	flag.Parse()
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "argocd:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	files, err := generate(os.DirFS(filepath.Join(root, scriptsDir, group)))
	if err != nil {
		return err
	}
	for name, data := range files {
		path := filepath.Join(root, name)
		if present, err := os.ReadFile(path); err == nil && bytes.Equal(present, data) {
			continue
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns both ConfigMaps by file name.
func generate(scripts fs.FS) (map[string][]byte, error) {
	kinds, err := fs.ReadDir(scripts, ".")
	if err != nil {
		return nil, err
	}
	var stamped, unstamped bytes.Buffer
	stamped.WriteString(head("What Argo CD shows of our kinds, and can do with them.", "1.36 and later"))
	unstamped.WriteString(head("The actions, in the name of the account argocd-server in namespace argocd.", "before 1.36, to be laid over the one beside this folder"))
	for _, kind := range kinds {
		health, err := fs.ReadFile(scripts, path.Join(kind.Name(), "health.lua"))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&stamped, "  resource.customizations.health.%s_%s: |\n%s", group, kind.Name(), indented(string(health), 4))
		actions, err := actionsOf(scripts, kind.Name())
		if err != nil {
			return nil, err
		}
		if actions == "" {
			continue
		}
		key := fmt.Sprintf("  resource.customizations.actions.%s_%s: |\n", group, kind.Name())
		stamped.WriteString(key + indented(actions, 4))
		unstamped.WriteString(key + indented(strings.ReplaceAll(actions, unsigned, signed), 4))
	}
	return map[string][]byte{stampedFile: stamped.Bytes(), unstampedFile: unstamped.Bytes()}, nil
}

func head(what, kubernetes string) string {
	return "# Rendered by hack/argocd from resource_customizations; make generate.\n" +
		"# " + what + "\n# For Kubernetes " + kubernetes + `.
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  labels:
    app.kubernetes.io/name: argocd-cm
    app.kubernetes.io/part-of: argocd
data:
`
}

// actionsOf returns the value of a kind's actions key; empty: it has none. An
// action that leaves nobody's name to admission is a mistake.
func actionsOf(scripts fs.FS, kind string) (string, error) {
	dir := path.Join(kind, "actions")
	discovery, err := fs.ReadFile(scripts, path.Join(dir, "discovery.lua"))
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	out := "discovery.lua: |\n" + indented(string(discovery), 2) + "definitions:\n"
	names, err := fs.Glob(scripts, dir+"/*/action.lua")
	if err != nil {
		return "", err
	}
	for _, name := range names {
		script, err := fs.ReadFile(scripts, name)
		if err != nil {
			return "", err
		}
		if strings.Count(string(script), unsigned) != 1 {
			return "", fmt.Errorf("%s/%s/%s must have one line that ends with %q", scriptsDir, group, name, strings.TrimSpace(unsigned))
		}
		out += "- name: " + path.Base(path.Dir(name)) + "\n  action.lua: |\n" + indented(string(script), 4)
	}
	return out, nil
}

// indented moves lines to the right, as a block of YAML has them. Empty ones stay empty.
func indented(text string, by int) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if strings.TrimSpace(line) != "" {
			lines[i] = strings.Repeat(" ", by) + line
		}
	}
	return strings.Join(lines, "")
}
