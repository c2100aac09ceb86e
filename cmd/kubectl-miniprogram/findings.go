package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
)

// findingsOptions are the flags of findings.
type findingsOptions struct {
	config    *genericclioptions.ConfigFlags
	streams   genericiooptions.IOStreams
	output    string
	plainHTTP bool
}

func newFindings(streams genericiooptions.IOStreams) *cobra.Command {
	o := &findingsOptions{config: genericclioptions.NewConfigFlags(true), streams: streams}
	cmd := &cobra.Command{
		Use:   "findings VERSION",
		Short: "Show all that checks and policies say of a version",
		Long: `Show all that the checks of the bundle, the ReviewPolicies and the host apps say
of a MiniProgramVersion. Its status has the first ten.

What the checks found stands beside the artifact in the registry, which is read
with the credentials of docker login. The policies are those that the operator
has applied to the version (status.policies), as they are now. Of a version whose
bundle was not accepted, the status is all that there is.

Exits with 0 when nothing is an error, with 1 when something is, and with 2 when
the findings could not be read.`,
		Example: `  kubectl miniprogram findings shop-1-1-0 -n shop-team

  # For a machine to read
  kubectl miniprogram findings shop-1-1-0 -n shop-team -o json`,
		Args: exactly("VERSION, the name of a MiniProgramVersion"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.output, "output", "o", "", "json, for machines; a table when it is left out")
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "speak http with a registry on this machine")
	o.config.AddFlags(flags)
	return cmd
}

func (o *findingsOptions) run(ctx context.Context, name string) error {
	if o.output != "" && o.output != "json" {
		return fmt.Errorf("--output is %q: write json, or leave it out for a table", o.output)
	}
	c, err := connect(o.config, o.streams.ErrOut)
	if err != nil {
		return err
	}
	v, err := c.findVersion(ctx, name)
	if err == nil && v == nil {
		err = fmt.Errorf("MiniProgramVersion %s does not exist in namespace %s: correct the name or -n", name, c.namespace)
	}
	if err != nil {
		return err
	}
	r, err := o.report(ctx, c, v)
	if err != nil {
		return err
	}
	return r.write(o.streams.Out, o.output)
}

func (o *findingsOptions) report(ctx context.Context, c *cluster, v *v1alpha1.MiniProgramVersion) (report, error) {
	r := report{Version: v.Spec.Version}
	if b := v.Status.Bundle; b != nil {
		r.Format, r.AppID, r.ContentDigest = b.Format, b.AppID, b.ContentDigest
	}
	switch a := v.Status.Artifact; {
	case a == nil && v.Status.Findings != nil:
		r.addPolicies(v.Status.Findings.First)
		if more := int(v.Status.Findings.Errors+v.Status.Findings.Warnings) - len(r.Findings); more > 0 {
			fmt.Fprintf(o.streams.ErrOut, "and %d more, which nobody has kept: `kubectl miniprogram check` shows all\n", more)
		}
		return r, nil
	case a == nil:
		return r, fmt.Errorf("MiniProgramVersion %s was not checked yet: %s", v.Name, v.Status.Summary)
	case a.DeletionTime != nil:
		return r, fmt.Errorf("the artifact of MiniProgramVersion %s is deleted in the registry, and its findings with it: status.findings has the first", v.Name)
	}
	program, err := c.getProgram(ctx, v.Spec.MiniProgramRef.Name)
	if err != nil {
		return r, err
	}
	policies, err := c.policiesOf(ctx, v)
	if err != nil {
		return r, err
	}
	from, err := newArtifacts(o.plainHTTP)
	if err != nil {
		return r, err
	}
	known, results, err := from.check(ctx, program, v, policies)
	if err != nil {
		return r, err
	}
	r.add(known.Findings)
	r.addPolicies(policy.Shown(results))
	hosts, err := c.hostAppsOf(ctx, program)
	if err != nil {
		return r, err
	}
	for _, host := range hosts {
		r.addPolicies(policy.CheckHostApp(known.Facts.Declaration, host))
	}
	return r, nil
}

// policiesOf are those that the operator has applied to the version, and that are
// still there.
func (c *cluster) policiesOf(ctx context.Context, v *v1alpha1.MiniProgramVersion) ([]v1alpha1.ReviewPolicy, error) {
	var policies []v1alpha1.ReviewPolicy
	for _, by := range v.Status.Policies {
		var p v1alpha1.ReviewPolicy
		err := c.client.Get(ctx, client.ObjectKey{Name: by.Name}, &p)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading ReviewPolicy %s: %w", by.Name, err)
		}
		policies = append(policies, p)
	}
	return policies, nil
}

func (c *cluster) hostAppsOf(ctx context.Context, p *v1alpha1.MiniProgram) ([]v1alpha1.HostApp, error) {
	var hosts []v1alpha1.HostApp
	for _, name := range p.Spec.HostApps {
		var h v1alpha1.HostApp
		err := c.client.Get(ctx, client.ObjectKey{Name: name}, &h)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading HostApp %s: %w", name, err)
		}
		hosts = append(hosts, h)
	}
	return hosts, nil
}
