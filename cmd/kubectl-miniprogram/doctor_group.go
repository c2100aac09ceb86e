package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// appIDPrefixes is the annotation of a namespace that limits which app IDs it may claim.
const appIDPrefixes = "miniprogram.dev/app-id-prefixes"

// diagnoseGroup says what is missing in a developer group.
func diagnoseGroup(f *groupFacts) []diagnosis {
	d := &diagnoses{about: "Group " + f.name}
	if f.namespace.value == nil && f.namespace.err == nil {
		d.add(levelMissing, "namespace "+f.name+" does not exist", "kubectl apply --server-side -k GROUP_FOLDER   (docs/tenancy.md, \"A new group\")")
		return d.all
	}
	f.diagnoseNamespace(d)
	d.about = "Sources"
	f.diagnoseSources(d)
	d.about = "Mini programs"
	f.diagnosePrograms(d)
	d.about = "Versions"
	f.diagnoseVersions(d)
	d.about = "Rollouts"
	f.diagnoseRollouts(d)
	return d.all
}

func (f *groupFacts) diagnoseNamespace(d *diagnoses) {
	if f.namespace.err != nil {
		d.unknown("what the namespace may claim", f.namespace.err)
	} else if prefixes := f.namespace.value.Annotations[appIDPrefixes]; prefixes != "" {
		d.ok("app IDs begin with %s", prefixes)
	} else {
		d.ok("any app ID that nobody holds may be claimed (annotation %s would limit that)", appIDPrefixes)
	}
	switch {
	case f.quotas.err != nil:
		d.unknown("the quota", f.quotas.err)
	case len(f.quotas.value) == 0:
		d.add(levelMissing, "no ResourceQuota bounds what the group creates",
			"ask the platform's administrators for config/components/quota in the group's kustomization")
	default:
		d.ok("ResourceQuota %s bounds what the group creates", f.quotas.value[0].Name)
	}
	switch {
	case f.policies.err != nil:
		d.unknown("whether a ReviewPolicy covers the group", f.policies.err)
	case f.namespace.err != nil:
		d.unknown("whether a ReviewPolicy covers the group", f.namespace.err)
	default:
		f.diagnosePolicies(d)
	}
}

func (f *groupFacts) diagnosePolicies(d *diagnoses) {
	var covering []string
	for _, p := range f.policies.value {
		selector, err := metav1.LabelSelectorAsSelector(p.Spec.NamespaceSelector)
		all := p.Spec.NamespaceSelector == nil
		if p.Spec.Enforcement == v1alpha1.Enforce && (all || err == nil && selector.Matches(labels.Set(f.namespace.value.Labels))) {
			covering = append(covering, p.Name)
		}
	}
	if len(covering) == 0 {
		d.add(levelMissing, "no ReviewPolicy with enforcement Enforce selects the namespace, and without one nothing is approved",
			"ask the platform's administrators for one whose spec.namespaceSelector matches the namespace's labels: "+labels.Set(f.namespace.value.Labels).String())
		return
	}
	d.ok("covered by ReviewPolicy %s", strings.Join(covering, ", "))
}

