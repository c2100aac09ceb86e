package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// crashes is the guardrail of the bad version: at most a tenth of launches may crash.
// Ten seconds are the shortest interval that there is.
const crashes = `[{"name":"crashes","hostReports":{"outcome":"Crashed"},"failureAbove":"10%","minSamples":20,"intervalSeconds":10,"onFailure":"Pause"}]`

const (
	// launches and crashed are what phones report in one batch, of which one goes every second.
	launches, crashed = 40, 12
	reportEvery       = time.Second
)

// crash has phones report of a version until its guardrail has paused it.
func (d *demo) crash(ctx context.Context, v version) error {
	d.out.say("phones report that %d %% of the launches of %s crash, and guardrail crashes allows 10 %%", 100*crashed/launches, v.version)
	ro, next := &v1alpha1.Rollout{}, time.Time{}
	err := until(ctx, "guardrail crashes to pause "+v.String(), d.patience(), d.tails(), func(ctx context.Context) error {
		if now := time.Now(); now.After(next) {
			next = now.Add(reportEvery)
			if err := d.crowd.report(ctx, v); err != nil {
				return err
			}
		}
		if err := d.client.Get(ctx, v.program.key(), ro); err != nil {
			return err
		}
		if ro.Status.PausedReason != "Guardrail" {
			return fmt.Errorf("it is not paused; its status: %q;%s", ro.Status.Summary, describe(ro.Status.Conditions))
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.out.say("Rollout %s: %s", v.program.name, ro.Status.Summary)
	d.checks.that(containsAll(ro.Status.Summary, "guardrail crashes failed: crashes 30 % of", fmt.Sprintf("abort@%d", ro.Status.Attempt)),
		"the summary does not say why the rollout is paused, and what to do: %q", ro.Status.Summary)
	d.checks.expect("GuardrailsHealthy of shop", meta.IsStatusConditionFalse(ro.Status.Conditions, v1alpha1.ConditionGuardrailsHealthy), true)
	d.checks.expect("Paused of shop", meta.IsStatusConditionTrue(ro.Status.Conditions, v1alpha1.ConditionPaused), true)
	d.checks.expect("share of shop while it is paused", ro.Status.Percent, "5%")
	return nil
}

// report sends what some phones have seen of a version.
func (c *crowd) report(ctx context.Context, v version) error {
	type one struct {
		AppID    string `json:"appID"`
		Digest   string `json:"digest"`
		Event    string `json:"event"`
		LaunchID string `json:"launchID"`
	}
	var batch struct {
		Reports []one `json:"reports"`
	}
	for n := range launches {
		launch := one{AppID: v.program.appID, Digest: v.digest, Event: "launch", LaunchID: fmt.Sprint("launch-", n)}
		batch.Reports = append(batch.Reports, launch)
		if n < crashed {
			launch.Event = "crashed"
			batch.Reports = append(batch.Reports, launch)
		}
	}
	body, err := json.Marshal(batch)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/v1/hosts/"+hostApp+"/reports", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	_, err = c.do(request)
	if status, ok := errors.AsType[*statusError](err); ok && status.code == http.StatusAccepted {
		return nil
	}
	return err
}

// explain has support ask why one user gets the target, and another does not.
func (d *demo) explain(ctx context.Context, a asked, target, stable version) error {
	told := map[string]bool{}
	for _, user := range d.crowd.users {
		due := a.due(user)
		if told[due] {
			continue
		}
		told[due] = true
		text, err := d.askWhy(ctx, user, a.appID)
		if err != nil {
			return err
		}
		want := fmt.Sprintf("user %s gets %s (stable): bucket", user, stable.version)
		if due == target.digest {
			want = fmt.Sprintf("user %s gets %s (target): bucket", user, target.version)
			d.out.more("%s", text)
		} else {
			d.out.more("%s", text[strings.LastIndex(text, "\n")+1:])
		}
		d.checks.that(strings.Contains(text, want), "%q is not in what support is told of %s: %s", want, user, text)
		if len(told) == 2 {
			break
		}
	}
	d.checks.expect("kinds of users that were explained", len(told), 2)
	return nil
}

// askWhy runs the kubectl plugin as support, with its token.
func (d *demo) askWhy(ctx context.Context, user, appID string) (string, error) {
	args := []string{"explain", "--user", user, "--host", hostApp, appID}
	d.out.command(support, append([]string{"miniprogram"}, args...))
	out, err := exec.CommandContext(ctx, "bin/kubectl-miniprogram", append(args, "--kubeconfig", d.people[support])...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: kubectl miniprogram explain: %w\n%s", support, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
