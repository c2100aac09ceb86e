package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// approval is what a reviewer writes; the cluster adds who wrote it.
const approval = `{"spec":{"decision":"Approved","comment":"Looked at on a device."}}`

// manifestType is the media type of what a tag names.
const manifestType = "application/vnd.oci.image.manifest.v1+json"

// awaitArtifact follows a version until it is pushed and waits for reviewers.
func (d *demo) awaitArtifact(ctx context.Context, v version, applied time.Time) error {
	mpv, err := d.awaitVersion(ctx, v.key(), "to be fetched, checked and pushed", func(mpv *v1alpha1.MiniProgramVersion) string {
		if mpv.Status.Artifact == nil {
			return "there is no artifact"
		}
		return ""
	})
	if err != nil {
		return err
	}
	took := time.Since(applied)
	d.figures.add(&d.figures.ApplyToArtifact, took)
	v.digest = mpv.Status.Artifact.Digest
	d.versions.put(v)
	mpv, err = d.awaitVersion(ctx, v.key(), "to wait for approvals", func(mpv *v1alpha1.MiniProgramVersion) string {
		switch {
		case !isTrue(mpv, mpv.Status.Conditions, v1alpha1.ConditionReady):
			return "Ready is not True"
		case mpv.Status.Reviews == nil || len(mpv.Status.Reviews.Missing) != len(reviewers):
			return fmt.Sprintf("not %d approvals are missing", len(reviewers))
		}
		return ""
	})
	if err != nil {
		return err
	}
	st := mpv.Status
	d.out.say("%s fetched: %d bytes, %s", v, st.Bundle.SizeBytes, short(st.Bundle.SHA256))
	d.out.say("%s checked: %s; %s", v, message(mpv, v1alpha1.ConditionVerified), message(mpv, v1alpha1.ConditionPolicyPassed))
	d.out.say("%s pushed:  %s:%s@%s (%s)", v, st.Artifact.Repository, v.version, short(v.digest), seconds(took))
	d.out.say("%s %s", v, st.Summary)
	return d.checkArtifact(ctx, v, mpv)
}

func message(mpv *v1alpha1.MiniProgramVersion, kind string) string {
	if c := meta.FindStatusCondition(mpv.Status.Conditions, kind); c != nil {
		return c.Message
	}
	return ""
}

// checkArtifact compares what status says with the developer's file and with
// what the registry has under the version's tag.
func (d *demo) checkArtifact(ctx context.Context, v version, mpv *v1alpha1.MiniProgramVersion) error {
	file, err := os.ReadFile(filepath.Join(d.root, samples, "archives", v.archive))
	if err != nil {
		return err
	}
	st := mpv.Status
	d.checks.expect(v.String()+": sha256 of the bundle", st.Bundle.SHA256, sha256Of(file))
	d.checks.expect(v.String()+": format", st.Bundle.Format, v.format)
	d.checks.that(containsAll(st.Summary, "waits for 1 approval of role privacy", "1 approval of role quality"),
		"%s: the summary does not say who is waited for: %q", v, st.Summary)
	host, repository, _ := strings.Cut(st.Artifact.Repository, "/")
	d.checks.expect(v.String()+": repository", st.Artifact.Repository,
		fmt.Sprintf("%s/%s/%s/%s", d.registry.Host(), registryPrefix, v.program.namespace, v.program.name))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/v2/%s/manifests/%s", host, repository, v.version), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", manifestType)
	manifest, err := d.crowd.do(request)
	if err != nil {
		d.checks.that(false, "%s: the registry's manifest: %v", v, err)
		return ctx.Err()
	}
	d.checks.expect(v.String()+": digest of the manifest in the registry", sha256Of(manifest), v.digest)
	return nil
}

