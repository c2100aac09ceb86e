// Package client is what a host app in Go, or a back end beside it, does with the
// manifest service: it fetches a program's document, believes it after every check, in
// their order, follows the keys when they are rotated, and checks what it downloads.
//
//	Fetch ─HTTP→ envelope ─release.Verify→ document ─decide→ variant
//	  └ a new key? ─GET /v1/keys→ keychain.Follow, once more
//	Download ─Reader: size and digest→ archive, unpacked ─Content→ MayOpen → open it
//
// It has two errors that every caller tells apart: release.ErrExpired (run what is
// installed, adopt nothing new) and all others (the same, and somebody should look). None
// of them ever removes anything. It does not unpack, install or retry.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// followEvery is how often the keys are followed though every signature is good: so that
// a stolen key is not believed for long after it was dropped.
const followEvery = 24 * time.Hour

// Store keeps what a client must remember: the newest document of each program that it
// believed, and the keys. Nobody else may be able to write it. Load returns nil for what
// was never saved.
type Store interface {
	Load(ctx context.Context, name string) ([]byte, error)
	Save(ctx context.Context, name string, value []byte) error
}

// Client talks to one manifest service in the name of one host app. It is safe for
// concurrent use; its fields may not change meanwhile.
type Client struct {
	// Base is the URL of the manifest service, such as https://mini.example.com.
	Base string
	// HostApp is the name of the host app.
	HostApp string
	// Token is the access token, where the host app needs one.
	Token string
	// Pinned are the keys that the host app was built with.
	Pinned []dsse.Key
	// Store remembers.
	Store Store
	// HTTP sends requests; nil: http.DefaultClient. Give it a timeout.
	HTTP *http.Client
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	mu sync.Mutex // one program's document is fetched and stored at a time
}

// StatusError is an answer of the service that is no success.
type StatusError struct {
	Status int
	// Code and Detail are those of its problem (RFC 9457); Code is stable.
	Code, Detail string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the manifest service answers %d %s: %s", e.Status, e.Code, e.Detail)
}

// known is what is stored of a program.
type known struct {
	Envelope []byte       `json:"envelope"`
	Seen     release.Seen `json:"seen"`
}

// keys is what is stored of the keys.
type keys struct {
	Trust    keychain.Trust `json:"trust"`
	Followed time.Time      `json:"followed"`
}

