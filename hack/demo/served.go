package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// servedEvery is how often the served documents are looked at.
const servedEvery = 5 * time.Millisecond

// servedWatch looks at what the manifest service serves all the time: a share
// never falls unless somebody took the target back, and nothing is ever served
// that two people did not approve before.
type servedWatch struct {
	url    string
	http   *http.Client
	checks *checks
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu   sync.Mutex
	last map[string]servedDocument // by app ID
	// approved are the digests whose last approval was given.
	approved map[string]bool
	// takeBacks is how often something may be taken back from now on.
	takeBacks int
	// wrote and answered are when a sequence was seen in the ConfigMap, and in an answer.
	wrote, answered map[servedKey]time.Time
	first           map[string]time.Time // by digest
	// shares are those that were published of targets.
	shares map[share]bool
	looks  int
}

// share is what a document gives a target.
type share struct {
	appID, target string
	hundredths    int64
}

type servedKey struct {
	appID    string
	sequence int64
}

// servedDocument is what matters here of a document, and its entity tag.
type servedDocument struct {
	etag string

	Sequence int64     `json:"sequence"`
	IssuedAt time.Time `json:"issuedAt"`
	Stable   *struct {
		Digest string `json:"digest"`
	} `json:"stable"`
	Target *struct {
		Digest string `json:"digest"`
	} `json:"target"`
	Split struct {
		BasisPoints int `json:"basisPoints"`
	} `json:"split"`
}

func (s *servedDocument) stable() string {
	if s.Stable == nil {
		return ""
	}
	return s.Stable.Digest
}

func (s *servedDocument) target() (digest string, share int) {
	if s.Target == nil {
		return "", 0
	}
	return s.Target.Digest, s.Split.BasisPoints
}

// watchServed starts watching until stop.
func watchServed(ctx context.Context, url string, c client.WithWatch, to *checks) *servedWatch {
	ctx, cancel := context.WithCancel(ctx)
	w := &servedWatch{
		url: url, http: &http.Client{Timeout: 10 * time.Second}, checks: to, cancel: cancel,
		last: map[string]servedDocument{}, approved: map[string]bool{},
		wrote: map[servedKey]time.Time{}, answered: map[servedKey]time.Time{}, first: map[string]time.Time{},
		shares: map[share]bool{},
	}
	w.done.Go(func() { w.look(ctx) })
	w.done.Go(func() { w.followWrites(ctx, c) })
	return w
}

func (w *servedWatch) stop() {
	w.cancel()
	w.done.Wait()
}

