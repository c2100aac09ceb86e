package policy

import (
	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// What rules see as bundle and declaration; program and version are ProgramFacts
// and VersionFacts. Nothing in them is ever null: what is unset is "", 0, false or
// an empty list, so that no rule fails for a field that nobody filled in.

// BundleVariable is the variable bundle.
type BundleVariable struct {
	Format       string `json:"format"`
	ArchiveBytes int64  `json:"archiveBytes"`
	// ContentBytes, MainBytes and SubBundles are as in the limits of spec.quality.
	ContentBytes int64       `json:"contentBytes"`
	MainBytes    int64       `json:"mainBytes"`
	SubBundles   []SubBundle `json:"subBundles"`
	Files        []File      `json:"files"`
	Pages        []string    `json:"pages"`
	EntryPage    string      `json:"entryPage"`
	Permissions  []string    `json:"permissions"`
	Uses         []Use       `json:"uses"`
}

// DeclarationVariable is the variable declaration.
type DeclarationVariable struct {
	Permissions []PermissionVariable `json:"permissions"`
	Domains     DomainsVariable      `json:"domains"`
	Privacy     PrivacyVariable      `json:"privacy"`
}

// PermissionVariable is one declared permission; Need is Required or Optional.
type PermissionVariable struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
	Need   string `json:"need"`
}

// DomainsVariable are declared origins.
type DomainsVariable struct {
	Request  []string `json:"request"`
	WebView  []string `json:"webView"`
	Socket   []string `json:"socket"`
	Upload   []string `json:"upload"`
	Download []string `json:"download"`
}

// PrivacyVariable are declared privacy facts.
type PrivacyVariable struct {
	PolicyURL string         `json:"policyURL"`
	Contact   string         `json:"contact"`
	Data      []DataVariable `json:"data"`
}

// DataVariable is one sort of personal data.
type DataVariable struct {
	Name    string `json:"name"`
	Purpose string `json:"purpose"`
	// RetentionDays is -1 where nothing is said.
	RetentionDays int64 `json:"retentionDays"`
}

// variables are what rules are about.
func variables(f Facts) map[string]any {
	p := partsOf(f)
	return map[string]any{
		"program": f.Program,
		"version": f.Version,
		"bundle": BundleVariable{
			Format: f.Format, ArchiveBytes: f.ArchiveBytes, ContentBytes: p.content, MainBytes: p.main, SubBundles: p.subs,
			Files: f.Paths, Pages: f.PageList, EntryPage: f.EntryPage, Permissions: f.BundlePermissions, Uses: f.Uses,
		},
		"declaration": declarationVariable(f.Declaration),
	}
}

func declarationVariable(d v1alpha1.Declaration) DeclarationVariable {
	var v DeclarationVariable
	for _, p := range d.Permissions {
		need := p.Need
		if need == "" {
			need = required
		}
		v.Permissions = append(v.Permissions, PermissionVariable{p.Name, p.Reason, need})
	}
	if all := d.Domains; all != nil {
		v.Domains = DomainsVariable{texts(all.Request), texts(all.WebView), texts(all.Socket), texts(all.Upload), texts(all.Download)}
	}
	if p := d.Privacy; p != nil {
		v.Privacy.PolicyURL, v.Privacy.Contact = p.PolicyURL, p.Contact
		for _, data := range p.Data {
			days := int64(-1)
			if data.RetentionDays != nil {
				days = int64(*data.RetentionDays)
			}
			v.Privacy.Data = append(v.Privacy.Data, DataVariable{data.Name, data.Purpose, days})
		}
	}
	return v
}
