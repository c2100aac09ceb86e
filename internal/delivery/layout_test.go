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
		"the longest":        {HostAppConfigMap(long[:245]), long[:245] + ".hostapp"},
		"longer by one":      {HostAppConfigMap(long), long[:150] + ".934f3812ac2986862ed564d7de5d2a1a.hostapp"},
		"an app ID":          {LedgerConfigMap("com.example.shop"), "dbbf3d8654438d1f972ef64067d6520a.ledger"},
		"a cut after a dash": {HostAppConfigMap(long[:149] + "-" + long), long[:149] + ".a21df490ea03ddb4042eb38cf65faf09.hostapp"},
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
