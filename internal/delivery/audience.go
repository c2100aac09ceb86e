package delivery

import (
	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

func audience(f *v1alpha1.AudienceFacts) *document.Audience {
	if f == nil {
		return nil
	}
	published := parts(f.Parts)
	if len(f.Include)+len(f.Exclude)+len(f.Rules)+len(published) == 0 {
		return nil
	}
	a := &document.Audience{Seed: f.Seed, Include: document.KeySet{Hashes: f.Include}, Exclude: document.KeySet{Hashes: f.Exclude}}
	for _, r := range f.Rules {
		a.Rules = append(a.Rules, document.Rule{Attribute: r.Attribute, Operator: document.Operator(r.Operator), Values: r.Values})
	}
	a.Parts = published
	return a
}

// parts are those that say who gets the target now. That somebody had it is of interest
// when it is taken back.
func parts(recorded []v1alpha1.AudiencePart) []document.Part {
	var out []document.Part
	for _, p := range recorded {
		list := document.PartInclude
		switch p.List {
		case v1alpha1.PartHad:
			continue
		case v1alpha1.PartExclude, v1alpha1.PartExcludeLater:
			list = document.PartExclude
		}
		out = append(out, document.Part{List: list, Digest: p.Digest, Keys: p.Keys})
	}
	return out
}

func recalled(a *v1alpha1.RecallAudience) *document.Audience {
	if a == nil {
		return nil
	}
	return &document.Audience{Seed: a.Seed, Include: document.KeySet{Hashes: a.Include}, Exclude: document.KeySet{Hashes: a.Exclude}, Parts: parts(a.Parts)}
}

// decider says who can apply the document: parts are with the manifest service alone.
func decider(doc *document.Release) document.Decider {
	if len(Parts(doc)) > 0 {
		return document.DecideService
	}
	return document.DecideHost
}

// Parts are all that a document names, those of its recalls too.
func Parts(doc *document.Release) []document.Part {
	var all []document.Part
	if doc.Audience != nil {
		all = append(all, doc.Audience.Parts...)
	}
	for _, r := range doc.Recalls {
		if r.Audience != nil {
			all = append(all, r.Audience.Parts...)
		}
	}
	return all
}

func window(f *v1alpha1.WindowFacts) *document.Window {
	if f == nil {
		return nil
	}
	w := new(document.Window)
	if f.Start != nil {
		w.Start = document.At(f.Start.Time)
	}
	if f.End != nil {
		w.End = document.At(f.End.Time)
	}
	if f.Closed != nil && (w.End.IsZero() || f.Closed.Time.Before(w.End.Time)) {
		w.End = document.At(f.Closed.Time)
	}
	if !w.End.IsZero() && !w.Start.Before(w.End.Time) {
		w.Start = document.Time{} // names were enough before it opened
	}
	if *w == (document.Window{}) {
		return nil // it is about a number alone, which is not reached
	}
	return w
}

// fallbacks are the recorded ones, which are in the rollback history. Without stable
// nobody is too old for it.
func fallbacks(st *v1alpha1.RolloutStatus) []document.Variant {
	var out []document.Variant
	if st.Stable == nil {
		return nil
	}
	for _, digest := range st.Document.Fallbacks {
		for i := range st.Rollbacks {
			if st.Rollbacks[i].Digest == digest {
				out = append(out, *variant(&st.Rollbacks[i]))
				break
			}
		}
	}
	return out
}
