package ledger_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
)

var third = ledger.Holder{Namespace: "third-team", Name: "market"}

// wantPage fails unless the whole page is what is wanted.
func wantPage(t *testing.T, l *ledger.Ledger, want string) {
	t.Helper()
	if diff := cmp.Diff(map[string]string{"ledger": want}, configMap(t, l).Data); diff != "" {
		t.Errorf("the page (-want +got):\n%s", diff)
	}
}

func TestATransferMovesTheAppIDAndLeavesTheNumbers(t *testing.T) {
	l := claimed(t)
	ctx := t.Context()
	reached := ledger.Entry{Channel: "release", HostApps: []string{"wallet"}, Namespace: "shop-team", Rollout: "shop", Sequence: 5, Delivery: 2}
	if err := l.Record(ctx, appID, shop, reached); err != nil {
		t.Fatal(err)
	}
	const entries = `"entries":[{"channel":"release","hostApps":["wallet"],"namespace":"shop-team","rollout":"shop","sequence":5,"delivery":2}]`
	wantPage(t, l, `{"appID":"com.Example.shop","holder":{"namespace":"shop-team","name":"shop"},"holders":1,`+entries+`}`)

	if err := l.Transfer(ctx, appID, other, 1); err != nil {
		t.Fatal(err)
	}
	wantPage(t, l, `{"appID":"com.Example.shop","holder":{"namespace":"other-team","name":"shop"},"holders":2,`+entries+`}`)
	if holders, err := l.Claim(ctx, appID, other); holders != 2 || err != nil {
		t.Errorf("the new holder claims it: %d holders, %v", holders, err)
	}
	for what, err := range map[string]error{"holds it": l.Holds(ctx, appID, shop), "records": l.Record(ctx, appID, shop, reached)} {
		taken, _ := errors.AsType[*ledger.TakenError](err)
		if diff := cmp.Diff(&ledger.TakenError{AppID: appID, Holder: other, Holders: 2}, taken); diff != "" {
			t.Errorf("the former holder %s: %v\n%s", what, err, diff)
		}
	}
}

func TestATransferIsDoneAtMostOnce(t *testing.T) {
	l := claimed(t)
	ctx := t.Context()
	transfer := func(to ledger.Holder, holders int64) error { return l.Transfer(ctx, appID, to, holders) }
	if err := transfer(other, 1); err != nil {
		t.Fatal(err)
	}
	before := configMap(t, l).ResourceVersion
	for name, test := range map[string]struct {
		to      ledger.Holder
		holders int64
	}{
		"the same one again":           {other, 1},
		"back, by the count of before": {shop, 1},
		"a third, by the count before": {third, 1},
		"a count that is to come":      {shop, 3},
		"no count":                     {shop, 0},
		"a count below":                {shop, -1},
		"to who holds it, by its own":  {other, 2},
	} {
		t.Run(name, func(t *testing.T) {
			err := transfer(test.to, test.holders)
			taken, ok := errors.AsType[*ledger.TakenError](err)
			if ok != (test.to != other) || ok && taken.Holders != 2 {
				t.Errorf("got %v", err)
			}
			if got := configMap(t, l).ResourceVersion; got != before {
				t.Error("it was written")
			}
		})
	}
	if err := transfer(shop, 2); err != nil {
		t.Errorf("back, by the count of now: %v", err)
	}
	wantPage(t, l, `{"appID":"com.Example.shop","holder":{"namespace":"shop-team","name":"shop"},"holders":3}`)
}

func TestAPageWithoutACountHasHadOneHolder(t *testing.T) {
	l := claimed(t)
	cm := configMap(t, l)
	cm.Data = map[string]string{"ledger": `{"appID":"com.Example.shop","holder":{"namespace":"shop-team","name":"shop"}}`}
	if err := l.Client.Update(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	if err := l.Transfer(t.Context(), appID, other, 1); err != nil {
		t.Fatal(err)
	}
	wantPage(t, l, `{"appID":"com.Example.shop","holder":{"namespace":"other-team","name":"shop"},"holders":2}`)
}

func TestNothingIsTransferredThatNobodyHolds(t *testing.T) {
	if err := newLedger(t).Transfer(t.Context(), appID, other, 1); !errors.Is(err, ledger.ErrUnclaimed) {
		t.Errorf("got %v", err)
	}
}

func TestOfTwoTransfersOneIsDone(t *testing.T) {
	l := claimed(t)
	ctx := t.Context()
	slow := &ledger.Ledger{Namespace: l.Namespace, Client: &late{l.Client, func() {
		if err := l.Transfer(ctx, appID, other, 1); err != nil {
			t.Error(err)
		}
	}}}
	if err := slow.Transfer(ctx, appID, third, 1); !apierrors.IsConflict(err) {
		t.Errorf("the slower of two: %v, want a conflict", err)
	}
	if _, taken := errors.AsType[*ledger.TakenError](l.Transfer(ctx, appID, third, 1)); !taken {
		t.Error("the slower of two took it when it tried again")
	}
	wantPage(t, l, `{"appID":"com.Example.shop","holder":{"namespace":"other-team","name":"shop"},"holders":2}`)
}

func TestARecordOfTheFormerHolderDoesNotOvertakeATransfer(t *testing.T) {
	l := claimed(t)
	ctx := t.Context()
	slow := &ledger.Ledger{Namespace: l.Namespace, Client: &late{l.Client, func() {
		if err := l.Transfer(ctx, appID, other, 1); err != nil {
			t.Error(err)
		}
	}}}
	err := slow.Record(ctx, appID, shop, ledger.Entry{Channel: "release", HostApps: []string{"wallet"}, Namespace: "shop-team", Rollout: "shop", Sequence: 9})
	if !apierrors.IsConflict(err) {
		t.Errorf("got %v, want a conflict", err)
	}
	wantPage(t, l, `{"appID":"com.Example.shop","holder":{"namespace":"other-team","name":"shop"},"holders":2}`)
}
