package manifest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// handler answers a request, or returns the problem that is the answer.
type handler func(w http.ResponseWriter, r *http.Request) *Problem

// address is a pattern of paths, and what answers there.
type address struct {
	pattern string
	methods []string
	handler handler
}

// addressesOfHosts are all that host apps can ask for.
func (s *Service) addressesOfHosts() []address {
	var all []address
	get := func(pattern string, h handler) {
		all = append(all, address{pattern, []string{http.MethodGet, http.MethodHead}, h})
	}
	post := func(pattern string, h handler) { all = append(all, address{pattern, []string{http.MethodPost}, h}) }
	get("/v1/hosts/{host}/programs", s.onHost(s.getPrograms))
	get("/v1/hosts/{host}/programs/{appID}", s.onHost(s.getProgram))
	get("/v1/hosts/{host}/config.json", s.onHost(s.getConfig))
	get("/v1/blobs/sha256/{hex}", s.forAll(s.getBlob))
	get("/v1/preview/{code}", s.forAll(s.getPreview))
	get("/v1/keys", s.forAll(s.getKeys))
	get("/v1/openapi.json", s.forAll(s.getDescription))
	get("/dimina/v1/hosts/{host}/{file}", s.onHost(s.getDimina))
	get("/v1/hosts/{host}/events", s.limit(limitEvents, s.onHost(s.getEvents)))
	post("/v1/hosts/{host}/resolve", s.limit(limitResolve, s.onHost(s.postResolve)))
	post("/v1/hosts/{host}/reports", s.limit(limitReports, s.onHost(s.postReports)))
	post("/v1/hosts/{host}/explain", s.limit(limitExplain, s.postExplain))
	return all
}

// Handler serves host apps.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, a := range s.addressesOfHosts() {
		mux.Handle(a.pattern, s.route(a.pattern, a.handler, a.methods...))
	}
	nowhere := s.route("/", func(http.ResponseWriter, *http.Request) *Problem {
		return problem(CodeNotFound, "no address of this service has this path")
	})
	mux.Handle("/", nowhere)
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would send it elsewhere, with all that the query says of a user, or refuse in its own words.
		if !strings.HasPrefix(r.URL.Path, "/") || strings.Contains(r.URL.Path, "//") || strings.Contains(r.URL.Path, "/.") {
			nowhere.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
	if s.run != nil {
		return s.run.apart(s.route(runPattern, s.onRunHost), api)
	}
	return api
}

// route counts, measures and answers problems for one pattern. Without methods
// it answers all.
func (s *Service) route(pattern string, h handler, methods ...string) http.Handler {
	measured := s.metrics.route(pattern)
	allow := strings.Join(methods, ", ")
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		began := time.Now()
		w := &statusWriter{ResponseWriter: rw}
		// Where a body ends that comes in chunks, a proxy in front may see otherwise: what
		// follows it on the connection is not read as a request (RFC 9112, section 6.1).
		if s.draining.Load() || len(r.TransferEncoding) > 0 || s.door.crowded() {
			w.Header().Set("Connection", "close")
		}
		defer func() {
			if thrown := recover(); thrown != nil {
				s.recovered(w, r, pattern, thrown)
			}
			measured.observe(w.code(), time.Since(began).Seconds())
		}()
		var p *Problem
		switch {
		case len(methods) > 0 && isPreflight(r):
			p = s.preflight(w, r, allow)
		case len(methods) > 0 && !slices.Contains(methods, r.Method):
			p = problem(CodeMethodNotAllowed, "the methods are %s", allow)
			p.allow = allow
		default:
			p = h(w, r)
		}
		if p == nil {
			return
		}
		if p.cause != nil {
			s.log.Error(p.cause, p.Title, "route", pattern, "code", p.Code, "detail", p.Detail)
		}
		p.write(w, r)
	})
}

// recovered keeps a defect from taking the answer with it.
func (s *Service) recovered(w *statusWriter, r *http.Request, pattern string, thrown any) {
	if err, ok := thrown.(error); ok && errors.Is(err, http.ErrAbortHandler) { // the way to drop a connection, no defect
		panic(thrown)
	}
	s.log.Error(fmt.Errorf("panic: %v", thrown), "A request met a defect.", "route", pattern, "stack", string(debug.Stack()))
	if w.status == 0 {
		problem(CodeInternal, "the request met a defect of the service, which is in its log").write(w, r)
		return
	}
	w.status = http.StatusInternalServerError // counted as what it is; the answer had begun
}

// hostHandler answers a request to a host app's address.
type hostHandler func(w http.ResponseWriter, r *http.Request, h *host) *Problem

// onHost finds the host app that the path names.
func (s *Service) onHost(next hostHandler) handler {
	return func(w http.ResponseWriter, r *http.Request) *Problem {
		h := s.store.current.Load().hosts[r.PathValue("host")]
		if h == nil {
			return problem(CodeUnknownHost, "no host app has this name")
		}
		h.greet(w, r)
		if p := h.admit(r); p != nil {
			return p
		}
		if h.config.Availability == hostAppDisabled {
			return problem(CodeHostAppDisabled, "host app %s is disabled: nothing is served to it, and nothing changes on its devices", h.config.Name)
		}
		return next(w, r, h)
	}
}

// base is the beginning of URLs that point back to the service.
func (s *Service) base(r *http.Request) string {
	if s.options.PublicURL != "" {
		return s.options.PublicURL
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the first final status.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// ReadFrom lets the kernel copy files to connections.
func (w *statusWriter) ReadFrom(r io.Reader) (int64, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return io.Copy(w.ResponseWriter, r)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