func sha256Of(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// pendingReview waits for the Review that asks for a role's word on a version.
func (d *demo) pendingReview(ctx context.Context, v version, role string) (*v1alpha1.Review, error) {
	var found *v1alpha1.Review
	what := fmt.Sprintf("a pending Review of %s in role %s", v, role)
	err := until(ctx, what, d.patience(), d.tails(), func(ctx context.Context) error {
		var list v1alpha1.ReviewList
		if err := d.client.List(ctx, &list, client.InNamespace(v.program.namespace)); err != nil {
			return err
		}
		for i, r := range list.Items {
			if r.Spec.VersionRef.Name == v.object && r.Spec.Role == role && r.Spec.Decision == v1alpha1.DecisionPending && r.Spec.Digest == v.digest {
				found = &list.Items[i]
				return nil
			}
		}
		return fmt.Errorf("none of %d Reviews is it", len(list.Items))
	})
	return found, err
}

// kubectl runs kubectl as somebody.
type kubectl func(ctx context.Context, who string, args ...string) (string, error)

// asActing is as, for the main line of the story.
func (d *demo) asActing(ctx context.Context, who string, args ...string) (string, error) {
	d.chaos.tick(ctx)
	return d.as(ctx, who, args...)
}

// approve has every reviewer approve a version, one after the other.
func (d *demo) approve(ctx context.Context, v version, run kubectl) error {
	roles := []string{"quality", "privacy"}
	for i, role := range roles {
		review, err := d.pendingReview(ctx, v, role)
		if err != nil {
			return err
		}
		if i == len(roles)-1 {
			d.served.approve(v.digest)
		}
		v.approved = time.Now()
		d.versions.put(v)
		if _, err := run(ctx, reviewers[role], "patch", "mprev", review.Name, "-n", v.program.namespace, "--type=merge", "-p", approval); err != nil {
			return err
		}
		mpv, err := d.awaitVersion(ctx, v.key(), fmt.Sprintf("to have %d approvals", i+1), func(mpv *v1alpha1.MiniProgramVersion) string {
			if mpv.Status.Reviews == nil || int(mpv.Status.Reviews.Approved) != i+1 {
				return fmt.Sprintf("it has not %d approvals", i+1)
			}
			return ""
		})
		if err != nil {
			return err
		}
		d.out.say("%s %s", v, mpv.Status.Summary)
		d.checks.expect(fmt.Sprintf("%s: Approved after %d of %d approvals", v, i+1, len(roles)),
			meta.IsStatusConditionTrue(mpv.Status.Conditions, v1alpha1.ConditionApproved), i == len(roles)-1)
	}
	return nil
}

// readDimina asks in the dialect of Dimina's containers, downloads the package
// that the answer names, and compares it with the developer's file.
func (d *demo) readDimina(ctx context.Context, v version) error {
	text, err := d.crowd.get(ctx, fmt.Sprintf("/dimina/v1/hosts/%s/%s.json?user=user-0001", hostApp, v.program.appID))
	if err != nil {
		d.checks.that(false, "Dimina's dialect: %v", err)
		return ctx.Err()
	}
	var update struct {
		AppID       string `json:"appId"`
		VersionName string `json:"versionName"`
		VersionCode int64  `json:"versionCode"`
		PackageURL  string `json:"packageUrl"`
		SHA256      string `json:"sha256"`
	}
	if err := json.Unmarshal(text, &update); err != nil {
		return fmt.Errorf("reading Dimina's dialect: %w", err)
	}
	archive, err := d.crowd.get(ctx, update.PackageURL)
	if err != nil {
		d.checks.that(false, "downloading the package of %s: %v", v, err)
		return ctx.Err()
	}
	file, err := os.ReadFile(filepath.Join(d.root, samples, "archives", v.archive))
	if err != nil {
		return err
	}
	d.out.say("Dimina's dialect: %s %s, versionCode %d, %d bytes, %s", update.AppID, update.VersionName, update.VersionCode, len(archive), short(sha256Of(archive)))
	d.checks.expect("Dimina's dialect: app ID and version", [2]string{update.AppID, update.VersionName}, [2]string{v.program.appID, v.version})
	d.checks.that(update.VersionCode > 0, "Dimina's dialect: versionCode is %d, want more than 0", update.VersionCode)
	d.checks.expect("Dimina's dialect: sha256 of the package", "sha256:"+update.SHA256, sha256Of(archive))
	d.checks.expect("Dimina's dialect: the package is the developer's file", sha256Of(archive), sha256Of(file))
	return nil
}
