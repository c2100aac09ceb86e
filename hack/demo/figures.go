package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"
)

// figures are the times that one run took, as .demo/figures.json has them.
type figures struct {
	mu sync.Mutex

	Time  time.Time `json:"time"`
	Check bool      `json:"check"`
	CPUs  int       `json:"cpus"`
	Go    string    `json:"go"`
	OS    string    `json:"os"`
	// Seconds.
	BuildSeconds float64            `json:"buildSeconds"`
	StartSeconds map[string]float64 `json:"startSeconds"`
	LifeSeconds  float64            `json:"lifeSeconds"`
	// Milliseconds. From the start of `kubectl apply` of a version to the moment at which its
	// status names the artifact.
	ApplyToArtifact spread `json:"applyToArtifactMs"`
	// From the start of the `kubectl patch` with the last approval to the first share served.
	ApprovalToServed spread `json:"approvalToFirstShareServedMs"`
	// From a step's ConfigMap write, as another watcher of the API server sees it, to the
	// manifest service's answer with that sequence.
	WriteToServed spread `json:"configMapWriteToServedMs"`
	// From the first of 1,000 users' questions to the last answer.
	CrowdAsked spread `json:"thousandUsersAskedMs"`
	Kills      int    `json:"kills,omitempty"`
}

// spread is several samples of one time.
type spread struct {
	Samples []float64 `json:"samples"`
	Min     float64   `json:"min"`
	Median  float64   `json:"median"`
	Max     float64   `json:"max"`
}

func newFigures(check bool) *figures {
	return &figures{
		Time: time.Now().UTC().Truncate(time.Second), Check: check, CPUs: runtime.NumCPU(),
		Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH, StartSeconds: map[string]float64{},
	}
}

// add adds a sample to one of the spreads.
func (f *figures) add(to *spread, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	to.Samples = append(to.Samples, math.Round(float64(d)/float64(time.Millisecond)*10)/10)
	sorted := slices.Sorted(slices.Values(to.Samples))
	to.Min, to.Max = sorted[0], sorted[len(sorted)-1]
	to.Median = (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func (f *figures) write(file string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	return nil
}

// lines writes the figures for people.
func (f *figures) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := func(what string, s spread) string {
		if len(s.Samples) == 0 {
			return what + " was not measured"
		}
		return fmt.Sprintf("%-48s %6.0f ms  (%.0f to %.0f, %d samples)", what, s.Median, s.Min, s.Max, len(s.Samples))
	}
	return []string{
		fmt.Sprintf("%-48s %6.1f s", "build of manager and manifest service", f.BuildSeconds),
		fmt.Sprintf("%-48s %6.1f s", "start of everything", f.StartSeconds["total"]),
		fmt.Sprintf("%-48s %6.1f s", "the life", f.LifeSeconds),
		line("kubectl apply of a version to its artifact", f.ApplyToArtifact),
		line("last approval to the first share served", f.ApprovalToServed),
		line("document written to its percentage served", f.WriteToServed),
		line("1,000 users' questions, "+fmt.Sprint(crowdWorkers)+" at a time", f.CrowdAsked),
	}
}

// round gives seconds with a tenth.
func round(d time.Duration) float64 { return math.Round(d.Seconds()*10) / 10 }
