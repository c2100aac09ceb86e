package admissiontest

import "testing"

// statusOf has for each kind what to write into whose status.
var statusOf = map[string]struct{ resource, name, field string }{
	"MiniProgram":        {"miniprograms", "shop", "latestVersion: 1.0.0"},
	"MiniProgramVersion": {"miniprogramversions", "shop-1", "summary: Approved."},
	"Review":             {"reviews", "pending", `recordTime: "2026-01-01T00:00:00Z"`},
	"Rollout":            {"rollouts", "shop", "percent: 100%"},
	"ReviewPolicy":       {"reviewpolicies", "base", "observedGeneration: 1"},
	"HostApp":            {"hostapps", "wallet", "miniPrograms: 1"},
}

func TestOnlyTheControllerWritesStatus(t *testing.T) {
	cells := map[string]cell{}
	for kind, s := range statusOf {
		do := patchStatus(kind, s.name, "status: {"+s.field+"}")
		cells["the controller, of "+kind] = cell{who: controller, do: do}
		// Each has the RBAC right to write the subresource.
		for _, who := range []string{leon, carl, installer} {
			cells[who+" not, of "+kind] = cell{
				who: who,
				do:  do,
				want: denied(s.resource, s.name, "miniprogram-status-writers", "status: only controllers write the status of "+s.resource+
					" (verb report on controllers.miniprogram.dev, given by name and not by a wildcard), not "+who+
					": change the spec, or set the annotation miniprogram.dev/action"),
			}
		}
	}
	check(t, cells)
}
