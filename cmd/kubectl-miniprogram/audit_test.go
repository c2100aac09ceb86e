package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/bucket"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

var auditNoon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// shredder writes a journal as the manager does, and worse.
type shredder struct {
	registry *registry.Client
	signer   *signing.Signer
	host     string
	keys     string
	previous map[string]*journal.Link
}

func newShredder(t *testing.T) *shredder {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	signer, err := signing.NewSigner()
	must(t, err)
	s := &shredder{signer: signer, host: registrytest.Start(t, registrytest.Options{}).Host(), keys: filepath.Join(t.TempDir(), "key.pem"), previous: map[string]*journal.Link{}}
	s.registry = registry.New(registry.Options{Host: s.host, Prefix: "mini", PlainHTTP: true, UserAgent: "test"})
	must(t, os.WriteFile(s.keys, []byte(signer.PEM), 0o600))
	must(t, s.registry.AppendIndex(t.Context(), &journal.Index{AppID: "com.example.shop", Namespace: "shop-team", Rollout: "shop"}))
	return s
}

func (s *shredder) sealed(t *testing.T, by *signing.Signer, e *journal.Entry) []byte {
	t.Helper()
	payload, err := e.Marshal()
	must(t, err)
	raw, err := by.SignEntry(payload)
	must(t, err)
	return raw
}

func (s *shredder) append(t *testing.T, repository string, by *signing.Signer, e *journal.Entry, envelope []byte) {
	t.Helper()
	e.Previous = s.previous[repository]
	digest, err := s.registry.AppendEntry(t.Context(), repository, &journal.Artifact{Tag: e.Tag(), Entry: s.sealed(t, by, e), Document: envelope}, nil)
	must(t, err)
	s.previous[repository] = &journal.Link{Tag: e.Tag(), Digest: digest}
}

func auditVariant(version string, digit string) *document.Variant {
	digest := "sha256:" + strings.Repeat(digit, 64)
	blob := document.Blob{Digest: digest, Size: 1, MediaType: document.ArchiveMediaType}
	return &document.Variant{Delivery: 1, Version: version, VersionCode: 1, Digest: digest, ContentDigest: digest, Archive: blob, Content: blob}
}

// document with a share of 1.1.0, written so many minutes after noon.
func (s *shredder) document(t *testing.T, sequence int64, share int32, minutes int, by *signing.Signer) {
	t.Helper()
	doc := &document.Release{
		Type: document.TypeRelease, AppID: "com.example.shop", Channel: document.ChannelRelease, HostApps: []string{"wallet"},
		Rollout: document.Rollout{Namespace: "shop-team", Name: "shop"}, Sequence: sequence,
		IssuedAt: document.At(auditNoon.Add(time.Duration(minutes) * time.Minute)), ExpiresAt: document.At(auditNoon.Add(24 * time.Hour)), PollSeconds: 300,
		Availability: document.Listed, Stable: auditVariant("1.0.0", "a"), Target: auditVariant("1.1.0", "b"),
		Split: &document.Split{Algorithm: bucket.Algorithm, By: document.ByUser, Seed: "seed", BasisPoints: share}, Decide: document.DecideHost,
	}
	payload, err := document.Marshal(doc)
	must(t, err)
	envelope, err := s.signer.Sign(payload)
	must(t, err)
	written := auditNoon.Add(time.Duration(minutes) * time.Minute)
	versions := []journal.Version{}
	for i, v := range []*document.Variant{doc.Stable, doc.Target} {
		restored := []string{"journal.v1/rollouts/shop-team/shop:s9-9", ""}[i] // stable is from before a cluster was lost
		versions = append(versions, journal.Version{
			Digest: v.Digest, Name: "shop-" + v.Version, Version: v.Version, Author: "dana", Standing: "Proven", Created: auditNoon,
			Policies:  []journal.Policy{{Name: "all", Generation: 3, SHA256: "sha256:" + strings.Repeat("c", 64), Enforcement: v1alpha1.Enforce}},
			Decisions: []journal.Decision{{Review: "quality-" + v.Version, Digest: v.Digest, Role: "quality", Decision: v1alpha1.DecisionApproved, Reviewer: "rosa", Created: auditNoon, Decided: auditNoon, Counted: true, Entry: restored}},
		})
	}
	s.append(t, journal.RolloutRepository("shop-team", "shop"), by, &journal.Entry{
		Order: journal.Order{Number: sequence, Second: doc.IssuedAt.Unix()}, Rollout: &doc.Rollout, AppID: doc.AppID, Written: written, Envelope: journal.Digest(envelope),
		Basis: &journal.Basis{
			Reason: "Progressing", Message: "1.1.0 is at its share", Versions: versions,
			Action: &journal.Action{Value: "promote@2/1", User: "olu", Result: "Done", Time: written},
		},
	}, envelope)
}

