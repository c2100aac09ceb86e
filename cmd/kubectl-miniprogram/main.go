// Command kubectl-miniprogram is the plugin of kubectl for mini programs: put on
// the PATH, it is `kubectl miniprogram`.
//
// A command is a file here, in package main: flags, the order of what is done,
// and words for people. What a bundle is, how it is checked, packed and fetched,
// is in internal/bundle, internal/policy and internal/source, the same code as
// the manager's, so that both say the same of one bundle. Nothing else needs
// what stands here, which is why there is no package beside main.
//
// Every command exits with 0, with 1 when the mini program has to change, or when
// the answer is one that was not asked for, and with 2 when it could not do its work.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/miniprogram-dev/miniprogram-operator/internal/buildinfo"
)

// version is stamped in at build time.
var version = "dev"

// Exit codes.
const (
	exitOK           = 0
	exitUnacceptable = 1
	exitFailed       = 2
)

// errReported ends a command that has printed already what is wrong.
var errReported = errors.New("the bundle has errors, or the answer is not the one that was asked for")

// unacceptableError says that the mini program or its version has to change.
type unacceptableError struct{ err error }

func (e *unacceptableError) Error() string { return e.err.Error() }
func (e *unacceptableError) Unwrap() error { return e.err }

func main() {
	log.SetLogger(logr.Discard()) // controller-runtime's clients ask for one
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr})
	stop()
	os.Exit(code)
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	root := newRoot(streams)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	unacceptable, is := errors.AsType[*unacceptableError](err)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitUnacceptable
	case is:
		fmt.Fprintf(streams.ErrOut, "error: %v\n", unacceptable)
		return exitUnacceptable
	default:
		fmt.Fprintf(streams.ErrOut, "error: %v\n", err)
		return exitFailed
	}
}

func newRoot(streams genericiooptions.IOStreams) *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-miniprogram",
		Short: "Check mini programs, hand them in and roll them out",
		Long: "Check mini programs, hand them in and roll them out.\n\n" +
			"Exits with 0, with 1 when the mini program has to change or the answer is not the\none that was asked for, and with 2 when the command could not do its work.",
		Version:     version,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl miniprogram"},
		// run prints errors, and a usage text would bury them.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate(buildinfo.Line("kubectl-miniprogram", version) + "\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.AddCommand(newCheck(streams), newPush(streams), newFindings(streams), newPolicy(streams), newConfig(streams),
		newRollout(streams), newAction(streams, rollback), newExplain(streams), newKeys(streams), newPreview(streams), newAudit(streams),
		newRegistry(streams), newDoctor(streams))
	return root
}
