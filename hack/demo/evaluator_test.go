package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestTheSecondEvaluatorPassesTheVectors(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "sdk", "vectors", "bucket-v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Seed, Key, Hash string
			Bucket          int64
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) < 8 {
		t.Fatalf("only %d vectors", len(file.Vectors))
	}
	for _, v := range file.Vectors {
		if got := fmt.Sprintf("%08x", murmur3([]byte(v.Seed+":"+v.Key))); got != v.Hash {
			t.Errorf("hash of %q and %q: %s, want %s", v.Seed, v.Key, got, v.Hash)
		}
		if got := bucketOf(v.Seed, v.Key); got != v.Bucket {
			t.Errorf("bucket of %q and %q: %d, want %d", v.Seed, v.Key, got, v.Bucket)
		}
	}
}

func TestUsersInTheShareAreDueTheTargetAndTheOthersStable(t *testing.T) {
	place := bucketOf("app@new", "somebody")
	for name, test := range map[string]struct {
		asked asked
		want  string
	}{
		"a share just above the user's bucket":        {asked{appID: "app", target: "new", stable: "old", hundredths: place + 1}, "new"},
		"a share that ends at the user's bucket":      {asked{appID: "app", target: "new", stable: "old", hundredths: place}, "old"},
		"no share at all":                             {asked{appID: "app", target: "new", stable: "old"}, "old"},
		"everybody":                                   {asked{appID: "app", target: "new", stable: "old", hundredths: 10000}, "new"},
		"outside the share of a first release":        {asked{appID: "app", target: "new"}, ""},
		"nothing is released":                         {asked{appID: "app"}, ""},
		"no target, whatever the share that is there": {asked{appID: "app", stable: "old", hundredths: 10000}, "old"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.asked.due("somebody"); got != test.want {
				t.Errorf("due: %q, want %q", got, test.want)
			}
		})
	}
}

func TestAStepsShareIsReadExactly(t *testing.T) {
	for text, want := range map[intstr.IntOrString]int64{
		intstr.FromInt32(0):          0,
		intstr.FromInt32(5):          500,
		intstr.FromInt32(100):        10000,
		intstr.FromString("0.25%"):   25,
		intstr.FromString("0.01%"):   1,
		intstr.FromString("33.3%"):   3330,
		intstr.FromString("100.00%"): 10000,
	} {
		got, err := hundredthsOf(text)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", text.String(), got, err, want)
		}
	}
	if got, err := hundredthsOf(intstr.FromString("0.125%")); err == nil {
		t.Errorf("0.125%% was read as %d, want an error", got)
	}
}
