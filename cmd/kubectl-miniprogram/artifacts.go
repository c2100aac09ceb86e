package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/inspection"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
)

// artifacts reads what the operator has recorded beside artifacts, with the
// credentials of docker login.
type artifacts struct {
	login     auth.CredentialFunc
	plainHTTP bool
}

func newArtifacts(plainHTTP bool) (*artifacts, error) {
	login, err := dockerLogin()
	if err != nil {
		return nil, err
	}
	return &artifacts{login: login, plainHTTP: plainHTTP}, nil
}

// known is what is known of a version's content.
func (a *artifacts) known(ctx context.Context, v *v1alpha1.MiniProgramVersion, patterns *policy.Patterns) (inspection.Inspection, error) {
	host, rest, ok := strings.Cut(v.Status.Artifact.Repository, "/")
	prefix, ours := strings.CutSuffix(rest, v.Namespace+"/"+v.Spec.MiniProgramRef.Name)
	if !ok || !ours {
		return inspection.Inspection{}, fmt.Errorf("status.artifact.repository of MiniProgramVersion %s is %s, which is none of the operator's", v.Name, v.Status.Artifact.Repository)
	}
	if err := checkPlainHTTP(host, a.plainHTTP); err != nil {
		return inspection.Inspection{}, err
	}
	store := registry.New(registry.Options{
		Host: host, Prefix: strings.TrimSuffix(prefix, "/"), PlainHTTP: a.plainHTTP, Credentials: a.login, UserAgent: userAgent(),
	})
	reader := &inspection.Reader{Store: store, TempDir: os.TempDir(), Limits: bundle.DefaultLimits(), Packer: userAgent()}
	known, err := reader.Read(ctx, v, patterns)
	refused, is := errors.AsType[*registry.Error](err)
	switch {
	case is && refused.Reason == registry.RegistryUnauthorized:
		return known, fmt.Errorf("the registry %s does not let you read %s: log in with `docker login %s`", host, v.Status.Artifact.Repository, host)
	case is:
		message, _, _ := strings.Cut(refused.Message, "; ") // it is not tried again here
		return known, errors.New(message)
	}
	return known, err
}

// check holds a version against policies that cover it.
func (a *artifacts) check(ctx context.Context, p *v1alpha1.MiniProgram, v *v1alpha1.MiniProgramVersion, policies []v1alpha1.ReviewPolicy) (inspection.Inspection, []policy.Result, error) {
	patterns, err := policy.PatternsOf(policies)
	if err != nil {
		return inspection.Inspection{}, nil, err
	}
	known, err := a.known(ctx, v, patterns)
	if err != nil {
		return known, nil, err
	}
	facts := *known.Facts
	facts.Program, facts.Version = policy.ProgramFactsOf(p), policy.VersionFactsOf(v)
	return known, policy.Check(facts, policies), nil
}
