// Package guardrail judges measurements: what was counted of the target, and of
// stable, against a Guardrail of the API. It measures nothing itself, and says
// with every word the figures that it rests on.
//
// There are four words. Passed and Failed need minSamples on every side that is
// compared. Without them the measurement is Inconclusive: no data is never a pass.
// What cannot be a measurement, such as a share that is no number, or a server that
// does not answer, is an Error, which says nothing about the target.
//
// Comparisons are exact: shares are fractions of whole numbers, limits are decimals,
// and a value of Prometheus is the very number that its float stands for.
//
// # Who can do what
//
// Whoever finds the address of a host app without access tokens can report what he
// likes. So what host apps with tokens report is judged by itself first: nobody else's
// launches can water it down. What fails only together with the others can
// at most pause the rollout: Verdict.AtMostPause.
//
// # Rollouts without guardrails
//
// A policy does not ask for guardrails in a Rollout, it brings them: each one of
// ReviewPolicy spec.rollout.guardrails watches every rollout that the policy covers,
// beside the rollout's own. So none is without them where they are asked for, there is
// nothing to be exempted from, and no right to go without.
package guardrail
