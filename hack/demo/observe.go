package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// row is one observation: what was set, and what 1,000 users got.
type row struct {
	step string
	set  int64 // hundredths of a percent
	// users that should get the target by the second evaluator, and that did
	expected, served int
	// moved are the users whose device had to install, update or go back.
	moved  int
	differ int
}

const tableFormat = "%-34s %8s  %9s  %7s  %7s  %7s"

// table writes all rows.
func table(rows []row) []string {
	lines := []string{fmt.Sprintf(tableFormat, "step", "set", "expected", "served", "moved", "differ")}
	for _, r := range rows {
		lines = append(lines, fmt.Sprintf(tableFormat, r.step, percentOf(r.set),
			fmt.Sprint(r.expected), fmt.Sprint(r.served), fmt.Sprint(r.moved), fmt.Sprint(r.differ)))
	}
	return lines
}

// observe asks the manifest service as every user, compares each answer with the
// second evaluator's, checks the signed document, and adds a row to the table.
// Sequence is that of the document that has to be served; 0: none is.
func (d *demo) observe(ctx context.Context, step string, a asked, sequence int64) error {
	d.chaos.tick(ctx)
	err := until(ctx, fmt.Sprintf("the manifest service to serve sequence %d of %s", sequence, a.appID), d.patience(), d.tails(),
		func(context.Context) error {
			if at := d.served.sequence(a.appID); at < sequence {
				return fmt.Errorf("it serves %d", at)
			}
			return nil
		})
	if err != nil {
		return err
	}
	began := time.Now()
	answers, err := d.crowd.askAll(ctx, a.appID)
	if err != nil {
		return err
	}
	d.figures.add(&d.figures.CrowdAsked, time.Since(began))
	if d.kills > 0 && a.brief && slices.ContainsFunc(answers, func(got answer) bool { return got.Sequence > sequence }) {
		for i, got := range answers {
			d.crowd.install(a.appID, i, got)
		}
		d.out.say("a kill left too little of this step to ask all users")
		d.checks.that(d.served.published(a), "%s was never published", step)
		return nil
	}
	r := row{step: step, set: a.hundredths}
	first := ""
	for i, got := range answers {
		wrong := d.compare(&r, i, got, a, sequence)
		if wrong != "" && first == "" {
			first = wrong
		}
	}
	d.rows = append(d.rows, r)
	d.out.say("1,000 users ask: set %s, expected %d, served %d (%.1f %%), moved %d, differ %d",
		percentOf(r.set), r.expected, r.served, float64(r.served)*100/crowdSize, r.moved, r.differ)
	d.checks.that(r.differ == 0, "%s: %d of %d users got something else than they should; the first: %s", step, r.differ, crowdSize, first)
	if sequence == 0 {
		return nil
	}
	return d.checkDocument(ctx, step, a, sequence, answers[0].EnvelopeDigest)
}

// compare counts one user's answer and says what is wrong with it.
func (d *demo) compare(r *row, user int, got answer, a asked, sequence int64) string {
	name := d.crowd.users[user]
	due, had := a.due(name), d.crowd.has(a.appID, user)
	if a.target != "" && due == a.target {
		r.expected++
	}
	if got.Digest != "" && got.Digest == a.target {
		r.served++
	}
	if got.Action != "none" {
		r.moved++
	}
	d.crowd.install(a.appID, user, got)
	wrong := ""
	switch {
	case got.Digest != due:
		wrong = fmt.Sprintf("%s got %s (%s), should get %s", name, orNothing(got.Digest), got.Reason, orNothing(due))
	case got.Sequence != sequence:
		wrong = fmt.Sprintf("%s was answered from sequence %d, should be %d", name, got.Sequence, sequence)
	case (got.Action != "none") != (due != had):
		wrong = fmt.Sprintf("%s has %s, is due %s and is told %s", name, orNothing(had), orNothing(due), got.Action)
	}
	if wrong != "" {
		r.differ++
	}
	return wrong
}

// install does on a user's device what the answer says.
func (c *crowd) install(appID string, user int, a answer) {
	if c.installed[appID] == nil {
		c.installed[appID] = make([]string, len(c.users))
	}
	switch a.Action {
	case "install", "update", "rollback":
		c.installed[appID][user] = a.Digest
	case "remove":
		c.installed[appID][user] = ""
	}
}

// checkDocument verifies the signed document that a host app would read instead
// of asking the service, and that it says the same.
func (d *demo) checkDocument(ctx context.Context, step string, a asked, sequence int64, envelopeDigest string) error {
	verified, err := d.crowd.envelope(ctx, a.appID)
	if err != nil {
		d.checks.that(false, "%s: %v", step, err)
		return ctx.Err()
	}
	doc := verified.Document
	d.checks.expect(step+": sequence of the signed document", doc.Sequence, sequence)
	d.checks.expect(step+": envelopeDigest of the answers", envelopeDigest, verified.EnvelopeDigest)
	stable, target, share := "", "", int64(0)
	if doc.Stable != nil {
		stable = doc.Stable.Digest
	}
	if doc.Target != nil && doc.Split != nil {
		target, share = doc.Target.Digest, int64(doc.Split.BasisPoints)
	}
	want := [3]any{a.stable, a.target, a.hundredths}
	if a.target == a.stable || a.hundredths == 0 {
		want = [3]any{a.stable, "", int64(0)} // nothing is under way
	}
	d.checks.expect(step+": stable, target and share of the signed document", [3]any{stable, target, share}, want)
	return nil
}

func orNothing(digest string) string {
	if digest == "" {
		return "nothing"
	}
	return short(digest)
}
