package journal_test

import (
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
)

// BenchmarkCarry adds a document with a long audience to a backlog that is full of short
// ones, hundreds of which have to go for it: what a pass of a rollout, an abort too, costs
// while the registry is away.
func BenchmarkCarry(b *testing.B) {
	old, _ := fullBacklog(b)
	long := randomItem(b, 1001, 60<<10)
	var lost int64
	for b.Loop() {
		lost = journal.ParseBacklog(journal.Carry(old, long, neverHeld)).Lost.Count
	}
	b.ReportMetric(float64(lost), "lost/op")
}