func (f *groupFacts) diagnoseSources(d *diagnoses) {
	binding := fmt.Sprintf("kubectl create rolebinding miniprogram-source-reader -n %s --clusterrole=miniprogram-source-reader --serviceaccount=%s:miniprogram-manager", f.name, f.manager)
	needed := ""
	for i := range f.versions {
		if secret, from := sourcesOf(&f.versions[i]); secret != "" || from != nil {
			needed = f.versions[i].Name
		}
	}
	for _, resource := range slices.Sorted(maps.Keys(f.reads)) {
		switch may := f.reads[resource]; {
		case may.err != nil:
			d.unknown("whether the manager may read "+resource+" here", may.err)
		case may.value:
			d.ok("the manager may read %s here, one by one", resource)
		case needed == "":
			d.ok("the manager may not read %s here, and no version needs it", resource)
		default:
			d.add(levelMissing, fmt.Sprintf("the manager may not read %s here, and versions such as %s come from there", resource, needed), binding)
		}
	}
	named := func(kind string, found map[string]known[string], do string) {
		for _, name := range slices.Sorted(maps.Keys(found)) {
			switch is := found[name]; {
			case is.err != nil:
				d.unknown(kind+" "+name, is.err)
			case is.value != "":
				d.add(levelMissing, fmt.Sprintf("%s %s, which a version names: %s", kind, name, is.value), do)
			default:
				d.ok("%s %s is there", kind, name)
			}
		}
	}
	named("Secret", f.secrets, "kubectl create secret docker-registry NAME -n "+f.name+" --docker-server=HOST --docker-username=USER --docker-password=…   (docs/sources.md has the other form)")
	named("ConfigMap", f.configMaps, "kubectl create configmap NAME -n "+f.name+" --from-file=KEY=bundle.zip")
}

func (f *groupFacts) diagnosePrograms(d *diagnoses) {
	if len(f.programs) == 0 {
		d.ok("there is none yet")
	}
	for i := range f.programs {
		p := &f.programs[i]
		if stalled := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionStalled); stalled != nil && stalled.Status == metav1.ConditionTrue {
			d.add(levelMissing, fmt.Sprintf("MiniProgram %s is stalled: %s: %s", p.Name, stalled.Reason, stalled.Message))
			continue
		}
		if len(p.Spec.HostApps) == 0 {
			d.add(levelMissing, fmt.Sprintf("MiniProgram %s is meant for no host app", p.Name), "name those that it is for in its spec.hostApps")
			continue
		}
		if f.hostApps.err != nil {
			d.unknown("whether host apps take MiniProgram "+p.Name, f.hostApps.err)
			continue
		}
		for _, name := range p.Spec.HostApps {
			if why := f.notTaken(name, p); why != "" {
				d.add(levelMissing, fmt.Sprintf("MiniProgram %s: %s", p.Name, why))
			} else {
				d.ok("host app %s takes MiniProgram %s", name, p.Name)
			}
		}
	}
}

// notTaken says why a host app does not take a program; empty: it does, as far as one can see.
func (f *groupFacts) notTaken(name string, p *v1alpha1.MiniProgram) string {
	i := slices.IndexFunc(f.hostApps.value, func(h v1alpha1.HostApp) bool { return h.Name == name })
	if i < 0 {
		return "host app " + name + " does not exist: correct spec.hostApps, or ask the platform's administrators to create it"
	}
	h := &f.hostApps.value[i]
	if h.Spec.Availability == v1alpha1.HostAppDisabled {
		return "host app " + name + " is disabled (its spec.availability)"
	}
	matches := func(s *metav1.LabelSelector, of map[string]string) bool {
		selector, err := metav1.LabelSelectorAsSelector(s)
		return s == nil || err != nil || selector.Matches(labels.Set(of)) // one that cannot be read is the host app's trouble
	}
	if f.namespace.value != nil && !matches(h.Spec.NamespaceSelector, f.namespace.value.Labels) {
		return fmt.Sprintf("host app %s does not take mini programs of namespace %s (its spec.namespaceSelector): ask the platform's administrators to label the namespace", name, f.name)
	}
	if !matches(h.Spec.MiniProgramSelector, p.Labels) {
		return fmt.Sprintf("host app %s does not take it (its spec.miniProgramSelector): ask the platform's administrators to label the MiniProgram", name)
	}
	return ""
}

