package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
)

// action is a verb as a command.
type action struct {
	verb, short, long string
	// confirm: it takes something from users, or gives it to all of them.
	confirm bool
}

var rollback = action{rollout.VerbRollback, "Make an earlier version stable again, at once",
	"Make a version of the rollback history (status.rollbacks) stable again for everybody,\nat once and past every step. What is under way is taken back, and stays out.", true}

// actions are the verbs of a Rollout.
var actions = []action{
	{rollout.VerbPromote, "End the pause at the present step", "End the pause at which the Rollout is. An approval step is not passed by it.", false},
	{rollout.VerbPromoteFull, "Skip what is left of the plan", "Skip the pauses and shares that are left, up to the next approval step, and make the\ntarget stable for everybody after that.", true},
	{rollout.VerbAbort, "Take the target back", "Take the target back from everybody who has it. It stays out until another version is\nnamed, or until a retry.", true},
	{rollout.VerbRetry, "Start an aborted target again", "Start the target that was aborted again, at the step where it was.", false},
	{rollout.VerbPause, "Keep the share where it is", "Keep the share where it is until somebody resumes.", false},
	{rollout.VerbResume, "Go on after a pause", "Let the share grow again after it was paused by an action.", false},
	rollback,
}

// actionOptions are the flags of an action.
type actionOptions struct {
	action
	config  *genericclioptions.ConfigFlags
	streams genericiooptions.IOStreams
	to      string
	yes     bool
	dryRun  string
	timeout time.Duration
}

func newAction(streams genericiooptions.IOStreams, a action) *cobra.Command {
	o := &actionOptions{action: a, config: genericclioptions.NewConfigFlags(true), streams: streams}
	use, example := a.verb+" NAME", a.verb+" shop -n shop-team"
	if a.verb == rollout.VerbRollback {
		use, example = use+" --to VERSION", example+" --to 1.0.0"
	}
	cmd := &cobra.Command{
		Use:   use,
		Short: a.short,
		Long: a.long + `

The Rollout is read and shown first. What is asked for names the attempt that was
shown, and is not written when the Rollout has changed since. It carries your name
as the API server knows it, and needs verb ` + a.verb + ` on rollouts.

Exits with 0 when it was done, with 1 when it was refused or came too late, and
with 2 when it could not be asked for or was not answered within --timeout.`,
		Example: "  kubectl miniprogram rollout " + example,
		Args:    exactly("NAME, the name of a Rollout"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	flags := cmd.Flags()
	if a.verb == rollout.VerbRollback {
		flags.StringVar(&o.to, "to", "", "version to go back to, such as 1.0.0 (required)")
	}
	if a.confirm {
		flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask on a terminal whether that is meant")
	}
	flags.StringVar(&o.dryRun, "dry-run", dryRunNone, "none, or client: print the patch instead of sending it")
	flags.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long to wait for the answer")
	o.config.AddFlags(flags)
	return cmd
}

func (o *actionOptions) run(ctx context.Context, name string) error {
	switch {
	case o.dryRun != dryRunNone && o.dryRun != dryRunClient:
		return fmt.Errorf("--dry-run is %q: write none or client", o.dryRun)
	case o.verb == rollout.VerbRollback && o.to == "":
		return errors.New("--to is required: the version to go back to")
	case o.timeout <= 0:
		return errors.New("--timeout must be above 0")
	}
	c, err := connect(o.config, o.streams.ErrOut)
	if err != nil {
		return err
	}
	ro, err := c.getRollout(ctx, name)
	if err != nil {
		return err
	}
	me, err := c.whoAmI(ctx)
	if err != nil {
		return err
	}
	asked, err := plannedAction(ro, o.verb, o.to, me)
	if err != nil {
		return err
	}
	if o.dryRun == dryRunClient {
		patch, err := asked.patch()
		if err == nil {
			_, err = fmt.Fprintf(o.streams.Out, "%s\n", patch)
		}
		return err
	}
	fmt.Fprintln(o.streams.ErrOut, standing(ro))
	if o.confirm && !o.yes && isTerminal(o.streams.In) {
		if err := confirm(o.streams.In, o.streams.ErrOut, asked.question()); err != nil {
			return err
		}
	}
	return o.ask(ctx, c, asked)
}

// ask waits for the answer too.
func (o *actionOptions) ask(ctx context.Context, c *cluster, asked *askedAction) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	answer, err := c.ask(ctx, asked)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%s is asked for, and was not answered within %s: see that the manager runs; it stays asked for, see kubectl miniprogram rollout status %s -n %s",
				asked.value, o.timeout, asked.rollout.Name, asked.rollout.Namespace)
		}
		return err
	}
	fmt.Fprintf(o.streams.Out, "%s by %s: %s\n", answer.Value, asked.user, plain(answerLine(answer)))
	if answer.Result != "Done" {
		return errReported
	}
	return nil
}

// standing is the Rollout in one line, as the one who acts sees it.
func standing(ro *v1alpha1.Rollout) string {
	v := viewOf(ro)
	text := fmt.Sprintf("Rollout %s/%s: stable %s", v.Namespace, v.Name, v.Stable)
	if v.Target != nil {
		text += fmt.Sprintf(", target %s at %s, attempt %d, %s", v.Target, v.Percent, v.Attempt, v.present())
	}
	return plain(text)
}

// confirm reads a yes.
func confirm(in io.Reader, out io.Writer, question string) error {
	fmt.Fprintf(out, "%s [y/N] ", question)
	line, err := bufio.NewReader(in).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); answer == "y" || answer == "yes" {
		return nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return errors.New("nothing was asked for")
}

func isTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
