package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

// stage is a Rollout on a real API server, where the test is the manager.
type stage struct {
	*testing.T
	cluster
	kubeconfig string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	plane := controlplane.ForTest(t)
	must(t, controlplane.Apply(t.Context(), plane.Admin(), "../../config/crd"))
	s := &stage{T: t, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	must(t, plane.WriteKubeconfig(s.kubeconfig, plane.User("olu", "system:masters")))
	var err error
	s.client, err = client.NewWithWatch(plane.Admin(), client.Options{Scheme: scheme})
	must(t, err)
	s.namespace = plane.Namespace(t)
	// The API server serves a new kind a moment after it knows its definition.
	must(t, wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		return s.client.List(ctx, &v1alpha1.RolloutList{}) == nil, nil
	}))
	ro := shop()
	ro.ObjectMeta = metav1.ObjectMeta{Namespace: s.namespace, Name: "shop"}
	ro.Spec.Steps = []v1alpha1.RolloutStep{percent(5), pause(0, 0, ""), percent(25), pause(0, 0, "")}
	ro.Spec.BakeSeconds = 0
	must(t, s.client.Create(t.Context(), ro))
	s.record(func(*v1alpha1.Rollout) {})
	return s
}

// record writes the status as a manager that has seen the spec.
func (s *stage) record(change func(*v1alpha1.Rollout)) {
	s.Helper()
	ro, err := s.getRollout(s.Context(), "shop")
	must(s.T, err)
	if ro.Status.Attempt == 0 {
		ro.Status = shop(func(ro *v1alpha1.Rollout) {
			for _, v := range []*v1alpha1.Variant{ro.Status.Stable, ro.Status.Target} {
				v.Repository, v.Delivery, v.ContentDigest, v.Format = "shop-team/shop", 1, v.Digest, "Web"
				v.Archive = v1alpha1.Blob{Digest: v.Digest, SizeBytes: 1, MediaType: "application/zip"}
				v.Content = v.Archive
			}
			ro.Status.Document, ro.Status.LastAction = nil, nil
		}).Status
	}
	change(ro)
	ro.Status.ObservedGeneration = ro.Generation
	must(s.T, s.client.Status().Update(s.Context(), ro))
}

func (s *stage) plugin(args ...string) (code int, out, problems string) {
	s.Helper()
	return plugin(s.T, append(args, "--kubeconfig", s.kubeconfig, "-n", s.namespace)...)
}

// manager answers the next actions, one after the other, and forgets the answer
// to what is taken away. It returns what it has seen.
func (s *stage) manager(results ...string) (seen func() []string) {
	s.Helper()
	ro, err := s.getRollout(s.Context(), "shop")
	must(s.T, err)
	var values []string
	ctx, cancel := context.WithTimeout(s.Context(), 20*time.Second)
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- s.follow(ctx, ro, func(now *v1alpha1.Rollout) bool {
			last, asked := now.Status.LastAction, askedOf(now)
			switch {
			case asked != nil:
				values = append(values, asked.Value+" by "+asked.User)
				now.Status.LastAction = &v1alpha1.ActionAnswer{Value: asked.Value, User: asked.User, Result: results[0], Message: "said the manager", Time: metav1.Now()}
				results = results[1:]
			case now.Annotations[v1alpha1.ActionAnnotation] == "" && last != nil && last.Result != "Done":
				values = append(values, "taken away")
				now.Status.LastAction = nil
			default:
				return false
			}
			if err := s.client.Status().Update(ctx, now); err != nil {
				s.Errorf("answering: %v", err)
			}
			return len(results) == 0
		})
	}()
	return func() []string {
		s.Helper()
		if err := <-ended; err != nil {
			s.Errorf("the manager of the test: %v", err)
		}
		return values
	}
}

