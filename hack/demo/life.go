package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// play plays the life of the mini program shop, with two others beside it.
func (d *demo) play(ctx context.Context) error {
	began := time.Now()
	if d.kills > 0 {
		d.out.say("the manager will be killed %d times: -kill %d -seed %d", d.kills, d.kills, d.seed)
	}
	for _, scene := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"Three mini programs are handed in", d.handInFirst},
		{"Nobody gets what nobody approved", d.refuseUnapproved},
		{"Two people approve, and the first release begins", d.firstRelease},
		{"A second version", d.secondVersion},
		{"A bad version is aborted", d.badVersion},
		{"A rollback", d.rollBack},
		{"The other two", d.others},
	} {
		d.out.section(scene.title)
		if err := scene.play(ctx); err != nil {
			return err
		}
	}
	d.figures.LifeSeconds = round(time.Since(began))
	if d.kills > 0 {
		if err := d.afterKills(ctx); err != nil {
			return err
		}
	}
	return d.endState(ctx)
}

// as runs kubectl as somebody, with that person's certificate.
func (d *demo) as(ctx context.Context, who string, args ...string) (string, error) {
	d.out.command(who, args)
	out, err := d.cp.Kubectl(ctx, d.people[who], args...)
	if err != nil {
		return out, fmt.Errorf("%s: %w", who, err)
	}
	return out, nil
}

// act is as, in the main line of the story.
func (d *demo) act(ctx context.Context, who string, args ...string) error {
	d.chaos.tick(ctx)
	_, err := d.as(ctx, who, args...)
	return err
}

// handInFirst lets the developers apply what is theirs.
func (d *demo) handInFirst(ctx context.Context) error {
	for _, group := range []struct {
		developer, namespace string
		versions             []version
	}{
		{dana, programShop.namespace, []version{shop100, notes090}},
		{tariq, programTransit.namespace, []version{transit230}},
	} {
		err := d.act(ctx, group.developer, "apply", "--server-side", "-k", samples+"/archives", "-l", "miniprogram.dev/group="+group.namespace)
		if err != nil {
			return err
		}
		applied := time.Now()
		if err := d.act(ctx, group.developer, "apply", "--server-side", "-k", samples+"/"+group.namespace); err != nil {
			return err
		}
		for _, v := range group.versions {
			if err := d.awaitArtifact(ctx, v, applied); err != nil {
				return err
			}
		}
	}
	return nil
}

// handIn lets a developer apply one more version.
func (d *demo) handIn(ctx context.Context, v version) error {
	applied := time.Now()
	err := d.act(ctx, v.author, "apply", "--server-side", "-n", v.program.namespace, "-f", fmt.Sprintf("%s/later/%s-%s.yaml", samples, v.program.name, v.version))
	if err != nil {
		return err
	}
	return d.awaitArtifact(ctx, v, applied)
}

// refuseUnapproved has those who may not approve try it, and the operator release.
func (d *demo) refuseUnapproved(ctx context.Context) error {
	v := d.versions.get(shop100)
	for _, attempt := range []struct{ who, because string }{
		{v.author, v.author + " may not decide in role quality"},
		{installer, "holds every right through a wildcard"},
	} {
		if err := d.refuse(ctx, v, attempt.who, attempt.because); err != nil {
			return err
		}
	}
	if err := d.act(ctx, olu, "apply", "--server-side", "-k", samples+"/rollouts"); err != nil {
		return err
	}
	ro, err := d.awaitRollout(ctx, v.program.key(), "to wait for approval", func(ro *v1alpha1.Rollout) string {
		c := meta.FindStatusCondition(ro.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Reason != "NotApproved" {
			return "Ready has not the reason NotApproved"
		}
		return ""
	})
	if err != nil {
		return err
	}
	d.out.say("Rollout shop: %s", ro.Status.Summary)
	return d.observe(ctx, "1.0.0 without approval", asked{appID: v.program.appID}, 0)
}

// refuse has somebody decide a Review who may not.
func (d *demo) refuse(ctx context.Context, v version, who, because string) error {
	review, err := d.pendingReview(ctx, v, "quality")
	if err != nil {
		return err
	}
	err = d.act(ctx, who, "patch", "mprev", review.Name, "-n", v.program.namespace, "--type=merge", "-p", approval)
	if errors.Is(err, context.Canceled) || err == nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		d.checks.that(false, "%s could approve the version", who)
		return nil
	}
	_, message, _ := strings.Cut(err.Error(), "denied request: ")
	d.out.say("refused: %s", message)
	d.checks.that(containsAll(err.Error(), because), "the approval of %s was refused with other words: %v", who, err)
	return nil
}

