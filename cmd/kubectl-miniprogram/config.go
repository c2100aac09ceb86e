package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
)

// configOptions are the flags of config.
type configOptions struct {
	config  *genericclioptions.ConfigFlags
	streams genericiooptions.IOStreams
	out     string
}

func newConfig(streams genericiooptions.IOStreams) *cobra.Command {
	o := &configOptions{config: genericclioptions.NewConfigFlags(true), streams: streams}
	cmd := &cobra.Command{
		Use:   "config HOSTAPP",
		Short: "Write the file that a host app is built with",
		Long: `Write the file that a host app is built with: the addresses of the manifest
service, the public keys that the app pins, and how often it asks. It is what the
manifest service answers at /v1/hosts/HOSTAPP/config.json, but comes from the API
server, past whatever stands before the service: keys that are pinned should.

The file holds no secret. An access token, where the host app needs one, is given
to it on another way.`,
		Example: `  kubectl miniprogram config wallet --out android/app/src/main/assets/miniprogram.json`,
		Args:    exactly("HOSTAPP, the name of a HostApp"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.out, "out", "", "file to write; the output when it is left out")
	o.config.AddFlags(flags)
	return cmd
}

func (o *configOptions) run(ctx context.Context, name string) error {
	c, err := connect(o.config, o.streams.ErrOut)
	if err != nil {
		return err
	}
	var h v1alpha1.HostApp
	err = c.client.Get(ctx, client.ObjectKey{Name: name}, &h)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("HostApp %s does not exist: correct the name", name)
	}
	if err != nil {
		return fmt.Errorf("reading HostApp %s: %w", name, err)
	}
	file, err := hostFile(&h)
	if err != nil {
		return err
	}
	if o.out == "" {
		return writeHostFile(o.streams.Out, file)
	}
	var text bytes.Buffer
	if err := writeHostFile(&text, file); err != nil {
		return err
	}
	return os.WriteFile(o.out, text.Bytes(), 0o644)
}

// hostFile takes the host app's address and keys from its status.
func hostFile(h *v1alpha1.HostApp) (*delivery.HostFile, error) {
	base, told := strings.CutSuffix(h.Status.URL, delivery.HostURL("", h.Name))
	if !told {
		return nil, fmt.Errorf("HostApp %s has no address yet (status.url): start the manager with --manifest-url, and see that it runs", h.Name)
	}
	if len(h.Status.Keys) == 0 {
		return nil, fmt.Errorf("HostApp %s has no key yet (status.keys): see its condition Ready", h.Name)
	}
	var keys []delivery.PublicKey
	for _, k := range h.Status.Keys {
		if k.State == string(keychain.Retiring) {
			continue // when the app that is built now is out, it signs no more
		}
		keys = append(keys, delivery.PublicKey{KeyID: k.KeyID, Algorithm: k.Algorithm, PublicKey: k.PublicKey})
	}
	config := delivery.HostAppConfigOf(h)
	return delivery.HostFileOf(config, base, keys).WithFiles(config, h.Status.RunURL), nil
}

func writeHostFile(w io.Writer, file *delivery.HostFile) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(file)
}
