package argocdtest

import (
	"fmt"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// The beginnings of the keys in argocd-cm, before <group>_<kind>.
const (
	healthKey  = "resource.customizations.health."
	actionsKey = "resource.customizations.actions."
)

// Customizations are the scripts that Argo CD finds in its ConfigMap argocd-cm.
type Customizations struct {
	health  map[string]string // by group_kind
	actions map[string]kindActions
}

// kindActions is what one actions key holds.
type kindActions struct {
	Discovery   string `json:"discovery.lua"`
	Definitions []struct {
		Name string `json:"name"`
		Lua  string `json:"action.lua"`
	} `json:"definitions"`
}

// Load reads ConfigMaps argocd-cm. A key of a later one wins, as in a patch.
func Load(configMaps ...[]byte) (*Customizations, error) {
	all := map[string]string{}
	for _, text := range configMaps {
		var cm struct {
			Data map[string]string `json:"data"`
		}
		if err := yaml.Unmarshal(text, &cm); err != nil {
			return nil, fmt.Errorf("loading customizations of Argo CD: %w", err)
		}
		maps.Copy(all, cm.Data)
	}
	return New(all)
}

// New finds the customizations in what a ConfigMap argocd-cm holds, among its other
// settings.
func New(data map[string]string) (*Customizations, error) {
	c := &Customizations{health: map[string]string{}, actions: map[string]kindActions{}}
	for key, value := range data {
		if kind, is := strings.CutPrefix(key, healthKey); is {
			c.health[kind] = value
		}
		kind, is := strings.CutPrefix(key, actionsKey)
		if !is {
			continue
		}
		var a kindActions
		if err := yaml.UnmarshalStrict([]byte(value), &a); err != nil {
			return nil, fmt.Errorf("loading customizations of Argo CD: data[%s]: %w", key, err)
		}
		c.actions[kind] = a
	}
	return c, nil
}

// Health is what Argo CD shows of an object.
type Health struct {
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
}

// Action is one entry of an object's menu.
type Action struct {
	Name        string      `json:"name"`
	Params      []Parameter `json:"params,omitempty"`
	Disabled    bool        `json:"disabled,omitempty"`
	IconClass   string      `json:"iconClass,omitempty"`
	DisplayName string      `json:"displayName,omitempty"`
}

// Parameter is something that the user is asked for.
type Parameter struct {
	Name string `json:"name"`
}

func groupKind(obj *unstructured.Unstructured) string {
	gvk := obj.GroupVersionKind()
	return gvk.Group + "_" + gvk.Kind
}

// Health runs health.lua on an object.
func (c *Customizations) Health(obj *unstructured.Unstructured) (*Health, error) {
	script, ok := c.health[groupKind(obj)]
	if !ok {
		return nil, fmt.Errorf("there is no health script for %s", groupKind(obj))
	}
	h := &Health{}
	if err := run(script, obj.Object, nil, h); err != nil {
		return nil, err
	}
	switch h.Status {
	case "Healthy", "Progressing", "Degraded", "Suspended":
		return h, nil
	}
	return nil, fmt.Errorf("%q is no health status", h.Status)
}

// Discover runs discovery.lua and returns the object's menu by name.
func (c *Customizations) Discover(obj *unstructured.Unstructured) (map[string]Action, error) {
	a, ok := c.actions[groupKind(obj)]
	if !ok {
		return map[string]Action{}, nil
	}
	menu := map[string]Action{}
	if err := run(a.Discovery, obj.Object, nil, &menu); err != nil {
		return nil, err
	}
	for name, action := range menu {
		action.Name = name
		menu[name] = action
	}
	return menu, nil
}

// Defined are the names of the actions that a kind has scripts for.
func (c *Customizations) Defined(obj *unstructured.Unstructured) []string {
	var names []string
	for _, d := range c.actions[groupKind(obj)].Definitions {
		names = append(names, d.Name)
	}
	return names
}

// Run performs an action on a copy of the object. Argo CD sends the difference as a
// JSON merge patch. It does not look whether the action is disabled.
func (c *Customizations) Run(obj *unstructured.Unstructured, action string, params map[string]string) (*unstructured.Unstructured, error) {
	for _, d := range c.actions[groupKind(obj)].Definitions {
		if d.Name != action {
			continue
		}
		after := map[string]any{}
		if err := run(d.Lua, obj.Object, params, &after); err != nil {
			return nil, err
		}
		mended, ok := mend(after, obj.Object).(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s returned no object", action)
		}
		return &unstructured.Unstructured{Object: mended}, nil
	}
	return nil, fmt.Errorf("%s has no action %s", groupKind(obj), action)
}

// mend undoes what the way through Lua does to empty objects: a table without
// entries comes back as a list. Argo CD looks at what was there before, too.
func mend(after, before any) any {
	switch a := after.(type) {
	case map[string]any:
		if b, is := before.(map[string]any); is {
			for key := range a {
				a[key] = mend(a[key], b[key])
			}
		}
	case []any:
		switch b := before.(type) {
		case map[string]any:
			if len(a) == 0 {
				return map[string]any{}
			}
		case []any:
			for i := range min(len(a), len(b)) {
				a[i] = mend(a[i], b[i])
			}
		}
	}
	return after
}
