package controller_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// adam is an administrator of the platform, who may transfer app IDs.
func (g *group) adam(t testing.TB) (client.Client, string) {
	t.Helper()
	name := "adam-" + g.ns
	g.bindEverywhere(t, name, "miniprogram-admin")
	return g.as(t, name), name
}

// claim creates the MiniProgram app with an app ID that another group holds.
func (g *group) claim(t testing.TB, appID, host string) {
	t.Helper()
	g.must(t, g.dana.Create(ctx(t), &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"},
		Spec:       v1alpha1.MiniProgramSpec{AppID: appID, DisplayName: "app", HostApps: []string{host}, Kind: "WebApp"},
	}))
}

// annotate asks for an action on the MiniProgram app.
func (g *group) annotate(t testing.TB, who client.Client, user, action string) {
	t.Helper()
	change(t, g, who, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) {
		p.Annotations = map[string]string{v1alpha1.ActionAnnotation: action, v1alpha1.ActionByAnnotation: user}
	})
}

// awaitProgram waits until a condition of the MiniProgram app is what is wanted.
func (g *group) awaitProgram(t testing.TB, kind, want string) *v1alpha1.MiniProgram {
	t.Helper()
	var p v1alpha1.MiniProgram
	eventually(t, "MiniProgram app "+kind, func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app"), &p))
		if got := condition(p.Status.Conditions, kind); got != want {
			return "got  " + got + "\nwant " + want
		}
		return ""
	})
	return &p
}

// taken is what a MiniProgram, or its Rollout, says of an app ID that another holds.
func (g *group) taken(appID, transfer string) string {
	return "spec.appID " + appID + " is held by another MiniProgram: create a MiniProgram with another app ID, " +
		"or let somebody with verb transfer on miniprograms in the whole cluster (ClusterRole miniprogram-admin has it) move it here: " +
		"kubectl annotate mp app -n " + g.ns + " --overwrite miniprogram.dev/action=" + transfer
}

// answered is what a MiniProgram says beside of a transfer that is not carried out.
func answered(action, result string) string {
	return " (" + action + " was answered " + result + ", and is not carried out any more: before the same is set again, remove it)"
}

func (g *group) awaitGivenWay(t testing.TB, appID, transfer string) *v1alpha1.Rollout {
	t.Helper()
	want := "True AppIDTaken: " + g.taken(appID, transfer)
	return g.awaitRollout(t, "app", "it gives way", func(ro *v1alpha1.Rollout) bool {
		return condition(ro.Status.Conditions, v1alpha1.ConditionStalled) == want
	})
}

// documents are all that is published for an app ID, by the namespace of its Rollout.
func (g *group) documents(t testing.TB, appID string) map[string]*corev1.ConfigMap {
	t.Helper()
	var list corev1.ConfigMapList
	g.must(t, g.admin.List(ctx(t), &list, client.InNamespace(publishedNamespace), client.MatchingLabels{
		v1alpha1.PublishedLabel: "true", delivery.DocumentLabel: delivery.KindRollout, delivery.LedgerLabel: delivery.LedgerConfigMap(appID),
	}))
	out := map[string]*corev1.ConfigMap{}
	for i := range list.Items {
		namespace, _, _ := strings.Cut(list.Items[i].Name, ".")
		out[namespace] = &list.Items[i]
	}
	return out
}

// awaitOnly waits until the group's document is the only one for the app ID.
func (g *group) awaitOnly(t testing.TB, appID string) *document.Release {
	t.Helper()
	eventually(t, "one document for "+appID, func() string {
		docs := g.documents(t, appID)
		if len(docs) != 1 || docs[g.ns] == nil {
			return show(docs)
		}
		return ""
	})
	return g.published(t, "app")
}

// twoGroups has one program under way at 25 % of 1.1.0 beside stable 1.0.0, in the
// first group, and its claimant in the second.
func twoGroups(t testing.TB) (first, second *group, appID string) {
	t.Helper()
	first, second = newGroup(t, "quality"), newGroup(t, "quality")
	appID = first.ns + ".app"
	first.stableAt(t, "1.0.0", percent(25), pauseForPerson())
	first.release(t, "app", "1.1.0")
	first.approve(t, "app-1.1.0")
	first.target(t, "app", "app-1.1.0")
	first.awaitRollout(t, "app", "25 %", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "25%" && isOut(ro) })
	second.claim(t, appID, first.host)
	second.awaitProgram(t, v1alpha1.ConditionStalled, "True AppIDTaken: "+second.taken(appID, "transfer@1"))
	return first, second, appID
}

