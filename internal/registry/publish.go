package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Blob is bytes that are to be pushed.
type Blob struct {
	// Digest is "sha256:…" of the bytes.
	Digest string
	// Size is their count.
	Size int64
	// Open returns a reader from the first byte. It is called once for each try.
	Open func() (io.ReadCloser, error)
}

// Artifact is what Publish pushes. NewArtifact makes one.
type Artifact struct {
	// Repository is "<namespace>/<mini program>", below the client's prefix.
	Repository string
	// Tag is the version's, from Tag.
	Tag string
	// Config is an ArtifactConfig as Marshal returns it.
	Config []byte
	// Archive is the archive as it came.
	Archive Blob
	// Content is the tar of the files, compressed with zstd.
	Content Blob
	// Findings are what the checks found, in JSON. They are kept in a manifest that
	// refers to the artifact. Nil: there are none to keep.
	Findings []byte
	// Annotations go onto the manifest. org.opencontainers.image.created is set to
	// Created, whatever stands here.
	Annotations map[string]string
}

// Published is an artifact that is in the registry, whole and tagged.
type Published struct {
	// Repository is its full name: "registry/prefix/namespace/mini program".
	Repository string
	// Digest is the manifest's: "sha256:…".
	Digest string
	// MediaType is the manifest's artifactType.
	MediaType string
	// Size is the sum in bytes of the manifest, the config and the layers.
	Size int64
	// Archive and Content are the layers.
	Archive, Content ocispec.Descriptor
	// Findings is the digest of the manifest that holds the findings; empty where
	// there were none to keep or the registry refused them.
	Findings string
	// FindingsRefused is what the registry answered when it refused the findings.
	FindingsRefused string
	// Adopted says that the tag named this artifact, or one of equal content,
	// before.
	Adopted bool
}

// Publish makes a's tag name the artifact, and returns what it names then. Blobs
// that the registry holds already are not pushed again, so publishing twice is a
// no-op and publishing after a crash goes on where it ended.
//
// A tag that exists is adopted where Adoptable says so, and is a *TagTakenError
// otherwise. Registries have no compare-and-swap for tags, so two managers that
// publish different bytes for one version at one moment are beyond its promise:
// leader election keeps them from it. Other errors are *Error or
// *UnsupportedError, or the context's when that has ended.
func (c *Client) Publish(ctx context.Context, a Artifact) (Published, error) {
	o, err := c.begin(ctx, a.Repository, "the push", c.options.Timeout)
	if err != nil {
		return Published{}, err
	}
	defer o.end()
	manifest, desc, err := buildManifest(a)
	if err != nil {
		return Published{}, err
	}
	existing, err := o.manifest(a.Tag)
	switch {
	case errors.Is(err, ErrNotFound):
		return o.publishNew(a, desc, manifest)
	case err != nil:
		return Published{}, err
	case existing.Digest != desc.Digest.String():
		return o.adopt(existing, a)
	}
	return o.complete(existing, a)
}

// publishNew pushes all of a, and last its tag.
func (o *call) publishNew(a Artifact, desc ocispec.Descriptor, manifest []byte) (Published, error) {
	p := o.published(&Existing{
		Digest: desc.Digest.String(), ArtifactType: ArtifactType, Manifest: manifest,
		Archive: layer(ArchiveMediaType, a.Archive), Content: layer(ContentMediaType, a.Content),
		config: configDescriptor(a.Config),
	}, false)
	group, ctx := errgroup.WithContext(o.ctx)
	if a.Findings != nil {
		// They need not wait: what they refer to may come later (distribution
		// specification, "Pushing Manifests with Subject").
		group.Go(func() (err error) {
			p.Findings, p.FindingsRefused, err = o.pushFindings(ctx, desc, a.Findings)
			return err
		})
	}
	group.Go(func() error {
		if err := o.pushBlobs(ctx, a.blobs()); err != nil {
			return err
		}
		return o.pushManifest(ctx, desc, manifest, a.Tag)
	})
	if err := group.Wait(); err != nil {
		return Published{}, err
	}
	return p, nil
}

// complete brings back what the registry has lost of an artifact that is tagged.
// What it has is not sent.
func (o *call) complete(existing *Existing, a Artifact) (Published, error) {
	if err := o.pushBlobs(o.ctx, a.blobs()); err != nil {
		return Published{}, err
	}
	return o.withFindings(o.published(existing, true), existing, a)
}

// withFindings sees to it that the findings refer to an artifact that was there.
func (o *call) withFindings(p Published, existing *Existing, a Artifact) (_ Published, err error) {
	if a.Findings == nil {
		return p, nil
	}
	subject := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(existing.Digest), Size: int64(len(existing.Manifest))}
	if p.Findings, p.FindingsRefused, err = o.ensureFindings(subject, a.Findings); err != nil {
		return Published{}, err
	}
	return p, nil
}

