package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

var errForbidden = errors.New("you may not ask: hostapps are forbidden to you")

// isTrue is a condition that holds, and isFalse one that does not.
func isTrue(kind string) []metav1.Condition {
	return []metav1.Condition{{Type: kind, Status: metav1.ConditionTrue, Reason: "Succeeded", Message: "done"}}
}

func isFalse(kind, reason, message string) []metav1.Condition {
	return []metav1.Condition{{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message}}
}

// told are the lines that are not ok, with what to do.
func told(found []diagnosis) []string {
	var out []string
	for _, d := range found {
		if d.Level != levelOK {
			out = append(out, strings.Join(append([]string{d.Level + ": " + d.Text}, d.Do...), "\n"))
		}
	}
	return out
}

// healthyGroup lacks nothing.
func healthyGroup() *groupFacts {
	name := metav1.ObjectMeta{Name: "shop", Namespace: "shop-team"}
	return &groupFacts{
		name: "shop-team", manager: "miniprogram-system",
		namespace: known[*corev1.Namespace]{value: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop-team", Labels: map[string]string{"tier": "partner"}}}},
		reads:     map[string]known[bool]{"secrets": {value: true}, "configmaps": {value: true}},
		quotas:    known[[]corev1.ResourceQuota]{value: make([]corev1.ResourceQuota, 1)},
		programs:  []v1alpha1.MiniProgram{{ObjectMeta: name, Spec: v1alpha1.MiniProgramSpec{HostApps: []string{"wallet"}}}},
		versions: []v1alpha1.MiniProgramVersion{{
			ObjectMeta: metav1.ObjectMeta{Name: "shop-1-0-0"},
			Spec: v1alpha1.MiniProgramVersionSpec{
				MiniProgramRef: v1alpha1.MiniProgramReference{Name: "shop"}, Review: v1alpha1.ReviewRequested,
				Source: v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: "bundle", Key: "bundle.zip"}},
			},
			Status: v1alpha1.MiniProgramVersionStatus{
				Conditions: isTrue(v1alpha1.ConditionReady),
				Reviews:    &v1alpha1.ReviewsStatus{Missing: []v1alpha1.MissingApproval{{Role: "privacy", Count: 1}}},
			},
		}},
		rollouts: []v1alpha1.Rollout{{ObjectMeta: name, Status: v1alpha1.RolloutStatus{Summary: "1.0.0 is stable for everybody"}}},
		rights: known[rights]{value: rights{given: []given{{
			subjects: []rbacv1.Subject{{Kind: "User", Name: "piet"}},
			rules: []rbacv1.PolicyRule{{
				APIGroups: []string{"miniprogram.dev"}, Resources: []string{"miniprograms/review-privacy"}, ResourceNames: []string{"shop"}, Verbs: []string{"approve"},
			}},
		}}}},
		hostApps: known[[]v1alpha1.HostApp]{value: []v1alpha1.HostApp{{ObjectMeta: metav1.ObjectMeta{Name: "wallet"}}}},
		policies: known[[]v1alpha1.ReviewPolicy]{value: []v1alpha1.ReviewPolicy{{Spec: v1alpha1.ReviewPolicySpec{Enforcement: v1alpha1.Enforce}}}},
	}
}

