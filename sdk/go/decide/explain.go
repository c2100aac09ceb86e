package decide

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// Rule is a question that Decide asks.
type Rule string

// The rules, in the order in which they are tried. Where a document has several
// of a kind (rules of an audience, fallbacks), each is tried.
const (
	RuleAvailability Rule = "Availability"     // is the program handed out at all
	RuleHostBlock    Rule = "HostBlock"        // does the host app block it
	RuleRetained     Rule = "Retained"         // is the rollout over
	RuleTarget       Rule = "Target"           // is anything being rolled out
	RuleExclude      Rule = "Exclude"          // is the user excluded by name
	RuleInclude      Rule = "Include"          // is the user included by name
	RuleAudience     Rule = "Audience"         // does a rule of the audience hold
	RuleWindow       Rule = "Window"           // is the window open
	RuleKey          Rule = "Key"              // is there what the split hashes
	RuleBucket       Rule = "Bucket"           // is the bucket below the share
	RuleTargetFits   Rule = "TargetCompatible" // can the host app run the target
	RuleStable       Rule = "Stable"           // is there a stable variant
	RuleStableFits   Rule = "StableCompatible" // can the host app run it
	RuleFallback     Rule = "Fallback"         // which older variant can it run
	RuleRecall       Rule = "Recall"           // was something taken back that the user had
	RuleInstalled    Rule = "Installed"        // what has to happen on the device
)

// Outcome is what came of a rule.
type Outcome string

// The outcomes.
const (
	OutcomePassed  Outcome = "Passed"  // it did not decide, and the next was asked
	OutcomeDecided Outcome = "Decided" // it decided what it is about
)

// Tried is a rule that was tried. Why never repeats a key or an attribute's value
// of the request: only whether it is there, and the bucket that it falls into.
type Tried struct {
	Rule    Rule    `json:"rule"`
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why"`
}

// Explain is Decide that also tells every rule that it has tried, in order. It is
// the same code: what it decides is what Decide decides.
//
// The only error is ErrServiceDecides, with the rules tried so far.
func Explain(doc *document.Release, req Request) (Decision, []Tried, error) {
	t := &trace{doc: doc, req: &req}
	d, err := decide(doc, &req, t)
	return d, t.tried, err
}

// trace collects what is tried. All of its methods do nothing on nil, which is
// how Decide runs, and return the answer that they were handed.
type trace struct {
	doc   *document.Release
	req   *Request
	tried []Tried
}

func (t *trace) add(rule Rule, decided bool, format string, arguments ...any) {
	outcome := OutcomePassed
	if decided {
		outcome = OutcomeDecided
	}
	t.tried = append(t.tried, Tried{Rule: rule, Outcome: outcome, Why: fmt.Sprintf(format, arguments...)})
}

// asks is about a rule whose question needs no more than the document.
func (t *trace) asks(rule Rule, decides bool) bool {
	if t != nil && (decides || t.worthTelling(rule)) {
		t.add(rule, decides, "%s", t.why(rule, decides))
	}
	return decides
}

// worthTelling leaves out questions that only a few documents raise.
func (t *trace) worthTelling(rule Rule) bool {
	a := t.doc.Audience
	switch rule {
	case RuleRetained, RuleStable:
		return false
	case RuleExclude, RuleInclude:
		return a != nil
	case RuleWindow:
		return t.doc.Window != nil
	default:
		return true
	}
}

func (t *trace) why(rule Rule, decides bool) string {
	if w, ok := whys[rule]; ok {
		if decides {
			return w.decided
		}
		return w.passed
	}
	switch {
	case rule == RuleAvailability && decides:
		return fmt.Sprintf("the program is %s: nothing is handed out, and what is installed goes", t.doc.Availability)
	case rule == RuleAvailability:
		return fmt.Sprintf("the program is %s", t.doc.Availability)
	case rule == RuleTarget && decides:
		return "nothing is being rolled out"
	case rule == RuleTarget:
		return fmt.Sprintf("%s is being rolled out to %s", t.doc.Target.Version, share(t.doc.Split.BasisPoints))
	case rule == RuleWindow:
		return fmt.Sprintf("the window is %s: %s", map[bool]string{true: "closed", false: "open"}[decides], span(t.doc.Window))
	case decides: // RuleKey
		return fmt.Sprintf("the request does not say its %s, by which the share is drawn", t.doc.Split.By)
	default:
		return fmt.Sprintf("the share is drawn by %s, which the request says", t.doc.Split.By)
	}
}

// whys are the texts that need no figures.
var whys = map[Rule]struct{ decided, passed string }{
	RuleHostBlock: {"the host app blocks the program: nothing is handed out, and nothing changes on the device", "the host app does not block the program"},
	RuleRetained:  {"the rollout is over, and what was stable stays", ""},
	RuleExclude:   {"the user is excluded by name", "the user is not excluded by name"},
	RuleInclude:   {"the user is included by name", "the user is not included by name"},
	RuleStable:    {"there is no stable version", ""},
}

