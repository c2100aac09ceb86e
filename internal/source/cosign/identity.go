package cosign

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// Verifier knows the certificate authorities, logs and timestamping authorities
// that identities are proven by. The nil Verifier knows none: with it, keys are
// checked, and no identity.
type Verifier struct{ verifier *verify.Verifier }

// NewVerifier reads a trusted root, as Sigstore distributes it in
// trusted_root.json. A signature by an identity then needs an entry of a log, a
// time that a log or an authority vouches for, and, where the root names
// certificate logs, a certificate that stands in one.
func NewVerifier(trustedRoot []byte) (*Verifier, error) {
	trusted, err := root.NewTrustedRootFromJSON(trustedRoot)
	if err != nil {
		return nil, fmt.Errorf("reading the trusted root: %w", err)
	}
	options := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1)}
	if len(trusted.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	verifier, err := verify.NewVerifier(trusted, options...)
	if err != nil {
		return nil, fmt.Errorf("using the trusted root: %w", err)
	}
	return &Verifier{verifier}, nil
}

// identities are those that one Checker trusts.
type identities struct {
	verifier *verify.Verifier
	policy   []verify.PolicyOption
}

func (v *Verifier) identities(trusted []Identity) (*identities, error) {
	i := &identities{}
	if v != nil {
		i.verifier = v.verifier
	}
	for _, t := range trusted {
		expression := ""
		if t.SubjectRegExp != "" {
			if _, err := regexp.Compile(t.SubjectRegExp); err != nil {
				return nil, fmt.Errorf("identity %s of %s is no regular expression: %w", t.SubjectRegExp, t.Issuer, err)
			}
			// One that matches a part would let in whoever can choose the rest.
			expression = `\A(?:` + t.SubjectRegExp + `)\z`
		}
		one, err := verify.NewShortCertificateIdentity(t.Issuer, "", t.Subject, expression)
		if err != nil {
			return nil, fmt.Errorf("identity %s%s of %s cannot be used: %w", t.Subject, t.SubjectRegExp, t.Issuer, err)
		}
		i.policy = append(i.policy, verify.WithCertificateIdentity(one))
	}
	return i, nil
}

// verify checks a bundle that holds a certificate.
func (i *identities) verify(digest string, raw []byte) (string, error) {
	switch {
	case len(i.policy) == 0:
		return "", errors.New("it is an identity's, and none is trusted")
	case i.verifier == nil:
		return "", errors.New("it is an identity's, and those cannot be checked: the manager was started without --sigstore-trusted-root")
	}
	sum, err := hex.DecodeString(strings.TrimPrefix(digest, "sha256:"))
	if err != nil {
		return "", fmt.Errorf("reading the digest %s: %w", digest, err)
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(raw); err != nil {
		return "", fmt.Errorf("it is no Sigstore bundle: %w", err)
	}
	result, err := i.verifier.Verify(&b, verify.NewPolicy(verify.WithArtifactDigest("sha256", sum), i.policy...))
	if err != nil {
		return "", err
	}
	if result.Statement == nil || result.Signature == nil || result.Signature.Certificate == nil {
		return "", errors.New("it holds no statement by an identity")
	}
	// Asked of what was verified: another reader of the same JSON could find
	// another envelope in it.
	if err := checkPredicate(result.Statement.PredicateType); err != nil {
		return "", err
	}
	by := result.Signature.Certificate
	return fmt.Sprintf("identity %s of %s", by.SubjectAlternativeName, by.Issuer), nil
}
