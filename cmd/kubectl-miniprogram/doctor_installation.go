package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/config/admission"
)

// kinds are those that an installation serves.
var kinds = []string{"HostApp", "MiniProgram", "MiniProgramVersion", "Review", "ReviewPolicy", "Rollout"}

// installationFacts are what is known of an installation. A nil object is not there.
type installationFacts struct {
	now                     time.Time
	version                 string // of the plugin
	system, publications    string
	kinds                   map[string]bool // served
	older                   known[map[string][]string]
	guards                  known[[]string] // those that are missing
	lease                   known[*coordinationv1.Lease]
	manager, service        known[*appsv1.Deployment]
	trusted, settings       known[*corev1.ConfigMap]
	registry                registryAnswer
	systemThere, publishing known[bool]
	policies                known[[]v1alpha1.ReviewPolicy]
	hostApps                known[[]v1alpha1.HostApp]
	versions                known[[]v1alpha1.MiniProgramVersion]
	rollouts                known[[]v1alpha1.Rollout]
}

func (g *gatherer) installation(ctx context.Context, publications string) (*installationFacts, error) {
	f := &installationFacts{now: time.Now(), version: version, system: g.system, publications: publications, kinds: map[string]bool{}}
	for _, kind := range kinds {
		_, err := g.client.RESTMapper().RESTMapping(schema.GroupKind{Group: v1alpha1.GroupName, Kind: kind}, v1alpha1.GroupVersion.Version)
		if err != nil && !meta.IsNoMatchError(err) {
			return nil, fmt.Errorf("asking which kinds the cluster has: %w", err)
		}
		f.kinds[kind] = err == nil
	}
	var err error
	if f.older, err = g.olderKinds(ctx); err != nil {
		return nil, err
	}
	if f.guards, err = g.missingGuards(ctx); err != nil {
		return nil, err
	}
	if f.lease, err = find(ctx, g, g.system, "miniprogram-manager", &coordinationv1.Lease{}); err != nil {
		return nil, err
	}
	if f.manager, err = find(ctx, g, g.system, "miniprogram-manager", &appsv1.Deployment{}); err != nil {
		return nil, err
	}
	if f.service, err = find(ctx, g, g.system, "miniprogram-manifest-service", &appsv1.Deployment{}); err != nil {
		return nil, err
	}
	if f.trusted, err = find(ctx, g, g.system, "miniprogram-trusted-keys", &corev1.ConfigMap{}); err != nil {
		return nil, err
	}
	if f.settings, err = find(ctx, g, g.system, "miniprogram-settings", &corev1.ConfigMap{}); err != nil {
		return nil, err
	}
	if address := f.registryURL(); address != "" {
		f.registry = askRegistry(ctx, address, registryPatience)
	}
	for name, into := range map[string]*known[bool]{g.system: &f.systemThere, publications: &f.publishing} {
		found, err := find(ctx, g, "", name, &corev1.Namespace{})
		if err != nil {
			return nil, err
		}
		*into = known[bool]{value: found.value != nil, err: found.err}
	}
	return f, g.objects(ctx, f)
}

// objects lists those whose conditions tell of the installation.
func (g *gatherer) objects(ctx context.Context, f *installationFacts) (err error) {
	if !f.kinds["ReviewPolicy"] || !f.kinds["HostApp"] || !f.kinds["MiniProgramVersion"] || !f.kinds["Rollout"] {
		return nil
	}
	var policies v1alpha1.ReviewPolicyList
	err = g.client.List(ctx, &policies)
	if f.policies, err = asked(policies.Items, err); err != nil {
		return err
	}
	var hosts v1alpha1.HostAppList
	err = g.client.List(ctx, &hosts)
	if f.hostApps, err = asked(hosts.Items, err); err != nil {
		return err
	}
	var versions v1alpha1.MiniProgramVersionList
	err = g.client.List(ctx, &versions)
	if f.versions, err = asked(versions.Items, err); err != nil {
		return err
	}
	var rollouts v1alpha1.RolloutList
	err = g.client.List(ctx, &rollouts)
	f.rollouts, err = asked(rollouts.Items, err)
	return err
}

// find reads an object that may be missing.
func find[O client.Object](ctx context.Context, g *gatherer, namespace, name string, into O) (known[O], error) {
	err := g.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	if apierrors.IsNotFound(err) {
		return known[O]{}, nil
	}
	answer, err := asked(into, err)
	if err != nil {
		return answer, fmt.Errorf("reading %s: %w", name, err)
	}
	return answer, nil
}

