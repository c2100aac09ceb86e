package analysis

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
)

// endpointSlices answers a list.
type endpointSlices struct {
	client.Reader
	items []discoveryv1.EndpointSlice
	err   error
}

func (e *endpointSlices) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if all, ok := list.(*discoveryv1.EndpointSliceList); ok {
		all.Items = e.items
	}
	return e.err
}

// sliceOf is an EndpointSlice of servers on loopback.
func sliceOf(t testing.TB, servers ...*httptest.Server) discoveryv1.EndpointSlice {
	t.Helper()
	name := privatePort
	var port int32
	s := discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4}
	for _, server := range servers {
		at, err := netip.ParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		port = int32(at.Port())
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{at.Addr().String()}})
	}
	s.Ports = []discoveryv1.EndpointPort{{Name: &name, Port: &port}}
	return s
}

// answering is a replica that answers what is stored.
func answering(t testing.TB, now *atomic.Pointer[guardrail.Replica]) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one := now.Load()
		if one == nil || r.URL.Path != "/internal/counts" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if err := json.NewEncoder(w).Encode(one); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestReplicasAreReadWhereTheyAre(t *testing.T) {
	var a, b atomic.Pointer[guardrail.Replica]
	a.Store(replica("a", 100, 10, 0))
	b.Store(replica("b", 100, 20, 0))
	off := false
	gone := sliceOf(t, answering(t, new(atomic.Pointer[guardrail.Replica])))
	gone.Endpoints[0].Conditions = discoveryv1.EndpointConditions{Ready: &off, Serving: &off}
	other := sliceOf(t, answering(t, new(atomic.Pointer[guardrail.Replica])))
	*other.Ports[0].Name = "http"
	at := began
	r := &Replicas{
		Client: &endpointSlices{items: []discoveryv1.EndpointSlice{sliceOf(t, answering(t, &a)), sliceOf(t, answering(t, &b)), gone, other}},
		Now:    func() time.Time { return at },
	}
	read := func() (sums, time.Time) {
		t.Helper()
		got, when, err := r.read(t.Context(), at, shopSeries)
		if err != nil {
			t.Fatal(err)
		}
		return got, when
	}
	read()
	at = at.Add(10 * time.Second)
	a.Store(replica("a", 110, 11, 1))
	b.Store(nil) // it cannot be read now
	if got, when := read(); got.target.all != (guardrail.Tally{Bad: 1, Launches: 1}) || !when.Equal(at) {
		t.Errorf("%+v at %s", got, when)
	}
	a.Store(replica("a", 120, 5000, 1))
	if got, _ := read(); got.target.all.Launches != 1 {
		t.Errorf("a reading that is new enough was read again: %+v", got)
	}
	at = at.Add(10 * time.Second)
	a.Store(nil)
	if _, _, err := r.read(t.Context(), at, shopSeries); err == nil || !strings.HasPrefix(err.Error(), "none of 2 replicas of the manifest service could be read: ") {
		t.Errorf("without any replica: %v", err)
	}
}

func TestWhatIsNoReadingOfAReplica(t *testing.T) {
	var reached atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer elsewhere.Close()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"no JSON":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "answers what is no count"},
		"no instance": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }, "the counts lack their instance"},
		"a redirect":  {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }, "answers 302 Found"},
		"a failure":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "answers 500 Internal Server Error"},
		"below 0": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"instance":"a","counts":[{"events":{"launch":-1}}]}`))
		}, "-1 of launch cannot be"},
		"above reason": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"instance":"a","counts":[{"events":{"launch":9007199254740993}}]}`))
		}, "9007199254740993 of launch cannot be"},
		"an endless one": {func(w http.ResponseWriter, _ *http.Request) {
			chunk := []byte(strings.Repeat(" ", 1<<20))
			for range maxCountsBytes>>20 + 1 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, "answers with more than 33554432 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.answer)
			defer server.Close()
			r := &Replicas{Client: &endpointSlices{items: []discoveryv1.EndpointSlice{sliceOf(t, server)}}, Now: func() time.Time { return began }}
			if _, _, err := r.read(t.Context(), began, shopSeries); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	if reached.Load() {
		t.Error("a redirect was followed")
	}
	r := &Replicas{Client: &endpointSlices{}, Namespace: "system", Service: "counts", Now: func() time.Time { return began }}
	if _, _, err := r.read(t.Context(), began, shopSeries); err == nil || err.Error() != "service system/counts has no replica with a port named private" {
		t.Errorf("without endpoints: %v", err)
	}
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"instance":"outside","counts":[]}`)
	}))
	defer outside.Close()
	r.Addresses = []string{strings.TrimPrefix(outside.URL, "http://")}
	if _, _, err := r.read(t.Context(), began, shopSeries); err != nil {
		t.Errorf("with an address that needs no endpoint: %v", err)
	}
	r = &Replicas{Namespace: "system", Service: "counts", Now: func() time.Time { return began }}
	r.Client = &endpointSlices{err: errors.New("forbidden")}
	if _, _, err := r.read(t.Context(), began, shopSeries); err == nil || err.Error() != "listing the replicas of the manifest service: forbidden" {
		t.Errorf("without the right: %v", err)
	}
}
