package admissiontest

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

// guardedWrites are those that admission is asked about, each by somebody who may.
var guardedWrites = map[string]struct {
	who string
	do  request
}{
	"create a version":           {dora, create("MiniProgramVersion", "bench", version)},
	"approve a pending Review":   {rita, decide("pending", "Approved", rita)},
	"create a decided Review":    {rita, create("Review", "bench", pendingReview+"\n  decision: Approved\n  reviewer: rita")},
	"change a mini program":      {dora, patch("MiniProgram", "shop", "spec: {description: bench}")},
	"abort a rollout":            {olga, patch("Rollout", "shop", "metadata: {annotations: {miniprogram.dev/action: abort@1, miniprogram.dev/action-by: olga}}")},
	"write a version's status":   {controller, patchStatus("MiniProgramVersion", "shop-1", "status: {summary: bench}")},
	"write a published document": {controller, create("ConfigMap", "bench.rollout", "metadata: {labels: {miniprogram.dev/published: \"true\", miniprogram.dev/document: rollout}}\ndata: {sequence: \"1\"}")},
}

// BenchmarkAdmission measures the same writes on two API servers by turns: one
// with the policies of config/admission, one where nothing binds them. They are
// dry runs, which do everything but the write to etcd.
func BenchmarkAdmission(b *testing.B) {
	with := theWorld(b)
	without := unguardedWorld(b)
	for _, name := range slices.Sorted(maps.Keys(guardedWrites)) {
		write := guardedWrites[name]
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			var guarded, bare []time.Duration
			for b.Loop() {
				guarded = append(guarded, with.timed(b, write.who, write.do))
				bare = append(bare, without.timed(b, write.who, write.do))
			}
			b.ReportMetric(median(guarded), "with-ms")
			b.ReportMetric(median(bare), "without-ms")
			b.ReportMetric(median(guarded)-median(bare), "cost-ms")
		})
	}
}

func median(times []time.Duration) float64 {
	slices.Sort(times)
	return float64(times[len(times)/2].Microseconds()) / 1000
}

func (w *world) timed(b *testing.B, who string, do request) time.Duration {
	b.Helper()
	began := time.Now()
	if _, err := w.try(b.Context(), who, do); err != nil {
		b.Fatalf("%s: %v", who, err)
	}
	return time.Since(began)
}

// unguardedWorld is a world of its own that has everything but the bindings.
func unguardedWorld(b *testing.B) *world {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	plane, err := controlplane.Start(ctx, controlplane.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			b.Error(err)
		}
	})
	w, err := build(ctx, plane)
	if err != nil {
		b.Fatal(err)
	}
	for _, bindings := range []client.Object{&admissionv1.ValidatingAdmissionPolicyBinding{}, &admissionv1.MutatingAdmissionPolicyBinding{}} {
		if err := w.as(installer).DeleteAllOf(ctx, bindings); err != nil {
			b.Fatal(err)
		}
	}
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		for _, probe := range probes {
			if _, err := w.try(ctx, installer, probe); err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		b.Fatal(fmt.Errorf("waiting until no policy bites in %s: %w", filepath.Base(b.Name()), err))
	}
	return w
}
