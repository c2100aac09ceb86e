package controller

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

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

// brokenLedger is a client that cannot read the ledger, or finds none and cannot write it.
type brokenLedger struct {
	client.Client
	read, write error
}

func (c brokenLedger) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return c.read
}

func (c brokenLedger) Create(context.Context, client.Object, ...client.CreateOption) error {
	return c.write
}

func claiming(ledgerClient client.Client, annotations map[string]string) (*MiniProgramReconciler, *programScope) {
	program := &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "app", Annotations: annotations}}
	program.Spec.AppID = "com.example.shop"
	return &MiniProgramReconciler{Shared{Ledger: &ledger.Ledger{Client: ledgerClient, Namespace: "published"}}}, &programScope{program: program}
}

func TestATransferStaysUnansweredWhileTheLedgerFails(t *testing.T) {
	down := errors.New("the API server does not answer")
	none := apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, "ledger")
	for name, broken := range map[string]brokenLedger{
		"it cannot be read":    {read: down},
		"it cannot be written": {read: none, write: down},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := claiming(broken, map[string]string{v1alpha1.ActionAnnotation: "transfer@1"})
			if err := r.claim(t.Context(), s); !errors.Is(err, down) {
				t.Errorf("says %v", err)
			}
			if got := s.program.Status.LastAction; got != nil {
				t.Errorf("is answered %+v", got)
			}
		})
	}
}

func TestTheAnswerToALongTransferFitsIntoTheStatus(t *testing.T) {
	none := apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, "ledger")
	r, s := claiming(brokenLedger{read: none}, map[string]string{
		v1alpha1.ActionAnnotation: "transfer@" + strings.Repeat("1", 300), v1alpha1.ActionByAnnotation: strings.Repeat("ä", 300),
	})
	want := &v1alpha1.ActionAnswer{
		Value: "transfer@" + strings.Repeat("1", 246) + "…", User: strings.Repeat("ä", 255) + "…",
		Result: "Stale", Message: "the MiniProgram holds its app ID, as holder 1",
	}
	for _, pass := range []string{"first", "second"} {
		if err := r.claim(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, s.program.Status.LastAction); diff != "" {
			t.Errorf("%s pass: -want +got:\n%s", pass, diff)
		}
		s.now = metav1.Now() // shows an answer that is given anew
	}
}

// programs is a client that lists them.
type programs struct {
	client.Client
	items []v1alpha1.MiniProgram
}

func (c programs) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if l, ok := list.(*v1alpha1.MiniProgramList); ok {
		l.Items = c.items
	}
	return nil
}

func TestAProofWakesThoseWhoAskForATransfer(t *testing.T) {
	var items []v1alpha1.MiniProgram
	for name, action := range map[string]string{"idle": "", "moves": "transfer@1", "off": "suspend@1"} {
		items = append(items, v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: name, Annotations: map[string]string{v1alpha1.ActionAnnotation: action},
		}})
	}
	r := &MiniProgramReconciler{Shared{Client: programs{items: items}}}
	want := []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: "team", Name: "moves"}}}
	if diff := cmp.Diff(want, r.transferring(t.Context(), nil)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A pass without the first proof would have the transfer wait as long as the program has waited so far.
func TestAProgramWaitsForTheFirstProof(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	r := &MiniProgramReconciler{Shared{Enforcement: NewEnforcement(nil, nil, "", "")}}
	if _, err := r.Reconcile(stopped, ctrl.Request{}); !errors.Is(err, context.Canceled) {
		t.Errorf("says %v", err)
	}
}
