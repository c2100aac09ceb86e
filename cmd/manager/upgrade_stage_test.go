package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// restore unpacks and starts the control plane and the registry.
func restore(t *testing.T, archive string) *upgrade {
	t.Helper()
	u := &upgrade{platform: &platform{name: "upgrade"}, kept: t.TempDir(), store: memory{}}
	if out, err := exec.CommandContext(t.Context(), "tar", "-xzf", archive, "-C", u.kept).CombinedOutput(); err != nil {
		t.Fatalf("unpacking %s: %v\n%s", archive, err, out)
	}
	var err error
	u.plane, err = controlplane.Start(t.Context(), controlplane.Options{Dir: filepath.Join(u.kept, "controlplane"), ControllerManager: true})
	must(t, err)
	t.Cleanup(func() { must(t, u.plane.Stop()) })
	scheme := runtime.NewScheme()
	must(t, clientgoscheme.AddToScheme(scheme))
	must(t, v1alpha1.AddToScheme(scheme))
	u.client, err = client.NewWithWatch(u.plane.Admin(), client.Options{Scheme: scheme})
	must(t, err)
	// Objects name the registry with its port.
	const port = 19473
	registry := registrytest.Start(t, registrytest.Options{Dir: filepath.Join(u.kept, "registry"), Port: port})
	if u.registry = registry.Host(); u.registry != fmt.Sprintf("127.0.0.1:%d", port) {
		t.Fatalf("port %d is taken, and what was recorded needs it", port)
	}
	u.build(t, u.plane)
	addresses := make([]string, 3)
	for i := range addresses {
		free, err := child.FreePort()
		must(t, err)
		addresses[i] = "127.0.0.1:" + strconv.Itoa(free)
	}
	u.url, u.private, u.metrics = "http://"+addresses[0], addresses[1], addresses[2]
	return u
}

// startService starts the manifest service of this tree on the state of the earlier one.
func (u *upgrade) startService(t *testing.T) {
	t.Helper()
	binary := filepath.Join(u.dir, "manifest-service")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, "../manifest-service")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the manifest service: %v\n%s", err, out)
	}
	identity, err := u.plane.ServiceAccount(t.Context(), "miniprogram-system", "miniprogram-manifest-service")
	must(t, err)
	kubeconfig := filepath.Join(u.dir, "service.kubeconfig")
	must(t, u.plane.WriteKubeconfig(kubeconfig, identity))
	in := func(name string) string { return filepath.Join(u.kept, "manifest-service", name) }
	service, err := child.Start(child.Command{Path: binary, Log: filepath.Join(u.dir, "service.log"), Args: []string{
		"-kubeconfig=" + kubeconfig, "-trusted-keys=" + in("keys"), "-state-dir=" + in("state"), "-blob-cache-dir=" + in("blobs"),
		"-registry=" + u.registry, "-registry-plain-http", "-registry-prefix=miniprograms", "-shutdown-delay=0s",
		"-addr=" + strings.TrimPrefix(u.url, "http://"), "-private-addr=" + u.private,
	}})
	must(t, err)
	t.Cleanup(func() { must(t, service.Stop(10*time.Second)) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, service.AwaitReady(ctx, func(ctx context.Context) error {
		_, err := get(ctx, "http://"+u.private+"/readyz")
		return err
	}))
}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4<<20))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return string(text), err
}

var passes = regexp.MustCompile(`(?m)^controller_runtime_reconcile_total\{controller="([a-z]+)",result="(success|requeue_after)"\} (\d+)$`)

// awaitPasses waits until the manager has looked at as many objects of each kind as
// there are, by its own count.
func (u *upgrade) awaitPasses(t *testing.T) {
	t.Helper()
	want := map[string]int{}
	for _, list := range kinds() {
		must(t, u.client.List(t.Context(), list))
		want[strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", list), "*v1alpha1."), "List"))] = meta.LenList(list)
	}
	u.await(t, "the manager has looked at everything", func() string {
		text, err := get(t.Context(), "http://"+u.metrics+"/metrics")
		if err != nil {
			return err.Error()
		}
		count := map[string]int{}
		for _, m := range passes.FindAllStringSubmatch(text, -1) {
			n, err := strconv.Atoi(m[3])
			must(t, err)
			count[m[1]] += n
		}
		for _, kind := range slices.Sorted(maps.Keys(want)) {
			if count[kind] < want[kind] {
				return fmt.Sprintf("%d passes of %s, and there are %d", count[kind], kind, want[kind])
			}
		}
		return ""
	})
}