func TestAnAppIDMovesToAnotherGroupWithWhatIsInstalled(t *testing.T) {
	first, second, appID := twoGroups(t)
	second.letApprove(t, second.rosaName, "quality", "app")
	second.release(t, "app", "2.0.0")
	second.approve(t, "app-2.0.0")
	second.rollout(t, "app", "2.0.0", percent(5), pauseForPerson())
	second.awaitGivenWay(t, appID, "transfer@1")
	before := first.awaitRollout(t, "app", "25 %", isOut)
	old := first.published(t, "app")

	adam, name := second.adam(t)
	second.annotate(t, adam, name, "transfer@2")
	second.awaitProgram(t, v1alpha1.ConditionStalled, "True AppIDTaken: "+second.taken(appID, "transfer@1")+answered("transfer@2", "Stale"))
	second.annotate(t, adam, name, "transfer@1")
	second.awaitProgram(t, v1alpha1.ConditionReady, "True Succeeded: released to "+first.host+"; 2.0.0 is under way (Rollout app)")
	first.awaitProgram(t, v1alpha1.ConditionStalled, "True AppIDTaken: "+first.taken(appID, "transfer@2"))
	first.awaitGivenWay(t, appID, "transfer@2")

	after := second.awaitRollout(t, "app", "5 % of 2.0.0", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "5%" && isOut(ro) })
	doc := second.awaitOnly(t, appID)
	if doc.Sequence <= old.Sequence || doc.Stable.Digest != old.Stable.Digest || doc.Target.Version != "2.0.0" {
		t.Errorf("published is %s\nafter %s", show(doc), show(old))
	}
	// Who had 1.1.0 gets 1.0.0 also in containers that only go forward.
	if doc.Stable.Delivery <= before.Status.Target.Delivery || doc.Target.Delivery <= doc.Stable.Delivery {
		t.Errorf("stable has delivery number %d, the target %d; the target before had %d", doc.Stable.Delivery, doc.Target.Delivery, before.Status.Target.Delivery)
	}
	if got, want := second.documents(t, appID)[second.ns].Data[delivery.KeyRepository], second.ns+"/app "+first.ns+"/app"; got != want {
		t.Errorf("blobs are in %q, want %q", got, want)
	}
	first.wantEvent(t, "AppIDTransferred", "app ID "+appID+" was moved to another MiniProgram by "+name)
	second.wantEvent(t, "AppIDTransferred", "app ID "+appID+" was moved here by "+name)

	// Nothing that the former holder does reaches a device: neither a withdrawal nor a deletion.
	first.withdrawVersion(t, "app-1.1.0")
	first.act(t, "app", "promote-full@2")
	change(t, first, first.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) { ro.Spec.DeletionPolicy = v1alpha1.DeletionRemove })
	ro := first.awaitRollout(t, "app", "it was looked at", func(ro *v1alpha1.Rollout) bool { return ro.Status.ObservedGeneration == ro.Generation })
	if ro.Status.Sequence != before.Status.Sequence || ro.Status.LastAction.Value != before.Status.LastAction.Value {
		t.Errorf("it decided something: %s", show(ro.Status))
	}
	first.deleteRollout(t)
	second.act(t, "app", "promote-full@"+show(after.Status.Attempt))
	second.awaitRollout(t, "app", "2.0.0 is stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "100%" && isOut(ro) })
	if doc := second.awaitOnly(t, appID); doc.Stable.Version != "2.0.0" || doc.Tombstone != nil {
		t.Errorf("published is %s", show(doc))
	}
}

// wantEvent waits for one whose note begins so.
func (g *group) wantEvent(t testing.TB, reason, note string) {
	t.Helper()
	eventually(t, "an event", func() string {
		var list eventsv1.EventList
		g.must(t, g.admin.List(ctx(t), &list, client.InNamespace(g.ns)))
		for _, e := range list.Items {
			if e.Reason == reason && strings.HasPrefix(e.Note, note) {
				return ""
			}
		}
		return "none says " + note + " among " + show(list.Items)
	})
}

