package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// reviewRequested is the value of spec.review that reviewers wait for.
const reviewRequested = "Requested"

// scheme knows our kinds and those of Kubernetes.
var scheme = newScheme()

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	return s
}

// newVersion is the object that push creates.
func (o *pushOptions) newVersion(version, ref string) *v1alpha1.MiniProgramVersion {
	name := o.name
	if name == "" {
		name = versionName(o.program, version)
	}
	v := &v1alpha1.MiniProgramVersion{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "MiniProgramVersion"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.MiniProgramVersionSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: o.program},
			Version:        version, VersionCode: o.versionCode, Format: o.format,
			Source:       v1alpha1.BundleSource{OCI: &v1alpha1.OCISource{Ref: ref}},
			ReleaseNotes: o.releaseNotes,
		},
	}
	if o.secret != "" {
		v.Spec.Source.OCI.SecretRef = &v1alpha1.SecretReference{Name: o.secret}
	}
	if o.submit {
		v.Spec.Review = reviewRequested
	}
	return v
}

// versionName is "<program>-<version>" in the characters that a name may have.
func versionName(program, version string) string {
	return program + "-" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, version)
}

// compareVersions says why an existing version is not the wanted one. Its content
// is the same when it names the same manifest, and when what the operator
// packaged is: another release of this plugin may compress differently.
func compareVersions(existing, want *v1alpha1.MiniProgramVersion, contentDigest string) error {
	is, should := existing.Spec, want.Spec
	packaged := existing.Status.Bundle != nil && existing.Status.Bundle.ContentDigest == contentDigest
	var other string
	switch {
	case is.MiniProgramRef != should.MiniProgramRef:
		other = "of MiniProgram " + is.MiniProgramRef.Name
	case is.Version != should.Version:
		other = "of version " + is.Version
	case !packaged && (is.Source.OCI == nil || digestOf(is.Source.OCI.Ref) != digestOf(should.Source.OCI.Ref)):
		other = "with other content"
	case should.ReleaseNotes != "" && is.ReleaseNotes != should.ReleaseNotes:
		other = "with other release notes"
	default:
		return nil
	}
	return &unacceptableError{fmt.Errorf("MiniProgramVersion %s exists already in namespace %s, %s, and versions are immutable: publish this under another --version (or --name)", want.Name, existing.Namespace, other)}
}

// digestOf is the digest of a reference that is pinned by one.
func digestOf(ref string) string {
	_, digest, _ := strings.Cut(ref, "@")
	return digest
}

// cluster is where versions are created: one namespace, as one user.
type cluster struct {
	client    client.WithWatch
	namespace string
}

func connect(flags *genericclioptions.ConfigFlags, warnings io.Writer) (*cluster, error) {
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	config.WarningHandler = rest.NewWarningWriter(warnings, rest.WarningWriterOptions{Deduplicate: true})
	config.UserAgent = userAgent()
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("finding the namespace: %w", err)
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	return &cluster{client: c, namespace: namespace}, nil
}

// explicitNamespace is what -n says, and nothing where it says nothing: an object
// for Git gets its namespace there.
func explicitNamespace(flags *genericclioptions.ConfigFlags) string {
	if flags.Namespace == nil {
		return ""
	}
	return *flags.Namespace
}

func (c *cluster) getProgram(ctx context.Context, name string) (*v1alpha1.MiniProgram, error) {
	var p v1alpha1.MiniProgram
	err := c.client.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, &p)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("MiniProgram %s does not exist in namespace %s: create it, or correct --program or -n", name, c.namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("reading MiniProgram %s/%s: %w", c.namespace, name, err)
	}
	return &p, nil
}

// findVersion returns nil when there is none of that name.
func (c *cluster) findVersion(ctx context.Context, name string) (*v1alpha1.MiniProgramVersion, error) {
	var v v1alpha1.MiniProgramVersion
	err := c.client.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, &v)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading MiniProgramVersion %s/%s: %w", c.namespace, name, err)
	}
	return &v, nil
}

// ensureVersion creates want, or asks reviewers for the existing version where
// want does and it does not.
func (c *cluster) ensureVersion(ctx context.Context, existing, want *v1alpha1.MiniProgramVersion) (*v1alpha1.MiniProgramVersion, error) {
	if existing == nil {
		return c.createVersion(ctx, want)
	}
	kind := want.TypeMeta // which answers of the API server lack
	if want.Spec.Review == reviewRequested && existing.Spec.Review != reviewRequested {
		before := existing.DeepCopy()
		existing.Spec.Review = reviewRequested
		if err := c.client.Patch(ctx, existing, client.MergeFrom(before)); err != nil {
			return nil, fmt.Errorf("requesting the review of MiniProgramVersion %s/%s: %w", c.namespace, existing.Name, err)
		}
	}
	existing.TypeMeta = kind
	return existing, nil
}

func (c *cluster) createVersion(ctx context.Context, v *v1alpha1.MiniProgramVersion) (*v1alpha1.MiniProgramVersion, error) {
	me, err := c.whoAmI(ctx)
	if err != nil {
		return nil, err
	}
	kind := v.TypeMeta
	v.Namespace, v.Spec.SubmittedBy = c.namespace, me
	if err := c.client.Create(ctx, v); err != nil {
		return nil, fmt.Errorf("creating MiniProgramVersion %s/%s: %w", c.namespace, v.Name, err)
	}
	v.TypeMeta = kind
	return v, nil
}

// whoAmI is the API server's word on who asks, whatever the kubeconfig calls the user.
func (c *cluster) whoAmI(ctx context.Context) (string, error) {
	var self authenticationv1.SelfSubjectReview
	if err := c.client.Create(ctx, &self); err != nil {
		return "", fmt.Errorf("asking the API server who you are (SelfSubjectReview): %w", err)
	}
	return self.Status.UserInfo.Username, nil
}

// printPlanned prints an object that nobody created: without a status, which is
// no user's to write.
func printPlanned(p printers.ResourcePrinter, v *v1alpha1.MiniProgramVersion, out io.Writer) error {
	raw, err := runtime.DefaultUnstructuredConverter.ToUnstructured(v)
	if err != nil {
		return fmt.Errorf("printing MiniProgramVersion %s: %w", v.Name, err)
	}
	delete(raw, "status")
	return p.PrintObj(&unstructured.Unstructured{Object: raw}, out)
}
