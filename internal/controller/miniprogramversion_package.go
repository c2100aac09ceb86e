package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"crypto/sha256"
	"encoding/hex"

	"github.com/Masterminds/semver/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/inspection"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// findProgram needs the MiniProgram: its app ID and its declaration become part
// of the artifact.
func (r *MiniProgramVersionReconciler) findProgram(ctx context.Context, s *versionScope) error {
	name := s.version.Spec.MiniProgramRef.Name
	var program v1alpha1.MiniProgram
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.version.Namespace, Name: name}, &program)
	if apierrors.IsNotFound(err) {
		return task.Wait("MiniProgramMissing", 0, "spec.miniProgramRef names MiniProgram %s, which does not exist in namespace %s: create it", name, s.version.Namespace)
	}
	if err != nil {
		return err
	}
	s.program = &program
	return nil
}

// packageBundle fetches, checks and publishes the bundle, once: the spec cannot
// change, so a recorded artifact is final.
func (r *MiniProgramVersionReconciler) packageBundle(ctx context.Context, s *versionScope) error {
	if st := &s.version.Status; st.Artifact != nil && len(st.HostApps) == 0 {
		st.HostApps = slices.Clone(s.program.Spec.HostApps) // packaged before they were recorded
	}
	if s.version.Status.Artifact != nil || withdrawn(s.version) {
		r.codes.forget(client.ObjectKeyFromObject(s.version))
		return nil
	}
	fetched, err := r.fetch(ctx, s)
	if bad, ok := errors.AsType[*bundle.CheckError](err); ok {
		return s.refuse(bad)
	}
	if err != nil {
		return r.explainSource(s, err)
	}
	defer func() { _ = fetched.Close() }() // a temporary file: nothing was written that could be lost
	b, err := r.check(s, fetched)
	if err != nil {
		return err
	}
	if err := r.claimCode(ctx, s, b); err != nil {
		return err
	}
	if err := r.publish(ctx, s, fetched, b); err != nil {
		r.codes.forget(client.ObjectKeyFromObject(s.version))
		return err
	}
	return nil
}

func (r *MiniProgramVersionReconciler) check(s *versionScope, fetched *source.Fetched) (*bundle.Bundle, error) {
	spec := s.version.Spec
	want := bundle.Expect{
		Format: bundle.Format(spec.Format), AppID: s.program.Spec.AppID, Version: spec.Version,
		VersionCode: spec.VersionCode, Declared: &bundle.Declared{},
	}
	for _, p := range s.program.Spec.Permissions {
		want.Declared.Permissions = append(want.Declared.Permissions, p.Name)
	}
	b, err := bundle.Read(fetched, fetched.Size, want, fetched.Bounds(r.Limits))
	if bad, ok := errors.AsType[*bundle.CheckError](err); ok {
		return nil, s.refuse(bad)
	}
	if err != nil {
		return nil, err
	}
	s.version.Status.Findings = findingsStatus(asFindings(b.Findings))
	return b, nil
}

// refuse tells what is wrong with the bundle: only another one helps.
func (s *versionScope) refuse(bad *bundle.CheckError) error {
	s.checked = bad
	s.version.Status.Findings = findingsStatus(asFindings(bad.Findings))
	return task.Stall(bad.Findings[0].Rule, fmt.Errorf("the bundle was not accepted: %w; publish a corrected bundle as a new MiniProgramVersion", bad))
}

// publish pushes the artifact and records it.
func (r *MiniProgramVersionReconciler) publish(ctx context.Context, s *versionScope, fetched *source.Fetched, b *bundle.Bundle) error {
	content, err := r.packContent(b)
	if err != nil {
		return err
	}
	defer content.remove()
	declaration := declarationOf(s.program)
	config, err := r.artifactConfig(s, fetched, b, declaration)
	if err != nil {
		return err
	}
	archive := registry.Blob{Digest: fetched.SHA256, Size: fetched.Size, Open: fetched.Open}
	artifact, err := registry.NewArtifact(repositoryOf(s.version), s.program.Spec.DisplayName, config, archive, content.blob, nil)
	if err != nil {
		return err
	}
	if artifact.Findings, err = r.inspectBundle(ctx, s, b, declaration); err != nil {
		return err
	}
	done, err := r.claimTag(s.version)
	if err != nil {
		return err
	}
	defer done()
	published, err := r.Registry.Publish(ctx, artifact)
	if err != nil {
		return r.explainRegistry(s, err)
	}
	known := lost{}
	if published.Adopted {
		if known, err = r.findLost(ctx, s, published.Digest, config.AppID); err != nil {
			return err
		}
	}
	at := r.now()
	s.version.Status.Artifact = &v1alpha1.Artifact{
		Repository: published.Repository, Digest: published.Digest, MediaType: published.MediaType,
		SizeBytes: published.Size, PushTime: &at,
		Archive:  &v1alpha1.Blob{Digest: published.Archive.Digest.String(), SizeBytes: published.Archive.Size, MediaType: published.Archive.MediaType},
		Content:  &v1alpha1.Blob{Digest: published.Content.Digest.String(), SizeBytes: published.Content.Size, MediaType: published.Content.MediaType},
		Findings: published.Findings,
	}
	if published.FindingsRefused != "" {
		r.event(s.version, corev1.EventTypeWarning, "FindingsNotKept", "Publish", "the registry took the artifact and refuses what refers to it (%s): only the findings in status.findings are kept", published.FindingsRefused)
	}
	if fetched.VerifiedBy != "" {
		if s.version.Status.Source == nil {
			s.version.Status.Source = &v1alpha1.SourceStatus{}
		}
		s.version.Status.Source.VerifiedBy = clip(fetched.VerifiedBy, maxSummary)
	}
	s.version.Status.Declaration = &declaration
	s.version.Status.HostApps = slices.Clone(s.program.Spec.HostApps)
	r.restore(s, known)
	s.version.Status.Bundle = &v1alpha1.BundleStatus{
		Format: string(b.Format), SHA256: b.ArchiveSHA256, ContentDigest: b.ContentDigest, SizeBytes: b.ArchiveBytes,
		Files: int32(len(b.Files)), AppID: config.AppID, VersionCode: config.VersionCode, Pages: int32(len(b.Pages)), EntryPage: b.EntryPage,
	}
	return nil
}