func TestATransferThatStaysInGitDoesNotTakeTheAppIDBack(t *testing.T) {
	first, second, appID := twoGroups(t)
	adam, name := second.adam(t)
	second.annotate(t, adam, name, "transfer@1")
	second.awaitProgram(t, v1alpha1.ConditionReady, "True Succeeded: nothing is released yet: create a MiniProgramVersion and a Rollout")

	first.annotate(t, adam, name, "transfer@2")
	first.awaitProgram(t, v1alpha1.ConditionReady, "True Succeeded: released to "+first.host+"; 1.1.0 is under way (Rollout app)")
	// The annotation of the first transfer is still there, and is looked at again and again.
	stale := "True AppIDTaken: " + second.taken(appID, "transfer@3") + answered("transfer@1", "Done")
	second.awaitProgram(t, v1alpha1.ConditionStalled, stale)
	change(t, second, second.dana, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.DisplayName = "looked at" })
	eventually(t, "it was looked at again", func() string {
		if p := second.awaitProgram(t, v1alpha1.ConditionStalled, stale); p.Status.ObservedGeneration != p.Generation {
			return show(p.Status)
		}
		return ""
	})
	// Nobody else has published meanwhile: the first goes on where it was.
	ro := first.awaitRollout(t, "app", "25 %, waiting", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Percent == "25%" && isOut(ro) && strings.HasPrefix(condition(ro.Status.Conditions, v1alpha1.ConditionPaused), "True WaitsForPromote")
	})
	if doc := first.awaitOnly(t, appID); doc.Target == nil || doc.Target.Version != "1.1.0" || doc.Sequence != ro.Status.Sequence {
		t.Errorf("published is %s", show(doc))
	}
	first.annotate(t, adam, name, "transfer@7")
	first.awaitProgram(t, v1alpha1.ConditionReady, "True Succeeded: released to "+first.host+"; 1.1.0 is under way (Rollout app); miniprogram.dev/action=transfer@7 does nothing: the MiniProgram holds its app ID, as holder 3")
}

func TestARolloutThatComesBackAfterOthersHavePublishedStartsFromTheirs(t *testing.T) {
	first, second, appID := twoGroups(t)
	second.letApprove(t, second.rosaName, "quality", "app")
	second.release(t, "app", "2.0.0")
	second.approve(t, "app-2.0.0")
	adam, name := second.adam(t)
	second.annotate(t, adam, name, "transfer@1")
	second.rollout(t, "app", "2.0.0")
	second.awaitRollout(t, "app", "2.0.0 is stable", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Stable != nil && ro.Status.Stable.Version == "2.0.0" && isOut(ro)
	})
	theirs := second.awaitOnly(t, appID)

	first.annotate(t, adam, name, "transfer@2")
	first.awaitRollout(t, "app", "25 % beside 2.0.0", func(ro *v1alpha1.Rollout) bool {
		st := ro.Status
		return st.Stable != nil && st.Stable.Version == "2.0.0" && st.Target != nil && st.Target.Version == "1.1.0" && st.Percent == "25%" && isOut(ro)
	})
	doc := first.awaitOnly(t, appID)
	if doc.Sequence <= theirs.Sequence || doc.Stable.Digest != theirs.Stable.Digest || doc.Target.Version != "1.1.0" || doc.Split.BasisPoints != 2500 {
		t.Errorf("published is %s\nafter %s", show(doc), show(theirs))
	}
}

