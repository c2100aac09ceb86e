package delivery

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func TestTheConfigurationIsWhatTheSpecSays(t *testing.T) {
	named := metav1.ObjectMeta{Name: "wallet"}
	for name, test := range map[string]struct {
		spec v1alpha1.HostAppSpec
		want HostAppConfig
	}{
		"nothing is said": {
			spec: v1alpha1.HostAppSpec{DisplayName: "Wallet", Availability: "Active"},
			want: HostAppConfig{
				Name: "wallet", DisplayName: "Wallet", Availability: "Active", Dialects: []string{"Signed"}, Poll: Poll{IntervalSeconds: 1800, MinSeconds: 300},
			},
		},
		"everybody may ask": {
			spec: v1alpha1.HostAppSpec{DisplayName: "Wallet", Availability: "Active", Access: &v1alpha1.HostAccess{Type: "Public"}},
			want: HostAppConfig{
				Name: "wallet", DisplayName: "Wallet", Availability: "Active", Dialects: []string{"Signed"}, Poll: Poll{IntervalSeconds: 1800, MinSeconds: 300},
			},
		},
		"everything is said": {
			spec: v1alpha1.HostAppSpec{
				DisplayName: "Wallet", Availability: "Disabled", Dialects: []string{"Signed", "Dimina"},
				Origins: []v1alpha1.HTTPSOrigin{"https://b.example", "https://a.example"},
				Access:  &v1alpha1.HostAccess{Type: "Token", SecretRef: &v1alpha1.AccessSecretReference{Name: "wallet-tokens"}},
				Poll:    &v1alpha1.PollHints{MinSeconds: 60}, Channels: []string{"trial", "release"},
				Blocks: []v1alpha1.Block{{AppID: "com.example.shop", Reason: "Fraud."}, {Digest: digest("a"), Reason: "Crashes."}},
			},
			want: HostAppConfig{
				Name: "wallet", DisplayName: "Wallet", Availability: "Disabled", Dialects: []string{"Dimina", "Signed"},
				Origins: []string{"https://a.example", "https://b.example"}, Access: "Token", Poll: Poll{IntervalSeconds: 1800, MinSeconds: 60},
				Channels: []string{"release", "trial"},
				Blocks:   []Block{{AppID: "com.example.shop", Reason: "Fraud."}, {Digest: digest("a"), Reason: "Crashes."}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := HostAppConfigOf(&v1alpha1.HostApp{ObjectMeta: named, Spec: test.spec})
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			text, err := MarshalHostApp(got)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseHostApp(text)
			if diff := cmp.Diff(got, again); diff != "" || err != nil {
				t.Errorf("read again: %v, -want +got:\n%s", err, diff)
			}
		})
	}
}

func TestHashesOfAccessTokens(t *testing.T) {
	one, two := strings.Repeat("1", 32), strings.Repeat("a-._~+/Z", 4)+"=="
	many := map[string][]byte{}
	for i := range MaxTokens + 1 {
		many[fmt.Sprint("key", i)] = []byte(fmt.Sprintf("%032d", i))
	}
	const rule = ": an access token is 32 to 512 letters, digits or characters of -._~+/ and may end in =: write one as openssl rand -hex 32 makes it"
	for name, test := range map[string]struct {
		data map[string][]byte
		want []string
		err  string
	}{
		"one":                          {data: map[string][]byte{"a": []byte(one)}, want: []string{TokenHash("wallet", one)}},
		"one from a file":              {data: map[string][]byte{"a": []byte(one + "\r\n")}, want: []string{TokenHash("wallet", one)}},
		"two, one of them twice":       {data: map[string][]byte{"a": []byte(one), "b": []byte(two), "c": []byte(one)}, want: []string{TokenHash("wallet", one), TokenHash("wallet", two)}},
		"the longest":                  {data: map[string][]byte{"a": []byte(strings.Repeat("x", 512))}, want: []string{TokenHash("wallet", strings.Repeat("x", 512))}},
		"none":                         {err: "it has no key: put an access token under one"},
		"one that is too short":        {data: map[string][]byte{"old": []byte(one), "new": []byte(one[1:])}, err: "key new" + rule},
		"one that is too long":         {data: map[string][]byte{"a": []byte(strings.Repeat("x", 513))}, err: "key a" + rule},
		"one that no header can carry": {data: map[string][]byte{"a": []byte(one + " secret")}, err: "key a" + rule},
		"two lines":                    {data: map[string][]byte{"a": []byte(one + "\n" + one)}, err: "key a" + rule},
		"too many":                     {data: many, err: "it has 17 keys, 16 are allowed: remove tokens that are no longer used"},
	} {
		t.Run(name, func(t *testing.T) {
			slices.Sort(test.want)
			got, err := TokenHashes("wallet", test.data)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if message := fmt.Sprint(err); err != nil && message != test.err || err == nil && test.err != "" {
				t.Errorf("the error is %v, want %q", err, test.err)
			}
		})
	}
}

// The hash is kept in etcd and in the manifest service's disk copy.
func TestTheHashOfAnAccessTokenIsFrozen(t *testing.T) {
	token := strings.Repeat("0123456789abcdef", 4)
	const want = "FseFEbZO7ys9dkPxtcUiQANx0LH2CshRIT5dtuRaKEo"
	if got := TokenHash("wallet", token); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if TokenHash("chat", token) == TokenHash("wallet", token) {
		t.Error("the hash does not depend on the host app: a token of two shows")
	}
}

func TestTheFileOfAHostApp(t *testing.T) {
	config := &HostAppConfig{Name: "wallet", DisplayName: "Wallet", Access: "Token", Dialects: []string{"Dimina", "Resolve", "Signed"}, Poll: Poll{IntervalSeconds: 1800, MinSeconds: 60}}
	keys := []PublicKey{{KeyID: "k", Algorithm: "ECDSA-P256-SHA256", PublicKey: "PEM"}}
	got, err := json.Marshal(HostFileOf(config, "https://mini.example.com/", keys))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"host":"wallet","displayName":"Wallet","urls":{"programs":"https://mini.example.com/v1/hosts/wallet/programs",` +
		`"program":"https://mini.example.com/v1/hosts/wallet/programs/{appID}?channel={channel}","blob":"https://mini.example.com/v1/blobs/sha256/{hex}",` +
		`"keys":"https://mini.example.com/v1/keys","events":"https://mini.example.com/v1/hosts/wallet/events","resolve":"https://mini.example.com/v1/hosts/wallet/resolve",` +
		`"dimina":"https://mini.example.com/dimina/v1/hosts/wallet/{appID}.json?user={user}\u0026channel={channel}"},"access":"Token",` +
		`"dialects":["Signed","Resolve","Dimina"],"keys":[{"keyID":"k","algorithm":"ECDSA-P256-SHA256","publicKey":"PEM"}],"poll":{"intervalSeconds":1800,"minSeconds":60}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhichChannelsAHostAppTakes(t *testing.T) {
	for name, test := range map[string]struct {
		config         HostAppConfig
		release, trial bool
	}{
		"nothing is said":             {HostAppConfig{}, true, false},
		"with tokens":                 {HostAppConfig{Access: "Token"}, true, false},
		"both":                        {HostAppConfig{Access: "Token", Channels: []string{"release", "trial"}}, true, true},
		"trial alone":                 {HostAppConfig{Access: "Token", Channels: []string{"trial"}}, false, true},
		"whoever asks is not trusted": {HostAppConfig{Channels: []string{"release", "trial"}}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			if release, trial := test.config.Takes("release"), test.config.Takes("trial"); release != test.release || trial != test.trial {
				t.Errorf("release %t, trial %t", release, trial)
			}
		})
	}
}