// missingGuards names the admission policies and bindings of this plugin's version that
// the cluster does not have. Whether they are the same and bite, the manager proves.
func (g *gatherer) missingGuards(ctx context.Context) (known[[]string], error) {
	want, err := admission.Read()
	if err != nil {
		return known[[]string]{}, err
	}
	var policies admissionv1.ValidatingAdmissionPolicyList
	var bindings admissionv1.ValidatingAdmissionPolicyBindingList
	for _, l := range []client.ObjectList{&policies, &bindings} {
		if answer, err := asked([]string(nil), g.client.List(ctx, l)); err != nil || answer.err != nil {
			return answer, err
		}
	}
	missing := []string{}
	for _, p := range want.Policies {
		if !slices.ContainsFunc(policies.Items, func(o admissionv1.ValidatingAdmissionPolicy) bool { return o.Name == p.Name }) {
			missing = append(missing, "ValidatingAdmissionPolicy "+p.Name)
		}
	}
	for _, b := range want.Bindings {
		if !slices.ContainsFunc(bindings.Items, func(o admissionv1.ValidatingAdmissionPolicyBinding) bool { return o.Name == b.Name }) {
			missing = append(missing, "ValidatingAdmissionPolicyBinding "+b.Name)
		}
	}
	return known[[]string]{value: missing}, nil
}

// install is what brings what is missing.
const install = "kubectl apply --server-side -k github.com/miniprogram-dev/miniprogram-operator/config/default?ref=VERSION"

// diagnoseInstallation says what is missing in an installation.
func diagnoseInstallation(f *installationFacts) []diagnosis {
	d := &diagnoses{about: "Kinds and admission"}
	f.diagnoseKinds(d)
	d.about = "Manager"
	f.diagnoseManager(d)
	d.about = "Manifest service"
	f.deployment(d, "the manifest service", f.service, "miniprogram-manifest-service")
	d.about = "Keys"
	switch {
	case f.trusted.err != nil:
		d.unknown("whether there is a key that signs", f.trusted.err)
	case f.trusted.value == nil || len(f.trusted.value.Data) == 0:
		d.add(levelMissing, "ConfigMap miniprogram-trusted-keys has no public key: the manager makes one at its first start; see docs/keys.md where there was one before")
	default:
		d.ok("%s in ConfigMap miniprogram-trusted-keys", plural(len(f.trusted.value.Data), "public key"))
	}
	d.about = "Registry"
	f.diagnoseRegistry(d)
	d.about = "Policies and host apps"
	f.diagnosePlatform(d)
	return d.all
}

func (f *installationFacts) diagnoseKinds(d *diagnoses) {
	var absent []string
	for _, kind := range kinds {
		if !f.kinds[kind] {
			absent = append(absent, kind)
		}
	}
	if len(absent) > 0 {
		d.add(levelMissing, fmt.Sprintf("the cluster does not serve %s of %s", strings.Join(absent, ", "), v1alpha1.GroupVersion), install)
	} else {
		d.ok("the cluster serves all kinds of %s", v1alpha1.GroupVersion)
	}
	f.diagnoseOlderKinds(d)
	f.namespace(d, f.system, f.systemThere)
	f.namespace(d, f.publications, f.publishing)
	switch {
	case f.guards.err != nil:
		d.unknown("whether the admission policies are there", f.guards.err)
	case len(f.guards.value) > 0:
		d.add(levelMissing, "not installed: "+strings.Join(f.guards.value, ", "), install)
	default:
		d.ok("all admission policies and bindings are there")
	}
	proof := map[metav1.ConditionStatus]string{}
	for _, p := range f.policies.value {
		if c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionApprovalPolicyEnforced); c != nil {
			proof[c.Status] = c.Message
		}
	}
	switch {
	case f.policies.err != nil:
		d.unknown("whether the admission policies bite", f.policies.err)
	case proof[metav1.ConditionFalse] != "":
		d.add(levelMissing, "the gate is shut: "+proof[metav1.ConditionFalse])
	case proof[metav1.ConditionTrue] != "":
		d.ok("the manager has proved that they bite")
	default:
		d.add(levelUnknown, "whether they bite is not proved: no ReviewPolicy has condition ApprovalPolicyEnforced yet")
	}
}