func TestEachVerbIsAskedForAndAnswered(t *testing.T) {
	s := newStage(t)
	for _, test := range []struct {
		args  []string
		value string
	}{
		{[]string{"rollout", "promote", "shop"}, "promote@2/1"},
		{[]string{"rollout", "pause", "shop"}, "pause@2"},
		{[]string{"rollout", "resume", "shop"}, "resume@2"},
		{[]string{"rollout", "promote-full", "shop"}, "promote-full@2"},
		{[]string{"rollout", "abort", "shop", "--yes"}, "abort@2"},
		{[]string{"rollout", "retry", "shop"}, "retry@2"},
		{[]string{"rollout", "rollback", "shop", "--to", "1.0.0"}, "rollback@2/1.0.0"},
		{[]string{"rollback", "shop", "--to", "0.9.0"}, "rollback@2/0.9.0"},
	} {
		seen := s.manager("Done")
		code, out, problems := s.plugin(test.args...)
		if want := test.value + " by olu: Done, said the manager\n"; code != exitOK || out != want {
			t.Errorf("%v: exit code %d, %q, want %q; %s", test.args, code, out, want, problems)
		}
		if want := fmt.Sprintf("Rollout %s/shop: stable 1.0.0 sha256:aaaaaaaaaaaa, target 1.1.0 sha256:bbbbbbbbbbbb at 5%%, attempt 2, step 1: promote\n", s.namespace); problems != want {
			t.Errorf("%v shows %q, want %q", test.args, problems, want)
		}
		if got := seen(); !slices.Equal(got, []string{test.value + " by olu"}) {
			t.Errorf("%v: the manager has seen %q", test.args, got)
		}
	}
}

func TestAnActionThatIsNotDoneExitsWith1AndIsAskedAnew(t *testing.T) {
	s := newStage(t)
	for _, test := range []struct {
		result string
		code   int
		seen   []string
	}{
		{"Refused", exitUnacceptable, []string{"promote@2/1 by olu"}},
		{"Stale", exitUnacceptable, []string{"taken away", "promote@2/1 by olu"}},
		{"Done", exitOK, []string{"taken away", "promote@2/1 by olu"}},
	} {
		seen := s.manager(test.result)
		code, out, problems := s.plugin("rollout", "promote", "shop")
		if want := "promote@2/1 by olu: " + test.result + ", said the manager\n"; code != test.code || out != want {
			t.Errorf("%s: exit code %d, %q, want %d, %q; %s", test.result, code, out, test.code, want, problems)
		}
		if diff := cmp.Diff(test.seen, seen()); diff != "" {
			t.Errorf("%s: what the manager has seen (-want +got):\n%s", test.result, diff)
		}
	}
	code, _, problems := s.plugin("rollout", "promote", "shop")
	if code != exitUnacceptable || !strings.Contains(problems, "the same action is not performed twice") {
		t.Errorf("what was done: exit code %d, %s", code, problems)
	}
}

func TestAnActionWithoutAnAnswerStaysAskedFor(t *testing.T) {
	s := newStage(t)
	code, out, problems := s.plugin("rollout", "abort", "shop", "--timeout", "300ms")
	want := "error: abort@2 is asked for, and was not answered within 300ms: see that the manager runs; it stays asked for, see kubectl miniprogram rollout status shop -n " + s.namespace + "\n"
	if code != exitFailed || out != "" || !strings.HasSuffix(problems, want) {
		t.Errorf("exit code %d, %q, %q, want %q", code, out, problems, want)
	}
	ro, err := s.getRollout(t.Context(), "shop")
	must(t, err)
	if got := askedOf(ro); got == nil || *got != (askedView{"abort@2", "olu"}) {
		t.Errorf("asked for is %+v", got)
	}
	ro.Annotations[v1alpha1.ActionByAnnotation] = "pia"
	must(t, s.client.Update(t.Context(), ro))
	code, _, problems = s.plugin("rollout", "promote", "shop")
	want = "error: abort@2 of pia on Rollout " + s.namespace + "/shop is not answered yet, and is not overwritten: wait for status.lastAction, or talk to pia\n"
	if code != exitFailed || problems != want {
		t.Errorf("over another's action: exit code %d, %q, want %q", code, problems, want)
	}
}

