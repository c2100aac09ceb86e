package admissiontest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/config/admission"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

// The namespaces of the install, and that of the tests' developer group.
const (
	system    = "miniprogram-system"
	published = "miniprogram-published"
	team      = "shop-team"
)

// The people and accounts of the tests. What each may do is in
// testdata/rights.yaml.
const (
	installer  = "installer"  // system:masters
	controller = "controller" // the manager's service account
	dora       = "dora"       // developer, the author of everything
	dan        = "dan"        // developer, with a Role that says transfer
	rita       = "rita"       // decides on shop in role privacy
	wanda      = "wanda"      // as rita, and for host app wallet
	quentin    = "quentin"    // decides on shop in role quality
	olivia     = "olivia"     // as rita, and may overrule
	olga       = "olga"       // operator
	paul       = "paul"       // may patch rollouts, programs and versions, and set no action
	pia        = "pia"        // as paul, and may pause
	adam       = "adam"       // admin
	gitops     = "gitops"     // developer who may submit for others
	carl       = "carl"       // cluster-admin, with rita's right by name
	nadia      = "nadia"      // cluster-admin in the team's namespace, with rita's right by name
	leon       = "leon"       // may write every status subresource
	petra      = "petra"      // may write ConfigMaps in the publication namespace
	otis       = "otis"       // decides on suspended in role privacy
	hugo       = "hugo"       // as rita, and for host app bank
	argo       = "argo"       // Argo CD's controller: everything, with rita's right by name
)

// world is an installation with users and objects. Tests share it, and change
// its objects only in dry runs.
type world struct {
	plane   *controlplane.ControlPlane
	scheme  *runtime.Scheme
	manager *rest.Config
	argo    *rest.Config

	mu      sync.Mutex
	clients map[string]client.Client
}

var (
	buildOnce sync.Once
	shared    *world
	errShared error
)

// theWorld returns the shared world, built when first asked for.
func theWorld(t testing.TB) *world {
	t.Helper()
	plane := controlplane.ForTest(t)
	buildOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		shared, errShared = build(ctx, plane)
	})
	if errShared != nil {
		t.Fatal(errShared)
	}
	return shared
}

// build installs config/install, gives the users their rights, waits until
// every policy bites, and creates the objects.
func build(ctx context.Context, plane *controlplane.ControlPlane) (*world, error) {
	log.SetLogger(logr.Discard()) // controller-runtime's clients ask for one
	w := &world{plane: plane, scheme: runtime.NewScheme(), clients: map[string]client.Client{}}
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(w.scheme); err != nil {
			return nil, err
		}
	}
	root, err := controlplane.RepositoryDir()
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"config/install", "internal/admissiontest/testdata"} {
		if err := controlplane.Apply(ctx, plane.Admin(), filepath.Join(root, dir)); err != nil {
			return nil, err
		}
	}
	if w.manager, err = plane.ServiceAccount(ctx, system, "miniprogram-manager"); err != nil {
		return nil, err
	}
	if w.argo, err = plane.ServiceAccount(ctx, "argocd", "argocd-application-controller"); err != nil {
		return nil, err
	}
	if err := w.installGuards(ctx); err != nil {
		return nil, err
	}
	if err := w.waitForPolicies(ctx); err != nil {
		return nil, err
	}
	if err := w.createObjects(ctx); err != nil {
		return nil, err
	}
	return w, w.waitForStamps(ctx, true)
}

// installGuards writes the policies that are compiled in over those that were
// just applied: they are the same, unless a mutant was compiled in.
func (w *world) installGuards(ctx context.Context) error {
	guards, err := admission.Read()
	if err != nil {
		return err
	}
	for i := range guards.Policies {
		want, live := &guards.Policies[i], &admissionv1.ValidatingAdmissionPolicy{}
		if err := w.as(installer).Get(ctx, client.ObjectKeyFromObject(want), live); err != nil {
			return err
		}
		before := live.DeepCopy()
		want.Spec.DeepCopyInto(&live.Spec)
		if err := w.as(installer).Patch(ctx, live, client.MergeFrom(before)); err != nil {
			return fmt.Errorf("writing ValidatingAdmissionPolicy %s: %w", want.Name, err)
		}
	}
	return nil
}

