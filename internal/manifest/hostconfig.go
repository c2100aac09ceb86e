package manifest

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// hostConfig is the file that a host app is configured with when it is built.
// In addresses, {appID}, {channel}, {hex} and {user} stand for what is asked for.
type hostConfig struct {
	Host        string        `json:"host"`
	DisplayName string        `json:"displayName,omitempty"`
	URLs        hostURLs      `json:"urls"`
	Dialects    []string      `json:"dialects"`
	Keys        []publicKey   `json:"keys"`
	Poll        delivery.Poll `json:"poll"`
}

type hostURLs struct {
	Programs string `json:"programs"`
	Program  string `json:"program"`
	Blob     string `json:"blob"`
	Keys     string `json:"keys"`
	// Resolve and Dimina are there when the host app opted into the dialects.
	Resolve string `json:"resolve,omitempty"`
	Dimina  string `json:"dimina,omitempty"`
}

// getConfig answers with the host app's file.
func (s *Service) getConfig(w http.ResponseWriter, r *http.Request, h *host) *Problem {
	base := s.base(r)
	here := base + "/v1/hosts/" + h.config.Name
	config := hostConfig{
		Host: h.config.Name, DisplayName: h.config.DisplayName,
		URLs: hostURLs{
			Programs: here + "/programs",
			Program:  here + "/programs/{appID}?channel={channel}",
			Blob:     base + "/v1/blobs/sha256/{hex}",
			Keys:     base + "/v1/keys",
		},
		// Every host app may check and decide by itself.
		Dialects: []string{v1alpha1.DialectSigned},
		Keys:     s.store.keys.Load().public,
		Poll:     h.config.Poll,
	}
	if h.speaks(v1alpha1.DialectResolve) {
		config.Dialects = append(config.Dialects, v1alpha1.DialectResolve)
		config.URLs.Resolve = here + "/resolve"
	}
	if h.speaks(v1alpha1.DialectDimina) {
		config.Dialects = append(config.Dialects, v1alpha1.DialectDimina)
		config.URLs.Dimina = base + "/dimina/v1/hosts/" + h.config.Name + "/{appID}.json?user={user}&channel={channel}"
	}
	return serveJSON(w, r, config, cacheMinutes)
}

// getKeys answers with the keys whose signatures count.
func (s *Service) getKeys(w http.ResponseWriter, r *http.Request) *Problem {
	s.store.keys.Load().body.serve(w, r, cacheMinutes)
	return nil
}

// serveJSON serves a small answer that was made for this request.
func serveJSON(w http.ResponseWriter, r *http.Request, value any, cache []string) *Problem {
	text, err := marshal(value)
	if err != nil {
		return problem(CodeInternal, "the answer cannot be written").because(err)
	}
	small := encoded{contentType: []string{"application/json"}}
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