func TestWhatIsMissingInAGroupIsToldWithWhatToDo(t *testing.T) {
	selects := func(label string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"tier": label}}
	}
	const binding = "kubectl create rolebinding miniprogram-source-reader -n shop-team --clusterrole=miniprogram-source-reader --serviceaccount=miniprogram-system:miniprogram-manager"
	for name, test := range map[string]struct {
		change func(*groupFacts)
		want   []string
	}{
		"nothing": {func(*groupFacts) {}, nil},
		"the namespace": {
			func(f *groupFacts) { f.namespace.value = nil },
			[]string{"missing: namespace shop-team does not exist\nkubectl apply --server-side -k GROUP_FOLDER   (docs/tenancy.md, \"A new group\")"},
		},
		"the quota": {
			func(f *groupFacts) { f.quotas.value = nil },
			[]string{"missing: no ResourceQuota bounds what the group creates\nask the platform's administrators for config/components/quota in the group's kustomization"},
		},
		"a policy that covers it": {
			func(f *groupFacts) { f.policies.value[0].Spec.NamespaceSelector = selects("own") },
			[]string{"missing: no ReviewPolicy with enforcement Enforce selects the namespace, and without one nothing is approved\nask the platform's administrators for one whose spec.namespaceSelector matches the namespace's labels: tier=partner"},
		},
		"the manager's right": {
			func(f *groupFacts) { f.reads["configmaps"] = known[bool]{} },
			[]string{"missing: the manager may not read configmaps here, and versions such as shop-1-0-0 come from there\n" + binding},
		},
		"the manager's right, which nobody needs": {
			func(f *groupFacts) {
				f.reads["secrets"], f.versions[0].Spec.Source.ConfigMap = known[bool]{}, nil
			}, nil,
		},
		"a Secret": {
			func(f *groupFacts) { f.secrets = map[string]known[string]{"pull": {value: "it does not exist"}} },
			[]string{"missing: Secret pull, which a version names: it does not exist\nkubectl create secret docker-registry NAME -n shop-team --docker-server=HOST --docker-username=USER --docker-password=…   (docs/sources.md has the other form)"},
		},
		"the app ID": {
			func(f *groupFacts) {
				f.programs[0].Status.Conditions = []metav1.Condition{{Type: "Stalled", Status: metav1.ConditionTrue, Reason: "AppIDTaken", Message: "another group holds it"}}
			},
			[]string{"missing: MiniProgram shop is stalled: AppIDTaken: another group holds it"},
		},
		"a host app": {
			func(f *groupFacts) { f.programs[0].Spec.HostApps = []string{"bank"} },
			[]string{"missing: MiniProgram shop: host app bank does not exist: correct spec.hostApps, or ask the platform's administrators to create it"},
		},
		"a host app that takes the group": {
			func(f *groupFacts) { f.hostApps.value[0].Spec.NamespaceSelector = selects("own") },
			[]string{"missing: MiniProgram shop: host app wallet does not take mini programs of namespace shop-team (its spec.namespaceSelector): ask the platform's administrators to label the namespace"},
		},
		"a host app that takes the program": {
			func(f *groupFacts) { f.hostApps.value[0].Spec.MiniProgramSelector = selects("own") },
			[]string{"missing: MiniProgram shop: host app wallet does not take it (its spec.miniProgramSelector): ask the platform's administrators to label the MiniProgram"},
		},
		"a host app that is on": {
			func(f *groupFacts) { f.hostApps.value[0].Spec.Availability = v1alpha1.HostAppDisabled },
			[]string{"missing: MiniProgram shop: host app wallet is disabled (its spec.availability)"},
		},
		"somebody who may approve this program": {
			func(f *groupFacts) { f.rights.value.given[0].rules[0].ResourceNames = []string{"notes"} },
			[]string{"missing: shop-1-0-0 waits for role privacy, which nobody holds for MiniProgram shop\n" +
				"kubectl create role review-privacy -n shop-team --verb=approve --resource=miniprograms.miniprogram.dev/review-privacy --resource-name=shop\n" +
				"kubectl create role reviewers -n shop-team --verb=get,list,watch,create,update,patch --resource=reviews.miniprogram.dev\n" +
				"for role in review-privacy reviewers; do kubectl create rolebinding $role -n shop-team --role=$role --user=PERSON; done"},
		},
		"who holds everything does not count": {
			func(f *groupFacts) {
				f.rights.value.given[0].rules[0] = rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}
				f.rights.value.everywhere.err = errForbidden
			},
			[]string{"unknown: shop-1-0-0 waits for role privacy, which nobody in the group holds; whether somebody does in the whole cluster is not known: " + errForbidden.Error()},
		},
		"what the caller may not see": {
			func(f *groupFacts) {
				f.hostApps.err, f.policies.err, f.rights.err, f.quotas.err = errForbidden, errForbidden, errForbidden, errForbidden
				f.reads["secrets"] = known[bool]{err: errForbidden}
			},
			[]string{
				"unknown: the quota is not known: " + errForbidden.Error(),
				"unknown: whether a ReviewPolicy covers the group is not known: " + errForbidden.Error(),
				"unknown: whether the manager may read secrets here is not known: " + errForbidden.Error(),
				"unknown: whether host apps take MiniProgram shop is not known: " + errForbidden.Error(),
				"unknown: shop-1-0-0 waits for role privacy: who holds it is not known: " + errForbidden.Error(),
			},
		},
		"a version that waits": {
			func(f *groupFacts) {
				f.versions[0].Status.Conditions = isFalse("Ready", "SourceMissing", "no such ConfigMap")
				f.versions[0].Status.Reviews = nil
			},
			[]string{"missing: shop-1-0-0 waits: SourceMissing: no such ConfigMap"},
		},
		"a rollout that is stalled": {
			func(f *groupFacts) {
				f.rollouts[0].Status.Conditions = []metav1.Condition{{Type: "Stalled", Status: metav1.ConditionTrue, Reason: "HostAppTaken", Message: "another has it"}}
			},
			[]string{"missing: shop is stalled: HostAppTaken: another has it"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := healthyGroup()
			test.change(f)
			if diff := cmp.Diff(test.want, told(diagnoseGroup(f))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// healthyInstallation lacks nothing.
func healthyInstallation() *installationFacts {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	renewed, seconds, replicas := metav1.NewMicroTime(now.Add(-3*time.Second)), int32(15), int32(2)
	runs := func() known[*appsv1.Deployment] {
		d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &replicas}, Status: appsv1.DeploymentStatus{ReadyReplicas: 2}}
		d.Spec.Template.Spec.Containers = []corev1.Container{{Image: "registry.example.com:5000/miniprogram-operator:v0.3.0@sha256:00"}}
		return known[*appsv1.Deployment]{value: d}
	}
	f := &installationFacts{
		now: now, version: "v0.3.0", system: "miniprogram-system", publications: "miniprogram-published", kinds: map[string]bool{},
		lease:   known[*coordinationv1.Lease]{value: &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{RenewTime: &renewed, LeaseDurationSeconds: &seconds}}},
		manager: runs(), service: runs(),
		trusted:     known[*corev1.ConfigMap]{value: &corev1.ConfigMap{Data: map[string]string{"a.pem": "key"}}},
		settings:    known[*corev1.ConfigMap]{value: &corev1.ConfigMap{Data: map[string]string{"registry": "registry.example.com"}}},
		registry:    registryAnswer{host: "registry.example.com", status: 401},
		systemThere: known[bool]{value: true}, publishing: known[bool]{value: true},
		policies: known[[]v1alpha1.ReviewPolicy]{value: []v1alpha1.ReviewPolicy{{
			ObjectMeta: metav1.ObjectMeta{Name: "baseline"}, Spec: v1alpha1.ReviewPolicySpec{Enforcement: v1alpha1.Enforce},
			Status: v1alpha1.ReviewPolicyStatus{Conditions: append(isTrue("Ready"), isTrue("ApprovalPolicyEnforced")...)},
		}}},
		hostApps: known[[]v1alpha1.HostApp]{value: []v1alpha1.HostApp{{
			ObjectMeta: metav1.ObjectMeta{Name: "wallet"}, Status: v1alpha1.HostAppStatus{Conditions: isTrue("Ready")},
		}}},
		versions: known[[]v1alpha1.MiniProgramVersion]{value: []v1alpha1.MiniProgramVersion{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop-team", Name: "shop-1-0-0"}, Status: v1alpha1.MiniProgramVersionStatus{Conditions: isTrue("Published")},
		}}},
	}
	for _, kind := range kinds {
		f.kinds[kind] = true
	}
	return f
}

