package main

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// answering stands in for the manager: it answers the first request with a state.
func (s *shelf) answering(t *testing.T, name, state, message string) (asked func() delivery.PreviewRequest) {
	t.Helper()
	found := make(chan delivery.PreviewRequest, 1)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() {
		for ctx.Err() == nil {
			var v v1alpha1.MiniProgramVersion
			if s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &v) != nil {
				continue
			}
			all := delivery.PreviewRequests(v.Annotations, time.Now())
			if len(all) == 0 {
				continue
			}
			at := metav1.NewTime(all[0].Expires)
			v.Status.Previews = []v1alpha1.PreviewStatus{{CodeHash: all[0].CodeHash, HostApp: all[0].HostApp, ExpirationTime: &at, State: state, Message: message}}
			if s.client.Status().Update(ctx, &v) == nil {
				found <- all[0]
				return
			}
		}
	}()
	return func() delivery.PreviewRequest { return <-found }
}

func TestAPreviewIsAskedForAndItsCodePrintedOnce(t *testing.T) {
	s := newShelf(t)
	s.publish(t, "1.0.0", "1")
	const name = "notes-1.0.0"
	h := &v1alpha1.HostApp{ObjectMeta: metav1.ObjectMeta{Name: "wallet-" + s.namespace}}
	h.Spec.DisplayName = "Wallet"
	must(t, s.client.Create(t.Context(), h))
	h.Status.URL = "https://manifest.example.com/v1/hosts/" + h.Name
	must(t, s.client.Status().Update(t.Context(), h))

	asked := s.answering(t, name, v1alpha1.PreviewLive, "")
	code, out, problems := plugin(t, "preview", name, "--host-app", h.Name, "--valid", "2h", "--kubeconfig", s.kubeconfig, "-n", s.namespace)
	request := asked()
	secret := strings.TrimPrefix(strings.TrimSpace(out), "https://manifest.example.com/v1/preview/")
	if code != exitOK || !document.IsPreviewCode(secret) || document.HashPreviewCode(secret) != request.CodeHash || request.HostApp != h.Name {
		t.Fatalf("exit code %d, %q, %q, asked was %+v", code, out, problems, request)
	}
	if left := time.Until(request.Expires); left > 2*time.Hour || left < 2*time.Hour-time.Minute {
		t.Errorf("it ends in %s, want two hours", left)
	}
	want := "notes 1.0.0 may be tried in host app " + h.Name + " until " + request.Expires.Format(time.RFC3339) + " by whoever has this address of the manifest service. " +
		"To end it now: kubectl annotate mpv " + name + " -n " + s.namespace + " preview.miniprogram.dev/" + request.CodeHash + "-\n"
	if problems != want {
		t.Errorf("it says %q, want %q", problems, want)
	}
}

func TestAPreviewThatIsRefusedIsAskedForNoMore(t *testing.T) {
	s := newShelf(t)
	s.publish(t, "1.0.0", "1")
	const name = "notes-1.0.0"
	asked := s.answering(t, name, v1alpha1.PreviewRefused, "host app wallet does not take channel trial")
	code, out, problems := plugin(t, "preview", name, "--host-app", "wallet", "--kubeconfig", s.kubeconfig, "-n", s.namespace)
	asked()
	if want := "error: no preview of notes-1.0.0 in host app wallet: host app wallet does not take channel trial\n"; code != exitUnacceptable || out != "" || problems != want {
		t.Errorf("exit code %d, %q, %q, want %q", code, out, problems, want)
	}
	var v v1alpha1.MiniProgramVersion
	must(t, s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, &v))
	if len(v.Annotations) > 0 {
		t.Errorf("it is asked for still: %v", v.Annotations)
	}
	for flags, want := range map[string]string{
		"--host-app wallet --valid 169h":    "error: --valid is 169h0m0s: write from 1m to 168h0m0s\n",
		"--valid 1h":                        "error: --host-app is required: the HostApp in which the version may be tried\n",
		"--host-app wallet --timeout 0s":    "error: --timeout must be above 0\n",
		"--host-app wallet --timeout 600ms": "error: the preview is asked for, and was not answered within 600ms: see that the manager runs; to take it back, kubectl annotate mpv notes-1.0.0 -n " + s.namespace + " preview.miniprogram.dev/",
	} {
		code, out, problems := plugin(t, append([]string{"preview", name, "--kubeconfig", s.kubeconfig, "-n", s.namespace}, strings.Fields(flags)...)...)
		if code != exitFailed || out != "" || !strings.HasPrefix(problems, want) {
			t.Errorf("%s: exit code %d, %q, %q, want %q", flags, code, out, problems, want)
		}
	}
}
