package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/schedule"
)

var allVersions = []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0"}

// world is what is outside of the record, and the record.
type world struct {
	now time.Time
	// real is the time that has passed, whatever the clock says. shareOut is when each share was out first, by it.
	real     time.Duration
	shareOut map[string]time.Duration
	plan     Plan
	facts    map[string]*facts
	// hostApps of the rollout; notTaken is one that does not take the program.
	hostApps []string
	notTaken string
	program  *Program
	action   string
	adopt    *v1alpha1.Variant
	// calendars are those of policies.
	calendars []schedule.Calendar
	// answers of reviewers, also to what nobody asked.
	answers map[Question]Answer

	server
	backup []record
	// other is what another manager saw last, which still believes that it leads.
	other *server
	// lagging is what a cache still shows of versions and host apps; nil: it is up to date.
	lagging *world
	// unread: the lists of the audience cannot be read; lost are parts that are gone.
	unread bool
	lost   map[string]bool
	// installed is how often the target of an attempt was, as counters have it.
	installed        int64
	installedAttempt int32
	// sequence and delivery are what the ledger remembers of an earlier Rollout.
	sequence, delivery int64
}

// facts are those of one version.
type facts struct {
	gone, withdrawn, unapproved bool
	blocked                     bool
	hostApps                    []string
}

// record is status, and what a test has to remember with it.
type record struct {
	status v1alpha1.RolloutStatus
	// aborted maps digests to what Git named when they were aborted.
	aborted map[string]string
	// admitted are the digests that were once let through the gate.
	admitted map[string]bool
	// number is the highest delivery number that each user was handed.
	number map[string]int64
}

// newWorld begins with some plan, and a calendar.
func newWorld(t *rapid.T) *world {
	w := emptyWorld()
	w.plan.Steps = rapid.SampledFrom(plans).Draw(t, "plan")
	w.plan.Calendar = rapid.SampledFrom(calendars).Draw(t, "calendar")
	w.plan.ProgressDeadline = time.Duration(rapid.SampledFrom([]int{0, 30}).Draw(t, "deadline")) * time.Second
	return w
}

func emptyWorld() *world {
	w := &world{
		now: now, real: time.Second, shareOut: map[string]time.Duration{}, plan: planTo("1.0.0"), facts: map[string]*facts{}, hostApps: []string{"wallet"}, answers: map[Question]Answer{},
		program: &Program{Availability: v1alpha1.AvailabilityListed, DisplayName: "Shop"},
		server:  server{record: record{aborted: map[string]string{}, admitted: map[string]bool{}, number: map[string]int64{}}},
	}
	for _, v := range allVersions {
		w.facts[v] = &facts{hostApps: []string{"wallet"}}
	}
	return w
}

var plans = [][]Step{
	{},
	{percent(5), seconds(60), percent(25), person()},
	{percent(5), person(), percent(25), person(), percent(50), person()},
	{percent(10), timeout(120, v1alpha1.OnTimeoutAbort), percent(100), seconds(30)},
	{percent(0), person(), percent(1), timeout(60, v1alpha1.OnTimeoutHold)},
	{percent(50), timeout(60, v1alpha1.OnTimeoutContinue), percent(60), person()},
	{percent(25), person()},
	{percent(5), approval("privacy"), percent(25), person(), percent(50), approval("privacy")},
	{percent(5), approval("quality"), approval("privacy"), percent(25), seconds(60)},
	{percent(25), seconds(60), approval("privacy"), percent(50), person()},
	{percent(5), seconds(60), percent(25), bake(120)},
	{percent(100), bake(60)},
	preset(v1alpha1.Preset{Type: v1alpha1.PresetLinear, Linear: &v1alpha1.LinearPreset{Percent: 30, EverySeconds: 60}}),
	preset(v1alpha1.Preset{Type: v1alpha1.PresetLinear, Linear: &v1alpha1.LinearPreset{Percent: 5, EverySeconds: 30}}),
	preset(v1alpha1.Preset{Type: v1alpha1.PresetExponential, Exponential: &v1alpha1.ExponentialPreset{StartPercent: &one, Factor: 4, EverySeconds: 60}}),
}

var one = intstr.FromInt32(1)

func preset(p v1alpha1.Preset) []Step {
	plan, err := PlanOf(&v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Preset: &p, BakeSeconds: 60}})
	if err != nil {
		panic(err)
	}
	return plan.Steps
}