func (s *shredder) hostApp(t *testing.T, number int64, minutes int, blocks ...journal.Block) {
	t.Helper()
	written := auditNoon.Add(time.Duration(minutes) * time.Minute)
	s.append(t, journal.HostAppRepository("wallet"), s.signer, &journal.Entry{
		Order: journal.Order{Number: number, Second: written.Unix()}, Written: written,
		HostApp: &journal.HostApp{Name: "wallet", Availability: v1alpha1.HostAppActive, Blocked: blocks},
	}, nil)
}

func (s *shredder) audit(t *testing.T, want int, args ...string) string {
	t.Helper()
	code, out, problems := plugin(t, append([]string{"audit", "com.example.shop", "--registry", s.host + "/mini", "--plain-http", "--keys", s.keys}, args...)...)
	if code != want {
		t.Errorf("%v: exit code %d, want %d: %s%s", args, code, want, out, problems)
	}
	return out + problems
}

// within is a user whose bucket is in a range.
func within(from, below int) string {
	for i := 0; ; i++ {
		user := "user-" + strings.Repeat("x", i)
		if b := bucket.Of("seed", user); b >= from && b < below {
			return user
		}
	}
}

func wants(t *testing.T, got string, texts ...string) {
	t.Helper()
	for _, want := range texts {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
}

func TestAnAuditTellsWhoGotWhatAndWhoApprovedIt(t *testing.T) {
	s := newShredder(t)
	s.hostApp(t, 1, -5)
	s.document(t, 100, 500, 0, s.signer)
	s.document(t, 101, 2500, 10, s.signer)
	s.document(t, 102, 2500, 20, s.signer) // renewed, say
	s.hostApp(t, 2, 30, journal.Block{AppID: "com.example.shop", Reason: "it crashes"})
	late, early := within(500, 2500), within(0, 500)
	at := func(minutes int) string {
		return auditNoon.Add(time.Duration(minutes) * time.Minute).Format(time.RFC3339)
	}

	got := s.audit(t, exitOK, "--host", "wallet", "--user", late, "--at", at(25))
	wants(t, got, "user "+late+" gets 1.1.0 (target)", "sequence 102, out since 2026-11-27T12:20:00Z", "put there", "2026-11-27T12:10:00Z Progressing", "promote@2/1 by olu",
		"shop-1.1.0", "by dana (Proven)", "by rosa, role quality", "all, generation 3, Enforce", "every entry is signed")
	wants(t, s.audit(t, exitOK, "--host", "wallet", "--user", late, "--at", at(5)), "gets 1.0.0 (stable)", "sequence 100", "quality-1.0.0, which was lost with its cluster: restored from journal.v1/rollouts/shop-team/shop:s9-9")
	wants(t, s.audit(t, exitOK, "--host", "wallet", "--user", early, "--at", at(5)), "gets 1.1.0 (target)")
	wants(t, s.audit(t, exitOK, "--host", "wallet", "--user", early, "--at", at(35)), "gets nothing", "it crashes")
	wants(t, s.audit(t, exitUnacceptable, "--host", "wallet", "--user", early, "--at", at(-1)), "no document for host app wallet")
	wants(t, s.audit(t, exitUnacceptable, "--host", "maps", "--user", early, "--at", at(5)), "no document for host app maps")
	wants(t, s.audit(t, exitUnacceptable, "--host", "wallet", "--user", early, "--at", at(24*60)), "had expired")
	wants(t, s.audit(t, exitOK), "shop-team/shop", "100", "101", "25%")
	var report auditReport
	must(t, json.Unmarshal([]byte(s.audit(t, exitOK, "--host", "wallet", "--user", late, "--at", at(25), "-o", "json")), &report))
	if report.Answer.Version != "1.1.0" || report.PutThere.Sequence != 101 || report.Version.Decisions[0].Reviewer != "rosa" || len(report.Gaps) != 0 {
		t.Errorf("%+v", report)
	}
}

func TestAnAuditTellsOfGapsAndForgeries(t *testing.T) {
	s := newShredder(t)
	s.hostApp(t, 1, -5)
	s.document(t, 100, 500, 0, s.signer)
	stranger, err := signing.NewSigner()
	must(t, err)
	s.document(t, 101, 10000, 10, stranger)
	s.document(t, 102, 500, 20, s.signer)
	repository := journal.RolloutRepository("shop-team", "shop")
	s.previous[repository] = &journal.Link{Tag: "s103-1", Digest: "sha256:" + strings.Repeat("d", 64)} // somebody has deleted it
	s.document(t, 104, 500, 30, s.signer)
	got := s.audit(t, exitUnacceptable, "--host", "wallet", "--user", within(500, 10000), "--at", auditNoon.Add(15*time.Minute).Format(time.RFC3339))
	wants(t, got, "gets 1.0.0 (stable)", "entry s101-", "cannot be believed", "no trusted key signed", "follows on s103-1, which is missing")
}

// Whoever gives other keys is not told that nothing was published.
func TestAnAuditWithOtherKeysBelievesNothing(t *testing.T) {
	s := newShredder(t)
	s.hostApp(t, 1, -5)
	s.document(t, 100, 500, 0, s.signer)
	stranger, err := signing.NewSigner()
	must(t, err)
	s.keys = filepath.Join(t.TempDir(), "other.pem")
	must(t, os.WriteFile(s.keys, []byte(stranger.PEM), 0o600))
	for _, args := range [][]string{nil, {"--host", "wallet", "--user", "u", "--at", auditNoon.Add(time.Minute).Format(time.RFC3339)}} {
		wants(t, s.audit(t, exitUnacceptable, args...), "has 1 entry that may be about app ID com.example.shop, and none is signed by a key of --keys: give the keys of this installation")
	}
}

// What the manager would put into a condition is of no use to whoever typed the command.
func TestAnAuditThatCannotReadTellsWhatToDo(t *testing.T) {
	s := newShredder(t)
	locked := registrytest.Start(t, registrytest.Options{BasicAuth: true}).Host()
	nobody := closedAddress(t)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"nobody listens":      {[]string{nobody + "/mini", "--plain-http"}, "error: the registry " + nobody + " does not answer: dial tcp " + nobody + ": connect: connection refused\n"},
		"it speaks http":      {[]string{s.host + "/mini"}, "(for a registry on this machine that has no certificate, add --plain-http)\n"},
		"it asks who you are": {[]string{locked + "/mini", "--plain-http"}, "error: the registry " + locked + " does not let you read there: log in with `docker login " + locked + "` as somebody who may\n"},
		"a scheme":            {[]string{"http://" + s.host + "/mini", "--plain-http"}, "error: --registry is \"http://" + s.host + "/mini\": write HOST[:PORT]/PREFIX, without a scheme or a tag\n"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, problems := plugin(t, append([]string{"audit", "com.example.shop", "--keys", s.keys, "--registry"}, test.args...)...)
			if code != exitFailed || !strings.HasSuffix(problems, test.want) {
				t.Errorf("exit code %d, %s, want %d, %s", code, problems, exitFailed, test.want)
			}
		})
	}
}

