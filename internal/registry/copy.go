package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

const (
	// copyTimeout bounds the work on one repository: a registry that drips must not hold
	// whoever waits for ever.
	copyTimeout = 24 * time.Hour
	// maxNodes bounds what may hang together by references to one another.
	maxNodes = 10_000
	// blobsAtOnce bounds the transfers of one manifest.
	blobsAtOnce = 3
)

// Copier makes one place hold what another one holds, digest by digest.
type Copier struct{ From, To *Client }

// Copied is what was found and done in one repository.
type Copied struct {
	// Tags, Referrers and Manifests are what the source has: tags, manifests that refer to
	// another one, and all manifests.
	Tags, Referrers, Manifests int
	// Sent counts manifests and blobs that the target did not have, and Bytes is their size.
	Sent  int
	Bytes int64
	// Problems are what the target lacks, or has otherwise, one sentence each.
	Problems []string
}

// CopyError is what kept a repository from being copied or verified.
type CopyError struct {
	// Write tells that the target was written to; else one of both was read.
	Write bool
	// Host is the registry that failed.
	Host string
	Err  error
}

func (e *CopyError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *CopyError) Unwrap() error { return e.Err }

// Copy makes the target hold the repository, which is named below the prefix: all tags
// with all that they name and all that refers to it, at any depth, under the same
// digests. digests are manifests that are copied too, tagged or not. A tag is set last,
// and one that names something else at the target is never moved, but is a problem. What
// the target has is not sent, so that copying again goes on where it ended, also where a
// blob was lost. A repository that the source does not have is ErrNotFound.
func (c *Copier) Copy(ctx context.Context, repository string, digests []string) (Copied, error) {
	return c.walk(ctx, repository, digests, visitor{(*copying).send, nothing, (*copying).sendTag})
}

// Verify compares the target with the source, and changes nothing: Problems is what Copy
// would have to send, or cannot.
func (c *Copier) Verify(ctx context.Context, repository string, digests []string) (Copied, error) {
	return c.walk(ctx, repository, digests, visitor{(*copying).compare, (*copying).compareReferrers, (*copying).compareTag})
}

// copying is one repository that is walked through.
type copying struct {
	src, dst *call
	done     Copied
	// visited has every manifest that was looked at, so that references that run in
	// circles end.
	visited map[digest.Digest]bool
	visitor
}

// visitor is what is done on the way.
type visitor struct {
	// visit a manifest, of which all parts were visited.
	visit func(*copying, node) error
	// visitReferrers when all that refer to a manifest were visited.
	visitReferrers func(*copying, node) error
	// visitTag when all of that is done.
	visitTag func(*copying, node) error
}

// node is a manifest of the source.
type node struct {
	desc ocispec.Descriptor
	raw  []byte
	// tag that names it; empty: it is reached through another one.
	tag string
	// referrers of it at the source.
	referrers []ocispec.Descriptor
}

