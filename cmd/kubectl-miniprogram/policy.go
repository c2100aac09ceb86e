package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
)

// readersAtOnce is how many artifacts are read at a time.
const readersAtOnce = 8

// policyTestOptions are the flags of policy test.
type policyTestOptions struct {
	config    *genericclioptions.ConfigFlags
	streams   genericiooptions.IOStreams
	files     []string
	output    string
	plainHTTP bool
}

func newPolicy(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Try ReviewPolicies out"}
	cmd.AddCommand(newPolicyTest(streams))
	return cmd
}

func newPolicyTest(streams genericiooptions.IOStreams) *cobra.Command {
	o := &policyTestOptions{config: genericclioptions.NewConfigFlags(true), streams: streams}
	cmd := &cobra.Command{
		Use:   "test -f FILE",
		Short: "Tell which versions a policy would object to, before it is applied",
		Long: `Tell which of the versions in the cluster the ReviewPolicies in a file would object
to, and why. Nothing is changed.

Each policy is held against the published versions that it would cover, of all
namespaces, or of the one that -n names, by what the operator has recorded beside
their artifacts. Where a policy searches for text that was not searched for yet,
the bundle itself is read from the registry. Both with the credentials of docker
login. Approvals are not asked about, and stable versions are told of too, though
a new policy does not touch them.

Exits with 0 when no policy objects, with 1 when one does, and with 2 when a policy
or an artifact could not be read.`,
		Example: `  kubectl miniprogram policy test -f strict-privacy.yaml

  # Only the developer group shop-team, for a machine to read
  kubectl miniprogram policy test -f strict-privacy.yaml -n shop-team -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&o.files, "filename", "f", nil, "YAML file with ReviewPolicies; - reads the input; may be repeated (required)")
	flags.StringVarP(&o.output, "output", "o", "", "json, for machines; a table when it is left out")
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "speak http with a registry on this machine")
	o.config.AddFlags(flags)
	return cmd
}

// verdict is what one policy says of one version.
type verdict struct {
	Policy    string    `json:"policy"`
	Namespace string    `json:"namespace"`
	Version   string    `json:"version"`
	Digest    string    `json:"digest"`
	Findings  []finding `json:"findings"`
}

// trial is all that policy test says.
type trial struct {
	// Covered is how many pairs of a policy and a version there are.
	Covered  int       `json:"covered"`
	Objected int       `json:"objected"`
	Verdicts []verdict `json:"verdicts"`
}

func (o *policyTestOptions) run(ctx context.Context) error {
	policies, err := o.policies()
	if err != nil {
		return err
	}
	c, err := connect(o.config, o.streams.ErrOut)
	if err != nil {
		return err
	}
	from, err := newArtifacts(o.plainHTTP)
	if err != nil {
		return err
	}
	subjects, err := c.subjects(ctx, explicitNamespace(o.config))
	if err != nil {
		return err
	}
	t, err := try(ctx, from, policies, subjects)
	if err != nil {
		return err
	}
	if o.output == "json" {
		encoder := json.NewEncoder(o.streams.Out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(t)
	} else {
		err = t.writeTable(o.streams.Out)
	}
	if err == nil && t.Objected > 0 {
		err = errReported
	}
	return err
}

func (o *policyTestOptions) policies() ([]v1alpha1.ReviewPolicy, error) {
	if o.output != "" && o.output != "json" {
		return nil, fmt.Errorf("--output is %q: write json, or leave it out for a table", o.output)
	}
	named, err := readObjects(o.files, o.streams.In)
	if err != nil {
		return nil, err
	}
	if len(named.policies) == 0 {
		return nil, errors.New("-f is required: a YAML file with a ReviewPolicy")
	}
	for i := range named.policies {
		if err := policy.CheckSpec(&named.policies[i]); err != nil {
			return nil, err
		}
	}
	return named.policies, nil
}

// subject is a version with what policies select it by.
type subject struct {
	version *v1alpha1.MiniProgramVersion
	program *v1alpha1.MiniProgram
	labels  map[string]string // of its namespace
}

// subjects are the published versions of a namespace, or of all.
func (c *cluster) subjects(ctx context.Context, namespace string) ([]subject, error) {
	var versions v1alpha1.MiniProgramVersionList
	var programs v1alpha1.MiniProgramList
	for _, list := range []client.ObjectList{&versions, &programs} {
		if err := c.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, fmt.Errorf("listing versions and mini programs: %w", err)
		}
	}
	byName := map[client.ObjectKey]*v1alpha1.MiniProgram{}
	for i := range programs.Items {
		byName[client.ObjectKeyFromObject(&programs.Items[i])] = &programs.Items[i]
	}
	labels := map[string]map[string]string{}
	var subjects []subject
	for i := range versions.Items {
		v := &versions.Items[i]
		p := byName[client.ObjectKey{Namespace: v.Namespace, Name: v.Spec.MiniProgramRef.Name}]
		if a := v.Status.Artifact; a == nil || a.DeletionTime != nil || v.Status.Bundle == nil || p == nil {
			continue
		}
		if labels[v.Namespace] == nil {
			var ns corev1.Namespace
			if err := c.client.Get(ctx, client.ObjectKey{Name: v.Namespace}, &ns); err != nil {
				return nil, fmt.Errorf("reading namespace %s, by whose labels policies select: %w", v.Namespace, err)
			}
			labels[v.Namespace] = ns.Labels
		}
		subjects = append(subjects, subject{v, p, labels[v.Namespace]})
	}
	return subjects, nil
}

// try holds every policy against the versions that it would cover.
func try(ctx context.Context, from *artifacts, policies []v1alpha1.ReviewPolicy, subjects []subject) (trial, error) {
	t := trial{Verdicts: []verdict{}}
	verdicts := make([][]verdict, len(subjects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readersAtOnce)
	for i, s := range subjects {
		var covering []v1alpha1.ReviewPolicy
		for j := range policies {
			covers, err := policy.Selects(&policies[j], s.labels, s.program.Labels, s.program.Spec.HostApps)
			if err != nil {
				return t, err
			}
			if covers {
				covering = append(covering, policies[j])
			}
		}
		if t.Covered += len(covering); len(covering) == 0 {
			continue
		}
		group.Go(func() (err error) {
			verdicts[i], err = s.judge(ctx, from, covering)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return t, err
	}
	for _, more := range verdicts {
		t.Verdicts = append(t.Verdicts, more...)
	}
	slices.SortStableFunc(t.Verdicts, func(a, b verdict) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Version, b.Version))
	})
	t.Objected = len(t.Verdicts)
	return t, nil
}

// judge returns what the policies object to.
func (s *subject) judge(ctx context.Context, from *artifacts, covering []v1alpha1.ReviewPolicy) ([]verdict, error) {
	_, results, err := from.check(ctx, s.program, s.version, covering)
	if err != nil {
		return nil, fmt.Errorf("MiniProgramVersion %s/%s: %w", s.version.Namespace, s.version.Name, err)
	}
	var out []verdict
	for _, result := range results {
		if len(result.Findings) == 0 {
			continue
		}
		r := report{}
		r.addPolicies(result.Findings)
		out = append(out, verdict{result.Policy, s.version.Namespace, s.version.Name, s.version.Status.Artifact.Digest, r.Findings})
	}
	return out, nil
}

func (t *trial) writeTable(w io.Writer) error {
	if len(t.Verdicts) > 0 {
		table := printers.GetNewTabWriter(w)
		fmt.Fprintln(table, "POLICY\tNAMESPACE\tVERSION\tSEVERITY\tRULE\tFILE\tMESSAGE")
		for _, v := range t.Verdicts {
			for _, f := range v.Findings {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.Policy, v.Namespace, v.Version, f.Severity, f.Rule, f.place(), f.Message)
			}
		}
		if err := table.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintf(w, "%s covered, %d would be objected to\n", plural(t.Covered, "version"), t.Objected)
	return err
}