func TestADryRunWritesNothing(t *testing.T) {
	s := newStage(t)
	before, err := s.getRollout(t.Context(), "shop")
	must(t, err)
	code, out, problems := s.plugin("rollout", "promote", "shop", "--dry-run=client")
	want := `{"metadata":{"annotations":{"miniprogram.dev/action":"promote@2/1","miniprogram.dev/action-by":"olu"},"resourceVersion":"` + before.ResourceVersion + `"}}` + "\n"
	if code != exitOK || out != want {
		t.Errorf("exit code %d, %q, want %q; %s", code, out, want, problems)
	}
	after, err := s.getRollout(t.Context(), "shop")
	must(t, err)
	if after.ResourceVersion != before.ResourceVersion {
		t.Error("the Rollout was written")
	}
}

// meddle does something once, right before the first patch arrives.
func (s *stage) meddle(something func()) *cluster {
	done := false
	return &cluster{namespace: s.namespace, client: interceptor.NewClient(s.client, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			if !done {
				done = true
				something()
			}
			return c.Patch(ctx, o, p, options...)
		},
	})}
}

func TestAStaleViewCannotAct(t *testing.T) {
	s := newStage(t)
	for name, test := range map[string]struct {
		meddle func(*v1alpha1.Rollout)
		want   string
	}{
		"the share grew":        {func(ro *v1alpha1.Rollout) { ro.Status.BasisPoints++ }, "the share"},
		"the step is another":   {func(ro *v1alpha1.Rollout) { ro.Status.Step.Index++ }, "the step"},
		"the target is another": {func(ro *v1alpha1.Rollout) { ro.Status.Target.Digest = release("", "c").Digest }, "the target"},
		"it was paused":         {func(ro *v1alpha1.Rollout) { ro.Status.PausedReason = "User" }, "the pause"},
		"it begins again":       {func(ro *v1alpha1.Rollout) { ro.Status.Attempt++ }, "the attempt"},
	} {
		t.Run(name, func(t *testing.T) {
			ro, err := s.getRollout(t.Context(), "shop")
			must(t, err)
			a, err := plannedAction(ro, "abort", "", "olu")
			must(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err = s.meddle(func() { s.record(test.meddle) }).ask(ctx, a)
			if want := "nothing was asked for: since it was shown, " + test.want + " of Rollout " + s.namespace + "/shop has changed: look at it again"; fmt.Sprint(err) != want {
				t.Errorf("got %v, want %s", err, want)
			}
			ro, err = s.getRollout(t.Context(), "shop")
			must(t, err)
			if ro.Annotations[v1alpha1.ActionAnnotation] != "" {
				t.Errorf("it was asked for all the same: %v", ro.Annotations)
			}
		})
	}
}

func TestWhatDoesNotMatterToAnActionDoesNotStopIt(t *testing.T) {
	s := newStage(t)
	ro, err := s.getRollout(t.Context(), "shop")
	must(t, err)
	a, err := plannedAction(ro, "pause", "", "olu")
	must(t, err)
	seen := s.manager("Done")
	answer, err := s.meddle(func() { s.record(func(ro *v1alpha1.Rollout) { ro.Status.Summary = "something else" }) }).ask(t.Context(), a)
	if err != nil || answer.Result != "Done" {
		t.Fatalf("got %+v, %v", answer, err)
	}
	if got := seen(); !slices.Equal(got, []string{"pause@2 by olu"}) {
		t.Errorf("the manager has seen %q", got)
	}
}

func TestWatchingTellsEachChangeAndEndsWithTheRollout(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*v1alpha1.Rollout)
		code int
		last string
	}{
		"stable": {func(ro *v1alpha1.Rollout) {
			completed(ro)
			ro.Status.Rollbacks = nil
			ro.Status.Conditions[0].Reason, ro.Status.Conditions[0].LastTransitionTime = "Complete", metav1.Now()
		}, exitOK, "stable 1.1.0 sha256:bbbbbbbbbbbb  1.1.0 is stable for everybody"},
		"aborted": {aborted, exitUnacceptable, "stable 1.0.0 sha256:aaaaaaaaaaaa  shop-1.1.0 stays out: aborted by olu"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			out := newLines()
			code := make(chan int, 1)
			go func() {
				code <- run(t.Context(), []string{"rollout", "status", "shop", "--watch", "--kubeconfig", s.kubeconfig, "-n", s.namespace},
					genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: out, ErrOut: &bytes.Buffer{}})
			}()
			out.await(t, "1.1.0 at 5%, step 1: promote  1.1.0 is at 5% and waits for a person")
			s.record(at(3, "Pause", "25%", 2500))
			out.await(t, "1.1.0 at 25%, step 3: promote  1.1.0 is at 25%")
			s.record(test.end)
			out.await(t, test.last)
			if got := <-code; got != test.code {
				t.Errorf("exit code %d, want %d", got, test.code)
			}
		})
	}
}

