package admissiontest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

// The approval matrix: each operation as each sort of account, with what happens.
// The outcomes stand in docs/approvals.md, which this test reads, so that what
// people read is what was tried.

// columns of the matrix, and who acts in each.
var columns = []struct{ name, user string }{
	{"author", dora},
	{"approver", wanda},
	{"other role", quentin},
	{"other program", otis},
	{"other host app", hugo},
	{"developer", dan},
	{"patcher", paul},
	{"operator", olga},
	{"admin", adam},
	{"system:masters", installer},
	{"cluster-admin", carl},
	{"Argo CD", argo},
	{"controller", controller},
}

// fullName is the user's name as the API server knows it.
func fullName(user string) string {
	switch user {
	case controller:
		return managerAccount
	case argo:
		return argoAccount
	}
	return user
}

// operation is what a row tries, given the full name of who tries it.
type operation func(self string) request

func just(r request) operation { return func(string) request { return r } }

// matrix has the rows. A change in two patches is two rows: to take an immutable
// field away, and to set one that is not there.
func matrix() map[string]operation {
	rows := map[string]operation{
		"create a pending Review":                just(create("Review", "own", pendingReview)),
		"create a pending Review of a step":      just(create("Review", "own", pendingReview+stepOfShop)),
		"approve":                                func(self string) request { return decide("pending", "Approved", self) },
		"reject":                                 func(self string) request { return decide("pending", "Rejected", self) },
		"approve for host app wallet":            func(self string) request { return decide("pending-wallet", "Approved", self) },
		"approve a step":                         func(self string) request { return decide("pending-step", "Approved", self) },
		"approve in another's name":              just(decide("pending", "Approved", "somebody")),
		"approve and change the digest with it":  func(self string) request { return deciding("pending", self, "digest: "+otherDigest) },
		"approve what failed":                    func(self string) request { return deciding("pending", self, "checklist: [{item: Kids, result: Fail}]") },
		"approve over somebody else's rejection": func(self string) request { return deciding("pending", self, "supersedes: rejected") },
		"create an approval":                     func(self string) request { return createApproval(self, digest, "") },
		"create an approval of another digest":   func(self string) request { return createApproval(self, otherDigest, "") },
		"create an approval of a step":           func(self string) request { return createApproval(self, digest, stepOfShop) },

		"withdraw":                         change("pending", "decision: Withdrawn"),
		"add evidence":                     change("pending", `evidence: [{title: Video, url: "https://example.com/video"}, {title: Screens, url: "https://example.com/screens"}]`),
		"take evidence away":               change("pending", "evidence: []"),
		"draft a comment":                  change("pending", "comment: Half way through."),
		"draft the permissions":            change("pending", "approvedPermissions: [camera]"),
		"prepare to lift a rejection":      change("pending", "supersedes: rejected"),
		"change the digest":                change("pending", "digest: "+otherDigest),
		"change the role":                  change("pending", "role: quality"),
		"unset the host app":               change("pending-wallet", "hostApp: null"),
		"set a host app where none is":     change("pending", "hostApp: wallet"),
		"unset the end":                    change("pending-wallet", "expirationTime: null"),
		"set an end where none is":         change("pending", `expirationTime: "2037-01-01T00:00:00Z"`),
		"unset the step":                   change("pending-step", "rollout: null"),
		"set a step where none is":         change("pending", "rollout: {name: shop, attempt: 1, step: 2}"),
		"unset the author":                 change("pending", "requestedBy: null"),
		"set an author where none is":      change("pending-other", "requestedBy: somebody"),
		"give it to the garbage collector": just(patch("Review", "pending", "metadata: {ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: bundle, uid: 0-1}]}")),

		"turn the decision":               change("approved", "decision: Rejected"),
		"take the decision back":          change("approved", "decision: Pending"),
		"withdraw the decision":           change("approved", "decision: Withdrawn"),
		"change its comment":              change("approved", "comment: Well."),
		"take its permissions away":       change("recorded", "approvedPermissions: null"),
		"set permissions where none are":  change("approved", "approvedPermissions: [camera]"),
		"add evidence after the decision": change("approved", `evidence: [{title: Video, url: "https://example.com/video"}]`),

		"delete a pending Review":                         just(remove("Review", "pending")),
		"delete a withdrawn Review":                       just(remove("Review", "withdrawn")),
		"delete a decided Review that is recorded":        just(remove("Review", "recorded")),
		"delete a decided Review that is not recorded":    just(remove("Review", "rejected")),
		"delete a mini program whose status keeps a veto": just(remove("MiniProgram", "vetoed")),
	}
	for kind, s := range statusOf {
		rows["write the status of a "+kind] = just(patchStatus(kind, s.name, "status: {"+s.field+"}"))
	}
	for kind, verbs := range actionVerbs {
		for i, verb := range verbs {
			on := " on a " + kind
			rows["set "+verb+on] = func(self string) request { return act(kind, idle[kind], verb+"@1", self) }
			other := verbs[(i+1)%len(verbs)]
			rows["replace "+verb+" by "+other+on] = func(self string) request { return act(kind, acting(verb), other+"@2", self) }
			rows["take "+verb+" back"+on] = just(act(kind, acting(verb), "", ""))
		}
	}
	return rows
}

const otherDigest = "sha256:3333333333333333333333333333333333333333333333333333333333333333"

func change(review, spec string) operation { return just(patch("Review", review, "spec: {"+spec+"}")) }

