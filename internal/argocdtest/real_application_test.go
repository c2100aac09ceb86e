//go:build argocd

package argocdtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// application is what the test reads of an Application.
type application struct {
	Metadata struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Status struct {
		Sync struct {
			Status   string `json:"status"`
			Revision string `json:"revision"`
		} `json:"sync"`
		Health     Health `json:"health"`
		Conditions []struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"conditions"`
		OperationState struct {
			Phase      string `json:"phase"`
			Message    string `json:"message"`
			StartedAt  string `json:"startedAt"`
			SyncResult struct {
				Revision  string `json:"revision"`
				Resources []struct {
					Kind    string `json:"kind"`
					Name    string `json:"name"`
					Status  string `json:"status"`
					Message string `json:"message"`
				} `json:"resources"`
			} `json:"syncResult"`
		} `json:"operationState"`
		Resources []struct {
			Kind            string `json:"kind"`
			Name            string `json:"name"`
			Status          string `json:"status"`
			RequiresPruning bool   `json:"requiresPruning"`
		} `json:"resources"`
	} `json:"status"`
}

func argoObject(kind, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: kind})
	o.SetNamespace(argoNamespace)
	o.SetName(name)
	return o
}

// app reads an Application.
func (i *installation) app(ctx context.Context, name string) (application, error) {
	var a application
	o := argoObject("Application", name)
	if err := i.admin.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return a, err
	}
	data, err := o.MarshalJSON()
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(data, &a)
}

// String tells what a failed test has to know.
func (a application) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %.7s, %s; operation %s since %s: %s", a.Status.Sync.Status, a.Status.Sync.Revision, a.Status.Health.Status,
		a.Status.OperationState.Phase, a.Status.OperationState.StartedAt, a.Status.OperationState.Message)
	for _, c := range a.Status.Conditions {
		fmt.Fprintf(&b, "\n  %s: %s", c.Type, c.Message)
	}
	for _, r := range a.Status.Resources {
		if r.Status != "Synced" {
			fmt.Fprintf(&b, "\n  %s %s is %s", r.Kind, r.Name, r.Status)
		}
	}
	for _, r := range a.Status.OperationState.SyncResult.Resources {
		if r.Status != "Synced" && r.Status != "Pruned" {
			fmt.Fprintf(&b, "\n  syncing %s %s: %s %s", r.Kind, r.Name, r.Status, r.Message)
		}
	}
	return b.String()
}

// annotate sets an annotation of an object of Argo CD.
func (i *installation) annotate(t testing.TB, kind, name, key, value string) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{key: value}}})
	must(t, err)
	must(t, i.admin.Patch(t.Context(), argoObject(kind, name), client.RawPatch("application/merge-patch+json", patch)))
}

// refresh lets Argo CD compare the cluster with the newest commit, as the webhook of a
// Git server does, and returns what it found.
func (i *installation) refresh(t testing.TB, name string) application {
	t.Helper()
	const key = "argocd.argoproj.io/refresh"
	i.annotate(t, "Application", name, key, "hard")
	var a application
	eventually(t, "Application "+name+" to be compared", func() string {
		var err error
		if a, err = i.app(t.Context(), name); err != nil {
			return err.Error()
		}
		if a.Metadata.Annotations[key] != "" {
			return a.String()
		}
		return ""
	})
	return a
}

// syncs waits until an Application is Synced with the newest commit and no sync is
// going on, and stays so. A sync of kinds may be followed by one more of a few objects,
// for until Argo CD watches the kinds anew it looks at what they were.
func (i *installation) syncs(t testing.TB, name string) {
	t.Helper()
	head := i.git.head(t)
	i.refresh(t, name)
	eventually(t, "Application "+name+" to be synced with "+head, func() string {
		a, err := i.app(t.Context(), name)
		if err != nil {
			return err.Error()
		}
		if a.Status.Sync.Status == "Synced" && a.Status.Sync.Revision == head && a.Status.OperationState.Phase == "Succeeded" {
			return ""
		}
		return a.String()
	})
	eventually(t, "Application "+name+" to stay synced", func() string { return i.difference(t, name) })
}

// staysSynced fails the test unless an Application is synced and stays so.
func (i *installation) staysSynced(t testing.TB, name string) {
	t.Helper()
	if found := i.difference(t, name); found != "" {
		t.Errorf("Application %s does not stay synced: %s", name, found)
	}
}

// difference compares several times. Empty: nothing differs, and nothing is synced for it.
func (i *installation) difference(t testing.TB, name string) string {
	t.Helper()
	before, err := i.app(t.Context(), name)
	must(t, err)
	for range 3 {
		a := i.refresh(t, name)
		if a.Status.Sync.Status != "Synced" || a.Status.OperationState.StartedAt != before.Status.OperationState.StartedAt {
			return a.String()
		}
	}
	return ""
}

// awaitApp waits until an Application is as wanted.
func (i *installation) awaitApp(t testing.TB, name, what string, is func(application) bool) application {
	t.Helper()
	var a application
	eventually(t, "Application "+name+": "+what, func() string {
		var err error
		if a, err = i.app(t.Context(), name); err != nil {
			return err.Error()
		}
		if is(a) {
			return ""
		}
		return a.String()
	})
	return a
}

func (i *installation) awaitHealthy(t testing.TB, name string) {
	t.Helper()
	i.awaitApp(t, name, "Healthy", func(a application) bool { return a.Status.Health.Status == "Healthy" })
}

// shows waits until Argo CD shows a health whose message begins so.
func (i *installation) shows(t testing.TB, app, kind, name, status, begins string) {
	t.Helper()
	path := "/api/v1/applications/" + app + "/resource-tree"
	eventually(t, fmt.Sprintf("%s %s to be %s: %s", kind, name, status, begins), func() string {
		var tree struct {
			Nodes []struct {
				Kind   string `json:"kind"`
				Name   string `json:"name"`
				Health Health `json:"health"`
			} `json:"nodes"`
		}
		if err := i.vera.call(t.Context(), http.MethodGet, path, nil, &tree); err != nil {
			return err.Error()
		}
		for _, node := range tree.Nodes {
			if node.Kind == kind && node.Name == name {
				if node.Health.Status == status && strings.HasPrefix(node.Health.Message, begins) {
					return ""
				}
				return node.Health.Status + ": " + node.Health.Message
			}
		}
		return "it is not in the tree"
	})
}

// person is somebody at Argo CD's server.
type person struct{ base, token string }

// call sends a request and reads the answer into a value. Its error has the server's words.
func (p person) call(ctx context.Context, method, path string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, p.base+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if p.token != "" {
		request.Header.Set("Authorization", "Bearer "+p.token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 8<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s answers %s: %s", method, path, response.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// clicks runs an action on an object of an Application in the namespace of the same name.
func (p person) clicks(ctx context.Context, app, kind, name, action string, params map[string]string) error {
	type parameter struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	given := []parameter{}
	for name, value := range params {
		given = append(given, parameter{name, value})
	}
	return p.call(ctx, http.MethodPost, "/api/v1/applications/"+app+"/resource/actions/v2", map[string]any{
		"name": app, "namespace": app, "resourceName": name, "group": v1alpha1.GroupName, "version": v1alpha1.GroupVersion.Version, "kind": kind,
		"action": action, "resourceActionParameters": given,
	}, nil)
}

// menu returns the actions that are offered and not grey.
func (p person) menu(ctx context.Context, app, kind, name string) ([]string, error) {
	var answer struct {
		Actions []struct {
			Name     string `json:"name"`
			Disabled bool   `json:"disabled"`
		} `json:"actions"`
	}
	query := url.Values{"namespace": {app}, "resourceName": {name}, "group": {v1alpha1.GroupName}, "version": {v1alpha1.GroupVersion.Version}, "kind": {kind}}
	err := p.call(ctx, http.MethodGet, "/api/v1/applications/"+app+"/resource/actions?"+query.Encode(), nil, &answer)
	enabled := []string{}
	for _, a := range answer.Actions {
		if !a.Disabled {
			enabled = append(enabled, a.Name)
		}
	}
	slices.Sort(enabled)
	return enabled, err
}

// refused fails the test unless an attempt was refused for that reason.
func refused(t testing.TB, err error, because string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), because) {
		t.Errorf("got %v, want a refusal: %s", err, because)
	}
}

// gone waits until an object is not there any more.
func (i *installation) gone(t testing.TB, o client.Object) {
	t.Helper()
	eventually(t, fmt.Sprintf("%T %s to be gone", o, o.GetName()), func() string {
		switch err := i.admin.Get(t.Context(), client.ObjectKeyFromObject(o), o); {
		case apierrors.IsNotFound(err):
			return ""
		case err != nil:
			return err.Error()
		}
		return fmt.Sprintf("deleted at %v, finalizers %v", o.GetDeletionTimestamp(), o.GetFinalizers())
	})
}
