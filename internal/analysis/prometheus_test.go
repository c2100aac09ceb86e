package analysis

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
)

const errorsTemplate = `
templates:
- name: errors
  query: sum(rate(errors{app=$(appID),digest=$(digest),service=$(service)}[$(interval)]))
  samples: sum(increase(requests{digest=$(digest)}[$(interval)]))
  args: [service]
`

// prometheusAnswering is one whose server answers the query, and the samples with 200.
func prometheusAnswering(t testing.TB, answer func(w http.ResponseWriter, query string)) *Prometheus {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.FormValue("query")
		if strings.HasPrefix(query, "sum(increase(") {
			fmt.Fprint(w, vector(`{"metric":{},"value":[1,"200.5"]}`))
			return
		}
		answer(w, query)
	}))
	t.Cleanup(server.Close)
	p, err := NewPrometheus(PrometheusOptions{URL: server.URL, Templates: templatesFile(t, errorsTemplate)}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func vector(results string) string {
	return `{"status":"success","data":{"resultType":"vector","result":[` + results + `]}}`
}

func errorsMeasure(args ...v1alpha1.TemplateArg) *v1alpha1.PrometheusMeasure {
	return &v1alpha1.PrometheusMeasure{Template: "errors", Args: append([]v1alpha1.TemplateArg{{Name: "service", Value: `a"b`}}, args...)}
}

var shopArgs = map[string]string{"namespace": "shop-team", "appID": "com.example.shop", "version": "1.1.0", "digest": "sha256:1", "cohort": "target"}

func TestWhatPrometheusAnswers(t *testing.T) {
	say := func(text string) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, _ string) { fmt.Fprint(w, text) }
	}
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter, string)
		want   *guardrail.Value
		err    string
	}{
		"a vector of one": {answer: say(vector(`{"metric":{},"value":[1,"0.25"]}`)), want: &guardrail.Value{Number: 0.25, Samples: 200.5}},
		"a scalar":        {answer: say(`{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}`), want: &guardrail.Value{Number: 7, Samples: 200.5}},
		"an empty vector": {answer: say(vector("")), want: nil},
		"two series":      {answer: say(vector(`{"metric":{"a":"b"},"value":[1,"1"]},{"metric":{},"value":[1,"2"]}`)), err: "query of template errors: it gives 2 series, and must give one"},
		"a matrix":        {answer: say(`{"status":"success","data":{"resultType":"matrix","result":[]}}`), err: "query of template errors: it gives a matrix, and must give one number"},
		"an error": {answer: func(w http.ResponseWriter, _ string) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"status":"error","errorType":"bad_data","error":"parse error: unexpected end"}`)
		}, err: "query of template errors: bad_data: parse error: unexpected end"},
		"a redirect": {answer: func(w http.ResponseWriter, _ string) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(http.StatusFound)
		}, err: "query of template errors: bad_response: bad response code 302"},
		"an endless answer": {answer: func(w http.ResponseWriter, _ string) {
			chunk := strings.Repeat(" ", 1<<20)
			for range 3 {
				fmt.Fprint(w, chunk)
			}
		}, err: "query of template errors: the answer of Prometheus is longer than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := prometheusAnswering(t, test.answer).measure(t.Context(), errorsMeasure(), shopArgs, 300)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.HasPrefix(err.Error(), test.err)) {
				t.Errorf("got  %v\nwant %s", err, test.err)
			}
		})
	}
}

func TestWhatPrometheusIsAsked(t *testing.T) {
	var asked string
	p := prometheusAnswering(t, func(w http.ResponseWriter, query string) {
		asked = query
		fmt.Fprint(w, vector(""))
	})
	if _, err := p.measure(t.Context(), errorsMeasure(), shopArgs, 300); err != nil {
		t.Fatal(err)
	}
	want := `sum(rate(errors{app="com.example.shop",digest="sha256:1",service="a\"b"}[300s]))`
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for name, test := range map[string]struct {
		measure *v1alpha1.PrometheusMeasure
		want    string
	}{
		"another template": {&v1alpha1.PrometheusMeasure{Template: "none"}, "the platform has no query template none: ask its administrators (--query-templates of the manager)"},
		"an argument less": {&v1alpha1.PrometheusMeasure{Template: "errors"}, "query of template errors: argument service is missing: add it to prometheus.args"},
		"one more":         {errorsMeasure(v1alpha1.TemplateArg{Name: "digest", Value: "x"}), "template errors takes no argument digest: remove it from prometheus.args"},
	} {
		if _, err := p.measure(t.Context(), test.measure, shopArgs, 300); err == nil || err.Error() != test.want {
			t.Errorf("%s: got  %v\nwant %s", name, err, test.want)
		}
	}
}

func TestTheTokenIsReadAtEachRequest(t *testing.T) {
	var got atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("Authorization"))
		fmt.Fprint(w, vector(""))
	}))
	defer server.Close()
	token := filepath.Join(t.TempDir(), "token")
	p, err := NewPrometheus(PrometheusOptions{URL: server.URL, TokenFile: token, Templates: templatesFile(t, errorsTemplate)}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"first\n", "second"} {
		if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := p.measure(t.Context(), errorsMeasure(), shopArgs, 300); err != nil {
			t.Fatal(err)
		}
		if want := "Bearer " + strings.TrimSpace(text); got.Load() != want {
			t.Errorf("sent is %q, want %q", got.Load(), want)
		}
	}
	if err := os.Remove(token); err != nil {
		t.Fatal(err)
	}
	if _, err := p.measure(t.Context(), errorsMeasure(), shopArgs, 300); err == nil || !strings.Contains(err.Error(), "reading the token for Prometheus") {
		t.Errorf("without the file: %v", err)
	}
}

func TestAPrometheusThatCannotBe(t *testing.T) {
	good := templatesFile(t, errorsTemplate)
	for url, want := range map[string]string{
		"prometheus:9090": `the URL of Prometheus, "prometheus:9090", must be like http://prometheus.monitoring:9090`,
		"":                `the URL of Prometheus, "", must be like http://prometheus.monitoring:9090`,
	} {
		if _, err := NewPrometheus(PrometheusOptions{URL: url, Templates: good}, time.Now); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	bad := templatesFile(t, "templates: [{name: a, query: x}]")
	if _, err := NewPrometheus(PrometheusOptions{URL: "http://prometheus:9090", Templates: bad}, time.Now); err == nil || err.Error() != "reading the query templates: "+bad+": template a: samples is missing" {
		t.Errorf("got %v", err)
	}
}
