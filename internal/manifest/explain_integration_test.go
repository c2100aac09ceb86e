package manifest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/manifest"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/bucket"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// explaining is a service that explains, on a real API server, and the tokens of
// those who ask.
type explaining struct {
	*cluster
	*running
	host            string
	asker, stranger string
	askerName       string
	logged          func() string
}

// grant gives an account a ClusterRole of these rules.
func (c *cluster) grant(account string, rules ...rbacv1.PolicyRule) {
	c.Helper()
	name := c.namespace + "-" + account
	_, err := c.admin.RbacV1().ClusterRoles().Create(c.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}, metav1.CreateOptions{})
	c.check(err)
	_, err = c.admin.RbacV1().ClusterRoleBindings().Create(c.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: c.namespace + "-system", Name: account}},
	}, metav1.CreateOptions{})
	c.check(err)
}

func newExplaining(t *testing.T) *explaining {
	e := &explaining{cluster: newCluster(t)}
	e.host = "wallet"
	e.askerName = "system:serviceaccount:" + e.namespace + "-system:asker"
	cp := controlplane.ForTest(t)
	for account, token := range map[string]*string{"asker": &e.asker, "stranger": &e.stranger} {
		config, err := cp.ServiceAccount(t.Context(), e.namespace+"-system", account)
		e.check(err)
		*token = config.BearerToken
	}
	e.grant("asker", rbacv1.PolicyRule{APIGroups: []string{"miniprogram.dev"}, Resources: []string{"hostapps"}, ResourceNames: []string{e.host}, Verbs: []string{"explain"}})
	e.grant("manifest-service",
		rbacv1.PolicyRule{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
		rbacv1.PolicyRule{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}})
	cp.AwaitRight(t, e.askerName, authorizationv1.ResourceAttributes{Group: "miniprogram.dev", Resource: "hostapps", Verb: "explain", Name: e.host})
	cp.AwaitRight(t, "system:serviceaccount:"+e.namespace+"-system:manifest-service",
		authorizationv1.ResourceAttributes{Group: "authorization.k8s.io", Resource: "subjectaccessreviews", Verb: "create"})

	config, err := delivery.MarshalHostApp(&delivery.HostAppConfig{Name: e.host, Availability: "Active", Dialects: []string{"Resolve"}})
	e.check(err)
	maps := e.admin.CoreV1().ConfigMaps(e.namespace)
	_, err = maps.Create(t.Context(), e.configMap(e.host+".hostapp", delivery.KindHostApp, map[string]string{delivery.KeyHostApp: config}), metav1.CreateOptions{})
	e.check(err)
	_, err = maps.Create(t.Context(), e.document(1_000, rollsOut), metav1.CreateOptions{})
	e.check(err)
	var mu sync.Mutex
	var log strings.Builder
	e.logged = func() string {
		mu.Lock()
		defer mu.Unlock()
		return log.String()
	}
	e.running = e.run(e.service, "", func(o *manifest.Options) {
		o.Explain = true
		o.Log = funcr.New(func(_, line string) {
			mu.Lock()
			defer mu.Unlock()
			log.WriteString(line + "\n")
		}, funcr.Options{Verbosity: 10})
	})
	e.await(e.public+"/v1/hosts/"+e.host+"/programs/com.example.shop", 200, "")
	return e
}

const seed = "com.example.shop@test"

// rollsOut hands 1.1.0 to half of the users.
func rollsOut(r *document.Release) {
	target := *r.Stable
	target.Version, target.VersionCode, target.Delivery, target.Digest = "1.1.0", 2, 2, strings.Replace(digest, "0123", "4567", 1)
	r.Target = &target
	r.Split = &document.Split{Algorithm: bucket.Algorithm, By: "user", Seed: seed, BasisPoints: 5000}
}

func (e *explaining) post(what, host, token, body string) (int, string) {
	e.Helper()
	request, err := http.NewRequest(http.MethodPost, e.public+"/v1/hosts/"+host+"/"+what, strings.NewReader(body))
	e.check(err)
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	e.check(err)
	text, err := io.ReadAll(response.Body)
	e.check(err)
	e.check(response.Body.Close())
	if cache := response.Header.Get("Cache-Control"); !strings.Contains(cache, "no-store") {
		e.Errorf("%s may be cached: %s", what, cache)
	}
	return response.StatusCode, string(text)
}

