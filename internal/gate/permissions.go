package gate

import (
	"slices"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// NoPermission in ApprovedPermissions agrees to nothing, also where a version
// declares a permission of that name: a list cannot be empty in the API.
const NoPermission = "none"

// needOptional is the need of a permission that the mini program can do without.
const needOptional = "Optional"

// agrees says whether r agrees to a permission.
func agrees(r Review, permission string) bool {
	return len(r.ApprovedPermissions) == 0 || permission != NoPermission && slices.Contains(r.ApprovedPermissions, permission)
}

// refused are the permissions that the version needs and r leaves out, sorted.
func (j *judge) refused(r Review) []string { return j.leftOut(r, needed) }

// withhold notes what r leaves out, which counts for the rule or would with what is needed.
func (j *judge) withhold(r Review, rule Rule) {
	if out := j.leftOut(r, optional); len(out) > 0 {
		j.v.Withheld = append(j.v.Withheld, out...)
		j.expire(end(r, rule)) // also where another review of the same person counts longer
	}
}

// leftOut are the declared permissions of a sort that r does not agree to, sorted.
func (j *judge) leftOut(r Review, sort func(v1alpha1.Permission) bool) []string {
	var out []string
	for _, p := range j.q.Permissions {
		if sort(p) && !agrees(r, p.Name) {
			out = append(out, p.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func optional(p v1alpha1.Permission) bool { return p.Need == needOptional }

// needed is everything else: what nobody understands is not to be left out.
func needed(p v1alpha1.Permission) bool { return !optional(p) }

// handedOut are the permissions that the version is released with: all that it
// declares and that are not withheld, each as one that must not be left out.
func handedOut(declared []v1alpha1.Permission, withheld []string) []v1alpha1.Permission {
	var out []v1alpha1.Permission
	for _, p := range declared {
		if needed(p) || !slices.Contains(withheld, p.Name) {
			out = append(out, v1alpha1.Permission{Name: p.Name})
		}
	}
	return out
}