// calendars begin and end within the times that the clock of a history jumps by.
var calendars = []schedule.Calendar{
	{}, {}, denied,
	mustRead(v1alpha1.CalendarEntry{Schedule: "*/3 * * * *", DurationSeconds: 60, Effect: v1alpha1.CalendarDeny}),
	mustRead(v1alpha1.CalendarEntry{Schedule: "0 12 * * *", DurationSeconds: 600, Effect: v1alpha1.CalendarAllow}),
	mustRead(
		v1alpha1.CalendarEntry{Schedule: "*/5 * * * *", DurationSeconds: 120, Effect: v1alpha1.CalendarAllow},
		v1alpha1.CalendarEntry{Schedule: "0 0 30 2 *", DurationSeconds: 60, Effect: v1alpha1.CalendarDeny},
	),
}

var events = map[string]func(*world, *rapid.T){
	"git names": func(w *world, t *rapid.T) {
		w.plan.VersionRef = "shop-" + rapid.SampledFrom(allVersions).Draw(t, "version")
	},
	"the steps change": func(w *world, t *rapid.T) { w.plan.Steps = rapid.SampledFrom(plans).Draw(t, "plan") },
	"spec.state":       func(w *world, t *rapid.T) { w.plan.Paused = rapid.Bool().Draw(t, "paused") },
	"bucketing": func(w *world, t *rapid.T) {
		w.plan.By = rapid.SampledFrom([]string{"user", "device"}).Draw(t, "by")
		w.plan.Stickiness = rapid.SampledFrom([]string{v1alpha1.StickinessVersion, v1alpha1.StickinessProgram}).Draw(t, "stickiness")
		w.plan.RollbackHistory = rapid.IntRange(0, 3).Draw(t, "rollbackHistory")
		w.plan.History = rapid.IntRange(1, 4).Draw(t, "history")
	},
	"approval":           func(w *world, t *rapid.T) { w.draw(t).unapproved = rapid.Bool().Draw(t, "unapproved") },
	"a step is approved": answerStep, "another step is approved": answerStep,
	"an approval of a step goes": func(w *world, t *rapid.T) { clear(w.answers) },
	"approved for": func(w *world, t *rapid.T) {
		w.draw(t).hostApps = rapid.SampledFrom([][]string{{"wallet"}, {"chat", "wallet"}, {"chat"}, {}}).Draw(t, "host apps")
	},
	"withdrawal": func(w *world, t *rapid.T) {
		if rapid.IntRange(0, 3).Draw(t, "really") == 0 {
			w.draw(t).withdrawn = true
		}
	},
	"a version goes or comes": func(w *world, t *rapid.T) { w.draw(t).gone = rapid.Bool().Draw(t, "gone") },
	"host apps": func(w *world, t *rapid.T) {
		w.hostApps = rapid.SampledFrom([][]string{{"wallet"}, {"wallet"}, {"chat", "wallet"}, {"chat"}, nil}).Draw(t, "host apps")
	},
	"a host app takes the program or not": func(w *world, t *rapid.T) {
		w.notTaken = rapid.SampledFrom([]string{"", "wallet", "chat"}).Draw(t, "not taken by")
	},
	"a block comes or goes": func(w *world, t *rapid.T) { w.draw(t).blocked = rapid.Bool().Draw(t, "blocked") },
	"availability": func(w *world, t *rapid.T) {
		w.program = &Program{DisplayName: "Shop", Availability: rapid.SampledFrom([]string{
			v1alpha1.AvailabilityListed, v1alpha1.AvailabilityListed, v1alpha1.AvailabilityHidden, v1alpha1.AvailabilitySuspended,
		}).Draw(t, "availability")}
	},
	"the program is gone": func(w *world, t *rapid.T) {
		if rapid.IntRange(0, 3).Draw(t, "really") == 0 {
			w.program = nil
		}
	},
	"an action": drawAction, "another action": drawAction, "a third action": drawAction,
	"time goes on": func(w *world, t *rapid.T) {
		passed := time.Duration(rapid.SampledFrom([]int{1, 30, 60, 61, 200, 90000, 250000}).Draw(t, "seconds")) * time.Second
		w.now, w.real = w.now.Add(passed), w.real+passed
	},
	"the clock goes back": func(w *world, t *rapid.T) {
		w.now = w.now.Add(-time.Duration(rapid.SampledFrom([]int{1, 60, 4000, 300000}).Draw(t, "seconds")) * time.Second)
	},
	"the Rollout is deleted": func(w *world, t *rapid.T) {
		if rapid.IntRange(0, 9).Draw(t, "really") == 0 && !w.gone {
			w.plan.Deleting = !w.plan.Deleting // the next one has its name
			if !w.plan.Deleting {
				w.lose()
			}
			w.plan.DeletionPolicy = rapid.SampledFrom([]string{v1alpha1.DeletionRetain, v1alpha1.DeletionRemove}).Draw(t, "policy")
		}
	},
	"the calendar changes": func(w *world, t *rapid.T) { w.plan.Calendar = rapid.SampledFrom(calendars).Draw(t, "calendar") },
	"a policy's calendar changes": func(w *world, t *rapid.T) {
		w.calendars = []schedule.Calendar{rapid.SampledFrom(calendars).Draw(t, "calendar")}
	},
	"the deadline changes": func(w *world, t *rapid.T) {
		w.plan.ProgressDeadline = time.Duration(rapid.SampledFrom([]int{0, 30, 600}).Draw(t, "seconds")) * time.Second
	},
	"the Rollout is lost and created anew": func(w *world, t *rapid.T) {
		if rapid.IntRange(0, 5).Draw(t, "really") == 0 && !w.gone {
			w.lose()
		}
	},
	"somebody deletes the document": func(w *world, _ *rapid.T) {
		// Where the record is older as well nobody is left who knows the numbers.
		if w.out.Sequence != 0 && w.out.Sequence <= w.record.status.Sequence {
			w.gone, w.outVersion = true, w.outVersion+1
		}
	},
	"a cache falls behind": func(w *world, t *rapid.T) {
		if w.lagging == nil {
			w.lagging = w.glance()
		}
	},
	"a cache catches up": func(w *world, t *rapid.T) { w.lagging = nil },
	"another manager looks": func(w *world, t *rapid.T) {
		seen := w.clone()
		w.other = &seen
	},
	"another manager acts": func(w *world, t *rapid.T) {
		if w.other != nil {
			w.pass(t, w.other)
		}
	},
	"the ledger remembers": func(w *world, t *rapid.T) {
		if w.record.status.Sequence == 0 && w.adopt == nil && w.out.Sequence == 0 {
			w.delivery, w.sequence = minutes(w.now)+1000, w.now.Unix()+1000
			w.adopt = served("1.0.0", w.delivery)
		}
	},
	"a backup is restored": func(w *world, t *rapid.T) {
		if len(w.backup) > 0 && rapid.IntRange(0, 3).Draw(t, "really") == 0 && !w.gone {
			w.record = rapid.SampledFrom(w.backup).Draw(t, "record").clone()
			w.recordVersion++
		}
	},
}

