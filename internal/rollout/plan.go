package rollout

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"k8s.io/apimachinery/pkg/util/intstr"
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
}

// Step is one step of a plan: a share, a pause or an approval.
type Step struct {
	// BasisPoints is the share, from 0 to 10000, when the others are nil.
	BasisPoints int32
	Pause       *Pause
	Approval    *Approval
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
	}
	return "SetPercent"
}

func (s Step) isShare() bool { return s.Pause == nil && s.Approval == nil }

// PlanOf reads the plan of a Rollout. The API server has checked the fields; an
// error here names the field that it let pass.
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
	for i, step := range s.Steps {
		parsed, err := stepOf(step)
		if err != nil {
			return Plan{}, fmt.Errorf("spec.steps[%d]: %w", i, err)
		}
		p.Steps = append(p.Steps, parsed)
	}
	return p, nil
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
	if s.SetPercent == nil {
		return Step{}, fmt.Errorf("needs setPercent, pause or approval")
	}
	bp, err := BasisPoints(*s.SetPercent)
	return Step{BasisPoints: bp}, err
}

// BasisPoints reads a share: a whole number of percent, or a string with at most
// two decimals such as "0.25%". It is exact: no floating point.
func BasisPoints(v intstr.IntOrString) (int32, error) {
	text := v.StrVal
	if v.Type == intstr.Int {
		text = strconv.Itoa(int(v.IntVal)) + "%"
	}
	digits, ok := strings.CutSuffix(text, "%")
	whole, decimals, _ := strings.Cut(digits, ".")
	if !ok || len(decimals) > 2 || whole == "" {
		return 0, fmt.Errorf("setPercent %q must be a whole number or a string such as \"0.25%%\"", text)
	}
	n, err := strconv.ParseUint(whole+(decimals + "00")[:2], 10, 31)
	if err != nil || n > 10000 {
		return 0, fmt.Errorf("setPercent %q must be between 0 and 100", text)
	}
	return int32(n), nil
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