func TestADocumentThatAFormerHolderPublishesLateIsSuperseded(t *testing.T) {
	first, second, appID := twoGroups(t)
	second.letApprove(t, second.rosaName, "quality", "app")
	second.release(t, "app", "2.0.0")
	second.approve(t, "app-2.0.0")
	late := first.published(t, "app")
	adam, name := second.adam(t)
	second.annotate(t, adam, name, "transfer@1")
	second.rollout(t, "app", "2.0.0")
	second.awaitRollout(t, "app", "2.0.0 is stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "100%" && isOut(ro) })
	newer := second.awaitOnly(t, appID)

	// As a pass that read the ledger before the transfer would: signed, and with a higher number.
	late.Sequence, late.Split.BasisPoints = newer.Sequence+1_000_000, 5000
	payload, err := document.Marshal(late)
	first.must(t, err)
	envelope, err := first.ourKey(t).Sign(payload)
	first.must(t, err)
	first.must(t, first.admin.Create(ctx(t), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: publishedNamespace, Name: delivery.RolloutConfigMap(first.ns, "app"),
			Labels: map[string]string{
				v1alpha1.PublishedLabel: "true", delivery.DocumentLabel: delivery.KindRollout, delivery.LedgerLabel: delivery.LedgerConfigMap(appID),
			},
		},
		Data: map[string]string{delivery.KeyEnvelope: string(envelope), delivery.KeySequence: show(late.Sequence), delivery.KeyRepository: first.ns + "/app"},
	}))
	second.awaitRollout(t, "app", "it goes above", func(ro *v1alpha1.Rollout) bool { return ro.Status.Sequence > late.Sequence && isOut(ro) })
	if doc := second.awaitOnly(t, appID); doc.Sequence <= late.Sequence || doc.Stable.Version != "2.0.0" || doc.Target != nil {
		t.Errorf("published is %s", show(doc))
	}
}

func TestATransferDoesNotEndASuspension(t *testing.T) {
	first, second, appID := twoGroups(t)
	change(t, first, first.olu, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.Availability = v1alpha1.AvailabilitySuspended })
	first.awaitProgram(t, v1alpha1.ConditionReady, "True Succeeded: suspended: no host app hands it out")
	adam, name := second.adam(t)
	second.annotate(t, adam, name, "transfer@1")
	second.awaitProgram(t, v1alpha1.ConditionReady, "False Suspended: app ID "+appID+" is suspended, and a transfer does not end that: "+
		"set spec.availability to Suspended here until it may be served again (needs verb suspend on miniprograms)")
	change(t, second, adam, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.Availability = v1alpha1.AvailabilitySuspended })
	second.awaitProgram(t, v1alpha1.ConditionReady, "True Succeeded: suspended: no host app hands it out")
	first.awaitGivenWay(t, appID, "transfer@2")
}

func TestARolloutWhoseProgramIsGoneGivesWayToo(t *testing.T) {
	first, second, appID := twoGroups(t)
	before := first.published(t, "app")
	first.must(t, first.dana.Delete(ctx(t), &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: first.ns, Name: "app"}}))
	adam, name := second.adam(t)
	second.annotate(t, adam, name, "transfer@1")
	first.awaitGivenWay(t, appID, "transfer@2")
	first.deleteRollout(t)
	if doc := first.published(t, "app"); doc.Sequence != before.Sequence || doc.Tombstone != nil {
		t.Errorf("published is %s", show(doc))
	}
}

func TestATransferThatWasAnsweredIsNotCarriedOutLater(t *testing.T) {
	first, second := newGroup(t, "quality"), newGroup(t, "quality")
	third, appID := newGroup(t, "quality"), first.ns+".app"
	first.program(t, "app")
	first.awaitProgram(t, v1alpha1.ConditionReady, "True Succeeded: nothing is released yet: create a MiniProgramVersion and a Rollout")
	adam, name := first.adam(t)
	second.claim(t, appID, first.host)
	third.claim(t, appID, first.host)
	second.annotate(t, adam, name, "transfer@2")
	p := second.awaitProgram(t, v1alpha1.ConditionStalled, "True AppIDTaken: "+second.taken(appID, "transfer@1")+answered("transfer@2", "Stale"))
	want := &v1alpha1.ActionAnswer{
		Value: "transfer@2", User: name, Result: "Stale", Message: "the count of holders is 1, so only transfer@1 moves the app ID", Time: p.Status.LastAction.Time,
	}
	if diff := cmp.Diff(want, p.Status.LastAction); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	third.annotate(t, adam, name, "transfer@1")
	p = third.awaitProgram(t, v1alpha1.ConditionReady, "True Succeeded: nothing is released yet: create a MiniProgramVersion and a Rollout")
	want = &v1alpha1.ActionAnswer{Value: "transfer@1", User: name, Result: "Done", Message: "the app ID was moved here", Time: p.Status.LastAction.Time}
	if diff := cmp.Diff(want, p.Status.LastAction); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// Now it names the right count, and stands there since before.
	second.awaitProgram(t, v1alpha1.ConditionStalled, "True AppIDTaken: "+second.taken(appID, "transfer@2")+answered("transfer@2", "Stale"))
	// An answered transfer is no longer anybody's: who may patch removes it.
	change(t, second, second.dana, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Annotations = nil })
	second.awaitProgram(t, v1alpha1.ConditionStalled, "True AppIDTaken: "+second.taken(appID, "transfer@2"))
	second.annotate(t, adam, name, "transfer@2")
	second.awaitProgram(t, v1alpha1.ConditionReady, "True Succeeded: nothing is released yet: create a MiniProgramVersion and a Rollout")
	third.awaitProgram(t, v1alpha1.ConditionStalled, "True AppIDTaken: "+third.taken(appID, "transfer@3")+answered("transfer@1", "Done"))
}

