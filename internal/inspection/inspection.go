// Package inspection keeps what is known of a bundle's content beside its
// artifact, so that policies that are written later can be held against it without
// reading the bundle again: what the checks found, and the facts that policies ask
// for. It also reads them, from there, or from the bundle where nobody has kept
// them.
//
// What the objects say (the mini program's name, the version's notes) is not kept:
// it is read from them when it is asked for. Nor are the places where patterns of
// policies match: they belong to the policies.
package inspection

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/detect"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
)

// maxRecord bounds what is kept, in bytes: registries agree to hand out as much in
// one piece. Facts that are larger are not kept, and the bundle is read again.
const maxRecord = 4<<20 - 1

// Inspection is what is known of a bundle's content.
type Inspection struct {
	// Findings of the checks: warnings, for the bundle was accepted.
	Findings []bundle.Finding `json:"findings"`
	// Facts for policies. Nil in what older releases have kept.
	Facts *policy.Facts `json:"facts,omitempty"`
	// Packer is the release that has looked.
	Packer string `json:"packer"`
}

// Marshal returns what is kept: the same of the same content, for the same packer.
func (i Inspection) Marshal() ([]byte, error) {
	if i.Findings == nil {
		i.Findings = []bundle.Finding{} // that nothing was found is a statement too
	}
	if i.Facts != nil {
		facts := *i.Facts
		facts.Program, facts.Version = policy.ProgramFacts{}, policy.VersionFacts{}
		facts.Searched, facts.Matches = nil, nil
		i.Facts = &facts
	}
	raw, err := json.Marshal(i)
	if err == nil && len(raw) > maxRecord && i.Facts != nil {
		i.Facts = nil
		return i.Marshal()
	}
	return raw, err
}

// maxScript bounds the size of a file that is searched, for it is held in memory:
// only one is at a time. What is larger is not searched, and facts say so.
const maxScript = 16 << 20

// one keeps the memory of searching within that of one file, however many bundles
// are inspected.
var one sync.Mutex

// Of inspects a checked bundle and searches it for patterns, which may be nil.
// The error is of reading the archive.
func Of(b *bundle.Bundle, declaration v1alpha1.Declaration, patterns *policy.Patterns, packer string) (Inspection, error) {
	f := policy.Facts{
		ArchiveBytes: b.ArchiveBytes, Files: len(b.Files), Pages: len(b.Pages), Format: string(b.Format),
		Declaration: declaration, BundlePermissions: b.Permissions,
		Inspected: true, PageList: b.Pages, EntryPage: b.EntryPage,
	}
	searched := true
	for _, file := range b.Files {
		f.Paths = append(f.Paths, policy.File{Path: file.Path, SizeBytes: file.Size})
		if file.Size > maxScript {
			searched, f.Inspected = false, f.Inspected && !detect.Reads(file.Path)
			continue
		}
		if err := search(b, file, patterns, &f); err != nil {
			return Inspection{}, fmt.Errorf("inspecting %s: %w", file.Path, err)
		}
	}
	if searched {
		f.Searched = patterns.Keys()
	}
	return Inspection{Findings: b.Findings, Facts: &f, Packer: packer}, nil
}

func search(b *bundle.Bundle, file bundle.File, patterns *policy.Patterns, f *policy.Facts) error {
	script := detect.Reads(file.Path)
	if !script && patterns == nil {
		return nil
	}
	one.Lock()
	defer one.Unlock()
	content, err := read(b, file)
	if err != nil {
		return err
	}
	if script {
		for _, use := range detect.Scan(file.Path, content) {
			f.AddUses(policy.Use(use))
		}
	}
	f.AddMatches(patterns.Match(file.Path, content)...)
	return nil
}

func read(b *bundle.Bundle, file bundle.File) ([]byte, error) {
	body, err := b.Open(file.Path)
	if err != nil {
		return nil, err
	}
	content := bytes.NewBuffer(make([]byte, 0, file.Size))
	_, err = io.Copy(content, body)
	return content.Bytes(), errors.Join(err, body.Close())
}

// Store is the registry that holds artifacts.
type Store interface {
	Findings(ctx context.Context, repository, artifact, findings string) ([]byte, error)
	FetchBlob(ctx context.Context, repository, blobDigest string) (io.ReadCloser, int64, error)
}

// Reader reads what is known of artifacts.
type Reader struct {
	Store Store
	// TempDir for bundles that are read again.
	TempDir string
	// Limits under which bundles are read.
	Limits bundle.Limits
	// Packer is the present release.
	Packer string
}