// eventNames is sorted, so that a failing history can be played again.
var eventNames = slices.Sorted(maps.Keys(events))

func (w *world) draw(t *rapid.T) *facts {
	return w.facts[rapid.SampledFrom(allVersions).Draw(t, "version")]
}

func drawAction(w *world, t *rapid.T) {
	attempt := w.record.status.Attempt + int32(rapid.SampledFrom([]int{0, 0, 0, 0, 0, -1, 1}).Draw(t, "other attempt"))
	verb := rapid.SampledFrom([]string{"promote", "promote", "promote-full", "abort", "retry", "pause", "resume", "rollback", "dance"}).Draw(t, "verb")
	w.action = fmt.Sprintf("%s@%d", verb, attempt)
	switch verb {
	case VerbPromote:
		step := int32(rapid.IntRange(0, 5).Draw(t, "step"))
		if s := w.record.status.Step; s != nil && rapid.Bool().Draw(t, "the right step") {
			step = s.Index
		}
		w.action += fmt.Sprintf("/%d", step)
	case VerbRollback:
		w.action += "/" + rapid.SampledFrom(allVersions).Draw(t, "version")
	}
}

// seen gathers as the controller does, which sees what was published at least as late
// as the record.
func (w *world) seen(st *v1alpha1.RolloutStatus, view *server) Seen {
	if w.lagging != nil {
		late := *w.lagging
		late.plan, late.action, late.adopt, late.sequence, late.delivery = w.plan, w.action, w.adopt, w.sequence, w.delivery
		late.now = w.now
		return late.seen(st, view)
	}
	out := view.out
	if view.gone {
		out = v1alpha1.RolloutStatus{}
	}
	s := Seen{
		AppID: appID, Program: w.program, Unservable: map[string]Hold{}, Blocked: map[string]Hold{}, LastSequence: out.Sequence, Answers: w.answers,
		Calendars: w.calendars, OutBy: w.now.Add(500 * time.Millisecond), Unpublished: view.unpublished(*st),
	}
	if !s.Unpublished {
		s.OutSince = view.written
	}
	if doc, err := delivery.Render("shop-team", "shop", v1alpha1.ChannelRelease, &out); err == nil {
		s.Out = doc
	}
	for _, h := range w.hostApps {
		if h == w.notTaken {
			s.NotTaken, s.Remarks = append(s.NotTaken, h), append(s.Remarks, "host app "+h+" does not take it")
			continue
		}
		s.HostApps = append(s.HostApps, h)
	}
	if w.action != "" {
		s.Action = &Action{Value: w.action, User: "oscar"}
	}
	for version, f := range w.facts {
		if f.blocked && len(s.HostApps) > 0 {
			s.Blocked[variant(version).Digest] = Hold{"Blocked", "it is blocked: name another in spec.versionRef"}
		}
		if v := variant(version); f.withdrawn && !f.gone {
			s.Unservable[v.Digest] = Hold{"Withdrawn", "version " + version + " was withdrawn"}
		}
	}
	if st.Stable != nil {
		s.StableHostApps = w.facts[st.Stable.Version].hostApps
	}
	// Nobody has a stable version of a program that was removed.
	if s.Out != nil && s.Out.Stable != nil && s.Out.Sequence > st.Sequence && st.Sequence != 0 && !w.plan.Deleting && w.adopt != nil && w.adopt.Digest == s.Out.Stable.Digest {
		s.OutStable = w.adopt
	}
	if st.Sequence == 0 {
		s.Adopt, s.LastDelivery, s.LastSequence = w.adopt, w.delivery, max(s.LastSequence, w.sequence)
		if w.adopt != nil {
			s.StableHostApps = []string{"wallet"}
		}
	}
	w.candidate(&s)
	s.Lost = w.lost
	if st.Target != nil && st.Attempt == w.installedAttempt {
		s.Installed = w.installed
	}
	if c := s.Candidate; c != nil && !w.unread {
		s.Lists = readFor(w.plan.Audience, AudienceSeed(appID, c.Variant.Digest))
	} else if c != nil && w.plan.Audience.From() != "" {
		s.Unlisted = &Hold{"SourceUnavailable", "spec.audience names what is not there: create it"}
	}
	if w.plan.Deleting { // what could be gained is not looked at any more
		s.Candidate, s.HostApps, s.NotTaken, s.Remarks, s.Blocked = nil, nil, nil, nil, map[string]Hold{}
	}
	return s
}

