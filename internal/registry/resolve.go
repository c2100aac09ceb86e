package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Existing is an artifact that the registry holds.
type Existing struct {
	// Digest is that of the manifest's bytes as they were read: "sha256:…".
	Digest string
	// ArtifactType is the manifest's. Where it is not this project's, the fields
	// below Manifest are empty.
	ArtifactType string
	// Manifest is the manifest as it was read.
	Manifest    []byte
	Annotations map[string]string
	// Config is an ArtifactConfig in JSON.
	Config []byte
	// Archive and Content are the layers.
	Archive, Content ocispec.Descriptor

	config ocispec.Descriptor
}

// Size is the sum in bytes of the manifest, the config and the layers.
func (e *Existing) Size() int64 {
	return int64(len(e.Manifest)) + e.config.Size + e.Archive.Size + e.Content.Size
}

// Resolve finds the artifact that a tag, or a digest ("sha256:…"), of repository
// names. Without one the error is ErrNotFound. Bytes that do not have the digest
// that was asked for, or that their descriptor names, are an *Error with reason
// RegistryInconsistent.
func (c *Client) Resolve(ctx context.Context, repository, reference string) (*Existing, error) {
	o, err := c.begin(ctx, repository, "the look-up", c.options.Timeout)
	if err != nil {
		return nil, err
	}
	defer o.end()
	return o.resolve(reference)
}

func (o *call) resolve(reference string) (*Existing, error) {
	e, err := o.manifest(reference)
	if err != nil || e.ArtifactType != ArtifactType {
		return e, err
	}
	if err := o.readConfig(e); err != nil {
		return nil, err
	}
	return e, nil
}

// readConfig completes what manifest read.
func (o *call) readConfig(e *Existing) error {
	body, err := o.repo.Blobs().Fetch(o.ctx, e.config)
	if err != nil {
		return o.missing(e, e.config, err)
	}
	defer body.Close()
	e.Config, err = readAll(body)
	if err != nil {
		return o.explain(err)
	}
	if digest.FromBytes(e.Config) != e.config.Digest {
		return o.inconsistent(string(e.config.Digest), digest.FromBytes(e.Config))
	}
	return nil
}

// manifest reads a manifest and what it says by itself.
func (o *call) manifest(reference string) (*Existing, error) {
	desc, raw, err := o.readManifest(reference)
	if err != nil {
		return nil, err
	}
	got := desc.Digest
	e := &Existing{Digest: got.String(), Manifest: raw}
	var m ocispec.Manifest
	// Something else than a manifest under the tag is something that is not ours.
	isOurs := json.Unmarshal(raw, &m) == nil && m.ArtifactType == ArtifactType && len(m.Layers) == 2 &&
		m.Config.MediaType == ConfigMediaType && m.Config.Digest.Validate() == nil &&
		m.Layers[0].MediaType == ArchiveMediaType && m.Layers[1].MediaType == ContentMediaType
	if !isOurs {
		return e, nil
	}
	e.ArtifactType = m.ArtifactType
	e.Annotations = m.Annotations
	e.config = m.Config
	e.Archive, e.Content = m.Layers[0], m.Layers[1]
	return e, nil
}

// readManifest reads a manifest of any kind. Its bytes have the digest that was asked for, and
// the one of the descriptor.
func (o *call) readManifest(reference string) (ocispec.Descriptor, []byte, error) {
	none := ocispec.Descriptor{}
	ref := o.repo.Reference
	ref.Reference = reference
	if err := ref.ValidateReference(); err != nil {
		return none, nil, &Error{Reason: RegistryRefused, Err: err, Message: fmt.Sprintf(
			"%q cannot be a tag in a registry: a version may have 128 characters there, of A-Z, a-z, 0-9, '.', '-' and '+'", reference)}
	}
	desc, body, err := o.repo.Manifests().FetchReference(o.ctx, reference)
	if err != nil {
		return none, nil, o.explain(err)
	}
	defer body.Close()
	raw, err := readAll(body)
	if err != nil {
		return none, nil, o.explain(err)
	}
	got := digest.FromBytes(raw)
	if want, err := digest.Parse(reference); err == nil && want != got {
		return none, nil, o.inconsistent(reference, got)
	}
	if !json.Valid(raw) { // a proxy's page, which says nothing about the tag
		return none, nil, o.noRegistry(nil)
	}
	return ocispec.Descriptor{MediaType: desc.MediaType, Digest: got, Size: int64(len(raw))}, raw, nil
}

func (o *call) inconsistent(want string, got digest.Digest) error {
	return &Error{Reason: RegistryInconsistent, Message: fmt.Sprintf(
		"the registry %s hands out other bytes for %s@%s than that digest names (sha256 %s): have the registry checked; %s is tried again",
		o.repo.Reference.Registry, o.repo.Reference.Repository, want, got.Encoded(), o.what)}
}

// Exists checks that an artifact is there: its manifest, its config and its
// layers. Something that is missing is ErrNotFound, and the message names it.
func (c *Client) Exists(ctx context.Context, repository, manifestDigest string) error {
	o, err := c.begin(ctx, repository, "the check", c.options.Timeout)
	if err != nil {
		return err
	}
	defer o.end()
	e, err := o.manifest(manifestDigest)
	if err != nil {
		return err
	}
	return o.checkBlobs(e)
}

func (o *call) checkBlobs(e *Existing) error {
	var m ocispec.Manifest
	if err := json.Unmarshal(e.Manifest, &m); err != nil {
		return o.explain(err)
	}
	for _, desc := range append([]ocispec.Descriptor{m.Config}, m.Layers...) {
		if _, err := o.repo.Blobs().Resolve(o.ctx, desc.Digest.String()); err != nil {
			return o.missing(e, desc, err)
		}
	}
	return nil
}

// missing explains err, which came of reading a blob that e's manifest names.
func (o *call) missing(e *Existing, desc ocispec.Descriptor, err error) error {
	err = o.explain(err)
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	return &Error{Reason: RegistryInconsistent, Err: err, Message: fmt.Sprintf(
		"the artifact %s/%s@%s has lost its blob %s: restore it in the registry, or publish under another version",
		o.repo.Reference.Registry, o.repo.Reference.Repository, e.Digest, desc.Digest)}
}

// FetchBlob opens a blob and returns its size in bytes. Where the registry takes
// ranges, the reader is an io.Seeker too. The bytes are not checked against the
// digest: whoever hands them on does that. ctx must live until the reader is
// closed, and reading fails after an hour.
func (c *Client) FetchBlob(ctx context.Context, repository, blobDigest string) (io.ReadCloser, int64, error) {
	o, err := c.begin(ctx, repository, "the download", downloadTimeout)
	if err != nil {
		return nil, 0, err
	}
	desc, body, err := o.repo.Blobs().FetchReference(o.ctx, blobDigest)
	if err != nil {
		defer o.end()
		return nil, 0, o.explain(err)
	}
	blob := blobReader{body, o}
	if seeker, ok := body.(io.Seeker); ok {
		return seekableBlob{blob, seeker}, desc.Size, nil
	}
	return blob, desc.Size, nil
}

// blobReader ends its call when it is closed.
type blobReader struct {
	io.ReadCloser
	call *call
}

func (b blobReader) Close() error {
	defer b.call.end()
	return b.ReadCloser.Close()
}

type seekableBlob struct {
	blobReader
	io.Seeker
}
