package controller_test

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// mallory is a member of the first group with every right that is shipped for a
// group, and with the right to review there in each role.
type mallory struct {
	client.Client
	*platform
	name, ns, theirs string
}

func (p *platform) mallory(t *testing.T) *mallory {
	t.Helper()
	g := p.first
	m := &mallory{platform: p, name: "mallory-" + g.ns, ns: g.ns, theirs: p.second.ns}
	for _, role := range []string{"quality", "privacy"} {
		g.letApprove(t, m.name, role, "app")
	}
	m.Client = p.client(t, fast(p.cp.User(m.name, g.ns+"-developers", g.ns+"-operators", g.ns+"-viewers")))
	return m
}

// state is every object of the other two groups with its resource version, what is
// published for them, and what the administrators say.
func (p *platform) state(t *testing.T) map[string]string {
	t.Helper()
	got := map[string]string{}
	note := func(kind string, list client.ObjectList, items func() []client.Object, opts ...client.ListOption) {
		p.must(t, p.admin.List(ctx(t), list, opts...))
		for _, o := range items() {
			got[kind+" "+o.GetNamespace()+"/"+o.GetName()] = string(o.GetUID()) + " " + o.GetResourceVersion()
		}
	}
	for _, g := range []*group{p.second, p.third} {
		var (
			programs v1alpha1.MiniProgramList
			versions v1alpha1.MiniProgramVersionList
			reviews  v1alpha1.ReviewList
			rollouts v1alpha1.RolloutList
			files    corev1.ConfigMapList
			secrets  corev1.SecretList
		)
		in := client.InNamespace(g.ns)
		note("MiniProgram", &programs, func() []client.Object { return objects(programs.Items) }, in)
		note("MiniProgramVersion", &versions, func() []client.Object { return objects(versions.Items) }, in)
		note("Review", &reviews, func() []client.Object { return objects(reviews.Items) }, in)
		note("Rollout", &rollouts, func() []client.Object { return objects(rollouts.Items) }, in)
		note("ConfigMap", &files, func() []client.Object { return objects(files.Items) }, in)
		note("Secret", &secrets, func() []client.Object { return objects(secrets.Items) }, in)
		for name, cm := range g.documents(t, g.ns+".app") {
			got["document of "+name] = string(cm.UID) + " " + cm.ResourceVersion
		}
		var ns corev1.Namespace
		p.must(t, p.admin.Get(ctx(t), key("", g.ns), &ns))
		got["Namespace "+g.ns] = show(ns.Labels) + show(ns.Annotations)
	}
	for _, name := range []string{p.wallet, p.maps} {
		var h v1alpha1.HostApp
		p.must(t, p.admin.Get(ctx(t), key("", name), &h))
		got["HostApp "+name] = fmt.Sprint(h.UID, h.Generation)
	}
	for _, policy := range []*v1alpha1.ReviewPolicy{p.all, p.payments} {
		var o v1alpha1.ReviewPolicy
		p.must(t, p.admin.Get(ctx(t), client.ObjectKeyFromObject(policy), &o))
		got["ReviewPolicy "+o.Name] = fmt.Sprint(o.UID, o.Generation)
	}
	return got
}

// objects are pointers to what a list holds.
func objects[T any, O interface {
	*T
	client.Object
}](items []T) []client.Object {
	var out []client.Object
	for i := range items {
		out = append(out, O(&items[i]))
	}
	return out
}

