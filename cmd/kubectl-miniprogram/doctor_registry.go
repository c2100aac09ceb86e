package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// registryPatience is how long the registry may take to answer.
const registryPatience = 5 * time.Second

// registryAnswer is what a registry said to this machine.
type registryAnswer struct {
	// host is empty where it is not known which registry the manager has.
	host string
	// status is that of an HTTP answer; zero: there was none, and err says why.
	status int
	err    error
}

// registryURL is where the registry of the settings begins; empty where they do not tell. The
// arguments of the Deployment say whether it is spoken to without TLS.
func (f *installationFacts) registryURL() string {
	if f.settings.value == nil || f.settings.value.Data["registry"] == "" {
		return ""
	}
	scheme := "https"
	if f.manager.value != nil {
		for _, c := range f.manager.value.Spec.Template.Spec.Containers {
			for _, arg := range c.Args {
				if arg = strings.TrimLeft(arg, "-"); arg == "registry-plain-http" || arg == "registry-plain-http=true" {
					scheme = "http"
				}
			}
		}
	}
	return (&url.URL{Scheme: scheme, Host: f.settings.value.Data["registry"], Path: "/v2/"}).String()
}

// askRegistry asks for the version of the registry's API, without credentials and
// without following it anywhere else. Nothing of the body is read.
func askRegistry(ctx context.Context, address string, patience time.Duration) registryAnswer {
	u, err := url.Parse(address)
	if err != nil {
		return registryAnswer{host: address, err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return registryAnswer{host: u.Host, err: err}
	}
	request.Header.Set("User-Agent", userAgent())
	once := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := once.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // the URL is told already
		}
		return registryAnswer{host: u.Host, err: err}
	}
	_ = answer.Body.Close() // unread
	return registryAnswer{host: u.Host, status: answer.StatusCode}
}

// diagnoseRegistry looks at what versions say of it, and whether it answers from here. That it
// does not is no proof: the cluster may have another way to it.
func (f *installationFacts) diagnoseRegistry(d *diagnoses) {
	f.diagnosePublished(d)
	const but = ": whether the cluster reaches it, the next version that is published tells"
	switch is := f.registry; {
	case f.settings.err != nil:
		d.unknown("which registry it is", f.settings.err)
	case is.host == "":
		d.add(levelUnknown, "which registry it is is not known: there is no ConfigMap miniprogram-settings with key registry in namespace "+f.system)
	case is.err != nil:
		d.add(levelUnknown, fmt.Sprintf("%s cannot be reached from this machine (%v)%s", is.host, is.err, but))
	case is.status == http.StatusOK:
		d.ok("%s answers this machine, and lets everybody in", is.host)
	case is.status == http.StatusUnauthorized:
		d.ok("%s answers this machine, and asks for credentials", is.host)
	default:
		d.add(levelUnknown, fmt.Sprintf("%s answers this machine with %d %s, as no registry does%s", is.host, is.status, http.StatusText(is.status), but))
	}
}

// diagnosePublished tells of versions that wait for the registry.
func (f *installationFacts) diagnosePublished(d *diagnoses) {
	if f.versions.err != nil {
		d.unknown("what versions say of the registry", f.versions.err)
		return
	}
	said := map[string]string{} // reason → the first version and its message
	counts := map[string]int{}
	published := 0
	for i := range f.versions.value {
		v := &f.versions.value[i]
		c := meta.FindStatusCondition(v.Status.Conditions, v1alpha1.ConditionPublished)
		switch {
		case c == nil:
		case c.Status == metav1.ConditionTrue:
			published++
		case strings.HasPrefix(c.Reason, "Registry"), c.Reason == "ArtifactElsewhere", c.Reason == "TagTaken":
			counts[c.Reason]++
			if said[c.Reason] == "" {
				said[c.Reason] = v.Namespace + "/" + v.Name + ": " + c.Message
			}
		}
	}
	var reasons []string
	for reason := range said {
		reasons = append(reasons, reason)
	}
	slices.Sort(reasons)
	for _, reason := range reasons {
		d.add(levelMissing, fmt.Sprintf("%s: %s, such as %s", reason, plural(counts[reason], "version"), said[reason]))
	}
	if len(reasons) == 0 {
		d.ok("%s in it, and none that waits for it", plural(published, "version"))
	}
	f.diagnoseTakingUp(d)
}

// diagnoseTakingUp tells of Rollouts that cannot look into their journal, and decide nothing until they can.
func (f *installationFacts) diagnoseTakingUp(d *diagnoses) {
	if f.rollouts.err != nil {
		d.unknown("whether Rollouts wait for the registry", f.rollouts.err)
		return
	}
	first, waiting := "", 0
	for i := range f.rollouts.value {
		r := &f.rollouts.value[i]
		c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionReconciling)
		if c == nil || c.Status != metav1.ConditionTrue || c.Reason != "JournalUnavailable" {
			continue
		}
		if waiting++; waiting == 1 {
			first = r.Namespace + "/" + r.Name + ": " + c.Message
		}
	}
	if waiting > 0 {
		d.add(levelMissing, fmt.Sprintf("JournalUnavailable: %s, such as %s", plural(waiting, "rollout"), first))
	}
}
