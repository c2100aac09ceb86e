package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

var update = flag.Bool("update", false, "write the golden files anew")

const samples = "../../config/samples/"

// plugin carries out one command line.
func plugin(t *testing.T, args ...string) (code int, out, problems string) {
	t.Helper()
	streams, _, stdout, stderr := genericiooptions.NewTestIOStreams()
	code = run(t.Context(), args, streams)
	return code, stdout.String(), stderr.String()
}

// write makes a folder with these files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestCheckReportsTheSameForPeopleAndMachines(t *testing.T) {
	broken := write(t, map[string]string{
		"index.html": "<p>hello</p>", "manifest.json": `{"icons": [{"src": "icon.png"}]}`, ".env": "KEY=1", ".git/config": "", "app.js.map": "{}",
	})
	linked := write(t, map[string]string{"index.html": "<p>hello</p>"})
	if err := os.Symlink("index.html", filepath.Join(linked, "home.html")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		code int
	}{
		"folder":  {args: []string{samples + "bundles/shop/base"}, code: exitOK},
		"archive": {args: []string{samples + "archives/shop-1.0.0.zip", "-f", samples + "shop-team/shop.yaml", "-f", samples + "shop-team/shop-1.0.0.yaml"}, code: exitOK},
		"another": {args: []string{samples + "archives/shop-1.0.0.zip", "-f", samples + "shop-team/notes.yaml", "--version", "2.0.0"}, code: exitUnacceptable},
		"broken":  {args: []string{broken, "--app-id", "com.example.hello", "--version", "1.0.0"}, code: exitUnacceptable},
		"linked":  {args: []string{linked}, code: exitUnacceptable},
	} {
		t.Run(name, func(t *testing.T) {
			for file, extra := range map[string][]string{name + ".txt": nil, name + ".json": {"-o", "json"}} {
				code, out, problems := plugin(t, append(append([]string{"check"}, test.args...), extra...)...)
				if code != test.code || problems != "" {
					t.Errorf("%s: exit code %d, want %d; %s", file, code, test.code, problems)
				}
				golden(t, file, out)
			}
		})
	}
}

func TestAFolderAndItsArchiveHaveTheSameContent(t *testing.T) {
	_, folder, _ := plugin(t, "check", samples+"bundles/transit", "-o", "json")
	_, archive, _ := plugin(t, "check", samples+"archives/transit-2.3.0.zip", "-o", "json")
	if diff := cmp.Diff(archive, folder); diff != "" {
		t.Errorf("the folder's report (-archive +folder):\n%s", diff)
	}
}

func TestWhatCannotBeDoneExitsWith2(t *testing.T) {
	dir := write(t, map[string]string{"index.html": "x", "empty.yaml": "kind: ConfigMap"})
	to := []string{"push", dir, "--to", "registry.example.com/staging", "--program", "shop"}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no path":              {[]string{"check"}, "exactly one argument is needed"},
		"a missing path":       {[]string{"check", filepath.Join(dir, "nothing")}, "no such file or directory"},
		"a device":             {[]string{"check", os.DevNull}, "is neither a folder nor a file"},
		"an unknown flag":      {[]string{"check", dir, "--no-such-flag"}, "unknown flag"},
		"an unknown command":   {[]string{"chek"}, "unknown command"},
		"an unknown output":    {[]string{"check", dir, "-o", "xml"}, `--output is "xml"`},
		"an unknown format":    {[]string{"check", dir, "--format", "Zip"}, `--format is "Zip"`},
		"a limit of nothing":   {[]string{"check", dir, "--max-entries", "0"}, "must be at least 1"},
		"a file of others":     {[]string{"check", dir, "-f", filepath.Join(dir, "empty.yaml")}, "it holds no MiniProgram"},
		"two programs":         {[]string{"check", dir, "-f", samples + "shop-team/shop.yaml", "-f", samples + "shop-team/notes.yaml"}, "-f names two, shop and notes"},
		"another's version":    {[]string{"check", dir, "-f", samples + "shop-team/shop.yaml", "-f", samples + "shop-team/notes-0.9.0.yaml"}, "MiniProgramVersion notes-0-9-0 is one of MiniProgram notes"},
		"a policy alone":       {[]string{"check", dir, "-f", samples + "platform/policy.yaml"}, "name the MiniProgram's file with -f too"},
		"a bare repository":    {[]string{"check", "oci://registry.example.com/shop"}, "is no reference with a tag or a digest"},
		"http to others":       {[]string{"check", "oci://registry.example.com/shop:1", "--plain-http"}, "--plain-http is for registries on this machine"},
		"no registry there":    {[]string{"check", "oci://127.0.0.1:1/shop:1", "--plain-http"}, "connection refused"},
		"push without --to":    {[]string{"push", dir, "--program", "shop"}, "--to is required"},
		"push for nobody":      {[]string{"push", dir, "--to", "registry.example.com/staging"}, "--program is required"},
		"push of a file":       {[]string{"push", filepath.Join(dir, "index.html"), "--to", "registry.example.com/staging", "--program", "shop"}, "is no folder"},
		"push to a tag":        {[]string{"push", dir, "--to", "registry.example.com/staging:1", "--program", "shop"}, "without a tag"},
		"push half dry":        {append(to, "--dry-run=server"), `--dry-run is "server"`},
		"push of no version":   {append(to, "--dry-run=client"), "--version is required: a Web bundle carries no version"},
		"push to nobody":       {[]string{"push", dir, "--to", "127.0.0.1:1/staging", "--plain-http", "--program", "shop", "--version", "1.0.0", "--dry-run=client"}, "connection refused"},
		"push without cluster": {append(to, "--kubeconfig", filepath.Join(dir, "nothing")), "finding the cluster: "},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, problems := plugin(t, test.args...)
			if code != exitFailed || out != "" || !strings.HasPrefix(problems, "error: ") || !strings.Contains(problems, test.want) {
				t.Errorf("exit code %d, output %q, %q; want %d, none, %q", code, out, problems, exitFailed, test.want)
			}
		})
	}
}

func TestPoliciesOfAFileAreHeldAgainstTheBundle(t *testing.T) {
	dir := write(t, map[string]string{"policy.yaml": "apiVersion: miniprogram.dev/v1alpha1\nkind: ReviewPolicy\nmetadata: {name: small}\nspec: {enforcement: Enforce, quality: {maxFiles: 3}}\n"})
	code, out, problems := plugin(t, "check", samples+"archives/shop-1.0.0.zip", "-f", samples+"shop-team/shop.yaml", "-f", filepath.Join(dir, "policy.yaml"))
	if code != exitUnacceptable || !strings.Contains(out, "QualityFiles") {
		t.Errorf("exit code %d, want %d: %s%s", code, exitUnacceptable, out, problems)
	}
}

func TestABarIsForTerminalsOnly(t *testing.T) {
	var out bytes.Buffer
	if newProgress(&out).terminal {
		t.Error("a buffer is taken for a terminal")
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
