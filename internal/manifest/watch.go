package manifest

import (
	"context"
	"maps"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// kindsRead are what is for host apps; ledgers and the rest of the namespace stay where
// they are.
var kindsRead = []string{delivery.KindRollout, delivery.KindHostApp, delivery.KindKeys, delivery.KindAudience, delivery.KindPreview}

// published selects them.
var published = v1alpha1.PublishedLabel + "=true," + delivery.DocumentLabel + " in (" + strings.Join(kindsRead, ",") + ")"

// mailbox keeps the latest state of each ConfigMap until the store takes it:
// under many writes only the last of each counts. It is all that a reflector fills:
// an informer would hold every document a second time.
type mailbox struct {
	mu      sync.Mutex
	pending map[string]*record // nil: gone
	// there are the names of all ConfigMaps that the API server has.
	there map[string]bool
	wake  chan struct{}
	// listed is closed after the first list.
	listed     chan struct{}
	listedOnce sync.Once
}

func newMailbox() *mailbox {
	return &mailbox{pending: map[string]*record{}, there: map[string]bool{}, wake: make(chan struct{}, 1), listed: make(chan struct{})}
}

func (m *mailbox) put(name string, r *record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(name, r)
}

// note is put for who holds the lock.
func (m *mailbox) note(name string, r *record) {
	m.pending[name] = r
	if r == nil {
		delete(m.there, name)
	} else {
		m.there[name] = true
	}
	select {
	case m.wake <- struct{}{}:
	default: // somebody was woken already
	}
}

func (m *mailbox) take() []update {
	m.mu.Lock()
	defer m.mu.Unlock()
	updates := make([]update, 0, len(m.pending))
	for name, r := range m.pending {
		updates = append(updates, update{name: name, record: r})
	}
	m.pending = map[string]*record{} // a new one, for that of the first list is large
	return updates
}

// names are of all ConfigMaps that are there.
func (m *mailbox) names() map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.there)
}

// Add is part of cache.ReflectorStore, as are the methods below.
func (m *mailbox) Add(object any) error { return m.Update(object) }

// Update takes what a ConfigMap now is.
func (m *mailbox) Update(object any) error {
	if cm, ok := object.(*corev1.ConfigMap); ok {
		m.put(cm.Name, recordOf(cm))
	}
	return nil
}

// Delete takes that a ConfigMap is gone.
func (m *mailbox) Delete(object any) error {
	if cm, ok := object.(*corev1.ConfigMap); ok {
		m.put(cm.Name, nil)
	}
	return nil
}

// Replace takes a list: what is not in it was deleted while nobody watched.
func (m *mailbox) Replace(objects []any, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.there
	m.there = make(map[string]bool, len(objects))
	for _, object := range objects {
		if cm, ok := object.(*corev1.ConfigMap); ok {
			m.note(cm.Name, recordOf(cm))
		}
	}
	for name := range before {
		if !m.there[name] {
			m.note(name, nil)
		}
	}
	m.listedOnce.Do(func() { close(m.listed) })
	return nil
}

// Resync has nothing to do: nothing is ever asked to be repeated.
func (m *mailbox) Resync() error { return nil }

// Transformer keeps what the service does not read from being held until a list is complete.
func (m *mailbox) Transformer() cache.TransformFunc { return strip }

// watch keeps the store up to date until the context ends. It needs get, list
// and watch on the ConfigMaps of the namespace and nothing else. While the API is
// away it tries again, and what is in the store stays.
func (s *Service) watch(ctx context.Context) error {
	box := newMailbox()
	reflector := cache.NewReflectorWithOptions(s.listWatch(), new(corev1.ConfigMap), box, cache.ReflectorOptions{Name: "published"})
	done := make(chan struct{})
	go func() {
		defer close(done)
		reflector.RunWithContext(ctx)
	}()
	defer func() { <-done }()

	select {
	case <-ctx.Done():
		return nil
	case <-box.listed:
	}
	s.store.apply(box.take())
	s.store.vanishedExcept(box.names())
	s.becomeReady("the first list")
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-box.wake:
			s.store.apply(box.take())
		}
	}
}

// listWatch lists and watches what is published, and tells when that stops and
// begins to work: an informer keeps a connection that is refused to itself.
func (s *Service) listWatch() cache.ListerWatcher {
	configMaps := s.options.Client.CoreV1().ConfigMaps(s.options.Namespace)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = published
			list, err := configMaps.List(ctx, o)
			s.reached(ctx, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = published
			w, err := configMaps.Watch(ctx, o)
			s.reached(ctx, err)
			return w, err
		},
	}, s.options.Client)
}

// reached counts failures, and logs the first of several and the end of them.
func (s *Service) reached(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // the service ends
	}
	if err != nil {
		s.metrics.watchFails.Inc()
	}
	switch away := err != nil; {
	case away == s.away.Swap(away):
	case away:
		s.log.Error(err, "The publication namespace cannot be read; what is in service stays, and it is tried again.",
			"namespace", s.options.Namespace)
	default:
		s.log.Info("The publication namespace can be read again.", "namespace", s.options.Namespace)
	}
}

func recordOf(cm *corev1.ConfigMap) *record {
	return &record{Name: cm.Name, Kind: cm.Labels[delivery.DocumentLabel], Data: read(cm), Part: cm.BinaryData[delivery.KeyPart]}
}

// read has the keys of a ConfigMap that the service reads.
func read(cm *corev1.ConfigMap) map[string]string {
	data := map[string]string{}
	for _, key := range []string{delivery.KeyEnvelope, delivery.KeyRepository, delivery.KeyHostApp, delivery.KeyChain} {
		if value, ok := cm.Data[key]; ok {
			data[key] = value
		}
	}
	return data
}

// strip leaves of a ConfigMap what the service reads.
func strip(object any) (any, error) {
	cm, ok := object.(*corev1.ConfigMap)
	if !ok {
		return object, nil
	}
	left := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: cm.Namespace, Name: cm.Name, ResourceVersion: cm.ResourceVersion, Labels: cm.Labels},
		Data:       read(cm),
	}
	if part, ok := cm.BinaryData[delivery.KeyPart]; ok {
		left.BinaryData = map[string][]byte{delivery.KeyPart: part}
	}
	return left, nil
}
