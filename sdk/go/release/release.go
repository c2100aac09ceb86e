// Package release decides whether a signed document may be believed: the checks
// that every client makes, in their order. Size, signature, type, app ID,
// channel, host app, not older than what was seen, not expired.
//
// The checks that remain belong to whoever downloads: digest and size while the
// bytes arrive, the content digest after unpacking, and MayOpen before a version
// is opened.
package release

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/internal/version"
)

// MaxEnvelopeSize bounds an envelope, in bytes: a document of the largest size
// in base64, and room for signatures.
const MaxEnvelopeSize = (document.MaxSize+2)/3*4 + 16<<10

// What a check is called. Every error of Verify matches exactly one of them
// with errors.Is.
var (
	ErrTooLarge  = errors.New("the envelope is too large")
	ErrSignature = errors.New("the signature is not to be trusted")
	ErrType      = errors.New("the document is of another type")
	ErrMalformed = errors.New("the document is malformed")
	ErrAppID     = errors.New("the document is for another app ID")
	ErrChannel   = errors.New("the document is for another channel")
	ErrHostApp   = errors.New("the document is not for this host app")
	// ErrRolledBack: a newer document was seen. It is an old copy, or an attack.
	ErrRolledBack = errors.New("the document is older than one that was seen")
	// ErrExpired: run what is installed, adopt nothing new. See ExpiredError.
	ErrExpired = errors.New("the document is expired")
)

// Code names the check that an error of Verify is about, as sdk/vectors does for every
// language: TooLarge, Signature, Type, Malformed, AppID, Channel, HostApp, RolledBack or
// Expired; empty for nil and for any other error.
func Code(err error) string {
	for code, check := range map[string]error{
		"TooLarge": ErrTooLarge, "Signature": ErrSignature, "Type": ErrType, "Malformed": ErrMalformed, "AppID": ErrAppID,
		"Channel": ErrChannel, "HostApp": ErrHostApp, "RolledBack": ErrRolledBack, "Expired": ErrExpired,
	} {
		if errors.Is(err, check) {
			return code
		}
	}
	return ""
}

// Expect is what a document must be.
type Expect struct {
	// AppID, Channel and HostApp are those that were asked for. Only the channel
	// "trial" accepts a trial document, and it accepts no other.
	AppID, Channel, HostApp string
	// Keys are those that were pinned or that a chain of key documents leads to.
	Keys []dsse.Key
	// Seen is the newest document that was believed so far; zero: none.
	Seen Seen
	// Now is the client's time.
	Now time.Time
}

// Seen orders the documents of a program, channel and host app: first by
// sequence, then by time of issue, for signing anew keeps the sequence.
type Seen struct {
	Sequence int64
	IssuedAt time.Time
}

// Verified is a document that passed every check.
type Verified struct {
	Document *document.Release
	// EnvelopeDigest is sha256:hex of the envelope's bytes, which an answer of the
	// manifest service names as envelopeDigest.
	EnvelopeDigest string
	// KeyID is the key that signed.
	KeyID string
}

// Seen is what to store, and to expect from then on.
func (v *Verified) Seen() Seen {
	return Seen{Sequence: v.Document.Sequence, IssuedAt: v.Document.IssuedAt.Time}
}

// ExpiredError is an otherwise good document that is expired. It matches
// ErrExpired. Verified is for telling people why: nothing new may be adopted
// and nothing removed because of it.
type ExpiredError struct {
	Verified  *Verified
	ExpiredAt time.Time
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("%v since %s", ErrExpired, e.ExpiredAt.UTC().Format(time.RFC3339))
}

// Is makes errors.Is(err, ErrExpired) hold.
func (e *ExpiredError) Is(target error) bool { return target == ErrExpired }

// Verify checks an envelope and reads the document in it. The error says which
// check failed first; see ErrTooLarge to ErrExpired.
func Verify(envelope []byte, expect Expect) (*Verified, error) {
	payloadType, payload, keyID, err := dsse.Verify(envelope, MaxEnvelopeSize, expect.Keys)
	switch {
	case errors.Is(err, dsse.ErrTooLarge):
		return nil, fmt.Errorf("%w: %d bytes, %d are allowed", ErrTooLarge, len(envelope), MaxEnvelopeSize)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	doc, err := read(payloadType, payload, expect.Channel)
	if err != nil {
		return nil, err
	}
	if err := match(doc, expect); err != nil {
		return nil, err
	}
	verified := &Verified{Document: doc, EnvelopeDigest: digestOf(envelope), KeyID: keyID}
	if older(verified.Seen(), expect.Seen) {
		return nil, fmt.Errorf("%w: its sequence is %d of %s, seen was %d of %s", ErrRolledBack,
			doc.Sequence, doc.IssuedAt.Format(time.RFC3339),
			expect.Seen.Sequence, expect.Seen.IssuedAt.UTC().Format(time.RFC3339))
	}
	if !expect.Now.Before(doc.ExpiresAt.Time) {
		return nil, &ExpiredError{Verified: verified, ExpiredAt: doc.ExpiresAt.Time}
	}
	return verified, nil
}

// read parses the payload once it is known to be a document of the right type.
func read(payloadType string, payload []byte, channel string) (*document.Release, error) {
	if payloadType != document.PayloadType {
		return nil, fmt.Errorf("%w: payload type %q, want %q", ErrType, payloadType, document.PayloadType)
	}
	doc, err := document.Parse(payload)
	if err != nil {
		if field, ok := errors.AsType[*document.FieldError](err); ok && field.Pointer == "/type" {
			return nil, fmt.Errorf("%w: %w", ErrType, err)
		}
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	want := document.TypeRelease
	if channel == document.ChannelTrial {
		want = document.TypeTrial
	}
	if doc.Type != want {
		return nil, fmt.Errorf("%w: %s, want %s", ErrType, doc.Type, want)
	}
	return doc, nil
}

func match(doc *document.Release, expect Expect) error {
	switch {
	case doc.AppID != expect.AppID:
		return fmt.Errorf("%w: %s, want %s", ErrAppID, doc.AppID, expect.AppID)
	case doc.Channel != expect.Channel:
		return fmt.Errorf("%w: %s, want %s", ErrChannel, doc.Channel, expect.Channel)
	case !slices.Contains(doc.HostApps, expect.HostApp):
		return fmt.Errorf("%w: for %s, want %s", ErrHostApp, orNone(doc.HostApps), expect.HostApp)
	default:
		return nil
	}
}

func older(a, b Seen) bool {
	if a.Sequence != b.Sequence {
		return a.Sequence < b.Sequence
	}
	return a.IssuedAt.Before(b.IssuedAt)
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// MayOpen reports whether a host app may open a version of the program, be it
// installed already or about to be: it is not below the document's minimum
// version. What is no version may not be opened where there is a minimum.
func MayOpen(doc *document.Release, installedVersion string) bool {
	if doc.MinimumVersion == "" {
		return true
	}
	order, ok := version.Compare(installedVersion, doc.MinimumVersion)
	return ok && order >= 0
}
