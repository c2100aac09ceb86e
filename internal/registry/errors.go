package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Reasons of an Error. They are written into conditions.
const (
	// RegistryUnavailable: the registry does not answer, answers with a fault of
	// its own, or asks to wait. It heals by itself.
	RegistryUnavailable = "RegistryUnavailable"
	// RegistryUnauthorized: the registry refuses the manager's credentials.
	RegistryUnauthorized = "RegistryUnauthorized"
	// RegistryUnsupported: the registry does not take artifacts of this form.
	RegistryUnsupported = "RegistryUnsupported"
	// RegistryRefused: the registry refuses the request for another cause.
	RegistryRefused = "RegistryRefused"
	// RegistryInconsistent: the registry does not hand out what was pushed.
	RegistryInconsistent = "RegistryInconsistent"
	// TagTaken: the version's tag names another artifact.
	TagTaken = "TagTaken"
)

// ErrNotFound is in the chain of errors about a repository, tag, manifest or
// blob that the registry does not hold.
var ErrNotFound = errors.New("not found in the registry")

// Error is what went wrong with the registry. All but RegistryUnsupported can
// heal without a change of the version's spec.
type Error struct {
	// Reason is one of the constants of this package.
	Reason string
	// Message is a whole sentence for people: what failed, where, what to do.
	Message string
	// RetryAfter is how long the registry asked to wait, at most an hour. Zero: it
	// did not.
	RetryAfter time.Duration
	// Err is what was seen. It may hold addresses with secrets in their queries, so
	// it is for errors.Is and errors.As and never printed. May be nil.
	Err error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// UnsupportedError says that the registry takes no manifests of this form. It
// wraps an *Error with reason RegistryUnsupported.
type UnsupportedError struct{ Err *Error }

func (e *UnsupportedError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *UnsupportedError) Unwrap() error { return e.Err }

// TagTakenError says that a tag names another artifact than the one that was to
// be published. Nothing was changed.
type TagTakenError struct {
	// Registry is the host, Repository the full name there.
	Registry, Repository, Tag string
	// Existing is the digest of the manifest that the tag names.
	Existing string
}

func (e *TagTakenError) Error() string {
	return fmt.Sprintf("the tag %s of %s/%s already names other content (%s), and a tag is never moved: publish this under another version, or delete that tag if nobody needs it",
		e.Tag, e.Registry, e.Repository, e.Existing)
}

// explain turns an error of the registry's client into one for people.
func (o *call) explain(err error) error {
	if perr := o.parent.Err(); perr != nil {
		return perr // the manager stops: nothing is wrong with the registry
	}
	host := o.client.options.Host
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		return o.refusal(answer)
	}
	if cred, ok := errors.AsType[*credentialError](err); ok {
		return &Error{Reason: RegistryUnauthorized, Err: err,
			Message: fmt.Sprintf("the manager's credentials for the registry %s cannot be read: %v; %s is tried again", host, cred.err, o.what)}
	}
	if errors.Is(err, auth.ErrBasicCredentialNotFound) {
		return o.unauthorized("401 Unauthorized", err)
	}
	if errors.Is(err, errdef.ErrNotFound) {
		return &Error{Reason: RegistryRefused, Err: errors.Join(ErrNotFound, err),
			Message: fmt.Sprintf("the registry %s does not hold %s", host, strings.TrimSuffix(err.Error(), ": "+errdef.ErrNotFound.Error()))}
	}
	if errors.Is(o.ctx.Err(), context.DeadlineExceeded) {
		return &Error{Reason: RegistryUnavailable, Err: err,
			Message: fmt.Sprintf("the registry %s did not finish within %s; %s is tried again", host, o.client.options.Timeout, o.what)}
	}
	if where := misdirected(err); where != "" {
		return &Error{Reason: RegistryUnavailable, Err: err, Message: fmt.Sprintf("the registry %s %s; %s is tried again", host, where, o.what)}
	}
	cause := err
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		cause = urlErr.Err // without the address, which may hold a secret in its query
	}
	if _, isNet := errors.AsType[net.Error](err); isNet || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{Reason: RegistryUnavailable, Err: err,
			Message: fmt.Sprintf("the registry %s does not answer: %v; %s is tried again", host, cause, o.what)}
	}
	// The client's own words hold addresses that storage services have signed.
	return o.noRegistry(err)
}

// noRegistry says that what answers is no registry, or a broken one.
func (o *call) noRegistry(err error) error {
	return &Error{Reason: RegistryUnavailable, Err: err, Message: fmt.Sprintf(
		"what answers at the registry %s does not keep to the OCI distribution specification: make sure that this is the registry's address; %s is tried again",
		o.client.options.Host, o.what)}
}

func (o *call) refusal(answer *errcode.ErrorResponse) error {
	status := statusText(answer)
	after := time.Duration(o.note.after.Load())
	e := &Error{Reason: RegistryUnavailable, RetryAfter: after, Err: answer}
	host := o.client.options.Host
	switch code := answer.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return o.unauthorized(status, answer)
	case after > 0:
		e.Message = fmt.Sprintf("the registry %s asks to wait (%s); %s is tried again after %s", host, status, o.what, after)
	case code == http.StatusTooManyRequests || code >= http.StatusInternalServerError:
		e.Message = fmt.Sprintf("the registry %s cannot answer now (%s); %s is tried again", host, status, o.what)
	default:
		e.Reason = RegistryRefused
		e.Message = fmt.Sprintf("the registry %s refuses %s to %s (%s): make sure that the repository exists and takes pushes; %s is tried again",
			host, o.what, o.repo.Reference.Repository, status, o.what)
	}
	return e
}

// maxAnswer bounds what of the registry's own words goes into a condition.
const maxAnswer = 300

// statusText is what the registry answered: "400 Bad Request: CODE: message".
func statusText(answer *errcode.ErrorResponse) string {
	text := fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	for _, e := range answer.Errors {
		text += ": " + e.Code
		if e.Message != "" {
			text += ": " + e.Message
		}
	}
	if len(text) > maxAnswer {
		text = strings.ToValidUTF8(text[:maxAnswer], "") + "…"
	}
	return text
}

func (o *call) unauthorized(status string, err error) error {
	host, config := o.client.options.Host, o.client.options.DockerConfig
	if config == "" {
		return &Error{Reason: RegistryUnauthorized, Err: err,
			Message: fmt.Sprintf("the registry %s asks for credentials (%s), and the manager has none: give it a dockerconfigjson Secret for that host; %s is tried again", host, status, o.what)}
	}
	return &Error{Reason: RegistryUnauthorized, Err: err,
		Message: fmt.Sprintf("the registry %s refuses the manager's credentials (%s): put valid ones for that host into the Secret behind %s; %s is tried again", host, status, config, o.what)}
}

// explainManifest is explain for the push of a manifest, which is where a
// registry shows that it does not know artifacts.
func (o *call) explainManifest(err error) error {
	answer, ok := errors.AsType[*errcode.ErrorResponse](err)
	if !ok {
		return o.explain(err)
	}
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
	default:
		return o.explain(err)
	}
	status := statusText(answer)
	return &UnsupportedError{&Error{Reason: RegistryUnsupported, Err: answer, Message: fmt.Sprintf(
		"the registry %s refuses the manifest of %s (%s): it must take OCI 1.1 artifacts of type %s; allow that type there, or use another registry",
		o.client.options.Host, o.repo.Reference.Repository, status, ArtifactType)}}
}
