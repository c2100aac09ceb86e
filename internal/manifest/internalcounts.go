package manifest

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
)

// newInstance names one run of one replica.
func newInstance() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // it never fails
	return hex.EncodeToString(id)
}

// getCounts hands the manager what this replica has counted since it started. The
// manager reads every replica, and takes the differences.
func (s *Service) getCounts(w http.ResponseWriter, _ *http.Request) {
	all := s.counts.list()
	slices.SortFunc(all, func(a, b guardrail.Count) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Rollout, b.Rollout), strings.Compare(a.AppID, b.AppID),
			strings.Compare(a.Digest, b.Digest), strings.Compare(a.Access, b.Access))
	})
	text, err := marshal(guardrail.Replica{
		Instance: s.instance, Start: s.started.UTC().Format(time.RFC3339),
		UptimeSeconds: int64(s.options.Now().Sub(s.started) / time.Second), Counts: all,
	})
	if err != nil {
		s.log.Error(err, "The counts cannot be written.")
		say(w, http.StatusInternalServerError, "the counts cannot be written; see the log")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(text) // the manager has gone: nobody to tell
}