func deciding(review, self, more string) request {
	return patch("Review", review, "spec: {decision: Approved, reviewer: "+quote(self)+", "+more+"}")
}

func createApproval(self, of, more string) request {
	return create("Review", "own", strings.Replace(pendingReview, digest, of, 1)+more+"\n  decision: Approved\n  reviewer: "+quote(self))
}

// actionVerbs are all actions, idle an object of each kind on which none stands.
var (
	actionVerbs = map[string][]string{
		"Rollout":            {"promote", "promote-full", "abort", "retry", "pause", "resume", "rollback"},
		"MiniProgram":        {"suspend", "resume", "transfer"},
		"MiniProgramVersion": {"withdraw"},
	}
	idle = map[string]string{"Rollout": "shop", "MiniProgram": "shop", "MiniProgramVersion": "shop-1"}
)

// acting is an object on which an action stands that no controller answered.
func acting(verb string) string { return "acting-" + verb }

// outcome of a request, in the matrix's words. Of several rules it is the first
// that the API server names.
func outcome(err error, rules []string) (string, error) {
	if err == nil {
		return "yes", nil
	}
	if policy := policyName.FindStringSubmatch(err.Error()); policy != nil {
		return strings.TrimPrefix(policy[1], "review-"), nil
	}
	if apierrors.IsForbidden(err) && strings.Contains(err.Error(), " cannot ") {
		return "RBAC", nil
	}
	found, other := problems(err)
	if other != nil || len(found) == 0 {
		return "", fmt.Errorf("no known guard said: %w", err)
	}
	_, message, _ := strings.Cut(found[0], ": ")
	i := slices.Index(rules, message)
	if i < 0 {
		return "", fmt.Errorf("not among the rules under the matrix: %s", message)
	}
	return fmt.Sprintf("rule %d", i+1), nil
}

var policyName = regexp.MustCompile(`ValidatingAdmissionPolicy 'miniprogram-([a-z-]+)'`)

// readMatrix reads the tables of docs/approvals.md that begin with the column
// "operation", and the numbered list of rules after them.
func readMatrix(t *testing.T) (cells map[string][]string, rules []string) {
	t.Helper()
	root, err := controlplane.RepositoryDir()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "approvals.md"))
	if err != nil {
		t.Fatal(err)
	}
	cells = map[string][]string{}
	inTable := false
	header := "| operation | " + strings.Join(columnNames(), " | ") + " |"
	for line := range strings.SplitSeq(string(text), "\n") {
		switch {
		case line == header:
			inTable = true
		case strings.HasPrefix(line, "| operation |"):
			t.Fatalf("docs/approvals.md: a table of the matrix has another header:\n%s\nwant\n%s", line, header)
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case inTable && !strings.HasPrefix(line, "|---"):
			row := strings.Split(strings.Trim(line, "| "), " | ")
			if _, twice := cells[row[0]]; twice {
				t.Errorf("docs/approvals.md has %q twice", row[0])
			}
			cells[row[0]] = row[1:]
		}
		if rule := numberedRule.FindStringSubmatch(line); rule != nil && rule[1] == fmt.Sprint(len(rules)+1) {
			rules = append(rules, rule[2])
		}
	}
	return cells, rules
}

var numberedRule = regexp.MustCompile("^([0-9]+)\\. `(spec.*)`$")

func columnNames() []string {
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

func TestTheApprovalMatrix(t *testing.T) {
	w := theWorld(t)
	if err := w.createActing(t.Context()); err != nil {
		t.Fatal(err)
	}
	want, rules := readMatrix(t)
	rows := matrix()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if rows[name] == nil {
			t.Errorf("docs/approvals.md has the operation %q, which nobody tries", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range columns {
				_, err := w.try(t.Context(), c.user, rows[name](fullName(c.user)))
				word, err := outcome(err, rules)
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
				got = append(got, word)
			}
			for i, cell := range want[name] {
				if i < len(got) && slices.Contains(strings.Split(cell, " or "), got[i]) {
					got[i] = cell
				}
			}
			if diff := cmp.Diff(want[name], got); diff != "" {
				t.Errorf("docs/approvals.md (-) and the API server (+) differ:\n%s\nwhat happened: | %s | %s |", diff, name, strings.Join(got, " | "))
			}
		})
	}
}

// createActing creates the objects on which an action stands unanswered.
func (w *world) createActing(ctx context.Context) error {
	for kind, verbs := range actionVerbs {
		for _, verb := range verbs {
			name := acting(verb)
			body, creator, by := rollout, olga, olga
			switch kind {
			case "MiniProgram":
				body, creator = program("com.example."+name, ""), dora
			case "MiniProgramVersion":
				body, creator = version, dora
			}
			if verb == "transfer" {
				by = adam
			}
			o := &unstructured.Unstructured{Object: map[string]any{}}
			annotated := fmt.Sprintf("%s\nkind: %s\napiVersion: miniprogram.dev/v1alpha1\nmetadata:\n  name: %s\n  annotations: {test/by: %s, test/then-by: %s, test/then: '%s'}",
				body, kind, name, creator, by, act(kind, name, verb+"@1", by).body)
			if err := yaml.Unmarshal([]byte(annotated), &o.Object); err != nil {
				return err
			}
			if err := w.createObject(ctx, o); err != nil {
				return fmt.Errorf("creating %s %s: %w", kind, name, err)
			}
		}
	}
	return nil
}
