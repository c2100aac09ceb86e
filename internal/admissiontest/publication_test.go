package admissiontest

import (
	"strings"
	"testing"
)

func TestThePublicationNamespaceIsTheControllers(t *testing.T) {
	deny := func(name, message string) string {
		return denied("configmaps", name, "miniprogram-publication", message)
	}
	const (
		document  = "shop-team.shop.rollout"
		written   = "metadata.namespace: what is published in miniprogram-published is written only by the controller (verb publish on controllers.miniprogram.dev), not by petra: change the Rollout or HostApp that it comes from"
		deletedBy = "metadata.name: petra may not delete what is published: delete the Rollout or HostApp that it comes from, or ask for verb retire on configmaps in namespace miniprogram-published"
		label     = "metadata.labels[miniprogram.dev/document]: must stay rollout; delete the ConfigMap to make room for something else"
	)
	const immutable = "immutable: must be true for a part of an audience, which no write may change; another list is another ConfigMap"
	fallen := func(to string) string {
		return deny(document, "data.sequence: may not fall from 1795000042 to "+to+": host apps never go back; decide anew from what is published now")
	}
	published := "metadata: {labels: {miniprogram.dev/published: \"true\"}}"
	sequence := func(s string) request { return patch("ConfigMap", document, "data: {sequence: "+s+"}") }
	check(t, map[string]cell{
		"the controller creates":                         {who: controller, do: create("ConfigMap", "wallet.hostapp", published)},
		"the controller publishes a higher number":       {who: controller, do: sequence(`"1795000043"`)},
		"the controller signs the same number anew":      {who: controller, do: sequence(`"1795000042"`)},
		"a number of more digits is higher":              {who: controller, do: sequence(`"10000000000"`)},
		"the controller deletes":                         {who: controller, do: remove("ConfigMap", document)},
		"a stale leader does not publish a lower number": {who: controller, do: sequence(`"1795000041"`), want: fallen("1795000041")},
		"a cluster admin does not either":                {who: carl, do: sequence(`"7"`), want: fallen("7")},
		"a number does not go away":                      {who: controller, do: sequence("null"), want: fallen("(unset)")},
		"a number stays one":                             {who: controller, do: sequence("more"), want: fallen("more")},
		"a number does not fall in a document that lost its label": {
			who:  controller,
			do:   patch("ConfigMap", "unlabelled.rollout", `data: {sequence: "1"}`),
			want: deny("unlabelled.rollout", "data.sequence: may not fall from 1795000042 to 1: host apps never go back; decide anew from what is published now"),
		},
		"a broken number is mended": {who: controller, do: patch("ConfigMap", "broken.rollout", `data: {sequence: "1"}`)},
		"a document stays a document": {
			who: controller, do: patch("ConfigMap", document, "metadata: {labels: {miniprogram.dev/document: null}}"), want: deny(document, label),
		},
		"the controller writes a part of an audience": {who: controller, do: create("ConfigMap", "0123.audience.7", "{immutable: true, "+published+"}")},
		"a part of an audience may not change later": {
			who: controller, do: create("ConfigMap", "0123.audience.7", published), want: deny("0123.audience.7", immutable),
		},
		"whatever its name is": {
			who: controller, do: create("ConfigMap", "part", `metadata: {labels: {miniprogram.dev/published: "true", miniprogram.dev/document: audience}}`), want: deny("part", immutable),
		},
		"RBAC's rights do not create a part": {
			who: petra, do: create("ConfigMap", "0123.audience.7", "immutable: true"), want: deny("0123.audience.7", written),
		},
		"a cluster admin changes by hand": {who: carl, do: patch("ConfigMap", document, "data: {document: none}")},
		"a cluster admin deletes by hand": {who: installer, do: remove("ConfigMap", document)},
		"RBAC's rights do not create": {
			who: petra, do: create("ConfigMap", "new", published), want: deny("new", written),
		},
		"RBAC's rights do not create under a name of ours": {
			who: petra, do: create("ConfigMap", "shop-team.other.rollout", ""), want: deny("shop-team.other.rollout", written),
		},
		"RBAC's rights do not change": {
			who: petra, do: patch("ConfigMap", document, "data: {document: none}"), want: deny(document, written),
		},
		"RBAC's rights do not hide a document": {
			who: petra, do: patch("ConfigMap", document, "metadata: {labels: null}"), want: deny(document, written),
		},
		"RBAC's rights do not publish what is there": {
			who: petra, do: patch("ConfigMap", "notes", published), want: deny("notes", written),
		},
		"RBAC's rights do not delete": {
			who: petra, do: remove("ConfigMap", document), want: deny(document, deletedBy),
		},
		"what is none of ours is let be": {who: petra, do: patch("ConfigMap", "notes", "data: {text: mine}")},
		"another namespace with the label is guarded too": {
			who: petra,
			do:  create("ConfigMap", "x.rollout", `metadata: {namespace: published-elsewhere}`),
			want: strings.ReplaceAll(strings.Replace(deny("x.rollout", written),
				"binding 'miniprogram-publication'", "binding 'miniprogram-publication-elsewhere'", 1), "in miniprogram-published", "in published-elsewhere"),
		},
		"any other namespace is let be": {
			who: installer, do: create("ConfigMap", "x.rollout", `{metadata: {namespace: default}, data: {sequence: "1"}}`),
		},
	})
}
