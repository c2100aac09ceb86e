package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// printer writes what a person follows: sections, and lines with the time since
// the start. Its methods may be called concurrently.
type printer struct {
	mu    sync.Mutex
	to    io.Writer
	began time.Time
}

func newPrinter(to io.Writer) *printer { return &printer{to: to, began: time.Now()} }

func (p *printer) header() {
	p.line("Mini programs, the whole way: YAML, a checked artifact, two people's approval,")
	p.line("a share of users, a signed document, and what 1,000 users of a host app get.")
}

func (p *printer) section(title string) {
	p.line("")
	p.line("%s", title)
}

// say writes one step of the story.
func (p *printer) say(format string, args ...any) {
	p.line("%6.1f s  %s", time.Since(p.began).Seconds(), fmt.Sprintf(format, args...))
}

// more continues the last step: what somebody was told, or a table.
func (p *printer) more(format string, args ...any) {
	for text := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		p.line("          %s", text)
	}
}

// command shows what somebody typed.
func (p *printer) command(who string, args []string) {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = quote(a)
	}
	p.say("%s$ kubectl %s", who, strings.Join(words, " "))
}

func (p *printer) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.to, format+"\n", args...)
}

// quote writes a word as a shell needs it.
func quote(word string) string {
	if !strings.ContainsAny(word, ` "{}$'`) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// short cuts a digest to what a person compares.
func short(digest string) string {
	if len(digest) > len("sha256:")+12 {
		return digest[:len("sha256:")+12]
	}
	return digest
}

// seconds rounds a duration for people.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
