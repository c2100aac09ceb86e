package main

import (
	"encoding/pem"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
)

func parse(t *testing.T, args ...string) *options {
	t.Helper()
	var o options
	fs := flag.NewFlagSet("manager", flag.ContinueOnError)
	o.bind(fs)
	if err := fs.Parse(append([]string{"--registry=registry.example.com"}, args...)); err != nil {
		t.Fatal(err)
	}
	return &o
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhereSourcesMayBeFetchedFrom(t *testing.T) {
	o := parse(t, "--allow-insecure-sources", "--allowed-source-networks=10.1.0.0/16, ::1/128", "--refused-source-networks=198.18.0.0/15,2600:1f00::/24,")
	if err := o.validate(); err != nil {
		t.Fatal(err)
	}
	g, err := o.guard()
	if err != nil {
		t.Fatal(err)
	}
	got := []any{g.AllowInsecure, fmt.Sprint(g.AllowedNets), fmt.Sprint(g.RefusedNets), g.RootCAs == nil}
	want := []any{true, "[10.1.0.0/16 ::1/128]", "[198.18.0.0/15 2600:1f00::/24]", true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFlagsThatCannotBeUsed(t *testing.T) {
	text := file(t, "text")
	missing := filepath.Join(t.TempDir(), "none")
	for arg, want := range map[string]string{
		"--registry=":                        "--registry is required: the host of the OCI registry that artifacts are pushed to",
		"--allowed-source-networks=10.1.0.0": `--allowed-source-networks: "10.1.0.0" is no CIDR such as 10.1.0.0/16`,
		"--refused-source-networks=a/8":      `--refused-source-networks: "a/8" is no CIDR such as 10.1.0.0/16`,
		"--source-ca-file=" + text:           "--source-ca-file: " + text + " holds no certificate in PEM",
		"--source-ca-file=" + missing:        "--source-ca-file: open " + missing + ": no such file or directory",
		"--sigstore-trusted-root=" + missing: "--sigstore-trusted-root: open " + missing + ": no such file or directory",
		"--sigstore-trusted-root=" + text:    "--sigstore-trusted-root: " + text + ": reading the trusted root: ",
		"--prometheus-url=http://p:9090":     "--prometheus-url and --query-templates go together",
		"--query-templates=" + text:          "--prometheus-url and --query-templates go together",
		"--manifest-replicas=127.0.0.1:1,b":  `--manifest-replicas: "b" is not of the form host:port`,
		"--concurrency=0":                    "--concurrency, --max-bundle-bytes and --source-requests-per-second must be at least 1",
	} {
		t.Run(arg, func(t *testing.T) {
			if err := parse(t, arg).validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestACertificateAuthorityOfOnesOwnIsTrustedForSources(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "bundle") }))
	t.Cleanup(server.Close)
	authority := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	for _, trusted := range []bool{true, false} {
		args := []string{"--allowed-source-networks=127.0.0.0/8"}
		if trusted {
			args = append(args, "--source-ca-file="+authority)
		}
		g, err := parse(t, args...).guard()
		if err != nil {
			t.Fatal(err)
		}
		f, err := source.NewHTTP(source.NewTransport(g), source.Limits{}, "test").Fetch(t.Context(), server.URL+"/app.zip", "", nil)
		if (err == nil) != trusted {
			t.Errorf("trusted is %t, and fetching ends with %v", trusted, err)
		}
		if err == nil {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestThePrometheusOfGuardrails(t *testing.T) {
	good := file(t, "templates: [{name: errors, query: \"x{a=$(digest)}\", samples: y}]")
	wrong := file(t, "templates: [{name: errors, query: \"x{a=$(team)}\", samples: y}]")
	missing := filepath.Join(t.TempDir(), "none")
	const url = "--prometheus-url=http://prometheus:9090"
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"a good file":         {args: []string{url, "--query-templates=" + good}},
		"none":                {},
		"a wrong template":    {[]string{url, "--query-templates=" + wrong}, "reading the query templates: " + wrong + ": template errors: query: $(team) is neither in args nor one of namespace, appID, version, digest, cohort, interval"},
		"no file":             {[]string{url, "--query-templates=" + missing}, "reading the query templates: open " + missing + ": no such file or directory"},
		"no URL":              {[]string{"--prometheus-url=p:9090", "--query-templates=" + good}, `the URL of Prometheus, "p:9090", must be like http://prometheus.monitoring:9090`},
		"no such authorities": {[]string{url, "--query-templates=" + good, "--prometheus-ca-file=" + missing}, "--prometheus-ca-file: open " + missing + ": no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			err := parse(t, test.args...).validate()
			if test.want == "" && err != nil || test.want != "" && (err == nil || err.Error() != test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}
