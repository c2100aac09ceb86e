package manifest

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// published selects what is for host apps; ledgers and the rest of the namespace
// stay where they are.
const published = v1alpha1.PublishedLabel + "=true," +
	delivery.DocumentLabel + " in (" + delivery.KindRollout + "," + delivery.KindHostApp + "," + delivery.KindPreview + ")"

// mailbox keeps the latest state of each ConfigMap until the store takes it:
// under many writes only the last of each counts.
type mailbox struct {
	mu      sync.Mutex
	pending map[string]*record // nil: gone
	wake    chan struct{}
}

func newMailbox() *mailbox {
	return &mailbox{pending: map[string]*record{}, wake: make(chan struct{}, 1)}
}

func (m *mailbox) put(name string, r *record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending[name] = r
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
	clear(m.pending)
	return updates
}

// watch keeps the store up to date until the context ends. It needs get, list
// and watch on the ConfigMaps of the namespace and nothing else. While the API is
// away it tries again, and what is in the store stays.
func (s *Service) watch(ctx context.Context) error {
	informer := cache.NewSharedIndexInformer(s.listWatch(), new(corev1.ConfigMap), 0, cache.Indexers{})
	if err := informer.SetTransform(strip); err != nil {
		return fmt.Errorf("preparing the watch: %w", err)
	}
	box := newMailbox()
	registration, err := informer.AddEventHandler(box.handler())
	if err != nil {
		return fmt.Errorf("preparing the watch: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		informer.RunWithContext(ctx)
	}()
	defer func() { <-done }()

	select {
	case <-ctx.Done():
		return nil
	case <-registration.HasSyncedChecker().Done():
	}
	s.store.apply(box.take())
	s.store.vanishedExcept(namesIn(informer.GetStore()))
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
	maps := s.options.Client.CoreV1().ConfigMaps(s.options.Namespace)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = published
			list, err := maps.List(ctx, o)
			s.reached(ctx, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = published
			w, err := maps.Watch(ctx, o)
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

func (m *mailbox) handler() cache.ResourceEventHandler {
	put := func(object any) {
		if cm, ok := object.(*corev1.ConfigMap); ok {
			m.put(cm.Name, recordOf(cm))
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    put,
		UpdateFunc: func(_, object any) { put(object) },
		DeleteFunc: func(object any) {
			key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object)
			if err != nil {
				return // only objects with a name were ever added
			}
			m.put(nameOf(key), nil)
		},
	}
}

func recordOf(cm *corev1.ConfigMap) *record {
	return &record{Name: cm.Name, Kind: cm.Labels[delivery.DocumentLabel], Data: cm.Data}
}

// strip leaves of a ConfigMap what the service reads, for all of them are held
// in memory.
func strip(object any) (any, error) {
	cm, ok := object.(*corev1.ConfigMap)
	if !ok {
		return object, nil
	}
	data := map[string]string{}
	for _, key := range []string{delivery.KeyEnvelope, delivery.KeyRepository, delivery.KeyHostApp} {
		if value, ok := cm.Data[key]; ok {
			data[key] = value
		}
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: cm.Namespace, Name: cm.Name, ResourceVersion: cm.ResourceVersion, Labels: cm.Labels},
		Data:       data,
	}, nil
}

func namesIn(objects cache.Store) map[string]bool {
	names := map[string]bool{}
	for _, key := range objects.ListKeys() {
		names[nameOf(key)] = true
	}
	return names
}

func nameOf(key string) string {
	_, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return key
	}
	return name
}
