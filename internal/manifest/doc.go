// Package manifest is the manifest service: it watches the publication
// namespace, checks every published document, and hands host apps what is theirs
// over HTTP.
//
//	ConfigMap ─watch→ record ─verify→ entry ─choose→ snapshot ─swap→ HTTP
//	                             └────────→ disk copy ─verify→ (next start)
//
// There is one writer (type store), and a snapshot that it swaps as a whole and
// that no request ever waits for. What fails its check, and what vanishes, keeps
// the last good document in service: only a signed document takes something away.
// The lists of users that a document names by their digests are taken over before it.
//
// # Why not net/http alone
//
// One core that answers a document to 64 connections takes, beside nginx with the same
// file, so many microseconds for each (measured by turns, in one run on a busy machine;
// BenchmarkManifest measures anew what is compared here):
//
//	nginx, one process                                      7.7
//	net/http, a handler that writes the bytes              11.7
//	the same with limits of time                           12.7
//	net/http with the handlers of this package             16.7
//	a loop that reads, and writes the same bytes            5.5
//	the lane (type lane) with the handlers                  8.6
//
// So net/http by itself can never come closer to nginx than two thirds: it starts a
// goroutine for each request that looks whether the client goes away, moves four
// deadlines, and copies and sorts headers. Another HTTP library would bring its own
// reading of HTTP for everything, blobs with ranges, TLS and HTTP/2 included. The lane reads
// only requests that can be read in one way, a few hundred bytes long, and leaves all
// others, with their connections, to net/http. Handlers do not know which of the two they
// serve. (What the lane accepts, FuzzPlain compares with net/http.)
package manifest
