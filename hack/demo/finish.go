package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

// summary writes the table and the times of the life.
func (d *demo) summary() {
	d.out.section("What was set, and what 1,000 users got")
	for _, line := range table(d.rows) {
		d.out.more("%s", line)
	}
	d.out.section("How long it took")
	for _, line := range d.figures.lines() {
		d.out.more("%s", line)
	}
}

// verdict ends a checked life: an error when anything differed.
func (d *demo) verdict(figuresFile string) error {
	d.summary()
	compared, failures := d.checks.result()
	d.out.section("Verdict")
	d.out.say("%d comparisons, %d differ; the manager was started %d times; figures are in %s",
		compared, len(failures), 1+d.manager.restartCount(), d.short(figuresFile))
	if len(failures) == 0 {
		return nil
	}
	d.tellFailures(failures)
	return fmt.Errorf("%d of %d comparisons differ%s", len(failures), compared, d.tails()())
}

// tellFailures writes the first of them; one cause often has many.
func (d *demo) tellFailures(failures []string) {
	const most = 30
	for _, f := range failures[:min(most, len(failures))] {
		d.out.more("DIFFERS: %s", f)
	}
	if rest := len(failures) - most; rest > 0 {
		d.out.more("and %d more", rest)
	}
}

// leaveRunning writes what to source, shows how to go on, and waits for Ctrl-C.
func (d *demo) leaveRunning(ctx context.Context) error {
	d.served.stop() // from now on anybody may take back what he likes
	d.summary()
	if _, failures := d.checks.result(); len(failures) > 0 {
		d.out.section("Not as it must be")
		d.tellFailures(failures)
	}
	env := d.path("env")
	if err := d.writeEnv(env); err != nil {
		return err
	}
	ro := &v1alpha1.Rollout{}
	if err := d.client.Get(ctx, programShop.key(), ro); err != nil {
		return err
	}
	d.out.section("It keeps running. To go on, in another terminal:")
	d.out.line("")
	for line := range strings.SplitSeq(hints(d.short(env), d.short(filepath.Join(d.dir, "people")), d.short(d.people[support]), ro.Status.Attempt+1), "\n") {
		d.out.line("  %s", line)
	}
	d.out.line("Ctrl-C stops everything; what is stored stays in %s (make demo-clean removes it).", d.short(d.dir))
	<-ctx.Done()
	return nil
}

// hints are lines to type, with a kubeconfig of support; attempt is the one that the next
// target of shop has.
func hints(env, people, support string, attempt int32) string {
	return fmt.Sprintf(`source %[1]s

# what there is, and what it waits for
kubectl get miniprogram-all -A
kubectl get mpr shop -n shop-team -w

# as the operator: 1.1.0 once more, 5 %%; promoted; or aborted
kubectl --kubeconfig %[3]s/olu.kubeconfig -n shop-team patch mpr shop --type=merge -p '{"spec":{"versionRef":{"name":"shop-1-1-0"}}}'
kubectl --kubeconfig %[3]s/olu.kubeconfig -n shop-team annotate mpr shop --overwrite miniprogram.dev/action=promote@%[2]d/1
kubectl --kubeconfig %[3]s/olu.kubeconfig -n shop-team annotate mpr shop --overwrite miniprogram.dev/action=abort@%[2]d

# the same with the kubectl plugin: drawn while it changes; promoted; or aborted
bin/kubectl-miniprogram rollout status shop --kubeconfig %[3]s/olu.kubeconfig -n shop-team --watch
bin/kubectl-miniprogram rollout promote shop --kubeconfig %[3]s/olu.kubeconfig -n shop-team
bin/kubectl-miniprogram rollout abort shop --kubeconfig %[3]s/olu.kubeconfig -n shop-team

# as a reviewer: the queue, and what waits for whom; as the developer, who may not release
kubectl --kubeconfig %[3]s/rosa.kubeconfig -n shop-team get mpv,mprev
kubectl --kubeconfig %[3]s/dana.kubeconfig -n shop-team auth can-i create mpr

# as support: why a user gets what he gets
bin/kubectl-miniprogram explain --kubeconfig %[4]s --user user-0001 --host wallet com.example.shop

# as a host app: one user's answer, the signed document, the list, Dimina's dialect
curl -s "$MANIFEST_URL/v1/hosts/wallet/resolve" -H 'Content-Type: application/json' \
  -d '{"user":"user-0001","programs":[{"appID":"com.example.shop"}]}'
curl -s "$MANIFEST_URL/v1/hosts/wallet/programs/com.example.shop"
curl -s "$MANIFEST_URL/v1/hosts/wallet/programs"
curl -s "$MANIFEST_URL/dimina/v1/hosts/wallet/com.example.transit.json?user=user-0001"

# the registry
curl -s "http://$REGISTRY/v2/_catalog"
`, env, attempt, people, support)
}

// writeEnv writes a file to source in a shell. kubectl keeps its cache apart from
// the user's, who may have another cluster at the same address one day.
func (d *demo) writeEnv(file string) error {
	assets, err := controlplane.AssetsDir()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(assets, "kubectl")); err != nil {
		assets = filepath.Join(d.root, "bin", "controlplane") // not every set of assets has it
	}
	text := fmt.Sprintf(`export KUBECONFIG=%s
export KUBECACHEDIR=%s
export MANIFEST_URL=%s
export REGISTRY=%s
export PATH=%s:"$PATH"
`, quote(d.kubeconfig), quote(filepath.Join(d.dir, "kubectl-cache")), d.url, d.registry.Host(), quote(assets))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}