// influence is what mallory tries on the second and the third group. Each attempt is
// refused, and what is not refused has no effect on them.
func (p *platform) influence(t *testing.T, server *httptest.Server) {
	waiting := p.waiting(t)
	m := p.mallory(t)
	before, served := p.state(t), p.served(t, server)
	for name, attempt := range m.refused(waiting) {
		t.Run(name, func(t *testing.T) {
			if got := errorText(attempt.err(t)); got != attempt.want {
				t.Errorf("got  %s\nwant %s", got, attempt.want)
			}
		})
	}
	t.Run("what is not refused", func(t *testing.T) { m.withoutEffect(t, waiting) })
	if diff := cmp.Diff(before, p.state(t)); diff != "" {
		t.Errorf("the other groups were touched (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(served, p.served(t, server)); diff != "" {
		t.Errorf("their users are handed something else (-before +after):\n%s", diff)
	}
	p.releaseBeside(t, m, server)
}

// waiting is a version of the second group that waits for reviewers.
func (p *platform) waiting(t *testing.T) *v1alpha1.Review {
	t.Helper()
	p.second.scripted(t, "1.2.0", "wx.getLocation({})")
	return p.second.pending(t, "app-1.2.0", "quality")
}

type attempt struct {
	err  func(t *testing.T) error
	want string
}

func errorText(err error) string {
	if err == nil {
		return "it was not refused"
	}
	return err.Error()
}

// forbidden is what RBAC answers; ns is empty for what is in no namespace.
func (m *mallory) forbidden(verb, resource, name, ns string) string {
	group := v1alpha1.GroupName
	if !strings.Contains(resource, ".") {
		group = ""
	}
	plural, _, _ := strings.Cut(resource, ".")
	where := fmt.Sprintf("in the namespace %q", ns)
	if ns == "" {
		where = "at the cluster scope"
	}
	if name != "" {
		resource += fmt.Sprintf(" %q", name)
	}
	return fmt.Sprintf("%s is forbidden: User %q cannot %s resource %q in API group %q %s", resource, m.name, verb, plural, group, where)
}

func merge(text string) client.Patch { return client.RawPatch(types.MergePatchType, []byte(text)) }

// refused are attempts that the API server refuses.
func (m *mallory) refused(waiting *v1alpha1.Review) map[string]attempt {
	all := map[string]attempt{}
	maps.Copy(all, m.names())
	maps.Copy(all, m.classes())
	maps.Copy(all, m.reviews(waiting))
	maps.Copy(all, m.platforms())
	maps.Copy(all, m.objects())
	return all
}

func (m *mallory) program(name, appID string) *v1alpha1.MiniProgram {
	return &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.ns, Name: name},
		Spec:       v1alpha1.MiniProgramSpec{AppID: appID, DisplayName: name, HostApps: []string{m.wallet, m.maps}, Kind: "WebApp"},
	}
}

// names are attempts on app IDs and on the names under which things are published.
func (m *mallory) names() map[string]attempt {
	notFor := func(appID string) string {
		return fmt.Sprintf("miniprograms.miniprogram.dev \"other\" is forbidden: ValidatingAdmissionPolicy 'miniprogram-mini-programs' with binding 'miniprogram-mini-programs' denied request: "+
			"spec.appID: %q is not for namespace %s, whose annotation miniprogram.dev/app-id-prefixes allows \"%s.\": choose an app ID that begins so, or ask the platform team for the prefix", appID, m.ns, m.ns)
	}
	create := func(appID string) func(*testing.T) error {
		return func(t *testing.T) error { return m.Create(ctx(t), m.program("other", appID)) }
	}
	return map[string]attempt{
		"claim another's app ID":            {create(m.theirs + ".app"), notFor(m.theirs + ".app")},
		"claim a name below another's":      {create(m.theirs + ".other"), notFor(m.theirs + ".other")},
		"claim what only begins like one's": {create(m.ns + "x.app"), notFor(m.ns + "x.app")},
		"give one's program another's app ID": {
			func(t *testing.T) error {
				return m.Patch(ctx(t), m.program("app", ""), merge(`{"spec":{"appID":"`+m.theirs+`.app"}}`))
			},
			`MiniProgram.miniprogram.dev "app" is invalid: spec: Invalid value: spec.appID may not change: host apps ask by it; create another MiniProgram instead`,
		},
		"name a program as the repository of another": {
			func(t *testing.T) error { return m.Create(ctx(t), m.program("../"+m.theirs+"/app", m.ns+".app2")) },
			fmt.Sprintf(`MiniProgram.miniprogram.dev %[1]q is invalid: metadata.name: Invalid value: %[1]q: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', `+
				`and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`, "../"+m.theirs+"/app"),
		},
	}
}

