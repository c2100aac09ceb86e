package delivery

import (
	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

func audience(f *v1alpha1.AudienceFacts) *document.Audience {
	if f == nil || len(f.Include)+len(f.Exclude)+len(f.Rules) == 0 {
		return nil
	}
	a := &document.Audience{Seed: f.Seed, Include: document.KeySet{Hashes: f.Include}, Exclude: document.KeySet{Hashes: f.Exclude}}
	for _, r := range f.Rules {
		a.Rules = append(a.Rules, document.Rule{Attribute: r.Attribute, Operator: document.Operator(r.Operator), Values: r.Values})
	}
	return a
}

func recalled(a *v1alpha1.RecallAudience) *document.Audience {
	if a == nil {
		return nil
	}
	return &document.Audience{Seed: a.Seed, Include: document.KeySet{Hashes: a.Include}, Exclude: document.KeySet{Hashes: a.Exclude}}
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
