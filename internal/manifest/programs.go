package manifest

import (
	"net/http"
	"net/url"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// How long answers may be kept. A CDN that holds a document for five seconds
// takes nearly all load away and little time from an abort; while the service is
// away an old document is better than none, for it says itself when it expires.
var (
	cacheShortly = []string{"public, max-age=5, stale-if-error=86400"}
	cacheMinutes = []string{"public, max-age=300"}
	cachePreview = []string{"private, no-store"}
	cachePrivate = []string{"private, max-age=5"}
	cacheForever = []string{"public, max-age=31536000, immutable"}
	cacheNever   = []string{"private, no-store"}
)

// getPrograms answers with the list of programs.
func (s *Service) getPrograms(w http.ResponseWriter, r *http.Request, h *host) *Problem {
	h.list().serve(w, r, h.cache(cacheShortly))
	return nil
}

// getProgram answers with the signed document: the host app checks it and
// decides by itself.
func (s *Service) getProgram(w http.ResponseWriter, r *http.Request, h *host) *Problem {
	channel, p := channelOf(r)
	if p != nil {
		return p
	}
	found, p := h.find(r.PathValue("appID"), channel)
	if p != nil {
		return p
	}
	if found.doc.Decide == document.DecideService {
		return problem(CodeServiceDecides, "the document needs lists that only the service holds: ask /v1/hosts/%s/resolve", h.config.Name)
	}
	found.body.serve(w, r, h.cache(cacheShortly))
	return nil
}

// channelOf reads the query's channel; release when there is none.
func channelOf(r *http.Request) (string, *Problem) {
	if r.URL.RawQuery == "" {
		return document.ChannelRelease, nil
	}
	query, p := queryOf(r)
	if p != nil {
		return "", p
	}
	return checkChannel(query.Get("channel"), "the parameter channel")
}

// queryOf reads the query. What could be read in two ways, as by a cache that keeps the answer,
// is refused.
func queryOf(r *http.Request) (url.Values, *Problem) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem(CodeInvalidRequest, "the query is malformed")
	}
	for _, name := range []string{"channel", "user"} {
		if len(query[name]) > 1 {
			return nil, problem(CodeInvalidRequest, "the parameter %s stands there twice", name)
		}
	}
	return query, nil
}

func checkChannel(channel, what string) (string, *Problem) {
	switch channel {
	case "", document.ChannelRelease:
		return document.ChannelRelease, nil
	case document.ChannelTrial:
		return document.ChannelTrial, nil
	default:
		return "", problem(CodeInvalidRequest, "%s must be release or trial", what)
	}
}

// find returns the program in a slot, if the host app gets it.
func (h *host) find(appID, channel string) (*program, *Problem) {
	if !h.config.Takes(channel) {
		return nil, problem(CodeChannelNotEnabled, "host app %s has not opted into the channel %s", h.config.Name, channel)
	}
	p := h.programs[slot{appID, channel}]
	switch {
	case p == nil:
		return nil, problem(CodeUnknownProgram, "nothing is published under this app ID for host app %s", h.config.Name)
	case p.block != nil:
		return nil, problem(CodeBlocked, "host app %s blocks %s: %s", h.config.Name, p.doc.AppID, p.block.Reason)
	default:
		return p, nil
	}
}