// listTag is the tag that stands in for the referrers API. It is not copied: its index is
// what the target makes of the manifests that refer to something.
var listTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}$`)

func (c *Copier) walk(ctx context.Context, repository string, digests []string, v visitor) (Copied, error) {
	src, err := c.From.begin(ctx, repository, "the copy", copyTimeout)
	if err != nil {
		return Copied{}, err
	}
	defer src.end()
	dst, err := c.To.begin(ctx, repository, "the copy", copyTimeout)
	if err != nil {
		return Copied{}, err
	}
	defer dst.end()
	w := &copying{src: src, dst: dst, visited: map[digest.Digest]bool{}, visitor: v}
	tags, err := src.tags()
	if err != nil {
		return w.done, w.read(src, err)
	}
	for _, tag := range tags {
		if err := w.tagged(tag); err != nil {
			return w.done, err
		}
	}
	for _, d := range digests {
		lost, err := w.next(ocispec.Descriptor{Digest: digest.Digest(d)})
		if err != nil {
			return w.done, err
		}
		if lost {
			w.problem("%s is not in the source", d)
		}
	}
	return w.done, nil
}

// tags lists all, sorted by the registry.
func (o *call) tags() (all []string, err error) {
	err = o.repo.Tags(o.ctx, "", func(page []string) error {
		all = append(all, page...)
		return nil
	})
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); ok && answer.StatusCode == http.StatusNotFound {
		return nil, &Error{Reason: RegistryRefused, Err: errors.Join(ErrNotFound, err),
			Message: fmt.Sprintf("the registry %s does not hold %s", o.client.options.Host, o.repo.Reference)}
	}
	if err != nil {
		return nil, o.explain(err)
	}
	return all, nil
}

// tagged walks through what a tag names.
func (w *copying) tagged(tag string) error {
	if listTag.MatchString(tag) {
		return w.list(tag)
	}
	desc, raw, err := w.src.readManifest(tag)
	if err != nil {
		return w.read(w.src, err)
	}
	w.done.Tags++
	return w.from(node{desc: desc, raw: raw, tag: tag})
}

// list walks through what refers to a manifest by its list. The manifest is tagged
// itself, or not at all, or was never there.
func (w *copying) list(tag string) error {
	subject := strings.Replace(tag, "-", ":", 1)
	if w.visited[digest.Digest(subject)] {
		return nil
	}
	desc, raw, err := w.src.readManifest(subject)
	if err == nil {
		return w.from(node{desc: desc, raw: raw})
	}
	if errors.Is(err, ErrNotFound) {
		_, raw, err = w.src.readManifest(tag)
	}
	if err != nil {
		return w.read(w.src, err)
	}
	var index ocispec.Index
	if isList := json.Unmarshal(raw, &index) == nil; !isList {
		return nil // somebody's tag of this form, which lists nothing
	}
	for _, d := range index.Manifests {
		if _, err := w.next(d); err != nil { // a list may name what was deleted
			return err
		}
	}
	return nil
}

// from walks through a manifest, what it is made of, and what refers to it, in the order
// in which a target takes them; its tag is last.
func (w *copying) from(n node) error {
	if !w.visited[n.desc.Digest] {
		if len(w.visited) >= maxNodes {
			return fmt.Errorf("more than %d manifests are in %s: copy it with another tool", maxNodes, w.src.repo.Reference)
		}
		w.visited[n.desc.Digest] = true
		w.done.Manifests++
		if err := w.around(n); err != nil {
			return err
		}
	}
	if n.tag == "" {
		return nil
	}
	return w.visitTag(w, n)
}

// around is from without the tag.
func (w *copying) around(n node) error {
	p := partsOf(n.raw)
	if p.Subject != nil {
		w.done.Referrers++
	}
	for _, child := range p.Manifests {
		lost, err := w.next(child)
		if err != nil {
			return err
		}
		if lost {
			w.problem("%s, which index %s lists, is not in the source", child.Digest, n.desc.Digest)
		}
	}
	if err := w.visit(w, n); err != nil {
		return err
	}
	referrers, err := w.src.referrers(n.desc, "", maxNodes)
	if err != nil {
		return w.read(w.src, err)
	}
	for _, r := range referrers {
		lost, err := w.next(r)
		if err != nil {
			return err
		}
		if !lost { // a list may name what was deleted
			n.referrers = append(n.referrers, r)
		}
	}
	return w.visitReferrers(w, n)
}

// next goes on with a manifest that another one leads to.
func (w *copying) next(d ocispec.Descriptor) (lost bool, err error) {
	if w.visited[d.Digest] {
		return false, nil
	}
	desc, raw, err := w.src.readManifest(d.Digest.String())
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, w.read(w.src, err)
	}
	return false, w.from(node{desc: desc, raw: raw})
}

// parts are what a manifest of any kind names, but for its subject.
type parts struct {
	Config    *ocispec.Descriptor  `json:"config"`
	Layers    []ocispec.Descriptor `json:"layers"`
	Manifests []ocispec.Descriptor `json:"manifests"`
	Subject   *ocispec.Descriptor  `json:"subject"`
}

func partsOf(raw []byte) parts {
	var p parts
	_ = json.Unmarshal(raw, &p) // something else than a manifest names nothing
	return p
}

// blobs are what the manifest's registry must hold: layers that live elsewhere have
// addresses of their own.
func (p parts) blobs() []ocispec.Descriptor {
	var out []ocispec.Descriptor
	if p.Config != nil {
		out = append(out, *p.Config)
	}
	for _, layer := range p.Layers {
		if len(layer.URLs) == 0 && !slices.ContainsFunc(out, func(d ocispec.Descriptor) bool { return d.Digest == layer.Digest }) {
			out = append(out, layer)
		}
	}
	return out
}
