package signing_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// installation is keys with a clock that a test sets.
type installation struct {
	*signing.Keys
	t   *testing.T
	now time.Time
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	i := &installation{Keys: newKeys(t, controlplane.ForTest(t).Namespace(t)), t: t, now: began}
	i.Now = func() time.Time { return i.now }
	signerOf(t, i.Keys, never)
	return i
}

// restart forgets what a manager knows.
func (i *installation) restart() {
	i.Keys = newKeys(i.t, i.Namespace)
	i.Now = func() time.Time { return i.now }
}

// ask is a person's request for the present number.
func (i *installation) ask(verb string) {
	i.t.Helper()
	at := i.report().Number
	cm := get[corev1.ConfigMap](i.t, i.Keys, "trusted-keys")
	verb, key, found := strings.Cut(verb, " ")
	request := fmt.Sprintf("%s@%d", verb, at)
	if found {
		request += "/" + key
	}
	cm.Annotations[signing.RequestAnnotation] = request
	if err := i.Client.Update(i.t.Context(), cm); err != nil {
		i.t.Fatal(err)
	}
}

func (i *installation) report() signing.Report {
	i.t.Helper()
	cm := get[corev1.ConfigMap](i.t, i.Keys, "trusted-keys")
	var r signing.Report
	if err := json.Unmarshal([]byte(cm.Annotations[signing.ReportAnnotation]), &r); err != nil {
		i.t.Fatal(err)
	}
	return r
}

// advance looks at the keys after some time, with so many documents that lack the new key.
func (i *installation) advance(after time.Duration, lacking int) {
	i.t.Helper()
	i.now = i.now.Add(after)
	if _, err := i.Advance(i.t.Context(), out{published: true, lacking: lacking}); err != nil {
		i.t.Fatal(err)
	}
}

// states are the keys in the order of the newest document.
func (i *installation) states() (ids []string, states string) {
	i.t.Helper()
	set, err := i.Set(i.t.Context(), already)
	if err != nil {
		i.t.Fatal(err)
	}
	for _, k := range set.Keys {
		ids, states = append(ids, k.KeyID), states+" "+string(k.State)
	}
	return ids, strings.TrimSpace(states)
}

func (i *installation) chain() *keychain.Chain {
	i.t.Helper()
	cm := get[corev1.ConfigMap](i.t, i.Keys, delivery.KeysConfigMap)
	c, err := keychain.ParseChain([]byte(cm.Data[delivery.KeyChain]))
	if err != nil {
		i.t.Fatal(err)
	}
	return c
}

// signers are the IDs that an envelope of the installation names now.
func (i *installation) signers() []string {
	i.t.Helper()
	set, err := i.Set(i.t.Context(), already)
	if err != nil {
		i.t.Fatal(err)
	}
	raw, err := set.Sign([]byte("x"))
	if err != nil {
		i.t.Fatal(err)
	}
	e, err := dsse.Parse(raw, len(raw))
	if err != nil {
		i.t.Fatal(err)
	}
	var ids []string
	for _, s := range e.Signatures {
		ids = append(ids, s.KeyID)
	}
	return ids
}

func TestARotationFromBeginningToEnd(t *testing.T) {
	i := newInstallation(t)
	first, _ := i.states()
	pinned, err := keychain.Pin(publicKey(t, i, first[0]))
	if err != nil {
		t.Fatal(err)
	}
	i.ask("rotate")
	i.advance(0, 0)
	ids, states := i.states()
	if a, b := ids[0], ids[1]; states != "Active Next" || a != first[0] || !cmp.Equal([]string{a}, i.signers()) {
		t.Fatalf("announced: %s, signed by %v", states, i.signers())
	} else if data := get[corev1.ConfigMap](t, i.Keys, "trusted-keys").Data; len(data) != 2 || data[b+".pem"] == "" {
		t.Errorf("the service is told of %v before the new key signs", data)
	}
	i.advance(7*24*time.Hour, 0)
	if _, states := i.states(); states != "Retiring Active" || !cmp.Equal([]string{ids[1], ids[0]}, i.signers()) {
		t.Fatalf("both sign: %s, signed by %v", states, i.signers())
	}
	i.advance(30*24*time.Hour, 1)
	if got := i.report().Message; got != fmt.Sprintf("key %s stays until the new one has signed 1 more documents", ids[0][:12]) {
		t.Errorf("report %q", got)
	}
	i.restart()
	i.advance(time.Second, 0)
	if now, states := i.states(); states != "Active" || now[0] != ids[1] || !cmp.Equal([]string{ids[1]}, i.signers()) {
		t.Fatalf("the old one is gone: %s", states)
	}
	var secret corev1.Secret
	if err := i.Client.Get(t.Context(), client.ObjectKey{Namespace: i.Namespace, Name: "signing-key"}, &secret); !apierrors.IsNotFound(err) {
		t.Errorf("the old Secret is there: %v", err)
	}
	// Who pinned the first key alone gets there too.
	followed, err := pinned.Follow(i.chain())
	if err != nil || len(followed.Keys) != 1 || followed.Keys[0].KeyID != ids[1] || followed.Number != i.report().Number {
		t.Errorf("followed to %+v, %v", followed, err)
	}
	// And the next rotation goes back into the Secret that is free.
	i.ask("rotate")
	i.advance(0, 0)
	get[corev1.Secret](t, i.Keys, "signing-key")
}

