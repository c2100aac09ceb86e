package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// notTaken says why the host app does not take the program; empty: it does.
func (s *Shared) notTaken(ctx context.Context, h *v1alpha1.HostApp, p *v1alpha1.MiniProgram) (string, error) {
	var namespace corev1.Namespace
	if h.Spec.NamespaceSelector != nil {
		if err := s.Client.Get(ctx, client.ObjectKey{Name: p.Namespace}, &namespace); err != nil {
			return "", fmt.Errorf("reading namespace %s: %w", p.Namespace, err)
		}
	}
	return notSelected(h, p, namespace.Labels)
}

// notSelected says which selector of the host app leaves the program out.
func notSelected(h *v1alpha1.HostApp, p *v1alpha1.MiniProgram, namespaceLabels map[string]string) (string, error) {
	namespaces, err := hostSelector(h, "spec.namespaceSelector", h.Spec.NamespaceSelector)
	if err != nil {
		return "", err
	}
	programs, err := hostSelector(h, "spec.miniProgramSelector", h.Spec.MiniProgramSelector)
	if err != nil {
		return "", err
	}
	switch {
	case !namespaces.Matches(labels.Set(namespaceLabels)):
		return fmt.Sprintf("host app %s does not take mini programs of namespace %s (its spec.namespaceSelector): ask the platform's administrators to label the namespace", h.Name, p.Namespace), nil
	case !programs.Matches(labels.Set(p.Labels)):
		return fmt.Sprintf("host app %s does not take MiniProgram %s (its spec.miniProgramSelector): ask the platform's administrators to label the MiniProgram (needs verb classify)", h.Name, p.Name), nil
	}
	return "", nil
}

// checkSelectors returns the first error that notSelected can give for the host app.
func checkSelectors(h *v1alpha1.HostApp) error {
	_, err := notSelected(h, &v1alpha1.MiniProgram{}, nil)
	return err
}

// hostSelector reads one that selects everything when it is unset. By labels of a
// mini program that a developer may change, he would choose who is sent it.
func hostSelector(h *v1alpha1.HostApp, field string, s *metav1.LabelSelector) (labels.Selector, error) {
	if s == nil {
		return labels.Everything(), nil
	}
	if s == h.Spec.MiniProgramSelector {
		keys := slices.Collect(maps.Keys(s.MatchLabels))
		for _, e := range s.MatchExpressions {
			keys = append(keys, e.Key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			if !strings.HasPrefix(key, policy.LabelPrefix) {
				return nil, selectorInvalid(h, field, fmt.Errorf("key %q does not begin with %s, so whoever edits a mini program may change such a label", key, policy.LabelPrefix))
			}
		}
	}
	read, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return nil, selectorInvalid(h, field, err)
	}
	return read, nil
}

func selectorInvalid(h *v1alpha1.HostApp, field string, err error) error {
	return task.Stall("SelectorInvalid", fmt.Errorf("HostApp %s: %s cannot be read: %w: ask the platform's administrators to correct it", h.Name, field, err))
}
