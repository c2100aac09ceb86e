package source

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// packing is how a layer holds a bundle.
type packing string

const (
	packedZip  packing = "zip"
	packedTar  packing = "tar"
	packedGzip packing = "tar+gzip"
	packedZstd packing = "tar+zstd"
)

// maxWindow bounds the memory that a zstd layer asks for; zstd itself recommends
// that decoders take 8 MiB.
const maxWindow = 8 << 20

// packingOf tells by the media type, else by the title. Empty: it is no bundle.
func packingOf(layer ocispec.Descriptor) packing {
	for _, known := range []struct {
		packing packing
		types   []string // what the media type ends with
		titles  []string
	}{
		{packedZip, []string{"application/zip", "+zip"}, []string{".zip", ".ma"}},
		{packedGzip, []string{".tar+gzip", "+tar+gzip", ".tar.gzip"}, []string{".tar.gz", ".tgz"}},
		{packedZstd, []string{".tar+zstd", "+tar+zstd", ".tar.zstd"}, []string{".tar.zst"}},
		{packedTar, []string{".tar", "+tar", "application/x-tar"}, []string{".tar"}},
	} {
		ends := func(text string) func(string) bool {
			return func(end string) bool { return strings.HasSuffix(text, end) }
		}
		if slices.ContainsFunc(known.types, ends(layer.MediaType)) ||
			slices.ContainsFunc(known.titles, ends(strings.ToLower(layer.Annotations[ocispec.AnnotationTitle]))) {
			return known.packing
		}
	}
	return ""
}

// zipOfTar makes the archive that stands for a tar layer: a zip of its files,
// sorted, stored and without times, so that the same files always make the same
// bytes. It closes layer. ctx ends it between two reads.
//
// It fails with a *bundle.CheckError where the layer is at fault.
func zipOfTar(ctx context.Context, layer *Fetched, p packing, l Limits) (*Fetched, error) {
	defer func() { _ = layer.Close() }() // it was only read
	expanded, err := UnnamedFile(l.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = expanded.Close() }() // what was written is of no use any more
	in := bufio.NewReader(readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, &localError{err}
		}
		return layer.file.Read(p)
	}))
	if _, err := layer.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	out := bufio.NewWriter(expanded)
	entries, err := unpack(in, layer.Size, p, out, l)
	if err := errors.Join(err, out.Flush()); err != nil {
		return nil, err
	}
	return storeZip(entries, expanded, l.Dir)
}

// unpack expands the size bytes of in and reads the tar in them to its very end.
func unpack(in *bufio.Reader, size int64, p packing, out io.Writer, l Limits) ([]tarEntry, error) {
	stream, done, err := expand(in, p)
	if err != nil {
		return nil, explainTar(err, "the beginning")
	}
	defer done()
	entries, err := readTar(limitExpansion(stream, size, l), out, l)
	if err != nil {
		return nil, err
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, bad(TarStructure, "", "the layer goes on after its compressed tar; push it as one stream, and nothing after it")
	}
	return entries, nil
}

// expand returns the tar in in. done frees what it holds.
func expand(in *bufio.Reader, p packing) (stream io.Reader, done func(), err error) {
	switch p {
	case packedGzip:
		r, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, err
		}
		r.Multistream(false) // what follows is found by the caller
		return r, func() { _ = r.Close() }, nil
	case packedZstd:
		// One goroutine: the layer is read as it is asked for, and no further.
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, err
		}
		return r, r.Close, nil
	default:
		return in, func() {}, nil
	}
}

// limitExpansion lets no more than the limits through: the ratio is known before
// the first byte, for the layer's size is.
func limitExpansion(stream io.Reader, size int64, l Limits) io.Reader {
	left, exceeded := l.MaxExpandedBytes, bad(limitExpanded, "",
		"the tar layer expands to more than %d bytes, the most that is allowed; leave out what the mini program does not need, or load large files at run time", l.MaxExpandedBytes)
	if byRatio := max(size*l.MaxRatio, leastExpanded); byRatio < left {
		left, exceeded = byRatio, bad(limitRatio, "",
			"the tar layer expands to more than %d times its size, the most that is allowed; remove files that hold almost nothing but repetitions", l.MaxRatio)
	}
	return readerFunc(func(p []byte) (int, error) {
		n, err := stream.Read(p[:min(int64(len(p)), left+1)])
		if left -= int64(n); left < 0 {
			return 0, exceeded
		}
		return n, err
	})
}

// withTarDefaults are the limits that bundle.Read has for a zip, within what the
// archive made of a tar can tell: it is no Zip64.
func (l Limits) withTarDefaults() Limits {
	l.MaxExpandedBytes = min(cmp.Or(l.MaxExpandedBytes, DefaultMaxExpandedBytes), math.MaxInt32)
	l.MaxEntries = min(cmp.Or(l.MaxEntries, DefaultMaxEntries), math.MaxUint16-1)
	l.MaxRatio = cmp.Or(l.MaxRatio, DefaultMaxRatio)
	return l
}

// fromTar names in an origin what the archive was made of.
func fromTar(p packing, layer ocispec.Descriptor) string {
	return fmt.Sprintf("#%s=%s", p, layer.Digest)
}
