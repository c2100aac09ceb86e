package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

func TestTheClusterNamesRepositories(t *testing.T) {
	version := func(program, digest string) v1alpha1.MiniProgramVersion {
		return v1alpha1.MiniProgramVersion{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop-team", Name: program + digest},
			Spec:       v1alpha1.MiniProgramVersionSpec{MiniProgramRef: v1alpha1.MiniProgramReference{Name: program}},
			Status:     v1alpha1.MiniProgramVersionStatus{Artifact: &v1alpha1.Artifact{Digest: digest}},
		}
	}
	variant := func(repository, digest string) v1alpha1.Variant {
		return v1alpha1.Variant{Repository: "registry.example.com/mini/" + repository, Digest: digest}
	}
	stable := variant("former-team/shop", "sha256:d")
	deleted, unpublished := version("shop", "sha256:z"), version("notes", "")
	deleted.Status.Artifact.DeletionTime, unpublished.Status.Artifact = &metav1.Time{}, nil
	got := repositoriesOf(
		[]v1alpha1.MiniProgramVersion{version("shop", "sha256:b"), version("shop", "sha256:a"), deleted, unpublished},
		[]v1alpha1.Rollout{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop-team", Name: "shop"},
			Status:     v1alpha1.RolloutStatus{Stable: &stable, Rollbacks: []v1alpha1.Variant{variant("shop-team/shop", "sha256:c")}, Document: &v1alpha1.DocumentFacts{AppID: "com.example.shop"}},
		}},
		[]v1alpha1.HostApp{{ObjectMeta: metav1.ObjectMeta{Name: "wallet"}}},
	)
	want := []repository{
		{name: "former-team/shop", digests: []string{"sha256:d"}},
		{name: journal.AppRepository("com.example.shop"), optional: true},
		{name: "journal.v1/hostapps/wallet", optional: true},
		{name: "journal.v1/rollouts/shop-team/shop", optional: true},
		{name: "shop-team/shop", digests: []string{"sha256:a", "sha256:b", "sha256:c"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(repository{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRegistryCopySaysWhatItDid(t *testing.T) {
	layer := func(text string) registrytest.Layer {
		return registrytest.Layer{MediaType: "text/plain", Data: []byte(text)}
	}
	from := registrytest.Start(t, registrytest.Options{}).Host()
	to := registrytest.Start(t, registrytest.Options{}).Host()
	shop := registrytest.Push(t, from, "mini/shop-team/shop", "1.0.0", nil, layer("shop"))
	registrytest.Push(t, from, "mini/shop-team/shop", "", &shop, layer("signature"))
	registrytest.Push(t, from, "mini/journal.v1/rollouts/shop-team/shop", "s1", nil, layer("entry"))
	copies := func(flags ...string) (int, string, string) {
		return plugin(t, append([]string{"registry", "copy", "--from", from + "/mini", "--to", to + "/other/prefix", "--plain-http", "--concurrency=1"}, flags...)...)
	}
	code, out, problems := copies("--verify-only")
	if code != exitUnacceptable || !strings.Contains(out, "1/2 journal.v1/rollouts/shop-team/shop: 1 tag, 0 referrers, DIFFERS\n    manifest sha256:") ||
		!strings.Contains(out, "\n    tag 1.0.0 is not at the target\n0 of 2 repositories are the same at ") || problems != "error: 2 repositories not the same at "+to+"/other/prefix\n" {
		t.Errorf("verifying before: exit code %d\n%s%s", code, out, problems)
	}
	code, out, problems = copies()
	if code != exitOK || !strings.HasPrefix(out, "1/2 journal.v1/rollouts/shop-team/shop: 1 tag, 0 referrers, ") || !strings.Contains(out, "2/2 shop-team/shop: 1 tag, 1 referrer, ") || !strings.Contains(out, "2 of 2 repositories are the same at "+to+"/other/prefix: 2 tags, 1 referrer; ") {
		t.Errorf("copying: exit code %d\n%s%s", code, out, problems)
	}
	code, out, problems = copies()
	if code != exitOK || !strings.HasSuffix(out, "2 of 2 repositories are the same at "+to+"/other/prefix: 2 tags, 1 referrer; 0 bytes sent\n") {
		t.Errorf("copying again: exit code %d\n%s%s", code, out, problems)
	}
	code, out, problems = copies("--repository", "shop-team/shop,shop-team/none")
	if code != exitFailed || !strings.Contains(out, "shop-team/none: FAILED: the registry "+from+" does not hold ") || problems != "error: 1 repository failed: what has arrived is not sent again when you repeat the command\n" {
		t.Errorf("one that is not there: exit code %d\n%s%s", code, out, problems)
	}
	registrytest.Push(t, from, "mini/shop-team/shop", "2.0.0", nil, layer("shop 2"))
	registrytest.Push(t, to, "other/prefix/shop-team/shop", "2.0.0", nil, layer("another"))
	code, out, problems = copies()
	if code != exitUnacceptable || !strings.Contains(out, "\n    tag 2.0.0 names sha256:") || problems != "error: 1 repository not the same at "+to+"/other/prefix\n" {
		t.Errorf("a tag that is taken: exit code %d\n%s%s", code, out, problems)
	}
}

func TestARegistryThatCannotBeCopiedIsTold(t *testing.T) {
	open := registrytest.Start(t, registrytest.Options{}).Host()
	registrytest.Push(t, open, "mini/shop-team/shop", "1.0.0", nil, registrytest.Layer{MediaType: "text/plain", Data: []byte("shop")})
	closed := registrytest.Start(t, registrytest.Options{BasicAuth: true}).Host()
	silent := registrytest.Faulty(t, open, func(r *http.Request) *registrytest.Fault {
		if strings.HasPrefix(r.URL.Path, "/v2/_catalog") {
			return &registrytest.Fault{Status: http.StatusNotFound, Body: "{}"}
		}
		return nil
	})
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	for name, test := range map[string]struct {
		args      []string
		out, want string
	}{
		"nothing":             {nil, "", "--from and --to are required, as HOST/PREFIX"},
		"one place":           {[]string{"--from", "a/b", "--to", "a/b"}, "", "--from and --to name the same place"},
		"an address":          {[]string{"--from", "https://a/b", "--to", "a/b"}, "", `--from is "https://a/b": write HOST[:PORT]/PREFIX, without a scheme or a tag`},
		"a tag":               {[]string{"--from", "a/b", "--to", "a/c:1"}, "", `--to is "a/c:1": write HOST[:PORT]/PREFIX`},
		"much at once":        {[]string{"--from", "a/b", "--to", "a/c", "--concurrency", "33"}, "", "--concurrency is 33: it must be 1 to 32"},
		"two lists":           {[]string{"--from", "a/b", "--to", "a/c", "--from-cluster", "--repository", "x/y"}, "", "--from-cluster and --repository exclude each other"},
		"a missing file":      {[]string{"--from", "a/b", "--to", "a/c", "--ca-file", filepath.Join(t.TempDir(), "none")}, "", "--ca-file: "},
		"no catalogue":        {[]string{"--from", silent + "/mini", "--to", open + "/other", "--plain-http"}, "", "(a registry without a catalogue: add --from-cluster, or name what to copy with --repository)"},
		"an empty prefix":     {[]string{"--from", open + "/none", "--to", open + "/other", "--plain-http"}, "", "there is nothing below " + open + "/none: correct --from"},
		"a closed source":     {[]string{"--from", closed + "/mini", "--to", open + "/other", "--plain-http"}, "", "the registry " + closed + " does not let you read there: log in with `docker login " + closed + "`"},
		"a closed target":     {[]string{"--from", open + "/mini", "--to", closed + "/mini", "--plain-http"}, "FAILED: the registry " + closed + " does not let you write there: log in with `docker login " + closed + "`", "1 repository failed"},
		"a registry in http":  {[]string{"--from", open + "/mini", "--to", open + "/other", "--repository", "shop-team/shop"}, "add --plain-http", "1 repository failed"},
		"no registry at all":  {[]string{"--from", "127.0.0.1:1/mini", "--to", open + "/other", "--plain-http"}, "", "the registry 127.0.0.1:1 does not answer"},
		"no cluster to ask":   {[]string{"--from", open + "/mini", "--to", open + "/other", "--plain-http", "--from-cluster", "--kubeconfig", filepath.Join(t.TempDir(), "none")}, "", "finding the cluster: "},
		"a repository's name": {[]string{"--from", open + "/mini", "--to", open + "/other", "--plain-http", "--repository", "Shop"}, "has no valid name", "1 repository failed"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, problems := plugin(t, append([]string{"registry", "copy"}, test.args...)...)
			if code != exitFailed || !strings.Contains(out, test.out) || !strings.HasPrefix(problems, "error: ") || !strings.Contains(problems, test.want) {
				t.Errorf("exit code %d, %q, %q; want %d, %q, %q", code, out, problems, exitFailed, test.out, test.want)
			}
		})
	}
}
