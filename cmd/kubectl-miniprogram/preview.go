package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// answerEvery is how often an answer is looked for.
const answerEvery = 500 * time.Millisecond

// previewOptions are the flags of preview.
type previewOptions struct {
	config  *genericclioptions.ConfigFlags
	streams genericiooptions.IOStreams
	hostApp string
	valid   time.Duration
	timeout time.Duration
}

func newPreview(streams genericiooptions.IOStreams) *cobra.Command {
	o := &previewOptions{config: genericclioptions.NewConfigFlags(true), streams: streams}
	cmd := &cobra.Command{
		Use:   "preview NAME --host-app HOSTAPP",
		Short: "Let whoever has a code try a version before it is approved",
		Long: `Let whoever has a code try a version in a host app before anybody approves it. The
host app must take trials, and policies must have no objection.

The code is made here and printed once. The cluster is given its hash alone, in an
annotation of the version, which takes the right to patch it. Whoever has the code
may run the version until it ends: hand it on as you would hand on the version.`,
		Example: "  kubectl miniprogram preview shop-1-3-0 -n shop-team --host-app wallet --valid 8h",
		Args:    exactly("NAME, the name of a MiniProgramVersion"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.hostApp, "host-app", "", "HostApp in which it may be tried (required)")
	flags.DurationVar(&o.valid, "valid", 24*time.Hour, "how long, 168h at most")
	flags.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long to wait for the answer")
	o.config.AddFlags(flags)
	return cmd
}

func (o *previewOptions) run(ctx context.Context, name string) error {
	switch {
	case o.hostApp == "":
		return errors.New("--host-app is required: the HostApp in which the version may be tried")
	case o.valid < time.Minute || o.valid > document.MaxPreviewValidity:
		return fmt.Errorf("--valid is %s: write from 1m to %s", o.valid, document.MaxPreviewValidity)
	case o.timeout <= 0:
		return errors.New("--timeout must be above 0")
	}
	c, err := connect(o.config, o.streams.ErrOut)
	if err != nil {
		return err
	}
	v, err := c.findVersion(ctx, name)
	if err != nil {
		return err
	}
	if v == nil {
		return fmt.Errorf("MiniProgramVersion %s does not exist in namespace %s: correct the name", name, c.namespace)
	}
	code := newCode()
	// A second less, for a clock that differs a little must not make it too long.
	asked := delivery.PreviewRequest{CodeHash: document.HashPreviewCode(code), HostApp: o.hostApp, Expires: time.Now().Add(o.valid - time.Second)}
	annotation, value := delivery.PreviewAnnotation(&asked)
	if err := c.annotate(ctx, v, annotation, &value); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	answer, err := c.previewAnswer(ctx, v, asked.CodeHash)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the preview is asked for, and was not answered within %s: see that the manager runs; to take it back, kubectl annotate mpv %s -n %s %s-",
			o.timeout, v.Name, v.Namespace, annotation)
	}
	if err != nil {
		return err
	}
	if answer.State != v1alpha1.PreviewLive {
		if err := c.annotate(ctx, v, annotation, nil); err != nil { // else it would go out once nothing speaks against it
			return err
		}
		return &unacceptableError{fmt.Errorf("no preview of %s in host app %s: %s", v.Name, o.hostApp, answer.Message)}
	}
	return o.show(ctx, c, v, code, annotation, answer)
}

// newCode is 16 random bytes.
func newCode() string {
	var code [16]byte
	_, _ = rand.Read(code[:]) // never fails: it ends the process first
	return base64.RawURLEncoding.EncodeToString(code[:])
}

// annotate sets an annotation, or removes it where value is nil. It says nothing about
// others, so that several people ask at a time.
func (c *cluster) annotate(ctx context.Context, v *v1alpha1.MiniProgramVersion, name string, value *string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]*string{name: value}}})
	if err != nil {
		return err
	}
	if err := c.client.Patch(ctx, v.DeepCopy(), client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("annotating MiniProgramVersion %s: %w", v.Name, err)
	}
	return nil
}

// previewAnswer waits for what the manager says of a preview.
func (c *cluster) previewAnswer(ctx context.Context, v *v1alpha1.MiniProgramVersion, codeHash string) (*v1alpha1.PreviewStatus, error) {
	tick := time.NewTicker(answerEvery)
	defer tick.Stop()
	for {
		var now v1alpha1.MiniProgramVersion
		if err := c.client.Get(ctx, client.ObjectKeyFromObject(v), &now); err != nil {
			return nil, err
		}
		for i := range now.Status.Previews {
			if now.Status.Previews[i].CodeHash == codeHash {
				return &now.Status.Previews[i], nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// show prints the code once, with the address where it counts.
func (o *previewOptions) show(ctx context.Context, c *cluster, v *v1alpha1.MiniProgramVersion, code, annotation string, answer *v1alpha1.PreviewStatus) error {
	address := "/v1/preview/" + code
	var h v1alpha1.HostApp
	err := c.client.Get(ctx, client.ObjectKey{Name: o.hostApp}, &h)
	if err != nil && !apierrors.IsForbidden(err) {
		return fmt.Errorf("reading HostApp %s: %w", o.hostApp, err)
	}
	if base, told := strings.CutSuffix(h.Status.URL, delivery.HostURL("", o.hostApp)); told && err == nil {
		address = base + address
	}
	if _, err := fmt.Fprintln(o.streams.Out, address); err != nil {
		return err
	}
	fmt.Fprintf(o.streams.ErrOut, "%s %s may be tried in host app %s until %s by whoever has this address of the manifest service. To end it now: kubectl annotate mpv %s -n %s %s-\n",
		v.Spec.MiniProgramRef.Name, v.Spec.Version, o.hostApp, answer.ExpirationTime.UTC().Format(time.RFC3339), v.Name, v.Namespace, annotation)
	return nil
}
