package registrytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
)

// Layer is a blob of an artifact that a test pushes.
type Layer struct {
	MediaType   string
	Data        []byte
	Annotations map[string]string
}

// Push makes an OCI image manifest of the layers and sets the tag to it, also
// where that names another. subject, which may be nil, is what the artifact
// refers to; a registry without the referrers API gets the index of referrers by
// its tag. It returns the manifest's descriptor.
func Push(t testing.TB, host, repository, tag string, subject *ocispec.Descriptor, layers ...Layer) ocispec.Descriptor {
	t.Helper()
	repo, err := remote.NewRepository(host + "/" + repository)
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	push := func(mediaType string, data []byte) ocispec.Descriptor {
		t.Helper()
		desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		if err := repo.Push(t.Context(), desc, bytes.NewReader(data)); err != nil && !errors.Is(err, errdef.ErrAlreadyExists) {
			t.Fatal(err)
		}
		return desc
	}
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: push(ocispec.MediaTypeEmptyJSON, []byte("{}")), Subject: subject,
	}
	for _, layer := range layers {
		desc := push(layer.MediaType, layer.Data)
		desc.Annotations = layer.Annotations
		manifest.Layers = append(manifest.Layers, desc)
	}
	if subject != nil {
		manifest.ArtifactType = layers[0].MediaType
	}
	data, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	desc := push(ocispec.MediaTypeImageManifest, data)
	if tag != "" {
		if err := repo.Tag(t.Context(), desc, tag); err != nil {
			t.Fatal(err)
		}
	}
	return desc
}