// Fetch returns the newest document of a program that passes every check. It was stored
// before it is returned: an older one is refused from then on.
//
// The error matches one of those of package release, is a *StatusError, or is of the
// network or the store.
func (c *Client) Fetch(ctx context.Context, appID, channel string) (*release.Verified, error) {
	// What is asked for may come from a link that somebody was sent: it leads nowhere else, in the store or at the service.
	if !document.IsAppID(appID) {
		return nil, fmt.Errorf("%w: what is asked for, %.80q, is none", release.ErrAppID, appID)
	}
	if channel != document.ChannelRelease && channel != document.ChannelTrial {
		return nil, fmt.Errorf("%w: what is asked for, %.80q, is none", release.ErrChannel, channel)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name := "document/" + channel + "/" + appID
	var k known
	if err := c.load(ctx, name, &k); err != nil {
		return nil, err
	}
	address := c.host() + "/programs/" + url.PathEscape(appID) + "?channel=" + url.QueryEscape(channel)
	envelope, err := c.get(ctx, address, tagsOf(k.Envelope), release.MaxEnvelopeSize)
	if err != nil {
		return nil, err
	}
	if envelope == nil { // it is the one that is stored; it may have expired since
		envelope = k.Envelope
	}
	verified, err := c.believe(ctx, envelope, release.Expect{
		AppID: appID, Channel: channel, HostApp: c.HostApp, Seen: k.Seen, Now: c.now(),
	})
	if err != nil {
		return nil, err
	}
	if err := c.save(ctx, name, known{Envelope: envelope, Seen: verified.Seen()}); err != nil {
		return nil, err
	}
	return verified, nil
}

// believe checks an envelope with the keys that are trusted, and follows these when they
// do not fit any more.
func (c *Client) believe(ctx context.Context, envelope []byte, expect release.Expect) (*release.Verified, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	var unfollowed error
	// A time that is still to come is of a clock that was wrong.
	if since := expect.Now.Sub(k.Followed); since < 0 || since >= followEvery {
		unfollowed = c.follow(ctx, k) // what was trusted before is trusted still
	}
	expect.Keys = k.Trust.SigningKeys(expect.Now)
	verified, err := release.Verify(envelope, expect)
	if !errors.Is(err, release.ErrSignature) {
		return verified, err
	}
	if !k.Followed.Equal(expect.Now) && unfollowed == nil {
		unfollowed = c.follow(ctx, k)
	}
	if unfollowed != nil {
		return nil, fmt.Errorf("%w; nor could the keys be followed: %w", err, unfollowed)
	}
	expect.Keys = k.Trust.SigningKeys(expect.Now)
	return release.Verify(envelope, expect)
}

// FollowKeys follows the chain of keys now. Fetch does it by itself, once a day and
// whenever a signature is by a key that it does not know.
func (c *Client) FollowKeys(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, err := c.keys(ctx)
	if err != nil {
		return err
	}
	return c.follow(ctx, k)
}

func (c *Client) keys(ctx context.Context) (*keys, error) {
	k := new(keys)
	if err := c.load(ctx, "keys", k); err != nil {
		return nil, err
	}
	trust, err := keychain.Resume(k.Trust, c.Pinned...)
	if err != nil {
		return nil, err
	}
	if trust.Number == 0 {
		k.Followed = time.Time{}
	}
	k.Trust = trust
	return k, nil
}

func (c *Client) follow(ctx context.Context, k *keys) error {
	text, err := c.get(ctx, c.base()+"/v1/keys", "", keychain.MaxChainSize)
	if err != nil {
		return err
	}
	chain, err := keychain.ParseChain(text)
	if err != nil {
		return err
	}
	trust, err := k.Trust.Follow(chain)
	if err != nil {
		return err
	}
	k.Trust, k.Followed = trust, c.now()
	return c.save(ctx, "keys", k)
}

// get returns a body of at most limit bytes; none when it is still one that the tags name.
func (c *Client) get(ctx context.Context, address, tags string, limit int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	if tags != "" {
		r.Header.Set("If-None-Match", tags)
	}
	response, err := c.do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was read
	if response.StatusCode == http.StatusNotModified && tags != "" {
		return nil, nil
	}
	return readAll(response, limit)
}

// readAll reads one byte more than may be there: the check of the size says so.
func readAll(response *http.Response, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of the manifest service: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		e := &StatusError{Status: response.StatusCode}
		var problem struct{ Code, Detail string }
		if json.Unmarshal(body, &problem) == nil { // a proxy may answer in its own words
			e.Code, e.Detail = problem.Code, problem.Detail
		}
		return nil, e
	}
	return body, nil
}

func (c *Client) load(ctx context.Context, name string, into any) error {
	text, err := c.Store.Load(ctx, name)
	if err != nil {
		return fmt.Errorf("loading %s: %w", name, err)
	}
	if len(text) == 0 {
		return nil
	}
	// What is damaged must not be taken for nothing: that would lead back.
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("loading %s: %w", name, err)
	}
	return nil
}

func (c *Client) save(ctx context.Context, name string, value any) error {
	text, err := json.Marshal(value)
	if err == nil {
		err = c.Store.Save(ctx, name, bytes.Clone(text))
	}
	if err != nil {
		return fmt.Errorf("saving %s: %w", name, err)
	}
	return nil
}

func (c *Client) base() string { return strings.TrimSuffix(c.Base, "/") }

func (c *Client) host() string { return c.base() + "/v1/hosts/" + url.PathEscape(c.HostApp) }

func (c *Client) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// Download returns the bytes of a blob that a document names, as a reader that fails at
// the end if they are not those. The caller closes it, and uses nothing of what he read
// before he met io.EOF.
func (c *Client) Download(ctx context.Context, blob document.Blob) (io.ReadCloser, error) {
	if !document.IsDigest(blob.Digest) {
		return nil, fmt.Errorf("downloading %q: it is no digest", blob.Digest)
	}
	address := c.base() + "/v1/blobs/sha256/" + strings.TrimPrefix(blob.Digest, "sha256:")
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := c.do(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_, err := readAll(response, 64<<10)
		return nil, errors.Join(err, response.Body.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{NewReader(response.Body, blob), response.Body}, nil
}
