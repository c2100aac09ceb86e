package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/Masterminds/semver/v3"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// pushOptions are the flags of push.
type pushOptions struct {
	expectations
	config  *genericclioptions.ConfigFlags
	print   *genericclioptions.PrintFlags
	streams genericiooptions.IOStreams

	to, program, name    string
	secret, releaseNotes string
	submit               bool
	dryRun               string
	plainHTTP            bool
}

func newPush(streams genericiooptions.IOStreams) *cobra.Command {
	o := &pushOptions{
		config: genericclioptions.NewConfigFlags(true), print: genericclioptions.NewPrintFlags("created").WithTypeSetter(scheme), streams: streams,
	}
	cmd := &cobra.Command{
		Use:   "push DIR",
		Short: "Pack a folder, push it to a registry and create its MiniProgramVersion",
		Long: `Pack a folder, check it, push it to a staging repository, and create the
MiniProgramVersion that names it by digest.

The folder is packed to the same bytes on every machine: only names and content
count. What version control and macOS keep there is left out and reported; a
symbolic link is an error. A bundle with errors is not pushed. What the registry
has already is not sent again, so after an interruption the same command goes on.

App ID and permissions are compared with the MiniProgram in the cluster. With
--dry-run=client no cluster is asked: the bundle is pushed, for the object names
its digest, and the object is printed for a commit (-f FILE compares with the
MiniProgram that is in Git). spec.submittedBy is then left to whoever applies it.

The same content again is a no-op. A version is immutable: other content under
its name is an error, and needs another --version.

The registry's credentials are those of docker login.`,
		Example: `  # Version 1.1.0 of mini program shop, as its manifest says
  kubectl miniprogram push dist -n shop-team --program shop --to registry.example.com/staging/shop

  # A web bundle carries no version; reviewers are asked at once
  kubectl miniprogram push dist -n shop-team --program notes --version 0.9.1 --submit --to registry.example.com/staging/notes

  # For Git: push the bundle, print the object
  kubectl miniprogram push dist --program shop --to registry.example.com/staging/shop -f shop.yaml --dry-run=client -o yaml > shop-1.1.0.yaml`,
		Args: exactly("DIR, the folder of the bundle"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.to, "to", "", "staging repository, as registry/repository (required)")
	flags.StringVar(&o.program, "program", "", "name of the MiniProgram (required)")
	flags.StringVar(&o.name, "name", "", "name of the MiniProgramVersion; <program>-<version> with dashes for dots when it is left out")
	flags.StringVar(&o.secret, "secret", "", "Secret in the namespace with which the operator reads the staging repository")
	flags.StringVar(&o.releaseNotes, "release-notes", "", "text for reviewers and users")
	flags.BoolVar(&o.submit, "submit", false, "ask reviewers for their decision (spec.review: Requested)")
	flags.StringVar(&o.dryRun, "dry-run", dryRunNone, "none, or client: print the object instead of creating it")
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "speak http with a registry on this machine")
	o.bind(cmd)
	o.config.AddFlags(flags)
	o.print.AddFlags(cmd)
	return cmd
}

// Values of --dry-run.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
)

func (o *pushOptions) validate(dir string) error {
	switch {
	case o.to == "":
		return errors.New("--to is required: the staging repository, as registry/repository")
	case o.program == "":
		return errors.New("--program is required: the name of the MiniProgram")
	case o.dryRun != dryRunNone && o.dryRun != dryRunClient:
		return fmt.Errorf("--dry-run is %q: write none or client", o.dryRun)
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder: push packs a folder", dir)
	}
	return err
}