func TestWhatAnAuditNeeds(t *testing.T) {
	s := newShredder(t)
	other := filepath.Join(t.TempDir(), "host.json")
	must(t, os.WriteFile(other, []byte(`{"keys":[]}`), 0o600))
	for want, args := range map[string][]string{
		"--registry is required":        {"audit", "x"},
		"--keys is required":            {"audit", "x", "--registry", "localhost:1/x"},
		"neither PEM blocks":            {"audit", "x", "--registry", "localhost:1/x", "--keys", other},
		"--host is required":            {"audit", "x", "--registry", "localhost:1/x", "--keys", s.keys, "--user", "u"},
		"write a time as":               {"audit", "x", "--registry", "localhost:1/x", "--keys", s.keys, "--at", "noon"},
		"has no Rollout that published": {"audit", "x", "--registry", s.host + "/mini", "--plain-http", "--keys", s.keys},
	} {
		if _, _, problems := plugin(t, args...); !strings.Contains(problems, want) {
			t.Errorf("%v: %s, want %s", args, problems, want)
		}
	}
	pem, err := dsse.ParsePublicKeyPEM([]byte(s.signer.PEM))
	must(t, err)
	host, err := json.Marshal(map[string]any{"host": "wallet", "keys": []any{map[string]string{"keyID": pem.ID, "publicKey": s.signer.PEM}}})
	must(t, err)
	must(t, os.WriteFile(other, host, 0o600))
	if keys, err := readKeys([]string{filepath.Dir(other)}); err != nil || len(keys) != 1 || keys[0].ID != pem.ID {
		t.Errorf("of a folder with a host app's file: %v, %v", keys, err)
	}
}
