package bundle

import "fmt"

// Limits bounds what Read accepts. A field that is zero or negative takes its
// value from DefaultLimits.
type Limits struct {
	// ArchiveBytes is the size of the archive.
	ArchiveBytes int64
	// ExpandedBytes is the size of all its files together, uncompressed.
	ExpandedBytes int64
	// Entries is the number of files and folders in its central directory.
	Entries int
	// Ratio is how many times larger than the archive all files together may be.
	Ratio int64
	// ManifestBytes is the size of a manifest, the only file that is held in memory.
	ManifestBytes int64
}

// DefaultLimits returns 32 MiB, 128 MiB, 10,000 entries, 200:1 and 256 KiB.
func DefaultLimits() Limits {
	return Limits{
		ArchiveBytes:  32 << 20,
		ExpandedBytes: 128 << 20,
		Entries:       10_000,
		Ratio:         200,
		ManifestBytes: 256 << 10,
	}
}

// orDefaults replaces what is not set.
func (l Limits) orDefaults() Limits {
	d := DefaultLimits()
	if l.ArchiveBytes <= 0 {
		l.ArchiveBytes = d.ArchiveBytes
	}
	if l.ExpandedBytes <= 0 {
		l.ExpandedBytes = d.ExpandedBytes
	}
	if l.Entries <= 0 {
		l.Entries = d.Entries
	}
	if l.Ratio <= 0 {
		l.Ratio = d.Ratio
	}
	if l.ManifestBytes <= 0 {
		l.ManifestBytes = d.ManifestBytes
	}
	return l
}

// showBytes writes a size so that a person can compare it: "1234 bytes", and
// from 10 KiB on with the larger unit in front.
func showBytes(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%.1f MiB (%d bytes)", float64(n)/(1<<20), n)
	case n >= 10<<10:
		return fmt.Sprintf("%.1f KiB (%d bytes)", float64(n)/(1<<10), n)
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}

// checkArchiveSize needs no byte of the archive.
func checkArchiveSize(size int64, limits Limits, found *findings) {
	if size > limits.ArchiveBytes {
		found.fail(ruleLimitArchive, "", "the archive has %s, allowed are %s; leave out what the mini program does not need, or load large files at run time",
			showBytes(size), showBytes(limits.ArchiveBytes))
	}
}

// checkExpanded compares what the central directory declares with the limits.
// Declared sizes are good enough: no file is inflated beyond its declared size.
func checkExpanded(entries []entry, size int64, limits Limits, found *findings) {
	var total int64
	for i := range entries {
		total += entries[i].size
	}
	if total > limits.ExpandedBytes {
		found.fail(ruleLimitExpanded, "", "the files have %s together, allowed are %s; leave out what the mini program does not need, or load large files at run time",
			showBytes(total), showBytes(limits.ExpandedBytes))
	}
	// Division rather than multiplication: Ratio is the caller's and may be huge.
	if size > 0 && total/size >= limits.Ratio && total-limits.Ratio*size > 0 {
		found.fail(ruleLimitRatio, "", "the files are %d times as large as the archive, allowed is %d times; remove files that hold almost nothing but repetitions",
			(total+size-1)/size, limits.Ratio)
	}
}
