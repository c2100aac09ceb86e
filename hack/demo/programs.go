package main

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// hostApp is the one that the 1,000 users have.
const hostApp = "wallet"

// program is a sample mini program. Its Rollout has the same name.
type program struct{ namespace, name, appID string }

func (p program) key() types.NamespacedName {
	return types.NamespacedName{Namespace: p.namespace, Name: p.name}
}

var (
	programShop    = program{"shop-team", "shop", "com.example.shop"}
	programNotes   = program{"shop-team", "notes", "com.example.notes"}
	programTransit = program{"transit-team", "transit", "com.example.transit"}
	programs       = []program{programShop, programNotes, programTransit}
)

// version is one that was handed in.
type version struct {
	program program
	// object is the name of the MiniProgramVersion, version what it is.
	object, version string
	author          string
	format          string
	// archive is the file that the developer handed in, below config/samples.
	archive string
	// digest is known once it is pushed.
	digest string
	// approved is when the last reviewer began to approve it.
	approved time.Time
}

func (v version) key() types.NamespacedName {
	return types.NamespacedName{Namespace: v.program.namespace, Name: v.object}
}

func (v version) String() string { return v.program.name + " " + v.version }

var (
	shop100    = version{program: programShop, object: "shop-1-0-0", version: "1.0.0", author: dana, format: "MiniApp", archive: "shop-1.0.0.zip"}
	shop110    = version{program: programShop, object: "shop-1-1-0", version: "1.1.0", author: dana, format: "MiniApp", archive: "shop-1.1.0.zip"}
	shop120    = version{program: programShop, object: "shop-1-2-0", version: "1.2.0", author: dana, format: "MiniApp", archive: "shop-1.2.0.zip"}
	notes090   = version{program: programNotes, object: "notes-0-9-0", version: "0.9.0", author: dana, format: "Web", archive: "notes-0.9.0.zip"}
	transit230 = version{program: programTransit, object: "transit-2-3-0", version: "2.3.0", author: tariq, format: "Dimina", archive: "transit-2.3.0.zip"}
)

// versionSet remembers versions with their digests. It may be used concurrently.
type versionSet struct {
	mu   sync.Mutex
	byID map[string]version
}

func (s *versionSet) put(v version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = map[string]version{}
	}
	s.byID[v.object] = v
}

// get returns the version with its digest, as far as that is known.
func (s *versionSet) get(v version) version {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.byID[v.object]; ok {
		return known
	}
	return v
}
