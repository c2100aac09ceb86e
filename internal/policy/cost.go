package policy

import (
	"strings"

	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// sizes tells CEL how long lists and texts in the variables may be, for the
// estimate of an expression's cost.
type sizes struct{}

// The bounds of the API where they are above those of all others.
var listSizes = map[string]uint64{
	"bundle.files":      uint64(bundle.DefaultLimits().Entries),
	"bundle.subBundles": uint64(bundle.DefaultLimits().Entries),
	"bundle.pages":      uint64(bundle.DefaultLimits().Entries),
	"bundle.uses":       2000,
}

const (
	maxList = 100
	maxText = 4096
)

// EstimateSize answers for what begins at a variable.
func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	if len(node.Path()) == 0 {
		return nil
	}
	kind := node.Type().Kind()
	if kind == types.StringKind {
		return &checker.SizeEstimate{Max: maxText}
	}
	if kind != types.ListKind && kind != types.MapKind {
		return nil
	}
	if n, known := listSizes[strings.Join(node.Path(), ".")]; known {
		return &checker.SizeEstimate{Max: n}
	}
	return &checker.SizeEstimate{Max: maxList}
}

// EstimateCallCost leaves calls to CEL.
func (sizes) EstimateCallCost(_, _ string, _ *checker.AstNode, _ []checker.AstNode) *checker.CallEstimate {
	return nil
}
