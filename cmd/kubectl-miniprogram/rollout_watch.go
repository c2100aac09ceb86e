package main

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// rewatchAfter is how long to wait before a watch that broke is begun again.
const rewatchAfter = time.Second

func (c *cluster) getRollout(ctx context.Context, name string) (*v1alpha1.Rollout, error) {
	var ro v1alpha1.Rollout
	err := c.client.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, &ro)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no Rollout %s in namespace %s: correct the name or -n", name, c.namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("reading Rollout %s/%s: %w", c.namespace, name, err)
	}
	return &ro, nil
}

// follow hands on a Rollout as it is, and each time that it changes, until see
// says that this is enough. A watch that breaks is begun again from what is there
// then. It ends with an error when the Rollout is deleted, when it may not be
// watched, and when the context ends.
func (c *cluster) follow(ctx context.Context, ro *v1alpha1.Rollout, see func(*v1alpha1.Rollout) bool) error {
	seen, broken := "", 0
	for {
		if ro.ResourceVersion != seen && see(ro) {
			return nil
		}
		began := time.Now()
		done, err := c.watchFrom(ctx, ro, see)
		if done || ctx.Err() != nil {
			return ctx.Err()
		}
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			return fmt.Errorf("watching Rollout %s/%s: %w", ro.Namespace, ro.Name, err)
		}
		// One that breaks as soon as it is begun is not begun anew all the time.
		if broken++; time.Since(began) >= rewatchAfter {
			broken = 0
		}
		if broken > 1 && !patient(ctx, rewatchAfter) {
			return ctx.Err()
		}
		seen = ro.ResourceVersion
		if ro, err = c.again(ctx, ro); err != nil {
			return err
		}
	}
}

// patient waits, and tells whether the context lasted.
func patient(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// watchFrom ends when see has enough, or when the watch does.
func (c *cluster) watchFrom(ctx context.Context, ro *v1alpha1.Rollout, see func(*v1alpha1.Rollout) bool) (done bool, err error) {
	w, err := c.client.Watch(ctx, &v1alpha1.RolloutList{}, &client.ListOptions{
		Namespace: ro.Namespace, FieldSelector: fields.OneTermEqualSelector("metadata.name", ro.Name),
		Raw: &metav1.ListOptions{ResourceVersion: ro.ResourceVersion},
	})
	if err != nil {
		return false, err
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		now, is := event.Object.(*v1alpha1.Rollout)
		if !is || event.Type == watch.Deleted {
			return false, nil // what follows finds out how it is
		}
		if see(now) {
			return true, nil
		}
	}
	return false, nil
}

// again reads a Rollout after a watch ended, as often as it takes.
func (c *cluster) again(ctx context.Context, ro *v1alpha1.Rollout) (*v1alpha1.Rollout, error) {
	for {
		var now v1alpha1.Rollout
		err := c.client.Get(ctx, client.ObjectKeyFromObject(ro), &now)
		switch {
		case err == nil && now.UID == ro.UID:
			return &now, nil
		case err == nil || apierrors.IsNotFound(err):
			return nil, fmt.Errorf("the Rollout %s/%s was deleted", ro.Namespace, ro.Name)
		case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			return nil, fmt.Errorf("reading Rollout %s/%s: %w", ro.Namespace, ro.Name, err)
		}
		if !patient(ctx, rewatchAfter) {
			return nil, ctx.Err()
		}
	}
}
