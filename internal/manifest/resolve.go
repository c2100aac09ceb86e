package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	kjson "sigs.k8s.io/json"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// Bounds of a request to resolve.
const (
	maxRequestBytes = 64 << 10
	maxPrograms     = 200
)

// Reasons of an answer to resolve beside those of package decide. With all of
// them nothing changes on the device.
const (
	ReasonUnknownProgram    = CodeUnknownProgram
	ReasonChannelNotEnabled = CodeChannelNotEnabled
	// ReasonExpired: the document is too old to act upon.
	ReasonExpired = "Expired"
	// ReasonServiceDecides: the document needs lists that the service does not have.
	ReasonServiceDecides = CodeServiceDecides
)

// resolveRequest is what a host app tells of one user.
type resolveRequest struct {
	User       string            `json:"user"`
	Device     string            `json:"device"`
	Attributes map[string]string `json:"attributes"`
	Programs   []resolveProgram  `json:"programs"`
}

type resolveProgram struct {
	AppID     string `json:"appID"`
	Channel   string `json:"channel"`
	Installed struct {
		Digest      string `json:"digest"`
		VersionCode int64  `json:"versionCode"`
	} `json:"installed"`
}

// resolveAnswer is a resolution as host apps see it. The answer to resolve has one for
// each program, in the order of the request.
type resolveAnswer struct {
	AppID   string        `json:"appID"`
	Channel string        `json:"channel"`
	Action  decide.Action `json:"action"`
	// What is due, also when it is installed already; absent: nothing is.
	Version        string        `json:"version,omitempty"`
	Digest         string        `json:"digest,omitempty"`
	ContentDigest  string        `json:"contentDigest,omitempty"`
	Archive        *resolvedBlob `json:"archive,omitempty"`
	Content        *resolvedBlob `json:"content,omitempty"`
	EnvelopeDigest string        `json:"envelopeDigest,omitempty"`
	Reason         string        `json:"reason"`
	Sequence       int64         `json:"sequence,omitempty"`
	// Bucket is absent when it did not come to that.
	Bucket *int `json:"bucket,omitempty"`
}

type resolvedBlob struct {
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
	MediaType string `json:"mediaType,omitempty"`
	URL       string `json:"url"`
}

// postResolve decides for a host app that trusts the service.
func (s *Service) postResolve(w http.ResponseWriter, r *http.Request, h *host) *Problem {
	if !h.speaks(v1alpha1.DialectResolve) {
		return problem(CodeDialectNotEnabled, "host app %s has not opted into the dialect %s", h.config.Name, v1alpha1.DialectResolve)
	}
	var request resolveRequest
	if p := readJSON(w, r, &request); p != nil {
		return p
	}
	if p := request.check(maxPrograms); p != nil {
		return p
	}
	kept := answerBuffer()
	defer answerBuffers.Put(kept)
	text := (*kept)[:0]
	text = append(text, `{"programs":[`...)
	base := jsonInside(s.base(r))
	for i := range request.Programs {
		if i > 0 {
			text = append(text, ',')
		}
		found := s.resolve(h, &request, &request.Programs[i], decide.Decide)
		text = found.append(text, base)
	}
	text = append(text, `]}`...)
	*kept = text
	header := w.Header()
	header["Cache-Control"] = cacheNever
	header["Content-Type"] = typeJSON
	header["X-Content-Type-Options"] = noSniff
	header["Etag"] = []string{etagOf(text)}
	header["Content-Length"] = lengthOf(text)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(text) // the client has gone: nobody to tell
	return nil
}

// decider applies a document to a request: decide.Decide, or what also keeps
// what was tried.
type decider func(*document.Release, decide.Request) (decide.Decision, error)

// resolution is what was found about one program.
type resolution struct {
	appID, channel string
	action         decide.Action
	reason         string
	// entry is the program's document; nil: there is none.
	entry *entry
	// variant is what is due, and part of the document; nil: nothing is.
	variant *document.Variant
	// bucket is -1 when it did not come to that.
	bucket int
}

// resolve decides about one program.
func (s *Service) resolve(h *host, request *resolveRequest, asked *resolveProgram, by decider) resolution {
	found := resolution{appID: asked.AppID, channel: channelOr(asked.Channel), action: decide.ActionNone, bucket: -1}
	if !h.config.Takes(found.channel) {
		found.reason = ReasonChannelNotEnabled
		return found
	}
	p := h.programs[slot{asked.AppID, found.channel}]
	if p == nil {
		found.reason = ReasonUnknownProgram
		return found
	}
	found.entry = p.entry
	decision, reason := s.decide(p, decide.Request{
		User: request.User, Device: request.Device, Attributes: request.Attributes,
		InstalledDigest: asked.Installed.Digest, InstalledVersionCode: asked.Installed.VersionCode,
	}, by)
	if found.reason = reason; reason != "" {
		return found
	}
	found.action, found.reason, found.variant, found.bucket = decision.Action, decision.Reason, decision.Variant, decision.Bucket
	return found
}

