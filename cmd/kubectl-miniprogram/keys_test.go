package main

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
)

func TestKeysAreShownAndARotationIsAskedFor(t *testing.T) {
	s := newShelf(t)
	keys := func(want int, args ...string) (out, problems string) {
		t.Helper()
		code, out, problems := plugin(t, append([]string{"keys"}, append(args, "--kubeconfig", s.kubeconfig, "--system-namespace", s.namespace)...)...)
		if code != want {
			t.Fatalf("exit code %d, want %d: %s%s", code, want, out, problems)
		}
		return out, problems
	}
	at := s.namespace + "/miniprogram-trusted-keys"
	if _, got := keys(exitFailed); got != "error: ConfigMap "+at+" does not exist: the manager makes it at its first start; correct --system-namespace or --trusted-keys\n" {
		t.Errorf("without a ConfigMap: %s", got)
	}
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "miniprogram-trusted-keys"}}
	must(t, s.client.Create(t.Context(), cm))
	if _, got := keys(exitFailed, "rotate"); !strings.Contains(got, "has no report of the manager yet") {
		t.Errorf("without a report: %s", got)
	}
	one, two := strings.Repeat("ab", 32), strings.Repeat("ac", 32)
	report, err := json.Marshal(signing.Report{Number: 7, Message: "key abababababab signs too until 2026-12-22T12:00:00Z", Keys: []signing.ReportedKey{
		{KeyID: one, State: keychain.Retiring, RetireAfter: "2026-12-22T12:00:00Z"}, {KeyID: two, State: keychain.Active},
	}})
	must(t, err)
	cm.Annotations = map[string]string{signing.ReportAnnotation: string(report)}
	must(t, s.client.Update(t.Context(), cm))
	out, _ := keys(exitOK)
	for _, want := range []string{"abababababab   Retiring", "acacacacacac   Active", "key document 7: key abababababab signs too until 2026-12-22T12:00:00Z"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not show %q:\n%s", want, out)
		}
	}
	if _, got := keys(exitUnacceptable, "drop", "a"); got != "error: 2 keys have an ID that begins with \"a\": see kubectl miniprogram keys\n" {
		t.Errorf("a beginning of two: %s", got)
	}
	for want, args := range map[string][]string{"rotate@7": {"rotate"}, "drop@7/" + one: {"drop", "abab"}} {
		out, _ := keys(exitOK, args...)
		if !strings.HasPrefix(out, "asked for "+want+";") {
			t.Errorf("%v: %s", args, out)
		}
		must(t, s.client.Get(t.Context(), client.ObjectKeyFromObject(cm), cm))
		if got := cm.Annotations[signing.RequestAnnotation]; got != want {
			t.Errorf("%v: the annotation is %q, want %q", args, got, want)
		}
	}
}
