package main

import (
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func TestTheFileOfAHostAppComesFromItsStatus(t *testing.T) {
	s := newShelf(t)
	h := &v1alpha1.HostApp{ObjectMeta: metav1.ObjectMeta{Name: "wallet-" + s.namespace}}
	h.Spec.DisplayName, h.Spec.Dialects = "Wallet", []string{v1alpha1.DialectSigned, v1alpha1.DialectDimina}
	must(t, s.client.Create(t.Context(), h))
	config := func(want int, says string) string {
		t.Helper()
		code, out, problems := plugin(t, "config", h.Name, "--kubeconfig", s.kubeconfig)
		if code != want || problems != says {
			t.Fatalf("exit code %d, %q, want %d, %q", code, problems, want, says)
		}
		return out
	}
	config(exitFailed, "error: HostApp "+h.Name+" has no address yet (status.url): start the manager with --manifest-url, and see that it runs\n")
	h.Status.URL = "https://manifest.example.com/v1/hosts/" + h.Name
	must(t, s.client.Status().Update(t.Context(), h))
	config(exitFailed, "error: HostApp "+h.Name+" has no key yet (status.keys): see its condition Ready\n")
	h.Status.Keys = []v1alpha1.SigningKey{{KeyID: "abc", Algorithm: "ECDSA-P256-SHA256", PublicKey: "-----BEGIN PUBLIC KEY-----\n", State: "Active"}}
	must(t, s.client.Status().Update(t.Context(), h))
	want := `{
  "host": "` + h.Name + `",
  "displayName": "Wallet",
  "urls": {
    "programs": "https://manifest.example.com/v1/hosts/` + h.Name + `/programs",
    "program": "https://manifest.example.com/v1/hosts/` + h.Name + `/programs/{appID}?channel={channel}",
    "blob": "https://manifest.example.com/v1/blobs/sha256/{hex}",
    "keys": "https://manifest.example.com/v1/keys",
    "events": "https://manifest.example.com/v1/hosts/` + h.Name + `/events",
    "dimina": "https://manifest.example.com/dimina/v1/hosts/` + h.Name + `/{appID}.json?user={user}&channel={channel}"
  },
  "dialects": [
    "Signed",
    "Dimina"
  ],
  "keys": [
    {
      "keyID": "abc",
      "algorithm": "ECDSA-P256-SHA256",
      "publicKey": "-----BEGIN PUBLIC KEY-----\n"
    }
  ],
  "poll": {
    "intervalSeconds": 1800,
    "minSeconds": 300
  }
}
`
	if got := config(exitOK, ""); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	file := filepath.Join(t.TempDir(), "miniprogram.json")
	if code, out, problems := plugin(t, "config", h.Name, "--kubeconfig", s.kubeconfig, "--out", file); code != exitOK || out != "" {
		t.Fatalf("to a file: exit code %d, %q, %q", code, out, problems)
	}
	written, err := os.ReadFile(file)
	if err != nil || string(written) != want {
		t.Errorf("the file has %q (%v)", written, err)
	}
}
