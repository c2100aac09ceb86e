package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// noon is the time of all tests, in a zone of its own.
var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.FixedZone("there", 8*3600))

func ago(d time.Duration) metav1.Time   { return metav1.NewTime(noon.Add(-d)) }
func later(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(d)) }

func percent(n int) v1alpha1.RolloutStep {
	p := intstr.FromInt(n)
	return v1alpha1.RolloutStep{SetPercent: &p}
}

func pause(seconds, timeout int64, onTimeout string) v1alpha1.RolloutStep {
	return v1alpha1.RolloutStep{Pause: &v1alpha1.PauseStep{Seconds: seconds, TimeoutSeconds: timeout, OnTimeout: onTimeout}}
}

// release is a version, whose digest is made of one letter.
func release(version, letter string) *v1alpha1.Variant {
	return &v1alpha1.Variant{Version: version, VersionRef: "shop-" + version, Digest: "sha256:" + strings.Repeat(letter, 64)}
}

// shop is a Rollout with 1.1.0 at 5 %, which waits for a person.
func shop(change ...func(*v1alpha1.Rollout)) *v1alpha1.Rollout {
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "shop-team", Name: "shop", Generation: 4}}
	ro.Spec.MiniProgramRef.Name, ro.Spec.VersionRef.Name = "shop", "shop-1.1.0"
	ro.Spec.Steps = []v1alpha1.RolloutStep{
		percent(5), pause(0, 7200, v1alpha1.OnTimeoutAbort), percent(25), pause(3600, 0, ""),
		{Approval: &v1alpha1.ApprovalStep{Role: "privacy"}}, {Analysis: &v1alpha1.AnalysisStep{Guardrails: []string{"crashes", "script-errors"}, Seconds: 600}},
		percent(100), pause(0, 0, ""),
	}
	ro.Spec.BakeSeconds = 86400
	began := ago(3 * time.Minute)
	ro.Status = v1alpha1.RolloutStatus{
		ObservedGeneration: 4, Summary: "1.1.0 is at 5% and waits for a person", Attempt: 2,
		Stable: release("1.0.0", "a"), Target: release("1.1.0", "b"), Percent: "5%", BasisPoints: 500,
		Step:       &v1alpha1.StepStatus{Index: 1, Kind: "Pause", Began: &began},
		Document:   &v1alpha1.DocumentFacts{HostApps: []string{"bank", "wallet"}},
		History:    []v1alpha1.Attempt{{Attempt: 1, Version: "1.0.0", Digest: release("", "a").Digest, Outcome: v1alpha1.OutcomePromoted, Ended: ago(26 * time.Hour)}},
		LastAction: &v1alpha1.ActionAnswer{Value: "promote@1/1", User: "olu", Result: "Done", Message: "step 1 is done", Time: ago(27 * time.Hour)},
	}
	for _, f := range change {
		f(ro)
	}
	return ro
}

func at(index int32, kind, share string, basisPoints int32) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) {
		ro.Status.Step.Index, ro.Status.Step.Kind = index, kind
		ro.Status.Percent, ro.Status.BasisPoints = share, basisPoints
		ro.Status.Summary = "1.1.0 is at " + share
	}
}

func aborted(ro *v1alpha1.Rollout) {
	ro.Status.Refused = &v1alpha1.Refused{VersionRef: "shop-1.1.0", Digest: ro.Status.Target.Digest, Reason: "aborted by olu", Step: 1}
	ro.Status.Target, ro.Status.Step, ro.Status.Outcome = nil, nil, v1alpha1.OutcomeAborted
	ro.Status.Percent, ro.Status.BasisPoints = "100%", 10000
	ro.Status.Summary = "shop-1.1.0 stays out: aborted by olu"
	ro.Status.History = append(ro.Status.History, v1alpha1.Attempt{
		Attempt: 2, Version: "1.1.0", Digest: release("", "b").Digest, Outcome: v1alpha1.OutcomeAborted, Message: "aborted by olu", Ended: ago(time.Minute),
	})
	ro.Status.LastAction = &v1alpha1.ActionAnswer{Value: "abort@2", User: "olu", Result: "Done", Message: "the target was taken back", Time: ago(time.Minute)}
}

