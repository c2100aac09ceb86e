package main

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// checks collects what was compared and what differed, so that one run shows
// everything that is wrong. It may be used concurrently.
type checks struct {
	mu       sync.Mutex
	compared int
	failures []string
}

// expect compares what was seen with what must hold.
func (c *checks) expect(what string, got, want any) {
	c.that(reflect.DeepEqual(got, want), "%s: %v, want %v", what, got, want)
}

// that records one comparison.
func (c *checks) that(holds bool, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.compared++
	if !holds {
		c.failures = append(c.failures, fmt.Sprintf(format, args...))
	}
}

// result returns the number of comparisons and what differed.
func (c *checks) result() (compared int, failures []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compared, append([]string(nil), c.failures...)
}

// containsAll tells whether a text has all of the words.
func containsAll(text string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