// holds is about the i-th rule of the audience.
func (t *trace) holds(i int, broken bool) bool {
	if t == nil {
		return broken
	}
	rule := t.doc.Audience.Rules[i]
	what := fmt.Sprintf("%s %s %s", rule.Attribute, rule.Operator, strings.Join(rule.Values, ", "))
	switch {
	case !broken:
		t.add(RuleAudience, false, "rule %d holds: %s", i, what)
	case t.req.attribute(rule.Attribute) == "":
		t.add(RuleAudience, true, "rule %d does not hold, for the request does not say its %s: %s", i, rule.Attribute, what)
	default:
		t.add(RuleAudience, true, "rule %d does not hold: %s", i, what)
	}
	return broken
}

// draws is about the bucket, which always decides.
func (t *trace) draws(b int) {
	if t == nil {
		return
	}
	s := t.doc.Split
	is := "not below"
	if b < int(s.BasisPoints) {
		is = "below"
	}
	t.add(RuleBucket, true, "bucket %d is %s %d (%s)", b, is, s.BasisPoints, share(s.BasisPoints))
}

// fits is about a variant that is due.
func (t *trace) fits(rule Rule, v *document.Variant, can bool) bool {
	if t == nil {
		return can
	}
	needs := needs(&v.Compatibility)
	switch {
	case needs == "":
		t.add(rule, can, "%s runs in every host app", v.Version)
	case can:
		t.add(rule, true, "the host app can run %s, which needs %s", v.Version, needs)
	default:
		t.add(rule, false, "the host app cannot run %s, which needs %s; the request says %s", v.Version, needs, t.says())
	}
	return can
}

// fallsBack is about the older variants.
func (t *trace) fallsBack(to *document.Variant) {
	switch {
	case t == nil:
	case to != nil:
		t.add(RuleFallback, true, "%s is the newest older version that the host app can run", to.Version)
	case len(t.doc.Fallbacks) == 0:
		t.add(RuleFallback, true, "there is no older version to fall back to")
	default:
		t.add(RuleFallback, true, "the host app can run none of the %d older versions either", len(t.doc.Fallbacks))
	}
}

// hears is about the recalls.
func (t *trace) hears(doc *document.Release, r *recallState) {
	switch {
	case t == nil || len(doc.Recalls) == 0:
	case r.named:
		t.add(RuleRecall, true, "what is installed was taken back (delivery %d)", r.delivery)
	case r.delivery > 0:
		t.add(RuleRecall, true, "the user may have had a target that was taken back (delivery %d)", r.delivery)
	default:
		t.add(RuleRecall, false, "the user had none of the %d targets that were taken back", len(doc.Recalls))
	}
}

// acts is about what has to happen on the device, which ends every decision.
func (t *trace) acts(d *Decision) {
	if t == nil {
		return
	}
	installed := "nothing is installed"
	if t.req.InstalledDigest != "" {
		installed = "something that the document does not know is installed"
		if v := t.doc.Variant(t.req.InstalledDigest); v != nil {
			installed = v.Version + " is installed"
		}
	}
	t.add(RuleInstalled, true, "%s: %s", installed, d.Action)
}

// says tells which of what compatibility is about the request has.
func (t *trace) says() string {
	var known []string
	for _, f := range []struct{ value, attribute string }{
		{t.req.Platform, attributePlatform}, {t.req.HostVersion, attributeHostVersion}, {t.req.ContainerVersion, attributeContainerVersion},
	} {
		if t.req.field(f.value, f.attribute) != "" {
			known = append(known, f.attribute)
		}
	}
	if len(known) == 0 {
		return "neither platform nor versions"
	}
	return "its " + strings.Join(known, ", ")
}

// needs says what a variant asks of host apps; empty: nothing.
func needs(c *document.Compatibility) string {
	var some []string
	for _, p := range c.Platforms {
		text := p.OS
		if p.MinHostVersion != "" {
			text += " from " + p.MinHostVersion
		}
		if p.MaxHostVersion != "" {
			text += " to " + p.MaxHostVersion
		}
		some = append(some, text)
	}
	all := strings.Join(some, " or ")
	if c.MinContainerVersion == "" {
		return all
	}
	if all != "" {
		all += ", and "
	}
	return all + "container " + c.MinContainerVersion + " or later"
}

func span(w *document.Window) string {
	text := "always"
	if !w.Start.IsZero() {
		text = "from " + w.Start.UTC().Format(time.RFC3339)
	}
	if !w.End.IsZero() {
		text = strings.TrimPrefix(text+" until ", "always ") + w.End.UTC().Format(time.RFC3339)
	}
	return text
}

// share writes hundredths of a percent as people do.
func share(basisPoints int32) string {
	text := strconv.Itoa(int(basisPoints / 100))
	if rest := basisPoints % 100; rest != 0 {
		text += "." + strings.TrimRight(fmt.Sprintf("%02d", rest), "0")
	}
	return text + "%"
}
