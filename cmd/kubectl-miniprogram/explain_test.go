package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/manifest"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/bucket"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// noBlobs is a registry without blobs.
type noBlobs struct{}

func (noBlobs) FetchBlob(context.Context, string, string) (io.ReadCloser, int64, error) {
	return nil, 0, errors.New("there are no blobs")
}

// counter is where people ask: a manifest service with one document, and
// kubeconfigs of who may explain, of who may not, and of who has no token.
type counter struct {
	*shelf
	host, url, seed            string
	asker, stranger, withoutIt string
}

func newCounter(t *testing.T) *counter {
	c := &counter{shelf: newShelf(t), seed: "seed"}
	plane := controlplane.ForTest(t)
	c.host = "wallet-" + c.namespace
	c.withoutIt = c.kubeconfig
	for account, file := range map[string]*string{"asker": &c.asker, "stranger": &c.stranger} {
		config, err := plane.ServiceAccount(t.Context(), c.namespace, account)
		must(t, err)
		*file = filepath.Join(t.TempDir(), account)
		must(t, plane.WriteKubeconfig(*file, config))
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: c.namespace}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"miniprogram.dev"}, Resources: []string{"hostapps"}, ResourceNames: []string{c.host}, Verbs: []string{"get", "explain"},
	}}}
	must(t, c.client.Create(t.Context(), role))
	must(t, c.client.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: c.namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: c.namespace},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: c.namespace, Name: "asker"}},
	}))
	plane.AwaitRight(t, "system:serviceaccount:"+c.namespace+":asker",
		authorizationv1.ResourceAttributes{Group: "miniprogram.dev", Resource: "hostapps", Verb: "explain", Name: c.host})
	c.serve(t, plane)
	return c
}

// serve publishes a document with 1.1.0 for five percent, and runs the service.
func (c *counter) serve(t *testing.T, plane *controlplane.ControlPlane) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	trusted, err := dsse.MarshalPublicKeyPEM(&key.PublicKey)
	must(t, err)
	keyFile := filepath.Join(t.TempDir(), "keys.pem")
	writeFile(t, keyFile, string(trusted))
	digest := "sha256:" + strings.Repeat("a", 64)
	variant := func(version string, code int64) *document.Variant {
		return &document.Variant{Delivery: code, Version: version, VersionCode: code, Digest: fmt.Sprintf("sha256:%064d", code), ContentDigest: digest,
			Archive: document.Blob{Digest: digest, Size: 1}, Content: document.Blob{Digest: digest, Size: 1}}
	}
	at := document.At(time.Now())
	payload, err := document.Marshal(&document.Release{
		Type: document.TypeRelease, AppID: "com.example.notes", Channel: "release", HostApps: []string{c.host},
		Rollout: document.Rollout{Namespace: c.namespace, Name: "notes"}, Sequence: 1, IssuedAt: at, ExpiresAt: document.At(at.Add(time.Hour)),
		PollSeconds: 300, Availability: document.Listed, Decide: document.DecideHost, Stable: variant("1.0.0", 1), Target: variant("1.1.0", 2),
		Split: &document.Split{Algorithm: bucket.Algorithm, By: "user", Seed: c.seed, BasisPoints: 500},
	})
	must(t, err)
	envelope, err := dsse.Sign(key, document.PayloadType, payload)
	must(t, err)
	raw, err := envelope.Marshal()
	must(t, err)
	config, err := delivery.MarshalHostApp(&delivery.HostAppConfig{Name: c.host, Availability: "Active"})
	must(t, err)
	for name, published := range map[string]map[string]string{
		delivery.HostAppConfigMap(c.host):               {delivery.DocumentLabel: delivery.KindHostApp, delivery.KeyHostApp: config},
		delivery.RolloutConfigMap(c.namespace, "notes"): {delivery.DocumentLabel: delivery.KindRollout, delivery.KeyEnvelope: string(raw), delivery.KeyRepository: "notes"},
	} {
		labels := map[string]string{v1alpha1.PublishedLabel: "true", delivery.DocumentLabel: published[delivery.DocumentLabel]}
		delete(published, delivery.DocumentLabel)
		must(t, c.client.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name, Labels: labels}, Data: published}))
	}
	admin, err := kubernetes.NewForConfig(plane.Admin())
	must(t, err)
	service, err := manifest.New(manifest.Options{
		Client: admin, Namespace: c.namespace, TrustedKeys: keyFile, Blobs: noBlobs{}, CacheDir: t.TempDir(), Explain: true, Log: logr.Discard(),
	})
	must(t, err)
	server := httptest.NewServer(service.Handler())
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
	})
	c.url = server.URL
	deadline := time.Now().Add(20 * time.Second)
	for {
		response, err := http.Get(c.url + "/v1/hosts/" + c.host + "/programs/com.example.notes")
		must(t, err)
		must(t, response.Body.Close())
		if response.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the service answers %d", response.StatusCode)
		}
	}
}