func (w *world) candidate(s *Seen) {
	version := strings.TrimPrefix(w.plan.VersionRef, "shop-")
	f := w.facts[version]
	switch {
	case w.program == nil:
		s.HostApps, s.NotTaken, s.Remarks, s.Blocked = nil, nil, nil, nil
		s.Missing = Hold{"MiniProgramMissing", "spec.miniProgramRef names nothing: create it"}
	case f.gone:
		s.Missing = Hold{"VersionMissing", "spec.versionRef names nothing: create it"}
	default:
		s.Candidate = &Candidate{Variant: variant(version), HostApps: f.hostApps}
		if f.withdrawn {
			s.Candidate.Problem = &Hold{"Withdrawn", "it was withdrawn: name another in spec.versionRef"}
		} else if f.unapproved {
			s.Candidate.Problem = &Hold{"NotApproved", "it waits for 1 approval: ask for reviews"}
		}
	}
}

// open tells, without the code under test, whether the gate lets the candidate through.
func open(s Seen) bool {
	if s.Candidate == nil {
		return false
	}
	_, blocked := s.Blocked[s.Candidate.Variant.Digest]
	return s.Unlisted == nil && s.Candidate.Problem == nil && !blocked && s.Program.Availability != v1alpha1.AvailabilitySuspended &&
		slices.ContainsFunc(s.HostApps, func(h string) bool { return slices.Contains(s.Candidate.HostApps, h) })
}
