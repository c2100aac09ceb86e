package manifest

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// maxTokenBytes bounds what is hashed of a request; no good token is longer.
const maxTokenBytes = 1 << 10

// Headers of answers to web pages. Pages authenticate by a header that they set
// themselves and never by a cookie, so credentials are not allowed.
var (
	corsExposed = []string{"ETag, Repr-Digest, Content-Range, WWW-Authenticate, Retry-After"}
	corsHeaders = []string{"Authorization, Content-Type, If-None-Match, If-Range, Range, Last-Event-ID"}
	corsMaxAge  = []string{"600"}
)

// asksForTokens tells whether every request in the host app's name needs an access token.
func (h *host) asksForTokens() bool {
	return h.config.Access != "" && h.config.Access != v1alpha1.AccessPublic
}

// admit lets in whoever has one of the host app's access tokens. All of its
// hashes are compared whatever the first ones are like, in constant time. With no
// hash nobody is let in.
func (h *host) admit(r *http.Request) *Problem {
	if !h.asksForTokens() {
		return nil
	}
	headers := r.Header["Authorization"]
	if len(headers) == 0 {
		return unauthorized(h, "", "a request in the name of host app %s needs the header Authorization: Bearer with one of its access tokens")
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || len(token) > maxTokenBytes {
		return unauthorized(h, "invalid_request", "host app %s takes one header Authorization: Bearer with one of its access tokens")
	}
	hash := []byte(delivery.TokenHash(h.config.Name, strings.TrimSpace(token)))
	good := 0
	for _, known := range h.config.TokenHashes {
		good |= subtle.ConstantTimeCompare(hash, []byte(known))
	}
	if good != 1 {
		return unauthorized(h, "invalid_token", "host app %s does not know this access token")
	}
	return nil
}

// unauthorized names the host app and never the token.
func unauthorized(h *host, code, format string) *Problem {
	p := problem(CodeUnauthorized, format, h.config.Name)
	p.challenge = `Bearer realm="miniprogram"`
	if code != "" {
		p.challenge += `, error="` + code + `"`
	}
	return p
}

// cache is how long an answer to the host app may be kept. One that needs a token
// is for the one who has it: no cache between may hand it to others.
func (h *host) cache(public []string) []string {
	if !h.asksForTokens() {
		return public
	}
	return []string{"private" + strings.TrimPrefix(public[0], "public")}
}

// greet sets what depends on who asks: the origin of a web page, and the token.
func (h *host) greet(w http.ResponseWriter, r *http.Request) {
	allowOrigin(w, r, h.config.Origins)
	if h.asksForTokens() {
		w.Header().Add("Vary", "Authorization")
	}
}

// allowOrigin lets a page of the listed origins, and of no others, read the answer.
func allowOrigin(w http.ResponseWriter, r *http.Request, origins []string) bool {
	if len(origins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(origins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h["Access-Control-Expose-Headers"] = corsExposed
	return true
}

// originsFor are the web pages that may read what a request asks for: those of the
// host app that it names; of what is the same for all, those of every host app.
func (s *Service) originsFor(r *http.Request) []string {
	now := s.store.current.Load()
	name := r.PathValue("host")
	if name == "" {
		return now.origins
	}
	if h := now.hosts[name]; h != nil {
		return h.config.Origins
	}
	return nil
}

// isPreflight tells that a browser asks whether a page may ask.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// preflight answers a browser. It needs no token: browsers send none.
func (s *Service) preflight(w http.ResponseWriter, r *http.Request, methods string) *Problem {
	if !allowOrigin(w, r, s.originsFor(r)) {
		return problem(CodeOriginNotAllowed, "the host app does not list the origin of this page in spec.origins")
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", methods)
	h["Access-Control-Allow-Headers"] = corsHeaders
	h["Access-Control-Max-Age"] = corsMaxAge
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// forAll wraps the handler of an address that is the same for all host apps.
func (s *Service) forAll(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) *Problem {
		allowOrigin(w, r, s.originsFor(r))
		return next(w, r)
	}
}
