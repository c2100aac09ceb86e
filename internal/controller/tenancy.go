package controller

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// claimants are the programs that have the app ID of a ledger, its holder and all
// who would like to be.
func (s *Shared) claimants(ctx context.Context, ledgerName string) []v1alpha1.MiniProgram {
	var programs v1alpha1.MiniProgramList
	if err := s.Client.List(ctx, &programs, client.MatchingFields{indexLedger: ledgerName}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing mini programs to wake")
		return nil
	}
	return programs.Items
}

// appIDTaken stalls who does not hold the app ID. It names who can change that,
// and how, and not the holder: that is another developer group's affair.
func appIDTaken(claimant ledger.Holder, taken *ledger.TakenError) error {
	return task.Stall("AppIDTaken", fmt.Errorf(
		"%w: create a MiniProgram with another app ID, or let somebody with verb transfer on miniprograms in the whole cluster (ClusterRole miniprogram-admin has it) move it here: "+
			"kubectl annotate mp %s -n %s --overwrite %s=%s",
		taken, claimant.Name, claimant.Namespace, v1alpha1.ActionAnnotation, transferAction(taken.Holders)))
}

// verbTransfer is the verb of the action that moves an app ID.
const verbTransfer = "transfer"

// transferAction is the action that moves an app ID that has had so many holders.
func transferAction(holders int64) string { return fmt.Sprintf("%s@%d", verbTransfer, holders) }