// Read returns what is known of a version's artifact, searched for patterns, which
// may be nil. What the version's status names as kept beside the artifact is used where
// it answers; else the bundle is fetched and read again, also where the registry
// hands out something else under that name. The errors are the registry's, or a
// *bundle.CheckError where the present release would not accept the bundle.
func (r *Reader) Read(ctx context.Context, v *v1alpha1.MiniProgramVersion, patterns *policy.Patterns) (Inspection, error) {
	repository := v.Namespace + "/" + v.Spec.MiniProgramRef.Name
	raw, err := r.Store.Findings(ctx, repository, v.Status.Artifact.Digest, v.Status.Artifact.Findings)
	if err == nil {
		if kept, ok := unmarshal(raw); ok && patterns.SearchedIn(*kept.Facts) {
			return kept, nil
		}
	} else if refused, ok := errors.AsType[*registry.Error](err); !errors.Is(err, registry.ErrNotFound) && (!ok || refused.Reason != registry.RegistryInconsistent) {
		return Inspection{}, err
	}
	return r.again(ctx, repository, v, patterns)
}

// unmarshal reads what Marshal wrote; false: it says nothing that can be used.
// What a record says of searches is not believed: Marshal writes none.
func unmarshal(raw []byte) (Inspection, bool) {
	var kept Inspection
	if len(raw) > maxRecord || json.Unmarshal(raw, &kept) != nil || kept.Facts == nil {
		return Inspection{}, false
	}
	kept.Facts.Searched, kept.Facts.Matches = nil, nil
	return kept, true
}

// again reads the bundle from the registry.
func (r *Reader) again(ctx context.Context, repository string, v *v1alpha1.MiniProgramVersion, patterns *policy.Patterns) (Inspection, error) {
	if v.Status.Artifact.Archive == nil {
		return Inspection{}, fmt.Errorf("status.artifact of MiniProgramVersion %s names no archive: create the version anew", v.Name)
	}
	archive, err := r.fetch(ctx, repository, v)
	if err != nil {
		return Inspection{}, err
	}
	defer func() { _ = archive.Close() }() // nothing was written that could be lost
	want := bundle.Expect{Format: bundle.Format(v.Status.Bundle.Format), AppID: v.Status.Bundle.AppID}
	limits := r.Limits
	limits.ArchiveBytes = max(limits.ArchiveBytes, v.Status.Artifact.Archive.SizeBytes) // it was accepted
	b, err := bundle.Read(archive, v.Status.Artifact.Archive.SizeBytes, want, limits)
	if err != nil {
		return Inspection{}, err
	}
	var d v1alpha1.Declaration
	if v.Status.Declaration != nil {
		d = *v.Status.Declaration
	}
	return Of(b, d, patterns, r.Packer)
}

const (
	// slowest is the rate in bytes a second below which fetching a bundle is given up: a
	// registry that drips would keep one of the manager's few workers for an hour.
	slowest = 64 << 10
	// leastPatience is for what takes time before the first byte.
	leastPatience = 2 * time.Minute
)

// fetch returns the archive in a temporary file, with the digest that it must have:
// that other bytes are no bundle says nothing about this one.
func (r *Reader) fetch(ctx context.Context, repository string, v *v1alpha1.MiniProgramVersion) (*os.File, error) {
	want := v.Status.Artifact.Archive
	patience := leastPatience + time.Duration(want.SizeBytes/slowest)*time.Second
	inner, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, _, err := r.Store.FetchBlob(inner, repository, want.Digest)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	archive, err := spool(io.TeeReader(io.LimitReader(body, want.SizeBytes+1), sum), r.TempDir)
	switch err = errors.Join(err, body.Close()); {
	case err != nil && ctx.Err() == nil && inner.Err() != nil:
		return nil, &registry.Error{Reason: registry.RegistryUnavailable, Err: err, Message: fmt.Sprintf(
			"the registry did not hand out the %d bytes of the bundle of MiniProgramVersion %s within %s; the download is tried again", want.SizeBytes, v.Name, patience)}
	case err != nil:
		return nil, fmt.Errorf("fetching the bundle of MiniProgramVersion %s: %w", v.Name, err)
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != want.Digest {
		return nil, errors.Join(&registry.Error{Reason: registry.RegistryInconsistent, Message: fmt.Sprintf(
			"the registry hands out other bytes for the bundle of MiniProgramVersion %s (%s, not %s): have the registry checked", v.Name, got, want.Digest)}, archive.Close())
	}
	return archive, nil
}

func spool(body io.Reader, dir string) (*os.File, error) {
	f, err := source.UnnamedFile(dir)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(f, body); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
