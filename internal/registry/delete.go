package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// KeepsError says that the registry deletes nothing, so that what is in it stays.
// It wraps an *Error with reason RegistryUnsupported.
type KeepsError struct{ Err *Error }

func (e *KeepsError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *KeepsError) Unwrap() error { return e.Err }

// Delete removes the manifest of an artifact with all its tags, and then the
// findings that refer to it. The bytes of blobs go when the registry collects what
// nothing names. What is gone already is no error, so that a deletion that a crash
// has ended goes on when it is asked for again; a registry that deletes nothing
// gives a *KeepsError, and nothing is changed. What others made refer to the
// artifact, such as signatures, is left to the registry.
func (c *Client) Delete(ctx context.Context, repository, manifestDigest string) error {
	o, err := c.begin(ctx, repository, "the deletion", c.options.Timeout)
	if err != nil {
		return err
	}
	defer o.end()
	// The artifact first: by that a registry shows whether it deletes at all. It has no subject, and
	// without a media type the registry's client does not look for one.
	subject := ocispec.Descriptor{Digest: digest.Digest(manifestDigest)}
	if err := o.delete(subject); err != nil {
		return err
	}
	// Who may delete may also delete the list of referrers that a shorter one replaces. It goes before
	// the findings that it lists: a crash in between leaves what nothing names, as registries collect.
	o.repo.SkipReferrersGC = false
	subject.MediaType = ocispec.MediaTypeImageManifest
	findings, err := o.referrers(subject, FindingsMediaType, maxReferrers)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	for _, f := range findings {
		if err := o.delete(f); err != nil {
			return err
		}
	}
	return nil
}

func (o *call) delete(desc ocispec.Descriptor) error {
	err := o.repo.Manifests().Delete(o.ctx, desc)
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); ok && keeps(answer) {
		return &KeepsError{&Error{Reason: RegistryUnsupported, Err: answer, Message: fmt.Sprintf(
			"the registry %s deletes nothing (%s): allow deletion there, or delete %s@%s by hand",
			o.client.options.Host, statusText(answer), o.repo.Reference.Repository, desc.Digest)}}
	}
	if err == nil {
		return nil
	}
	if err = o.explain(err); errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// keeps tells that an answer to a deletion says that there is none (OCI
// distribution specification, "Content Management").
func keeps(answer *errcode.ErrorResponse) bool {
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}
