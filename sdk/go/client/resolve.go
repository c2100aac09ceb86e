package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// ErrUnsigned says that the service's answer does not follow from the signed document.
var ErrUnsigned = errors.New("the answer does not follow from the signed document")

// maxAnswerBytes bounds the answer of resolve.
const maxAnswerBytes = 1 << 20

// Question is what the service is asked about one program, dialect Resolve: for host apps
// that let the service decide. The user's key leaves the device.
type Question struct {
	AppID, Channel string
	User, Device   string
	Attributes     map[string]string
	// InstalledDigest is what is installed; empty: nothing.
	InstalledDigest string
}

// Resolved is an answer that follows from a signed document.
type Resolved struct {
	Action decide.Action
	// Variant is the document's own; nil: none is due.
	Variant *document.Variant
	Reason  string
	// Verified is the document that it was checked against; nil where nothing changes.
	Verified *release.Verified
}

type answer struct {
	AppID          string        `json:"appID"`
	Channel        string        `json:"channel"`
	Action         decide.Action `json:"action"`
	Digest         string        `json:"digest"`
	EnvelopeDigest string        `json:"envelopeDigest"`
	Reason         string        `json:"reason"`
}

// Resolve asks the service what is due. The answer is not signed, so it is taken for no
// more than a choice: of a variant of the document whose envelope it names, which is
// fetched and checked as Fetch does. One that names no such variant, or removes what the
// document does not remove, is ErrUnsigned; it may be that the document has changed between
// the two requests, so ask once more.
func (c *Client) Resolve(ctx context.Context, q Question) (*Resolved, error) {
	a, err := c.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	if a.Action == decide.ActionNone && a.Digest == "" {
		return &Resolved{Action: decide.ActionNone, Reason: a.Reason}, nil
	}
	verified, err := c.Fetch(ctx, q.AppID, q.Channel)
	if err != nil {
		return nil, err
	}
	if a.EnvelopeDigest != verified.EnvelopeDigest {
		return nil, fmt.Errorf("%w: it names the envelope %s, served is %s", ErrUnsigned, a.EnvelopeDigest, verified.EnvelopeDigest)
	}
	r := &Resolved{Action: a.Action, Reason: a.Reason, Verified: verified, Variant: variant(verified.Document, a.Digest)}
	switch a.Action {
	case decide.ActionNone, decide.ActionInstall, decide.ActionUpdate, decide.ActionRollback:
		if r.Variant == nil {
			return nil, fmt.Errorf("%w: it has no variant %s", ErrUnsigned, a.Digest)
		}
	case decide.ActionRemove:
		if !mayRemove(verified.Document) {
			return nil, fmt.Errorf("%w: it removes nothing", ErrUnsigned)
		}
	default:
		return nil, fmt.Errorf("%w: nobody knows the action %q", ErrUnsigned, a.Action)
	}
	return r, nil
}

func (c *Client) ask(ctx context.Context, q Question) (*answer, error) {
	type installed struct {
		Digest string `json:"digest"`
	}
	type program struct {
		AppID     string    `json:"appID"`
		Channel   string    `json:"channel"`
		Installed installed `json:"installed,omitzero"`
	}
	body, err := json.Marshal(struct {
		User       string            `json:"user,omitempty"`
		Device     string            `json:"device,omitempty"`
		Attributes map[string]string `json:"attributes,omitempty"`
		Programs   []program         `json:"programs"`
	}{q.User, q.Device, q.Attributes, []program{{q.AppID, q.Channel, installed{q.InstalledDigest}}}})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.host()+"/resolve", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := c.do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was read
	text, err := readAll(response, maxAnswerBytes)
	if err != nil {
		return nil, err
	}
	var answers struct {
		Programs []answer `json:"programs"`
	}
	if err := json.Unmarshal(text, &answers); err != nil {
		return nil, fmt.Errorf("reading the service's answer: %w", err)
	}
	if len(answers.Programs) != 1 || answers.Programs[0].AppID != q.AppID {
		return nil, fmt.Errorf("%w: it is about other programs", ErrUnsigned)
	}
	return &answers.Programs[0], nil
}

// variant finds one of the document's by its digest.
func variant(doc *document.Release, digest string) *document.Variant {
	for _, v := range []*document.Variant{doc.Stable, doc.Target} {
		if v != nil && v.Digest == digest {
			return v
		}
	}
	for i := range doc.Fallbacks {
		if doc.Fallbacks[i].Digest == digest {
			return &doc.Fallbacks[i]
		}
	}
	return nil
}

// mayRemove tells whether the document takes what is installed from anybody: all of it, or
// a target that was taken back with no stable to go to.
func mayRemove(doc *document.Release) bool {
	switch doc.Availability {
	case document.Suspended, document.Withdrawn, document.Blocked:
		return true
	case document.Removed:
		return doc.Tombstone.Installed == document.Remove
	case document.Listed, document.Hidden:
		return doc.Stable == nil && len(doc.Recalls) > 0
	}
	return false
}