// classes are attempts to leave a policy, or to be chosen by one or by a host app.
func (m *mallory) classes() map[string]attempt {
	own := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: m.ns}}
	classify := fmt.Sprintf("miniprograms.miniprogram.dev \"app\" is forbidden: ValidatingAdmissionPolicy 'miniprogram-mini-programs' with binding 'miniprogram-mini-programs' denied request: "+
		"metadata.labels: labels under policy.miniprogram.dev/ choose the policies that hold, and %s may not change them: ask for verb classify on miniprograms in namespace %s (ClusterRole miniprogram-admin has it)", m.name, m.ns)
	return map[string]attempt{
		"relabel one's namespace": {
			func(t *testing.T) error {
				return m.Patch(ctx(t), own.DeepCopy(), merge(`{"metadata":{"labels":{"`+tenantLabel+`":"`+m.theirs+`"}}}`))
			},
			m.forbidden("patch", "namespaces", m.ns, m.ns),
		},
		"allow one's namespace other app IDs": {
			func(t *testing.T) error {
				return m.Patch(ctx(t), own.DeepCopy(), merge(`{"metadata":{"annotations":{"miniprogram.dev/app-id-prefixes":null}}}`))
			},
			m.forbidden("patch", "namespaces", m.ns, m.ns),
		},
		"classify one's program": {
			func(t *testing.T) error {
				return m.Patch(ctx(t), m.program("app", ""), merge(`{"metadata":{"labels":{"`+classLabel+`":"payments"}}}`))
			},
			classify,
		},
		"declassify another's": {
			func(t *testing.T) error {
				o := m.program("app", "")
				o.Namespace = m.theirs
				return m.Patch(ctx(t), o, merge(`{"metadata":{"labels":null}}`))
			},
			m.forbidden("patch", "miniprograms.miniprogram.dev", "app", m.theirs),
		},
	}
}

// reviews are attempts to decide for another group.
func (m *mallory) reviews(waiting *v1alpha1.Review) map[string]attempt {
	decided := func(ns string) *v1alpha1.Review {
		return &v1alpha1.Review{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "by-mallory"}, Spec: v1alpha1.ReviewSpec{
			MiniProgramRef: waiting.Spec.MiniProgramRef, VersionRef: waiting.Spec.VersionRef, Digest: waiting.Spec.Digest,
			Role: "quality", Decision: v1alpha1.DecisionApproved, Reviewer: m.name,
		}}
	}
	foreign := func() *v1alpha1.Review {
		return &v1alpha1.Review{ObjectMeta: metav1.ObjectMeta{Namespace: m.theirs, Name: waiting.Name}}
	}
	pending := decided(m.ns)
	pending.Spec.Decision, pending.Spec.Reviewer = v1alpha1.DecisionPending, ""
	const reviews = "reviews.miniprogram.dev"
	denied := func(policy, name string) string {
		return fmt.Sprintf("reviews.miniprogram.dev %q is forbidden: ValidatingAdmissionPolicy '%[2]s' with binding '%[2]s' denied request: ", name, policy)
	}
	return map[string]attempt{
		"create a Review for another's version": {
			func(t *testing.T) error { return m.Create(ctx(t), decided(m.theirs)) }, m.forbidden("create", reviews, "", m.theirs),
		},
		"approve another's version": {
			func(t *testing.T) error { return m.Patch(ctx(t), foreign(), merge(`{"spec":{"decision":"Approved"}}`)) },
			m.forbidden("patch", reviews, waiting.Name, m.theirs),
		},
		"read another's Reviews": {
			func(t *testing.T) error {
				return m.Get(ctx(t), client.ObjectKeyFromObject(waiting), &v1alpha1.Review{})
			},
			m.forbidden("get", reviews, waiting.Name, m.theirs),
		},
		"squat the name of a Review": {
			func(t *testing.T) error {
				squat := pending.DeepCopy()
				squat.Name = waiting.Name
				return m.Create(ctx(t), squat)
			},
			denied("miniprogram-review-lifecycle", waiting.Name) + "spec.decision: only the controller creates pending Reviews (verb report on controllers.miniprogram.dev): " +
				"set spec.review: Requested on MiniProgramVersion app-1.2.0, or create the Review with your decision",
		},
		"decide for a host app": {
			func(t *testing.T) error {
				o := decided(m.ns)
				o.Spec.HostApp, o.Spec.VersionRef.Name = m.maps, "app-1.0.0"
				return m.Create(ctx(t), o)
			},
			denied("miniprogram-review-decisions", "by-mallory") + fmt.Sprintf("spec.decision: %s may not decide in role quality for host app %[2]s: ask for a ClusterRole with verb approve on hostapps/review-quality (resourceNames: %[2]s)", m.name, m.maps),
		},
	}
}

