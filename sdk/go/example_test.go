package sdk_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// A host app reads the envelope that the manifest service served, believes it
// after the checks, and decides for its user on the device.
func Example() {
	envelope, pinned, now := served()

	verified, err := release.Verify(envelope, release.Expect{
		AppID: "com.example.shop", Channel: "release", HostApp: "wallet",
		Keys: []dsse.Key{pinned}, Now: now,
	})
	if err != nil {
		log.Fatal(err) // keep running what is installed
	}
	decision, err := decide.Decide(verified.Document, decide.Request{User: "user-1", Now: now})
	if err != nil {
		log.Fatal(err) // decide.ErrServiceDecides: ask the service to resolve
	}
	fmt.Println(decision.Action, decision.Variant.Version, decision.Cohort, decision.Reason, decision.Bucket)
	// Output: install 1.5.0 target Bucketed 1225
}

// served stands in for the manifest service: a share of 20 % of a new version.
func served() (envelope []byte, pinned dsse.Key, now time.Time) {
	now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	variant := func(version, two string, delivery int64) *document.Variant {
		digest := "sha256:" + strings.Repeat(two, 32)
		blob := document.Blob{Digest: digest, Size: 144499}
		return &document.Variant{Delivery: delivery, Version: version, Digest: digest, ContentDigest: digest, Archive: blob, Content: blob}
	}
	stable, target := variant("1.4.2", "11", 1), variant("1.5.0", "ab", 2)
	payload, err := document.Marshal(&document.Release{
		Type: document.TypeRelease, AppID: "com.example.shop", Channel: document.ChannelRelease, HostApps: []string{"wallet"},
		Rollout: document.Rollout{Namespace: "shop-team", Name: "shop"}, Sequence: 7, PollSeconds: 300,
		IssuedAt: document.At(now), ExpiresAt: document.At(now.AddDate(0, 0, 7)),
		Availability: document.Listed, Stable: stable, Target: target,
		Split:  &document.Split{Algorithm: "bucket/v1", By: document.ByUser, Seed: "com.example.shop@" + target.Digest, BasisPoints: 2000},
		Decide: document.DecideHost,
	})
	if err != nil {
		log.Fatal(err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	signed, err := dsse.Sign(private, document.PayloadType, payload)
	if err != nil {
		log.Fatal(err)
	}
	if envelope, err = signed.Marshal(); err != nil {
		log.Fatal(err)
	}
	if pinned, err = dsse.NewKey(&private.PublicKey); err != nil {
		log.Fatal(err)
	}
	return envelope, pinned, now
}