func publicKey(t *testing.T, i *installation, id string) dsse.Key {
	t.Helper()
	k, err := dsse.ParsePublicKeyPEM([]byte(get[corev1.ConfigMap](t, i.Keys, "trusted-keys").Data[id+".pem"]))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// dying ends a manager before or after its nth write.
type dying struct {
	client.Client
	writes int
	after  bool
}

var errDied = errors.New("the manager died")

func (d *dying) write(do func() error) error {
	d.writes--
	if d.writes == 0 && d.after {
		return errors.Join(do(), errDied)
	}
	if d.writes <= 0 {
		return errDied
	}
	return do()
}

func (d *dying) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	return d.write(func() error { return d.Client.Create(ctx, o, opts...) })
}

func (d *dying) Update(ctx context.Context, o client.Object, opts ...client.UpdateOption) error {
	return d.write(func() error { return d.Client.Update(ctx, o, opts...) })
}

func (d *dying) Delete(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	return d.write(func() error { return d.Client.Delete(ctx, o, opts...) })
}

func TestACrashAtAnyWriteRepeatsItAndLosesNoKey(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 1; n <= 4; n++ {
			t.Run(fmt.Sprintf("write %d, after %t", n, after), func(t *testing.T) {
				i := newInstallation(t)
				first, _ := i.states()
				pinned, err := keychain.Pin(publicKey(t, i, first[0]))
				if err != nil {
					t.Fatal(err)
				}
				i.ask("rotate")
				for _, wait := range []time.Duration{0, 7 * 24 * time.Hour, 30 * 24 * time.Hour} {
					i.now = i.now.Add(wait)
					i.restart()
					i.Client = &dying{Client: i.Client, writes: n, after: after}
					if _, err := i.Advance(t.Context(), already); err != nil && !errors.Is(err, errDied) {
						t.Fatal(err)
					}
					i.restart()
					i.advance(time.Second, 0)
				}
				if ids, states := i.states(); states != "Active" || ids[0] == first[0] {
					t.Errorf("in the end %s %v", states, ids)
				}
				if len(i.chain().Documents) != 4 {
					t.Errorf("the chain has %d documents, want one for each state", len(i.chain().Documents))
				}
				if _, err := pinned.Follow(i.chain()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestALostKeyIsToldAndDoneWithoutOnlyByAPersonsWord(t *testing.T) {
	i := newInstallation(t)
	i.ask("rotate")
	i.advance(0, 0)
	ids, _ := i.states()
	if err := i.Client.Delete(t.Context(), get[corev1.Secret](t, i.Keys, "signing-key")); err != nil {
		t.Fatal(err)
	}
	_, err := i.Advance(t.Context(), already)
	want := fmt.Sprintf("the signing key is missing although documents were published with it: restore the Secret with key %s (%s/signing-key or signing-key-2) from a backup; "+
		"if another key is announced or signs too, kubectl miniprogram keys drop %s does without it", ids[0], i.Namespace, ids[0][:12])
	if !errors.Is(err, signing.ErrKeyMissing) || err.Error() != want || !errors.Is(i.Trouble(), signing.ErrKeyMissing) {
		t.Errorf("got %v, want %s", err, want)
	}
	if got := i.signers(); !cmp.Equal([]string{ids[0]}, got) {
		t.Errorf("what was read before does not sign any more: %v", got)
	}
	i.ask("drop " + ids[0])
	i.advance(time.Second, 1)
	if got := i.signers(); !cmp.Equal([]string{ids[1]}, got) {
		t.Errorf("signed by %v, want the key that was announced", got)
	}
	i.advance(time.Second, 0)
	if now, states := i.states(); states != "Active" || now[0] != ids[1] {
		t.Errorf("in the end %s %v", states, now)
	}
}

func TestAForgedChainIsNotBelieved(t *testing.T) {
	i, other := newInstallation(t), newInstallation(t)
	cm := get[corev1.ConfigMap](t, i.Keys, delivery.KeysConfigMap)
	cm.Data = get[corev1.ConfigMap](t, other.Keys, delivery.KeysConfigMap).Data
	if err := i.Client.Update(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	before := get[corev1.ConfigMap](t, i.Keys, "trusted-keys").Data
	i.restart()
	if _, err := i.Advance(t.Context(), already); err == nil || !strings.Contains(err.Error(), "its last document is signed by no key that is held") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, get[corev1.ConfigMap](t, i.Keys, "trusted-keys").Data); diff != "" {
		t.Errorf("the service is told of a stranger's key:\n%s", diff)
	}
}

// overlapping is an installation in which both keys sign.
func overlapping(t *testing.T) (*installation, *signing.Set, *signing.Set) {
	t.Helper()
	i := newInstallation(t)
	one, err := i.Set(t.Context(), already)
	if err != nil {
		t.Fatal(err)
	}
	i.ask("rotate")
	i.advance(0, 0)
	i.advance(7*24*time.Hour, 0)
	both, err := i.Set(t.Context(), already)
	if err != nil {
		t.Fatal(err)
	}
	return i, one, both
}

func TestADocumentThatIsSignedAnewStaysWhatItIs(t *testing.T) {
	_, one, both := overlapping(t)
	doc := &document.Release{
		Type: document.TypeRelease, AppID: "com.example.shop", Channel: document.ChannelRelease, HostApps: []string{"wallet"},
		Rollout: document.Rollout{Namespace: "shop-team", Name: "shop"}, Sequence: 1, IssuedAt: document.At(began),
		ExpiresAt: document.At(began.Add(time.Hour)), PollSeconds: 60, Availability: document.Listed, Decide: document.DecideHost,
	}
	payload, err := document.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	old, err := one.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	if !both.Good(old, payload) || both.Complete(old) || !both.Lacks(old) {
		t.Errorf("good %t, complete %t, lacks %t: want a good one that the new key has to sign", both.Good(old, payload), both.Complete(old), both.Lacks(old))
	}
	anew, err := both.SignAnew(old)
	if err != nil {
		t.Fatal(err)
	}
	if !both.Good(anew, payload) || !both.Complete(anew) || both.Lacks(anew) {
		t.Error("it is signed anew and not complete")
	}
	for _, set := range []*signing.Set{one, both} {
		pinned, err := set.Keys[0].Public()
		if err != nil {
			t.Fatal(err)
		}
		got, err := release.Verify(anew, release.Expect{
			AppID: doc.AppID, Channel: doc.Channel, HostApp: "wallet", Keys: []dsse.Key{pinned}, Now: began,
			Seen: release.Seen{Sequence: 1, IssuedAt: began},
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(doc, got.Document); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestWhatIsNotOursIsNotSignedAnew(t *testing.T) {
	_, one, both := overlapping(t)
	_, _, stranger := overlapping(t)
	theirs, err := stranger.Sign([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := one.Sign([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for name, envelope := range map[string][]byte{
		"a stranger's":                     theirs,
		"nothing":                          nil,
		"ours with something added":        append([]byte(" "), ours...),
		"ours with the keys' payload type": []byte(strings.Replace(string(ours), document.PayloadType, keychain.PayloadType, 1)),
	} {
		if got, err := both.SignAnew(envelope); err == nil {
			t.Errorf("%s: signed as %s", name, got)
		}
		if both.Good(envelope, []byte("x")) || both.Lacks(envelope) {
			t.Errorf("%s: good %t, lacks %t", name, both.Good(envelope, []byte("x")), both.Lacks(envelope))
		}
	}
}
