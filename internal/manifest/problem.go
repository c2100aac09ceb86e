package manifest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Codes of problems: what a program compares, never changed.
const (
	CodeNotFound            = "NotFound"            // no such path
	CodeMethodNotAllowed    = "MethodNotAllowed"    // see the Allow header
	CodeUnknownHost         = "UnknownHost"         // no host app of that name
	CodeHostAppDisabled     = "HostAppDisabled"     // the host app gets nothing
	CodeUnauthorized        = "Unauthorized"        // the host app asks for an access token
	CodeOriginNotAllowed    = "OriginNotAllowed"    // the host app does not list the page's origin
	CodeUnknownProgram      = "UnknownProgram"      // nothing published for this host app; change nothing on the device
	CodeUnknownBlob         = "UnknownBlob"         // no document in service names the digest
	CodeUnknownFile         = "UnknownFile"         // the run host has no such file, or has it no more
	CodeUnknownPreview      = "UnknownPreview"      // no preview has the code, or it is over
	CodeBlocked             = "Blocked"             // the host app blocks the program, or a digest in its document
	CodeDialectNotEnabled   = "DialectNotEnabled"   // the host app did not opt in
	CodeChannelNotEnabled   = "ChannelNotEnabled"   // the host app did not opt in
	CodeFormatNotSupported  = "FormatNotSupported"  // the dialect has no way to run such a bundle
	CodeServiceDecides      = "ServiceDecides"      // the document alone does not decide: use resolve
	CodeNoVersion           = "NoVersion"           // nothing is due to this user
	CodeInvalidRequest      = "InvalidRequest"      // see detail
	CodeBodyTooLarge        = "BodyTooLarge"        // over 64 KiB
	CodeUnsupportedMedia    = "UnsupportedMedia"    // the body is no JSON
	CodeRangeNotSatisfiable = "RangeNotSatisfiable" // see Content-Range
	CodePreconditionFailed  = "PreconditionFailed"  // If-Match names other bytes
	CodeBlobMismatch        = "BlobMismatch"        // the registry has other bytes under that digest
	CodeRegistryUnavailable = "RegistryUnavailable" // try again later
	CodeExplainDisabled     = "ExplainDisabled"     // this installation explains nothing
	CodeForbidden           = "Forbidden"           // the Kubernetes user lacks verb explain
	CodeReviewUnavailable   = "ReviewUnavailable"   // the Kubernetes API cannot be asked who may know; try again later
	CodeBusy                = "Busy"                // too many at a time; try again
	CodeTooManyRequests     = "TooManyRequests"     // the client's address asks too often; see Retry-After
	CodeInternal            = "Internal"            // a defect of the service

	// Of requests that no handler ever sees, see refusal.go.
	CodeMalformedRequest      = "MalformedRequest"      // it is no HTTP, or could be read in two ways
	CodeHeadersTooLarge       = "HeadersTooLarge"       // over 16 KiB
	CodeUnknownExpectation    = "UnknownExpectation"    // an Expect header other than 100-continue
	CodeUnknownTransferCoding = "UnknownTransferCoding" // other than chunked
	CodeUnknownVersion        = "UnknownVersion"        // of HTTP
)

