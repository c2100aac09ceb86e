package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// The ledger is not even read: without admission anybody could have set the annotation.
func TestNothingIsTransferredWhileNobodyGuardsWhoAsks(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	r := &MiniProgramReconciler{Shared{Enforcement: NewEnforcement(nil, nil, "", ""), Now: func() time.Time { return now }}}
	s := &programScope{program: &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-time.Minute))}}}
	want := task.Wait("TransferUnguarded", time.Minute, "%s",
		"the app ID is not transferred while nobody can tell that who asks for it may: admission was not proven to guard approvals yet")
	if diff := cmp.Diff(want, r.transfer(t.Context(), s, &ledger.TakenError{AppID: "com.example.shop", Holders: 1})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
