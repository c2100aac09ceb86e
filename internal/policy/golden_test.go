package policy

import (
	"archive/zip"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// files of a bundle, by path.
type files map[string]string

// web is a bundle of the root page and further files.
func web(more files) files {
	all := files{"index.html": "<title>x</title>"}
	maps.Copy(all, more)
	return all
}

// dimina is a bundle with main bytes below main/ and so many below each sub bundle.
func dimina(main int, subs map[string]int) files {
	list := make([]string, 0, len(subs))
	all := files{"main/pages_home.js": "//", "main/logic.js": "//"}
	for _, name := range slices.Sorted(maps.Keys(subs)) {
		list = append(list, `{"root":"`+name+`","pages":["home"]}`)
		all["sub_"+name+"/logic.js"] = strings.Repeat("/", subs[name]-len("//"))
		all["sub_"+name+"/"+name+"_home.js"] = "//"
	}
	all["main/app-config.json"] = `{"app":{"entryPagePath":"pages/home","pages":["pages/home"],"subPackages":[` + strings.Join(list, ",") + `]}}`
	used := 0
	for path, content := range all {
		if strings.HasPrefix(path, "main/") {
			used += len(content)
		}
	}
	all["main/logic.js"] += strings.Repeat("/", main-used)
	return all
}

// factsOf reads a real archive of the files, and searches it for what the policy asks.
func factsOf(t *testing.T, content files, p v1alpha1.ReviewPolicy) Facts {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, path := range slices.Sorted(maps.Keys(content)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, content[path]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Read(bytes.NewReader(archive.Bytes()), int64(archive.Len()), bundle.Expect{}, bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	patterns, err := PatternsOf([]v1alpha1.ReviewPolicy{p})
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{
		ArchiveBytes: b.ArchiveBytes, Files: len(b.Files), Pages: len(b.Pages), Format: string(b.Format),
		BundlePermissions: b.Permissions, Inspected: true, PageList: b.Pages, EntryPage: b.EntryPage, Searched: patterns.Keys(),
	}
	for _, file := range b.Files {
		f.Paths = append(f.Paths, File{Path: file.Path, SizeBytes: file.Size})
		body, err := b.Open(file.Path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		if err := body.Close(); err != nil {
			t.Fatal(err)
		}
		f.AddMatches(patterns.Match(file.Path, text)...)
	}
	return f
}

// golden is a policy with what just passes it and what just does not.
type golden struct {
	spec v1alpha1.ReviewPolicySpec
	// pass and fail are bundles; where they are nil, facts tell the rest.
	pass, fail files
	// passFacts and failFacts change the facts of the bundles, or empty ones.
	passFacts, failFacts func(*Facts)
	// passPlan and failPlan are of rules about rollouts.
	passPlan, failPlan []v1alpha1.RolloutStep
	want               []v1alpha1.Finding
}

func qualityRules(q v1alpha1.QualityRules) v1alpha1.ReviewPolicySpec {
	return v1alpha1.ReviewPolicySpec{Quality: &q}
}

func privacyRules(p v1alpha1.PrivacyRules) v1alpha1.ReviewPolicySpec {
	return v1alpha1.ReviewPolicySpec{Privacy: &p}
}

func customRule(r v1alpha1.PolicyRule) v1alpha1.ReviewPolicySpec {
	return v1alpha1.ReviewPolicySpec{Rules: []v1alpha1.PolicyRule{r}}
}

func permission(name, reason string) func(*Facts) {
	return func(f *Facts) {
		f.Declaration.Permissions = []v1alpha1.Permission{{Name: name, Reason: reason}}
	}
}

func request(origin v1alpha1.HTTPSOrigin) func(*Facts) {
	return func(f *Facts) { f.Declaration.Domains = &v1alpha1.Domains{Request: []v1alpha1.HTTPSOrigin{origin}} }
}

func uses(declared ...string) func(*Facts) {
	return func(f *Facts) {
		f.Inspected = true
		f.AddUses(Use{"wx.getLocation", "location", "app.js", 3, 7}, Use{"wx.getLocation", "location", "app.js", 9, 1})
		for _, name := range declared {
			f.Declaration.Permissions = append(f.Declaration.Permissions, v1alpha1.Permission{Name: name})
		}
	}
}

func share(percent string, bakeSeconds int64) []v1alpha1.RolloutStep {
	first, all := intstr.FromString(percent), intstr.FromInt32(100)
	return []v1alpha1.RolloutStep{{SetPercent: &first}, {Pause: &v1alpha1.PauseStep{Seconds: bakeSeconds}}, {SetPercent: &all}}
}

func failure(rule, message string) []v1alpha1.Finding {
	return []v1alpha1.Finding{{Rule: rule, Severity: SeverityError, Message: message}}
}

func failureAt(rule, file string, line int32, message string) []v1alpha1.Finding {
	return []v1alpha1.Finding{{Rule: rule, Severity: SeverityError, File: file, Line: line, Message: message}}
}

var ten = intstr.FromString("10%")

// goldens has each rule by its name.
var goldens = map[string]golden{
	RuleBundleSize: {
		spec: qualityRules(v1alpha1.QualityRules{MaxBundleBytes: 150}), pass: web(nil), fail: web(files{"index.html": "<title>xy</title>"}),
		want: failure(RuleBundleSize, "the archive of the Web bundle has 151 bytes, and ReviewPolicy base allows at most 150 (spec.quality.maxBundleBytes): compress or remove images and code that is not used"),
	},
	RuleContentSize: {
		spec: qualityRules(v1alpha1.QualityRules{MaxContentBytes: 20}), pass: web(files{"a.js": "1234"}), fail: web(files{"a.js": "12345"}),
		want: failure(RuleContentSize, "the files of the Web bundle have 21 bytes together, and ReviewPolicy base allows at most 20 (spec.quality.maxContentBytes): remove what is not used, or load large files at run time"),
	},
	RuleMainSize: {
		spec: qualityRules(v1alpha1.QualityRules{MaxMainBytes: 200}), pass: dimina(200, map[string]int{"a": 900}), fail: dimina(201, map[string]int{"a": 900}),
		want: failure(RuleMainSize, "the files of the main bundle have 201 bytes together, and ReviewPolicy base allows at most 200 (spec.quality.maxMainBytes): move pages into sub bundles, or remove what is not used"),
	},
	RuleSubSize: {
		spec: qualityRules(v1alpha1.QualityRules{MaxSubBytes: 200}), pass: dimina(900, map[string]int{"a": 200, "b": 200}), fail: dimina(900, map[string]int{"a": 200, "b": 201}),
		want: failureAt(RuleSubSize, "sub_b", 0, "the files of sub bundle sub_b have 201 bytes together, and ReviewPolicy base allows at most 200 (spec.quality.maxSubBytes): divide the sub bundle, or remove what is not used"),
	},
	RuleFiles: {
		spec: qualityRules(v1alpha1.QualityRules{MaxFiles: 2}), pass: web(files{"a.js": ""}), fail: web(files{"a.js": "", "b.js": ""}),
		want: failure(RuleFiles, "the Web bundle has 3 files, and ReviewPolicy base allows at most 2 (spec.quality.maxFiles): join small files or remove those that are not used"),
	},
	RulePages: {
		spec: qualityRules(v1alpha1.QualityRules{MaxPages: 2}), pass: dimina(300, map[string]int{"a": 9}), fail: dimina(300, map[string]int{"a": 9, "b": 9}),
		want: failure(RulePages, "the Dimina bundle has 3 pages, and ReviewPolicy base allows at most 2 (spec.quality.maxPages): join pages or divide the mini program"),
	},
	RuleFieldMissing: {
		spec:      qualityRules(v1alpha1.QualityRules{RequiredFields: []v1alpha1.RequiredField{"description"}}),
		passFacts: func(f *Facts) { f.Program.Description = "Shops." }, failFacts: func(f *Facts) { f.Program.Description = " " },
		want: failure(RuleFieldMissing, "the MiniProgram has no description, and ReviewPolicy base asks for it (spec.quality.requiredFields): set spec.description of the MiniProgram"),
	},
	RuleLocaleMissing: {
		spec:      qualityRules(v1alpha1.QualityRules{RequiredLocales: []string{"zh-CN"}}),
		passFacts: func(f *Facts) { f.Program.Locales = []LocaleFacts{{Lang: "zh-cn"}} }, failFacts: func(f *Facts) { f.Program.Locales = []LocaleFacts{{Lang: "zh"}} },
		want: failure(RuleLocaleMissing, `the MiniProgram has no names in language "zh-CN", and ReviewPolicy base asks for them (spec.quality.requiredLocales): add an item with lang: zh-CN to spec.locales of the MiniProgram`),
	},
	RuleFileForbidden: {
		spec: qualityRules(v1alpha1.QualityRules{ForbiddenFiles: []v1alpha1.FilePattern{"*.map"}}), pass: web(files{"map.js": "", "a.map.js": ""}), fail: web(files{"js/a.map": "", "js/B.MAP": ""}),
		want: failureAt(RuleFileForbidden, "js/B.MAP", 0, "the file (and 1 more file) may not be in a bundle: ReviewPolicy base forbids *.map (spec.quality.forbiddenFiles[0]): leave it out"),
	},
	RuleTextForbidden: {
		spec: qualityRules(v1alpha1.QualityRules{ForbiddenText: []v1alpha1.ForbiddenText{{Pattern: `\beval\(`, Message: "call the function itself", Files: []v1alpha1.FilePattern{"*.js"}}}}),
		pass: web(files{"a.js": "medieval()", "a.css": "eval("}), fail: web(files{"a.js": "x;\né; eval('1'); eval('2')"}),
		want: failureAt(RuleTextForbidden, "a.js", 2, `column 4 (and 1 more place) holds text that ReviewPolicy base forbids (spec.quality.forbiddenText[0].pattern: \beval\(): call the function itself`),
	},
	RulePermissionNotAllowed: {
		spec:      privacyRules(v1alpha1.PrivacyRules{AllowedPermissions: []string{"location"}}),
		passFacts: permission("location", ""), failFacts: permission("camera", ""),
		want: failure(RulePermissionNotAllowed, `permission "camera" is declared, and ReviewPolicy base allows only: location (spec.privacy.allowedPermissions): remove it from the MiniProgram's spec.permissions, or ask the platform's administrators to allow it`),
	},
	RulePermissionReasonMissing: {
		spec:      privacyRules(v1alpha1.PrivacyRules{PermissionReason: required}),
		passFacts: permission("camera", "to scan"), failFacts: permission("camera", ""),
		want: failure(RulePermissionReasonMissing, `permission "camera" is declared without a reason, and ReviewPolicy base asks for one (spec.privacy.permissionReason): say in the MiniProgram's spec.permissions what it is for, in words for users`),
	},
	RulePrivacyPolicyMissing: {
		spec:      privacyRules(v1alpha1.PrivacyRules{PrivacyPolicy: required}),
		passFacts: func(f *Facts) { f.Declaration.Privacy = &v1alpha1.Privacy{PolicyURL: "https://example.com/p"} },
		failFacts: func(f *Facts) { f.Declaration.Privacy = &v1alpha1.Privacy{} },
		want:      failure(RulePrivacyPolicyMissing, "no privacy policy is declared, and ReviewPolicy base asks for one (spec.privacy.privacyPolicy): set the MiniProgram's spec.privacy.policyURL"),
	},
	RuleSensitiveAPIUndeclared: {
		spec:      privacyRules(v1alpha1.PrivacyRules{}),
		passFacts: uses("location"), failFacts: uses("camera"),
		want: failureAt(RuleSensitiveAPIUndeclared, "app.js", 3, `column 7 (and 1 more place) uses wx.getLocation, and permission "location" is not declared, as ReviewPolicy base asks (spec.privacy.usedPermissions): add it to the MiniProgram's spec.permissions, or remove the use`),
	},
	RuleDomainNotAllowed: {
		spec:      privacyRules(v1alpha1.PrivacyRules{AllowedDomains: []string{"*.example.com"}}),
		passFacts: request("https://API.example.com:8443"), failFacts: request("https://example.com"),
		want: failure(RuleDomainNotAllowed, `domain "https://example.com" is declared in spec.domains.request, and ReviewPolicy base allows only: *.example.com (spec.privacy.allowedDomains): remove it from the MiniProgram, or ask the platform's administrators to allow it`),
	},
	RuleCustom: {
		spec:      customRule(v1alpha1.PolicyRule{Name: "notes", Expression: "version.releaseNotes.size() >= 4", Message: "write release notes"}),
		passFacts: func(f *Facts) { f.Version.ReleaseNotes = "Good" }, failFacts: func(f *Facts) { f.Version.ReleaseNotes = "Bad" },
		want: failure(RuleCustom, "rule notes of ReviewPolicy base does not hold (spec.rules[0]): write release notes"),
	},
	RuleCustomError: {
		spec:      customRule(v1alpha1.PolicyRule{Name: "category", Expression: "program.categories[0] == 'games'"}),
		passFacts: func(f *Facts) { f.Program.Categories = []string{"games"} }, failFacts: func(*Facts) {},
		want: failure(RuleCustomError, "rule category of ReviewPolicy base failed (spec.rules[0].expression): index out of bounds: 0: ask the platform's administrators to correct it"),
	},
	RuleSourceNotPinned: {
		spec:      v1alpha1.ReviewPolicySpec{PinnedSource: required},
		passFacts: func(f *Facts) { f.Version.Source = SourceFacts{Kind: "OCI", Address: "r/shop@sha256:1", Pinned: true} },
		failFacts: func(f *Facts) { f.Version.Source = SourceFacts{Kind: "OCI", Address: "r/shop:1"} },
		want:      failure(RuleSourceNotPinned, "the source of the version (OCI r/shop:1) names no exact bytes, and ReviewPolicy base asks for them (spec.pinnedSource): write the reference in spec.source.oci.ref with @sha256:… behind it in a new MiniProgramVersion"),
	},
	RuleRolloutFirstShare: {
		spec:     v1alpha1.ReviewPolicySpec{Rollout: &v1alpha1.RolloutRules{MaxFirstPercent: &ten}},
		passPlan: share("10%", 0), failPlan: share("10.01%", 0),
		want: failure(RuleRolloutFirstShare, "the plan begins with 10.01% of users, and ReviewPolicy base allows at most 10% (spec.rollout.maxFirstPercent): let spec.steps of the Rollout begin with a smaller setPercent, or its preset with a smaller share"),
	},
	RuleRolloutBake: {
		spec:     v1alpha1.ReviewPolicySpec{Rollout: &v1alpha1.RolloutRules{MinBakeSeconds: 3600}},
		passPlan: share("1%", 3600), failPlan: share("1%", 3599),
		want: failure(RuleRolloutBake, "the plan takes 3599 seconds from its first share to everybody, and ReviewPolicy base asks for at least 3600 (spec.rollout.minBakeSeconds): add pause.seconds to spec.steps of the Rollout, behind the first share and before 100%, or bakeSeconds to a plan that ends below 100%; pauses for a person do not count"),
	},
	RuleNotInspected: {
		spec:      qualityRules(v1alpha1.QualityRules{MaxContentBytes: 1, ForbiddenFiles: []v1alpha1.FilePattern{"*.map"}}),
		passFacts: func(f *Facts) { f.Inspected = true }, failFacts: func(*Facts) {},
		want: failure(RuleNotInspected, "the bundle was packaged before anybody looked for what ReviewPolicy base asks about (spec.quality.maxContentBytes), so nobody can tell whether it holds: publish the bundle again as a new MiniProgramVersion"),
	},
}

// judge returns what the policy has against one side of a golden.
func (g golden) judge(t *testing.T, content files, change func(*Facts), steps []v1alpha1.RolloutStep) []v1alpha1.Finding {
	p := reviewPolicy("base", g.spec)
	if steps != nil {
		return CheckRollout(v1alpha1.RolloutSpec{Steps: steps}, []v1alpha1.ReviewPolicy{p})
	}
	var f Facts
	if content != nil {
		f = factsOf(t, content, p)
	}
	if change != nil {
		change(&f)
	}
	return Check(f, []v1alpha1.ReviewPolicy{p})[0].Findings
}

func TestEachRulePassesAndFails(t *testing.T) {
	for rule, g := range goldens {
		t.Run(rule, func(t *testing.T) {
			if got := g.judge(t, g.pass, g.passFacts, g.passPlan); got != nil {
				t.Errorf("what just passes is told of: %v", got)
			}
			if diff := cmp.Diff(g.want, g.judge(t, g.fail, g.failFacts, g.failPlan)); diff != "" {
				t.Errorf("findings of what just fails (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryRuleHasAGolden(t *testing.T) {
	source, err := parser.ParseFile(token.NewFileSet(), "policy.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	ast.Inspect(source, func(n ast.Node) bool {
		spec, is := n.(*ast.ValueSpec)
		if !is || !strings.HasPrefix(spec.Names[0].Name, "Rule") {
			return true
		}
		literal, is := spec.Values[0].(*ast.BasicLit)
		if !is {
			t.Fatalf("%s is no literal", spec.Names[0].Name)
		}
		rule, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, rule)
		return true
	})
	slices.Sort(rules)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(goldens)), rules); diff != "" {
		t.Errorf("rules of policy.go (-goldens +policy.go):\n%s", diff)
	}
}
