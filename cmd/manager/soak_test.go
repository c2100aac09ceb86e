//go:build soak

package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
)

var (
	soakFor  = flag.Duration("soak", time.Minute, "how long lives are lived")
	soakFile = flag.String("csv", "", "file that the samples are written to; none: they are only looked at")
)

const (
	livesAtOnce = 4
	samples     = 60
	// longEnough is from when on memory is compared: before, caches and the heap still find their size.
	longEnough = 20 * time.Minute
)

// TestSoak lives one short life after another, some side by side: a version is
// published, a Rollout takes it to 25 %, is aborted and deleted under a name that is
// never used again, and then the version and its artifact are deleted. What the manager's
// process keeps must not grow with their number.
func TestSoak(t *testing.T) {
	metrics, err := child.KeepPort(0)
	must(t, err)
	p := newPlatform(t, "soak", v1alpha1.ApprovalRule{Role: "none"})
	must(t, p.manager.Stop(time.Minute))
	address := "127.0.0.1:" + strconv.Itoa(metrics)
	p.startManager(t, "--metrics-bind-address="+address)
	p.prepare(t.Context(), t, "soak")
	ctx, cancel := context.WithTimeout(t.Context(), *soakFor)
	defer cancel()
	var lives atomic.Int64
	living, livingCtx := errgroup.WithContext(ctx)
	for worker := range livesAtOnce {
		living.Go(func() error {
			for n := 0; livingCtx.Err() == nil; n++ {
				if err := p.live(t.Context(), worker, n); err != nil {
					return err
				}
				lives.Add(1)
			}
			return nil
		})
	}
	var seen []sample
	every := time.NewTicker(*soakFor / samples)
	defer every.Stop()
	began := time.Now()
	for livingCtx.Err() == nil {
		select {
		case <-every.C:
			s := scrape(t, address)
			s.seconds, s.lives = int64(time.Since(began).Seconds()), lives.Load()
			seen = append(seen, s)
		case <-livingCtx.Done():
		}
	}
	must(t, living.Wait())
	write(t, seen)
	judge(t, seen)
	t.Logf("%d lives in %s; at the end %+v", lives.Load(), *soakFor, seen[len(seen)-1])
}