// probes are denied by one policy each, for somebody whom RBAC lets pass. The
// policies that look at what is there (deletions, supersedes) are seen to bite
// on the first object that they are about.
var probes = map[string]request{
	"miniprogram-review-lifecycle": create("Review", "probe", pendingReview),
	"miniprogram-review-decisions": create("Review", "probe", pendingReview+"\n  decision: Approved\n  reviewer: installer"),
	"miniprogram-version-authors":  create("MiniProgramVersion", "probe", version+"\n  submittedBy: somebody"),
	"miniprogram-mini-programs":    create("MiniProgram", "probe", "spec: {appID: probe, displayName: Probe, hostApps: [wallet]}"),
	"miniprogram-actions":          create("Rollout", "probe", rollout+"\nmetadata: {annotations: {miniprogram.dev/action: probe@1}}"),
	"miniprogram-publication":      create("ConfigMap", "probe.rollout", "metadata: {namespace: miniprogram-published}"),
}

// waitForPolicies returns when every policy that a creation can show was seen to
// deny.
func (w *world) waitForPolicies(ctx context.Context) error {
	who := map[string]string{"miniprogram-publication": petra, "miniprogram-version-authors": dora}
	for policy, probe := range probes {
		user := who[policy]
		if user == "" {
			user = installer
		}
		var last error
		err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
			_, last = w.try(ctx, user, probe)
			return last != nil && strings.Contains(last.Error(), "'"+policy+"'"), nil
		})
		if err != nil {
			return fmt.Errorf("waiting for policy %s to deny: %w; last answer: %v", policy, err, last)
		}
	}
	return nil
}

// createObjects creates testdata/objects.yaml.
func (w *world) createObjects(ctx context.Context) error {
	data, err := os.ReadFile(filepath.Join("testdata", "objects.yaml"))
	if err != nil {
		return err
	}
	for _, document := range bytes.Split(data, []byte("\n---\n")) {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &o.Object); err != nil {
			return fmt.Errorf("reading testdata/objects.yaml: %w", err)
		}
		if err := w.createObject(ctx, o); err != nil {
			return fmt.Errorf("creating %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return nil
}

func (w *world) createObject(ctx context.Context, o *unstructured.Unstructured) error {
	annotations, script := map[string]string{}, map[string]string{}
	for key, value := range o.GetAnnotations() {
		if name, ok := strings.CutPrefix(key, "test/"); ok {
			script[name] = value
		} else {
			annotations[key] = value
		}
	}
	o.SetAnnotations(annotations)
	if o.GetNamespace() == "" && namespaced(o.GetKind()) {
		o.SetNamespace(team)
	}
	if err := w.as(script["by"]).Create(ctx, o); err != nil {
		return err
	}
	if then := script["then"]; then != "" {
		patch, err := yaml.YAMLToJSON([]byte(then))
		if err != nil {
			return err
		}
		if err := w.as(script["then-by"]).Patch(ctx, o, client.RawPatch(types.MergePatchType, patch)); err != nil {
			return err
		}
	}
	if status := script["status"]; status != "" {
		patch, err := yaml.YAMLToJSON([]byte("status:\n  " + strings.ReplaceAll(status, "\n", "\n  ")))
		if err != nil {
			return err
		}
		return w.as(controller).Status().Patch(ctx, o, client.RawPatch(types.MergePatchType, patch))
	}
	return nil
}

// as returns a client that acts as the user.
func (w *world) as(user string) client.Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.clients[user]; ok {
		return c
	}
	cfg := w.plane.User(user)
	switch user {
	case installer:
		cfg = w.plane.User(user, "system:masters")
	case controller:
		cfg = w.manager
	case argo:
		cfg = w.argo
	}
	c, err := client.New(cfg, client.Options{Scheme: w.scheme})
	if err != nil {
		panic(fmt.Sprintf("creating a client for %s: %v", user, err)) // the configuration comes from the control plane itself
	}
	w.clients[user] = c
	return c
}
