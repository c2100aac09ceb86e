package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/internal/strictjson"
)

// FieldError says what is wrong with one field of a document.
type FieldError struct {
	// Pointer is the field as an RFC 6901 JSON pointer; empty is the document.
	Pointer string
	// Problem is a phrase about that field: "must be a string".
	Problem string
}

func (e *FieldError) Error() string {
	if e.Pointer == "" {
		return "the document " + e.Problem
	}
	return "the document's " + e.Pointer + " " + e.Problem
}

// SizeError is returned for a document of more than MaxSize bytes.
type SizeError struct{ Bytes int }

func (e *SizeError) Error() string {
	return fmt.Sprintf("the document has %d bytes, %d are allowed", e.Bytes, MaxSize)
}

// Parse reads and validates a document. Members that it does not know are
// ignored, so that a document may gain some; a known one with a wrong type, a
// repeated one, or one that differs from a known name only in case is refused.
//
// The error is a *SizeError or a *FieldError.
func Parse(data []byte) (*Release, error) {
	if len(data) > MaxSize {
		return nil, &SizeError{Bytes: len(data)}
	}
	release := new(Release)
	if err := strictjson.Decode(data, release); err != nil {
		if at, ok := errors.AsType[*strictjson.Error](err); ok {
			return nil, &FieldError{Pointer: at.Pointer, Problem: at.Problem}
		}
		return nil, &FieldError{Problem: "cannot be read: " + err.Error()}
	}
	if err := release.Validate(); err != nil {
		return nil, err
	}
	return release, nil
}

// Marshal validates a document and writes it: members in the order of the Go
// types, no spaces, no HTML escapes, so that equal values have equal bytes.
//
// The error is a *SizeError or a *FieldError.
func Marshal(release *Release) ([]byte, error) {
	if err := release.Validate(); err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(release); err != nil {
		return nil, &FieldError{Problem: "cannot be written: " + err.Error()}
	}
	data := bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
	if len(data) > MaxSize {
		return nil, &SizeError{Bytes: len(data)}
	}
	return data, nil
}
