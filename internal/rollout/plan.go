package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/schedule"
)

// Plan is what the spec asks for.
type Plan struct {
	VersionRef      string
	Trial           bool // for testers alone, without steps
	Paused          bool
	Steps           []Step
	By              string // user, device or an attribute
	Stickiness      string // Version or Program
	Seed            string // of the split; empty: as Stickiness says
	Audience        Audience
	Window          Window
	RollbackHistory int
	History         int
	Deleting        bool
	DeletionPolicy  string // Retain or Remove
	// Calendar says when the share may grow.
	Calendar schedule.Calendar
	// ProgressDeadline is how long a target may be held by what is not in the plan; 0: for ever.
	ProgressDeadline time.Duration
}

// Step is one step of a plan: a share, a pause, an approval, an analysis, or the
// bake at its end.
type Step struct {
	// BasisPoints is the share, from 0 to 10000, when the others are nil.
	BasisPoints int32
	Pause       *Pause
	Approval    *Approval
	// Bake is how long the target stays at the last share.
	Bake     time.Duration
	Analysis *Analysis
}

// Approval waits until somebody approves the step in the role.
type Approval struct{ Role string }

// Pause waits Seconds; without, it waits for a person, at most Timeout if that is not 0.
type Pause struct {
	Wait, Timeout time.Duration
	OnTimeout     string
}

// Kind is the step's kind as status shows it.
func (s Step) Kind() string {
	switch {
	case s.Pause != nil:
		return "Pause"
	case s.Approval != nil:
		return "Approval"
	case s.Bake > 0:
		return "Bake"
	case s.Analysis != nil:
		return "Analysis"
	}
	return "SetPercent"
}

func (s Step) isShare() bool {
	return s.Pause == nil && s.Approval == nil && s.Analysis == nil && s.Bake == 0
}

// PlanOf reads the plan of a Rollout. An error names the field that the API server
// cannot judge and has let pass: by such a plan nothing may grow, and the rest of
// it tells what must not be lost meanwhile.
func PlanOf(ro *v1alpha1.Rollout) (Plan, error) {
	s := ro.Spec
	p := Plan{
		VersionRef: s.VersionRef.Name, Trial: s.Channel == v1alpha1.ChannelTrial, Paused: s.State == v1alpha1.StatePaused,
		By: "user", Stickiness: v1alpha1.StickinessVersion, Audience: audienceOf(s.Audience), Window: windowOf(s.Window),
		RollbackHistory: 5, History: 10,
		Deleting: !ro.DeletionTimestamp.IsZero(), DeletionPolicy: s.DeletionPolicy,
	}
	if b := s.Bucketing; b != nil {
		if b.By != "" {
			p.By = b.By
		}
		if b.Stickiness != "" {
			p.Stickiness = b.Stickiness
		}
		p.Seed = b.Seed
	}
	if s.RollbackHistory != nil {
		p.RollbackHistory = int(*s.RollbackHistory)
	}
	if s.History != 0 {
		p.History = int(s.History)
	}
	p.ProgressDeadline = time.Duration(s.ProgressDeadlineSeconds) * time.Second
	steps, err := schedule.Steps(s)
	if err != nil {
		return p, err
	}
	for i, step := range steps {
		parsed, err := stepOf(step)
		if err != nil {
			p.Steps = nil
			return p, fmt.Errorf("spec.steps[%d]: %w", i, err)
		}
		p.Steps = append(p.Steps, parsed)
	}
	p.bake(time.Duration(s.BakeSeconds) * time.Second)
	p.Calendar, err = schedule.ReadCalendar("spec.calendar", s.Calendar)
	return p, err
}

// bake is the last step of the plan. Where no step before it names a share,
// everybody has the target meanwhile, and it is not stable yet.
func (p *Plan) bake(d time.Duration) {
	if d == 0 {
		return
	}
	if !slices.ContainsFunc(p.Steps, Step.isShare) {
		p.Steps = append(p.Steps, Step{BasisPoints: schedule.Everybody})
	}
	p.Steps = append(p.Steps, Step{Bake: d})
}

func stepOf(s v1alpha1.RolloutStep) (Step, error) {
	if p := s.Pause; p != nil {
		pause := Pause{
			Wait: time.Duration(p.Seconds) * time.Second, Timeout: time.Duration(p.TimeoutSeconds) * time.Second, OnTimeout: p.OnTimeout,
		}
		return Step{Pause: &pause}, nil
	}
	if a := s.Approval; a != nil {
		return Step{Approval: &Approval{Role: a.Role}}, nil
	}
	if a := s.Analysis; a != nil {
		return Step{Analysis: &Analysis{Guardrails: a.Guardrails, For: time.Duration(a.Seconds) * time.Second}}, nil
	}
	if s.SetPercent == nil {
		return Step{}, fmt.Errorf("needs setPercent, pause, approval or analysis")
	}
	bp, err := schedule.BasisPoints(*s.SetPercent)
	if err != nil {
		return Step{}, fmt.Errorf("setPercent %w", err)
	}
	return Step{BasisPoints: bp}, nil
}

// shareAt is the share that the plan has reached when it is at the step.
func (p Plan) shareAt(index int) int32 {
	var share int32
	for i, s := range p.Steps {
		if i > index {
			break
		}
		if s.isShare() {
			share = s.BasisPoints
		}
	}
	return share
}

// seed of the split: that of the spec, the same users for all versions, or others for each.
func (p Plan) seed(appID, digest string) string {
	switch {
	case p.Seed != "":
		return p.Seed
	case p.Stickiness == v1alpha1.StickinessProgram:
		return appID
	}
	return appID + "@" + digest
}
