package manifest

import (
	"strconv"
	"strings"
)

// readPlain reads a request to resolve in the form that host apps send, and tells whether
// it was that: the known names, each once, and texts of ASCII without escapes. It takes a fifth
// of the time of a library, to which all else is left. (FuzzPlainJSON compares: what is accepted
// here that reads as the same.)
func (q *resolveRequest) readPlain(text string) bool {
	p := plainJSON{rest: text}
	var read resolveRequest
	known := p.object([]string{"user", "device", "attributes", "programs"}, func(field int) {
		switch field {
		case 0:
			read.User = p.text()
		case 1:
			read.Device = p.text()
		case 2:
			read.Attributes = p.texts()
		case 3:
			read.Programs = p.programs()
		}
	})
	if p.space(); !known || p.rest != "" {
		return false
	}
	*q = read
	return true
}

// plainJSON is what is left to read. Once something was not plain, nothing is any more.
type plainJSON struct {
	rest  string
	wrong bool
}

func (p *plainJSON) space() {
	for p.rest != "" && (p.rest[0] == ' ' || p.rest[0] == '\t' || p.rest[0] == '\r' || p.rest[0] == '\n') {
		p.rest = p.rest[1:]
	}
}

// take takes a character, if it is what comes next.
func (p *plainJSON) take(c byte) bool {
	if p.space(); p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// need takes a character that must come next.
func (p *plainJSON) need(c byte) bool {
	if !p.wrong && !p.take(c) {
		p.wrong = true
	}
	return !p.wrong
}

func (p *plainJSON) text() string {
	if !p.need('"') {
		return ""
	}
	for i := range len(p.rest) {
		switch c := p.rest[i]; {
		case c == '"':
			text := p.rest[:i]
			p.rest = p.rest[i+1:]
			return text
		case c < ' ' || c > '~' || c == '\\':
			p.wrong = true
			return ""
		}
	}
	p.wrong = true
	return ""
}

// number reads one without sign, fraction and exponent.
func (p *plainJSON) number() int64 {
	p.space()
	digits := len(p.rest) - len(strings.TrimLeft(p.rest, "0123456789"))
	if digits == 0 || digits > 1 && p.rest[0] == '0' {
		p.wrong = true
		return 0
	}
	n, err := strconv.ParseInt(p.rest[:digits], 10, 64)
	if err != nil {
		p.wrong = true
	}
	p.rest = p.rest[digits:]
	return n
}

// object reads the fields that are named, each once at most, and tells whether all was plain.
func (p *plainJSON) object(names []string, read func(field int)) bool {
	var seen uint
	p.fields(func(name string) {
		for field, known := range names {
			if known == name && seen&(1<<field) == 0 {
				seen |= 1 << field
				read(field)
				return
			}
		}
		p.wrong = true
	})
	return !p.wrong
}

func (p *plainJSON) fields(read func(name string)) {
	if !p.need('{') || p.take('}') {
		return
	}
	for {
		name := p.text()
		if !p.need(':') {
			return
		}
		if read(name); p.wrong || p.take('}') || !p.need(',') {
			return
		}
	}
}

func (p *plainJSON) texts() map[string]string {
	all := map[string]string{}
	p.fields(func(name string) {
		if _, twice := all[name]; twice {
			p.wrong = true
			return
		}
		all[name] = p.text()
	})
	return all
}

func (p *plainJSON) programs() []resolveProgram {
	all := []resolveProgram{}
	if !p.need('[') || p.take(']') {
		return all
	}
	for {
		var program resolveProgram
		p.object([]string{"appID", "channel", "installed"}, func(field int) {
			switch field {
			case 0:
				program.AppID = p.text()
			case 1:
				program.Channel = p.text()
			case 2:
				p.object([]string{"digest", "versionCode"}, func(field int) {
					if field == 0 {
						program.Installed.Digest = p.text()
						return
					}
					program.Installed.VersionCode = p.number()
				})
			}
		})
		if all = append(all, program); p.wrong || p.take(']') || !p.need(',') {
			return all
		}
	}
}