// platforms are attempts on what is the administrators'.
func (m *mallory) platforms() map[string]attempt {
	document := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: publishedNamespace, Name: delivery.RolloutConfigMap(m.theirs, "app")}}
	host := &v1alpha1.HostApp{ObjectMeta: metav1.ObjectMeta{Name: m.wallet}}
	const hostApps, policies = "hostapps.miniprogram.dev", "reviewpolicies.miniprogram.dev"
	get := func(t *testing.T) error {
		return m.Get(ctx(t), client.ObjectKeyFromObject(document), document.DeepCopy())
	}
	list := func(t *testing.T) error {
		return m.List(ctx(t), &corev1.ConfigMapList{}, client.InNamespace(publishedNamespace))
	}
	create := func(t *testing.T) error {
		o := document.DeepCopy()
		o.Name = delivery.RolloutConfigMap(m.theirs, "other")
		return m.Create(ctx(t), o)
	}
	key := func(t *testing.T) error {
		return m.Get(ctx(t), client.ObjectKey{Namespace: systemNamespace, Name: "miniprogram-signing-key"}, &corev1.Secret{})
	}
	patch := func(o client.Object, text string) func(*testing.T) error {
		return func(t *testing.T) error { return m.Patch(ctx(t), o, merge(text)) }
	}
	remove := func(o client.Object) func(*testing.T) error {
		return func(t *testing.T) error { return m.Delete(ctx(t), o) }
	}
	block := `{"spec":{"blocks":[{"appID":"` + m.theirs + `.app","reason":"mine is better"}]}}`
	return map[string]attempt{
		"read what is published":   {get, m.forbidden("get", "configmaps", document.Name, publishedNamespace)},
		"list what is published":   {list, m.forbidden("list", "configmaps", "", publishedNamespace)},
		"write what is published":  {patch(document.DeepCopy(), `{"data":{"envelope":"mine"}}`), m.forbidden("patch", "configmaps", document.Name, publishedNamespace)},
		"publish beside it":        {create, m.forbidden("create", "configmaps", "", publishedNamespace)},
		"delete what is published": {remove(document.DeepCopy()), m.forbidden("delete", "configmaps", document.Name, publishedNamespace)},
		"read the signing key":     {key, m.forbidden("get", "secrets", "miniprogram-signing-key", systemNamespace)},
		"block another's program":  {patch(host.DeepCopy(), block), m.forbidden("patch", hostApps, m.wallet, "")},
		"lift blocks":              {patch(host.DeepCopy(), `{"spec":{"blocks":null}}`), m.forbidden("patch", hostApps, m.wallet, "")},
		"choose oneself":           {patch(host.DeepCopy(), `{"spec":{"namespaceSelector":null}}`), m.forbidden("patch", hostApps, m.wallet, "")},
		"delete a host app":        {remove(host.DeepCopy()), m.forbidden("delete", hostApps, m.wallet, "")},
		"weaken a policy":          {patch(m.all.DeepCopy(), `{"spec":{"enforcement":"Audit"}}`), m.forbidden("patch", policies, m.all.Name, "")},
		"delete a policy":          {remove(m.payments.DeepCopy()), m.forbidden("delete", policies, m.payments.Name, "")},
	}
}

