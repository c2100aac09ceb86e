package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// pollEvery is how often what is waited for is asked.
const pollEvery = 20 * time.Millisecond

// until asks until the answer is nil. Its error says what was waited for, what
// was missing at the end, and what the logs end with.
func until(ctx context.Context, what string, within time.Duration, logs func() string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	last := errors.New("nothing was asked yet")
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil { // else it only says that the time is up
			last = err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
			}
			return fmt.Errorf("waiting for %s: not within %s: %w%s", what, within, last, logs())
		}
	}
}

// patience is how long anything may take. A manager that is killed all the time
// takes longer.
func (d *demo) patience() time.Duration {
	if d.kills > 0 {
		return 2 * time.Minute
	}
	return time.Minute
}

// awaitRollout waits until the Rollout is as wanted: missing says what is not.
func (d *demo) awaitRollout(ctx context.Context, key types.NamespacedName, what string, missing func(*v1alpha1.Rollout) string) (*v1alpha1.Rollout, error) {
	ro := &v1alpha1.Rollout{}
	err := until(ctx, fmt.Sprintf("Rollout %s: %s", key, what), d.patience(), d.tails(), func(ctx context.Context) error {
		if err := d.client.Get(ctx, key, ro); err != nil {
			return err
		}
		if text := missing(ro); text != "" {
			return fmt.Errorf("%s; its status: %q at %s, sequence %d;%s", text, ro.Status.Summary, ro.Status.Percent, ro.Status.Sequence, describe(ro.Status.Conditions))
		}
		return nil
	})
	return ro, err
}

// awaitVersion waits until the MiniProgramVersion is as wanted.
func (d *demo) awaitVersion(ctx context.Context, key types.NamespacedName, what string, missing func(*v1alpha1.MiniProgramVersion) string) (*v1alpha1.MiniProgramVersion, error) {
	v := &v1alpha1.MiniProgramVersion{}
	err := until(ctx, fmt.Sprintf("MiniProgramVersion %s: %s", key, what), d.patience(), d.tails(), func(ctx context.Context) error {
		if err := d.client.Get(ctx, key, v); err != nil {
			return err
		}
		if text := missing(v); text != "" {
			return fmt.Errorf("%s; its status: %q;%s", text, v.Status.Summary, describe(v.Status.Conditions))
		}
		return nil
	})
	return v, err
}

// describe writes conditions as lines.
func describe(conditions []metav1.Condition) string {
	if len(conditions) == 0 {
		return " it has no conditions yet"
	}
	var b strings.Builder
	for _, c := range conditions {
		fmt.Fprintf(&b, "\n  %s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	return b.String()
}

// isTrue tells that a condition holds for the object as it is now.
func isTrue(o client.Object, conditions []metav1.Condition, kind string) bool {
	c := meta.FindStatusCondition(conditions, kind)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == o.GetGeneration()
}

// isOK returns an error unless the answer at a URL is 200.
func isOK(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 512))
	if closed := response.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", url, response.Status, body)
	}
	return nil
}
