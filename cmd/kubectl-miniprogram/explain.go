package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
)

// maxExplanation bounds what is read of an answer.
const maxExplanation = 1 << 20

// explainOptions are the flags of explain.
type explainOptions struct {
	config     *genericclioptions.ConfigFlags
	streams    genericiooptions.IOStreams
	user       string
	device     string
	host       string
	channel    string
	installed  string
	attributes map[string]string
	service    string
	serviceCA  string
	output     string
}

func newExplain(streams genericiooptions.IOStreams) *cobra.Command {
	o := &explainOptions{config: genericclioptions.NewConfigFlags(true), streams: streams}
	o.config.AuthInfoName = nil // --user is a user of the host app here
	cmd := &cobra.Command{
		Use:   "explain --user USER --host HOSTAPP APPID",
		Short: "Tell which version a user of a host app gets, and why",
		Long: `Tell which version a user of a host app gets, and why: every rule that the manifest
service has tried, in order, and what came of it.

The manifest service is asked, at the address that the HostApp has in its status.
It takes the token of your kubeconfig, and needs you to have verb explain on
hostapps.miniprogram.dev with the name of the host app; ClusterRole
miniprogram-explainer has it, by a ClusterRoleBinding. A kubeconfig with nothing
but a client certificate has no token: give one with --token.

Exits with 0 when there is an answer, and with 2 when there is none.`,
		Example: `  kubectl miniprogram explain --user alice --host wallet com.example.shop

  # What rules of an audience look at, and another address
  kubectl miniprogram explain --user alice --attribute city=Paris --attribute hostAppVersion=8.1 --host wallet \
    --service https://miniprograms.example.com com.example.shop -o json`,
		Args: exactly("APPID, such as com.example.shop"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.user, "user", "", "key of the user, as the host app sends it")
	flags.StringVar(&o.device, "device", "", "key of the device, as the host app sends it")
	flags.StringVar(&o.host, "host", "", "name of the HostApp (required)")
	flags.StringVar(&o.channel, "channel", v1alpha1.ChannelRelease, "channel that the host app asks for")
	flags.StringVar(&o.installed, "installed", "", "digest of the artifact that is installed; nothing is when it is left out")
	flags.StringToStringVar(&o.attributes, "attribute", nil, "attribute that the host app sends, as name=value; may be repeated")
	flags.StringVar(&o.service, "service", "", "URL of the manifest service; the HostApp's status.url when it is left out")
	flags.StringVar(&o.serviceCA, "service-ca", "", "PEM file with certificate authorities that are trusted for the manifest service, beside those of the system")
	flags.StringVarP(&o.output, "output", "o", "", "json, for machines; a table when it is left out")
	o.config.AddFlags(flags)
	return cmd
}

func (o *explainOptions) run(ctx context.Context, appID string) error {
	switch {
	case o.output != "" && o.output != "json":
		return fmt.Errorf("--output is %q: write json, or leave it out for a table", o.output)
	case o.host == "":
		return errors.New("--host is required: the name of a HostApp")
	}
	base, err := o.address(ctx)
	if err != nil {
		return err
	}
	by, err := o.httpClient()
	if err != nil {
		return err
	}
	answer, raw, err := o.post(ctx, by, base+"/explain", appID)
	if err != nil {
		return err
	}
	if o.output == "json" {
		var text bytes.Buffer
		if err := json.Indent(&text, raw, "", "  "); err != nil {
			return fmt.Errorf("reading the answer of %s: %w", base, err)
		}
		_, err = fmt.Fprintln(o.streams.Out, text.String())
		return err
	}
	return answer.write(o.streams.Out, o.user)
}

// address is where the manifest service answers for the host app.
func (o *explainOptions) address(ctx context.Context) (string, error) {
	where := o.service
	if where == "" {
		c, err := connect(o.config, o.streams.ErrOut)
		if err != nil {
			return "", err
		}
		var h v1alpha1.HostApp
		err = c.client.Get(ctx, client.ObjectKey{Name: o.host}, &h)
		switch {
		case apierrors.IsNotFound(err):
			return "", fmt.Errorf("HostApp %s does not exist: correct --host", o.host)
		case err != nil:
			return "", fmt.Errorf("reading HostApp %s, for the address of the manifest service (or give it with --service): %w", o.host, err)
		case h.Status.URL == "":
			return "", fmt.Errorf("HostApp %s has no address yet (status.url): start the manager with --manifest-url, or give it with --service", o.host)
		}
		where = h.Status.URL
	} else {
		where = delivery.HostURL(strings.TrimRight(where, "/"), o.host)
	}
	u, err := url.Parse(where)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", fmt.Errorf("the manifest service's address %q is no URL such as https://miniprograms.example.com", where)
	}
	if u.Scheme == "http" && !source.IsThisMachine(u.Host) {
		return "", fmt.Errorf("the manifest service's address is %s, and a token is not sent to another machine over http: give it an address with https, or reach it by kubectl port-forward and --service http://127.0.0.1:PORT", where)
	}
	return where, nil
}

// httpClient sends the token of the kubeconfig, wherever that comes from.
func (o *explainOptions) httpClient() (*http.Client, error) {
	config, err := o.config.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster, whose token is needed: %w", err)
	}
	switch {
	case config.Impersonate.UserName != "":
		return nil, errors.New("--as does not reach the manifest service, which asks the API server whose the token is: give a token of that user with --token")
	case config.BearerToken == "" && config.BearerTokenFile == "" && config.ExecProvider == nil && config.AuthProvider == nil:
		return nil, fmt.Errorf("the manifest service needs a token of yours, and this kubeconfig has none (a client certificate is no token): give one with --token, such as --token \"$(kubectl create token ACCOUNT -n NAMESPACE)\" of a service account that may explain HostApp %s", o.host)
	}
	authorities, err := registry.RootCAs(o.serviceCA)
	if err != nil {
		return nil, fmt.Errorf("--service-ca: %w", err)
	}
	transport, err := rest.HTTPWrappersForConfig(config, &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities},
	})
	if err != nil {
		return nil, fmt.Errorf("finding the token in the kubeconfig: %w", err)
	}
	// A redirect would take the token to wherever it leads.
	return &http.Client{Transport: transport, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// post asks about one program.
func (o *explainOptions) post(ctx context.Context, by *http.Client, where, appID string) (*explanation, []byte, error) {
	program := map[string]any{"appID": appID, "channel": o.channel}
	if o.installed != "" {
		program["installed"] = map[string]string{"digest": o.installed}
	}
	body, err := json.Marshal(map[string]any{"user": o.user, "device": o.device, "attributes": o.attributes, "programs": []any{program}})
	if err != nil {
		return nil, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, where, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := by.Do(request)
	if err != nil {
		return nil, nil, fmt.Errorf("asking the manifest service: %w", err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxExplanation))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the answer of %s: %w", where, err)
	}
	if response.StatusCode != http.StatusOK {
		var p struct{ Code, Detail string }
		_ = json.Unmarshal(raw, &p) // what is no problem has neither
		return nil, nil, fmt.Errorf("asking %s: the answer is %d %s", where, response.StatusCode, plain(cmp.Or(strings.TrimPrefix(p.Code+": "+p.Detail, ": "), http.StatusText(response.StatusCode))))
	}
	var answers struct{ Programs []explanation }
	if err := json.Unmarshal(raw, &answers); err != nil || len(answers.Programs) != 1 {
		return nil, nil, fmt.Errorf("asking %s: the answer is none of a manifest service", where)
	}
	return &answers.Programs[0], raw, nil
}
