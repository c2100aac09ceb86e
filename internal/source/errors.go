package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

// Reasons of a PermanentError or a TemporaryError. They are written into
// conditions.
const (
	// SourceUnavailable: the source does not answer, answers something else than
	// the bundle, or does not come to an end.
	SourceUnavailable = "SourceUnavailable"
	// SourceMissing: the source answers, and has no such thing. Somebody has to put it
	// there, where SourceUnavailable may end by itself.
	SourceMissing = "SourceMissing"
	// SourceUnauthorized: the source asks for credentials, or for others.
	SourceUnauthorized = "SourceUnauthorized"
	// SourceForbidden: the manager refuses to go there.
	SourceForbidden = "SourceForbidden"
	// SourceTooLarge: the bundle exceeds the limit.
	SourceTooLarge = "SourceTooLarge"
	// SourceDigest: the bytes are not those that the spec names.
	SourceDigest = "SourceDigest"
	// SignatureMissing: a signature is asked for, and the source carries none.
	SignatureMissing = "SignatureMissing"
	// SignatureInvalid: no signature of the source is by somebody who is trusted.
	SignatureInvalid = "SignatureInvalid"
	// SourceInvalid: the spec or the OCI artifact that it names cannot be read as
	// a source.
	SourceInvalid = "SourceInvalid"
)

const (
	// repairDelay is how long to wait for somebody to repair what is at the other
	// end. Asking sooner costs its host a whole download each time.
	repairDelay = 5 * time.Minute
	// maxRetryAfter bounds what a server may ask for in Retry-After, so that a
	// mistake over there does not hold a version for days.
	maxRetryAfter = time.Hour
)

// PermanentError says that only a change of the spec can help.
type PermanentError struct {
	// Reason is one of the constants of this package.
	Reason string
	// Message is a whole sentence for the person who wrote the spec.
	Message string
}

func (e *PermanentError) Error() string { return e.Message }

// TemporaryError says that the same spec can succeed later.
type TemporaryError struct {
	// Reason is one of the constants of this package.
	Reason string
	// Message is a whole sentence for the person who wrote the spec.
	Message string
	// Err is what was seen. It may hold addresses with their queries, so it is for
	// errors.Is and errors.As and never printed. May be nil.
	Err error
}

func (e *TemporaryError) Error() string { return e.Message }

// Unwrap returns Err.
func (e *TemporaryError) Unwrap() error { return e.Err }

// RetryError wraps a *TemporaryError that should not be tried again before After
// has passed. After is at most an hour.
type RetryError struct {
	After time.Duration
	// Asked says that the source itself asks for that, and its message says so. Without
	// it is a guess: somebody has to repair something, and is unlikely to do it sooner.
	Asked bool
	Err   error
}

func (e *RetryError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *RetryError) Unwrap() error { return e.Err }

// later is a temporary error that somebody has to repair.
func later(reason, format string, args ...any) error {
	return &RetryError{After: repairDelay, Err: &TemporaryError{Reason: reason, Message: fmt.Sprintf(format, args...)}}
}

// forbiddenError is a refusal of the transport. Its text completes "… was not
// fetched: ".
type forbiddenError struct{ what string }

func (e *forbiddenError) Error() string { return e.what }

// explain turns an error of the network into one for people. what is the address
// that is fetched, fit to be printed.
func (w *watchdog) explain(what string, err error) error {
	if perr := w.parent.Err(); perr != nil {
		return perr // the manager stops: nothing is wrong with the source
	}
	var overdue *overdueError
	if errors.As(context.Cause(w.ctx), &overdue) {
		return &TemporaryError{
			Reason:  SourceUnavailable,
			Message: fmt.Sprintf("fetching %s was given up: %s; it is tried again", what, overdue.what),
			Err:     overdue,
		}
	}
	if forbidden, ok := errors.AsType[*forbiddenError](err); ok {
		return later(SourceForbidden, "%s was not fetched: %s", what, forbidden.what)
	}
	if errors.Is(err, errTooLarge) {
		return later(SourceTooLarge, "the bundle at %s is larger than %d bytes, the most that is accepted: make it smaller", what, w.limits.MaxBytes)
	}
	// A *url.Error prints the whole address, with its query.
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		err = urlErr.Err
	}
	return &TemporaryError{
		Reason:  SourceUnavailable,
		Message: fmt.Sprintf("fetching %s failed: %s; it is tried again", what, scrub(err.Error())),
		Err:     err,
	}
}

// secretParts finds what comes before and after the printable part of a URL.
var secretParts = regexp.MustCompile(`(https?://)(?:[^/\s"@]*@)?([^\s"?#]*)(?:[?#][^\s"]*)?`)

// scrub takes users, passwords, queries and fragments out of the URLs in text:
// the registry's client prints addresses that storage services have signed.
func scrub(text string) string { return secretParts.ReplaceAllString(text, "$1$2") }

// refusal says what the status of an answer means. hint says what to do where
// credentials are missing, and field is where the address stands.
func refusal(what string, status int, after time.Duration, hint, field string) error {
	answer := fmt.Sprintf("%s answers %d %s", what, status, http.StatusText(status))
	err := &TemporaryError{Reason: SourceUnavailable}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		err.Reason = SourceUnauthorized
		err.Message = answer + ": " + hint
	case status == http.StatusNotFound || status == http.StatusGone:
		err.Reason = SourceMissing
		err.Message = answer + ": correct " + field + " or put the bundle there; it is tried again"
	case after > 0:
		err.Message = fmt.Sprintf("%s and asks to wait; it is tried again after %s", answer, after)
	default:
		err.Message = answer + "; it is tried again"
	}
	if after > 0 {
		return &RetryError{After: after, Asked: true, Err: err}
	}
	return err
}

// retryAfter reads the header of that name: seconds or a date (RFC 9110, 10.2.3).
// Zero means that there is none to honour.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if value == "" {
		return 0
	}
	var after time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		after = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		after = at.Sub(now).Round(time.Second)
	}
	return min(max(after, 0), maxRetryAfter)
}