// firstRelease approves everything; the two small programs go out at once,
// beside the first steps of shop.
func (d *demo) firstRelease(ctx context.Context) error {
	others := make(chan error, 1)
	go func() { others <- d.approveOthers(ctx) }()
	err := d.approveAndRelease(ctx, shop100, "", func(context.Context) error { return nil })
	return errors.Join(err, <-others)
}

func (d *demo) approveOthers(ctx context.Context) error {
	for _, v := range []version{notes090, transit230} {
		v = d.versions.get(v)
		if err := d.approve(ctx, v, d.as); err != nil {
			return err
		}
		ro, err := d.awaitRollout(ctx, v.program.key(), v.version+" to be stable", stableAt(v))
		if err != nil {
			return err
		}
		d.out.say("Rollout %s: %s", v.program.name, ro.Status.Summary)
	}
	return nil
}

// approveAndRelease takes a version of shop from its approval to everybody, past
// the one that is stable so far.
func (d *demo) approveAndRelease(ctx context.Context, v version, stable string, name func(context.Context) error) error {
	v = d.versions.get(v)
	if err := d.approve(ctx, v, d.asActing); err != nil {
		return err
	}
	if err := name(ctx); err != nil {
		return err
	}
	return d.walk(ctx, v, stable, allSteps)
}

// secondVersion hands in 1.1.0 and takes it to everybody.
func (d *demo) secondVersion(ctx context.Context) error {
	if err := d.handIn(ctx, shop110); err != nil {
		return err
	}
	return d.approveAndRelease(ctx, shop110, d.versions.get(shop100).digest, func(ctx context.Context) error { return d.name(ctx, shop110) })
}

// name sets what the Rollout names, as a commit in Git would.
func (d *demo) name(ctx context.Context, v version) error { return d.nameGuarded(ctx, v, "") }

// nameGuarded sets its guardrails too.
func (d *demo) nameGuarded(ctx context.Context, v version, guardrails string) error {
	if guardrails != "" {
		guardrails = `,"guardrails":` + guardrails
	}
	return d.act(ctx, olu, "patch", "mpr", v.program.name, "-n", v.program.namespace, "--type=merge",
		"-p", fmt.Sprintf(`{"spec":{"versionRef":{"name":%q}%s}}`, v.object, guardrails))
}

// badVersion releases 1.2.0 to the first share. Phones report that it crashes, a
// guardrail pauses it, support looks at whom it concerns, and the operator aborts it.
func (d *demo) badVersion(ctx context.Context) error {
	if err := d.handIn(ctx, shop120); err != nil {
		return err
	}
	bad, good := d.versions.get(shop120), d.versions.get(shop110)
	if err := d.approve(ctx, bad, d.asActing); err != nil {
		return err
	}
	if err := d.nameGuarded(ctx, bad, crashes); err != nil {
		return err
	}
	if err := d.walk(ctx, bad, good.digest, 1); err != nil {
		return err
	}
	if err := d.crash(ctx, bad); err != nil {
		return err
	}
	if err := d.explain(ctx, asked{appID: bad.program.appID, target: bad.digest, stable: good.digest, hundredths: 500}, bad, good); err != nil {
		return err
	}
	d.served.mayTakeBack()
	if err := d.action(ctx, bad.program, "abort", ""); err != nil {
		return err
	}
	ro, err := d.awaitRollout(ctx, bad.program.key(), "to be aborted", func(ro *v1alpha1.Rollout) string {
		switch {
		case ro.Status.Target != nil:
			return "the target is still there"
		case !isTrue(ro, ro.Status.Conditions, v1alpha1.ConditionAborted):
			return "Aborted is not True"
		case !strings.Contains(ro.Status.Summary, "To go on"):
			return "it does not say how to go on"
		default:
			return unpublished(ro)
		}
	})
	if err != nil {
		return err
	}
	d.out.say("Rollout shop: %s", ro.Status.Summary)
	d.checks.expect("outcome after the abort", ro.Status.Outcome, v1alpha1.OutcomeAborted)
	return d.observe(ctx, "1.2.0 aborted", asked{appID: bad.program.appID, target: bad.digest, stable: good.digest}, ro.Status.Sequence)
}

