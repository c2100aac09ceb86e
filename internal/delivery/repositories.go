package delivery

import (
	"slices"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Repositories lists, for KeyRepository, where the blobs of all that the status
// serves are: in own, "<namespace>/<mini program>", and, of what was taken over
// from a former holder of the app ID, in that one's repository.
func Repositories(own string, st *v1alpha1.RolloutStatus) string {
	all := []string{own}
	served := slices.Clone(st.Rollbacks)
	for _, v := range []*v1alpha1.Variant{st.Stable, st.Target} {
		if v != nil {
			served = append(served, *v)
		}
	}
	for _, v := range served {
		if r := BelowPrefix(v.Repository); r != "" && !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	slices.Sort(all[1:])
	return strings.Join(all, " ")
}

// BelowPrefix is "namespace/mini program", the end of "registry/prefix/namespace/mini program": neither of
// the last two parts has a slash in it.
func BelowPrefix(repository string) string {
	parts := strings.Split(repository, "/")
	if len(parts) < 3 {
		return ""
	}
	return strings.Join(parts[len(parts)-2:], "/")
}
