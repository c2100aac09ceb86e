package analysis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheusv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
)

const (
	queryTimeout   = 10 * time.Second
	maxAnswerBytes = 1 << 20
)

// PrometheusOptions name the one server that is asked.
type PrometheusOptions struct {
	// URL of it.
	URL string
	// TokenFile holds a bearer token, read at each request; empty: none.
	TokenFile string
	// RootCAs are trusted for https. Nil: those of the system.
	RootCAs *x509.CertPool
	// Templates is the file of query templates.
	Templates string
}

// Prometheus answers query templates. It is safe for concurrent use.
type Prometheus struct {
	api       prometheusv1.API
	templates map[string]*Template
	now       func() time.Time
}

// NewPrometheus reads the templates. It does not talk to the server.
func NewPrometheus(o PrometheusOptions, now func() time.Time) (*Prometheus, error) {
	templates, err := ReadTemplates(o.Templates)
	if err != nil {
		return nil, fmt.Errorf("reading the query templates: %w", err)
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the URL of Prometheus, %q, must be like http://prometheus.monitoring:9090", o.URL)
	}
	base := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		MaxIdleConns: 8, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10, ResponseHeaderTimeout: queryTimeout,
	}
	asks := &http.Client{Transport: &bounded{base: base, tokenFile: o.TokenFile}, CheckRedirect: noRedirect, Timeout: queryTimeout}
	server, err := api.NewClient(api.Config{Address: o.URL, Client: asks})
	if err != nil {
		return nil, err
	}
	return &Prometheus{api: prometheusv1.NewAPI(server), templates: templates, now: now}, nil
}

// measure asks for one version's number; nil: there is no series.
func (p *Prometheus) measure(ctx context.Context, m *v1alpha1.PrometheusMeasure, always map[string]string, intervalSeconds int32) (*guardrail.Value, error) {
	t := p.templates[m.Template]
	if t == nil {
		return nil, fmt.Errorf("the platform has no query template %s: ask its administrators (--query-templates of the manager)", m.Template)
	}
	args, err := t.argsOf(m, always)
	if err != nil {
		return nil, err
	}
	samples, err := p.ask(ctx, t.Samples, args, intervalSeconds)
	if err != nil {
		return nil, fmt.Errorf("samples of template %s: %w", t.Name, err)
	}
	number, err := p.ask(ctx, t.Query, args, intervalSeconds)
	if err != nil {
		return nil, fmt.Errorf("query of template %s: %w", t.Name, err)
	}
	if samples == nil || number == nil {
		return nil, nil
	}
	return &guardrail.Value{Number: *number, Samples: *samples}, nil
}

// ask returns the one number that a query gives; nil: it gives none.
func (p *Prometheus) ask(ctx context.Context, text string, args map[string]string, intervalSeconds int32) (*float64, error) {
	query, err := fill(text, args, intervalSeconds)
	if err != nil {
		return nil, err
	}
	answer, _, err := p.api.Query(ctx, query, p.now(), prometheusv1.WithTimeout(queryTimeout))
	if err != nil {
		return nil, err
	}
	switch v := answer.(type) {
	case *model.Scalar:
		n := float64(v.Value)
		return &n, nil
	case model.Vector:
		switch {
		case len(v) == 0:
			return nil, nil
		case len(v) > 1:
			return nil, fmt.Errorf("it gives %d series, and must give one", len(v))
		case v[0].Histogram != nil:
			return nil, errors.New("it gives a histogram, and must give a number")
		}
		n := float64(v[0].Value)
		return &n, nil
	default:
		return nil, fmt.Errorf("it gives a %s, and must give one number", answer.Type())
	}
}

// bounded adds the token, and cuts answers that are too long.
type bounded struct {
	base      http.RoundTripper
	tokenFile string
}

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.tokenFile != "" {
		token, err := os.ReadFile(b.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("reading the token for Prometheus: %w", err)
		}
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	response, err := b.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = &limited{ReadCloser: response.Body, left: maxAnswerBytes}
	return response, nil
}

// limited fails when a body is longer than it may be.
type limited struct {
	io.ReadCloser
	left int64
}

func (l *limited) Read(b []byte) (int, error) {
	if l.left < 0 {
		return 0, fmt.Errorf("the answer of Prometheus is longer than %d bytes", maxAnswerBytes)
	}
	n, err := l.ReadCloser.Read(b)
	l.left -= int64(n)
	return n, err
}
