package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// auditOptions are the flags of audit.
type auditOptions struct {
	streams    genericiooptions.IOStreams
	registry   string
	registryCA string
	plainHTTP  bool
	keys       []string
	host       string
	channel    string
	user       string
	device     string
	installed  string
	attributes map[string]string
	at         string
	output     string
}

func newAudit(streams genericiooptions.IOStreams) *cobra.Command {
	o := &auditOptions{streams: streams}
	cmd := &cobra.Command{
		Use:   "audit --registry REGISTRY/PREFIX --keys FILE --host HOSTAPP --user USER --at TIME APPID",
		Short: "Tell which version a user was handed at a time, why, and who approved it",
		Long: `Tell which version a user of a host app was handed at a time, why, and who approved
it: from the journal in the registry alone. No cluster is asked, so it works also
when that is gone. Without --user it lists the journal's entries.

Every entry is checked: its signature with the keys that are given, its document, and
that it follows on the one before it. What is missing or cannot be believed is told.
What was cut off at the end of a journal cannot be seen.

Exits with 0 when there is an answer and the journal has no gap, with 1 when it has
one or there is no answer, and with 2 when the command could not do its work.`,
		Example: `  kubectl miniprogram audit com.example.shop --registry registry.example.com/miniprograms \
    --keys wallet-config.json --host wallet --user alice --at 2026-11-27T17:00:00Z

  # All entries
  kubectl miniprogram audit com.example.shop --registry registry.example.com/miniprograms --keys keys/`,
		Args: exactly("APPID, such as com.example.shop"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.registry, "registry", "", "registry and prefix of the manager's flags --registry and --registry-prefix, as registry.example.com/miniprograms (required)")
	flags.StringVar(&o.registryCA, "registry-ca-file", "", "PEM file with certificate authorities that are trusted for the registry, beside those of the system")
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "speak http, with a registry on this machine")
	flags.StringArrayVar(&o.keys, "keys", nil, "PEM file with public keys of the installation, the file that kubectl miniprogram config writes, or a folder of such files; may be repeated (required)")
	flags.StringVar(&o.host, "host", "", "name of the HostApp")
	flags.StringVar(&o.channel, "channel", v1alpha1.ChannelRelease, "channel that the host app asked for")
	flags.StringVar(&o.user, "user", "", "key of the user, as the host app sends it")
	flags.StringVar(&o.device, "device", "", "key of the device, as the host app sends it")
	flags.StringVar(&o.installed, "installed", "", "digest of the artifact that was installed; nothing was when it is left out")
	flags.StringToStringVar(&o.attributes, "attribute", nil, "attribute that the host app sent, as name=value; may be repeated")
	flags.StringVar(&o.at, "at", "", "time, as 2026-11-27T17:00:00Z; now when it is left out")
	flags.StringVarP(&o.output, "output", "o", "", "json, for machines; text when it is left out")
	return cmd
}

func (o *auditOptions) run(ctx context.Context, appID string) error {
	at, err := o.check()
	if err != nil {
		return err
	}
	keys, err := readKeys(o.keys)
	if err != nil {
		return err
	}
	host, c, err := o.client()
	if err != nil {
		return err
	}
	read := &auditor{registry: c, keys: keys}
	logs, err := read.app(ctx, appID)
	if err != nil {
		return toldOfRegistry(err, host, "read", "--registry-ca-file")
	}
	switch believed, entries := believedIn(logs); {
	case len(logs) == 0:
		return &unacceptableError{fmt.Errorf("the journal in %s has no Rollout that published for app ID %s: correct the app ID or --registry, or the manager runs with --journal=false", o.registry, appID)}
	case believed == 0:
		return &unacceptableError{fmt.Errorf("the journal in %s has %s that may be about app ID %s, and none is signed by a key of --keys: give the keys of this installation, after a rotation the old ones too", o.registry, pluralEntries(entries), appID)}
	}
	report := &auditReport{AppID: appID, At: at, Gaps: append([]string{}, gapsOf(logs)...)}
	if o.user == "" && o.device == "" {
		report.list(logs)
	} else if err := o.answer(ctx, read, logs, report); err != nil {
		return toldOfRegistry(err, host, "read", "--registry-ca-file")
	}
	return o.write(report)
}

