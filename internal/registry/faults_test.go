package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// operation is one method of a client.
type operation struct {
	// what the messages call it.
	what string
	// earlier is published before.
	earlier []Artifact
	run     func(context.Context, *Client, Artifact) error
}

func published(ctx context.Context, c *Client, a Artifact) error {
	p, err := c.Publish(ctx, a)
	if err == nil && (p.Findings == "" || p.FindingsRefused != "") {
		return fmt.Errorf("the findings are not kept: %+v", p)
	}
	return err
}

// prepare returns what is to be published, in a place of its own.
func (o operation) prepare(t *testing.T, host, place string) Artifact {
	t.Helper()
	a := withFindings(artifact(t), findings)
	a.Repository = place + "/shop-team/shop"
	for _, e := range o.earlier {
		e.Repository = a.Repository
		publish(t, clientOf(host), e)
	}
	return a
}

// requests is how many it makes where nothing is wrong.
func (o operation) requests(t *testing.T, host, place string) int64 {
	t.Helper()
	a, n := o.prepare(t, host, place), &nth{}
	if err := o.run(t.Context(), clientOf(registrytest.Faulty(t, host, n.see)), a); err != nil {
		t.Fatal(err)
	}
	return n.seen.Load()
}

// operations are those that a reconciler waits for.
func operations(t *testing.T) map[string]operation {
	whole := withFindings(artifact(t), findings)
	manifest := digest.FromString(manifestText(artifact(t))).String()
	return map[string]operation{
		"publish":       {"the push", nil, published},
		"publish-again": {"the push", []Artifact{whole}, published},
		"adopt":         {"the push", []Artifact{artifactOf(t, config(), "otherwise compressed content")}, published},
		"resolve": {"the look-up", []Artifact{whole}, func(ctx context.Context, c *Client, a Artifact) error {
			_, err := c.Resolve(ctx, a.Repository, a.Tag)
			return err
		}},
		"findings": {"the look-up", []Artifact{whole}, func(ctx context.Context, c *Client, a Artifact) error {
			_, desc, err := buildManifest(a)
			if err != nil {
				return err
			}
			_, kept, err := findingsOf(desc, a.Findings)
			if err != nil {
				return err
			}
			_, err = c.Findings(ctx, a.Repository, manifest, kept.Digest.String())
			return err
		}},
		"exists": {"the check", []Artifact{whole}, func(ctx context.Context, c *Client, a Artifact) error {
			return c.Exists(ctx, a.Repository, manifest)
		}},
		"delete": {"the deletion", []Artifact{whole}, func(ctx context.Context, c *Client, a Artifact) error {
			return c.Delete(ctx, a.Repository, manifest)
		}},
	}
}

// nth gives the fault to the request of that number, from 1, and counts all.
type nth struct {
	seen  atomic.Int64
	over  atomic.Bool
	at    int64
	fault registrytest.Fault
}

func (n *nth) see(*http.Request) *registrytest.Fault {
	if n.seen.Add(1) != n.at || n.over.Load() {
		return nil
	}
	return &n.fault
}

// The requests are counted: one that is added is given the faults, too.
func TestAFaultAtAnyRequestIsToldAndTriedAgain(t *testing.T) {
	faults := map[string]struct {
		fault registrytest.Fault
		want  string // HOST stands for the registry's, WHAT for what is tried
		after time.Duration
	}{
		"500": {fault: registrytest.Fault{Status: http.StatusInternalServerError}, want: "the registry HOST cannot answer now (500 Internal Server Error); WHAT is tried again"},
		"429": {
			fault: registrytest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"30"}}},
			want:  "the registry HOST asks to wait (429 Too Many Requests); WHAT is tried again after 30s", after: 30 * time.Second,
		},
		"hang": {fault: registrytest.Fault{Hang: true}, want: "the registry HOST did not finish within 100ms; WHAT is tried again"},
	}
	bothSorts(t, func(t *testing.T, r *watched) {
		for name, op := range operations(t) {
			for kind, f := range faults {
				timeout := time.Minute
				if f.fault.Hang {
					timeout = 100 * time.Millisecond
				}
				t.Run(name+"/"+kind, func(t *testing.T) {
					t.Parallel()
					total := op.requests(t, r.Host(), name+"-"+kind)
					for at := int64(1); at <= total; at++ {
						a := op.prepare(t, r.Host(), fmt.Sprintf("%s-%s-%d", name, kind, at))
						n := &nth{at: at, fault: f.fault}
						host := registrytest.Faulty(t, r.Host(), n.see)
						err := op.run(t.Context(), withTimeout(host, timeout), a)
						wantErr(t, err, RegistryUnavailable, strings.NewReplacer("HOST", host, "WHAT", op.what).Replace(f.want))
						var e *Error
						if errors.As(err, &e) && e.RetryAfter != f.after {
							t.Errorf("request %d asks to wait %s, want %s", at, e.RetryAfter, f.after)
						}
						n.over.Store(true) // on a busy machine the time may be up before the request comes
						if err := op.run(t.Context(), clientOf(host), a); err != nil {
							t.Errorf("after the fault at request %d: %v", at, err)
						}
					}
				})
			}
		}
	})
}