// inspectBundle finds out what policies ask about, while the bundle is at hand.
// Where that cannot be searched for, it is told when policies are applied.
func (r *MiniProgramVersionReconciler) inspectBundle(ctx context.Context, s *versionScope, b *bundle.Bundle, d v1alpha1.Declaration) ([]byte, error) {
	var patterns *policy.Patterns
	if covering, err := r.coveringPolicies(ctx, s.program); err == nil {
		patterns, _ = policy.PatternsOf(covering)
	}
	known, err := inspection.Of(b, d, patterns, r.Packer)
	if err != nil {
		return nil, err
	}
	s.inspected = &known
	return known.Marshal()
}

func (r *MiniProgramVersionReconciler) artifactConfig(s *versionScope, fetched *source.Fetched, b *bundle.Bundle, d v1alpha1.Declaration) (registry.ArtifactConfig, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return registry.ArtifactConfig{}, err
	}
	return registry.ArtifactConfig{
		AppID: s.program.Spec.AppID, Version: s.version.Spec.Version, VersionCode: versionCode(s.version, b),
		Format: string(b.Format), Pages: b.Pages, Declaration: raw,
		ArchiveSHA256: b.ArchiveSHA256, ContentDigest: b.ContentDigest, Source: fetched.Origin, Packer: r.Packer,
	}, nil
}

// versionCode is the spec's, else the bundle's, else made of the version's parts.
func versionCode(v *v1alpha1.MiniProgramVersion, b *bundle.Bundle) int64 {
	if v.Spec.VersionCode != 0 {
		return v.Spec.VersionCode
	}
	if b.VersionCode > 0 {
		return b.VersionCode
	}
	parsed, err := semver.StrictNewVersion(v.Spec.Version)
	if err != nil {
		return 1
	}
	code := uint64(0)
	for _, part := range []uint64{parsed.Major(), parsed.Minor(), parsed.Patch()} {
		code = min(code*100+min(part, maxVersionCode), maxVersionCode) // a part may be of any size
	}
	return max(int64(code), 1)
}

// maxVersionCode is the greatest whole number that every reader of JSON reads as it is.
const maxVersionCode = 1<<53 - 1

func declarationOf(p *v1alpha1.MiniProgram) v1alpha1.Declaration {
	c := p.DeepCopy().Spec
	return v1alpha1.Declaration{Permissions: c.Permissions, Domains: c.Domains, Privacy: c.Privacy}
}

// explainRegistry sorts the registry's errors into what waits and what stalls.
func (r *MiniProgramVersionReconciler) explainRegistry(s *versionScope, err error) error {
	if taken, ok := errors.AsType[*registry.TagTakenError](err); ok {
		return task.Stall(registry.TagTaken, taken)
	}
	known, ok := errors.AsType[*registry.Error](err)
	if !ok {
		return err
	}
	backoff := retryAfter(s.version.Status.Conditions, s.version.CreationTimestamp, s.now)
	return waitAtLeast(known.Reason, backoff, known.RetryAfter, known.Message)
}

// packed is the content layer in a temporary file: its digest must be known
// before it is pushed, and a push that is tried again reads it again.
type packed struct {
	file *os.File
	blob registry.Blob
}

func (p *packed) remove() { _ = p.file.Close() } // nothing was written that could be lost

func (r *MiniProgramVersionReconciler) packContent(b *bundle.Bundle) (*packed, error) {
	f, err := source.UnnamedFile(r.TempDir)
	if err != nil {
		return nil, err
	}
	p := &packed{file: f}
	sum := sha256.New()
	err = b.WriteContent(io.MultiWriter(f, sum))
	size, serr := f.Seek(0, io.SeekCurrent)
	if err = errors.Join(err, serr); err != nil {
		p.remove()
		return nil, fmt.Errorf("packing the content: %w", err)
	}
	p.blob = registry.Blob{
		Digest: "sha256:" + hex.EncodeToString(sum.Sum(nil)), Size: size,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, 0, size)), nil },
	}
	return p, nil
}
