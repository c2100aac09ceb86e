package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// krewPlugin is a krew manifest (krew.googlecontainertools.github.com/v1alpha2).
type krewPlugin struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   krewMeta `json:"metadata"`
	Spec       krewSpec `json:"spec"`
}

type krewMeta struct {
	Name string `json:"name"`
}

type krewSpec struct {
	Version          string         `json:"version"`
	Homepage         string         `json:"homepage"`
	ShortDescription string         `json:"shortDescription"`
	Description      string         `json:"description"`
	Platforms        []krewPlatform `json:"platforms"`
}

type krewPlatform struct {
	Selector krewSelector `json:"selector"`
	URI      string       `json:"uri"`
	SHA256   string       `json:"sha256"`
	Bin      string       `json:"bin"`
	Files    []krewFile   `json:"files"`
}

// krewFile is a file of an archive, and the folder that krew installs it to.
type krewFile struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type krewSelector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

// krew describes the plugin's archives; sums maps their names to SHA-256 in hex.
func (r *release) krew(sums map[string]string) krewPlugin {
	m := krewPlugin{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin", Metadata: krewMeta{Name: strings.TrimPrefix(plugin, "kubectl-")},
		Spec: krewSpec{
			Version: r.version, Homepage: "https://github.com/miniprogram-dev/miniprogram-operator",
			ShortDescription: "Check, hand in and roll out mini programs",
			Description:      "Checks bundles of mini programs with the operator's own rules, hands them in,\nand follows and steers rollouts. Needs the miniprogram-operator in the cluster,\nbut for what it does offline.\n",
		},
	}
	for _, p := range r.plugins {
		name := r.pluginArchive(p)
		var files []krewFile
		for _, one := range r.pluginMembers(p) {
			files = append(files, krewFile{From: one.name, To: "."})
		}
		m.Spec.Platforms = append(m.Spec.Platforms, krewPlatform{
			Selector: krewSelector{MatchLabels: map[string]string{"os": p.os, "arch": p.arch}},
			URI:      r.baseURL + "/" + r.version + "/" + name, SHA256: sums[name], Bin: p.binary(plugin), Files: files,
		})
	}
	return m
}

func (r *release) writeKrew(context.Context) error {
	sums := map[string]string{}
	for _, p := range r.plugins {
		sum, err := sumOf(r.file(r.pluginArchive(p)))
		if err != nil {
			return err
		}
		sums[r.pluginArchive(p)] = sum
	}
	text, err := yaml.Marshal(r.krew(sums))
	if err != nil {
		return err
	}
	return os.WriteFile(r.file("miniprogram.yaml"), text, 0o644)
}

// writeManifests renders what an installation applies. The image is named by its
// digest, so that nobody can put another one in its place.
func (r *release) writeManifests(ctx context.Context) error {
	folder := r.work("install")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	config, err := filepath.Rel(absolute, filepath.Join(r.root, "config", "default"))
	if err != nil {
		return err
	}
	overlay := fmt.Sprintf("resources: [%q]\nimages: [{name: miniprogram-operator, newName: %q, newTag: %q, digest: %q}]\n", config, r.image, r.version, r.digest)
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(overlay), 0o644); err != nil {
		return err
	}
	for name, from := range map[string]string{"install.yaml": folder, "crds.yaml": filepath.Join(r.root, "config", "crd")} {
		text, err := output(ctx, "", r.kubectl, "kustomize", from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(r.file(name), []byte(text+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeBills writes what each binary is made of, with the licences. One platform stands
// for all: the modules are the same. They are read from the code and not from the binary: there a
// module that lies beside ours has neither name nor version, and the tool forgets the licences of
// twenty others with it.
func (r *release) writeBills(ctx context.Context) error {
	for _, name := range append([]string{plugin}, servers...) {
		bill := r.file(name + "_" + r.version + ".cdx.json")
		// A serial number is random, and the time is when somebody built it.
		cmd := exec.CommandContext(ctx, absolute(r.sbom), "app", "-json", "-noserial", "-notimestamp", "-std", "-licenses",
			"-main", filepath.Join("cmd", name), "-output", absolute(bill), ".")
		cmd.Dir = r.root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOOS="+r.servers[0].os, "GOARCH="+r.servers[0].arch)
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", bill, err, strings.TrimSpace(string(said)))
		}
		if err := checkBill(bill); err != nil {
			return fmt.Errorf("%s: %w", bill, err)
		}
	}
	return nil
}

// ourModule is the module of the operator, and the beginning of those beside it.
const ourModule = "github.com/miniprogram-dev/miniprogram-operator"

// checkBill requires that a bill of materials names modules, and the licence of each but the
// standard library's and ours, which stands in the archives.
func checkBill(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var bill struct {
		BOMFormat  string `json:"bomFormat"`
		Components []struct {
			Name     string `json:"name"`
			Evidence struct {
				Licenses []any `json:"licenses"`
			} `json:"evidence"`
		} `json:"components"`
	}
	if err := json.Unmarshal(text, &bill); err != nil {
		return err
	}
	var without []string
	for _, component := range bill.Components {
		if len(component.Evidence.Licenses) == 0 && component.Name != "std" && !strings.HasPrefix(component.Name, ourModule) {
			without = append(without, component.Name)
		}
	}
	if bill.BOMFormat != "CycloneDX" || len(bill.Components) == 0 || len(without) > 0 {
		return fmt.Errorf("%d components in format %q, of which these have no licence: %q", len(bill.Components), bill.BOMFormat, without)
	}
	return nil
}

// writeSums writes SHA256SUMS as sha256sum -c reads it. The image's digest stands in
// image.txt, and what is below it is named by digests.
func (r *release) writeSums(context.Context) error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, entry := range entries { // sorted by name
		if !entry.Type().IsRegular() {
			continue
		}
		sum, err := sumOf(r.file(entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s  %s\n", sum, entry.Name())
	}
	return os.WriteFile(r.file("SHA256SUMS"), b.Bytes(), 0o644)
}

func sumOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// absolute is for commands that run in another folder; what is a name on the PATH
// stays one.
func absolute(file string) string {
	if found, err := exec.LookPath(file); err == nil {
		file = found
	}
	if whole, err := filepath.Abs(file); err == nil {
		return whole
	}
	return file
}