func TestNobodyOfTheTakingGroupTransfers(t *testing.T) {
	first, second := newGroup(t, "quality"), newGroup(t, "quality")
	first.program(t, "app")
	first.awaitProgram(t, v1alpha1.ConditionReady, "True Succeeded: nothing is released yet: create a MiniProgramVersion and a Rollout")
	second.claim(t, first.ns+".app", first.host)
	// Not even with all that the platform's administrators may, in the one namespace.
	second.bind(t, second.danaName, "ClusterRole", "miniprogram-admin")
	for who, user := range map[string]client.Client{second.danaName: second.dana, "olu-" + second.ns: second.olu} {
		err := user.Patch(ctx(t), &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: second.ns, Name: "app"}}, client.RawPatch(types.MergePatchType,
			[]byte(`{"metadata":{"annotations":{"miniprogram.dev/action":"transfer@1","miniprogram.dev/action-by":"`+who+`"}}}`)))
		if err == nil || !strings.Contains(err.Error(), "metadata.annotations[miniprogram.dev/action]: "+who+" may not transfer") {
			t.Errorf("%s: %v", who, err)
		}
	}
}

// Two programs of one namespace, too, are two holders. Nothing is left of the
// former: neither its question to a reviewer nor, once there is a newer one, its document.
func TestAnAppIDMovesWithinANamespace(t *testing.T) {
	g := newGroup(t, "quality")
	g.atApproval(t)
	appID := g.ns + ".app"
	g.must(t, g.dana.Create(ctx(t), &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "shop"},
		Spec:       v1alpha1.MiniProgramSpec{AppID: appID, DisplayName: "shop", HostApps: []string{g.host}, Kind: "WebApp"},
	}))
	adam, name := g.adam(t)
	change(t, g, adam, &v1alpha1.MiniProgram{}, "shop", func(p *v1alpha1.MiniProgram) {
		p.Annotations = map[string]string{v1alpha1.ActionAnnotation: "transfer@1", v1alpha1.ActionByAnnotation: name}
	})
	g.awaitGivenWay(t, appID, "transfer@2")
	g.awaitNoneAsked(t)
	g.deleteRollout(t)

	g.letApprove(t, g.rosaName, "quality", "shop")
	g.release(t, "shop", "2.0.0")
	g.approve(t, "shop-2.0.0")
	g.rollout(t, "shop", "2.0.0")
	g.awaitRollout(t, "shop", "2.0.0 is stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "100%" && isOut(ro) })
	var list corev1.ConfigMapList
	eventually(t, "one document for "+appID, func() string {
		g.must(t, g.admin.List(ctx(t), &list, client.InNamespace(publishedNamespace), client.MatchingLabels{
			delivery.DocumentLabel: delivery.KindRollout, delivery.LedgerLabel: delivery.LedgerConfigMap(appID),
		}))
		if len(list.Items) != 1 {
			return show(list.Items)
		}
		return ""
	})
	if doc := g.published(t, "shop"); doc.Stable.Version != "2.0.0" || list.Items[0].Name != delivery.RolloutConfigMap(g.ns, "shop") {
		t.Errorf("published is %s in %s", show(doc), list.Items[0].Name)
	}
}
