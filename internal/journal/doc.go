// Package journal is the memory of what was published that outlives the cluster: for each
// document of a Rollout an entry in the registry, with what the document rests on, and for
// each change of what a host app blocks another. This package has the entries, their names
// and their order; it reads and writes nothing.
//
//	journal.v1/rollouts/<namespace>/<rollout>  tag s<sequence>-<time of issue>
//	journal.v1/hostapps/<host app>             tag s<number>-<time>
//	journal.v1/apps/<hash of the app ID>       a tag for each Rollout that published for it
//
// A component of a repository's name may not begin with an underscore (distribution
// specification, "Pulling manifests"), and one with a dot in it is no namespace, so that no
// artifact, which lies in <namespace>/<mini program>, can get in the way.
//
// An entry is an envelope (sdk/go/dsse) that the keys of the installation sign, like the
// documents but with a payload type of its own. It names the digest of the entry before it,
// so that one that is missing is seen. Entries are added and never changed.
package journal
