package main

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

const (
	settled = "settled"
	queue   = "queue"
	// waiting versions lack an approval, targets are what Rollouts have brought to 5 %.
	waiting = 10
	targets = 3
)

// BenchmarkRecheck changes a policy that covers a thousand versions which are
// approved and at rest, a few that are targets of Rollouts, and a few that wait for
// an approval. It reports the seconds until the last of those few is judged by the
// changed policy, and how many versions were written to at all, until nothing was
// written for a while. Another number than that of those few is a failure.
func BenchmarkRecheck(b *testing.B) {
	b.Run(strconv.Itoa(versionsAtOnce), func(b *testing.B) {
		p := newPlatform(b, "recheck", v1alpha1.ApprovalRule{Role: "none"})
		p.publish(b, settled)
		matter := p.bringUnderWay(b)
		var took time.Duration
		rounds := 0
		for b.Loop() {
			took += p.changePolicy(b, int32(1000+rounds), matter)
			rounds++
		}
		b.ReportMetric(took.Seconds()/float64(rounds), "seconds")
		b.ReportMetric(float64(len(matter)), "rechecked")
	})
}

// bringUnderWay makes the versions that wait and the targets, and returns them all.
func (p *platform) bringUnderWay(b *testing.B) map[client.ObjectKey]bool {
	b.Helper()
	ctx := b.Context()
	p.prepare(ctx, b, queue)
	must(b, p.client.Create(ctx, &v1alpha1.ReviewPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: queue},
		Spec: v1alpha1.ReviewPolicySpec{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: queue}},
			Enforcement:       v1alpha1.Enforce, Approvals: []v1alpha1.ApprovalRule{{Role: "quality"}},
		},
	}))
	matter := map[client.ObjectKey]bool{}
	for n := range waiting {
		v := p.version(queue, n)
		must(b, p.client.Create(ctx, v))
		matter[client.ObjectKeyFromObject(v)] = true
		p.awaitCondition(b, v, v1alpha1.ConditionReady)
	}
	five := intstr.FromInt32(5)
	for n := range targets {
		v := p.version(settled, n)
		ro := &v1alpha1.Rollout{
			ObjectMeta: metav1.ObjectMeta{Namespace: settled, Name: programName(n)},
			Spec: v1alpha1.RolloutSpec{
				MiniProgramRef: v1alpha1.MiniProgramReference{Name: programName(n)}, VersionRef: v1alpha1.VersionReference{Name: v.Name},
				Steps: []v1alpha1.RolloutStep{{SetPercent: &five}, {Pause: &v1alpha1.PauseStep{Seconds: 86400}}},
			},
		}
		must(b, p.client.Create(ctx, ro))
		matter[client.ObjectKeyFromObject(v)] = true
		p.await(b, v.Name+" is a target", func() string {
			must(b, p.client.Get(ctx, client.ObjectKeyFromObject(ro), ro))
			if ro.Status.Percent != "5%" || ro.Status.Published == nil {
				return ro.Status.Summary
			}
			return ""
		})
	}
	return matter
}

func (p *platform) awaitCondition(b testing.TB, v *v1alpha1.MiniProgramVersion, condition string) {
	b.Helper()
	p.await(b, v.Name+" is "+condition, func() string {
		must(b, p.client.Get(b.Context(), client.ObjectKeyFromObject(v), v))
		if !meta.IsStatusConditionTrue(v.Status.Conditions, condition) {
			return fmt.Sprint(v.Status.Conditions)
		}
		return ""
	})
}

// changePolicy changes the policy that covers all versions, and returns how long it
// took until those that matter were judged by it.
func (p *platform) changePolicy(b *testing.B, maxFiles int32, matter map[client.ObjectKey]bool) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	events, err := p.client.Watch(ctx, &v1alpha1.MiniProgramVersionList{})
	must(b, err)
	defer events.Stop()
	var policy v1alpha1.ReviewPolicy
	must(b, p.client.Get(ctx, client.ObjectKey{Name: p.name}, &policy))
	policy.Spec.Quality = &v1alpha1.QualityRules{MaxFiles: maxFiles}
	began := time.Now()
	must(b, p.client.Update(ctx, &policy))
	judged := map[client.ObjectKey]bool{}
	var took time.Duration
	for {
		select {
		case event, open := <-events.ResultChan():
			version, ok := event.Object.(*v1alpha1.MiniProgramVersion)
			if !open || !ok {
				b.Fatalf("%d of %d versions are judged by the changed policy; the manager's last words:\n%s", len(judged), len(matter), p.manager.LogTail(20))
			}
			key := client.ObjectKeyFromObject(version)
			if event.Type != watch.Modified || key.Namespace != settled && key.Namespace != queue {
				continue
			}
			if !matter[key] {
				b.Fatalf("%s neither waits nor is a target, and was written to", key)
			}
			if !judged[key] && judgedBy(version, &policy) {
				judged[key] = true
				took = time.Since(began)
			}
		case <-time.After(settling):
			if len(judged) == len(matter) {
				return took
			}
		}
	}
}

func judgedBy(v *v1alpha1.MiniProgramVersion, policy *v1alpha1.ReviewPolicy) bool {
	for _, by := range v.Status.Policies {
		if by.Name == policy.Name {
			return by.Generation == policy.Generation
		}
	}
	return false
}