func TestWhatIsMissingInAnInstallationIsToldWithWhatToDo(t *testing.T) {
	const logs = "kubectl logs -n miniprogram-system deployment/miniprogram-manager"
	const crds = `kubectl apply --server-side -f crds.yaml   (of the manager's release; docs/versions.md, "To upgrade")`
	const but = ": whether the cluster reaches it, the next version that is published tells"
	for name, test := range map[string]struct {
		change func(*installationFacts)
		want   []string
	}{
		"nothing": {func(*installationFacts) {}, nil},
		"a kind": {
			func(f *installationFacts) { f.kinds["Review"] = false },
			[]string{"missing: the cluster does not serve Review of miniprogram.dev/v1alpha1\n" + install},
		},
		"fields of a kind": {
			func(f *installationFacts) {
				f.older.value = map[string][]string{"rollouts.miniprogram.dev": {"spec.a", "spec.b"}, "reviews.miniprogram.dev": {"spec.a", "spec.b", "spec.c", "spec.d"}}
			},
			[]string{
				"missing: CustomResourceDefinition reviews.miniprogram.dev is older than the manager: it lacks spec.a, spec.b, spec.c and 1 more, which is dropped from what is written, or refused\n" + crds,
				"missing: CustomResourceDefinition rollouts.miniprogram.dev is older than the manager: it lacks spec.a, spec.b, which is dropped from what is written, or refused\n" + crds,
			},
		},
		"fields of a kind that only the plugin knows": {
			func(f *installationFacts) {
				f.version = "v0.4.0"
				f.older.value = map[string][]string{"rollouts.miniprogram.dev": {"spec.a"}}
			},
			[]string{
				"unknown: CustomResourceDefinition rollouts.miniprogram.dev lacks what this plugin knows, spec.a: that is right if the manager (v0.3.0) is the older of both",
				"unknown: the manager is of version v0.3.0, and this plugin of v0.4.0: what they say may differ",
				"unknown: the manifest service is of version v0.3.0, and this plugin of v0.4.0: what they say may differ",
			},
		},
		"kinds that the caller may not see": {
			func(f *installationFacts) { f.older.err = errForbidden },
			[]string{"unknown: whether the kinds are of the manager's version is not known: " + errForbidden.Error()},
		},
		"a namespace": {
			func(f *installationFacts) { f.publishing.value = false },
			[]string{"missing: namespace miniprogram-published does not exist\n" + install},
		},
		"a guard": {
			func(f *installationFacts) { f.guards.value = []string{"ValidatingAdmissionPolicy miniprogram-actions"} },
			[]string{"missing: not installed: ValidatingAdmissionPolicy miniprogram-actions\n" + install},
		},
		"the proof": {
			func(f *installationFacts) {
				f.policies.value[0].Status.Conditions = append(isTrue("Ready"), isFalse("ApprovalPolicyEnforced", "NotEnforced", "a policy differs")...)
			},
			[]string{"missing: the gate is shut: a policy differs"},
		},
		"a proof of anything": {
			func(f *installationFacts) { f.policies.value[0].Status.Conditions = isTrue("Ready") },
			[]string{"unknown: whether they bite is not proved: no ReviewPolicy has condition ApprovalPolicyEnforced yet"},
		},
		"a fresh lease": {
			func(f *installationFacts) { f.now = f.now.Add(time.Hour) },
			[]string{"missing: no manager leads: Lease miniprogram-manager was renewed 1h0m3s ago\n" + logs},
		},
		"a lease": {
			func(f *installationFacts) { f.lease.value = nil },
			[]string{"missing: no manager has ever led: Lease miniprogram-manager is not held\n" + logs},
		},
		"replicas": {
			func(f *installationFacts) { f.service.value.Status.ReadyReplicas = 1 },
			[]string{"missing: the manifest service: 1 of 2 replicas are ready\nkubectl describe pods -n miniprogram-system -l app.kubernetes.io/name=miniprogram-manifest-service"},
		},
		"a program": {
			func(f *installationFacts) { f.manager.value = nil },
			[]string{"missing: Deployment miniprogram-manager does not exist in namespace miniprogram-system\n" + install},
		},
		"the same version": {
			func(f *installationFacts) {
				f.version = "v0.4.0"
				f.service = known[*appsv1.Deployment]{err: errForbidden}
			},
			[]string{
				"unknown: the manager is of version v0.3.0, and this plugin of v0.4.0: what they say may differ",
				"unknown: whether the manifest service runs is not known: " + errForbidden.Error(),
			},
		},
		"a key": {
			func(f *installationFacts) { f.trusted.value.Data = nil },
			[]string{"missing: ConfigMap miniprogram-trusted-keys has no public key: the manager makes one at its first start; see docs/keys.md where there was one before"},
		},
		"the registry": {
			func(f *installationFacts) {
				f.versions.value[0].Status.Conditions = isFalse("Published", "RegistryUnauthorized", "log in")
			},
			[]string{"missing: RegistryUnauthorized: 1 version, such as shop-team/shop-1-0-0: log in"},
		},
		"the journal": {
			func(f *installationFacts) {
				waits := v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "shop-team", Name: "shop"}}
				waits.Status.Conditions = []metav1.Condition{{Type: "Reconciling", Status: metav1.ConditionTrue, Reason: "JournalUnavailable", Message: "no answer"}}
				f.rollouts.value = []v1alpha1.Rollout{waits, {}, waits}
			},
			[]string{"missing: JournalUnavailable: 2 rollouts, such as shop-team/shop: no answer"},
		},
		"the rollouts, for the caller": {
			func(f *installationFacts) { f.rollouts.err = errForbidden },
			[]string{"unknown: whether Rollouts wait for the registry is not known: " + errForbidden.Error()},
		},
		"the registry's answer": {
			func(f *installationFacts) {
				f.registry = registryAnswer{host: "registry.example.com", err: errors.New("connection refused")}
			},
			[]string{"unknown: registry.example.com cannot be reached from this machine (connection refused)" + but},
		},
		"a registry behind that name": {
			func(f *installationFacts) { f.registry.status = 404 },
			[]string{"unknown: registry.example.com answers this machine with 404 Not Found, as no registry does" + but},
		},
		"the name of the registry": {
			func(f *installationFacts) { f.settings.value, f.registry = nil, registryAnswer{} },
			[]string{"unknown: which registry it is is not known: there is no ConfigMap miniprogram-settings with key registry in namespace miniprogram-system"},
		},
		"the settings, for the caller": {
			func(f *installationFacts) { f.settings.err, f.registry = errForbidden, registryAnswer{} },
			[]string{"unknown: which registry it is is not known: " + errForbidden.Error()},
		},
		"a policy that enforces": {
			func(f *installationFacts) { f.policies.value[0].Spec.Enforcement = "Audit" },
			[]string{"missing: no ReviewPolicy enforces anything, and without one nothing is approved\nwrite one: docs/policies.md, and config/samples/platform/policy.yaml as a sample"},
		},
		"a host app that is ready": {
			func(f *installationFacts) {
				f.hostApps.value[0].Status.Conditions = isFalse("Ready", "TokensMissing", "no Secret")
			},
			[]string{"missing: HostApp wallet: TokensMissing: no Secret"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := healthyInstallation()
			test.change(f)
			if diff := cmp.Diff(test.want, told(diagnoseInstallation(f))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDiagnosesAreWrittenForPeopleAndForMachines(t *testing.T) {
	found := []diagnosis{
		{About: "Group a", Level: levelOK, Text: "fine"},
		{About: "Group a", Level: levelMissing, Text: "gone", Do: []string{"kubectl create it"}},
		{About: "Sources", Level: levelUnknown, Text: "who knows"},
	}
	var out bytes.Buffer
	if err := writeDiagnoses(&out, found); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("Group a\n  ✓ fine\n  ✗ gone\n      kubectl create it\nSources\n  ! who knows\n\n1 missing, 1 not known\n", out.String()); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	if err := writeDiagnosesJSON(&out, found[1:2]); err != nil {
		t.Fatal(err)
	}
	want := "{\n  \"findings\": [\n    {\n      \"about\": \"Group a\",\n      \"level\": \"missing\",\n      \"text\": \"gone\",\n      \"do\": [\n        \"kubectl create it\"\n      ]\n    }\n  ],\n  \"missing\": 1,\n  \"unknown\": 0\n}\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestAnImagesTag(t *testing.T) {
	for image, want := range map[string]string{
		"miniprogram-operator": "", "registry:5000/operator": "", "registry:5000/operator:v1@sha256:00": "v1", "operator:1.2.3": "1.2.3", "operator@sha256:00": "",
	} {
		if got := tagOf(image); got != want {
			t.Errorf("%s has tag %q, want %q", image, got, want)
		}
	}
}