// run checks everything that can be checked before anything is sent: the bundle,
// then whether its version is free.
func (o *pushOptions) run(ctx context.Context, dir string) error {
	if err := o.validate(dir); err != nil {
		return err
	}
	printer, err := o.print.ToPrinter()
	if err != nil {
		return err
	}
	stage, err := newStaging(o.to, o.plainHTTP, o.streams.ErrOut)
	if err != nil {
		return err
	}
	facts, err := o.read(o.streams.In)
	if err != nil {
		return err
	}
	c, err := o.connect(ctx, &facts)
	if err != nil {
		return err
	}
	a, b, err := o.pack(dir, facts)
	if err != nil {
		return err
	}
	defer a.Close()
	v, bits, err := o.plan(stage, b)
	if err != nil {
		return err
	}
	if c != nil {
		return o.create(ctx, c, v, b, func() error { return stage.push(ctx, bits, a) })
	}
	if err := stage.push(ctx, bits, a); err != nil {
		return err
	}
	v.Namespace = explicitNamespace(o.config)
	return printPlanned(printer, v, o.streams.Out)
}

// connect returns the cluster, and takes from it what the bundle is compared
// with; nil when a dry run wants none.
func (o *pushOptions) connect(ctx context.Context, f *facts) (*cluster, error) {
	if o.dryRun == dryRunClient {
		return nil, nil
	}
	c, err := connect(o.config, o.streams.ErrOut)
	if err != nil {
		return nil, err
	}
	program, err := c.getProgram(ctx, o.program)
	if err != nil {
		return nil, err
	}
	f.setProgram(program)
	return c, nil
}

// create pushes the bundle once its version is known to be free or its own, so
// that nothing is sent in vain, and creates the version last.
func (o *pushOptions) create(ctx context.Context, c *cluster, v *v1alpha1.MiniProgramVersion, b *bundle.Bundle, push func() error) error {
	existing, err := c.findVersion(ctx, v.Name)
	if err != nil {
		return err
	}
	if existing != nil {
		if err := compareVersions(existing, v, b.ContentDigest); err != nil {
			return err
		}
	}
	if err := push(); err != nil {
		return err
	}
	done, err := c.ensureVersion(ctx, existing, v)
	if err != nil {
		return err
	}
	return o.report(done, existing != nil)
}

// pack packs and checks the folder. Findings go to the error output, for the
// object may be read from the other.
func (o *pushOptions) pack(dir string, f facts) (*archive, *bundle.Bundle, error) {
	a, err := packFolder(dir)
	if bad, ok := errors.AsType[*bundle.CheckError](err); ok {
		r := refused(bad)
		return nil, nil, errors.Join(r.writeFindings(o.streams.ErrOut), errReported)
	}
	if err != nil {
		return nil, nil, err
	}
	r, b, err := examine(a, f)
	if err == nil && len(r.Findings) > 0 {
		err = r.writeFindings(o.streams.ErrOut)
	}
	if err == nil && r.errors() > 0 {
		err = errReported
	}
	if err != nil {
		a.Close()
		return nil, nil, err
	}
	return a, b, nil
}

// plan makes the object, and what the registry is to hold.
func (o *pushOptions) plan(stage *staging, b *bundle.Bundle) (*v1alpha1.MiniProgramVersion, staged, error) {
	if b.Version == "" {
		return nil, staged{}, fmt.Errorf("--version is required: a %s bundle carries no version", b.Format)
	}
	if _, err := semver.StrictNewVersion(b.Version); err != nil {
		return nil, staged{}, &unacceptableError{fmt.Errorf("version %q is no semantic version such as 1.2.0 (semver.org): correct the manifest or --version", b.Version)}
	}
	bits, err := stage.plan(b, fmt.Sprintf("%s-%s.zip", o.program, b.Version))
	if err != nil {
		return nil, staged{}, err
	}
	return o.newVersion(b.Version, bits.ref), bits, nil
}

// report says what became of the object.
func (o *pushOptions) report(v *v1alpha1.MiniProgramVersion, existed bool) error {
	if existed {
		o.print.NamePrintFlags.Operation = "unchanged: this content is there already"
	}
	printer, err := o.print.ToPrinter()
	if err != nil {
		return err
	}
	return printer.PrintObj(v, o.streams.Out)
}