// lines is an output whose lines can be waited for.
type lines struct{ written chan string }

func newLines() *lines { return &lines{make(chan string, 100)} }

func (l *lines) Write(b []byte) (int, error) {
	l.written <- string(b)
	return len(b), nil
}

// await reads up to a line that ends so, times apart.
func (l *lines) await(t *testing.T, want string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	var before []string
	for {
		select {
		case line := <-l.written:
			if strings.HasSuffix(line, "  "+want+"\n") {
				return
			}
			before = append(before, line)
		case <-timeout:
			t.Fatalf("%q does not come, after %q", want, before)
		}
	}
}

func TestWatchingEndsWithItsTimeAndWithTheRolloutsDeletion(t *testing.T) {
	s := newStage(t)
	code, _, problems := s.plugin("rollout", "status", "shop", "--watch", "--timeout", "300ms")
	if want := "error: after 300ms, Rollout " + s.namespace + "/shop is not over: 1.1.0 is at 5% and waits for a person\n"; code != exitFailed || problems != want {
		t.Errorf("exit code %d, %q, want %q", code, problems, want)
	}
	ro, err := s.getRollout(t.Context(), "shop")
	must(t, err)
	err = s.follow(t.Context(), ro, func(*v1alpha1.Rollout) bool {
		must(t, client.IgnoreNotFound(s.client.Delete(t.Context(), ro.DeepCopy())))
		return false
	})
	if want := "the Rollout " + s.namespace + "/shop was deleted"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	code, _, problems = s.plugin("rollout", "status", "shop")
	if want := "error: there is no Rollout shop in namespace " + s.namespace + ": correct the name or -n\n"; code != exitFailed || problems != want {
		t.Errorf("exit code %d, %q, want %q", code, problems, want)
	}
}

func TestAWatchThatBreaksIsBegunAgain(t *testing.T) {
	s := newStage(t)
	begun := 0
	c := &cluster{namespace: s.namespace, client: interceptor.NewClient(s.client, interceptor.Funcs{
		Watch: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
			if begun++; begun < 3 { // it breaks, and what happened meanwhile is not told
				s.record(func(ro *v1alpha1.Rollout) { ro.Status.BasisPoints += 100 })
				return watch.NewEmptyWatch(), nil
			}
			return c.Watch(ctx, list, options...)
		},
	})}
	ro, err := s.getRollout(t.Context(), "shop")
	must(t, err)
	var shares []int32
	must(t, c.follow(t.Context(), ro, func(now *v1alpha1.Rollout) bool {
		shares = append(shares, now.Status.BasisPoints)
		return len(shares) == 3
	}))
	if want := []int32{500, 600, 700}; !slices.Equal(shares, want) {
		t.Errorf("seen %v, want %v", shares, want)
	}
}
