package delivery

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// HostAppConfig is what the manifest service knows of a host app.
type HostAppConfig struct {
	Name         string   `json:"name"`
	DisplayName  string   `json:"displayName,omitempty"`
	Availability string   `json:"availability"` // Active or Disabled
	Dialects     []string `json:"dialects"`     // Signed, Resolve, Dimina
	// Channels that it takes; empty: release alone.
	Channels []string `json:"channels,omitempty"`
	// Origins of web pages that may read answers.
	Origins []string `json:"origins,omitempty"`
	// Access is Token where every request needs an access token; empty: none does.
	Access string `json:"access,omitempty"`
	// TokenHashes are those of the access tokens, as TokenHash makes them. With
	// access Token and none of them nobody is answered.
	TokenHashes []string `json:"tokenHashes,omitempty"`
	Poll        Poll     `json:"poll"`
	Blocks      []Block  `json:"blocks,omitempty"`
}

// Poll is how often a host app should ask, in seconds.
type Poll struct {
	IntervalSeconds int32 `json:"intervalSeconds"`
	MinSeconds      int32 `json:"minSeconds"`
}

// Block is an app ID or a digest that is not served to the host app.
type Block struct {
	AppID  string `json:"appID,omitempty"`
	Digest string `json:"digest,omitempty"`
	Reason string `json:"reason"`
}

// HostAppConfigOf is the configuration that the spec asks for, without hashes of
// access tokens: these are in a Secret.
func HostAppConfigOf(h *v1alpha1.HostApp) *HostAppConfig {
	c := &HostAppConfig{
		Name: h.Name, DisplayName: h.Spec.DisplayName, Availability: h.Spec.Availability,
		Dialects: slices.Sorted(slices.Values(h.Spec.Dialects)), Origins: origins(h.Spec.Origins),
		Channels: slices.Sorted(slices.Values(h.Spec.Channels)), Poll: Poll{IntervalSeconds: 1800, MinSeconds: 300},
	}
	if len(c.Dialects) == 0 {
		c.Dialects = []string{v1alpha1.DialectSigned}
	}
	slices.Sort(c.Origins)
	if a := h.Spec.Access; a != nil && a.Type != v1alpha1.AccessPublic {
		c.Access = v1alpha1.AccessToken
	}
	if p := h.Spec.Poll; p != nil {
		c.Poll.IntervalSeconds = cmp.Or(p.IntervalSeconds, c.Poll.IntervalSeconds)
		c.Poll.MinSeconds = cmp.Or(p.MinSeconds, c.Poll.MinSeconds)
	}
	for _, b := range h.Spec.Blocks {
		c.Blocks = append(c.Blocks, Block{AppID: b.AppID, Digest: b.Digest, Reason: b.Reason})
	}
	return c
}

// Takes tells whether the host app takes what is published on the channel. A trial is
// only for one that has to prove who it is.
func (c *HostAppConfig) Takes(channel string) bool {
	if len(c.Channels) == 0 {
		return channel == v1alpha1.ChannelRelease
	}
	return slices.Contains(c.Channels, channel) && (channel != v1alpha1.ChannelTrial || c.Access == v1alpha1.AccessToken)
}

// ParseHostApp reads what MarshalHostApp wrote.
func ParseHostApp(data string) (*HostAppConfig, error) {
	var c HostAppConfig
	if err := json.Unmarshal([]byte(data), &c); err != nil {
		return nil, fmt.Errorf("reading the host app's configuration: %w", err)
	}
	if c.Name == "" {
		return nil, errors.New("reading the host app's configuration: name is missing")
	}
	return &c, nil
}

// MarshalHostApp gives the same bytes for the same configuration.
func MarshalHostApp(c *HostAppConfig) (string, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("writing the host app's configuration: %w", err)
	}
	return string(b), nil
}

// MaxTokens is how many access tokens a host app may have at a time.
const MaxTokens = 16

