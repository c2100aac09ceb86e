package main

import (
	"context"
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

// until asks until nothing is missing. Its error says what was waited for, what
// was missing at the end, and what the logs end with. An error of the question
// ends the waiting.
func until(ctx context.Context, what string, within time.Duration, logs func() string, ask func(context.Context) (missing string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	last := "nothing was asked yet"
	for {
		missing, err := ask(ctx)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if err == nil {
			if missing == "" {
				return nil
			}
			if ctx.Err() == nil {
				last = missing
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			if cause := context.Cause(ctx); cause == context.Canceled {
				return fmt.Errorf("waiting for %s: %w", what, cause)
			}
			return fmt.Errorf("waiting for %s: not within %s: %s%s", what, within, last, logs())
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
	err := until(ctx, fmt.Sprintf("Rollout %s: %s", key, what), d.patience(), d.tails(), func(ctx context.Context) (string, error) {
		if err := d.client.Get(ctx, key, ro); err != nil {
			return err.Error(), nil
		}
		text := missing(ro)
		if text != "" {
			text = fmt.Sprintf("%s; its status: %q at %s, sequence %d;%s", text, ro.Status.Summary, ro.Status.Percent, ro.Status.Sequence, describe(ro.Status.Conditions))
		}
		return text, nil
	})
	return ro, err
}

// awaitVersion waits until the MiniProgramVersion is as wanted.
func (d *demo) awaitVersion(ctx context.Context, key types.NamespacedName, what string, missing func(*v1alpha1.MiniProgramVersion) string) (*v1alpha1.MiniProgramVersion, error) {
	v := &v1alpha1.MiniProgramVersion{}
	err := until(ctx, fmt.Sprintf("MiniProgramVersion %s: %s", key, what), d.patience(), d.tails(), func(ctx context.Context) (string, error) {
		if err := d.client.Get(ctx, key, v); err != nil {
			return err.Error(), nil
		}
		text := missing(v)
		if text != "" {
			text = fmt.Sprintf("%s; its status: %q;%s", text, v.Status.Summary, describe(v.Status.Conditions))
		}
		return text, nil
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

// notOK says what is wrong with the answer at a URL; nothing: it is 200.
func notOK(ctx context.Context, url string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 512))
	if closed := response.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err.Error()
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Sprintf("%s answers %s: %s", url, response.Status, body)
	}
	return ""
}
