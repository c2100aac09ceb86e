package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// typescript is the compiler that the example for the web is built with.
const typescript = "typescript@5.9.3"

// tool fails where every tool has to be there.
func tool(t *testing.T, name, from string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("REQUIRE_TOOLS") == "1" {
		t.Fatalf("%s is missing: apt-get install %s", name, from)
	}
	t.Skipf("%s is missing: apt-get install %s", name, from)
}

// sdk is a path below the folder sdk.
func sdk(t *testing.T, parts ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"..", "..", ".."}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestTheJavaExamplePassesTheVectors(t *testing.T) {
	tool(t, "javac", "default-jdk-headless")
	files, err := filepath.Glob(sdk(t, "examples", "android", "*.java"))
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	run(t, out, "javac", append([]string{"-encoding", "UTF-8", "-d", out}, files...)...)
	t.Log(run(t, out, "java", "-cp", out, "Vectors", sdk(t, "vectors")))
}

func TestTheTypeScriptExamplePassesTheVectors(t *testing.T) {
	tool(t, "npm", "npm")
	files, err := filepath.Glob(sdk(t, "examples", "web", "*.ts"))
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	if err := os.WriteFile(filepath.Join(out, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, out, "npm", append([]string{
		"exec", "--yes", "--package=" + typescript, "--", "tsc", "--strict", "--noUncheckedIndexedAccess", "--noUnusedLocals",
		"--target", "es2022", "--module", "es2022", "--lib", "es2022,dom", "--outDir", out,
	}, files...)...)
	t.Log(run(t, out, "node", sdk(t, "examples", "web", "vectors.mjs"), out, sdk(t, "vectors")))
}

// They are to be read and copied.
func TestTheExamplesAreShort(t *testing.T) {
	var files []string
	for _, pattern := range []string{"android/*.java", "ios/*.swift", "web/*"} {
		found, err := filepath.Glob(sdk(t, "examples", filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 12 {
		t.Fatalf("there are only %v", files)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); n >= 200 {
			t.Errorf("%s has %d lines, want fewer than 200", name, n)
		}
	}
}
