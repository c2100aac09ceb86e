package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const appID = "com.example.shop"

// now is when every test decides, unless it says otherwise.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// published is when what the tests start from was decided: an hour before.
var published = now.Add(-time.Hour)

func ago(d time.Duration) time.Time { return now.Add(-d) }

func stampAt(t time.Time) *metav1.Time { m := metav1.NewTime(t); return &m }

// minutes is the delivery number that a variant gets that is first served at t.
func minutes(t time.Time) int64 {
	return int64(t.Sub(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) / time.Minute)
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// variant is the version as the artifact of MiniProgramVersion shop-<version>.
func variant(version string) v1alpha1.Variant {
	code, _ := strconv.ParseInt(strings.ReplaceAll(version, ".", "0"), 10, 64)
	return v1alpha1.Variant{
		VersionRef: "shop-" + version, Version: version, VersionCode: code, Format: "MiniApp", Repository: "shop-team/shop",
		Digest: digestOf("artifact " + version), ContentDigest: digestOf("content " + version),
		Archive: v1alpha1.Blob{Digest: digestOf("archive " + version), SizeBytes: 2000, MediaType: "application/zip"},
		Content: v1alpha1.Blob{Digest: digestOf("blob " + version), SizeBytes: 1000},
	}
}

// served is the variant under a delivery number.
func served(version string, delivery int64) *v1alpha1.Variant {
	v := variant(version)
	v.Delivery = delivery
	return &v
}

func percent(p int32) Step { return Step{BasisPoints: 100 * p} }

func seconds(n int) Step { return Step{Pause: &Pause{Wait: time.Duration(n) * time.Second}} }

func person() Step { return Step{Pause: &Pause{}} }

func bake(n int) Step { return Step{Bake: time.Duration(n) * time.Second} }

func timeout(n int, then string) Step {
	return Step{Pause: &Pause{Timeout: time.Duration(n) * time.Second, OnTimeout: then}}
}

// planTo is the plan of the package comment: 5 %, a pause of 60 s, 25 %, a pause
// for a person. Other steps replace them.
func planTo(version string, steps ...Step) Plan {
	p := Plan{
		VersionRef: "shop-" + version, By: "user", Stickiness: v1alpha1.StickinessVersion,
		RollbackHistory: 5, History: 10, DeletionPolicy: v1alpha1.DeletionRetain, Steps: steps,
	}
	if len(steps) == 0 {
		p.Steps = []Step{percent(5), seconds(60), percent(25), person()}
	}
	return p
}

// with changes a copy of the plan.
func (p Plan) with(change func(*Plan)) Plan {
	p.Steps = slices.Clone(p.Steps)
	change(&p)
	return p
}

// seeing is what is observed when everything is in order and the version, which
// the spec names, is approved.
func seeing(version string, change ...func(*Seen)) Seen {
	s := Seen{
		Candidate: &Candidate{Variant: variant(version), HostApps: []string{"wallet"}}, Unservable: map[string]Hold{},
		AppID: appID, Program: &Program{Availability: v1alpha1.AvailabilityListed, DisplayName: "Shop"},
		HostApps: []string{"wallet"}, StableHostApps: []string{"wallet"},
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func asked(action string) func(*Seen) {
	return func(s *Seen) { s.Action = &Action{Value: action, User: "oscar"} }
}

func withdrawn(versions ...string) func(*Seen) {
	return func(s *Seen) {
		for _, v := range versions {
			s.Unservable[variant(v).Digest] = Hold{"Withdrawn", "version " + v + " was withdrawn"}
		}
	}
}

func suspendedProgram(s *Seen) { s.Program.Availability = v1alpha1.AvailabilitySuspended }

func unapproved(s *Seen) {
	s.Candidate.Problem = &Hold{"NotApproved", "it waits for 1 approval of role quality"}
	s.Candidate.HostApps = nil
}

// released is the record after 1.0.0 became stable for everybody; earlier
// versions, the oldest first, can be rolled back to.
func released(earlier ...string) v1alpha1.RolloutStatus {
	st := v1alpha1.RolloutStatus{
		Attempt: 1, Stable: served("1.0.0", minutes(published)), Outcome: v1alpha1.OutcomePromoted,
		Percent: "100%", BasisPoints: 10000, Sequence: published.Unix(), LastDelivery: minutes(published),
		History: []v1alpha1.Attempt{{
			Attempt: 1, Version: "1.0.0", Digest: variant("1.0.0").Digest, Outcome: v1alpha1.OutcomePromoted, Ended: *stampAt(published),
		}},
		Document: &v1alpha1.DocumentFacts{
			AppID: appID, HostApps: []string{"wallet"}, Availability: v1alpha1.AvailabilityListed, DisplayName: "Shop",
			PollSeconds: 1800, IssuedAt: *stampAt(published),
		},
	}
	for i, v := range earlier {
		st.Rollbacks = append(st.Rollbacks, *served(v, minutes(published)-int64(len(earlier)-i)))
	}
	return st
}

// underWay is the record with 1.1.0 at a step and a share since a time, and
// 1.0.0 stable.
func underWay(step, basisPoints int32, began time.Time, earlier ...string) v1alpha1.RolloutStatus {
	st := released(earlier...)
	st.Attempt, st.Outcome = 2, ""
	st.LastDelivery++
	st.Target = served("1.1.0", st.LastDelivery)
	st.Step = &v1alpha1.StepStatus{Index: step, Kind: "Pause", Began: stampAt(began)}
	st.BasisPoints, st.PeakBasisPoints, st.Percent = basisPoints, basisPoints, strconv.Itoa(int(basisPoints/100))+"%"
	st.Document.By, st.Document.Seed, st.Document.PollSeconds = "user", appID+"@"+st.Target.Digest, 300
	return st
}

// aborted is the record after 1.1.0 was aborted at 25 %, a minute ago.
func aborted(earlier ...string) v1alpha1.RolloutStatus {
	st := underWay(3, 2500, ago(time.Hour), earlier...)
	at := ago(time.Minute)
	st.Recalls = []v1alpha1.Recall{{
		By: "user", Seed: st.Document.Seed, BasisPoints: 2500, Delivery: minutes(at), Digest: st.Target.Digest,
	}}
	st.Refused = &v1alpha1.Refused{VersionRef: "shop-1.1.0", Digest: st.Target.Digest, Reason: "aborted by oscar", Step: 3}
	st.History = append(st.History, v1alpha1.Attempt{
		Attempt: 2, Version: "1.1.0", Digest: st.Target.Digest, Outcome: v1alpha1.OutcomeAborted, Message: "aborted by oscar", Ended: *stampAt(at),
	})
	st.Target, st.Step, st.PeakBasisPoints = nil, nil, 0
	st.BasisPoints, st.Percent, st.Outcome = 10000, "100%", v1alpha1.OutcomeAborted
	st.LastDelivery, st.Sequence = minutes(at), at.Unix()
	st.Document.By, st.Document.Seed, st.Document.IssuedAt = "", "", *stampAt(at)
	return st
}

// changed is a copy of a record with changes.
func changed(st v1alpha1.RolloutStatus, change ...func(*v1alpha1.RolloutStatus)) v1alpha1.RolloutStatus {
	st = *st.DeepCopy()
	for _, c := range change {
		c(&st)
	}
	return st
}

// decidedNow is what every change of the document brings along.
func decidedNow(st *v1alpha1.RolloutStatus) {
	st.Sequence = now.Unix()
	st.Document.IssuedAt = *stampAt(now)
}

// until is when what the step waits for is over.
func until(t time.Time) func(*v1alpha1.RolloutStatus) {
	return func(st *v1alpha1.RolloutStatus) { st.Step.Until = stampAt(t) }
}

// heldSince is since when what is not in the plan holds the target.
func heldSince(t time.Time) func(*v1alpha1.RolloutStatus) {
	return func(st *v1alpha1.RolloutStatus) { st.Step.HeldSince = stampAt(t) }
}

// cmpEmpty lets an absent list be an empty one, as JSON does.
var cmpEmpty = cmpopts.EquateEmpty()
