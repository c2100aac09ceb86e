package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
)

// anywhere: on a developer's machine private addresses are as good as public ones.
var anywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

func userAgent() string { return "kubectl-miniprogram/" + version }

// openOCI fetches a bundle with the code with which the manager fetches it.
func openOCI(ctx context.Context, text string, limits bundle.Limits, plainHTTP bool) (*archive, error) {
	ref, err := registry.ParseReference(text)
	if err != nil || ref.Reference == "" {
		return nil, fmt.Errorf("%s%s is no reference with a tag or a digest: write %sregistry/repository:tag or %sregistry/repository@sha256:…", ociScheme, text, ociScheme, ociScheme)
	}
	if err := checkPlainHTTP(ref.Registry, plainHTTP); err != nil {
		return nil, err
	}
	login, err := dockerLogin()
	if err != nil {
		return nil, err
	}
	cred, err := sourceCredentials(ctx, ref.Host(), login)
	if err != nil {
		return nil, err
	}
	transport := source.NewTransport(source.Guard{AllowInsecure: plainHTTP, AllowedNets: anywhere})
	bounds := source.Limits{
		MaxBytes: limits.ArchiveBytes, MaxExpandedBytes: limits.ExpandedBytes, MaxEntries: limits.Entries, MaxRatio: limits.Ratio,
	}
	fetched, err := source.NewOCI(transport, bounds, userAgent()).Fetch(ctx, text, cred, nil)
	if bad, ok := errors.AsType[*bundle.CheckError](err); ok {
		return nil, bad // a tar layer that can be no bundle
	}
	if err != nil {
		return nil, explainFetch(err, text, ref.Registry, plainHTTP)
	}
	return &archive{ReaderAt: fetched, size: fetched.Size, name: ociScheme + text, bounds: fetched.Bounds, close: fetched.Close}, nil
}

// checkPlainHTTP keeps credentials and bundles off the network unencrypted, and
// the operator would not fetch from there either.
func checkPlainHTTP(host string, plainHTTP bool) error {
	if plainHTTP && !source.IsThisMachine(host) {
		return fmt.Errorf("--plain-http is for registries on this machine, and %s is another: leave it out, and give that registry a certificate", host)
	}
	return nil
}

// dockerLogin returns what `docker login` keeps, also with its credential helpers.
func dockerLogin() (auth.CredentialFunc, error) {
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		// The decoder's error may quote what it read, which is secret.
		return nil, errors.New("the docker configuration cannot be read: correct ~/.docker/config.json, or the file config.json in the folder that DOCKER_CONFIG names")
	}
	return credentials.Credential(store), nil
}

// sourceCredentials are those for the registry's own host.
func sourceCredentials(ctx context.Context, host string, login auth.CredentialFunc) (*source.Credentials, error) {
	cred, err := login(ctx, host)
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking docker's credential helper for %s: %w", host, err)
	case cred == auth.EmptyCredential:
		return nil, nil
	case cred.RefreshToken != "":
		return nil, fmt.Errorf("what docker keeps for %s is an identity token, which works for push only: log in to it with a name and a password", host)
	}
	return &source.Credentials{Logins: map[string]source.Login{
		host: {Username: cred.Username, Password: cred.Password, Token: cred.AccessToken},
	}}, nil
}

// forCommandLine turns words for who wrote a spec into words for who typed a
// reference.
var forCommandLine = strings.NewReplacer(
	"; it is tried again", "",
	"the Secret of spec.source.oci.secretRef", "your docker configuration",
	"spec.source.oci.ref", "the reference",
)

func explainFetch(err error, text, host string, plainHTTP bool) error {
	reason := ""
	if temporary, ok := errors.AsType[*source.TemporaryError](err); ok {
		reason = temporary.Reason
	}
	switch message := forCommandLine.Replace(err.Error()); {
	case reason == source.SourceTooLarge:
		return &bundle.CheckError{Findings: []bundle.Finding{{Rule: "LimitArchive", Severity: bundle.SeverityError, Message: message}}}
	case reason == source.SourceUnauthorized:
		return fmt.Errorf("the registry %s does not let you read %s: log in with `docker login %s`, or correct the name", host, text, host)
	case reason == source.SourceUnavailable && !plainHTTP && source.IsThisMachine(host):
		return fmt.Errorf("%s (for a registry on this machine that has no certificate, add --plain-http)", message)
	default:
		return errors.New(message)
	}
}