func TestWhoHasTheVerbIsToldWhatAUserGetsAndWhy(t *testing.T) {
	e := newExplaining(t)
	for i := range 20 {
		user := fmt.Sprintf("user-%d", i)
		body := `{"user":"` + user + `","programs":[{"appID":"com.example.shop"},{"appID":"com.example.none"}]}`
		status, text := e.post("explain", e.host, e.asker, body)
		var explained, resolved struct{ Programs []map[string]any }
		e.check(json.Unmarshal([]byte(text), &explained))
		_, answer := e.post("resolve", e.host, "", body)
		e.check(json.Unmarshal([]byte(answer), &resolved))
		if status != http.StatusOK || strings.Contains(text, user) {
			t.Fatalf("the answer is %d %s", status, text)
		}
		b := bucket.Of(seed, user)
		cohort, is := "stable", "not below"
		if b < 5000 {
			cohort, is = "target", "below"
		}
		tried, _ := json.Marshal(explained.Programs[0]["tried"])
		if want := fmt.Sprintf(`{"outcome":"Decided","rule":"Bucket","why":"bucket %d is %s 5000 (50%%)"}`, b, is); !strings.Contains(string(tried), want) {
			t.Errorf("user %s: tried %s, which lacks %s", user, tried, want)
		}
		if explained.Programs[0]["cohort"] != cohort {
			t.Errorf("user %s is in cohort %v, want %s", user, explained.Programs[0]["cohort"], cohort)
		}
		for _, p := range explained.Programs {
			delete(p, "tried")
			delete(p, "cohort")
		}
		if diff := cmp.Diff(resolved, explained); diff != "" {
			t.Errorf("user %s: what is explained is not what is resolved (-resolved +explained):\n%s", user, diff)
		}
	}
	log := e.logged()
	if strings.Contains(log, "user-") || strings.Contains(log, e.asker) {
		t.Errorf("the log has a user's key, or the token:\n%s", log)
	}
	if n := strings.Count(log, `"to"="`+e.askerName+`"`); n != 20 {
		t.Errorf("the log names %d times who was told, want 20:\n%s", n, log)
	}
}

func TestNobodyElseIsTold(t *testing.T) {
	e := newExplaining(t)
	body := `{"user":"somebody","programs":[{"appID":"com.example.shop"}]}`
	stranger := "system:serviceaccount:" + e.namespace + "-system:stranger"
	many := `{"programs":[` + strings.Repeat(`{"appID":"a.b"},`, 20) + `{"appID":"a.b"}]}`
	lacks := " may not explain what users of this host app get: ask for verb explain on hostapps.miniprogram.dev with this name (ClusterRole miniprogram-explainer has it, by a ClusterRoleBinding)"
	for name, test := range map[string]struct {
		host, token, body string
		status            int
		code, detail      string
	}{
		"without a token":     {e.host, "", body, 401, "Unauthorized", "the request needs one header Authorization: Bearer with a token of the Kubernetes cluster"},
		"with a made-up one":  {e.host, "made-up", body, 401, "Unauthorized", "the Kubernetes cluster does not know this token: it may have expired"},
		"without the right":   {e.host, e.stranger, body, 403, "Forbidden", stranger + lacks},
		"of another host app": {"bank", e.asker, body, 403, "Forbidden", e.askerName + lacks},
		"too much at once":    {e.host, e.asker, many, 400, "InvalidRequest", "programs must have 1 to 20 entries, it has 21"},
		"something else":      {e.host, e.asker, `{"user":1}`, 400, "InvalidRequest", "user must be a string"},
	} {
		t.Run(name, func(t *testing.T) {
			status, text := e.post("explain", test.host, test.token, test.body)
			var got struct{ Code, Detail string }
			e.check(json.Unmarshal([]byte(text), &got))
			if status != test.status || got.Code != test.code || got.Detail != test.detail {
				t.Errorf("got %d %+v, want %d %s: %s", status, got, test.status, test.code, test.detail)
			}
		})
	}
}
