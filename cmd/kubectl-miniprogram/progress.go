package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// progress tells how far a push is: a bar on a terminal, else a line before and
// after, for logs keep every state of a bar.
type progress struct {
	out      io.Writer
	terminal bool
}

func newProgress(out io.Writer) *progress {
	file, ok := out.(*os.File)
	return &progress{out: out, terminal: ok && term.IsTerminal(int(file.Fd()))}
}

// track returns body, which shows how much of size was read until it is closed.
func (p *progress) track(ctx context.Context, body io.Reader, size int64) (io.ReadCloser, error) {
	if !p.terminal {
		fmt.Fprintf(p.out, "pushing %s\n", showSize(size))
		return io.NopCloser(body), nil
	}
	bars := mpb.NewWithContext(ctx, mpb.WithOutput(p.out), mpb.WithWidth(60))
	bar := bars.AddBar(size,
		mpb.PrependDecorators(decor.Name("pushing "), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage()),
	)
	counted, err := bar.ProxyReader(body)
	if err != nil { // ctx has ended
		bars.Wait()
		return nil, err
	}
	return &tracked{Reader: counted, end: sync.OnceFunc(func() {
		bar.Abort(false) // a bar that is complete stays so
		bars.Wait()
	})}, nil
}

// tracked ends its bar, finished or not, when it is closed. Both the HTTP client
// and who opened it close it.
type tracked struct {
	io.Reader
	end func()
}

func (t *tracked) Close() error {
	t.end()
	return nil
}

// done says where the bundle is.
func (p *progress) done(sent bool, ref string, size int64) {
	if sent {
		fmt.Fprintf(p.out, "pushed %s\n", ref)
		return
	}
	fmt.Fprintf(p.out, "nothing to send, the registry has these %s: %s\n", showSize(size), ref)
}

// showSize is a size for people.
func showSize(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("% .1f", decor.SizeB1024(n))
}