// rollBack names the version before: it goes to everybody at once.
func (d *demo) rollBack(ctx context.Context) error {
	old := d.versions.get(shop100)
	d.served.mayTakeBack()
	if err := d.nameGuarded(ctx, old, "null"); err != nil {
		return err
	}
	ro, err := d.awaitRollout(ctx, old.program.key(), "to be rolled back to 1.0.0", stableAt(old))
	if err != nil {
		return err
	}
	d.out.say("Rollout shop: %s", ro.Status.Summary)
	d.checks.expect("outcome after the rollback", ro.Status.Outcome, v1alpha1.OutcomeRolledBack)
	return d.observe(ctx, "back to 1.0.0", everybody(old), ro.Status.Sequence)
}

// others looks at the two programs that went out at once.
func (d *demo) others(ctx context.Context) error {
	for _, v := range []version{notes090, transit230} {
		v = d.versions.get(v)
		ro, err := d.awaitRollout(ctx, v.program.key(), v.version+" to be stable", stableAt(v))
		if err != nil {
			return err
		}
		if err := d.observe(ctx, v.String()+" without steps", everybody(v), ro.Status.Sequence); err != nil {
			return err
		}
	}
	return d.readDimina(ctx, d.versions.get(transit230))
}

// afterKills asks once more when the last kill is over and the manager is back.
func (d *demo) afterKills(ctx context.Context) error {
	killed, due := d.chaos.finish()
	d.checks.that(killed >= d.kills, "the manager was killed %d times, want %d", killed, d.kills)
	d.checks.that(due, "no kill came within %s after a timed step was due", dueWithin)
	d.figures.Kills = killed
	if err := d.awaitManager(ctx); err != nil {
		return err
	}
	old := d.versions.get(shop100)
	ro, err := d.awaitRollout(ctx, old.program.key(), "to stand at 1.0.0", stableAt(old))
	if err != nil {
		return err
	}
	return d.observe(ctx, "after the last kill", everybody(old), ro.Status.Sequence)
}

// endState compares what is recorded at the end.
func (d *demo) endState(ctx context.Context) error {
	ro := &v1alpha1.Rollout{}
	if err := d.client.Get(ctx, programShop.key(), ro); err != nil {
		return err
	}
	var history []string
	for _, a := range ro.Status.History {
		history = append(history, fmt.Sprintf("%d %s %s", a.Attempt, a.Version, a.Outcome))
	}
	d.checks.expect("history of shop", history, []string{"1 1.0.0 Promoted", "2 1.1.0 Promoted", "3 1.2.0 Aborted", "3 1.1.0 RolledBack"})
	d.checks.expect("attempt of shop", ro.Status.Attempt, int32(4))
	for _, v := range []version{shop100, shop110, shop120, notes090, transit230} {
		var mpv v1alpha1.MiniProgramVersion
		if err := d.client.Get(ctx, v.key(), &mpv); err != nil {
			return err
		}
		d.checks.expect("digest of "+v.String(), mpv.Status.Artifact.Digest, d.versions.get(v).digest)
		d.checks.expect("Approved of "+v.String(), meta.IsStatusConditionTrue(mpv.Status.Conditions, v1alpha1.ConditionApproved), true)
		d.checks.expect("author of "+v.String(), mpv.Spec.SubmittedBy, v.author)
	}
	// These were released by their approval alone; the later ones waited for Git too.
	for _, v := range []version{shop100, notes090, transit230} {
		v = d.versions.get(v)
		if first, ok := d.served.firstServed(v.digest); ok {
			d.figures.add(&d.figures.ApprovalToServed, first.Sub(v.approved))
		}
	}
	looks := d.served.report(d.figures)
	d.out.say("the served documents were looked at %d times in between", looks)
	return nil
}
