package document

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/internal/strictjson"
)

// TypePreview is the type of a preview: it is never read as a release or a trial, and
// they are never read as one.
const TypePreview = "miniprogram.preview/v1"

// PreviewPayloadType is the DSSE payload type of a preview.
const PreviewPayloadType = "application/vnd.miniprogram.preview.v1+json"

// MaxPreviewValidity is how long a preview may be handed out.
const MaxPreviewValidity = 7 * 24 * time.Hour

// PreviewCodeLength is that of a preview's code: 16 random bytes in base64url.
const PreviewCodeLength = 22

// Preview lets whoever has its code run one version that nobody need have approved,
// in one host app, for some hours.
type Preview struct {
	// Type is TypePreview.
	Type string `json:"type"`
	// CodeHash is that of the code: see HashPreviewCode. The code itself is known to whoever asked.
	CodeHash string `json:"codeHash"`
	AppID    string `json:"appID"`
	HostApp  string `json:"hostApp"`
	// IssuedAt and ExpiresAt are at most MaxPreviewValidity apart.
	IssuedAt  Time           `json:"issuedAt"`
	ExpiresAt Time           `json:"expiresAt"`
	Version   PreviewVersion `json:"version"`
}

// PreviewVersion is what is known of the version. The members are those of Variant.
type PreviewVersion struct {
	Version       string        `json:"version"`
	VersionCode   int64         `json:"versionCode"`
	Digest        string        `json:"digest"`
	ContentDigest string        `json:"contentDigest"`
	Archive       Blob          `json:"archive"`
	Content       Blob          `json:"content"`
	Format        string        `json:"format,omitempty"`
	Declaration   Declaration   `json:"declaration"`
	Compatibility Compatibility `json:"compatibility"`
}

// HashPreviewCode returns what is published of a code: the first 16 bytes of
// sha256(utf8("miniprogram.preview/v1\n" + code)) in hexadecimal digits. It needs no
// slow hash, for a code is random.
func HashPreviewCode(code string) string {
	sum := sha256.Sum256([]byte(TypePreview + "\n" + code))
	return hex.EncodeToString(sum[:16])
}

// IsPreviewCode reports whether text can be a code.
func IsPreviewCode(text string) bool { return len(text) == PreviewCodeLength && only(text, base64url) }

// IsPreviewHash reports whether text can be the hash of a code.
func IsPreviewHash(text string) bool { return len(text) == 32 && only(text, lowerHex) }

// Validate checks every field that is acted upon. Its error is a *FieldError about the
// first one that is wrong.
func (p *Preview) Validate() error {
	c := new(checker)
	c.that(p.Type == TypePreview, "/type", "must be "+TypePreview)
	c.that(IsPreviewHash(p.CodeHash), "/codeHash", "must be 32 lower-case hexadecimal digits")
	c.that(IsAppID(p.AppID), "/appID", "must match [A-Za-z0-9][A-Za-z0-9._-]{2,63}")
	c.that(p.HostApp != "", "/hostApp", "must not be empty")
	c.that(!p.IssuedAt.IsZero(), "/issuedAt", "must be a time like 2006-01-02T15:04:05Z")
	c.that(p.ExpiresAt.After(p.IssuedAt.Time), "/expiresAt", "must be after issuedAt")
	c.that(p.ExpiresAt.Sub(p.IssuedAt.Time) <= MaxPreviewValidity, "/expiresAt", "must be at most 7 days after issuedAt")
	v := &p.Version
	c.variant("/version", &Variant{
		Delivery: 1, Version: v.Version, VersionCode: v.VersionCode, Digest: v.Digest, ContentDigest: v.ContentDigest,
		Archive: v.Archive, Content: v.Content, Compatibility: v.Compatibility,
	})
	if c.err != nil {
		return c.err
	}
	return nil
}

// ParsePreview reads and validates a preview, as strictly as Parse reads a document.
// The error is a *SizeError or a *FieldError.
func ParsePreview(data []byte) (*Preview, error) {
	if len(data) > MaxSize {
		return nil, &SizeError{Bytes: len(data)}
	}
	p := new(Preview)
	if err := strictjson.Decode(data, p); err != nil {
		if at, ok := errors.AsType[*strictjson.Error](err); ok {
			return nil, &FieldError{Pointer: at.Pointer, Problem: at.Problem}
		}
		return nil, &FieldError{Problem: "cannot be read: " + err.Error()}
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return p, nil
}

// MarshalPreview validates a preview and writes it, with the same bytes for the same
// preview. The error is a *SizeError or a *FieldError.
func MarshalPreview(p *Preview) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(p); err != nil {
		return nil, &FieldError{Problem: "cannot be written: " + err.Error()}
	}
	data := bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
	if len(data) > MaxSize {
		return nil, &SizeError{Bytes: len(data)}
	}
	return data, nil
}