func (f *groupFacts) diagnoseVersions(d *diagnoses) {
	fine := 0
	roles := map[[2]string][]string{} // role and program → versions that wait
	for i := range f.versions {
		v := &f.versions[i]
		if v.Spec.Availability == v1alpha1.AvailabilityWithdrawn {
			continue
		}
		find := func(kind string) metav1.Condition {
			if c := meta.FindStatusCondition(v.Status.Conditions, kind); c != nil {
				return *c
			}
			return metav1.Condition{}
		}
		stalled, ready, published := find(v1alpha1.ConditionStalled), find(v1alpha1.ConditionReady), find(v1alpha1.ConditionPublished)
		switch {
		case stalled.Status == metav1.ConditionTrue:
			d.add(levelMissing, fmt.Sprintf("%s is stalled: %s: %s", v.Name, stalled.Reason, stalled.Message))
		case published.Reason == "ArtifactElsewhere":
			d.add(levelMissing, v.Name+": "+published.Message)
		case ready.Status == "":
			d.add(levelMissing, v.Name+" was looked at by no manager yet", "kubectl miniprogram doctor   (an administrator's: does the manager run?)")
		case ready.Status != metav1.ConditionTrue:
			d.add(levelMissing, fmt.Sprintf("%s waits: %s: %s", v.Name, ready.Reason, ready.Message))
		default:
			fine++
		}
		if v.Status.Reviews != nil && v.Spec.Review == v1alpha1.ReviewRequested {
			for _, m := range v.Status.Reviews.Missing {
				at := [2]string{m.Role, v.Spec.MiniProgramRef.Name}
				roles[at] = append(roles[at], v.Name)
			}
		}
	}
	if fine > 0 || len(f.versions) == 0 {
		d.ok("%s published and checked", plural(fine, "version"))
	}
	order := slices.SortedFunc(maps.Keys(roles), func(a, b [2]string) int { return strings.Compare(a[0]+"/"+a[1], b[0]+"/"+b[1]) })
	for _, at := range order {
		f.diagnoseRole(d, at[0], at[1], roles[at])
	}
}

// diagnoseRole says who could end the waiting of versions for a role.
func (f *groupFacts) diagnoseRole(d *diagnoses, role, program string, waiting []string) {
	slices.Sort(waiting)
	what := fmt.Sprintf("%s waits for role %s", strings.Join(slices.Compact(waiting), ", "), role)
	if f.rights.err != nil {
		d.unknown(what+": who holds it", f.rights.err)
		return
	}
	if holders := f.rights.value.holders(role, program); len(holders) > 0 {
		d.ok("%s, which %s may decide in", what, strings.Join(holders, ", "))
		return
	}
	if err := f.rights.value.everywhere.err; err != nil {
		d.unknown(what+", which nobody in the group holds; whether somebody does in the whole cluster", err)
		return
	}
	d.add(levelMissing, what+", which nobody holds for MiniProgram "+program,
		fmt.Sprintf("kubectl create role review-%s -n %s --verb=approve --resource=miniprograms.miniprogram.dev/review-%s --resource-name=%s", role, f.name, role, program),
		fmt.Sprintf("kubectl create role reviewers -n %s --verb=get,list,watch,create,update,patch --resource=reviews.miniprogram.dev", f.name),
		fmt.Sprintf("for role in review-%s reviewers; do kubectl create rolebinding $role -n %s --role=$role --user=PERSON; done", role, f.name))
}

func (f *groupFacts) diagnoseRollouts(d *diagnoses) {
	if len(f.rollouts) == 0 {
		d.ok("there is none yet")
	}
	for i := range f.rollouts {
		r := &f.rollouts[i]
		stalled := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionStalled)
		progressing := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionProgressing)
		switch {
		case stalled != nil && stalled.Status == metav1.ConditionTrue:
			d.add(levelMissing, fmt.Sprintf("%s is stalled: %s: %s", r.Name, stalled.Reason, stalled.Message))
		case progressing != nil && progressing.Status == metav1.ConditionFalse && progressing.Reason == "ProgressDeadlineExceeded":
			d.add(levelMissing, fmt.Sprintf("%s: %s", r.Name, progressing.Message))
		case r.Status.Summary == "":
			d.add(levelMissing, r.Name+" was looked at by no manager yet", "kubectl miniprogram doctor   (an administrator's: does the manager run?)")
		default:
			d.ok("%s: %s", r.Name, r.Status.Summary)
		}
	}
}
