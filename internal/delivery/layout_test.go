package delivery

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"
)

func TestNamesOfConfigMaps(t *testing.T) {
	long := strings.Repeat("a", 246)
	for name, test := range map[string]struct{ got, want string }{
		"a rollout":          {RolloutConfigMap("shop-team", "shop"), "shop-team.shop.rollout"},
		"a host app":         {HostAppConfigMap("wallet"), "wallet.hostapp"},
		"the longest":        {HostAppConfigMap(long[:244]), long[:244] + ".hostapp"},
		"longer by one":      {HostAppConfigMap(long[:245]), long[:212] + ".5553f05514a6f627ffe8341e08f80bc3.hostapp"},
		"an app ID":          {LedgerConfigMap("com.example.shop"), "dbbf3d8654438d1f972ef64067d6520a.ledger"},
		"a part of a list":   {AudienceConfigMap("shop-team", "shop", "sha256:"+strings.Repeat("a", 64), 16384), "ab5631c45b62834457fa4957e4b5d027.audience.16384"},
		"a cut after dashes": {HostAppConfigMap(long[:210] + "--" + long), long[:210] + "xx.7ccfa6b01d9e6bac5d00faff23a74549.hostapp"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.got != test.want {
				t.Errorf("got %s, want %s", test.got, test.want)
			}
		})
	}
}

// Names of objects have at most 253 characters, of which those of the API server
// are these.
var (
	label     = rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`)
	subdomain = rapid.Custom(func(t *rapid.T) string {
		text := strings.Join(rapid.SliceOfN(label, 1, 40).Draw(t, "labels"), ".")
		return strings.TrimRight(text[:min(len(text), rapid.IntRange(1, 253).Draw(t, "length"))], ".-")
	}).Filter(func(s string) bool { return s != "" })
)

func TestAnyNameHasAValidOneAndItsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		namespace, rollout, other := label.Draw(t, "namespace"), subdomain.Draw(t, "rollout"), subdomain.Draw(t, "other")
		names := []string{
			RolloutConfigMap(namespace, rollout), HostAppConfigMap(rollout), LedgerConfigMap(rollout),
		}
		if rollout != other {
			names = append(names, RolloutConfigMap(namespace, other), HostAppConfigMap(other), LedgerConfigMap(other))
		}
		seen := map[string]bool{}
		for _, name := range names {
			if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
				t.Fatalf("%q (%d): %v", name, len(name), problems)
			}
			if seen[name] {
				t.Fatalf("two objects have the name %q", name)
			}
			seen[name] = true
		}
	})
}

func TestLongNamesThatBeginAlikeStayApart(t *testing.T) {
	long := strings.Repeat("a", 252)
	if a, b := HostAppConfigMap(long+"a"), HostAppConfigMap(long+"b"); a == b {
		t.Errorf("both are %s", a)
	}
}

func TestNoNameIsTheOneThatALongerIsCutTo(t *testing.T) {
	long := strings.Repeat("a", 252)
	cut, ok := strings.CutSuffix(RolloutConfigMap("shop-team", long), ".rollout")
	rollout, ok2 := strings.CutPrefix(cut, "shop-team.")
	if !ok || !ok2 {
		t.Fatalf("the name of a long one is %s", cut)
	}
	if got := RolloutConfigMap("shop-team", rollout); got == cut+".rollout" {
		t.Errorf("Rollouts %s and %s of one group both have %s", long, rollout, got)
	}
}

// A namespace has no dot, so that where it ends cannot be told in two ways.
func TestGroupsNeverShareAName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := label.Draw(t, "a group"), label.Draw(t, "another")
		rollout := subdomain.Draw(t, "a rollout")
		forged := rapid.SampledFrom([]string{
			subdomain.Draw(t, "any"), rollout, strings.TrimPrefix(a+"."+rollout, b+"."), b + "." + rollout, rollout + ".rollout", rollout + ".hostapp",
		}).Draw(t, "a rollout of the other")
		if a != b && RolloutConfigMap(a, rollout) == RolloutConfigMap(b, forged) {
			t.Fatalf("%s/%s and %s/%s are both %s", a, rollout, b, forged, RolloutConfigMap(a, rollout))
		}
	})
}

func TestHostAppsAreReadAsTheyWereWritten(t *testing.T) {
	want := &HostAppConfig{
		Name: "wallet", DisplayName: "Wallet", Availability: "Active", Dialects: []string{"Signed"}, Poll: Poll{IntervalSeconds: 1800, MinSeconds: 60},
		Blocks: []Block{{AppID: "com.example.bad", Reason: "fraud"}, {Digest: digest("1"), Reason: "crashes"}},
	}
	text, err := MarshalHostApp(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseHostApp(text)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	for data, want := range map[string]string{
		`{}`:  "reading the host app's configuration: name is missing",
		`nil`: "reading the host app's configuration: invalid character 'i' in literal null (expecting 'u')",
	} {
		if got, err := ParseHostApp(data); err == nil || err.Error() != want {
			t.Errorf("%s: got %+v, %v", data, got, err)
		}
	}
}
