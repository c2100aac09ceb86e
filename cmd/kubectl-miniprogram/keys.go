package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
)

// keysOptions are the flags of keys.
type keysOptions struct {
	config          *genericclioptions.ConfigFlags
	streams         genericiooptions.IOStreams
	namespace, name string
}

func newKeys(streams genericiooptions.IOStreams) *cobra.Command {
	o := &keysOptions{config: genericclioptions.NewConfigFlags(true), streams: streams}
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Show the keys that sign documents, and rotate them",
		Long: `Show the keys that sign what is published, and how a rotation goes.

It reads the ConfigMap that the manifest service mounts its trusted keys from, in
the manager's namespace, and asks for a rotation by an annotation there. Whoever may
write that ConfigMap may tell the service whom to trust, so no right of its own
guards a rotation.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.show(cmd.Context()) },
	}
	rotate := &cobra.Command{
		Use:   "rotate",
		Short: "Ask for a new key",
		Long: `Ask for a new key. The manager makes it, announces it to host apps that follow the
keys, has both keys sign for a while, and then takes the old one away. How long each
takes is said by its flags --signing-key-announce and --signing-key-overlap.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.ask(cmd.Context(), func(r *signing.Report) (string, error) { return fmt.Sprintf("rotate@%d", r.Number), nil })
		},
	}
	drop := &cobra.Command{
		Use:   "drop KEY",
		Short: "Do without a key that was lost or stolen, as soon as may be",
		Long: `Do without a key that was lost or stolen: the other one signs at once, and the one
that is named goes when every document is signed by the other. KEY is its ID or the
beginning of it.`,
		Args: exactly("KEY, the ID of a key or its beginning"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.ask(cmd.Context(), func(r *signing.Report) (string, error) { return dropRequest(r, args[0]) })
		},
	}
	cmd.AddCommand(rotate, drop)
	for _, c := range []*cobra.Command{cmd, rotate, drop} {
		c.Flags().StringVar(&o.namespace, "system-namespace", "miniprogram-system", "namespace of the manager")
		c.Flags().StringVar(&o.name, "trusted-keys", "miniprogram-trusted-keys", "ConfigMap with the trusted keys, as the manager's flag of the same name says")
		o.config.AddFlags(c.Flags())
	}
	return cmd
}

func dropRequest(r *signing.Report, key string) (string, error) {
	var found []string
	for _, k := range r.Keys {
		if strings.HasPrefix(k.KeyID, key) {
			found = append(found, k.KeyID)
		}
	}
	if len(found) != 1 {
		return "", &unacceptableError{fmt.Errorf("%d keys have an ID that begins with %q: see kubectl miniprogram keys", len(found), key)}
	}
	return fmt.Sprintf("drop@%d/%s", r.Number, found[0]), nil
}

func (o *keysOptions) read(ctx context.Context) (client.Client, *corev1.ConfigMap, *signing.Report, error) {
	c, err := connect(o.config, o.streams.ErrOut)
	if err != nil {
		return nil, nil, nil, err
	}
	cm := new(corev1.ConfigMap)
	err = c.client.Get(ctx, client.ObjectKey{Namespace: o.namespace, Name: o.name}, cm)
	if apierrors.IsNotFound(err) {
		return nil, nil, nil, fmt.Errorf("ConfigMap %s/%s does not exist: the manager makes it at its first start; correct --system-namespace or --trusted-keys", o.namespace, o.name)
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("reading ConfigMap %s/%s: %w", o.namespace, o.name, err)
	}
	report := new(signing.Report)
	if err := json.Unmarshal([]byte(cm.Annotations[signing.ReportAnnotation]), report); err != nil {
		return nil, nil, nil, fmt.Errorf("ConfigMap %s/%s has no report of the manager yet (annotation %s): see that it runs", o.namespace, o.name, signing.ReportAnnotation)
	}
	return c.client, cm, report, nil
}

func (o *keysOptions) show(ctx context.Context) error {
	_, _, report, err := o.read(ctx)
	if err != nil {
		return err
	}
	return writeKeys(o.streams.Out, report)
}

func writeKeys(w io.Writer, r *signing.Report) error {
	table := printers.GetNewTabWriter(w)
	fmt.Fprintf(table, "KEY\tSTATE\tFROM\tUNTIL\n")
	for _, k := range r.Keys {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", k.KeyID[:min(len(k.KeyID), 12)], k.State, k.NotBefore, k.RetireAfter)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nkey document %d: %s\n", r.Number, r.Message)
	return err
}

// ask writes a request about the keys as they were read.
func (o *keysOptions) ask(ctx context.Context, request func(*signing.Report) (string, error)) error {
	c, cm, report, err := o.read(ctx)
	if err != nil {
		return err
	}
	value, err := request(report)
	if err != nil {
		return err
	}
	before := cm.DeepCopy()
	cm.Annotations[signing.RequestAnnotation] = value
	if err := c.Patch(ctx, cm, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("asking for %s on ConfigMap %s/%s: %w", value, o.namespace, o.name, err)
	}
	_, err = fmt.Fprintf(o.streams.Out, "asked for %s; the manager looks every 15 seconds: kubectl miniprogram keys\n", value)
	return err
}
