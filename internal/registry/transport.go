package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// credentialsFrom reads the file at path each time that it is asked. The auth
// client asks only when the registry refuses what it has, and a mounted Secret
// changes without notice.
func credentialsFrom(path string) auth.CredentialFunc {
	return func(ctx context.Context, host string) (auth.Credential, error) {
		if path == "" {
			return auth.EmptyCredential, nil
		}
		config, err := os.ReadFile(path)
		if err != nil {
			return auth.EmptyCredential, &credentialError{err}
		}
		store, err := credentials.NewMemoryStoreFromDockerConfig(config)
		if err != nil {
			// The decoder's error may quote what it read, which is secret.
			return auth.EmptyCredential, &credentialError{fmt.Errorf("%s is no Docker configuration in JSON", path)}
		}
		if host == "registry-1.docker.io" {
			host = "index.docker.io" // the name under which docker login keeps it
		}
		return store.Get(ctx, host)
	}
}

type credentialError struct{ err error }

func (e *credentialError) Error() string { return e.err.Error() }

// bodyKey is the context's key of the function that opens a blob anew.
type bodyKey struct{}

// WithBody returns a context for the push of a blob through a Rewinder. open returns
// a reader from the first byte.
func WithBody(ctx context.Context, open func() (io.ReadCloser, error)) context.Context {
	return context.WithValue(ctx, bodyKey{}, open)
}

// Rewinder sends requests through the auth client, which answers a 401 by reading the
// credentials anew, asking for a new token and sending the request again, once.
// For the upload of a blob that takes two things that the registry's client
// withholds: the body a second time, and the choice of the token, for it insists
// on the one that the upload began with.
type Rewinder struct{ Auth *auth.Client }

// Do implements remote.Client.
func (r Rewinder) Do(req *http.Request) (*http.Response, error) {
	open, ok := req.Context().Value(bodyKey{}).(func() (io.ReadCloser, error))
	if ok && req.Method == http.MethodPut {
		req.GetBody = open
		req.Header.Del("Authorization")
	}
	return r.Auth.Do(req)
}

// retryNote keeps how long an answer within a call asked to wait, in nanoseconds,
// for the registry's client drops the header.
type retryNote struct{ after atomic.Int64 }

type retryNoteKey struct{}

// maxRetryAfter bounds what a registry may ask for.
const maxRetryAfter = time.Hour

type retryAfterRecorder struct{ next http.RoundTripper }

func (r *retryAfterRecorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if note, ok := req.Context().Value(retryNoteKey{}).(*retryNote); ok && err == nil {
		// Requests go side by side: an answer that asks for nothing leaves what another asked for.
		if after := retryAfter(resp.Header, time.Now()); after > 0 {
			note.after.Store(int64(after))
		}
	}
	return resp, err
}

// retryAfter reads the header of that name: seconds or a date (RFC 9110, 10.2.3).
// Zero means that there is none to honour.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	var after time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		after = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		after = at.Sub(now).Round(time.Second)
	}
	return min(max(after, 0), maxRetryAfter)
}

// readAll reads r, which must not hold more than maxMetadataBytes.
func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxMetadataBytes+1))
	if err == nil && len(b) > maxMetadataBytes {
		err = errors.New("the answer is larger than " + strconv.Itoa(maxMetadataBytes) + " bytes")
	}
	return b, err
}
