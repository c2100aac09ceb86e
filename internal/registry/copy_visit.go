package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// send brings one manifest to the target.
func (w *copying) send(n node) error {
	if err := w.sendBlobs(partsOf(n.raw).blobs()); err != nil {
		return err
	}
	there, err := w.dst.repo.Manifests().Exists(w.dst.ctx, n.desc)
	if err != nil {
		return w.wrote(err)
	}
	if there {
		// A crash between a manifest and the list that it belongs to leaves it unlisted.
		if there, err = w.listed(n); err != nil {
			return err
		}
	}
	if there {
		return nil
	}
	if err := w.dst.repo.Manifests().Push(w.dst.ctx, n.desc, bytes.NewReader(n.raw)); err != nil {
		return w.wrote(err)
	}
	w.done.Sent++
	w.done.Bytes += n.desc.Size
	return nil
}

// listed tells whether the target knows that n refers to its subject. Without one there
// is nothing to know.
func (w *copying) listed(n node) (bool, error) {
	subject := partsOf(n.raw).Subject
	if subject == nil {
		return true, nil
	}
	there, err := w.refers(*subject)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(there, func(d ocispec.Descriptor) bool { return d.Digest == n.desc.Digest }), nil
}

// refers lists what refers to subject at the target, which need not have the repository yet.
func (w *copying) refers(subject ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	there, err := w.dst.referrers(subject, "", maxNodes)
	if answer, is := errors.AsType[*errcode.ErrorResponse](err); is && answer.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, w.read(w.dst, err)
	}
	return there, nil
}

// sendBlobs sends those that the target lacks.
func (w *copying) sendBlobs(blobs []ocispec.Descriptor) error {
	sent := make([]bool, len(blobs))
	group, ctx := errgroup.WithContext(w.dst.ctx)
	group.SetLimit(blobsAtOnce)
	for i, desc := range blobs {
		group.Go(func() error {
			var body *tapped // the last that was opened
			open := func() (io.ReadCloser, error) {
				sent[i] = true
				from, err := w.src.repo.Blobs().Fetch(w.src.ctx, desc)
				if errors.Is(err, errdef.ErrNotFound) {
					return nil, w.read(w.src, w.lost(desc))
				}
				if err != nil {
					return nil, w.read(w.src, w.src.explain(err))
				}
				body = &tapped{ReadCloser: from}
				return body, nil
			}
			err := w.dst.pushBlob(ctx, desc, open)
			if err != nil && body != nil && body.err != nil {
				return w.read(w.src, w.src.explain(body.err))
			}
			return w.wrote(err)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, desc := range blobs {
		if sent[i] {
			w.done.Sent++
			w.done.Bytes += desc.Size
		}
	}
	return nil
}

// lost is a blob that the source names and does not have. It is no ErrNotFound, which is
// about the repository.
func (w *copying) lost(desc ocispec.Descriptor) error {
	return &Error{Reason: RegistryInconsistent, Message: fmt.Sprintf("%s has lost its blob %s: restore it there", w.src.repo.Reference, desc.Digest)}
}

// tapped notes what kept the source's bytes from being read.
type tapped struct {
	io.ReadCloser
	err error
}

func (b *tapped) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

func (w *copying) sendTag(n node) error {
	is, _, err := w.dst.readManifest(n.tag)
	switch {
	case err == nil && is.Digest == n.desc.Digest:
		return nil
	case err == nil:
		w.problem("tag %s names %s at the target, and a tag is never moved: delete it there if nobody needs it", n.tag, is.Digest)
		return nil
	case !errors.Is(err, ErrNotFound):
		return w.read(w.dst, err)
	}
	if err := w.dst.repo.Manifests().PushReference(w.dst.ctx, n.desc, bytes.NewReader(n.raw), n.tag); err != nil {
		return w.wrote(err)
	}
	return nil
}

func nothing(*copying, node) error { return nil }

func (w *copying) compareTag(n node) error {
	is, _, err := w.dst.readManifest(n.tag)
	switch {
	case errors.Is(err, ErrNotFound):
		w.problem("tag %s is not at the target", n.tag)
	case err != nil:
		return w.read(w.dst, err)
	case is.Digest != n.desc.Digest:
		w.problem("tag %s names %s at the target, not %s", n.tag, is.Digest, n.desc.Digest)
	}
	return nil
}

// compare tells what the target lacks of one manifest.
func (w *copying) compare(n node) error {
	_, _, err := w.dst.readManifest(n.desc.Digest.String())
	if errors.Is(err, ErrNotFound) {
		w.problem("manifest %s is not at the target", n.desc.Digest)
		return nil
	}
	if err != nil {
		return w.read(w.dst, err)
	}
	for _, desc := range partsOf(n.raw).blobs() {
		_, err := w.dst.repo.Blobs().Resolve(w.dst.ctx, desc.Digest.String())
		if errors.Is(err, errdef.ErrNotFound) {
			w.problem("blob %s of manifest %s is not at the target", desc.Digest, n.desc.Digest)
			continue
		}
		if err != nil {
			return w.read(w.dst, w.dst.explain(err))
		}
	}
	return nil
}

func (w *copying) compareReferrers(n node) error {
	if len(n.referrers) == 0 {
		return nil
	}
	there, err := w.refers(n.desc)
	if err != nil {
		return err
	}
	for _, want := range n.referrers {
		if !slices.ContainsFunc(there, func(d ocispec.Descriptor) bool { return d.Digest == want.Digest }) {
			w.problem("%s, which refers to %s, is not in the target's list of referrers", want.Digest, n.desc.Digest)
		}
	}
	return nil
}

func (w *copying) problem(format string, args ...any) {
	w.done.Problems = append(w.done.Problems, fmt.Sprintf(format, args...))
}

// read says whose answer an error of reading is.
func (w *copying) read(o *call, err error) error {
	return &CopyError{Host: o.client.options.Host, Err: err}
}

// wrote explains an error of writing to the target.
func (w *copying) wrote(err error) error {
	if err == nil {
		return nil
	}
	if _, is := errors.AsType[*CopyError](err); is {
		return err // of the source
	}
	if _, is := errors.AsType[*Error](err); !is {
		err = w.dst.explainManifest(err)
	}
	return &CopyError{Write: true, Host: w.dst.client.options.Host, Err: err}
}
