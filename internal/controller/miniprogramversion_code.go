package controller

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// reasonVersionReused is the rule that a version code stands for one content.
const reasonVersionReused = "VersionReused"

// codeRecheck is how soon to look again whether another version, which is being
// published just now, has taken the code for good.
const codeRecheck = 5 * time.Second

// claimCode refuses a version code that another version of the program has used
// for other content: containers compare codes to tell what is new. Codes that
// nobody wrote down, but that were made of the version's numbers, are not held
// against each other: 1.2.0-rc.1 and 1.2.0 have the same.
func (r *MiniProgramVersionReconciler) claimCode(ctx context.Context, s *versionScope, b *bundle.Bundle) error {
	v := s.version
	if !codeWritten(v, b.Format) {
		return nil
	}
	code := versionCode(v, b)
	var list v1alpha1.MiniProgramVersionList
	if err := r.Client.List(ctx, &list, append(beside(v, indexProgram, s.program.Name), client.UnsafeDisableDeepCopy)...); err != nil {
		return err
	}
	for i := range list.Items {
		other := &list.Items[i]
		used := other.Status.Bundle
		if other.Name == v.Name || used == nil || used.VersionCode != code || used.ContentDigest == b.ContentDigest || !codeWritten(other, bundle.Format(used.Format)) {
			continue
		}
		return task.Stall(reasonVersionReused, fmt.Errorf("version code %d is that of MiniProgramVersion %s, which has other content (%s, not %s), and a code is never used twice: publish this with a higher one, as a new MiniProgramVersion",
			code, other.Name, used.ContentDigest, b.ContentDigest))
	}
	if holder, ok := r.codes.claim(client.ObjectKeyFromObject(v), s.program.Name, code, b.ContentDigest); !ok {
		return task.Wait(reasonVersionReused, codeRecheck, "MiniProgramVersion %s is being published with version code %d and other content", holder, code)
	}
	return nil
}

// codeWritten tells that a person has chosen the code: in the spec, or in the
// manifest of the only format that has one.
func codeWritten(v *v1alpha1.MiniProgramVersion, format bundle.Format) bool {
	return v.Spec.VersionCode != 0 || format == bundle.FormatMiniApp
}

// codeClaims are the codes of versions that are being published: until a status
// says so, no other pass can see it. The zero value has none.
type codeClaims struct {
	mu sync.Mutex
	// by version, so that each can be forgotten.
	by map[types.NamespacedName]codeClaim
}

type codeClaim struct {
	program string
	code    int64
	content string
}

// claim keeps a code for a version, unless another one of the same program holds
// it with other content: then it returns that one's name.
func (c *codeClaims) claim(version types.NamespacedName, program string, code int64, content string) (holder string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for by, held := range c.by {
		if by != version && by.Namespace == version.Namespace && held.program == program && held.code == code && held.content != content {
			return by.Name, false
		}
	}
	if c.by == nil {
		c.by = map[types.NamespacedName]codeClaim{}
	}
	c.by[version] = codeClaim{program, code, content}
	return "", true
}

// forget gives a code free: the version's status has it, or it is not published.
func (c *codeClaims) forget(version types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.by, version)
}
