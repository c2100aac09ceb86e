package controller

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
)

// What rollouts take and how they end. No label holds a name of an object: those
// come and go, and a series never does.
var (
	stepSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "miniprogram_rollout_step_seconds",
		Help:    "Time that steps took once their share was out, by kind, by how they ended, and by what it was spent on: people, plan or machine.",
		Buckets: []float64{1, 5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 3 * 24 * 3600, 7 * 24 * 3600, 30 * 24 * 3600},
	}, []string{"kind", "outcome", "spent"})
	publicationSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "miniprogram_rollout_publication_seconds",
		Help:    "Time from a decision, in whole seconds, until its document was out.",
		Buckets: []float64{1, 2, 5, 10, 30, 60, 300, 3600},
	})
	attemptsEnded = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "miniprogram_rollout_attempts_total", Help: "Attempts that ended, by outcome.",
	}, []string{"outcome"})
	actionsAnswered = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "miniprogram_rollout_actions_total", Help: "Actions that were answered, by verb and result.",
	}, []string{"verb", "result"})
)

func init() {
	metrics.Registry.MustRegister(stepSeconds, publicationSeconds, attemptsEnded, actionsAnswered)
}

// countStep counts what a status that was written brought to an end.
func countStep(s *rolloutScope) {
	before, after := &s.before.Status, &s.rollout.Status
	if spent, over := rollout.SpentOf(s.plan, before, after, s.now); over {
		for on, d := range map[string]time.Duration{"people": spent.People, "plan": spent.Plan, "machine": spent.Machine} {
			stepSeconds.WithLabelValues(spent.Kind, spent.Outcome, on).Observe(d.Seconds())
		}
	}
	for _, a := range rollout.Ended(before, after) {
		attemptsEnded.WithLabelValues(a.Outcome).Inc()
	}
	if a := after.LastAction; a != nil && (before.LastAction == nil || before.LastAction.Value != a.Value) {
		actionsAnswered.WithLabelValues(verbOf(a.Value), a.Result).Inc()
	}
}

// verbOf is a verb that is known, or other: people write what they like.
func verbOf(action string) string {
	verb, _, _ := strings.Cut(action, "@")
	if slices.Contains(rollout.Verbs, verb) {
		return verb
	}
	return "other"
}

// countPublication counts how long what was recorded took to be out.
func countPublication(s *rolloutScope, out time.Time) {
	if d := s.before.Status.Document; d != nil {
		publicationSeconds.Observe(max(out.Sub(d.IssuedAt.Time), 0).Seconds())
	}
}
