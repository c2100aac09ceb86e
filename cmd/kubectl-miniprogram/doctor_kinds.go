package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/config/crd"
)

// olderKinds maps the names of the cluster's CustomResourceDefinitions to what they lack of
// those of this plugin's version. One that is not there at all is not among them.
func (g *gatherer) olderKinds(ctx context.Context) (known[map[string][]string], error) {
	want, err := crd.Read()
	if err != nil {
		return known[map[string][]string]{}, err
	}
	older := map[string][]string{}
	for _, ours := range want {
		theirs := &unstructured.Unstructured{}
		theirs.SetGroupVersionKind(ours.GroupVersionKind())
		err := g.client.Get(ctx, client.ObjectKey{Name: ours.GetName()}, theirs)
		if apierrors.IsNotFound(err) {
			continue
		}
		if answer, err := asked(map[string][]string(nil), err); err != nil || answer.err != nil {
			return answer, err
		}
		if missing := lacking(schemaOf(ours), schemaOf(theirs)); len(missing) > 0 {
			older[ours.GetName()] = missing
		}
	}
	return known[map[string][]string]{value: older}, nil
}

// schemaOf is what a CustomResourceDefinition says of our version.
func schemaOf(definition *unstructured.Unstructured) map[string]any {
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	for _, v := range versions {
		if version, is := v.(map[string]any); is && version["name"] == v1alpha1.GroupVersion.Version {
			schema, _, _ := unstructured.NestedMap(version, "schema", "openAPIV3Schema")
			return schema
		}
	}
	return nil
}

// lacking are the fields, and the words that a field may be, which the one schema has and the
// other has not. Of what lies below such a field nothing is said.
func lacking(want, have map[string]any) []string {
	ours, theirs := map[string]bool{}, map[string]bool{}
	addFields(ours, "", want)
	addFields(theirs, "", have)
	var missing []string
	for _, field := range slices.Sorted(maps.Keys(ours)) {
		if !theirs[field] && !slices.ContainsFunc(missing, func(above string) bool { return below(field, above) }) {
			missing = append(missing, field)
		}
	}
	return missing
}

func below(field, above string) bool {
	rest, found := strings.CutPrefix(field, above)
	return found && strings.ContainsAny(rest[:min(1, len(rest))], ".[{ ")
}

func addFields(to map[string]bool, path string, schema map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		at := strings.TrimPrefix(path+"."+name, ".")
		to[at] = true
		if p, is := property.(map[string]any); is {
			addFields(to, at, p)
		}
	}
	words, _ := schema["enum"].([]any)
	for _, word := range words {
		to[fmt.Sprintf("%s %v", path, word)] = true
	}
	for key, mark := range map[string]string{"items": "[]", "additionalProperties": "{}"} {
		if inner, is := schema[key].(map[string]any); is {
			addFields(to, path+mark, inner)
		}
	}
}

// shownFields are named of a kind that lacks more.
const shownFields = 3

// diagnoseOlderKinds tells of kinds that do not know all that this plugin's version knows. What they
// do not know the API server drops from what is written, or refuses.
func (f *installationFacts) diagnoseOlderKinds(d *diagnoses) {
	if f.older.err != nil {
		d.unknown("whether the kinds are of the manager's version", f.older.err)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(f.older.value)) {
		fields := f.older.value[name]
		text := strings.Join(fields[:min(shownFields, len(fields))], ", ")
		if more := len(fields) - shownFields; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		if is := f.managerVersion(); is != "" && !f.sameVersion(is) {
			d.add(levelUnknown, fmt.Sprintf("CustomResourceDefinition %s lacks what this plugin knows, %s: that is right if the manager (%s) is the older of both", name, text, is))
			continue
		}
		d.add(levelMissing, fmt.Sprintf("CustomResourceDefinition %s is older than the manager: it lacks %s, which is dropped from what is written, or refused", name, text),
			`kubectl apply --server-side -f crds.yaml   (of the manager's release; docs/versions.md, "To upgrade")`)
	}
}

// managerVersion is the tag of the manager's image; empty where that is not known.
func (f *installationFacts) managerVersion() string {
	if f.manager.value == nil {
		return ""
	}
	for _, c := range f.manager.value.Spec.Template.Spec.Containers {
		if tag := tagOf(c.Image); tag != "" {
			return tag
		}
	}
	return ""
}

// sameVersion tells whether a tag is this plugin's version, as far as it knows its own.
func (f *installationFacts) sameVersion(tag string) bool {
	return f.version == "dev" || strings.TrimPrefix(tag, "v") == strings.TrimPrefix(f.version, "v")
}