func completed(ro *v1alpha1.Rollout) {
	ro.Status.Rollbacks = []v1alpha1.Variant{*release("0.9.0", "9"), *ro.Status.Stable}
	ro.Status.Stable, ro.Status.Target, ro.Status.Step, ro.Status.Outcome = ro.Status.Target, nil, nil, v1alpha1.OutcomePromoted
	ro.Status.Percent, ro.Status.BasisPoints = "100%", 10000
	ro.Status.Summary = "1.1.0 is stable for everybody"
	ro.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
}

// pictures are Rollouts in all that they can be in.
var pictures = map[string]*v1alpha1.Rollout{
	"person": shop(),
	"timed": shop(at(3, "Pause", "25%", 2500), func(ro *v1alpha1.Rollout) {
		until := later(57*time.Minute + 10*time.Second)
		ro.Status.Step.Until = &until
		ro.Annotations = map[string]string{v1alpha1.ActionAnnotation: "abort@2", v1alpha1.ActionByAnnotation: "pia"}
	}),
	"approval": shop(at(4, "Approval", "25%", 2500)),
	"analysis": shop(at(5, "Analysis", "25%", 2500), func(ro *v1alpha1.Rollout) {
		ro.Status.Guardrails = []v1alpha1.GuardrailStatus{
			{Name: "crashes", Outcome: v1alpha1.GuardrailPassed, Message: "0.1% of 12000 launches, at most 0.5%", Since: ago(20 * time.Minute)},
			{Name: "baseline/white-screens", Outcome: v1alpha1.GuardrailInconclusive, Message: "80 launches, at least 100", Since: ago(time.Minute)},
		}
	}),
	"bake": shop(at(8, "Bake", "100%", 10000), func(ro *v1alpha1.Rollout) {
		until := later(23 * time.Hour)
		ro.Status.Step.Until = &until
	}),
	"guardrail": shop(at(5, "Analysis", "25%", 2500), func(ro *v1alpha1.Rollout) {
		since := ago(time.Minute)
		ro.Status.PausedReason, ro.Status.PausedSince = "Guardrail", &since
		ro.Status.Guardrails = []v1alpha1.GuardrailStatus{{Name: "crashes", Outcome: v1alpha1.GuardrailFailed, Message: "2% of 12000 launches, at most 0.5%", Since: since}}
	}),
	"paused": shop(func(ro *v1alpha1.Rollout) {
		since := ago(2 * time.Hour)
		ro.Status.PausedReason, ro.Status.PausedSince, ro.Status.Summary = "Spec", &since, "spec.state is Paused; set it to Running to go on"
	}),
	"held": shop(at(2, "SetPercent", "5%", 500), func(ro *v1alpha1.Rollout) {
		since := ago(50 * time.Hour)
		ro.Status.Step.HeldSince = &since
		ro.Status.Summary = "1.1.0 stays at its present share: \x1b[2Jthe calendar\nsays no"
		ro.Generation = 5
	}),
	"deleted": shop(func(ro *v1alpha1.Rollout) {
		since := ago(time.Second)
		ro.DeletionTimestamp = &since
	}),
	"aborted":   shop(aborted),
	"completed": shop(completed),
	"first": shop(func(ro *v1alpha1.Rollout) {
		ro.Spec.Steps, ro.Spec.BakeSeconds = nil, 0
		ro.Spec.Preset = &v1alpha1.Preset{Type: "Linear", Linear: &v1alpha1.LinearPreset{Percent: 10, EverySeconds: 90}}
		ro.Status = v1alpha1.RolloutStatus{ObservedGeneration: 4, Percent: "0%", Summary: "shop-1.1.0 is not approved"}
	}),
	"fresh": shop(func(ro *v1alpha1.Rollout) { ro.Status = v1alpha1.RolloutStatus{ObservedGeneration: -1} }),
}

func TestARolloutOnOneScreen(t *testing.T) {
	for name, ro := range pictures {
		t.Run(name, func(t *testing.T) {
			golden(t, "rollout-"+name+".txt", strings.Join(viewOf(ro).lines(noon), "\n")+"\n")
		})
	}
	text, err := json.MarshalIndent(viewOf(pictures["timed"]), "", "  ")
	must(t, err)
	golden(t, "rollout-timed.json", string(text)+"\n")
}

