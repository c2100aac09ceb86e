package registry

import (
	"encoding/pem"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

func TestARegistryWithACertificateOfOnesOwnAuthority(t *testing.T) {
	behind := registrytest.Start(t, registrytest.Options{})
	front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: behind.Host()})
		r.Out.Host = r.In.Host // where uploads go on
		r.Out.Header.Set("X-Forwarded-Proto", "https")
	}})
	t.Cleanup(front.Close)
	host := strings.TrimPrefix(front.URL, "https://")
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	trusted, err := RootCAs(file)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, New(Options{Host: host, Prefix: "mini", UserAgent: "test/1", RootCAs: trusted}), withFindings(artifact(t), findings))

	_, err = New(Options{Host: host, Prefix: "mini", UserAgent: "test/1"}).Publish(t.Context(), artifact(t))
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without it: %v", err)
	}
}

func TestAFileWithoutCertificatesIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := RootCAs(file); err == nil || err.Error() != file+" holds no certificate in PEM" {
		t.Errorf("got %v", err)
	}
	if pool, err := RootCAs(""); pool != nil || err != nil {
		t.Errorf("without a file: %v, %v", pool, err)
	}
}
