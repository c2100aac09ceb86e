package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/miniprogram-dev/miniprogram-operator/internal/source/cosign"
)

// How cosign lays out signatures.
const (
	bundleType    = "application/vnd.dev.sigstore.bundle.v0.3+json"
	payloadType   = "application/vnd.dev.cosign.simplesigning.v1+json"
	signatureNote = "dev.cosignproject.cosign/signature"
	certNote      = "dev.sigstore.cosign/certificate"
)

// What is read of the signatures of one digest, which anybody may have put there
// who can push to the repository.
const (
	maxSignatures     = 16
	maxReferrerPages  = 4
	maxSignatureBytes = 256 << 10
	maxPayloadBytes   = 64 << 10
	// maxReasons is how many signatures that do not count a message explains.
	maxReasons = 3
)

// signatureSearch looks for one signature that counts.
type signatureSearch struct {
	*ociFetch
	digest  string
	trusted *cosign.Checker
	by      string
	found   int
	reasons []string
}

var errEnough = errors.New("enough was seen")

// verifySigned requires that somebody who is trusted signed the digest that is
// fetched, and returns who did. Nothing of what the digest names is read for
// that; of a tag, the digest is found out first, and fetched after.
func (s *ociFetch) verifySigned(trusted *cosign.Checker) (string, error) {
	named := s.repo.Reference.Reference
	if !strings.HasPrefix(named, sha256Prefix) {
		m, err := s.rawManifest()
		if err != nil {
			return "", err
		}
		named = m.digest.String()
		s.repo.Reference.Reference = named
	}
	search := &signatureSearch{ociFetch: s, digest: named, trusted: trusted}
	for _, look := range []func() error{search.lookAtReferrers, search.lookAtTag} {
		if err := look(); err != nil && !errors.Is(err, errEnough) {
			return "", err
		}
		if search.by != "" {
			return search.by, nil
		}
	}
	if search.found == 0 {
		return "", later(SignatureMissing, "%s carries no signature, and spec.verification of its MiniProgram asks for one by %s: sign it with cosign; it is tried again", s.what, trusted)
	}
	return "", later(SignatureInvalid, "%s carries no valid signature by %s, whom spec.verification of its MiniProgram trusts (%s): have it signed by one of them; it is tried again",
		s.what, trusted, strings.Join(search.reasons, "; "))
}

// count notes what became of one more signature.
func (s *signatureSearch) count(by string, err error) error {
	s.found++
	if err == nil {
		s.by = by
		return errEnough
	}
	if s.reasons = append(s.reasons, fmt.Sprintf("of signature %d: %s", s.found, err)); len(s.reasons) > maxReasons {
		s.reasons = append(s.reasons[:maxReasons], "and more")
	}
	if s.found == maxSignatures {
		return errEnough
	}
	return nil
}

// lookAtReferrers looks at the Sigstore bundles that refer to the digest, by the
// referrers API, or where a registry has none, by the tag that stands for it.
func (s *signatureSearch) lookAtReferrers() error {
	subject := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(s.digest)}
	look := func(referrers []ocispec.Descriptor) error {
		for _, referrer := range referrers {
			if err := s.lookAtManifest(referrer, bundleType, s.checkBundle); err != nil {
				return err
			}
		}
		return nil
	}
	err := s.repo.Referrers(s.w.ctx, subject, bundleType, look)
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); ok && unknownRequest[answer.StatusCode] {
		if err := s.repo.SetReferrersCapability(false); err != nil {
			return err
		}
		err = s.repo.Referrers(s.w.ctx, subject, bundleType, look)
	}
	return s.explainSearch(err)
}

// unknownRequest are answers, beside 404, of registries that have no referrers API.
var unknownRequest = map[int]bool{http.StatusBadRequest: true, http.StatusMethodNotAllowed: true, http.StatusNotImplemented: true}

// lookAtTag looks at the signatures under cosign's older tag.
func (s *signatureSearch) lookAtTag() error {
	tag := strings.Replace(s.digest, ":", "-", 1) + ".sig"
	desc, err := s.repo.Manifests().Resolve(s.w.ctx, tag)
	if errors.Is(err, errdef.ErrNotFound) {
		return nil
	}
	if err != nil {
		return s.explain(err)
	}
	return s.explainSearch(s.lookAtManifest(desc, payloadType, s.checkPayload))
}

// lookAtManifest checks the layers of one type in a manifest.
func (s *signatureSearch) lookAtManifest(desc ocispec.Descriptor, layerType string, check func(ocispec.Descriptor) error) error {
	raw, err := readSmall(s.w.ctx, s.repo.Manifests(), desc, maxManifestBytes)
	if err != nil {
		return s.countUnreadable(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return s.count("", errors.New("its manifest is no JSON"))
	}
	for _, layer := range m.Layers {
		if layer.MediaType != layerType {
			continue
		}
		if err := check(layer); err != nil {
			return err
		}
	}
	return nil
}

func (s *signatureSearch) checkBundle(layer ocispec.Descriptor) error {
	raw, err := readSmall(s.w.ctx, s.repo.Blobs(), layer, maxSignatureBytes)
	if err != nil {
		return s.countUnreadable(err)
	}
	return s.count(s.trusted.Bundle(s.digest, raw))
}

func (s *signatureSearch) checkPayload(layer ocispec.Descriptor) error {
	payload, err := readSmall(s.w.ctx, s.repo.Blobs(), layer, maxPayloadBytes)
	if err != nil {
		return s.countUnreadable(err)
	}
	notes := layer.Annotations
	return s.count(s.trusted.Payload(s.digest, payload, notes[signatureNote], notes[certNote] != ""))
}

// countUnreadable tells a signature that is not there, or not as it should be,
// from a registry that does not answer.
func (s *signatureSearch) countUnreadable(err error) error {
	if small, ok := errors.AsType[*unreadableError](err); ok {
		return s.count("", small)
	}
	return err
}

// explainSearch leaves errEnough, and what is explained already, as they are.
func (s *signatureSearch) explainSearch(err error) error {
	if err == nil || errors.Is(err, errEnough) {
		return err
	}
	return s.explain(err)
}

// unreadableError is a part of a signature that cannot be used.
type unreadableError struct{ what string }

func (e *unreadableError) Error() string { return e.what }

// readSmall reads what desc names, of at most limit bytes, and checks its digest.
func readSmall(ctx context.Context, from content.Fetcher, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	switch {
	case desc.Size < 0 || desc.Size > limit:
		return nil, &unreadableError{fmt.Sprintf("it has a part of %d bytes, and at most %d are read", desc.Size, limit)}
	case len(desc.URLs) > 0:
		return nil, &unreadableError{"it has a part with urls, and those are not followed"}
	case desc.Digest.Validate() != nil || desc.Digest.Algorithm() != digest.SHA256:
		return nil, &unreadableError{"it has a part whose digest is no sha256"}
	}
	raw, err := content.FetchAll(ctx, from, desc)
	if errors.Is(err, content.ErrMismatchedDigest) || errors.Is(err, content.ErrTrailingData) || errors.Is(err, errdef.ErrNotFound) {
		return nil, &unreadableError{fmt.Sprintf("the registry does not hand out its part %s", desc.Digest)}
	}
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); ok && answer.StatusCode == http.StatusNotFound {
		return nil, &unreadableError{fmt.Sprintf("the registry does not hand out its part %s", desc.Digest)}
	}
	return raw, err
}
