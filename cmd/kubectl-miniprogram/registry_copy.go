package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	ociregistry "oras.land/oras-go/v2/registry"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
)

// registryCopyOptions are the flags of registry copy.
type registryCopyOptions struct {
	config  *genericclioptions.ConfigFlags
	streams genericiooptions.IOStreams

	from, to     string
	repositories []string
	fromCluster  bool
	verifyOnly   bool
	concurrency  int
	plainHTTP    bool
	caFile       string
}

func newRegistry(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "Move artifacts to another registry",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRegistryCopy(streams))
	return cmd
}

func newRegistryCopy(streams genericiooptions.IOStreams) *cobra.Command {
	o := &registryCopyOptions{config: genericclioptions.NewConfigFlags(true), streams: streams}
	cmd := &cobra.Command{
		Use:   "copy --from HOST/PREFIX --to HOST/PREFIX",
		Short: "Copy all artifacts to another registry, and verify them there",
		Long: `Copy all artifacts to another registry, and verify them there.

Everything below the prefix goes: tags, what they name, and what refers to it, such
as findings and signatures, at any depth. Digests stay, so approvals do. What the
target has is not sent again: after an interruption the same command goes on, and
what was published meanwhile is sent by running it again. A tag that names
something else at the target is never moved, and is reported.

Which repositories there are says the source's catalogue. Many registries have none:
--from-cluster asks the cluster's MiniPrograms, versions and Rollouts, in all
namespaces, and --repository names them.

Afterwards everything is compared once more, which --verify-only does alone: it
changes nothing, and tells what a copy would have to send.

The registries' credentials are those of docker login.

Exits with 0 when the target holds all that the source does, with 1 when it lacks
something or has it otherwise, and with 2 when a registry or the cluster failed.`,
		Example: `  # Everything below the prefix, as the source's catalogue lists it
  kubectl miniprogram registry copy --from old.example.com/miniprograms --to new.example.com/miniprograms

  # From a registry that lists nothing
  kubectl miniprogram registry copy --from old.example.com/miniprograms --to new.example.com/miniprograms --from-cluster

  # Is everything there?
  kubectl miniprogram registry copy --from old.example.com/miniprograms --to new.example.com/miniprograms --verify-only`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.from, "from", "", "registry and prefix that artifacts are in now, as the manager's --registry and --registry-prefix (required)")
	flags.StringVar(&o.to, "to", "", "registry and prefix that they go to (required)")
	flags.StringSliceVar(&o.repositories, "repository", nil, "copy this repository, named below the prefix, as shop-team/shop; can be given many times")
	flags.BoolVar(&o.fromCluster, "from-cluster", false, "copy the repositories that the cluster's objects name, instead of those of the catalogue")
	flags.BoolVar(&o.verifyOnly, "verify-only", false, "copy nothing, and tell what the target lacks")
	flags.IntVar(&o.concurrency, "concurrency", 4, "repositories that are worked on at a time, 1 to 32")
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "speak http with registries on this machine")
	flags.StringVar(&o.caFile, "ca-file", "", "PEM file with certificate authorities that are trusted for both registries, beside those of the system")
	o.config.AddFlags(flags)
	return cmd
}

func (o *registryCopyOptions) run(ctx context.Context) error {
	if o.from == "" || o.to == "" {
		return errors.New("--from and --to are required, as HOST/PREFIX")
	}
	if o.from == o.to {
		return errors.New("--from and --to name the same place")
	}
	if o.concurrency < 1 || o.concurrency > 32 {
		return fmt.Errorf("--concurrency is %d: it must be 1 to 32", o.concurrency)
	}
	if o.fromCluster && len(o.repositories) > 0 {
		return errors.New("--from-cluster and --repository exclude each other")
	}
	copier, err := o.copier()
	if err != nil {
		return err
	}
	all, err := o.find(ctx, copier.From)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("there is nothing below %s: correct --from", o.from)
	}
	return o.work(ctx, copier, all)
}

func (o *registryCopyOptions) copier() (*registry.Copier, error) {
	login, err := dockerLogin()
	if err != nil {
		return nil, err
	}
	trusted, err := registry.RootCAs(o.caFile)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	options := registry.Options{Credentials: login, RootCAs: trusted, UserAgent: userAgent(), Retry: true}
	c := &registry.Copier{}
	if c.From, err = o.client("--from", o.from, options); err != nil {
		return nil, err
	}
	if c.To, err = o.client("--to", o.to, options); err != nil {
		return nil, err
	}
	return c, nil
}

// registryPlace takes HOST/PREFIX apart.
func registryPlace(flag, place string) (host, prefix string, err error) {
	host, prefix, _ = strings.Cut(strings.TrimSuffix(place, "/"), "/")
	ref := ociregistry.Reference{Registry: host, Repository: prefix}
	err = ref.ValidateRegistry()
	if prefix != "" {
		err = errors.Join(err, ref.ValidateRepository())
	}
	if err != nil {
		return "", "", fmt.Errorf("%s is %q: write HOST[:PORT]/PREFIX, without a scheme or a tag", flag, place)
	}
	return host, prefix, nil
}

// client makes one of the two. Only a registry on this machine is spoken to in http.
func (o *registryCopyOptions) client(flag, place string, options registry.Options) (*registry.Client, error) {
	var err error
	if options.Host, options.Prefix, err = registryPlace(flag, place); err != nil {
		return nil, err
	}
	options.PlainHTTP = o.plainHTTP && source.IsThisMachine(options.Host)
	return registry.New(options), nil
}

// repository is one that is to be copied.
type repository struct {
	name string
	// digests are what the cluster knows of it, tagged or not.
	digests []string
	// optional: it need not be there.
	optional bool
}

