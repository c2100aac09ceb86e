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
package manifest
