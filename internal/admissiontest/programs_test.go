package admissiontest

import "testing"

func program(appID, more string) string {
	return "spec: {appID: " + appID + ", displayName: New, hostApps: [wallet]" + more + "}"
}

func TestWhatADeveloperGroupDoesNotDecideAboutItsProgram(t *testing.T) {
	deny := func(name, message string) string {
		return denied("miniprograms", name, "miniprogram-mini-programs", message)
	}
	const (
		suspendRole  = " the mini program: ask for verb suspend on miniprograms in namespace shop-team (ClusterRole miniprogram-operator has it)"
		classifyRole = "metadata.labels: labels under policy.miniprogram.dev/ choose the policies that hold, and dora may not change them: ask for verb classify on miniprograms in namespace shop-team (ClusterRole miniprogram-admin has it)"
	)
	check(t, map[string]cell{
		"who may suspend suspends":          {who: olga, do: patch("MiniProgram", "shop", "spec: {availability: Suspended}")},
		"who may suspend ends a suspension": {who: olga, do: patch("MiniProgram", "suspended", "spec: {availability: Listed}")},
		"a developer does not suspend": {
			who:  dora,
			do:   patch("MiniProgram", "shop", "spec: {availability: Suspended}"),
			want: deny("shop", "spec.availability: dora may not suspend"+suspendRole),
		},
		"a developer does not end a suspension": {
			who:  dora,
			do:   patch("MiniProgram", "suspended", "spec: {availability: Hidden}"),
			want: deny("suspended", "spec.availability: dora may not end the suspension of"+suspendRole),
		},
		"a developer does not end a suspension by leaving it out": {
			who:  dora,
			do:   patch("MiniProgram", "suspended", "spec: {availability: null}"),
			want: deny("suspended", "spec.availability: dora may not end the suspension of"+suspendRole),
		},
		"a developer creates nothing suspended": {
			who:  dora,
			do:   create("MiniProgram", "new", program("com.example.new", ", availability: Suspended")),
			want: deny("new", "spec.availability: dora may not suspend"+suspendRole),
		},
		"a developer hides":                   {who: dora, do: patch("MiniProgram", "shop", "spec: {availability: Hidden}")},
		"a developer edits what is suspended": {who: dora, do: patch("MiniProgram", "suspended", "spec: {displayName: Better}")},

		"who may classify classifies": {who: adam, do: patch("MiniProgram", "shop", "metadata: {labels: {policy.miniprogram.dev/tier: gold}}")},
		"a developer adds no class": {
			who: dora, do: patch("MiniProgram", "shop", "metadata: {labels: {policy.miniprogram.dev/tier: gold}}"), want: deny("shop", classifyRole),
		},
		"a developer changes no class": {
			who: dora, do: patch("MiniProgram", "classified", "metadata: {labels: {policy.miniprogram.dev/tier: silver}}"), want: deny("classified", classifyRole),
		},
		"a developer removes no class": {
			who: dora, do: patch("MiniProgram", "classified", "metadata: {labels: {policy.miniprogram.dev/tier: null}}"), want: deny("classified", classifyRole),
		},
		"a developer creates nothing classified": {
			who:  dora,
			do:   create("MiniProgram", "new", program("com.example.new", "")+"\nmetadata: {labels: {policy.miniprogram.dev/tier: gold}}"),
			want: deny("new", classifyRole),
		},
		"other labels are free": {who: dora, do: patch("MiniProgram", "classified", "metadata: {labels: {team: shop}}")},

		"an app ID with a prefix of the group":       {who: dora, do: create("MiniProgram", "new", program("com.example.new", ""))},
		"an app ID with another prefix of the group": {who: dora, do: create("MiniProgram", "new", program("org.example.new", ""))},
		"an app ID of somebody else": {
			who:  dora,
			do:   create("MiniProgram", "new", program("com.bank.new", "")),
			want: deny("new", `spec.appID: "com.bank.new" is not for namespace shop-team, whose annotation miniprogram.dev/app-id-prefixes allows "com.example., org.example.": choose an app ID that begins so, or ask the platform team for the prefix`),
		},
	})
}