// find lists the repositories below the prefix.
func (o *registryCopyOptions) find(ctx context.Context, from *registry.Client) ([]repository, error) {
	names := o.repositories
	switch {
	case o.fromCluster:
		c, err := connect(o.config, o.streams.ErrOut)
		if err != nil {
			return nil, err
		}
		return clusterRepositories(ctx, c.client)
	case len(names) == 0:
		var err error
		if names, err = from.Repositories(ctx); err != nil {
			return nil, fmt.Errorf("%w\n(a registry without a catalogue: add --from-cluster, or name what to copy with --repository)", forCopy(&registry.CopyError{Err: err}, o.from))
		}
	}
	var out []repository
	for _, name := range names {
		out = append(out, repository{name: name})
	}
	return out, nil
}

// work copies and verifies the repositories, some at a time.
func (o *registryCopyOptions) work(ctx context.Context, c *registry.Copier, all []repository) error {
	t := &copyTally{options: o, of: len(all)}
	group := errgroup.Group{} // one that fails does not end the others
	group.SetLimit(o.concurrency)
	for _, r := range all {
		group.Go(func() error {
			if ctx.Err() == nil {
				t.one(ctx, c, r)
			}
			return nil
		})
	}
	_ = group.Wait() // the tally has what went wrong
	if ctx.Err() != nil {
		return errors.New("interrupted: what has arrived is not sent again when you repeat the command")
	}
	return t.result()
}

// copyTally counts, and tells what happens as it does.
type copyTally struct {
	options *registryCopyOptions
	of      int

	mu                      sync.Mutex
	did, failed, lacking    int
	tags, referrers, absent int
	sent                    int64
}

func (t *copyTally) one(ctx context.Context, c *registry.Copier, r repository) {
	var sent registry.Copied
	var err error
	if !t.options.verifyOnly {
		sent, err = c.Copy(ctx, r.name, r.digests)
	}
	var found registry.Copied
	if err == nil {
		found, err = c.Verify(ctx, r.name, r.digests)
	}
	if ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.did++
	out, n := t.options.streams.Out, fmt.Sprintf("%d/%d", t.did, t.of)
	switch {
	case r.optional && errors.Is(err, registry.ErrNotFound):
		t.absent++
		return
	case err != nil:
		t.failed++
		fmt.Fprintf(out, "%s %s: FAILED: %v\n", n, r.name, forCopy(err, t.options.from))
		return
	}
	t.tags, t.referrers, t.sent = t.tags+found.Tags, t.referrers+found.Referrers, t.sent+sent.Bytes
	what := fmt.Sprintf("%s, %s", plural(found.Tags, "tag"), plural(found.Referrers, "referrer"))
	if !t.options.verifyOnly {
		what += fmt.Sprintf(", %s sent", showSize(sent.Bytes))
	}
	problems := slices.Compact(slices.Sorted(slices.Values(slices.Concat(sent.Problems, found.Problems))))
	if len(problems) == 0 {
		fmt.Fprintf(out, "%s %s: %s, verified\n", n, r.name, what)
		return
	}
	t.lacking++
	fmt.Fprintf(out, "%s %s: %s, DIFFERS\n", n, r.name, what)
	for _, p := range problems {
		fmt.Fprintf(out, "    %s\n", p)
	}
}

func (t *copyTally) result() error {
	same := t.did - t.failed - t.lacking - t.absent
	fmt.Fprintf(t.options.streams.Out, "%d of %d repositories are the same at %s: %s, %s; %s sent\n",
		same, t.of-t.absent, t.options.to, plural(t.tags, "tag"), plural(t.referrers, "referrer"), showSize(t.sent))
	switch {
	case t.failed > 0:
		return fmt.Errorf("%s failed: what has arrived is not sent again when you repeat the command", someRepositories(t.failed))
	case t.lacking > 0:
		return &unacceptableError{fmt.Errorf("%s not the same at %s", someRepositories(t.lacking), t.options.to)}
	}
	return nil
}

func someRepositories(n int) string {
	if n == 1 {
		return "1 repository"
	}
	return fmt.Sprintf("%d repositories", n)
}

// forCopy turns words for who runs the manager into words for who typed the command.
func forCopy(err error, from string) error {
	host, _, _ := strings.Cut(from, "/")
	may := "read"
	if side, is := errors.AsType[*registry.CopyError](err); is {
		if side.Host != "" {
			host = side.Host
		}
		if side.Write {
			may = "write"
		}
	}
	return toldOfRegistry(err, host, may, "--ca-file")
}

// toldOfRegistry says in words for whoever sits at the terminal what the manager would put
// into a condition: he has no Secret with credentials, and nothing is tried again here.
func toldOfRegistry(err error, host, may, caFlag string) error {
	if _, is := errors.AsType[x509.UnknownAuthorityError](err); is {
		return fmt.Errorf("the certificate of the registry %s is of an authority that this machine does not know: name its file with %s", host, caFlag)
	}
	refused, is := errors.AsType[*registry.Error](err)
	switch {
	case is && refused.Reason == registry.RegistryUnauthorized:
		return fmt.Errorf("the registry %s does not let you %s there: log in with `docker login %s` as somebody who may", host, may, host)
	case is && errors.Is(err, registry.ErrNotFound):
		return err
	case is:
		message, _, _ := strings.Cut(refused.Message, "; ") // it is not tried again here
		message = strings.ReplaceAll(message, "the manager's registry and prefix", "the name")
		if errors.Is(err, http.ErrSchemeMismatch) && source.IsThisMachine(host) {
			message += " (for a registry on this machine that has no certificate, add --plain-http)"
		}
		return errors.New(message)
	}
	return err
}
