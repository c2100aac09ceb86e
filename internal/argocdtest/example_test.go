package argocdtest

import (
	"bytes"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/config/argocd"
)

// syncPolicy is what of an Application says how failed syncs are tried again.
type syncPolicy struct {
	Retry *struct {
		Limit   int  `json:"limit"`
		Refresh bool `json:"refresh"`
	} `json:"retry"`
}

// A sync that is tried again is one that goes on, and no other commit is synced while
// one does. So a retry has to take the newest commit, or the one that mends a mistake
// waits for the mistake.
func TestRetriesOfTheExampleTakeTheNewestCommit(t *testing.T) {
	found := 0
	for name, data := range map[string][]byte{"groups.yaml": argocd.Groups, "platform.yaml": argocd.Platform, "operator/application.yaml": argocd.Operator} {
		for _, document := range bytes.Split(data, []byte("\n---\n")) {
			var got struct {
				Kind string `json:"kind"`
				Spec struct {
					SyncPolicy syncPolicy `json:"syncPolicy"`
					Template   struct {
						Spec struct {
							SyncPolicy syncPolicy `json:"syncPolicy"`
						} `json:"spec"`
					} `json:"template"`
				} `json:"spec"`
			}
			if err := yaml.Unmarshal(document, &got); err != nil {
				t.Fatal(err)
			}
			policy := got.Spec.SyncPolicy
			if got.Kind == "ApplicationSet" {
				policy = got.Spec.Template.Spec.SyncPolicy
			}
			found++
			if policy.Retry == nil || policy.Retry.Limit != -1 || !policy.Retry.Refresh {
				t.Errorf("%s: %s: retry is %+v, want without limit and with refresh", name, got.Kind, policy.Retry)
			}
		}
	}
	if found != 3 {
		t.Errorf("found %d applications", found)
	}
}

// argocd app confirm-deletion annotates an Application, and the ApplicationSet that made it
// takes away each annotation that is neither its own nor named here.
func TestTheExamplesApplicationSetLeavesConfirmationsThere(t *testing.T) {
	var got struct {
		Spec struct {
			PreservedFields struct {
				Annotations []string `json:"annotations"`
			} `json:"preservedFields"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(argocd.Groups, &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(got.Spec.PreservedFields.Annotations, "argocd.argoproj.io/deletion-approved") {
		t.Errorf("preservedFields.annotations is %v", got.Spec.PreservedFields.Annotations)
	}
}
