package delivery

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of the lists of users' keys in ConfigMaps.
const (
	// MaxListedKeys is how many all lists of an audience may have together.
	MaxListedKeys = 100_000
	// MaxKeyLength is that of one key, in characters.
	MaxKeyLength = 128
)

// ReadKeys reads a list of users' keys: one a line, which ends as on Unix or on Windows. Blank
// lines do not count; a key that was there before is returned again. An error
// names the line, never what stands there.
func ReadKeys(text string) ([]string, error) {
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("it is no text in UTF-8")
	}
	var keys []string
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		n++
		key := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		switch {
		case strings.TrimSpace(key) == "":
			continue
		case strings.TrimSpace(key) != key:
			return nil, fmt.Errorf("line %d begins or ends with white space: a key is the whole line", n)
		case strings.ContainsFunc(key, unicode.IsControl):
			return nil, fmt.Errorf("line %d has a control character: write one key a line, and nothing else", n)
		case strings.Contains(key, "\ufeff"): // files that were put together: nobody sees it, and no user has such a key
			return nil, fmt.Errorf("line %d has a byte order mark: only the beginning of a list may have one", n)
		case utf8.RuneCountInString(key) > MaxKeyLength:
			return nil, fmt.Errorf("line %d has more than %d characters: write one key a line, and nothing else", n, MaxKeyLength)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