// kinds give each code its status and title.
var kinds = map[string]struct {
	status int
	title  string
}{
	CodeNotFound:            {http.StatusNotFound, "There is nothing at this address"},
	CodeMethodNotAllowed:    {http.StatusMethodNotAllowed, "The address does not know this method"},
	CodeUnknownHost:         {http.StatusNotFound, "The host app is not known"},
	CodeHostAppDisabled:     {http.StatusForbidden, "The host app is disabled"},
	CodeUnauthorized:        {http.StatusUnauthorized, "An access token is needed"},
	CodeOriginNotAllowed:    {http.StatusForbidden, "The page is not one of the host app's"},
	CodeUnknownProgram:      {http.StatusNotFound, "The program is not published for this host app"},
	CodeUnknownBlob:         {http.StatusNotFound, "The blob is not part of anything published"},
	CodeUnknownFile:         {http.StatusNotFound, "There is no such file"},
	CodeUnknownPreview:      {http.StatusNotFound, "There is no such preview"},
	CodeBlocked:             {http.StatusForbidden, "The host app blocks the program"},
	CodeDialectNotEnabled:   {http.StatusForbidden, "The dialect is not enabled for this host app"},
	CodeChannelNotEnabled:   {http.StatusForbidden, "The channel is not enabled for this host app"},
	CodeFormatNotSupported:  {http.StatusNotFound, "The program has no version in this dialect's format"},
	CodeServiceDecides:      {http.StatusConflict, "The document alone does not decide"},
	CodeNoVersion:           {http.StatusNotFound, "No version is due"},
	CodeInvalidRequest:      {http.StatusBadRequest, "The request is invalid"},
	CodeBodyTooLarge:        {http.StatusRequestEntityTooLarge, "The request's body is too large"},
	CodeUnsupportedMedia:    {http.StatusUnsupportedMediaType, "The request's body is no JSON"},
	CodeRangeNotSatisfiable: {http.StatusRequestedRangeNotSatisfiable, "The range lies outside of the blob"},
	CodePreconditionFailed:  {http.StatusPreconditionFailed, "The bytes are not those that are asked for"},
	CodeBlobMismatch:        {http.StatusBadGateway, "The registry has other bytes than the document names"},
	CodeRegistryUnavailable: {http.StatusBadGateway, "The registry could not be read"},
	CodeExplainDisabled:     {http.StatusNotImplemented, "Explanations are not enabled"},
	CodeForbidden:           {http.StatusForbidden, "You may not know this"},
	CodeReviewUnavailable:   {http.StatusServiceUnavailable, "It cannot be found out who may know this"},
	CodeBusy:                {http.StatusServiceUnavailable, "Too many ask at a time"},
	CodeTooManyRequests:     {http.StatusTooManyRequests, "Too many requests"},
	CodeInternal:            {http.StatusInternalServerError, "The service failed"},

	CodeMalformedRequest:      {http.StatusBadRequest, "The request cannot be read"},
	CodeHeadersTooLarge:       {http.StatusRequestHeaderFieldsTooLarge, "The request's headers are too large"},
	CodeUnknownExpectation:    {http.StatusExpectationFailed, "What the request expects is not known"},
	CodeUnknownTransferCoding: {http.StatusNotImplemented, "The request's transfer coding is not known"},
	CodeUnknownVersion:        {http.StatusHTTPVersionNotSupported, "The version of HTTP is not known"},
}

// Problem is the body of every error: application/problem+json (RFC 9457).
type Problem struct {
	// Title and Detail are for people; Detail never repeats a user's key.
	Title string `json:"title"`
	// Status is that of the response.
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Code is one of the constants.
	Code string `json:"code"`

	// cause is for the log only: it may tell of what lies behind the service.
	cause error
	// allow are the methods that the address knows.
	allow string
	// challenge says how to authenticate.
	challenge string
	// retryAfter is when it makes sense to ask again, in seconds.
	retryAfter int
}

// problem makes a problem of a kind. The format must not be given keys of users.
func problem(code, format string, arguments ...any) *Problem {
	kind := kinds[code]
	return &Problem{Title: kind.title, Status: kind.status, Code: code, Detail: fmt.Sprintf(format, arguments...)}
}

// because adds what the log needs to know.
func (p *Problem) because(cause error) *Problem {
	p.cause = cause
	return p
}

func (p *Problem) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	// What the handler may have set for the answer that it did not give.
	for _, name := range []string{"Etag", "Content-Encoding", "Repr-Digest", "Last-Modified", "Vary"} {
		h.Del(name)
	}
	text := p.describe(h)
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(text) // the client has gone: nobody to tell
	}
}

// describe sets the headers, and returns the body.
func (p *Problem) describe(h http.Header) []byte {
	text, err := marshal(p)
	if err != nil {
		panic("a problem has only strings and a number: " + err.Error())
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.challenge != "" {
		h.Set("WWW-Authenticate", p.challenge)
	}
	return text
}

// raw is the whole answer to a request that no handler sees; the connection ends with it.
func (p *Problem) raw(method string) []byte {
	h := http.Header{"Date": {httpDate(time.Now())}}
	text := p.describe(h)
	answer := http.Response{
		StatusCode: p.Status, ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: io.NopCloser(bytes.NewReader(text)),
		ContentLength: int64(len(text)), Close: true, Request: &http.Request{Method: method},
	}
	var out bytes.Buffer
	_ = answer.Write(&out) // a buffer takes everything
	return out.Bytes()
}