// adopt takes what the tag names for a, if it is a's equal and whole.
func (o *call) adopt(existing *Existing, a Artifact) (Published, error) {
	var config ArtifactConfig
	if err := json.Unmarshal(a.Config, &config); err != nil {
		return Published{}, fmt.Errorf("reading the artifact's config: %w", err)
	}
	if existing.ArtifactType == ArtifactType {
		if err := o.readConfig(existing); err != nil {
			return Published{}, err
		}
	}
	if !Adoptable(existing, config) {
		return Published{}, &TagTakenError{
			Registry: o.repo.Reference.Registry, Repository: o.repo.Reference.Repository,
			Tag: a.Tag, Existing: existing.Digest,
		}
	}
	if err := o.checkBlobs(existing); err != nil {
		return Published{}, err
	}
	return o.withFindings(o.published(existing, true), existing, a)
}

func (o *call) published(e *Existing, adopted bool) Published {
	return Published{
		Repository: o.repo.Reference.Registry + "/" + o.repo.Reference.Repository,
		Digest:     e.Digest,
		MediaType:  e.ArtifactType,
		Size:       e.Size(),
		Archive:    e.Archive,
		Content:    e.Content,
		Adopted:    adopted,
	}
}

// buildManifest returns the same bytes for the same artifact: json.Marshal writes
// fields in their order and the keys of maps sorted.
func buildManifest(a Artifact) ([]byte, ocispec.Descriptor, error) {
	annotations := maps.Clone(a.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[ocispec.AnnotationCreated] = Created
	raw, err := json.Marshal(ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: ArtifactType,
		Config:       configDescriptor(a.Config),
		Layers:       []ocispec.Descriptor{layer(ArchiveMediaType, a.Archive), layer(ContentMediaType, a.Content)},
		Annotations:  annotations,
	})
	if err != nil {
		return nil, ocispec.Descriptor{}, fmt.Errorf("writing the manifest: %w", err)
	}
	return raw, ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageManifest,
		Digest:    digest.FromBytes(raw),
		Size:      int64(len(raw)),
	}, nil
}

func configDescriptor(config []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ConfigMediaType, Digest: digest.FromBytes(config), Size: int64(len(config))}
}

func layer(mediaType string, b Blob) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(b.Digest), Size: b.Size}
}

// content is a blob with what a registry has to know of it.
type content struct {
	desc ocispec.Descriptor
	open func() (io.ReadCloser, error)
}

func (a Artifact) blobs() []content {
	return []content{
		inMemory(configDescriptor(a.Config), a.Config),
		{layer(ArchiveMediaType, a.Archive), a.Archive.Open},
		{layer(ContentMediaType, a.Content), a.Content.Open},
	}
}

func inMemory(desc ocispec.Descriptor, data []byte) content {
	return content{desc, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// pushBlobs sends the blobs side by side. The first that fails ends the others.
func (o *call) pushBlobs(ctx context.Context, blobs []content) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, b := range blobs {
		group.Go(func() error { return o.pushBlob(ctx, b.desc, b.open) })
	}
	return group.Wait()
}

func (o *call) pushBlob(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	there, err := o.repo.Blobs().Exists(ctx, desc)
	if err != nil {
		return o.explain(err)
	}
	if there {
		return nil
	}
	body, err := open()
	if err != nil {
		return fmt.Errorf("opening blob %s: %w", desc.Digest, err)
	}
	defer body.Close()
	if err := o.repo.Blobs().Push(WithBody(ctx, open), desc, body); err != nil {
		return o.explain(err)
	}
	return nil
}

// pushManifest pushes by digest, reads back, and only then tags: what cannot be
// read must not be found.
func (o *call) pushManifest(ctx context.Context, desc ocispec.Descriptor, raw []byte, tag string) error {
	if err := o.repo.Manifests().Push(ctx, desc, bytes.NewReader(raw)); err != nil {
		return o.explainManifest(err)
	}
	if err := o.readBack(ctx, desc, raw, "@"+desc.Digest.String(), "the tag was not set"); err != nil {
		return err
	}
	if err := o.repo.Manifests().PushReference(ctx, desc, bytes.NewReader(raw), tag); err != nil {
		return o.explainManifest(err)
	}
	return o.readBack(ctx, desc, raw, ":"+tag, "the artifact was not taken for published")
}

// readBack compares what the registry hands out for reference with what was
// pushed. so says what follows from a difference.
func (o *call) readBack(ctx context.Context, desc ocispec.Descriptor, raw []byte, reference, so string) error {
	_, body, err := o.repo.Manifests().FetchReference(ctx, reference[1:])
	if err != nil {
		return o.explain(err)
	}
	defer body.Close()
	got, err := readAll(body)
	if err != nil {
		return o.explain(err)
	}
	if bytes.Equal(got, raw) {
		return nil
	}
	return &Error{Reason: RegistryInconsistent, Message: fmt.Sprintf(
		"the registry %s hands out other bytes for %s%s than were pushed (sha256 %s, not %s), so %s: have the registry checked; the push is tried again",
		o.repo.Reference.Registry, o.repo.Reference.Repository, reference, digest.FromBytes(got).Encoded(), desc.Digest.Encoded(), so)}
}
