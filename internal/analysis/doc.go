// Package analysis measures what guardrails ask for, beside the reconcilers: a
// server that is slow or away delays no abort, and no other rollout.
//
//	Reconcile ─Watch→ probe ─at each interval→ replicas or Prometheus ─judge→ last measurement
//	    └──────────────────── woken ←───────────────────────────────────────────┘
//
// Intervals of a probe follow each other without a gap: one begins when the last
// was measured. What a manager knows it has measured itself, since it started to
// lead; so it needs one whole interval before it says anything.
//
// # Counts of replicas
//
// Each replica of the manifest service counts by itself, from 0 at its start. The
// manager adds up differences between two readings of one instance. An instance that
// it sees for the first time counts in full if it started after the reading before,
// and from now on if not: nobody knows when that was reported. One that vanishes
// takes nothing back, and a reading that fails is made up for by the next.
package analysis
