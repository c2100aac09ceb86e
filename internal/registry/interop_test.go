//go:build interop

package registry

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source/cosign"
)

// eachRegistry runs a test on both sorts of registries.
func eachRegistry(t *testing.T, test func(t *testing.T, from, to *registrytest.Registry)) {
	t.Helper()
	t.Run("with the referrers API", func(t *testing.T) {
		test(t, registrytest.StartReferrers(t), registrytest.Start(t, registrytest.Options{}))
	})
	t.Run("without the referrers API", func(t *testing.T) {
		test(t, registrytest.Start(t, registrytest.Options{}), registrytest.StartReferrers(t))
	})
}

// run runs a tool in dir and returns what it prints.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "COSIGN_PASSWORD=")
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, log.String())
	}
	return out.String()
}

const publishedTag = "mini/shop-team/shop:1.2.0_build.7"

func TestInteropCopiesKeepTheDigest(t *testing.T) {
	eachRegistry(t, func(t *testing.T, from, to *registrytest.Registry) {
		p := publish(t, clientOf(from.Host()), artifact(t))
		for tool, copyArtifact := range map[string]func(dir, from, to string){
			"crane": func(dir, from, to string) {
				run(t, dir, "crane", "copy", from, to)
			},
			"skopeo": func(dir, from, to string) {
				run(t, dir, "skopeo", "copy", "--insecure-policy", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false", "docker://"+from, "docker://"+to)
			},
		} {
			t.Run(tool, func(t *testing.T) {
				copied := to.Host() + "/copies/" + tool + ":1.2.0"
				copyArtifact(t.TempDir(), from.Host()+"/"+publishedTag, copied)
				raw := run(t, t.TempDir(), "crane", "manifest", copied)
				if diff := cmp.Diff(p.Digest, digest.FromString(raw).String()); diff != "" {
					t.Error(diff)
				}
				f, err := sourceOf().Fetch(t.Context(), copied, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if diff := cmp.Diff([]string{p.Archive.Digest.String(), p.Digest}, []string{f.SHA256, f.Resolved}); diff != "" {
					t.Error(diff)
				}
			})
		}
	})
}

func sourceOf() *source.OCI {
	guard := source.Guard{AllowInsecure: true, AllowedNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, RequestsPerSecond: 1000}
	return source.NewOCI(source.NewTransport(guard), source.Limits{}, "test/1")
}

// What cosign signs with a key, offline, is a source that is trusted, in both of
// its layouts, and cosign agrees.
func TestInteropCosignSignsWhatWePublishAndFetch(t *testing.T) {
	eachRegistry(t, func(t *testing.T, from, _ *registrytest.Registry) {
		dir := t.TempDir()
		run(t, dir, "cosign", "generate-key-pair")
		pem, err := os.ReadFile(filepath.Join(dir, "cosign.pub"))
		if err != nil {
			t.Fatal(err)
		}
		trusted, err := (*cosign.Verifier)(nil).For(cosign.Trust{Keys: []cosign.Key{{Name: "release", PEM: string(pem)}}})
		if err != nil {
			t.Fatal(err)
		}
		for layout, flags := range map[string][]string{
			"payload": {"--new-bundle-format=false"},
			"bundle":  {"--new-bundle-format=true"},
		} {
			t.Run(layout, func(t *testing.T) {
				c := config()
				c.Version = map[string]string{"payload": "1.0.0", "bundle": "2.0.0"}[layout] // an artifact of its own
				p := publish(t, clientOf(from.Host()), artifactOf(t, c, "content"))
				ref := p.Repository + "@" + p.Digest
				if _, err := sourceOf().Fetch(t.Context(), ref, nil, trusted); err == nil {
					t.Fatal("it is trusted before it is signed")
				}
				sign := []string{"sign", "--key=cosign.key", "--tlog-upload=false", "--use-signing-config=false", "--yes"}
				run(t, dir, "cosign", slices.Concat(sign, flags, []string{ref})...)
				run(t, dir, "cosign", slices.Concat([]string{"verify", "--key=cosign.pub", "--insecure-ignore-tlog=true"}, flags, []string{ref})...)
				f, err := sourceOf().Fetch(t.Context(), ref, nil, trusted)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if diff := cmp.Diff([]string{"key release", c.ArchiveSHA256}, []string{f.VerifiedBy, f.SHA256}); diff != "" {
					t.Error(diff)
				}
			})
		}
	})
}