// objects are attempts on the objects of another group.
func (m *mallory) objects() map[string]attempt {
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: m.theirs, Name: name} }
	all := map[string]attempt{}
	for resource, o := range map[string]client.Object{
		"miniprograms.miniprogram.dev":        &v1alpha1.MiniProgram{ObjectMeta: meta("app")},
		"miniprogramversions.miniprogram.dev": &v1alpha1.MiniProgramVersion{ObjectMeta: meta("app-1.1.0")},
		"rollouts.miniprogram.dev":            &v1alpha1.Rollout{ObjectMeta: meta("app")},
		"configmaps":                          &corev1.ConfigMap{ObjectMeta: meta("app-1.1.0")},
	} {
		seen, ok := o.DeepCopyObject().(client.Object)
		if !ok {
			panic("a copy of another type")
		}
		for verb, err := range map[string]func(*testing.T) error{
			"get":              func(t *testing.T) error { return m.Get(ctx(t), client.ObjectKeyFromObject(seen), seen) },
			"patch":            func(t *testing.T) error { return m.Patch(ctx(t), o, merge(`{"metadata":{"annotations":{"a":"b"}}}`)) },
			"delete":           func(t *testing.T) error { return m.Delete(ctx(t), o) },
			"deletecollection": func(t *testing.T) error { return m.DeleteAllOf(ctx(t), o, client.InNamespace(m.theirs)) },
		} {
			name := o.GetName()
			if verb == "deletecollection" {
				name = ""
			}
			all[verb+" another's "+resource] = attempt{err, m.forbidden(verb, resource, name, m.theirs)}
		}
	}
	return all
}

// withoutEffect is what mallory may do in the own group, and what becomes of it.
func (m *mallory) withoutEffect(t *testing.T, waiting *v1alpha1.Review) {
	g := m.first
	// An approval of the other group's bytes, under the name of the Review that waits there.
	m.must(t, m.Create(ctx(t), &v1alpha1.Review{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.ns, Name: waiting.Name},
		Spec: v1alpha1.ReviewSpec{
			MiniProgramRef: waiting.Spec.MiniProgramRef, VersionRef: waiting.Spec.VersionRef, Digest: waiting.Spec.Digest,
			Role: "quality", Decision: v1alpha1.DecisionApproved, Reviewer: m.name,
		},
	}))
	eventually(t, "the Review says that there is no such version", func() string {
		var r v1alpha1.Review
		m.must(t, m.Get(ctx(t), key(m.ns, waiting.Name), &r))
		if got := condition(r.Status.Conditions, v1alpha1.ConditionReady); got != "False VersionMissing: spec.versionRef names MiniProgramVersion app-1.2.0, which does not exist: create it, or delete this Review" {
			return "it says " + got
		}
		return ""
	})
	// A Rollout with a name like the one of another's document, and of another's version.
	for _, name := range []string{m.theirs + ".app", m.theirs + ".app.rollout"} {
		m.must(t, m.Create(ctx(t), &v1alpha1.Rollout{
			ObjectMeta: metav1.ObjectMeta{Namespace: m.ns, Name: name},
			Spec: v1alpha1.RolloutSpec{
				MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-1.1.0"}, HostApps: []string{m.maps},
			},
		}))
		g.awaitRollout(t, name, "it publishes nothing", func(ro *v1alpha1.Rollout) bool {
			return ro.Status.Summary == fmt.Sprintf("spec.versionRef names MiniProgramVersion app-1.1.0, which does not exist in namespace %[1]s: create it, or name another; "+
				"host app %[2]s does not take mini programs of namespace %[1]s (its spec.namespaceSelector): ask the platform's administrators to label the namespace", m.ns, m.maps) && ro.Status.Published == nil
		})
		m.must(t, m.Delete(ctx(t), &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: m.ns, Name: name}}))
	}
	// Sources of another group: its ConfigMap, and its artifact in the registry.
	for version, test := range map[string]struct {
		source v1alpha1.BundleSource
		want   string
	}{
		"9.0.0": {v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: m.theirs + ".app-1.1.0", Key: "bundle.zip"}}, fmt.Sprintf(
			"False SourceMissing: spec.source.configMap names ConfigMap %s.app-1.1.0, which does not exist in namespace %s: create it", m.theirs, m.ns)},
		"9.0.1": {v1alpha1.BundleSource{OCI: &v1alpha1.OCISource{Ref: m.registryHost() + "/miniprograms/" + m.theirs + "/app:1.1.0"}}, fmt.Sprintf(
			"False SourceForbidden: spec.source.oci.ref %q lies below %[2]s, where the manager publishes the artifacts of all developer groups: name a registry or repository of your own",
			m.registryHost()+"/miniprograms/"+m.theirs+"/app:1.1.0", m.registryHost()+"/miniprograms")},
	} {
		g.version(t, "app", version, func(v *v1alpha1.MiniProgramVersion) { v.Spec.Source, v.Spec.SubmittedBy = test.source, g.danaName })
		g.awaitVersion(t, "app-"+version, v1alpha1.ConditionReady, test.want)
	}
}

