package manifest

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// getConfig answers with the file that the host app is configured with when it is built.
func (s *Service) getConfig(w http.ResponseWriter, r *http.Request, h *host) *Problem {
	file := delivery.HostFileOf(h.config, s.base(r), s.store.told.Load().pins).WithFiles(h.config, s.run.address())
	return serveJSON(w, r, file, h.cache(cacheMinutes))
}

// getKeys answers with the chain of key documents, and for people with the keys whose
// signatures count.
func (s *Service) getKeys(w http.ResponseWriter, r *http.Request) *Problem {
	s.store.told.Load().body.serve(w, r, cacheMinutes)
	return nil
}

// serveJSON serves a small answer that was made for this request.
func serveJSON(w http.ResponseWriter, r *http.Request, value any, cache []string) *Problem {
	text, err := marshal(value)
	if err != nil {
		return problem(CodeInternal, "the answer cannot be written").because(err)
	}
	small := encoded{contentType: []string{"application/json"}, once: true}
	small.identity = body{bytes: text, etag: []string{etagOf(text)}, length: lengthOf(text)}
	small.serve(w, r, cache)
	return nil
}

// marshal writes JSON without escapes for HTML, which no answer is put into.
func marshal(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
