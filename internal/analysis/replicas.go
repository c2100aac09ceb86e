package analysis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
)

// Bounds of a reading.
const (
	countsTimeout  = 5 * time.Second
	maxCountsBytes = 32 << 20
	readersAtOnce  = 16
	privatePort    = "private"
)

// Replicas reads the counts of all replicas of the manifest service. It is safe
// for concurrent use.
type Replicas struct {
	// Client may list EndpointSlices in Namespace; nothing else is asked of it.
	Client client.Reader
	// Namespace and Service name the Service that has the replicas' private port.
	Namespace, Service string
	// Addresses of replicas' private ports, as host:port, instead of those of the Service.
	Addresses []string
	// HTTP asks the replicas. Nil: a client for addresses in the cluster.
	HTTP *http.Client
	// Now is the clock.
	Now func() time.Time

	mu     sync.Mutex
	totals totals
}

// clusterHTTP goes to addresses that the API server names: past any proxy, and nowhere else.
var clusterHTTP = &http.Client{
	Transport:     &http.Transport{DialContext: (&net.Dialer{Timeout: countsTimeout}).DialContext, MaxIdleConns: 32, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 16 << 10},
	CheckRedirect: noRedirect,
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// read returns what was counted up to a time that is not before the given one, and
// that time. Who asks while another reads is given the same.
func (r *Replicas) read(ctx context.Context, notBefore time.Time, of series) (sums, time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.totals.at.IsZero() || r.totals.at.Before(notBefore) {
		if err := r.readAll(ctx); err != nil {
			return sums{}, time.Time{}, err
		}
	}
	return r.totals.of(of), r.totals.at, nil
}

// readAll reads every replica that can be read.
func (r *Replicas) readAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, countsTimeout)
	defer cancel()
	began := r.Now()
	addresses, err := r.addresses(ctx)
	if err != nil {
		return err
	}
	found := make([]*guardrail.Replica, len(addresses))
	failures := make([]error, len(addresses))
	var group errgroup.Group
	group.SetLimit(readersAtOnce)
	for i, address := range addresses {
		group.Go(func() error {
			found[i], failures[i] = r.readOne(ctx, address)
			return nil
		})
	}
	_ = group.Wait() // each failure is in its place
	found = slices.DeleteFunc(found, func(one *guardrail.Replica) bool { return one == nil })
	if len(found) == 0 {
		return fmt.Errorf("none of %d replicas of the manifest service could be read: %w", len(addresses), errors.Join(failures...))
	}
	r.totals.add(found, began)
	return nil
}

// addresses are those of the private port of all replicas that may answer.
func (r *Replicas) addresses(ctx context.Context) ([]string, error) {
	if len(r.Addresses) > 0 {
		return r.Addresses, nil
	}
	var slicesOf discoveryv1.EndpointSliceList
	err := r.Client.List(ctx, &slicesOf, client.InNamespace(r.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: r.Service})
	if err != nil {
		return nil, fmt.Errorf("listing the replicas of the manifest service: %w", err)
	}
	var all []string
	for _, s := range slicesOf.Items {
		port := slices.IndexFunc(s.Ports, func(p discoveryv1.EndpointPort) bool { return p.Name != nil && *p.Name == privatePort && p.Port != nil })
		if port < 0 || s.AddressType == discoveryv1.AddressTypeFQDN {
			continue
		}
		for _, e := range s.Endpoints {
			if off(e.Conditions.Ready) && off(e.Conditions.Serving) || len(e.Addresses) == 0 {
				continue
			}
			all = append(all, net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(*s.Ports[port].Port))))
		}
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == 0 {
		return nil, fmt.Errorf("service %s/%s has no replica with a port named %s", r.Namespace, r.Service, privatePort)
	}
	return all, nil
}

// off tells that a condition says no; one that says nothing is on.
func off(condition *bool) bool { return condition != nil && !*condition }

func (r *Replicas) readOne(ctx context.Context, address string) (*guardrail.Replica, error) {
	asks := r.HTTP
	if asks == nil {
		asks = clusterHTTP
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/internal/counts", nil)
	if err != nil {
		return nil, err
	}
	response, err := asks.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxCountsBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading from %s: %w", address, err)
	}
	if len(text) > maxCountsBytes {
		return nil, fmt.Errorf("%s answers with more than %d bytes", address, maxCountsBytes)
	}
	var one guardrail.Replica
	if err := json.Unmarshal(text, &one); err != nil {
		return nil, fmt.Errorf("%s answers what is no count: %w", address, err)
	}
	if err := sane(&one); err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return &one, nil
}

// sane refuses numbers that cannot be.
func sane(one *guardrail.Replica) error {
	if one.Instance == "" || one.UptimeSeconds < 0 {
		return errors.New("the counts lack their instance")
	}
	for _, c := range one.Counts {
		for event, n := range c.Events {
			if n < 0 || n > maxCount {
				return fmt.Errorf("%d of %s cannot be", n, event)
			}
		}
	}
	return nil
}
