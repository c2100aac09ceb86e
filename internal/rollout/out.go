package rollout

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WholeSecond is the time, or the next whole second after it: status keeps whole
// seconds, and nothing that counts from one may be shortened.
func WholeSecond(t time.Time) time.Time { return t.Add(time.Second - 1).UTC().Truncate(time.Second) }

// begins is when a step that is reached now begins: when what is decided now is out,
// and not before what is out already, by a clock that may have gone back.
func (d *decider) begins() time.Time {
	at := d.now
	if by := WholeSecond(d.seen.OutBy); by.After(at) {
		at = by
	}
	if since := WholeSecond(d.seen.OutSince); !d.seen.Unpublished && since.After(at) {
		at = since
	}
	return at
}

// countFromOut makes the step that was recorded together with a document begin when
// that document was out, if that was later than was thought: a pause is time with
// users, and whatever kept the document from them, a crash or a registry, is none of
// it. A document that came during the step begins nothing anew. How long after its document
// a step began says nothing: the clock may have gone back in between.
func (d *decider) countFromOut() {
	step, doc := d.st.Step, d.st.Document
	if d.seen.Unpublished || step == nil || step.Began == nil || doc == nil {
		return
	}
	if step.Began.Before(&doc.IssuedAt) {
		return
	}
	if out := metav1.NewTime(WholeSecond(d.seen.OutSince)); step.Began.Before(&out) {
		step.Began = &out
	}
}
