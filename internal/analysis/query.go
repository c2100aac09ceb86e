package analysis

import (
	"context"
	"errors"

	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
)

var errNoPrometheus = errors.New("the platform has no Prometheus: ask its administrators (--prometheus-url of the manager), or measure hostReports")

// query asks Prometheus for one version's number.
func (w *Watcher) query(ctx context.Context, p *probe, of Version, cohort string) (*guardrail.Value, error) {
	if w.Prometheus == nil {
		return nil, errNoPrometheus
	}
	return w.Prometheus.measure(ctx, p.guard.Prometheus, map[string]string{
		"namespace": p.rollout.Namespace, "appID": p.subject.AppID, "version": of.Version, "digest": of.Digest, "cohort": cohort,
	}, guardrail.Interval(&p.guard.Guardrail))
}