// live is one life.
func (p *platform) live(ctx context.Context, worker, n int) error {
	name := fmt.Sprintf("app-%d-%d", worker, n)
	v := &v1alpha1.MiniProgramVersion{
		ObjectMeta: metav1.ObjectMeta{Namespace: "soak", Name: name},
		Spec: v1alpha1.MiniProgramVersionSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: programName(worker)}, Version: fmt.Sprintf("1.%d.%d", n/1000, n%1000),
			Source: v1alpha1.BundleSource{HTTP: &v1alpha1.HTTPSource{URL: p.sources + "/soak.zip"}},
		},
	}
	five, twentyFive := intstr.FromInt32(5), intstr.FromInt32(25)
	ro := &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: "soak", Name: name},
		Spec: v1alpha1.RolloutSpec{
			MiniProgramRef: v.Spec.MiniProgramRef, VersionRef: v1alpha1.VersionReference{Name: name},
			Steps: []v1alpha1.RolloutStep{{SetPercent: &five}, {Pause: &v1alpha1.PauseStep{Seconds: 1}}, {SetPercent: &twentyFive}, {Pause: &v1alpha1.PauseStep{}}},
		},
	}
	for _, o := range []client.Object{v, ro} {
		if err := p.client.Create(ctx, o); err != nil {
			return err
		}
	}
	is := func(percent string) func() string {
		return func() string {
			st := &ro.Status
			if st.Percent == percent && st.Published != nil && st.Published.Sequence == st.Sequence {
				return ""
			}
			return fmt.Sprintf("%s: %s", st.Percent, st.Summary)
		}
	}
	if err := p.reaches(ctx, ro, is("25%")); err != nil {
		return err
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"abort@%d",%q:"admin"}}}`, v1alpha1.ActionAnnotation, ro.Status.Attempt, v1alpha1.ActionByAnnotation)
	if err := p.client.Patch(ctx, ro, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		return err
	}
	if err := p.reaches(ctx, ro, func() string {
		if ro.Status.Target != nil {
			return "the target is there"
		}
		return is(ro.Status.Percent)()
	}); err != nil {
		return err
	}
	for _, o := range []client.Object{ro, v} {
		if err := p.client.Delete(ctx, o); err != nil {
			return err
		}
		if err := p.reaches(ctx, o, func() string { return "it is there" }); !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting %s: %w", o.GetName(), err)
		}
	}
	return nil
}

// reaches reads an object until nothing is missing.
func (p *platform) reaches(ctx context.Context, o client.Object, missing func() string) error {
	for began := time.Now(); ; <-time.After(50 * time.Millisecond) {
		if err := p.client.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		why := missing()
		if why == "" {
			return nil
		}
		if time.Since(began) > time.Minute {
			return fmt.Errorf("%T %s gets no further: %s; the manager's last words:\n%s", o, o.GetName(), why, p.manager.LogTail(20))
		}
	}
}

// sample is what the manager's process has at one time.
type sample struct {
	seconds, lives                           int64
	residentMiB, heapMiB, goroutines, series float64
}

// scrape reads the process's own metrics.
func scrape(t *testing.T, address string) sample {
	t.Helper()
	answer, err := http.Get("http://" + address + "/metrics")
	must(t, err)
	defer answer.Body.Close()
	var s sample
	into := map[string]*float64{
		"process_resident_memory_bytes": &s.residentMiB, "go_memstats_heap_inuse_bytes": &s.heapMiB, "go_goroutines": &s.goroutines,
	}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		s.series++
		name, value, _ := strings.Cut(lines.Text(), " ")
		if to := into[name]; to != nil {
			*to, err = strconv.ParseFloat(value, 64)
			must(t, err)
		}
	}
	must(t, lines.Err())
	s.residentMiB, s.heapMiB = s.residentMiB/(1<<20), s.heapMiB/(1<<20)
	return s
}

func write(t *testing.T, seen []sample) {
	t.Helper()
	if *soakFile == "" {
		return
	}
	f, err := os.Create(*soakFile)
	must(t, err)
	out := csv.NewWriter(f)
	rows := [][]string{{"seconds", "lives", "resident_mib", "heap_mib", "goroutines", "series"}}
	for _, s := range seen {
		rows = append(rows, []string{
			strconv.FormatInt(s.seconds, 10), strconv.FormatInt(s.lives, 10), strconv.FormatFloat(s.residentMiB, 'f', 1, 64),
			strconv.FormatFloat(s.heapMiB, 'f', 1, 64), fmt.Sprint(s.goroutines), fmt.Sprint(s.series),
		})
	}
	must(t, out.WriteAll(rows))
	must(t, f.Close())
}

// judge compares the medians of the second and of the last quarter.
func judge(t *testing.T, seen []sample) {
	t.Helper()
	if len(seen) < 8 || seen[len(seen)-1].lives <= seen[len(seen)/2].lives {
		t.Fatalf("too little was seen: %+v", seen)
	}
	columns := map[string]struct {
		of   func(sample) float64
		most float64 // growth, as a share
	}{
		"goroutines": {func(s sample) float64 { return s.goroutines }, 0.10},
		"series":     {func(s sample) float64 { return s.series }, 0.02},
	}
	if *soakFor >= longEnough {
		columns["resident memory"] = struct {
			of   func(sample) float64
			most float64
		}{func(s sample) float64 { return s.residentMiB }, 0.10}
	}
	quarter := len(seen) / 4
	for name, column := range columns {
		early, late := median(seen[quarter:2*quarter], column.of), median(seen[3*quarter:], column.of)
		if late > early*(1+column.most) {
			t.Errorf("%s grew from %.0f in the second quarter to %.0f in the last", name, early, late)
		}
	}
}

func median(seen []sample, of func(sample) float64) float64 {
	var values []float64
	for _, s := range seen {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