// answer is what a host app is told, where base begins URLs.
func (found *resolution) answer(base string) resolveAnswer {
	a := resolveAnswer{AppID: found.appID, Channel: found.channel, Action: found.action, Reason: found.reason}
	if e := found.entry; e != nil {
		a.Sequence, a.EnvelopeDigest = e.seen.Sequence, e.digest
	}
	if found.bucket >= 0 {
		a.Bucket = &found.bucket
	}
	if v := found.variant; v != nil {
		a.Version, a.Digest, a.ContentDigest = v.Version, v.Digest, v.ContentDigest
		a.Archive, a.Content = resolved(&v.Archive, base), resolved(&v.Content, base)
	}
	return a
}

// decide applies a program's document. The reason is empty, or says why there is
// no decision.
func (s *Service) decide(p *program, request decide.Request, by decider) (decide.Decision, string) {
	request.Now = s.options.Now()
	if !request.Now.Before(p.doc.ExpiresAt.Time) {
		return decide.Decision{}, ReasonExpired
	}
	request.Blocked, request.InPart = p.block != nil, p.inPart
	decision, err := by(p.doc, request)
	if err != nil {
		return decide.Decision{}, ReasonServiceDecides
	}
	return decision, ""
}

func resolved(b *document.Blob, base string) *resolvedBlob {
	return &resolvedBlob{Digest: b.Digest, Size: b.Size, MediaType: b.MediaType, URL: base + blobPath(b.Digest)}
}

func channelOr(channel string) string {
	if channel == "" {
		return document.ChannelRelease
	}
	return channel
}

func (q *resolveRequest) check(most int) *Problem {
	if n := len(q.Programs); n == 0 || n > most {
		return problem(CodeInvalidRequest, "programs must have 1 to %d entries, it has %d", most, n)
	}
	for i, p := range q.Programs {
		if p.AppID == "" {
			return problem(CodeInvalidRequest, "programs[%d].appID is missing", i)
		}
		if p.Channel == document.ChannelRelease { // most are
			continue
		}
		if _, wrong := checkChannel(p.Channel, "programs["+strconv.Itoa(i)+"].channel"); wrong != nil {
			return wrong
		}
	}
	return nil
}

// readJSON reads a body. Its problems name fields and places, never what stands
// there: it may be somebody's key.
func readJSON(w http.ResponseWriter, r *http.Request, into any) *Problem {
	if !isJSON(r.Header.Get("Content-Type")) {
		return problem(CodeUnsupportedMedia, "Content-Type must be application/json")
	}
	var body bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength <= maxRequestBytes {
		body.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return problem(CodeBodyTooLarge, "%d bytes are allowed", maxRequestBytes)
	}
	if err != nil {
		return problem(CodeInvalidRequest, "the body cannot be read to its end")
	}
	if plain, ok := into.(interface{ readPlain(text string) bool }); ok && plain.readPlain(body.String()) {
		return nil
	}
	if !utf8.Valid(body.Bytes()) { // encoding/json would make one key of users of all that are none
		return problem(CodeInvalidRequest, "the body is not UTF-8")
	}
	// A name that stands twice, or in other case, is read in two ways by those who look at it on its way.
	twice, err := kjson.UnmarshalStrict(body.Bytes(), into, kjson.DisallowDuplicateFields)
	switch {
	case len(twice) > 0:
		return problem(CodeInvalidRequest, "a name stands twice in one object of the body")
	case err == nil:
		return nil
	}
	err = json.Unmarshal(body.Bytes(), into) // which tells the field
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "attributes" && wrong.Type.Kind() == reflect.String {
			return problem(CodeInvalidRequest, "each of attributes must be a string")
		}
		return problem(CodeInvalidRequest, "%s must be %s", orBody(wrong.Field), jsonName(wrong.Type.Kind().String()))
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return problem(CodeInvalidRequest, "the body is no JSON from byte %d on", syntax.Offset)
	}
	return problem(CodeInvalidRequest, "the body is no JSON that is understood here")
}

func isJSON(contentType string) bool {
	if contentType == typeJSON[0] {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == typeJSON[0]
}

func orBody(field string) string {
	if field == "" {
		return "the body"
	}
	return field
}

// jsonName says in JSON's words what a Go kind is read from.
func jsonName(kind string) string {
	switch {
	case kind == "string":
		return "a string"
	case kind == "slice":
		return "an array"
	case strings.HasPrefix(kind, "int"):
		return "a whole number"
	default:
		return "an object"
	}
}

// etagOf returns the entity tag of bytes that exist in one encoding only. Nobody gains by
// two answers with one tag, so the hash is a fast one: a cryptographic one would be a third of
// the work of an answer about many programs.
func etagOf(text []byte) string {
	return `"` + strconv.FormatUint(xxhash.Sum64(text), 36) + `"`
}
