package admissiontest

import "testing"

func act(kind, name, action, by string) request {
	return patch(kind, name, "metadata: {annotations: {miniprogram.dev/action: "+quote(action)+", miniprogram.dev/action-by: "+quote(by)+"}}")
}

// quote writes a YAML string, or null for none: a merge patch then removes it.
func quote(s string) string {
	if s == "" {
		return "null"
	}
	return `"` + s + `"`
}

func TestAnActionNeedsItsVerb(t *testing.T) {
	deny := func(resource, name, message string) string {
		return denied(resource, name, "miniprogram-actions", message)
	}
	const (
		annotation = "metadata.annotations[miniprogram.dev/action]: "
		actionBy   = "metadata.annotations[miniprogram.dev/action-by]: "
		everywhere = " may not transfer: it takes an app ID from another group, so ask for verb transfer on miniprograms in all namespaces (ClusterRole miniprogram-admin has it, by a ClusterRoleBinding)"
		wildcard   = " holds every right through a wildcard, and a transfer takes an app ID from another group by the word of one person: annotate as that person (kubectl --as=NAME), or with an account that only has ClusterRole miniprogram-admin by a ClusterRoleBinding"
		role       = " in namespace shop-team (ClusterRole miniprogram-operator has it)"
	)
	cells := map[string]cell{
		"who has one verb does that":                 {who: pia, do: act("Rollout", "shop", "pause@1", pia)},
		"an emergency needs no more than everything": {who: installer, do: act("Rollout", "shop", "abort@1", installer)},
		"without the verb nobody acts": {
			who:  paul,
			do:   act("Rollout", "shop", "promote@1/0", paul),
			want: deny("rollouts", "shop", annotation+"paul may not promote: ask for verb promote on rollouts"+role),
		},
		"one verb does not give another": {
			who:  pia,
			do:   act("Rollout", "shop", "promote-full@1", pia),
			want: deny("rollouts", "shop", annotation+"pia may not promote-full: ask for verb promote-full on rollouts"+role),
		},
		"an unknown verb is refused with the list": {
			who:  olga,
			do:   act("Rollout", "shop", "explode@1", olga),
			want: deny("rollouts", "shop", annotation+`"explode" is no action of rollouts: write one of promote, promote-full, abort, retry, pause, resume, rollback, as in "promote@1"`),
		},
		"a rollout is not suspended": {
			who:  olga,
			do:   act("Rollout", "shop", "suspend@1", olga),
			want: deny("rollouts", "shop", annotation+`"suspend" is no action of rollouts: write one of promote, promote-full, abort, retry, pause, resume, rollback, as in "promote@1"`),
		},
		"a program is not aborted": {
			who:  olga,
			do:   act("MiniProgram", "shop", "abort@1", olga),
			want: deny("miniprograms", "shop", annotation+`"abort" is no action of miniprograms: write one of suspend, resume, transfer, as in "suspend@1"`),
		},
		"a version is not suspended": {
			who:  olga,
			do:   act("MiniProgramVersion", "shop-1", "suspend@1", olga),
			want: deny("miniprogramversions", "shop-1", annotation+`"suspend" is no action of miniprogramversions: write one of withdraw, as in "withdraw@1"`),
		},
		"a developer does not suspend": {
			who:  dora,
			do:   act("MiniProgram", "shop", "suspend@1", dora),
			want: deny("miniprograms", "shop", annotation+"dora may not suspend: ask for verb suspend on miniprograms"+role),
		},
		"a developer does not withdraw by an action": {
			who:  dora,
			do:   act("MiniProgramVersion", "shop-1", "withdraw@1", dora),
			want: deny("miniprogramversions", "shop-1", annotation+"dora may not withdraw: ask for verb withdraw on miniprogramversions"+role),
		},
		"who may transfer everywhere transfers": {who: adam, do: act("MiniProgram", "shop", "transfer@1", adam)},
		"an operator does not transfer": {
			who: olga, do: act("MiniProgram", "shop", "transfer@1", olga), want: deny("miniprograms", "shop", annotation+"olga"+everywhere),
		},
		"a Role in one's own namespace does not transfer": {
			who: dan, do: act("MiniProgram", "shop", "transfer@1", dan), want: deny("miniprograms", "shop", annotation+"dan"+everywhere),
		},
		"who holds everything does not transfer": {
			who: carl, do: act("MiniProgram", "shop", "transfer@1", carl), want: deny("miniprograms", "shop", annotation+"carl"+wildcard),
		},
		"who holds everything in the namespace does not transfer": {
			who: nadia, do: act("MiniProgram", "shop", "transfer@1", nadia), want: deny("miniprograms", "shop", annotation+"nadia"+wildcard),
		},
		"a transfer at creation is the word of who creates": {
			who: adam,
			do:  create("MiniProgram", "new", program("com.example.new", "")+"\nmetadata: {annotations: {miniprogram.dev/action: transfer@1, miniprogram.dev/action-by: adam}}"),
		},
		"a transfer at creation is nobody else's": {
			who:  adam,
			do:   create("MiniProgram", "new", program("com.example.new", "")+"\nmetadata: {annotations: {miniprogram.dev/action: transfer@1, miniprogram.dev/action-by: dora}}"),
			want: deny("miniprograms", "new", "metadata.annotations[miniprogram.dev/action-by]: must be the user who sets miniprogram.dev/action, adam, not dora"),
		},
		"Argo CD does not transfer by what stands in Git": {
			who:  argo,
			do:   create("MiniProgram", "new", program("com.example.new", "")+"\nmetadata: {annotations: {miniprogram.dev/action: transfer@1}}"),
			want: deny("miniprograms", "new", annotation+argoAccount+wildcard),
		},
		"nobody acts in another's name": {
			who:  olga,
			do:   act("Rollout", "shop", "abort@1", paul),
			want: deny("rollouts", "shop", actionBy+"must be the user who sets miniprogram.dev/action, olga, not paul"),
		},
		"the name does not change later": {
			who:  olga,
			do:   patch("Rollout", "aborting", "metadata: {annotations: {miniprogram.dev/action-by: pia}}"),
			want: deny("rollouts", "aborting", actionBy+"changes only together with miniprogram.dev/action"),
		},
		"the name does not go alone": {
			who:  olga,
			do:   patch("Rollout", "aborted", "metadata: {annotations: {miniprogram.dev/action-by: null}}"),
			want: deny("rollouts", "aborted", actionBy+"changes only together with miniprogram.dev/action"),
		},
		"there is no name without an action": {
			who:  olga,
			do:   patch("Rollout", "shop", "metadata: {annotations: {miniprogram.dev/action-by: olga}}"),
			want: deny("rollouts", "shop", actionBy+"changes only together with miniprogram.dev/action"),
		},
		"a pending abort is not removed without its verb": {
			who:  paul,
			do:   act("Rollout", "aborting", "", ""),
			want: deny("rollouts", "aborting", annotation+`"abort@1" of olga is not answered yet, and paul may not take it back: wait for status.lastAction, or ask for verb abort on rollouts`),
		},
		"a pending abort is not replaced without its verb": {
			who:  pia,
			do:   act("Rollout", "aborting", "pause@1", pia),
			want: deny("rollouts", "aborting", annotation+`"abort@1" of olga is not answered yet, and pia may not take it back: wait for status.lastAction, or ask for verb abort on rollouts`),
		},
		"a pending suspension is not removed without its verb": {
			who:  paul,
			do:   act("MiniProgram", "halted", "", ""),
			want: deny("miniprograms", "halted", annotation+`"suspend@1" of olga is not answered yet, and paul may not take it back: wait for status.lastAction, or ask for verb suspend on miniprograms`),
		},
		"a pending abort is removed with its verb":        {who: olga, do: act("Rollout", "aborting", "", "")},
		"an answered abort is removed by who may patch":   {who: paul, do: act("Rollout", "aborted", "", "")},
		"an answered abort is replaced with the new verb": {who: pia, do: act("Rollout", "aborted", "pause@1", pia)},
		"beside an action everything else may change":     {who: paul, do: patch("Rollout", "aborting", "spec: {state: Paused}")},
		"an action at creation needs its verb": {
			who:  paul,
			do:   create("Rollout", "new", rollout+"\nmetadata: {annotations: {miniprogram.dev/action: promote@1/0}}"),
			want: deny("rollouts", "new", annotation+"paul may not promote: ask for verb promote on rollouts"+role),
		},
		"a restored object may name who acted then": {
			who: olga, do: create("Rollout", "new", rollout+"\nmetadata: {annotations: {miniprogram.dev/action: abort@1, miniprogram.dev/action-by: pia}}"),
		},
	}
	for _, verb := range []string{"promote", "promote-full", "abort", "retry", "pause", "resume", "rollback"} {
		cells["the operator may "+verb] = cell{who: olga, do: act("Rollout", "shop", verb+"@1/0", olga)}
	}
	for _, verb := range []string{"suspend", "resume"} {
		cells["the operator may "+verb+" a program"] = cell{who: olga, do: act("MiniProgram", "shop", verb+"@1", olga)}
	}
	cells["the operator may withdraw a version"] = cell{who: olga, do: act("MiniProgramVersion", "shop-1", "withdraw", olga)}
	check(t, cells)
}

func TestOnlyTheControllerTakesARolloutsFinalizerAway(t *testing.T) {
	with := func(finalizers string) request {
		return patch("Rollout", "held", "metadata: {finalizers: "+finalizers+"}")
	}
	const own = "[miniprogram.dev/published-document]"
	refusal := func(user string) string {
		return denied("rollouts", "held", "miniprogram-rollout-finalizers", "metadata.finalizers: only the controller takes miniprogram.dev/published-document away, when host apps know that the Rollout is gone, not "+user+": delete the Rollout, and see that the manager runs")
	}
	check(t, map[string]cell{
		"the controller": {who: controller, do: with("[example.com/other]")},
		"an administrator, where the manager is gone": {who: installer, do: with("[]")},
		"not an operator":                        {who: olga, do: with("[example.com/other]"), want: refusal(olga)},
		"not an operator with all of them":       {who: olga, do: with("null"), want: refusal(olga)},
		"another finalizer is nobody's business": {who: olga, do: with(own)},
		"one that has none gets any":             {who: olga, do: patch("Rollout", "shop", "metadata: {finalizers: "+own+"}")},
	})
}