func (w *servedWatch) look(ctx context.Context) {
	ticker := time.NewTicker(servedEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		for _, p := range programs {
			if err := w.lookAt(ctx, p.appID); err != nil && ctx.Err() == nil {
				w.checks.that(false, "watching %s: %v", p.appID, err)
			}
		}
		if n%10 == 0 {
			if err := w.askOne(ctx); err != nil && ctx.Err() == nil {
				w.checks.that(false, "watching a user: %v", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// lookAt reads a program's document, if it changed.
func (w *servedWatch) lookAt(ctx context.Context, appID string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/v1/hosts/"+hostApp+"/programs/"+appID, nil)
	if err != nil {
		return err
	}
	w.mu.Lock()
	last, known := w.last[appID]
	w.looks++
	w.mu.Unlock()
	if known {
		request.Header.Set("If-None-Match", last.etag)
	}
	response, err := w.http.Do(request)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	switch {
	case response.StatusCode == http.StatusNotModified, response.StatusCode == http.StatusNotFound && !known:
		return nil
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("the document is answered with %s: %.200s", response.Status, text)
	}
	var envelope struct {
		Payload []byte `json:"payload"`
	}
	now := servedDocument{etag: response.Header.Get("ETag")}
	if err := errors.Join(json.Unmarshal(text, &envelope)); err != nil {
		return err
	}
	if err := json.Unmarshal(envelope.Payload, &now); err != nil {
		return err
	}
	w.judge(appID, known, &last, &now)
	return nil
}

// judge compares a document with the one served before.
func (w *servedWatch) judge(appID string, known bool, last, now *servedDocument) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.Now()
	w.last[appID] = *now
	w.answered[servedKey{appID, now.Sequence}] = at
	target, present := now.target()
	for _, digest := range []string{target, now.stable()} {
		if digest == "" {
			continue
		}
		if _, seen := w.first[digest]; !seen {
			w.first[digest] = at
		}
		w.checks.that(w.approved[digest], "%s: %s is served and nobody approved it", appID, short(digest))
	}
	if !known {
		return
	}
	newer := now.Sequence > last.Sequence || now.Sequence == last.Sequence && !now.IssuedAt.Before(last.IssuedAt)
	w.checks.that(newer, "%s: sequence %d is served after %d", appID, now.Sequence, last.Sequence)
	was, before := last.target()
	fell := was != "" && was != now.stable() && (was != target || present < before)
	left := last.stable() != "" && last.stable() != now.stable() && now.stable() != was
	if !fell && !left {
		return
	}
	w.checks.that(w.takeBacks > 0, "%s: the share of %s fell from %d basis points, or stable %s was replaced, and nobody asked for that",
		appID, orNothing(was), before, orNothing(last.stable()))
	w.takeBacks--
}

// askOne asks as one user of many about all programs.
func (w *servedWatch) askOne(ctx context.Context) error {
	c := crowd{url: w.url, http: w.http}
	for _, p := range programs {
		got, err := c.ask(ctx, fmt.Sprintf("user-%04d", 1+rand.IntN(crowdSize)), p.appID, "")
		if err != nil {
			return err
		}
		if got.Digest != "" {
			w.mu.Lock()
			w.checks.that(w.approved[got.Digest], "%s: a user is given %s, and nobody approved it", p.appID, short(got.Digest))
			w.mu.Unlock()
		}
	}
	return nil
}

// followWrites notes when the manager writes documents, as one watcher of many.
func (w *servedWatch) followWrites(ctx context.Context, c client.WithWatch) {
	for ctx.Err() == nil {
		events, err := c.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace(publicationNamespace),
			client.MatchingLabels{delivery.DocumentLabel: delivery.KindRollout})
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		for event := range events.ResultChan() {
			if cm, ok := event.Object.(*corev1.ConfigMap); ok {
				w.noteWrite(cm)
			}
		}
	}
}

func (w *servedWatch) noteWrite(cm *corev1.ConfigMap) {
	sequence, err := strconv.ParseInt(cm.Data[delivery.KeySequence], 10, 64)
	if err != nil {
		return
	}
	var written servedDocument
	if err := json.Unmarshal([]byte(cm.Data[delivery.KeyDocument]), &written); err != nil {
		return
	}
	target, basisPoints := written.target()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range programs {
		if cm.Name == delivery.RolloutConfigMap(p.namespace, p.name) {
			w.shares[share{p.appID, target, int64(basisPoints)}] = true
		}
		key := servedKey{p.appID, sequence}
		if _, seen := w.wrote[key]; !seen && cm.Name == delivery.RolloutConfigMap(p.namespace, p.name) {
			w.wrote[key] = time.Now()
		}
	}
}

// approve says that the last approval of a digest is about to be given.
func (w *servedWatch) approve(digest string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.approved[digest] = true
}

// mayTakeBack says that somebody is about to take something back, once.
func (w *servedWatch) mayTakeBack() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takeBacks++
}

// sequence is the one that is served of a program; 0: none.
func (w *servedWatch) sequence(appID string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last[appID].Sequence
}

// published tells whether the target was published with its share at any time.
func (w *servedWatch) published(a asked) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shares[share{a.appID, a.target, a.hundredths}]
}

// firstServed is when a digest was first served.
func (w *servedWatch) firstServed(digest string) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, ok := w.first[digest]
	return at, ok
}

// report adds the times from write to answer, and tells how often it looked.
func (w *servedWatch) report(f *figures) (looks int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, wrote := range w.wrote {
		if answered, ok := w.answered[key]; ok {
			// The service may hear of a write before this watch does.
			f.add(&f.WriteToServed, max(answered.Sub(wrote), 0))
		}
	}
	return w.looks
}
