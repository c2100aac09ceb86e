package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// checkOptions are the flags of check.
type checkOptions struct {
	expectations
	streams   genericiooptions.IOStreams
	output    string
	plainHTTP bool
}

func newCheck(streams genericiooptions.IOStreams) *cobra.Command {
	o := &checkOptions{streams: streams}
	cmd := &cobra.Command{
		Use:   "check PATH",
		Short: "Check a bundle as the operator does",
		Long: `Check a bundle as the operator does, without a cluster.

PATH is a folder, an archive (.zip or .ma), or oci://registry/repository with
:tag or @digest, which is read with the credentials of docker login. A folder is
packed into a temporary file first, as push packs it.

What the objects in the cluster will say comes from flags or from their files:
app ID, permissions and declaration from a MiniProgram, version and format from a
MiniProgramVersion, limits from ReviewPolicies. What nobody says is not compared.

Exits with 0 when nothing is an error, with 1 when something is, and with 2 when
the bundle could not be checked.`,
		Example: `  # A folder, as it is
  kubectl miniprogram check dist

  # An archive, against the objects that are in Git
  kubectl miniprogram check shop.zip -f shop.yaml -f shop-1.0.0.yaml

  # What was pushed, for a machine to read
  kubectl miniprogram check oci://registry.example.com/staging/shop:1.0.0 -o json`,
		Args: exactly("PATH, a folder, an archive or oci://registry/repository:tag"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.appID, "app-id", "", "app ID of the mini program")
	flags.StringVarP(&o.output, "output", "o", "", "json, for machines; a table when it is left out")
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "speak http with a registry on this machine")
	o.bind(cmd)
	return cmd
}

// exactly wants one argument and says what it is.
func exactly(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("exactly one argument is needed: %s", what)
		}
		return nil
	}
}

func (o *checkOptions) run(ctx context.Context, path string) error {
	if o.output != "" && o.output != "json" {
		return fmt.Errorf("--output is %q: write json, or leave it out for a table", o.output)
	}
	facts, err := o.read(o.streams.In)
	if err != nil {
		return err
	}
	r, err := o.check(ctx, path, facts)
	if err != nil {
		return err
	}
	return r.write(o.streams.Out, o.output)
}

// check opens what PATH names and reports on it. The error is about what kept it
// from being checked.
func (o *checkOptions) check(ctx context.Context, path string, facts facts) (report, error) {
	a, err := open(ctx, path, o.limits, o.plainHTTP)
	if bad, ok := errors.AsType[*bundle.CheckError](err); ok {
		return refused(bad), nil
	}
	if err != nil {
		return report{}, err
	}
	defer a.Close()
	r, _, err := examine(a, facts)
	return r, err
}