// check reads the flags.
func (o *auditOptions) check() (time.Time, error) {
	switch {
	case o.output != "" && o.output != "json":
		return time.Time{}, fmt.Errorf("--output is %q: write json, or leave it out for text", o.output)
	case o.registry == "":
		return time.Time{}, errors.New("--registry is required: the registry and the prefix that the manager publishes to, as registry.example.com/miniprograms")
	case len(o.keys) == 0:
		return time.Time{}, errors.New("--keys is required: public keys of the installation, as kubectl miniprogram config writes them, for whoever can push to the registry could write anything")
	case o.host == "" && (o.user != "" || o.device != ""):
		return time.Time{}, errors.New("--host is required with --user and --device: the name of a HostApp")
	case o.at == "":
		return time.Now().UTC().Truncate(time.Second), nil
	}
	at, err := time.Parse(time.RFC3339, o.at)
	if err != nil {
		return time.Time{}, fmt.Errorf("--at is %q: write a time as 2026-11-27T17:00:00Z", o.at)
	}
	return at.UTC(), nil
}

func (o *auditOptions) client() (host string, c *registry.Client, err error) {
	host, prefix, err := registryPlace("--registry", o.registry)
	if err != nil {
		return "", nil, err
	}
	if err := checkPlainHTTP(host, o.plainHTTP); err != nil {
		return "", nil, err
	}
	login, err := dockerLogin()
	if err != nil {
		return "", nil, err
	}
	trusted, err := registry.RootCAs(o.registryCA)
	if err != nil {
		return "", nil, fmt.Errorf("--registry-ca-file: %w", err)
	}
	return host, registry.New(registry.Options{
		Host: host, Prefix: prefix, PlainHTTP: o.plainHTTP, Credentials: login, RootCAs: trusted, UserAgent: userAgent(), Retry: true,
	}), nil
}

// answer asks the code with which the manifest service decided.
func (o *auditOptions) answer(ctx context.Context, read *auditor, logs []auditLog, report *auditReport) error {
	all := make([][]journal.Known, 0, len(logs))
	for _, l := range logs {
		all = append(all, l.entries)
	}
	served := journal.Served(all, o.host, o.channel, report.At)
	if served == nil {
		report.Problem = fmt.Sprintf("no document for host app %s and channel %s was out at that time, as far as the journal knows", o.host, o.channel)
		return nil
	}
	host, err := read.hostApp(ctx, o.host)
	if err != nil {
		return err
	}
	report.Gaps = append(report.Gaps, gapsOf([]auditLog{host})...)
	state := journal.At(host.entries, report.At)
	report.served(served, logs)
	switch {
	case state == nil:
		report.Gaps = append(report.Gaps, fmt.Sprintf("the journal has nothing about host app %s by that time, so nobody can tell what it blocked", o.host))
	case state.Entry.HostApp.Availability != v1alpha1.HostAppActive:
		report.Problem = fmt.Sprintf("host app %s was %s since %s: it was handed nothing", o.host, state.Entry.HostApp.Availability, stamp(state.Entry.Written))
		return nil
	}
	if !report.At.Before(served.Document.ExpiresAt.Time) {
		report.Problem = fmt.Sprintf("the last document had expired at %s: nothing was decided by it", stamp(served.Document.ExpiresAt.Time))
		return nil
	}
	request := decide.Request{
		User: o.user, Device: o.device, Attributes: o.attributes, InstalledDigest: o.installed, Now: report.At,
		InPart: served.InPart(delivery.Parts(served.Document)),
	}
	if state != nil {
		report.Block = state.Entry.HostApp.Blocks(served.Document)
		request.Blocked = report.Block != nil
	}
	decision, tried, err := decide.Explain(served.Document, request)
	if errors.Is(err, decide.ErrServiceDecides) {
		report.Problem = "the document needs a list of users that is not in the journal, so nobody can tell"
		return nil
	}
	if err != nil {
		return err
	}
	report.decided(&decision, tried, served)
	return nil
}

func (o *auditOptions) write(report *auditReport) error {
	if o.output == "json" {
		encoder := json.NewEncoder(o.streams.Out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(report); err != nil {
			return err
		}
	} else if err := report.write(o.streams.Out, o.user); err != nil {
		return err
	}
	if len(report.Gaps) > 0 || report.Problem != "" {
		return errReported
	}
	return nil
}

// channelOf keeps documents of other channels apart in lists.
func channelOf(doc *document.Release) string {
	if doc == nil {
		return ""
	}
	return doc.Channel
}
