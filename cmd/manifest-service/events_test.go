package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	manyStreams = 5000
	// streamsOfOne come from one client address, which may open so many at once.
	streamsOfOne = 250
	// eventsTold is how often something changes, and all are told.
	eventsTold = 20
)

// measureEvents lets 5,000 host apps listen to one service for events of a program that
// changes in a real API server 20 times, and reports:
//
//   - change_p99_ms: from the beginning of the write until 99 of 100 of all have heard of it
//   - last_ms: the same until the last has, at the slowest of the changes
//   - cpu_ms: what the service's processor time was for telling all of one change
//   - rss_mib: the greatest memory that its process had
func measureEvents(b *testing.B) {
	m := newMany(b)
	m.hostApps = m.hostApps[:1]
	m.publishHostApps(b)
	_, err := m.maps.Create(b.Context(), m.configMap(b, 0, 1), metav1.CreateOptions{})
	must(b, err)
	m.start(b)
	all := m.listen(b)
	var took []time.Duration
	var last time.Duration
	before := processorTime(b, m.process.PID())
	for n := range int64(eventsTold) {
		began := time.Now()
		_, err := m.maps.Update(b.Context(), m.configMap(b, 0, n+2), metav1.UpdateOptions{})
		must(b, err)
		for range manyStreams {
			one := <-all
			if one.err != nil || one.sequence != n+2 {
				b.Fatalf("a stream told of %d, want %d: %v", one.sequence, n+2, one.err)
			}
			took = append(took, one.at.Sub(began))
		}
		last = max(last, slices.Max(took))
	}
	used := processorTime(b, m.process.PID()) - before
	slices.Sort(took)
	b.ReportMetric(milliseconds(took[len(took)*99/100]), "change_p99_ms")
	b.ReportMetric(milliseconds(last), "last_ms")
	b.ReportMetric(milliseconds(used)/eventsTold, "cpu_ms")
	b.ReportMetric(peakMiB(b, m.process.PID()), "rss_mib")
	must(b, m.process.Stop(20*time.Second)) // ends them all
}

// heard is what a stream was told, or why it ended.
type heard struct {
	sequence int64
	at       time.Time
	err      error
}

// listen opens all streams, and returns what they hear, from when each has been greeted.
func (m *many) listen(b *testing.B) <-chan heard {
	b.Helper()
	all := make(chan heard, manyStreams)
	var opening errgroup.Group
	opening.SetLimit(50)
	var reading sync.WaitGroup
	b.Cleanup(reading.Wait) // after all are closed, which is asked for below
	for n := range manyStreams {
		opening.Go(func() error {
			source := net.IPv4(127, 0, 1, byte(1+n/streamsOfOne))
			conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: source}}).DialContext(b.Context(), "tcp", m.address)
			if err != nil {
				return err
			}
			b.Cleanup(func() { _ = conn.Close() })
			if _, err := io.WriteString(conn, "GET /v1/hosts/"+m.hostApps[0]+"/events HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
				return err
			}
			lines := bufio.NewReaderSize(conn, 256)
			for {
				line, err := lines.ReadString('\n')
				if err != nil {
					return fmt.Errorf("stream %d is not greeted: %w", n, err)
				}
				if strings.Contains(line, `{"type":"reset"}`) {
					break
				}
			}
			reading.Go(func() { hear(b.Context(), lines, all) })
			return nil
		})
	}
	must(b, opening.Wait())
	return all
}

// hear passes on what a stream is told until it ends.
func hear(ctx context.Context, lines *bufio.Reader, all chan<- heard) {
	for {
		line, err := lines.ReadString('\n')
		one := heard{at: time.Now(), err: err}
		if err == nil {
			data, isEvent := strings.CutPrefix(line, `data: {"type":"changed","appID":"`+appID(0)+`","sequence":`)
			if !isEvent {
				continue
			}
			_, one.err = fmt.Sscanf(data, "%d}", &one.sequence)
		}
		select {
		case all <- one:
		case <-ctx.Done():
			return
		}
		if one.err != nil {
			return
		}
	}
}
