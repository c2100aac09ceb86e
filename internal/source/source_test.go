package source

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBytesOfAConfigMap(t *testing.T) {
	const origin = "ConfigMap shop-team/bundle, key app.zip"
	for _, sum := range []string{"", sumOf(bundleText), "sha256:" + sumOf(bundleText)} {
		f, err := Bytes([]byte(bundleText), sum, origin)
		if err != nil {
			t.Fatal(err)
		}
		got := []any{f.Size, f.SHA256, f.Origin, f.Resolved, readAndClose(t, f)}
		want := []any{int64(len(bundleText)), "sha256:" + sumOf(bundleText), origin, "", bundleText}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}

	_, err := Bytes([]byte(bundleText), otherSum, origin)
	want := seen{Reason: SourceDigest, After: repairDelay, Message: "the bundle fetched from " + origin + " has sha256 " + sumOf(bundleText) +
		", but spec.source.configMap.sha256 says " + otherSum + ": correct the digest or the file"}
	if diff := cmp.Diff(want, look(t, err)); diff != "" {
		t.Error(diff)
	}

	_, err = Bytes(nil, "md5", origin)
	want = seen{Permanent: true, Reason: SourceInvalid,
		Message: `spec.source.configMap.sha256 is "md5", which is no sha256: write its 64 hexadecimal digits, as sha256sum prints them`}
	if diff := cmp.Diff(want, look(t, err)); diff != "" {
		t.Error(diff)
	}
}

func TestWhichAddressesArePublic(t *testing.T) {
	want := map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true,
		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false, "127.0.0.1": false,
		"169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "172.32.0.1": true,
		"192.0.0.1": false, "192.0.2.1": false, "192.168.1.1": false, "198.18.0.1": false,
		"198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd12::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::7f00:1": false,
		"64:ff9b::8.8.8.8": false, "64:ff9b:1::1": false, "100::1": false, "5f00::1": false,
		"2001::1": false, "2001:db8::1": false, "2002:7f00:1::": false, "3fff::1": false,
	}
	got := map[string]bool{}
	for text := range want {
		got[text] = Guard{}.allows(netip.MustParseAddr(text))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestListsOfTheGuard(t *testing.T) {
	g := Guard{
		AllowedNets: prefixes("10.1.0.0/16", "8.8.8.8/32", "fe80::/10"),
		RefusedNets: prefixes("8.8.0.0/16", "2606:4700::/32"),
	}
	want := map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "fe80::1%eth0": true,
		"8.8.4.4": false, "8.8.8.8": true, "::ffff:8.8.4.4": false, "2606:4700::1": false, "9.9.9.9": true,
	}
	got := map[string]bool{}
	for text := range want {
		got[text] = g.allows(netip.MustParseAddr(text))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"-5":                            0,
		"7":                             7 * time.Second,
		"3601":                          time.Hour,
		"99999999999999999999":          0,
		"Sun, 22 Nov 2026 12:00:30 GMT": 30 * time.Second,
		"Sun, 22 Nov 2026 11:00:00 GMT": 0,
		"Sun, 22 Nov 2037 11:00:00 GMT": time.Hour,
		"tomorrow":                      0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

func TestSecretsAreReadForTheHostsThatTheyName(t *testing.T) {
	tests := map[string]struct {
		data map[string][]byte
		want map[string]Login // by the host that is asked for, over https
		err  string
	}{
		"a name and a password for two hosts": {
			data: map[string][]byte{"hosts": []byte("a.example.com,\n b.example.com:8443"), "username": []byte("me"), "password": []byte("pw")},
			want: map[string]Login{
				"a.example.com": {Username: "me", Password: "pw"}, "A.example.com.:443": {Username: "me", Password: "pw"},
				"b.example.com:8443": {Username: "me", Password: "pw"},
				"b.example.com":      {}, "a.example.com:8443": {}, "x.a.example.com": {}, "example.com": {},
			},
		},
		"a token": {
			data: map[string][]byte{"hosts": []byte("a.example.com"), "token": []byte("t\n")},
			want: map[string]Login{"a.example.com": {Token: "t"}},
		},
		"a Docker configuration": {
			data: map[string][]byte{".dockerconfigjson": []byte(`{"auths":{
				"https://index.docker.io/v1/":{"auth":"bWU6cDp3"},
				"r.example.com":{"username":"u","password":"p"},
				"r.example.com:5000/v2/":{"registrytoken":"t"}}}`)},
			want: map[string]Login{
				"registry-1.docker.io": {Username: "me", Password: "p:w"}, "auth.docker.io": {Username: "me", Password: "p:w"},
				"r.example.com": {Username: "u", Password: "p"}, "r.example.com:5000": {Token: "t"}, "hub.docker.io": {},
			},
		},
		"no host":           {data: map[string][]byte{"token": []byte("t")}, err: "it names no host: write the hosts that it is for under the key hosts, or use a Secret of type kubernetes.io/dockerconfigjson"},
		"no password":       {data: map[string][]byte{"hosts": []byte("h"), "username": []byte("me")}, err: "it holds no credential: write the keys username and password, or the key token"},
		"no JSON":           {data: map[string][]byte{".dockerconfigjson": []byte(`{secret`)}, err: "its key .dockerconfigjson is no Docker configuration in JSON"},
		"an auth of no use": {data: map[string][]byte{".dockerconfigjson": []byte(`{"auths":{"h":{"auth":"c2VjcmV0"}}}`)}, err: "its key .dockerconfigjson has an auth for h that is not the base64 form of name:password"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := ReadSecret(tt.data)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]Login{}
			for host := range tt.want {
				got[host], _ = c.find("https", host)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestScrubbedTextHoldsNoSecretsOfURLs(t *testing.T) {
	got := scrub(`GET "https://me:pw@s3.example.com/b/c?sig=x&y=z#f": then http://a.example.com/d and https://b.example.com?q failed: why?`)
	want := `GET "https://s3.example.com/b/c": then http://a.example.com/d and https://b.example.com failed: why?`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
