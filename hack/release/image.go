package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// user is who the image's programs run as: nobody that the image or a host knows.
const user = "65532:65532"

// entrypoint is what starts by default; the manifest service is started by its name.
const entrypoint = "/manager"

// writeImage writes the image for both platforms as an OCI layout, which skopeo, crane
// and podman copy to registries, and its name to image.txt. It holds what the
// Dockerfile says, and needs no container engine.
//
// (ko would make an image for each program, and begins with a base image that it fetches
// from a registry: one image from scratch needs neither a network nor trust in a base.)
func (r *release) writeImage(context.Context) error {
	if err := checkRoots(r.roots); err != nil {
		return err
	}
	l := layout{dir: r.file("image")}
	if err := os.MkdirAll(l.blobs(), 0o755); err != nil {
		return err
	}
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Annotations: r.labels(),
	}
	for _, p := range r.servers {
		manifest, err := r.platformImage(l, p)
		if err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, manifest)
	}
	described, err := l.addJSON(ocispec.MediaTypeImageIndex, index)
	if err != nil {
		return err
	}
	r.digest = described.Digest
	described.Annotations = map[string]string{ocispec.AnnotationRefName: r.version}
	if err := l.close(described); err != nil {
		return err
	}
	return os.WriteFile(r.file("image.txt"), []byte(r.image+":"+r.version+"@"+r.digest.String()+"\n"), 0o644)
}

// checkRoots requires certificate authorities: without them the image would start and
// reach nothing.
func checkRoots(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return fmt.Errorf("%s has no certificate", file)
	}
	return nil
}

// contents are the files of the image for one platform.
func (r *release) contents(p platform) []member {
	members := []member{{name: "etc/ssl/certs/ca-certificates.crt", from: r.roots, mode: 0o644}}
	for _, name := range servers {
		members = append(members, member{name: name, from: r.built(p, name), mode: 0o755})
	}
	return members
}

// platformImage adds the image for one platform.
func (r *release) platformImage(l layout, p platform) (ocispec.Descriptor, error) {
	layer, diffID, err := l.addLayer(r.moment, r.contents(p))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	created := r.moment.Time
	config, err := l.addJSON(ocispec.MediaTypeImageConfig, ocispec.Image{
		Created:  &created,
		Platform: ocispec.Platform{OS: p.os, Architecture: p.arch},
		Config:   ocispec.ImageConfig{User: user, Entrypoint: []string{entrypoint}, WorkingDir: "/", Labels: r.labels()},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}},
		History:  []ocispec.History{{Created: &created, CreatedBy: "hack/release"}},
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	manifest, err := l.addJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{layer}, Annotations: r.labels(),
	})
	manifest.Platform = &ocispec.Platform{OS: p.os, Architecture: p.arch}
	return manifest, err
}

// labels say what an image was built from.
func (r *release) labels() map[string]string {
	return map[string]string{
		ocispec.AnnotationTitle:    "miniprogram-operator",
		ocispec.AnnotationVersion:  r.version,
		ocispec.AnnotationRevision: r.revision,
		ocispec.AnnotationCreated:  r.moment.Format(time.RFC3339),
		ocispec.AnnotationSource:   "https://github.com/miniprogram-dev/miniprogram-operator",
		ocispec.AnnotationLicenses: "Apache-2.0",
	}
}

// layout is a folder in the form of the OCI image layout.
type layout struct{ dir string }

func (l layout) blobs() string { return filepath.Join(l.dir, "blobs", "sha256") }

// addJSON adds a document.
func (l layout) addJSON(mediaType string, document any) (ocispec.Descriptor, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	described := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	return described, os.WriteFile(filepath.Join(l.blobs(), described.Digest.Encoded()), text, 0o644)
}

// addLayer adds a compressed tar, and tells its digest before compression too.
func (l layout) addLayer(m moment, members []member) (ocispec.Descriptor, digest.Digest, error) {
	f, err := os.CreateTemp(l.blobs(), ".layer-")
	if err != nil {
		return ocispec.Descriptor{}, "", err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	packed := digest.Canonical.Digester()
	if err := errors.Join(tarGz(io.MultiWriter(f, packed.Hash()), m, members), f.Chmod(0o644), f.Close()); err != nil {
		return ocispec.Descriptor{}, "", err
	}
	plain := digest.Canonical.Digester()
	if err := tarred(plain.Hash(), m, members); err != nil {
		return ocispec.Descriptor{}, "", err
	}
	info, err := os.Stat(f.Name())
	if err != nil {
		return ocispec.Descriptor{}, "", err
	}
	described := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: packed.Digest(), Size: info.Size()}
	return described, plain.Digest(), os.Rename(f.Name(), filepath.Join(l.blobs(), described.Digest.Encoded()))
}

// close writes what makes the folder a layout.
func (l layout) close(root ocispec.Descriptor) error {
	for name, document := range map[string]any{
		ocispec.ImageLayoutFile: ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion},
		ocispec.ImageIndexFile: ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{root},
		},
	} {
		var text bytes.Buffer
		if err := json.NewEncoder(&text).Encode(document); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(l.dir, name), text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