func TestWhereWatchingEnds(t *testing.T) {
	for name, want := range map[string]ended{
		"person": {}, "timed": {}, "guardrail": {}, "held": {}, "first": {}, "fresh": {}, "bake": {},
		"aborted": {over: true}, "completed": {over: true, well: true},
	} {
		if got := endOf(pictures[name]); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	for name, test := range map[string]struct {
		change func(*v1alpha1.Rollout)
		want   ended
	}{
		"it was completed before the spec was changed": {func(ro *v1alpha1.Rollout) { ro.Generation++ }, ended{}},
		"another version is stable":                    {func(ro *v1alpha1.Rollout) { ro.Spec.VersionRef.Name = "shop-1.2.0" }, ended{}},
		"it is not Ready yet":                          {func(ro *v1alpha1.Rollout) { ro.Status.Conditions = nil }, ended{}},
		"what was stable was rolled back": {func(ro *v1alpha1.Rollout) {
			ro.Status.Refused = &v1alpha1.Refused{VersionRef: "shop-1.1.0"}
		}, ended{over: true}},
		"only a change of the spec helps": {func(ro *v1alpha1.Rollout) {
			ro.Status.Target = release("1.2.0", "c")
			ro.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue}}
		}, ended{over: true}},
	} {
		if got := endOf(shop(completed, test.change)); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

func TestOfAChangeOnlyThatIsTold(t *testing.T) {
	var before *rolloutView
	var got []string
	for _, ro := range []*v1alpha1.Rollout{
		shop(),
		shop(),
		shop(func(ro *v1alpha1.Rollout) {
			ro.Annotations = map[string]string{v1alpha1.ActionAnnotation: "promote@2/1", v1alpha1.ActionByAnnotation: "olu"}
		}),
		pictures["analysis"], pictures["guardrail"], pictures["aborted"],
	} {
		v := viewOf(ro)
		got = append(got, v.changeLines(before, noon)...)
		before = v
	}
	want := []string{
		"12:00:00  promote@1/1: Done, step 1 is done",
		"12:00:00  1.1.0 at 5%, step 1: promote within 2 h, else abort  1.1.0 is at 5% and waits for a person",
		"12:00:00  promote@2/1 by olu",
		"12:00:00  guardrail crashes: Passed, 0.1% of 12000 launches, at most 0.5%",
		"12:00:00  guardrail baseline/white-screens: Inconclusive, 80 launches, at least 100",
		"12:00:00  1.1.0 at 25%, step 5: crashes, script-errors for 10 min  1.1.0 is at 25%",
		"12:00:00  guardrail crashes: Failed, 2% of 12000 launches, at most 0.5%",
		"12:00:00  abort@2: Done, the target was taken back",
		"12:00:00  stable 1.0.0 sha256:aaaaaaaaaaaa  shop-1.1.0 stays out: aborted by olu",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestATerminalIsDrawnInPlace(t *testing.T) {
	first, drawn := frame([]string{"one", "a line that is too long", "three", "four"}, 10, 4, 0)
	if want := "\r\x1b[Jone\na line t…\nthree\n"; first != want || drawn != 3 {
		t.Errorf("the first frame is %q with %d lines, want %q", first, drawn, want)
	}
	second, drawn := frame([]string{"one"}, 10, 4, drawn)
	if want := "\x1b[3A\r\x1b[Jone\n"; second != want || drawn != 1 {
		t.Errorf("the second frame is %q with %d lines, want %q", second, drawn, want)
	}
	var out bytes.Buffer
	p := newPainter(&out, false)
	must(t, p.paint(viewOf(shop()), noon))
	must(t, p.repaint(noon.Add(time.Second)))
	if n := strings.Count(out.String(), "\n"); n != 2 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("what is no terminal got %q", out.String())
	}
}

func TestALineIsCutToTheCellsOfATerminal(t *testing.T) {
	for line, want := range map[string]string{
		"eight ch": "eight ch", "nine char": "nine ch…", "": "", "小程序商店": "小程序…", "小程序商": "小程序商", "x小程序商": "x小程序…", "b\xffd bytes": "b\xffd byt…", "123456\xff89": "123456\xff…",
	} {
		if got := cut(line, 8); got != want {
			t.Errorf("%q is cut to %q, want %q", line, got, want)
		}
	}
}

func TestSpansHaveTwoUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 59*time.Second + 400*time.Millisecond: "59 s", 60 * time.Second: "1 min", 3601 * time.Second: "1 h",
		90 * time.Minute: "1 h 30 min", 49*time.Hour + time.Minute: "2 d 1 h",
	} {
		if got := spanOf(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestABarIsEmptyAndFullOnlyAtTheEnds(t *testing.T) {
	for share, want := range map[int32]int{0: 0, 1: 1, 500: 2, 9999: barWidth - 1, 10000: barWidth} {
		if got := strings.Count(bar(share), "█"); got != want {
			t.Errorf("%d: %d blocks, want %d", share, got, want)
		}
	}
}

func TestAnActionIsBoundToWhatWasRead(t *testing.T) {
	answered := func(result string) func(*v1alpha1.Rollout) {
		return func(ro *v1alpha1.Rollout) {
			ro.Status.LastAction = &v1alpha1.ActionAnswer{Value: "resume@2", User: "olu", Result: result, Message: "because", Time: ago(0)}
		}
	}
	pendingOf := func(user string) func(*v1alpha1.Rollout) {
		return func(ro *v1alpha1.Rollout) {
			ro.Annotations = map[string]string{v1alpha1.ActionAnnotation: "promote@2/1", v1alpha1.ActionByAnnotation: user}
		}
	}
	for name, test := range map[string]struct {
		ro       *v1alpha1.Rollout
		verb, to string
		value    string
		err      string
		anew     bool
	}{
		"promote names the step":                  {ro: shop(), verb: "promote", value: "promote@2/1"},
		"rollback names the version":              {ro: shop(), verb: "rollback", to: "1.0.0", value: "rollback@2/1.0.0"},
		"abort names the attempt":                 {ro: shop(), verb: "abort", value: "abort@2"},
		"one's own action is replaced":            {ro: shop(pendingOf("olu")), verb: "abort", value: "abort@2"},
		"what was refused is asked anew":          {ro: shop(answered("Refused")), verb: "resume", value: "resume@2", anew: true},
		"a pause after it was resumed is another": {ro: shop(answered("Done"), func(ro *v1alpha1.Rollout) { ro.Status.PausedReason = "Guardrail" }), verb: "resume", value: "resume@2/2"},
		"what was done is not": {ro: shop(answered("Done")), verb: "resume",
			err: "resume@2 was done at 2026-11-27T04:00:00Z already (because), and the same action is not performed twice: to resume once more, pause first"},
		"another's action is not": {ro: shop(pendingOf("pia")), verb: "abort",
			err: "promote@2/1 of pia on Rollout shop-team/shop is not answered yet, and is not overwritten: wait for status.lastAction, or talk to pia"},
		"a target has to be there": {ro: shop(aborted), verb: "promote", err: "Rollout shop-team/shop has no target under way: there is nothing to promote"},
		"an attempt has to be too": {ro: pictures["first"], verb: "abort", err: "Rollout shop-team/shop has not begun yet, so there is nothing to abort"},
		"what is deleted is left alone": {ro: pictures["deleted"], verb: "abort",
			err: "Rollout shop-team/shop is being deleted, and no action is performed on it any more"},
		"a retry is the manager's": {ro: shop(aborted), verb: "retry", value: "retry@2"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := plannedAction(test.ro, test.verb, test.to, "olu")
			if err != nil || test.err != "" {
				if fmt.Sprint(err) != test.err {
					t.Errorf("error %v, want %s", err, test.err)
				}
				return
			}
			if a.value != test.value || a.anew != test.anew {
				t.Errorf("got %s, anew %t", a.value, a.anew)
			}
		})
	}
}

func TestOnlyAYesIsAYes(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "": false, "yep\n": false} {
		var out bytes.Buffer
		if err := confirm(strings.NewReader(answer), &out, "Abort?"); (err == nil) != want || out.String() != "Abort? [y/N] " {
			t.Errorf("%q: %v after %q", answer, err, out.String())
		}
	}
}
