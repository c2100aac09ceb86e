package policy

import "sync"

// maxRemembered bounds each memo. There are far fewer texts in the policies of
// one installation; those of policies that are gone leave when it is full.
const maxRemembered = 4096

// memo remembers what was computed from a text of a policy, so that each is
// compiled once and not for every version. The text itself is the key: a policy
// that changes, or is created anew under its old name, is never judged by what it
// said before.
type memo[V any] struct {
	mu    sync.Mutex
	known map[string]V
}

// of returns compute(text), which must depend on nothing else.
func (m *memo[V]) of(text string, compute func(string) V) V {
	m.mu.Lock()
	v, known := m.known[text]
	m.mu.Unlock()
	if known {
		return v
	}
	v = compute(text) // twice at worst, with the same result
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxRemembered {
		m.known = map[string]V{}
	}
	m.known[text] = v
	return v
}
