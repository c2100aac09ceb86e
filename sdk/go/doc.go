// Package sdk is the root of the host-side Go library: what a host app, a back
// end or the manifest service needs to read a published mini program document
// and to know what it means for one user. It has no code of its own:
//
//   - document: the published document's types, strict reading, canonical writing
//   - client: all of it over HTTP, with a store
//   - keychain: the chain of key documents, from pinned keys to those of today
//   - dsse: signed envelopes (DSSE v1 with ECDSA P-256)
//   - release: the checks that a client makes before it believes a document
//   - bucket: a user's place among the 10,000 buckets of bucket/v1
//   - decide: which variant a user gets, and what to do with what is installed
//
// All but client is pure: values in, values out, time passed as a value. The
// module depends on the standard library alone.
//
// The files in sdk/vectors pin bucket/v1, the decision, the checks of an envelope and the
// chain of keys for every language.
package sdk
