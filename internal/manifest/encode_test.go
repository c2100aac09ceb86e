package manifest

import (
	"strings"
	"testing"
)

func TestTheEncodingIsChosenByWeight(t *testing.T) {
	large := encode("text/plain", []byte(strings.Repeat("mini program ", 200)))
	for accept, want := range map[string]string{
		"":                             "",
		"identity":                     "",
		"gzip":                         "gzip",
		"GZIP":                         "gzip",
		"x-gzip":                       "gzip",
		"zstd":                         "zstd",
		"gzip, zstd":                   "zstd",
		"gzip;q=1.0, zstd;q=0.5":       "gzip",
		"gzip;q=0.2, zstd;q=0.5":       "zstd",
		"zstd;q=0, gzip":               "gzip",
		"zstd;q=0, gzip;q=0":           "",
		"br":                           "",
		"*":                            "zstd",
		"*;q=0":                        "",
		"*;q=0.1, zstd;q=0":            "gzip",
		"identity;q=1, gzip;q=0.5":     "",
		"identity;q=0.5, gzip;q=0.5":   "gzip",
		"gzip;q=oops":                  "",
		"gzip;q=NaN":                   "",
		"gzip ; q=0.5 , identity; q=0": "gzip",
	} {
		t.Run(accept, func(t *testing.T) {
			got := ""
			if encoding := large.choose([]string{accept}).encoding; encoding != nil {
				got = encoding[0]
			}
			if got != want {
				t.Errorf("chosen is %q, want %q", got, want)
			}
		})
	}
}

func TestWhatDoesNotShrinkIsNotCompressed(t *testing.T) {
	for name, text := range map[string]string{"short": "mini", "random": string(randomBytes())} {
		e := encode("text/plain", []byte(text))
		for _, accept := range []string{"gzip", "zstd"} {
			if got := e.choose([]string{accept}); got != &e.identity {
				t.Errorf("%s: compressed by %s", name, accept)
			}
		}
	}
}

// randomBytes are bytes without a pattern, the same every time.
func randomBytes() []byte {
	out, x := make([]byte, 4096), uint32(1)
	for i := range out {
		x = x*1664525 + 1013904223
		out[i] = byte(x >> 24)
	}
	return out
}

func TestWhoTakesNoPlainBodyGetsAlsoASmallOneCompressed(t *testing.T) {
	small := encode("text/plain", []byte("mini"))
	tag := strings.Trim(small.identity.etag[0], `"`)
	for accept, want := range map[string]string{
		"gzip, zstd":                     `"` + tag + `"`,
		"identity;q=0, gzip":             `"` + tag + `-gzip"`,
		"identity;q=0, gzip, zstd;q=0.5": `"` + tag + `-gzip"`,
		"*;q=0, zstd":                    `"` + tag + `-zstd"`,
		"*;q=0, identity;q=0.1, gzip":    `"` + tag + `"`,
		"identity;q=0, br":               `"` + tag + `"`,
		"*;q=0":                          `"` + tag + `"`,
	} {
		if got := small.choose([]string{accept}).etag[0]; got != want {
			t.Errorf("%s gets %s, want %s", accept, got, want)
		}
	}
}
