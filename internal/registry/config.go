package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ArtifactConfig is the config of an artifact: what the archive is, and what was
// declared about it when it was packaged. It holds no times, so that the same
// version has the same config whenever it is packaged.
//
// Its fields stand in the order of their json names, which Marshal relies on.
type ArtifactConfig struct {
	AppID string `json:"appID"`
	// ArchiveSHA256 is the digest of the archive as it came: "sha256:…".
	ArchiveSHA256 string `json:"archiveSHA256"`
	// ContentDigest is the sha256 of the uncompressed tar of the files: "sha256:…".
	ContentDigest string `json:"contentDigest"`
	// Declaration is what the mini program declared when the version was packaged.
	Declaration json.RawMessage `json:"declaration,omitempty"`
	Format      string          `json:"format"`
	// Packer names the program that made the artifact, with its version.
	Packer string   `json:"packer"`
	Pages  []string `json:"pages,omitempty"`
	// Source is where the archive came from, without credentials.
	Source      string `json:"source,omitempty"`
	Version     string `json:"version"`
	VersionCode int64  `json:"versionCode"`
}

// Marshal returns c as JSON with sorted keys at every depth. It fails only where
// the declaration is no JSON.
func (c ArtifactConfig) Marshal() ([]byte, error) {
	declaration, err := canonicalJSON(c.Declaration)
	if err != nil {
		return nil, fmt.Errorf("reading the declaration: %w", err)
	}
	c.Declaration = declaration
	return json.Marshal(c)
}

// canonicalJSON sorts keys and drops white space. Numbers keep their digits.
func canonicalJSON(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, fmt.Errorf("more than one JSON value")
	}
	return json.Marshal(value)
}

// Adoptable reports whether an artifact that the version's tag names already is
// what publishing c would make: the same app ID, version, version code, archive,
// content and declaration. Its digest is then the version's, also when its
// compressed bytes differ, as they do between versions of a compressor. Where it
// came from and who packed it do not count.
func Adoptable(existing *Existing, c ArtifactConfig) bool {
	var old ArtifactConfig
	if existing == nil || existing.ArtifactType != ArtifactType || json.Unmarshal(existing.Config, &old) != nil {
		return false
	}
	was, err := canonicalJSON(old.Declaration)
	if err != nil {
		return false
	}
	is, err := canonicalJSON(c.Declaration)
	if err != nil {
		return false
	}
	return old.AppID == c.AppID && old.Version == c.Version && old.VersionCode == c.VersionCode &&
		old.ArchiveSHA256 == c.ArchiveSHA256 && old.ContentDigest == c.ContentDigest &&
		bytes.Equal(was, is)
}

// NewArtifact returns the artifact of c, to be published in repository
// ("<namespace>/<mini program>", below the client's prefix). more are annotations
// beside those that follow from c, as org.opencontainers.image.revision.
func NewArtifact(repository, title string, c ArtifactConfig, archive, content Blob, more map[string]string) (Artifact, error) {
	config, err := c.Marshal()
	if err != nil {
		return Artifact{}, err
	}
	annotations := map[string]string{
		ocispec.AnnotationTitle:   title,
		ocispec.AnnotationVersion: c.Version,
		AnnotationAppID:           c.AppID,
		AnnotationContentDigest:   c.ContentDigest,
	}
	if c.Source != "" {
		annotations[ocispec.AnnotationSource] = c.Source
	}
	maps.Copy(annotations, more)
	return Artifact{
		Repository:  repository,
		Tag:         Tag(c.Version),
		Config:      config,
		Archive:     archive,
		Content:     content,
		Annotations: annotations,
	}, nil
}
