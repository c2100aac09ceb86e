package decide_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

func TestRaisingAShareNeverTakesTheTargetFromAnybody(t *testing.T) {
	_, documents := readVectors(t)
	low, high := *documents["fifth"], *documents["fifth"]
	random := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		lowSplit, highSplit := *low.Split, *high.Split
		lowSplit.BasisPoints = random.Int32N(10001)
		highSplit.BasisPoints = lowSplit.BasisPoints + random.Int32N(10001-lowSplit.BasisPoints)
		low.Split, high.Split = &lowSplit, &highSplit
		req := decide.Request{User: fmt.Sprint(random.Uint64())}
		before, _ := decide.Decide(&low, req)
		after, _ := decide.Decide(&high, req)
		if before.Cohort == decide.CohortTarget && after.Cohort != decide.CohortTarget {
			t.Fatalf("user %s has the target at %d basis points and not at %d", req.User, lowSplit.BasisPoints, highSplit.BasisPoints)
		}
	}
}

func TestDecidingChangesNeitherDocumentNorRequest(t *testing.T) {
	file, documents := readVectors(t)
	_, fresh := readVectors(t)
	for _, c := range file.Cases {
		req := c.Request.request()
		_, _ = decide.Decide(documents[c.Document], req)
		if again := c.Request.request(); !reflect.DeepEqual(req.Attributes, again.Attributes) {
			t.Errorf("%s: attributes are %v, were %v", c.Name, req.Attributes, again.Attributes)
		}
	}
	if !reflect.DeepEqual(documents, fresh) {
		t.Error("a document was changed")
	}
}

func TestTheVariantPointsIntoTheDocument(t *testing.T) {
	_, documents := readVectors(t)
	doc := documents["quiet"]
	got, err := decide.Decide(doc, decide.Request{User: "user-1"})
	want := decide.Decision{
		Action: decide.ActionInstall, Variant: doc.Stable, Cohort: decide.CohortStable,
		Reason: decide.ReasonNoTarget, Bucket: -1, Delivery: doc.Stable.Delivery,
	}
	if err != nil || got != want {
		t.Errorf("got %+v and %v, want %+v", got, err, want)
	}
}

func TestAnOperatorThatIsNotKnownHoldsForNobody(t *testing.T) {
	_, documents := readVectors(t)
	doc := *documents["everybody"]
	doc.Audience = &document.Audience{Rules: []document.Rule{{Attribute: "city", Operator: "Near", Values: []string{"Paris"}}}}
	got, err := decide.Decide(&doc, decide.Request{User: "user-1", Attributes: map[string]string{"city": "Paris"}})
	if err != nil || got.Reason != decide.ReasonRuleNotMatched {
		t.Errorf("got %+v and %v", got, err)
	}
}

func TestDecidingDoesNotAllocate(t *testing.T) {
	_, documents := readVectors(t)
	parts := document.HashParts("com.example.shop/audience", []string{"user-1"})[0]
	inPart := func(_ document.Part, hash document.KeyHash) bool { return parts.Has(hash) }
	for document, req := range map[string]decide.Request{
		"audience": {User: "user-1", Now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC),
			Attributes: map[string]string{"city": "Beijing", "hostAppVersion": "8.0.10"}},
		"compatibility":  {User: "user-1", Platform: "ios", HostVersion: "7.2"},
		"recalledByName": {User: "user-4"},
		"service":        {User: "user-2", InPart: inPart},
		"recalledParts":  {User: "user-1", InPart: inPart},
	} {
		if n := testing.AllocsPerRun(100, func() { _, _ = decide.Decide(documents[document], req) }); n != 0 {
			t.Errorf("document %s: %v allocations", document, n)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	_, documents := readVectors(b)
	doc, req := documents["fifth"], decide.Request{User: "user-1"}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = decide.Decide(doc, req)
	}
}
