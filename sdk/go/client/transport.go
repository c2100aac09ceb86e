package client

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
)

// ErrRedirect says that an answer leads where no request is sent. The service leads nowhere
// itself; what stands before it may, and so may who wants to listen.
var ErrRedirect = errors.New("the answer leads elsewhere")

// maxRedirects is how often a request may be sent elsewhere.
const maxRedirects = 10

// do sends a request in the host app's name.
func (c *Client) do(r *http.Request) (*http.Response, error) {
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	client := http.DefaultClient
	if c.HTTP != nil {
		client = c.HTTP
	}
	guarded := *client
	guarded.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if err := mayFollow(next, via); err != nil || client.CheckRedirect == nil {
			return err
		}
		return client.CheckRedirect(next, via)
	}
	response, err := guarded.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking the manifest service: %w", err)
	}
	return response, nil
}

// mayFollow keeps what a request tells from others: the body, which has the user's key, goes
// nowhere else; nothing goes on without TLS that was sent with it; the access token is for the
// origin that was asked alone.
func mayFollow(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) >= maxRedirects:
		return fmt.Errorf("%w: %d times", ErrRedirect, len(via))
	case next.Method != http.MethodGet:
		return fmt.Errorf("%w: what a user is, is told to %s alone", ErrRedirect, first.Host)
	case first.Scheme == "https" && next.URL.Scheme != "https":
		return fmt.Errorf("%w: from https to %s", ErrRedirect, next.URL.Scheme)
	case next.URL.Scheme != first.Scheme || next.URL.Host != first.Host:
		next.Header.Del("Authorization")
	}
	return nil
}

// tagsOf are the entity tags that the service gives an envelope, as it is and compressed. They
// are made of what was believed, and not taken from the answer that it came with: whoever
// was between could have put the tag of a later one there, once, or "*", which fits all, and
// the service would say from then on that nothing is new.
func tagsOf(envelope []byte) string {
	if len(envelope) == 0 {
		return ""
	}
	sum := sha256.Sum256(envelope)
	tag := base64.RawURLEncoding.EncodeToString(sum[:16])
	return `"` + tag + `", "` + tag + `-gzip", "` + tag + `-zstd"`
}