func (c *counter) explain(t *testing.T, kubeconfig string, args ...string) (code int, out, problems string) {
	t.Helper()
	return plugin(t, append([]string{"explain", "--kubeconfig", kubeconfig, "--host", c.host, "com.example.notes"}, args...)...)
}

func TestAUserIsExplained(t *testing.T) {
	c := newCounter(t)
	h := &v1alpha1.HostApp{ObjectMeta: metav1.ObjectMeta{Name: c.host}}
	h.Spec.DisplayName = "Wallet"
	must(t, c.client.Create(t.Context(), h))
	code, _, problems := c.explain(t, c.asker, "--user", "alice")
	if want := "error: HostApp " + c.host + " has no address yet (status.url): start the manager with --manifest-url, or give it with --service\n"; code != exitFailed || problems != want {
		t.Errorf("without an address: exit code %d, %q, want %q", code, problems, want)
	}
	h.Status.URL = delivery.HostURL(c.url, c.host)
	must(t, c.client.Status().Update(t.Context(), h))
	for i := range 40 {
		user := fmt.Sprintf("user-%d", i)
		b := bucket.Of(c.seed, user)
		want := fmt.Sprintf("user %s gets 1.0.0 (stable): bucket %d is not below 500 (5%%)", user, b)
		if b < 500 {
			want = fmt.Sprintf("user %s gets 1.1.0 (target): bucket %d is below 500 (5%%)", user, b)
		}
		code, out, problems := c.explain(t, c.asker, "--user", user)
		if code != exitOK || !strings.HasSuffix(out, "\n\n"+want+"\n") {
			t.Errorf("exit code %d, %s%s, want %s", code, out, problems, want)
		}
	}
	code, out, problems := c.explain(t, c.asker, "--user", "alice", "-o", "json", "--installed", fmt.Sprintf("sha256:%064d", 2))
	var got struct{ Programs []explanation }
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitOK || len(got.Programs) != 1 || got.Programs[0].Action != decide.ActionRollback {
		t.Errorf("as JSON: exit code %d, %s%s (%v)", code, out, problems, err)
	}
}