func (f *installationFacts) namespace(d *diagnoses, name string, there known[bool]) {
	switch {
	case there.err != nil:
		d.unknown("whether namespace "+name+" is there", there.err)
	case !there.value:
		d.add(levelMissing, "namespace "+name+" does not exist", install)
	}
}

func (f *installationFacts) diagnoseManager(d *diagnoses) {
	f.deployment(d, "the manager", f.manager, "miniprogram-manager")
	logs := fmt.Sprintf("kubectl logs -n %s deployment/miniprogram-manager", f.system)
	switch lease := f.lease.value; {
	case f.lease.err != nil:
		d.unknown("whether a manager leads", f.lease.err)
	case lease == nil || lease.Spec.RenewTime == nil:
		d.add(levelMissing, "no manager has ever led: Lease miniprogram-manager is not held", logs)
	default:
		age := f.now.Sub(lease.Spec.RenewTime.Time).Round(time.Second)
		patience := time.Minute
		if seconds := lease.Spec.LeaseDurationSeconds; seconds != nil {
			patience = 2 * time.Duration(*seconds) * time.Second
		}
		if age > patience {
			d.add(levelMissing, fmt.Sprintf("no manager leads: Lease miniprogram-manager was renewed %s ago", age), logs)
		} else {
			d.ok("a manager leads (its Lease was renewed %s ago)", max(age, 0))
		}
	}
}

// deployment looks at one of the two programs.
func (f *installationFacts) deployment(d *diagnoses, what string, is known[*appsv1.Deployment], name string) {
	switch {
	case is.err != nil:
		d.unknown("whether "+what+" runs", is.err)
		return
	case is.value == nil:
		d.add(levelMissing, fmt.Sprintf("Deployment %s does not exist in namespace %s", name, f.system), install)
		return
	}
	wanted := int32(1)
	if is.value.Spec.Replicas != nil {
		wanted = *is.value.Spec.Replicas
	}
	ready := is.value.Status.ReadyReplicas
	if ready < wanted || wanted == 0 {
		d.add(levelMissing, fmt.Sprintf("%s: %d of %d replicas are ready", what, ready, wanted),
			fmt.Sprintf("kubectl describe pods -n %s -l app.kubernetes.io/name=%s", f.system, name))
	} else {
		d.ok("%s: %d of %d replicas are ready", what, ready, wanted)
	}
	for _, c := range is.value.Spec.Template.Spec.Containers {
		if tag := tagOf(c.Image); tag != "" && !f.sameVersion(tag) {
			d.add(levelUnknown, fmt.Sprintf("%s is of version %s, and this plugin of %s: what they say may differ", what, tag, f.version))
		}
	}
}

// tagOf is the tag of an image; empty where it has none.
func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name := image[strings.LastIndex(image, "/")+1:]
	_, tag, _ := strings.Cut(name, ":")
	return tag
}

func (f *installationFacts) diagnosePlatform(d *diagnoses) {
	switch {
	case f.policies.err != nil:
		d.unknown("the ReviewPolicies", f.policies.err)
	case !slices.ContainsFunc(f.policies.value, func(p v1alpha1.ReviewPolicy) bool { return p.Spec.Enforcement == v1alpha1.Enforce }):
		d.add(levelMissing, "no ReviewPolicy enforces anything, and without one nothing is approved", "write one: docs/policies.md, and config/samples/platform/policy.yaml as a sample")
	}
	for _, p := range f.policies.value {
		condition(d, "ReviewPolicy "+p.Name, p.Status.Conditions)
	}
	switch {
	case f.hostApps.err != nil:
		d.unknown("the host apps", f.hostApps.err)
	case len(f.hostApps.value) == 0:
		d.add(levelMissing, "there is no HostApp, so nothing is handed out", "write one: docs/hostapps.md")
	}
	for _, h := range f.hostApps.value {
		condition(d, "HostApp "+h.Name, h.Status.Conditions)
	}
}

// condition tells of an object's Ready.
func condition(d *diagnoses, what string, conditions []metav1.Condition) {
	switch c := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); {
	case c == nil:
		d.add(levelMissing, what+" was looked at by no manager yet")
	case c.Status != metav1.ConditionTrue:
		d.add(levelMissing, fmt.Sprintf("%s: %s: %s", what, c.Reason, c.Message))
	default:
		d.ok("%s is ready", what)
	}
}
