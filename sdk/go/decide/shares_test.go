package decide_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// A million users are drawn at each of these shares, as host apps draw them.
var shares = []int32{1, 25, 100, 500, 5000, 10000}

const million = 1_000_000

// handedTo is how many users have the target at a share, of those in the audience.
func handedTo(t *testing.T, doc *document.Release, basisPoints int32, requests func(int) decide.Request, has []bool) int {
	t.Helper()
	split := *doc.Split
	split.BasisPoints = basisPoints
	at := *doc
	at.Split = &split
	count := 0
	for i := range has {
		decision, err := decide.Decide(&at, requests(i))
		if err != nil {
			t.Fatal(err)
		}
		if has[i] = decision.Cohort == decide.CohortTarget; has[i] {
			count++
		}
	}
	return count
}

// bound is five standard deviations of a fair draw of n users with probability p: one
// in 1.7 million draws is further away.
func bound(n int, p float64) float64 { return 5 * math.Sqrt(float64(n)*p*(1-p)) }

func TestAMillionUsersAreDrawnInTheShareThatIsSet(t *testing.T) {
	_, documents := readVectors(t)
	doc := documents["fifth"]
	var before []bool
	for _, basisPoints := range shares {
		has := make([]bool, million)
		got := handedTo(t, doc, basisPoints, func(i int) decide.Request { return decide.Request{User: fmt.Sprintf("user-%d", i)} }, has)
		p := float64(basisPoints) / 10000
		want := million * p
		t.Logf("%6.2f %%: %7d users, %+6.0f of the share, %.0f are allowed", 100*p, got, float64(got)-want, bound(million, p))
		if off := math.Abs(float64(got) - want); off > bound(million, p) {
			t.Errorf("%d basis points: %d users of a million, %.0f away from the share, %.0f are allowed", basisPoints, got, off, bound(million, p))
		}
		for i, had := range before {
			if had && !has[i] {
				t.Fatalf("user %d had the target at a lower share and has it not at %d basis points", i, basisPoints)
			}
		}
		before = has
	}
}

// Percent is of the audience: of the third that a rule admits, as many as of all.
func TestTheShareIsOfTheAudience(t *testing.T) {
	_, documents := readVectors(t)
	doc := *documents["fifth"]
	doc.Audience = &document.Audience{
		Seed: "s", Exclude: document.KeySet{Hashes: document.HashKeys("s", []string{"user-0", "user-3"})},
		Rules: []document.Rule{{Attribute: "city", Operator: document.In, Values: []string{"Shanghai"}}},
	}
	const users = 300_000
	cities := []map[string]string{{"city": "Shanghai"}, {"city": "Beijing"}, {"city": "Lhasa"}}
	for _, basisPoints := range shares {
		has := make([]bool, users)
		got := handedTo(t, &doc, basisPoints, func(i int) decide.Request {
			return decide.Request{User: fmt.Sprintf("user-%d", i), Attributes: cities[i%3]}
		}, has)
		const admitted = users/3 - 2
		p := float64(basisPoints) / 10000
		if off := math.Abs(float64(got) - admitted*p); off > bound(admitted, p) {
			t.Errorf("%d basis points: %d users of %d, %.0f away from the share, %.0f are allowed", basisPoints, got, admitted, off, bound(admitted, p))
		}
		if has[0] || has[3] {
			t.Errorf("%d basis points: an excluded user has the target", basisPoints)
		}
	}
}

// As the share falls step by step, nobody who came later is left while one who came
// earlier has gone: the order of going is that of coming, backwards.
func TestWhoCameLastGoesFirst(t *testing.T) {
	_, documents := readVectors(t)
	doc := documents["fifth"]
	const users = 5000
	requests := func(i int) decide.Request { return decide.Request{User: fmt.Sprintf("user-%d", i)} }
	came, went := make([]int32, users), make([]int32, users)
	for i := range users {
		came[i], went[i] = math.MaxInt32, -1
	}
	steps := []int32{0, 1, 25, 100, 101, 500, 2500, 5000, 9999, 10000}
	has := make([]bool, users)
	for _, basisPoints := range steps {
		handedTo(t, doc, basisPoints, requests, has)
		for i, is := range has {
			if is {
				came[i] = min(came[i], basisPoints)
			}
		}
	}
	for _, basisPoints := range slices.Backward(steps) {
		handedTo(t, doc, basisPoints, requests, has)
		for i, is := range has {
			if !is {
				went[i] = max(went[i], basisPoints)
			}
		}
	}
	for i := range users {
		// He went at the highest share below the one at which he came.
		if at := slices.Index(steps, came[i]); at < 1 || went[i] != steps[at-1] {
			t.Fatalf("user %d came at %d basis points and went at %d", i, came[i], went[i])
		}
	}
}