func TestWhoCannotBeExplainedTo(t *testing.T) {
	c := newCounter(t)
	at := "--service=" + c.url
	where := c.url + "/v1/hosts/" + c.host + "/explain"
	for name, test := range map[string]struct {
		kubeconfig string
		args       []string
		want       string
	}{
		"without the right": {c.stranger, []string{at}, "asking " + where + ": the answer is 403 Forbidden: system:serviceaccount:" + c.namespace +
			":stranger may not explain what users of this host app get: ask for verb explain on hostapps.miniprogram.dev with this name (ClusterRole miniprogram-explainer has it, by a ClusterRoleBinding)"},
		"with a token of nobody": {c.withoutIt, []string{at, "--token", "made-up"}, "asking " + where + ": the answer is 401 Unauthorized: the Kubernetes cluster does not know this token: it may have expired"},
		"with a certificate":     {c.withoutIt, []string{at}, "the manifest service needs a token of yours, and this kubeconfig has none (a client certificate is no token): give one with --token, such as --token \"$(kubectl create token ACCOUNT -n NAMESPACE)\" of a service account that may explain HostApp " + c.host},
		"as another":             {c.asker, []string{at, "--as", "alice"}, "--as does not reach the manifest service, which asks the API server whose the token is: give a token of that user with --token"},
		"over http": {c.asker, []string{"--service=http://mini.example.com/"}, "the manifest service's address is http://mini.example.com/v1/hosts/" + c.host +
			", and a token is not sent to another machine over http: give it an address with https, or reach it by kubectl port-forward and --service http://127.0.0.1:PORT"},
		"of no host app": {c.asker, []string{at, "--host="}, "--host is required: the name of a HostApp"},
		"of no HostApp":  {c.withoutIt, []string{"--token=", "--host=none"}, "HostApp none does not exist: correct --host"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, problems := c.explain(t, test.kubeconfig, test.args...)
			if code != exitFailed || out != "" || problems != "error: "+test.want+"\n" {
				t.Errorf("exit code %d, %q, %q, want %q", code, out, problems, test.want)
			}
		})
	}
}

func TestATokenFollowsNoRedirect(t *testing.T) {
	c := newCounter(t)
	asked := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer elsewhere.Close()
	from := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer from.Close()
	code, _, problems := c.explain(t, c.asker, "--service", from.URL)
	if code != exitFailed || asked != 0 || !strings.Contains(problems, "the answer is 307 Temporary Redirect") {
		t.Errorf("exit code %d, %q, asked elsewhere %d times", code, problems, asked)
	}
}

func TestADecisionInOneSentence(t *testing.T) {
	passed, decided := decide.OutcomePassed, decide.OutcomeDecided
	bucketed := decide.Tried{Rule: decide.RuleBucket, Outcome: decided, Why: "bucket 312 is below 500 (5%)"}
	unfit := decide.Tried{Rule: decide.RuleTargetFits, Outcome: passed, Why: "the host app cannot run 1.1.0"}
	installed := decide.Tried{Rule: decide.RuleInstalled, Outcome: decided, Why: "nothing is installed: install"}
	for want, e := range map[string]explanation{
		"user alice gets 1.1.0 (target): bucket 312 is below 500 (5%)": {
			Version: "1.1.0", Cohort: decide.CohortTarget, Tried: []decide.Tried{{Rule: decide.RuleTarget, Outcome: passed, Why: "x"}, bucketed, installed}},
		"user alice gets 1.0.0 (stable): bucket 312 is below 500 (5%), but the host app cannot run 1.1.0": {
			Version: "1.0.0", Cohort: decide.CohortStable, Tried: []decide.Tried{bucketed, unfit, installed}},
		"user alice gets 0.9.0 (stable): nothing is being rolled out, but the host app cannot run 1.0.0, and 0.9.0 is older": {
			Version: "0.9.0", Cohort: decide.CohortStable, Tried: []decide.Tried{
				{Rule: decide.RuleTarget, Outcome: decided, Why: "nothing is being rolled out"}, {Rule: decide.RuleStableFits, Outcome: passed, Why: "the host app cannot run 1.0.0"},
				{Rule: decide.RuleFallback, Outcome: decided, Why: "0.9.0 is older"}, installed}},
		"user alice gets nothing: the program is Suspended; what is installed is removed": {
			Cohort: decide.CohortNone, Action: decide.ActionRemove, Tried: []decide.Tried{{Rule: decide.RuleAvailability, Outcome: decided, Why: "the program is Suspended"}}},
	} {
		if got := e.sentence("alice"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := (&explanation{Reason: "Other"}).sentence(""); got != "a request without a user gets nothing: Other" {
		t.Errorf("got %q", got)
	}
}