func TestDeletingAProgramIsNoWayAroundASuspensionAVetoOrAClass(t *testing.T) {
	deny := func(name, message string) string {
		return denied("miniprograms", name, "miniprogram-mini-program-deletion", message)
	}
	const suspended = " is suspended, and deleting it would end that: ask for verb suspend on miniprograms in namespace shop-team"
	check(t, map[string]cell{
		"one like any other":                {who: dora, do: remove("MiniProgram", "shop")},
		"a suspended one with the right":    {who: adam, do: remove("MiniProgram", "suspended")},
		"a suspended one without the right": {who: dora, do: remove("MiniProgram", "suspended"), want: deny("suspended", "metadata.name: mini program suspended"+suspended)},
		"one that an action suspended":      {who: dora, do: remove("MiniProgram", "halted"), want: deny("halted", "metadata.name: mini program halted"+suspended)},
		"a classified one with the right":   {who: adam, do: remove("MiniProgram", "classified")},
		"a classified one without the right": {
			who:  dora,
			do:   remove("MiniProgram", "classified"),
			want: deny("classified", "metadata.name: label policy.miniprogram.dev/tier of mini program classified chooses the policies that hold, and deleting it would end that: ask for verb classify on miniprograms in namespace shop-team"),
		},
		"one with a veto, with the right": {who: adam, do: remove("MiniProgram", "vetoed")},
		"one with a veto, without the right": {
			who:  dora,
			do:   remove("MiniProgram", "vetoed"),
			want: deny("vetoed", "metadata.name: mini program vetoed keeps 1 rejection(s) in status.rejections, and deleting it would lift them: ask for verb purge on miniprograms in namespace shop-team"),
		},
	})
}

func TestDeletingAVersionIsNoWayAroundAWithdrawalOrTheRecords(t *testing.T) {
	deny := func(name, message string) string {
		return denied("miniprogramversions", name, "miniprogram-version-deletion", "metadata.name: version "+name+message)
	}
	const withdrawn = " is withdrawn, and deleting it would end that: ask for verb withdraw on miniprogramversions in namespace shop-team"
	check(t, map[string]cell{
		"one like any other":                {who: dora, do: remove("MiniProgramVersion", "shop-1")},
		"a withdrawn one with the right":    {who: adam, do: remove("MiniProgramVersion", "shop-0")},
		"a withdrawn one without the right": {who: dora, do: remove("MiniProgramVersion", "shop-0"), want: deny("shop-0", withdrawn)},
		"one that an action withdrew":       {who: dora, do: remove("MiniProgramVersion", "recalled"), want: deny("recalled", withdrawn)},
		"one with decisions and the right":  {who: adam, do: remove("MiniProgramVersion", "decided")},
		"one with decisions without the right": {
			who:  dora,
			do:   remove("MiniProgramVersion", "decided"),
			want: deny("decided", " was decided on (1 in status.decisions), and deleting it would delete the Reviews: ask for verb purge on reviews in namespace shop-team"),
		},
	})
}

func TestNobodyNamesAnotherAuthorWithoutTheRight(t *testing.T) {
	deny := func(name, message string) string {
		return denied("miniprogramversions", name, "miniprogram-version-authors", message)
	}
	const through = "metadata.annotations[miniprogram.dev/submitted-through]: "
	check(t, map[string]cell{
		"oneself":                {who: dora, do: create("MiniProgramVersion", "new", version+"\n  submittedBy: dora")},
		"nobody":                 {who: dora, do: create("MiniProgramVersion", "new", version)},
		"another with the right": {who: gitops, do: create("MiniProgramVersion", "new", version+"\n  submittedBy: dora")},
		"another without the right": {
			who:  dora,
			do:   create("MiniProgramVersion", "new", version+"\n  submittedBy: dan"),
			want: deny("new", "spec.submittedBy: must be the user who creates the version, dora, not dan: leave it out, or ask for verb submit-as on miniprogramversions in namespace shop-team"),
		},
		"the creating account does not change": {
			who:  dora,
			do:   patch("MiniProgramVersion", "shop-1", "metadata: {annotations: {miniprogram.dev/submitted-through: dan}}"),
			want: deny("shop-1", through+"tells who created the version and may not change"),
		},
		"another developer requests the review": {who: dan, do: patch("MiniProgramVersion", "shop-1", "spec: {review: Requested}")},
	})
}
