package bundle_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// allocated returns how many bytes f allocates in all, which is never less than
// what it holds at a time.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// noise returns n bytes that do not compress.
func noise(n int) string {
	source := rand.NewChaCha8([32]byte{})
	b := make([]byte, n)
	if _, err := source.Read(b); err != nil {
		panic(err)
	}
	return string(b)
}

// measure returns what Read and WriteContent allocate for an archive.
func measure(t *testing.T, a archive) (reading, writing int64) {
	t.Helper()
	data := a.bytes()
	var b *bundle.Bundle
	var err error
	reading = allocated(func() {
		b, err = bundle.Read(bytes.NewReader(data), int64(len(data)), bundle.Expect{}, bundle.Limits{})
	})
	if err != nil {
		t.Fatal(err)
	}
	writing = allocated(func() { err = b.WriteContent(io.Discard) })
	if err != nil {
		t.Fatal(err)
	}
	return reading, writing
}

func TestMemoryDoesNotGrowWithTheContent(t *testing.T) {
	for name, made := range map[string]func(n int) member{
		"stored":          func(n int) member { return member{name: "a.bin", content: noise(n)} },
		"with descriptor": func(n int) member { return member{name: "a.bin", content: noise(n), descriptor: 16} },
		"deflated":        func(n int) member { return member{name: "a.bin", content: noise(n), deflate: true, level: 1} },
		"well deflated": func(n int) member {
			return member{name: "a.txt", content: strings.Repeat(noise(2000), n/2000), deflate: true, level: 1}
		},
	} {
		t.Run(name, func(t *testing.T) {
			// Both are beyond the compressor's window of 8 MiB, which is allocated once.
			smallRead, smallWrite := measure(t, archive{members: []member{page, made(10 << 20)}})
			largeRead, largeWrite := measure(t, archive{members: []member{page, made(30 << 20)}})
			t.Logf("Read allocates %d and %d bytes, WriteContent %d and %d", smallRead, largeRead, smallWrite, largeWrite)
			// Go's inflate makes small tables for each block.
			const may = 512 << 10
			if grown := largeRead - smallRead; grown > may {
				t.Errorf("20 MiB more make Read allocate %d bytes more, want at most %d", grown, may)
			}
			if grown := largeWrite - smallWrite; grown > may {
				t.Errorf("20 MiB more make WriteContent allocate %d bytes more, want at most %d", grown, may)
			}
			if largeRead > 1<<20 {
				t.Errorf("Read allocates %d bytes, want at most 1 MiB", largeRead)
			}
			if largeWrite > 64<<20 {
				t.Errorf("WriteContent allocates %d bytes, want at most 64 MiB", largeWrite)
			}
		})
	}
}

func TestMemoryGrowsLittleWithEachEntry(t *testing.T) {
	deep := strings.Repeat("/d", 31)
	for name, test := range map[string]struct {
		name       func(i int) string
		read, tars int64 // bytes that an entry may cost
	}{
		"short names":      {func(i int) string { return fmt.Sprintf("assets/%05d.js", i) }, 2 << 10, 1 << 10},
		"names beyond tar": {func(i int) string { return fmt.Sprintf("assets/\u00e9%05d.js", i) }, 8 << 10, 2 << 10},
		"long names": {func(i int) string {
			return strings.Repeat(fmt.Sprintf("%05d%s/", i, strings.Repeat("x", 240)), 4) + "x"
		}, 24 << 10, 16 << 10},
		"folders of each": {func(i int) string { return fmt.Sprintf("%05d%s", i, deep) }, 10 << 10, 1 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			made := func(n int) archive {
				a := archive{members: []member{page}}
				for i := range n {
					a.members = append(a.members, member{name: test.name(i)})
				}
				return a
			}
			const few, many = 999, 9999
			fewRead, fewWrite := measure(t, made(few))
			manyRead, manyWrite := measure(t, made(many))
			read, write := (manyRead-fewRead)/(many-few), (manyWrite-fewWrite)/(many-few)
			t.Logf("an entry costs %d bytes in Read and %d in WriteContent", read, write)
			if read > test.read || write > test.tars {
				t.Errorf("an entry costs %d bytes in Read and %d in WriteContent, want at most %d and %d", read, write, test.read, test.tars)
			}
		})
	}
}

func TestMemoryIsBoundedHoweverMuchIsWrong(t *testing.T) {
	many := archive{members: []member{page}}
	for i := range 9999 {
		many.members = append(many.members, member{name: fmt.Sprintf("../%s%d", strings.Repeat("\x01", 1000), i), attrs: 0o120777 << 16})
	}
	const manifest = 256 << 10
	fill := func(first, item, last string) []byte {
		return shop.but(files{"manifest.json": first + strings.Repeat(item, (manifest-len(first)-len(last))/len(item)) + last}).zip()
	}
	for name, test := range map[string]struct {
		data []byte
		may  int64 // MiB
	}{
		"names":              {many.bytes(), 160},
		"no member fits":     {fill(`{"pages":[0`, `,0`, `]}`), 24},
		"objects of objects": {fill(`{"icons":[{}`, `,{}`, `]}`), 64},
		"lists of lists":     {fill(`{"icons":[[]`, `,[]`, `]}`), 18},
		"one key again":      {fill(`{"a":0`, `,"a":0`, `}`), 64},
		"members":            {fill(`{"":0`, `,"a":0`, `}`), 64},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			used := allocated(func() {
				_, err = bundle.Read(bytes.NewReader(test.data), int64(len(test.data)), bundle.Expect{Format: bundle.FormatMiniApp}, bundle.Limits{Ratio: 1 << 20})
			})
			t.Logf("%d bytes of archive, %d allocated", len(test.data), used)
			if err == nil || used > test.may<<20 {
				t.Errorf("Read allocated %d bytes (%v), want an error and at most %d MiB", used, err, test.may)
			}
		})
	}
}

// BenchmarkRead compares with what archive/zip takes to read all files of the
// same archive, which checks less and computes one digest fewer: none.
func BenchmarkRead(b *testing.B) {
	a := archive{members: []member{page}}
	text := strings.Repeat("modDefine('pages/index/index', function (require, module, exports) { module.exports = {} })\n", 300)
	random := noise(200 << 10)
	size := len(page.content)
	for i := range 200 {
		content := text[:1000+i*100] + random[i*1000:i*1000+500]
		a.members = append(a.members, member{name: fmt.Sprintf("assets/%03d.js", i), content: content, deflate: true})
		size += len(content)
	}
	data := a.bytes()
	b.Run("bundle.Read", func(b *testing.B) {
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bundle.Read(bytes.NewReader(data), int64(len(data)), bundle.Expect{}, bundle.Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("archive-zip", func(b *testing.B) {
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				b.Fatal(err)
			}
			for _, f := range z.File {
				r, err := f.Open()
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