// goodToken is what an Authorization header can carry (token68 of RFC 9110), long
// enough that nobody guesses it: its hash may be read by whoever reads ConfigMaps.
var goodToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]{32,512}={0,2}$`)

// TokenHashes returns the sorted hashes of the access tokens in a Secret, each
// value one token, with or without a line break at its end. Errors name keys, and
// never what stands there.
func TokenHashes(hostApp string, data map[string][]byte) ([]string, error) {
	if len(data) == 0 {
		return nil, errors.New("it has no key: put an access token under one")
	}
	if len(data) > MaxTokens {
		return nil, fmt.Errorf("it has %d keys, %d are allowed: remove tokens that are no longer used", len(data), MaxTokens)
	}
	var hashes []string
	for _, key := range slices.Sorted(maps.Keys(data)) {
		token := strings.TrimRight(string(data[key]), "\r\n")
		if !goodToken.MatchString(token) {
			return nil, fmt.Errorf("key %s: an access token is 32 to 512 letters, digits or characters of -._~+/ and may end in =: write one as openssl rand -hex 32 makes it", key)
		}
		hashes = append(hashes, TokenHash(hostApp, token))
	}
	slices.Sort(hashes)
	return slices.Compact(hashes), nil
}

// TokenHash is what is published of an access token. It is salted with the host
// app's name, so that one token of two host apps does not show; it needs no slow
// hash, for tokens are random and long.
func TokenHash(hostApp, token string) string {
	sum := sha256.Sum256([]byte("miniprogram.access-token/v1\n" + hostApp + "\n" + token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// HostFile is the file that a host app is configured with when it is built. In
// addresses, {appID}, {channel}, {hex} and {user} stand for what is asked for.
type HostFile struct {
	Host        string   `json:"host"`
	DisplayName string   `json:"displayName,omitempty"`
	URLs        HostURLs `json:"urls"`
	// Access is Token where every request to the host app's own addresses must carry
	// an access token; empty: none does.
	Access   string      `json:"access,omitempty"`
	Dialects []string    `json:"dialects"`
	Keys     []PublicKey `json:"keys"`
	Poll     Poll        `json:"poll"`
}

// HostURLs are the addresses of the manifest service for one host app.
type HostURLs struct {
	Programs string `json:"programs"`
	Program  string `json:"program"`
	Blob     string `json:"blob"`
	Keys     string `json:"keys"`
	Events   string `json:"events"`
	// Resolve and Dimina are there when the host app opted into the dialects.
	Resolve string `json:"resolve,omitempty"`
	Dimina  string `json:"dimina,omitempty"`
}

// PublicKey is a key whose signatures count, as host apps pin it.
type PublicKey struct {
	KeyID     string `json:"keyID"`
	Algorithm string `json:"algorithm"`
	PublicKey string `json:"publicKey"`
}

// HostURL is the address below which the manifest service answers a host app.
func HostURL(base, hostApp string) string {
	return strings.TrimSuffix(base, "/") + "/v1/hosts/" + hostApp
}

// HostFileOf is a host app's file, with the manifest service at base.
func HostFileOf(c *HostAppConfig, base string, keys []PublicKey) *HostFile {
	base = strings.TrimSuffix(base, "/")
	here := HostURL(base, c.Name)
	f := &HostFile{
		Host: c.Name, DisplayName: c.DisplayName, Access: c.Access,
		URLs: HostURLs{
			Programs: here + "/programs",
			Program:  here + "/programs/{appID}?channel={channel}",
			Blob:     base + "/v1/blobs/sha256/{hex}",
			Keys:     base + "/v1/keys",
			Events:   here + "/events",
		},
		// Every host app may check and decide by itself.
		Dialects: []string{v1alpha1.DialectSigned},
		Keys:     keys, Poll: c.Poll,
	}
	if slices.Contains(c.Dialects, v1alpha1.DialectResolve) {
		f.Dialects = append(f.Dialects, v1alpha1.DialectResolve)
		f.URLs.Resolve = here + "/resolve"
	}
	if slices.Contains(c.Dialects, v1alpha1.DialectDimina) {
		f.Dialects = append(f.Dialects, v1alpha1.DialectDimina)
		f.URLs.Dimina = base + "/dimina/v1/hosts/" + c.Name + "/{appID}.json?user={user}&channel={channel}"
	}
	return f
}
