// Command demo runs all of this project on one machine and plays its main job
// before one's eyes: from YAML to a percentage that a host app reads. A real
// control plane, a registry, the manager and the manifest service run on the
// loopback address; developers, reviewers and an operator act with client
// certificates of their own, and with no more rights than config/samples gives them.
//
// With -check it plays the same on a fresh state, compares every observation with
// what must hold and exits with status 1 if anything differs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

// options are the flags.
type options struct {
	check bool
	kills int
	seed  uint64
	state string
}

func main() {
	var o options
	flag.BoolVar(&o.check, "check", false, "play on a fresh state, compare every observation, and exit")
	flag.IntVar(&o.kills, "kill", 0, "with -check: kill -9 the manager at this many random moments")
	flag.Uint64Var(&o.seed, "seed", 0, "seed of these moments; 0: another one each time, printed")
	flag.StringVar(&o.state, "state", ".demo", "`folder` for the state, below the repository's root")
	flag.Parse()
	ctrllog.SetLogger(logr.Discard()) // what clients have to say is in the errors
	os.Exit(status(o))
}

// status runs the demo and says with which status to exit.
func status(o options) int {
	switch {
	case flag.NArg() > 0:
		fmt.Fprintf(os.Stderr, "demo: %q is no flag\n", flag.Arg(0))
		return 2
	case o.kills < 0 || o.kills > 0 && !o.check:
		fmt.Fprintln(os.Stderr, "demo: -kill needs -check and a number that is not below 0")
		return 2
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go endWithParent(ctx, cancel)
	err := run(ctx, o)
	interrupted := ctx.Err() != nil && errors.Is(err, context.Canceled)
	if err != nil && !interrupted {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		return 1
	}
	if o.check && ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted before everything was checked")
		return 1
	}
	return 0
}

// endWithParent ends the demo when the process that started it goes away:
// `go run`, which is that process, dies of signals that it does not pass on.
func endWithParent(ctx context.Context, cancel context.CancelFunc) {
	parent := os.Getppid()
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if os.Getppid() != parent {
				cancel()
				return
			}
		}
	}
}

// demo is one run.
type demo struct {
	options
	*stack
	out     *printer
	figures *figures
	checks  *checks
	crowd   *crowd
	served  *servedWatch
	chaos   *chaos
	// versions are those that were handed in, by the name of their object.
	versions versionSet
	// rows are the observations so far.
	rows []row
}

func run(ctx context.Context, o options) (err error) {
	root, err := controlplane.RepositoryDir()
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("going to the repository's root: %w", err)
	}
	figuresFile := filepath.Join(root, o.state, "figures.json")
	if o.check {
		o.state = filepath.Join(o.state, "check")
		if err := os.RemoveAll(o.state); err != nil {
			return fmt.Errorf("removing the state of the last check: %w", err)
		}
	}
	out := newPrinter(os.Stdout)
	d := &demo{options: o, out: out, checks: new(checks), figures: newFigures(o.check)}
	d.stack = &stack{root: root, dir: filepath.Join(root, o.state), out: out}
	out.header()
	if err := d.build(ctx, d.figures); err != nil {
		return err
	}
	began := time.Now()
	defer func() { err = errors.Join(err, d.stop(began)) }()
	if err := d.start(ctx); err != nil {
		return err
	}
	if err := d.play(ctx); err != nil {
		return err
	}
	if err := d.figures.write(figuresFile); err != nil {
		return err
	}
	if o.check {
		return d.verdict(figuresFile)
	}
	return d.leaveRunning(ctx)
}

// start starts everything and whoever watches it.
func (d *demo) start(ctx context.Context) error {
	d.out.section("Start")
	if err := d.startAll(ctx, d.figures); err != nil {
		return err
	}
	var err error
	if d.crowd, err = newCrowd(d.url, d.keys); err != nil {
		return err
	}
	d.chaos = newChaos(d.kills, d.seed, d.manager, d.out)
	d.served = watchServed(ctx, d.url, d.client, d.checks)
	return nil
}

// stop ends what runs; what is stored stays for the next run.
func (d *demo) stop(began time.Time) error {
	if d.served != nil {
		d.served.stop()
	}
	d.out.section("Stop")
	err := d.stopAll()
	d.out.say("stopped after %s; logs are in %s", time.Since(began).Round(time.Second), d.short(d.logs()))
	return err
}
