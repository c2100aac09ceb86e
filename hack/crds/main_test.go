package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const open = `---
a:
  properties:
    ours:
      maxLength: 9
      type: string
    selector:
      properties:
        matchExpressions:
          items:
            properties:
              key:
                type: string
              operator:
                type: string
              values:
                items:
                  type: string
                type: array
          type: array
        matchLabels:
          additionalProperties:
            type: string
          type: object
`

const bounded = `---
a:
  properties:
    ours:
      maxLength: 9
      type: string
    selector:
      properties:
        matchExpressions:
          items:
            properties:
              key:
                maxLength: 317
                minLength: 1
                type: string
              operator:
                enum:
                - In
                - NotIn
                - Exists
                - DoesNotExist
                type: string
              values:
                items:
                  maxLength: 63
                  type: string
                maxItems: 50
                type: array
          maxItems: 20
          type: array
        matchLabels:
          additionalProperties:
            maxLength: 63
            type: string
          maxProperties: 20
          type: object
`

func TestRunBoundsWhatComesFromTheAPIMachinery(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "crd.yaml")
	if err := os.WriteFile(file, []byte(open), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"at first", "again"} {
		if err := run(dir); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(bounded, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
}

func TestRunFails(t *testing.T) {
	for name, test := range map[string]struct {
		content *string
		want    string
	}{
		"where there are no CRDs": {nil, "no CRDs in DIR: run make generate in the repository's root"},
		"on an empty file":        {new(""), "DIR/crd.yaml: the file is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if test.content != nil {
				if err := os.WriteFile(filepath.Join(dir, "crd.yaml"), []byte(*test.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := run(dir)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(test.want, strings.ReplaceAll(err.Error(), dir, "DIR")); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
