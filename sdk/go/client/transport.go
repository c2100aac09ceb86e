package client

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// ErrRedirect: an answer leads where no request is sent. The service leads nowhere itself;
// what stands before it may, and so may who wants to listen.
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

// maxTag bounds a tag that is sent back, in bytes: those of the service are far shorter.
const maxTag = 256

// isTag tells whether a text is one entity tag (RFC 9110, section 8.8.3). Whoever is between
// could have put something else there, once: "*" fits every document, so that the service would
// say for ever that nothing is new, and what is too long for a header it would refuse.
func isTag(text string) bool {
	inner, isQuoted := strings.CutPrefix(strings.TrimPrefix(text, "W/"), `"`)
	inner, isEnded := strings.CutSuffix(inner, `"`)
	if !isQuoted || !isEnded || len(text) > maxTag {
		return false
	}
	for i := range len(inner) {
		if c := inner[i]; c <= ' ' || c > '~' || c == '"' {
			return false
		}
	}
	return true
}
