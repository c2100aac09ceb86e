package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	textwidth "golang.org/x/text/width"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func newRollout(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{Use: "rollout", Short: "Watch and steer a Rollout"}
	cmd.AddCommand(newRolloutStatus(streams))
	for _, a := range actions {
		cmd.AddCommand(newAction(streams, a))
	}
	return cmd
}

// statusOptions are the flags of rollout status.
type statusOptions struct {
	config  *genericclioptions.ConfigFlags
	streams genericiooptions.IOStreams
	watch   bool
	timeout time.Duration
	output  string
}

func newRolloutStatus(streams genericiooptions.IOStreams) *cobra.Command {
	o := &statusOptions{config: genericclioptions.NewConfigFlags(true), streams: streams}
	cmd := &cobra.Command{
		Use:   "status NAME",
		Short: "Show where a Rollout is, what it waits for, and what can be done",
		Long: `Show where a Rollout is: what is stable, what is being rolled out to which share of
users, the plan, what it waits for and who can give that, guardrails, the last
action and its answer, earlier attempts, and the commands that lead on.

With --watch it is drawn anew at each change, or a line is printed for each where
the output is no terminal. That ends with 0 when the version that the Rollout
names is stable for everybody, with 1 when it was taken back or nothing but a
change of the Rollout can help, and with 2 when it could not be watched, or was
not over within --timeout.`,
		Example: `  kubectl miniprogram rollout status shop -n shop-team --watch

  # In a pipeline, for at most an hour
  kubectl miniprogram rollout status shop -n shop-team --watch --timeout 1h`,
		Args: exactly("NAME, the name of a Rollout"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.watch, "watch", "w", false, "go on until the rollout is over")
	flags.DurationVar(&o.timeout, "timeout", 0, "how long to watch, such as 30m; 0 is without limit")
	flags.StringVarP(&o.output, "output", "o", "", "json, for machines, one object a line with --watch; for people when it is left out")
	o.config.AddFlags(flags)
	return cmd
}

func (o *statusOptions) run(ctx context.Context, name string) error {
	switch {
	case o.output != "" && o.output != "json":
		return fmt.Errorf("--output is %q: write json, or leave it out for text", o.output)
	case o.timeout < 0 || o.timeout > 0 && !o.watch:
		return errors.New("--timeout is how long to watch: add --watch, or leave it out")
	}
	c, err := connect(o.config, o.streams.ErrOut)
	if err != nil {
		return err
	}
	ro, err := c.getRollout(ctx, name)
	if err != nil {
		return err
	}
	if !o.watch {
		return o.show(ro)
	}
	return o.follow(ctx, c, ro)
}

func (o *statusOptions) show(ro *v1alpha1.Rollout) error {
	v := viewOf(ro)
	if o.output == "json" {
		encoder := json.NewEncoder(o.streams.Out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	_, err := fmt.Fprintln(o.streams.Out, strings.Join(v.lines(time.Now()), "\n"))
	return err
}

// follow shows a Rollout until it is over.
func (o *statusOptions) follow(ctx context.Context, c *cluster, ro *v1alpha1.Rollout) error {
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	seen, failed := make(chan *v1alpha1.Rollout), make(chan error, 1)
	go func() {
		failed <- c.follow(ctx, ro, func(now *v1alpha1.Rollout) bool {
			select {
			case seen <- now:
			case <-ctx.Done():
			}
			return false
		})
	}()
	painter := newPainter(o.streams.Out, o.output == "json")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case ro = <-seen:
			if err := painter.paint(viewOf(ro), time.Now()); err != nil {
				return err
			}
			if end := endOf(ro); end.over && end.well {
				return nil
			} else if end.over {
				return errReported
			}
		case <-tick.C:
			if err := painter.repaint(time.Now()); err != nil {
				return err
			}
		case err := <-failed:
			if errors.Is(err, context.DeadlineExceeded) {
				err = fmt.Errorf("after %s, Rollout %s/%s is not over: %s", o.timeout, ro.Namespace, ro.Name, plain(ro.Status.Summary))
			}
			return err
		}
	}
}

// painter draws on a terminal what has changed in the place where it was, and
// prints lines, or JSON, elsewhere.
type painter struct {
	out    io.Writer
	json   bool
	screen *os.File // nil: the output is no terminal
	last   *rolloutView
	drawn  int
}

func newPainter(out io.Writer, asJSON bool) *painter {
	p := &painter{out: out, json: asJSON}
	if file, ok := out.(*os.File); ok && !asJSON && term.IsTerminal(int(file.Fd())) {
		p.screen = file
	}
	return p
}

func (p *painter) paint(v *rolloutView, now time.Time) error {
	before := p.last
	p.last = v
	switch {
	case p.screen != nil:
		return p.repaint(now)
	case p.json:
		encoder := json.NewEncoder(p.out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(v)
	}
	for _, line := range v.changeLines(before, now) {
		if _, err := fmt.Fprintln(p.out, line); err != nil {
			return err
		}
	}
	return nil
}

// repaint draws on a terminal again, for times pass.
func (p *painter) repaint(now time.Time) error {
	if p.screen == nil || p.last == nil {
		return nil
	}
	width, height, err := term.GetSize(int(p.screen.Fd()))
	if err != nil {
		return fmt.Errorf("asking the terminal for its size: %w", err)
	}
	text, drawn := frame(p.last.lines(now), width, height, p.drawn)
	p.drawn = drawn
	_, err = io.WriteString(p.screen, text)
	return err
}

// frame is what to send to a terminal so that lines take the place of those drawn
// before. What does not fit is left out: a line that wraps, or scrolls, would be
// counted wrong the next time.
func frame(lines []string, width, height, drawn int) (text string, now int) {
	var b strings.Builder
	if drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", drawn)
	}
	b.WriteString("\r\x1b[J")
	if most := height - 1; most > 0 && len(lines) > most {
		lines = lines[:most]
	}
	for _, line := range lines {
		b.WriteString(cut(line, width-1) + "\n")
	}
	return b.String(), len(lines)
}

// cut shortens a line to so many cells of a terminal, of which Chinese characters
// and their like take two.
func cut(line string, cells int) string {
	used, kept := 0, 0 // kept is where the dots go
	for i, r := range line {
		wide := 1
		if k := textwidth.LookupRune(r).Kind(); k == textwidth.EastAsianWide || k == textwidth.EastAsianFullwidth {
			wide = 2
		}
		if used+wide > cells {
			return line[:kept] + "…"
		}
		if used += wide; used < cells {
			_, size := utf8.DecodeRuneInString(line[i:])
			kept = i + size
		}
	}
	return line
}
