package manifest

import (
	"bytes"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// plainRequest is a request in the one form that the lane reads by itself.
type plainRequest struct {
	method, target, path, query, host string
	header                            http.Header
	values                            [maxPlainHeaders]string
	body                              []byte
}

const maxPlainHeaders = 32

// unplain are headers that change where a request ends, what becomes of the connection, or
// (Pragma) other headers.
var unplain = map[string]bool{
	"Transfer-Encoding": true, "Upgrade": true, "Expect": true, "Te": true, "Trailer": true, "Proxy-Connection": true, "Http2-Settings": true, "Pragma": true,
}

// parse reads a whole request, and tells whether it is plain: GET or HEAD of a program or
// list and nothing behind it, or a POST to resolve with exactly its body; a path and a query
// without escapes; no header twice, none with a byte that could end it elsewhere, none
// that changes the connection. All that is accepted here net/http reads as the same;
// what is not accepted is left to it.
func (p *plainRequest) parse(raw []byte) bool {
	end := bytes.Index(raw, []byte("\r\n\r\n"))
	if end < 0 {
		return false
	}
	p.body = raw[end+4:]
	line, fields, _ := strings.Cut(string(raw[:end]), "\r\n")
	if !p.parseLine(line) || !p.parseHeaders(fields) {
		return false
	}
	length, has := p.header["Content-Length"]
	if p.method != http.MethodPost {
		return !has && len(p.body) == 0
	}
	return has && len(p.body) > 0 && length[0] == strconv.Itoa(len(p.body))
}

func (p *plainRequest) parseLine(line string) bool {
	method, rest, _ := strings.Cut(line, " ")
	target, isHTTP := strings.CutSuffix(rest, " HTTP/1.1")
	if !isHTTP || !strings.HasPrefix(target, "/v1/hosts/") {
		return false
	}
	p.target = target
	p.path, p.query, _ = strings.Cut(target, "?")
	for i := range len(target) {
		if !plainBytesOf[target[i]] {
			return false
		}
	}
	// The last two only in a query, where there is a question mark once.
	if strings.ContainsAny(p.path, "=&") || strings.Contains(p.query, "?") || strings.Contains(p.path, "//") || strings.Contains(p.path, "/.") {
		return false
	}
	_, asked, _ := strings.Cut(p.path[len("/v1/hosts/"):], "/")
	switch method {
	case http.MethodGet, http.MethodHead:
		p.method = method
		return asked == "programs" || strings.HasPrefix(asked, "programs/")
	case http.MethodPost:
		p.method = method
		return asked == "resolve"
	default:
		return false
	}
}

// plainBytesOf are the bytes that a target may have: those that mean themselves.
var plainBytesOf = func() (set [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/?=&") {
		set[c] = true
	}
	return set
}()

func (p *plainRequest) parseHeaders(fields string) bool {
	clear(p.header)
	p.host = ""
	for n := 0; fields != ""; n++ {
		var field string
		field, fields, _ = strings.Cut(fields, "\r\n")
		name, value, found := strings.Cut(field, ":")
		if n == maxPlainHeaders || !found || !isToken(name) || !isPlainText(value) {
			return false
		}
		name, value = textproto.CanonicalMIMEHeaderKey(name), strings.Trim(value, " \t")
		if _, twice := p.header[name]; twice || unplain[name] || name == "Connection" && !strings.EqualFold(value, "keep-alive") {
			return false
		}
		if name == "Host" {
			if p.host != "" || !isHost(value) {
				return false
			}
			p.host = value // not among the headers: net/http has it beside them
			continue
		}
		p.values[n] = value
		p.header[name] = p.values[n : n+1 : n+1]
	}
	return p.host != ""
}

func isToken(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return name != ""
}

func isPlainText(value string) bool {
	for i := range len(value) {
		if c := value[i]; (c < ' ' || c > '~') && c != '\t' {
			return false
		}
	}
	return true
}

func isHost(value string) bool {
	for i := range len(value) {
		c := value[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != ':' {
			return false
		}
	}
	return value != ""
}

// plainWriter collects an answer and sends it with one write.
type plainWriter struct {
	tcp    *net.TCPConn
	header http.Header
	status int
	isHead bool
	body   []byte
	out    []byte
}

func (w *plainWriter) begin(tcp *net.TCPConn, isHead bool) {
	clear(w.header)
	w.tcp, w.status, w.isHead, w.body = tcp, 0, isHead, w.body[:0]
	if cap(w.body) > keptAnswer {
		w.body = nil
	}
}

// keptAnswer is how much room a connection keeps for its next answer.
const keptAnswer = 32 << 10

// Header is part of http.ResponseWriter.
func (w *plainWriter) Header() http.Header { return w.header }

// WriteHeader notes the status.
func (w *plainWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write keeps what is to be sent.
func (w *plainWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if !w.isHead {
		w.body = append(w.body, b...)
	}
	return len(b), nil
}

// closes tells whether the handler wants the connection to end.
func (w *plainWriter) closes() bool {
	values := w.header["Connection"]
	return len(values) > 0 && values[0] == "close"
}

// finish sends the answer.
func (w *plainWriter) finish() error {
	w.WriteHeader(http.StatusOK)
	w.out = append(w.out[:0], "HTTP/1.1 "...)
	w.out = strconv.AppendInt(w.out, int64(w.status), 10)
	w.out = append(append(append(w.out, ' '), http.StatusText(w.status)...), "\r\nDate: "...)
	w.out = append(w.out, httpDate(time.Now())...)
	w.out = append(w.out, "\r\n"...)
	for name, values := range w.header {
		for _, value := range values {
			w.out = append(append(w.out, name...), ": "...)
			start := len(w.out)
			w.out = append(w.out, value...)
			for i := start; i < len(w.out); i++ {
				if w.out[i] == '\r' || w.out[i] == '\n' { // no value ends a header
					w.out[i] = ' '
				}
			}
			w.out = append(w.out, "\r\n"...)
		}
	}
	hasBody := w.status != http.StatusNotModified && w.status != http.StatusNoContent
	if length, has := w.header["Content-Length"]; !has && hasBody && !w.isHead {
		w.out = strconv.AppendInt(append(w.out, "Content-Length: "...), int64(len(w.body)), 10)
		w.out = append(w.out, "\r\n"...)
	} else if has && hasBody && !w.isHead && length[0] != strconv.Itoa(len(w.body)) {
		return errLength // nothing was sent: the connection ends
	}
	w.out = append(w.out, "\r\n"...)
	if len(w.body) <= keptAnswer {
		w.out = append(w.out, w.body...)
		_, err := w.tcp.Write(w.out)
		return err
	}
	both := net.Buffers{w.out, w.body}
	_, err := both.WriteTo(w.tcp)
	return err
}

// date is what the Date header says in one second.
type date struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[date]

func httpDate(now time.Time) string {
	d := lastDate.Load()
	if d == nil || d.second != now.Unix() {
		d = &date{now.Unix(), now.UTC().Format(http.TimeFormat)}
		lastDate.Store(d)
	}
	return d.text
}
