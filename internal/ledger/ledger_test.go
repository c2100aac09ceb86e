package ledger_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
)

const appID = "com.Example.shop"

var (
	shop  = ledger.Holder{Namespace: "shop-team", Name: "shop"}
	other = ledger.Holder{Namespace: "other-team", Name: "shop"}
)

func newLedger(t *testing.T) *ledger.Ledger {
	t.Helper()
	cp := controlplane.ForTest(t)
	c, err := client.New(cp.Admin(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &ledger.Ledger{Client: c, Namespace: cp.Namespace(t)}
}

func claimed(t *testing.T) *ledger.Ledger {
	t.Helper()
	l := newLedger(t)
	if _, err := l.Claim(t.Context(), appID, shop); err != nil {
		t.Fatal(err)
	}
	return l
}

func configMap(t *testing.T, l *ledger.Ledger) *corev1.ConfigMap {
	t.Helper()
	var cm corev1.ConfigMap
	if err := l.Client.Get(t.Context(), client.ObjectKey{Namespace: l.Namespace, Name: delivery.LedgerConfigMap(appID)}, &cm); err != nil {
		t.Fatal(err)
	}
	return &cm
}

func TestAnAppIDHasOneHolder(t *testing.T) {
	l := newLedger(t)
	ctx := t.Context()
	if err := l.Holds(ctx, appID, shop); !errors.Is(err, ledger.ErrUnclaimed) {
		t.Errorf("before the claim: %v", err)
	}
	for range 2 {
		if holders, err := l.Claim(ctx, appID, shop); err != nil || holders != 1 {
			t.Errorf("the first who claims it: %d holders, %v", holders, err)
		}
	}
	if err := l.Holds(ctx, appID, shop); err != nil {
		t.Errorf("the holder: %v", err)
	}
	_, claim := l.Claim(ctx, appID, other)
	for what, err := range map[string]error{"claims": claim, "holds": l.Holds(ctx, appID, other), "records": l.Record(ctx, appID, other, ledger.Entry{})} {
		taken, ok := errors.AsType[*ledger.TakenError](err)
		if !ok {
			t.Errorf("a second %s: %v", what, err)
			continue
		}
		if diff := cmp.Diff(&ledger.TakenError{AppID: appID, Holder: shop, Holders: 1}, taken); diff != "" {
			t.Error(diff)
		}
		const want = "spec.appID com.Example.shop is held by another MiniProgram"
		if taken.Error() != want {
			t.Errorf("got %q, want %q", taken, want)
		}
	}
	if _, err := l.Claim(ctx, "com.example.shop", other); err != nil {
		t.Errorf("another app ID, by a letter's case: %v", err)
	}
	want := map[string]string{v1alpha1.PublishedLabel: "true", delivery.DocumentLabel: delivery.KindLedger}
	if diff := cmp.Diff(want, configMap(t, l).Labels); diff != "" {
		t.Error(diff)
	}
}

func variant(version string) *v1alpha1.Variant {
	return &v1alpha1.Variant{VersionRef: version, Version: version}
}

func TestWhatIsRecordedIsFound(t *testing.T) {
	l := claimed(t)
	ctx := t.Context()
	first := ledger.Entry{Channel: "release", HostApps: []string{"wallet", "chat"}, Namespace: "shop-team", Rollout: "shop", Sequence: 5, Delivery: 2, Stable: variant("1.0.0")}
	second := ledger.Entry{Channel: "release", HostApps: []string{"maps"}, Namespace: "shop-team", Rollout: "maps", Sequence: 9, Delivery: 7}
	for _, e := range []ledger.Entry{first, second} {
		if err := l.Record(ctx, appID, shop, e); err != nil {
			t.Fatal(err)
		}
	}
	first.HostApps = []string{"chat", "wallet"} // sorted
	for name, test := range map[string]struct {
		channel  string
		hostApps []string
		want     []ledger.Entry
	}{
		"one of its host apps":             {"release", []string{"wallet", "web"}, []ledger.Entry{first}},
		"both, the highest sequence first": {"release", []string{"chat", "maps"}, []ledger.Entry{second, first}},
		"none of them":                     {"release", []string{"web"}, nil},
		"another channel":                  {"trial", []string{"wallet"}, nil},
		"nobody asks for a host app":       {"release", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := l.Find(ctx, appID, test.channel, test.hostApps)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 {
				got = nil
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	for digest, want := range map[string][]ledger.Entry{first.Stable.Digest: {first}, "sha256:other": {}} {
		got, err := l.Keepers(ctx, appID, digest)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("keepers of %s: %v (-want +got):\n%s", digest, err, diff)
		}
	}
	if got, err := l.Find(ctx, "com.example.unknown", "release", []string{"wallet"}); err != nil || len(got) != 0 {
		t.Errorf("an app ID that nobody claimed: %v, %v", got, err)
	}
}

func TestNumbersInTheLedgerNeverFall(t *testing.T) {
	l := claimed(t)
	ctx := t.Context()
	entry := ledger.Entry{Channel: "release", HostApps: []string{"wallet"}, Namespace: "shop-team", Rollout: "shop", Sequence: 50, Delivery: 20, Stable: variant("1.0.0")}
	record := func(sequence, number int64, stable string) (ledger.Entry, string) {
		t.Helper()
		e := entry
		e.Sequence, e.Delivery, e.Stable = sequence, number, variant(stable)
		if err := l.Record(ctx, appID, shop, e); err != nil {
			t.Fatal(err)
		}
		got, err := l.Find(ctx, appID, "release", []string{"wallet"})
		if err != nil || len(got) != 1 {
			t.Fatalf("%v, %v", got, err)
		}
		return got[0], configMap(t, l).ResourceVersion
	}
	_, written := record(50, 20, "1.0.0")
	got, same := record(60, 20, "1.0.0")
	if same != written || got.Sequence != 50 {
		t.Errorf("a sequence alone was written: %+v", got)
	}
	got, _ = record(40, 10, "1.1.0")
	if got.Sequence != 50 || got.Delivery != 20 || got.Stable.Version != "1.1.0" {
		t.Errorf("got %+v, want the higher numbers and the new stable", got)
	}
	got, _ = record(70, 30, "1.1.0")
	if got.Sequence != 70 || got.Delivery != 30 {
		t.Errorf("got %+v", got)
	}
}

func TestNothingIsRecordedForAnAppIDThatNobodyHolds(t *testing.T) {
	err := newLedger(t).Record(t.Context(), appID, shop, ledger.Entry{Namespace: "shop-team", Rollout: "shop"})
	const want = "recording shop-team/shop: nobody holds app ID com.Example.shop yet"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// late writes something else between a reader's read and its write.
type late struct {
	client.Client
	meanwhile func()
}

func (c *late) Update(ctx context.Context, o client.Object, opts ...client.UpdateOption) error {
	c.meanwhile()
	return c.Client.Update(ctx, o, opts...)
}

func (c *late) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	c.meanwhile()
	return c.Client.Create(ctx, o, opts...)
}

func TestOfTwoWritersOneHasToReadAgain(t *testing.T) {
	entry := func(rollout string) ledger.Entry {
		return ledger.Entry{Channel: "release", HostApps: []string{"wallet"}, Namespace: "shop-team", Rollout: rollout, Sequence: 1}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("recording", func(t *testing.T) {
		l := claimed(t)
		slow := &ledger.Ledger{Namespace: l.Namespace, Client: &late{l.Client, func() { must(l.Record(t.Context(), appID, shop, entry("a"))) }}}
		if err := slow.Record(t.Context(), appID, shop, entry("b")); !apierrors.IsConflict(err) {
			t.Errorf("the slower of two: %v, want a conflict", err)
		}
		must(l.Record(t.Context(), appID, shop, entry("b")))
		got, err := l.Find(t.Context(), appID, "release", []string{"wallet"})
		if err != nil || len(got) != 2 {
			t.Errorf("got %+v, %v, want both", got, err)
		}
	})
	t.Run("claiming", func(t *testing.T) {
		l := newLedger(t)
		slow := &ledger.Ledger{Namespace: l.Namespace, Client: &late{l.Client, func() {
			_, err := l.Claim(t.Context(), appID, other)
			must(err)
		}}}
		if _, err := slow.Claim(t.Context(), appID, shop); !apierrors.IsAlreadyExists(err) {
			t.Errorf("the slower of two: %v", err)
		}
		if _, taken := errors.AsType[*ledger.TakenError](l.Holds(t.Context(), appID, shop)); !taken {
			t.Error("the slower of two holds it afterwards")
		}
	})
}

func TestADamagedLedgerIsNotOverwritten(t *testing.T) {
	for name, data := range map[string]string{
		"no JSON":           "{",
		"empty":             "",
		"of another app ID": `{"appID":"com.example.shop","holder":{"namespace":"a","name":"b"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			l := claimed(t)
			cm := configMap(t, l)
			cm.Data = map[string]string{"ledger": data}
			if err := l.Client.Update(t.Context(), cm); err != nil {
				t.Fatal(err)
			}
			want := "ConfigMap " + l.Namespace + "/" + cm.Name + ", the ledger of app ID com.Example.shop, was damaged: restore it, or delete it if nobody else ever held the app ID"
			_, find := l.Find(t.Context(), appID, "release", nil)
			_, claim := l.Claim(t.Context(), appID, other)
			for what, err := range map[string]error{
				"claiming": claim, "holding": l.Holds(t.Context(), appID, shop), "finding": find,
				"recording": l.Record(t.Context(), appID, shop, ledger.Entry{}), "transferring": l.Transfer(t.Context(), appID, other, 1),
			} {
				if err == nil || err.Error() != want {
					t.Errorf("%s: %v, want %s", what, err, want)
				}
			}
			if got := configMap(t, l).Data["ledger"]; got != data {
				t.Errorf("it was overwritten: %s", got)
			}
		})
	}
}

// A program whose Rollouts come and go under ever new names does not fill its page.
func TestAnEntryGoesWhenAllItsHostAppsHaveSomethingNewer(t *testing.T) {
	entry := func(rollout string, sequence, delivery int64, stable *v1alpha1.Variant, hostApps ...string) ledger.Entry {
		return ledger.Entry{Channel: "release", HostApps: hostApps, Namespace: "shop-team", Rollout: rollout, Sequence: sequence, Delivery: delivery, Stable: stable}
	}
	old := entry("old", 5, 9, variant("1.0.0"), "chat", "wallet")
	for name, tc := range map[string]struct{ next, want []ledger.Entry }{
		"by one for both": {
			next: []ledger.Entry{entry("new", 6, 2, variant("1.1.0"), "chat", "maps", "wallet")},
			want: []ledger.Entry{entry("new", 6, 9, variant("1.1.0"), "chat", "maps", "wallet")}, // no number is given out twice
		},
		"not by one for one of them": {
			next: []ledger.Entry{entry("new", 6, 2, variant("1.1.0"), "chat")},
			want: []ledger.Entry{entry("new", 6, 2, variant("1.1.0"), "chat"), old},
		},
		"not by one that is older": {
			next: []ledger.Entry{entry("new", 4, 2, variant("1.1.0"), "chat", "wallet")},
			want: []ledger.Entry{old, entry("new", 4, 2, variant("1.1.0"), "chat", "wallet")},
		},
		"not while the newer has nothing stable": {
			next: []ledger.Entry{entry("new", 6, 2, nil, "chat", "wallet")},
			want: []ledger.Entry{entry("new", 6, 2, nil, "chat", "wallet"), old},
		},
		"when the newer has got something stable": {
			next: []ledger.Entry{entry("new", 6, 2, nil, "chat", "wallet"), entry("new", 7, 10, variant("1.1.0"), "chat", "wallet")},
			want: []ledger.Entry{entry("new", 7, 10, variant("1.1.0"), "chat", "wallet")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := claimed(t)
			for _, e := range append([]ledger.Entry{old}, tc.next...) {
				if err := l.Record(t.Context(), appID, shop, e); err != nil {
					t.Fatal(err)
				}
			}
			got, err := l.Find(t.Context(), appID, "release", []string{"chat", "maps", "wallet"})
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	l := claimed(t)
	trial := old
	trial.Channel = "trial"
	for _, e := range []ledger.Entry{trial, entry("new", 6, 2, variant("1.1.0"), "chat", "wallet")} {
		if err := l.Record(t.Context(), appID, shop, e); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := l.Find(t.Context(), appID, "trial", old.HostApps); err != nil || len(got) != 1 {
		t.Errorf("of another channel: %v, %v", got, err)
	}
}
