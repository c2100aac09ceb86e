package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func reviewPolicy(name string, spec v1alpha1.ReviewPolicySpec) v1alpha1.ReviewPolicy {
	return v1alpha1.ReviewPolicy{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 3}, Spec: spec}
}

func declares(permissions ...v1alpha1.Permission) Facts {
	return Facts{Declaration: v1alpha1.Declaration{Permissions: permissions}}
}

func TestCheck(t *testing.T) {
	quality := func(bytes int64, files, pages int32) *v1alpha1.QualityRules {
		return &v1alpha1.QualityRules{MaxBundleBytes: bytes, MaxFiles: files, MaxPages: pages}
	}
	location := v1alpha1.Permission{Name: "location", Reason: "shops near you"}
	camera := v1alpha1.Permission{Name: "camera", Reason: " "}
	const (
		cameraDeclared = `permission "camera" is declared, and ReviewPolicy base allows only: location (spec.privacy.allowedPermissions): remove it from the MiniProgram's spec.permissions, or ask the platform's administrators to allow it`
		cameraInBundle = `permission "camera" is requested by the bundle's manifest, and ReviewPolicy base allows only: location (spec.privacy.allowedPermissions): remove it from the manifest, or ask the platform's administrators to allow it`
		noReason       = `permission "camera" is declared without a reason, and ReviewPolicy base asks for one (spec.privacy.permissionReason): say in the MiniProgram's spec.permissions what it is for, in words for users`
		noPolicy       = `no privacy policy is declared, and ReviewPolicy base asks for one (spec.privacy.privacyPolicy): set the MiniProgram's spec.privacy.policyURL`
	)
	tests := map[string]struct {
		facts Facts
		spec  v1alpha1.ReviewPolicySpec
		want  []v1alpha1.Finding
	}{
		"a policy without rules finds nothing": {
			facts: Facts{ArchiveBytes: 1 << 40, Files: 1 << 30, Pages: 1 << 30},
		},
		"sizes exactly at the limit pass": {
			facts: Facts{ArchiveBytes: 100, Files: 20, Pages: 3},
			spec:  v1alpha1.ReviewPolicySpec{Quality: quality(100, 20, 3)},
		},
		"sizes one above the limit are named with limit and value": {
			facts: Facts{ArchiveBytes: 101, Files: 21, Pages: 4, Format: "Dimina"},
			spec:  v1alpha1.ReviewPolicySpec{Quality: quality(100, 20, 3)},
			want: []v1alpha1.Finding{
				{Rule: "QualityBundleSize", Severity: "error", Message: "the archive of the Dimina bundle has 101 bytes, and ReviewPolicy base allows at most 100 (spec.quality.maxBundleBytes): compress or remove images and code that is not used"},
				{Rule: "QualityFiles", Severity: "error", Message: "the Dimina bundle has 21 files, and ReviewPolicy base allows at most 20 (spec.quality.maxFiles): join small files or remove those that are not used"},
				{Rule: "QualityPages", Severity: "error", Message: "the Dimina bundle has 4 pages, and ReviewPolicy base allows at most 3 (spec.quality.maxPages): join pages or divide the mini program"},
			},
		},
		"sizes without a limit pass": {
			facts: Facts{ArchiveBytes: 101, Files: 21, Pages: 4},
			spec:  v1alpha1.ReviewPolicySpec{Quality: &v1alpha1.QualityRules{}},
		},
		"a policy that warns finds the same as warnings": {
			facts: Facts{Pages: 4},
			spec:  v1alpha1.ReviewPolicySpec{Enforcement: "Warn", Quality: quality(100, 20, 3)},
			want: []v1alpha1.Finding{
				{Rule: "QualityPages", Severity: "warning", Message: "the bundle has 4 pages, and ReviewPolicy base allows at most 3 (spec.quality.maxPages): join pages or divide the mini program"},
			},
		},
		"any permission passes when no list is set": {
			facts: declares(camera, location),
			spec:  v1alpha1.ReviewPolicySpec{Privacy: &v1alpha1.PrivacyRules{}},
		},
		"a declared permission that is not in the list is refused": {
			facts: declares(location, camera),
			spec:  v1alpha1.ReviewPolicySpec{Privacy: &v1alpha1.PrivacyRules{AllowedPermissions: []string{"location"}}},
			want:  []v1alpha1.Finding{{Rule: "PermissionNotAllowed", Severity: "error", Message: cameraDeclared}},
		},
		"a list without entries allows no permission": {
			facts: declares(location),
			spec:  v1alpha1.ReviewPolicySpec{Privacy: &v1alpha1.PrivacyRules{AllowedPermissions: []string{}}},
			want:  []v1alpha1.Finding{{Rule: "PermissionNotAllowed", Severity: "error", Message: `permission "location" is declared, and ReviewPolicy base allows only: none (spec.privacy.allowedPermissions): remove it from the MiniProgram's spec.permissions, or ask the platform's administrators to allow it`}},
		},
		"a long list is not written out": {
			facts: declares(location),
			spec:  v1alpha1.ReviewPolicySpec{Privacy: &v1alpha1.PrivacyRules{AllowedPermissions: []string{"a", "b", "c", "d", "e", "f", "g"}}},
			want:  []v1alpha1.Finding{{Rule: "PermissionNotAllowed", Severity: "error", Message: `permission "location" is declared, and ReviewPolicy base allows only: a, b, c, d, e and 2 more (spec.privacy.allowedPermissions): remove it from the MiniProgram's spec.permissions, or ask the platform's administrators to allow it`}},
		},
		"a permission that only the bundle names is refused once": {
			facts: Facts{Declaration: declares(location).Declaration, BundlePermissions: []string{"location", "camera", "camera"}},
			spec:  v1alpha1.ReviewPolicySpec{Privacy: &v1alpha1.PrivacyRules{AllowedPermissions: []string{"location"}}},
			want:  []v1alpha1.Finding{{Rule: "PermissionNotAllowed", Severity: "error", Message: cameraInBundle}},
		},
		"a permission that both name is refused once, as declared": {
			facts: Facts{Declaration: declares(camera).Declaration, BundlePermissions: []string{"camera"}},
			spec:  v1alpha1.ReviewPolicySpec{Privacy: &v1alpha1.PrivacyRules{AllowedPermissions: []string{"location"}}},
			want:  []v1alpha1.Finding{{Rule: "PermissionNotAllowed", Severity: "error", Message: cameraDeclared}},
		},
		"a blank reason is no reason where one is asked for": {
			facts: declares(location, camera),
			spec:  v1alpha1.ReviewPolicySpec{Privacy: &v1alpha1.PrivacyRules{PermissionReason: "Required"}},
			want:  []v1alpha1.Finding{{Rule: "PermissionReasonMissing", Severity: "error", Message: noReason}},
		},
		"a missing privacy policy is told where one is asked for": {
			spec: v1alpha1.ReviewPolicySpec{Privacy: &v1alpha1.PrivacyRules{PrivacyPolicy: "Required"}},
			want: []v1alpha1.Finding{{Rule: "PrivacyPolicyMissing", Severity: "error", Message: noPolicy}},
		},
		"privacy facts without a policy's address are told too": {
			facts: Facts{Declaration: v1alpha1.Declaration{Privacy: &v1alpha1.Privacy{Contact: "privacy@example.com"}}},
			spec:  v1alpha1.ReviewPolicySpec{Privacy: &v1alpha1.PrivacyRules{PrivacyPolicy: "Required"}},
			want:  []v1alpha1.Finding{{Rule: "PrivacyPolicyMissing", Severity: "error", Message: noPolicy}},
		},
		"a privacy policy satisfies the rule": {
			facts: Facts{Declaration: v1alpha1.Declaration{Privacy: &v1alpha1.Privacy{PolicyURL: "https://example.com/privacy"}}},
			spec:  v1alpha1.ReviewPolicySpec{Privacy: &v1alpha1.PrivacyRules{PrivacyPolicy: "Required"}},
		},
		"optional reasons and policies are not asked for": {
			facts: declares(camera),
			spec:  v1alpha1.ReviewPolicySpec{Privacy: &v1alpha1.PrivacyRules{PermissionReason: "Optional", PrivacyPolicy: "Optional"}},
		},
		"permissions are told in the order of their names": {
			facts: declares(v1alpha1.Permission{Name: "b"}, v1alpha1.Permission{Name: "a"}),
			spec:  v1alpha1.ReviewPolicySpec{Enforcement: "Audit", Privacy: &v1alpha1.PrivacyRules{PermissionReason: "Required"}},
			want: []v1alpha1.Finding{
				{Rule: "PermissionReasonMissing", Severity: "warning", Message: strings.Replace(noReason, "camera", "a", 1)},
				{Rule: "PermissionReasonMissing", Severity: "warning", Message: strings.Replace(noReason, "camera", "b", 1)},
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Check(tc.facts, []v1alpha1.ReviewPolicy{reviewPolicy("base", tc.spec)})
			want := []Result{{Policy: "base", Generation: 3, Enforcement: enforcementOf(&v1alpha1.ReviewPolicy{Spec: tc.spec}), Findings: tc.want}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Check (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckAnswersForEachPolicyByName(t *testing.T) {
	rules := &v1alpha1.QualityRules{MaxPages: 1}
	spec := func(enforcement string) v1alpha1.ReviewPolicySpec {
		return v1alpha1.ReviewPolicySpec{Enforcement: enforcement, Quality: rules}
	}
	policies := []v1alpha1.ReviewPolicy{
		reviewPolicy("warns", spec("Warn")), reviewPolicy("unset", spec("")), reviewPolicy("audits", spec("Audit")),
		reviewPolicy("enforces", spec("Enforce")), reviewPolicy("unknown", spec("Perhaps")), reviewPolicy("silent", v1alpha1.ReviewPolicySpec{}),
	}
	says := func(policy, severity string) []v1alpha1.Finding {
		return []v1alpha1.Finding{{Rule: "QualityPages", Severity: severity, Message: "the bundle has 2 pages, and ReviewPolicy " + policy + " allows at most 1 (spec.quality.maxPages): join pages or divide the mini program"}}
	}
	want := []Result{
		{"audits", 3, "Audit", says("audits", "warning")},
		{"enforces", 3, "Enforce", says("enforces", "error")},
		{"silent", 3, "Enforce", nil},
		{"unknown", 3, "Enforce", says("unknown", "error")},
		{"unset", 3, "Enforce", says("unset", "error")},
		{"warns", 3, "Warn", says("warns", "warning")},
	}
	got := Check(Facts{Pages: 2}, policies)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Check (-want +got):\n%s", diff)
	}
	if n := Blocking(got); n != 3 {
		t.Errorf("%d findings block, want 3: those of policies that enforce", n)
	}
	var shown []v1alpha1.Finding
	for _, f := range [][]v1alpha1.Finding{says("enforces", "error"), says("unknown", "error"), says("unset", "error"), says("warns", "warning")} {
		shown = append(shown, f...)
	}
	if diff := cmp.Diff(shown, Shown(got)); diff != "" {
		t.Errorf("Shown (-want +got):\n%s", diff)
	}
	if policies[0].Name != "warns" {
		t.Error("Check sorted the caller's policies")
	}
}

func TestBlockingAndShownFollowSeverityAndEnforcement(t *testing.T) {
	warning := v1alpha1.Finding{Rule: "A", Severity: "warning"}
	failure := v1alpha1.Finding{Rule: "B", Severity: "error"}
	results := []Result{
		{Policy: "a", Enforcement: "Enforce", Findings: []v1alpha1.Finding{warning, failure}},
		{Policy: "b", Enforcement: "Warn", Findings: []v1alpha1.Finding{failure}},
		{Policy: "c", Enforcement: "Audit", Findings: []v1alpha1.Finding{failure}},
	}
	if n := Blocking(results); n != 1 {
		t.Errorf("%d findings block, want 1", n)
	}
	if diff := cmp.Diff([]v1alpha1.Finding{failure, failure, warning}, Shown(results)); diff != "" {
		t.Errorf("Shown (-want +got):\n%s", diff)
	}
}

func TestMessagesFitTheAPI(t *testing.T) {
	long := strings.Repeat("é", 5000)
	policies := []v1alpha1.ReviewPolicy{reviewPolicy(long[:252], v1alpha1.ReviewPolicySpec{
		Privacy: &v1alpha1.PrivacyRules{AllowedPermissions: []string{long[:128], long[:126], long[:124], long[:122], long[:120]}},
	})}
	findings := Check(Facts{BundlePermissions: []string{long}}, policies)[0].Findings
	if len(findings) != 1 {
		t.Fatalf("%d findings, want 1", len(findings))
	}
	message := findings[0].Message
	if n := len([]rune(message)); n > 1024 {
		t.Errorf("the message has %d characters, want at most 1024", n)
	}
	if want := `permission "` + strings.Repeat("é", 127) + `…" is requested`; !strings.HasPrefix(message, want) {
		t.Errorf("the message is %q, want it to begin with %q", message, want)
	}
	host := v1alpha1.HostApp{Spec: v1alpha1.HostAppSpec{Capabilities: []string{}}}
	host.Name = long
	message = CheckHostApp(declares(v1alpha1.Permission{Name: "camera"}).Declaration, host)[0].Message
	if n := len([]rune(message)); n != 1024 || !strings.HasSuffix(message, "é…") {
		t.Errorf("the message has %d characters, want 1024 with an ellipsis", n)
	}
}

func TestCheckHostApp(t *testing.T) {
	needed := `permission "camera" is needed, and HostApp wallet grants only: location (spec.capabilities): declare it with need Optional if the mini program works without it, or remove the host app from the MiniProgram's spec.hostApps`
	tests := map[string]struct {
		permissions  []v1alpha1.Permission
		capabilities []string
		want         []v1alpha1.Finding
	}{
		"a host app that lists nothing grants everything": {
			permissions: []v1alpha1.Permission{{Name: "camera"}},
		},
		"what is granted passes": {
			permissions:  []v1alpha1.Permission{{Name: "location", Need: "Required"}},
			capabilities: []string{"location"},
		},
		"a permission without need is needed": {
			permissions:  []v1alpha1.Permission{{Name: "camera"}},
			capabilities: []string{"location"},
			want:         []v1alpha1.Finding{{Rule: "PermissionNotAllowed", Severity: "error", Message: needed}},
		},
		"a required permission is needed": {
			permissions:  []v1alpha1.Permission{{Name: "camera", Need: "Required"}},
			capabilities: []string{"location"},
			want:         []v1alpha1.Finding{{Rule: "PermissionNotAllowed", Severity: "error", Message: needed}},
		},
		"an optional permission may be lacking": {
			permissions:  []v1alpha1.Permission{{Name: "camera", Need: "Optional"}},
			capabilities: []string{"location"},
		},
		"an empty list grants nothing, and findings are sorted": {
			permissions:  []v1alpha1.Permission{{Name: "microphone"}, {Name: "camera"}},
			capabilities: []string{},
			want: []v1alpha1.Finding{
				{Rule: "PermissionNotAllowed", Severity: "error", Message: strings.Replace(needed, "only: location", "only: none", 1)},
				{Rule: "PermissionNotAllowed", Severity: "error", Message: strings.NewReplacer("only: location", "only: none", "camera", "microphone").Replace(needed)},
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			host := v1alpha1.HostApp{ObjectMeta: metav1.ObjectMeta{Name: "wallet"}, Spec: v1alpha1.HostAppSpec{Capabilities: tc.capabilities}}
			got := CheckHostApp(v1alpha1.Declaration{Permissions: tc.permissions}, host)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("CheckHostApp (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSelects(t *testing.T) {
	games := &metav1.LabelSelector{MatchLabels: map[string]string{"team": "games"}}
	money := &metav1.LabelSelector{MatchLabels: map[string]string{"policy.miniprogram.dev/money": "yes"}}
	tests := map[string]struct {
		selector *metav1.LabelSelector
		programs *metav1.LabelSelector
		policy   []string // its host apps
		labels   map[string]string
		program  map[string]string // its labels
		hostApps []string
		want     bool
		wantErr  string
	}{
		"a policy without selectors covers everything":         {want: true},
		"an empty selector covers every namespace":             {selector: &metav1.LabelSelector{}, want: true},
		"a namespace with the label is covered":                {selector: games, labels: map[string]string{"team": "games"}, want: true},
		"a namespace with another label is not":                {selector: games, labels: map[string]string{"team": "maps"}},
		"a namespace without labels is not":                    {selector: games},
		"one common host app is enough":                        {policy: []string{"wallet", "maps"}, hostApps: []string{"chat", "maps"}, want: true},
		"another host app is not covered":                      {policy: []string{"wallet"}, hostApps: []string{"chat"}},
		"no host app is not covered by a policy for host apps": {policy: []string{"wallet"}},
		"both must hold: right host app, wrong namespace":      {selector: games, policy: []string{"wallet"}, hostApps: []string{"wallet"}},
		"both must hold: right namespace, wrong host app":      {selector: games, labels: map[string]string{"team": "games"}, policy: []string{"wallet"}, hostApps: []string{"chat"}},
		"both hold": {selector: games, labels: map[string]string{"team": "games"}, policy: []string{"wallet"}, hostApps: []string{"wallet"}, want: true},
		"a selector that means nothing names policy and field": {
			selector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Near"}}},
			wantErr:  `ReviewPolicy base: reading spec.namespaceSelector: "Near" is not a valid label selector operator`,
		},
		"an empty selector covers every mini program":   {programs: &metav1.LabelSelector{}, want: true},
		"a mini program with the label is covered":      {programs: money, program: map[string]string{"policy.miniprogram.dev/money": "yes"}, want: true},
		"a mini program with another value is not":      {programs: money, program: map[string]string{"policy.miniprogram.dev/money": "no"}},
		"a mini program without the label is not":       {programs: money},
		"a label of the namespace is not the program's": {programs: money, labels: map[string]string{"policy.miniprogram.dev/money": "yes"}},
		"right mini program, wrong namespace":           {selector: games, programs: money, program: map[string]string{"policy.miniprogram.dev/money": "yes"}},
		"right mini program, wrong host app":            {programs: money, program: map[string]string{"policy.miniprogram.dev/money": "yes"}, policy: []string{"wallet"}},
		"a label that anybody may change selects no mini program": {
			programs: games, program: map[string]string{"team": "games"},
			wantErr: `ReviewPolicy base: reading spec.miniProgramSelector: key "team" does not begin with policy.miniprogram.dev/: whoever edits a mini program may change such a label`,
		},
		"nor does one in an expression": {
			programs: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "DoesNotExist"}}},
			wantErr:  `ReviewPolicy base: reading spec.miniProgramSelector: key "team" does not begin with policy.miniprogram.dev/: whoever edits a mini program may change such a label`,
		},
		"an expression that means nothing names policy and field": {
			programs: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "policy.miniprogram.dev/money", Operator: "Near"}}},
			wantErr:  `ReviewPolicy base: reading spec.miniProgramSelector: "Near" is not a valid label selector operator`,
		},
		"a broken selector of mini programs holds back nothing in other namespaces": {selector: games, programs: games},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := reviewPolicy("base", v1alpha1.ReviewPolicySpec{NamespaceSelector: tc.selector, MiniProgramSelector: tc.programs, HostApps: tc.policy})
			got, err := Selects(&p, tc.labels, tc.program, tc.hostApps)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if got != tc.want || text != tc.wantErr {
				t.Errorf("Selects = %t, %q, want %t, %q", got, text, tc.want, tc.wantErr)
			}
		})
	}
}

func TestCheckSelectors(t *testing.T) {
	broken := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Near"}}}
	tests := map[string]struct {
		spec v1alpha1.ReviewPolicySpec
		want string
	}{
		"unset selectors are fine": {},
		"the first field is told": {
			spec: v1alpha1.ReviewPolicySpec{NamespaceSelector: broken, MiniProgramSelector: broken},
			want: `ReviewPolicy base: reading spec.namespaceSelector: "Near" is not a valid label selector operator`,
		},
		"else the second": {
			spec: v1alpha1.ReviewPolicySpec{MiniProgramSelector: broken},
			want: `ReviewPolicy base: reading spec.miniProgramSelector: key "team" does not begin with policy.miniprogram.dev/: whoever edits a mini program may change such a label`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := reviewPolicy("base", tc.spec)
			got := ""
			if err := CheckSelectors(&p); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("CheckSelectors = %q, want %q", got, tc.want)
			}
		})
	}
}