// flood hands in 200 versions, each of which asks for a review.
func (m *mallory) flood(t *testing.T) (ended chan error) {
	m.first.configMap(t, "flood", archive(t, "flood"))
	ended, while := make(chan error, 1), ctx(t)
	go func() {
		for i := range 200 {
			version := fmt.Sprintf("5.0.%d", i)
			err := m.Create(while, &v1alpha1.MiniProgramVersion{
				ObjectMeta: metav1.ObjectMeta{Namespace: m.ns, Name: "app-" + version},
				Spec: v1alpha1.MiniProgramVersionSpec{
					MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, Version: version, Review: v1alpha1.ReviewRequested, SubmittedBy: m.name,
					Source: v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: "flood", Key: "bundle.zip"}},
				},
			})
			if err != nil {
				ended <- fmt.Errorf("version %s: %w", version, err)
				return
			}
		}
		ended <- nil
	}()
	return ended
}

// releaseBeside plays a release of the second group, from its bundle to everybody,
// while the first one hands in a flood.
func (p *platform) releaseBeside(t *testing.T, m *mallory, server *httptest.Server) {
	g, want := p.second, p.served(t, server)
	ended := m.flood(t)
	g.scripted(t, "1.3.0", "wx.getLocation({})")
	g.approve(t, "app-1.3.0")
	p.must(t, p.decideFor(t, "app-1.3.0", g.pietName(), p.wallet))
	p.must(t, p.decideFor(t, "app-1.3.0", p.paulaName(), p.maps))
	change(t, g, g.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) { ro.Spec.VersionRef.Name, ro.Spec.Steps = "app-1.3.0", nil })
	g.awaitSummary(t, "1.3.0 is stable for everybody")
	t.Logf("the release was out when %d versions of the flood were packaged", m.packaged(t))
	p.must(t, <-ended)
	for want := 50; want <= 200; want += 50 {
		eventually(t, "the flood is packaged", func() string {
			if n := m.packaged(t); n < want {
				return fmt.Sprint(n, " of ", want)
			}
			return ""
		})
	}
	for _, host := range []string{"wallet", "maps"} {
		want[host+" of second"] = "1.3.0 NoTarget"
	}
	p.awaitServed(t, server, want)
}

// packaged counts the versions of the flood that are.
func (m *mallory) packaged(t *testing.T) int {
	t.Helper()
	var list v1alpha1.MiniProgramVersionList
	m.must(t, m.admin.List(ctx(t), &list, client.InNamespace(m.ns)))
	n := 0
	for _, v := range list.Items {
		if v.Status.Artifact != nil && strings.HasPrefix(v.Spec.Version, "5.") {
			n++
		}
	}
	return n
}
