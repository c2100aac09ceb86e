package admissiontest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

// field is one request against the rules of a kind, and the problems that the
// API server names, each as "field: message".
type field struct {
	who  string
	do   request
	want []string
}

func version1(spec string) request { return patch("MiniProgramVersion", "shop-1", "spec: {"+spec+"}") }

func review1(spec string) request { return patch("Review", "pending-wallet", "spec: {"+spec+"}") }

func newRollout(steps string) request {
	return create("Rollout", "new", rollout+"\n  steps: ["+steps+"]")
}

func newVersion(source string) request {
	return create("MiniProgramVersion", "new", "spec: {miniProgramRef: {name: shop}, version: 2.0.0, source: {"+source+"}}")
}

func verification(fields string) request {
	return patch("MiniProgram", "shop", "spec: {verification: {"+fields+"}}")
}

func block(fields string) request {
	return patch("HostApp", "wallet", "spec: {blocks: [{"+fields+"}]}")
}

func host(fields string) request { return patch("HostApp", "wallet", "spec: {"+fields+"}") }

const byOtherLabels = "spec.miniProgramSelector: spec.miniProgramSelector selects by labels whose keys begin with policy.miniprogram.dev/: others may be changed by whoever edits a mini program"

// fields has for each rule of each kind what passes and what does not:
// optional fields that may not change are changed, removed and added.
var fields = map[string]field{
	"a program changes its name":                 {who: adam, do: patch("MiniProgram", "shop", "spec: {displayName: Better}")},
	"a program keeps its app ID":                 {who: adam, do: patch("MiniProgram", "shop", "spec: {appID: com.example.other}"), want: []string{"spec: spec.appID may not change: host apps ask by it; create another MiniProgram instead"}},
	"a program keeps its kind":                   {who: adam, do: patch("MiniProgram", "shop", "spec: {kind: WebApp}"), want: []string{"spec: spec.kind may not change; create another MiniProgram instead"}},
	"a program's kind comes back by its default": {who: adam, do: patch("MiniProgram", "shop", "spec: {kind: null}")},

	"a program keeps one version":              {who: adam, do: patch("MiniProgram", "shop", "spec: {artifactDeletion: Delete, history: {versions: 1}}")},
	"a program keeps a thousand versions":      {who: adam, do: patch("MiniProgram", "shop", "spec: {history: {versions: 1000}}")},
	"a program keeps no version":               {who: adam, do: patch("MiniProgram", "shop", "spec: {history: {versions: 0}}"), want: []string{"spec.history.versions: Invalid value: 0: spec.history.versions in body should be greater than or equal to 1"}},
	"a program keeps more than a thousand":     {who: adam, do: patch("MiniProgram", "shop", "spec: {history: {versions: 1001}}"), want: []string{"spec.history.versions: Invalid value: 1001: spec.history.versions in body should be less than or equal to 1000"}},
	"a program's artifacts are deleted or not": {who: adam, do: patch("MiniProgram", "shop", "spec: {artifactDeletion: Sometimes}"), want: []string{`spec.artifactDeletion: Unsupported value: "Sometimes": supported values: "Retain", "Delete"`, unchecked}},

	"a program trusts a key":                   {who: adam, do: verification(`keys: [{name: release, publicKey: "-----BEGIN PUBLIC KEY-----\n"}]`)},
	"a program trusts identities":              {who: adam, do: verification(`identities: [{issuer: "https://token.example.com", subject: dana@example.com}, {issuer: "https://token.example.com", subjectRegExp: ".*@example[.]com"}]`)},
	"a program trusts nobody":                  {who: adam, do: verification(`keys: [], identities: []`), want: []string{"spec.verification: spec.verification needs a key or an identity: remove it where no signature is asked for"}},
	"a program trusts a private key":           {who: adam, do: verification(`keys: [{name: release, publicKey: "-----BEGIN PRIVATE KEY-----\n"}]`), want: []string{"spec.verification.keys[0].publicKey: publicKey must be a public key in PEM: it begins with -----BEGIN PUBLIC KEY-----"}},
	"a program trusts an issuer alone":         {who: adam, do: verification(`identities: [{issuer: "https://token.example.com"}]`), want: []string{"spec.verification.identities[0]: an identity of spec.verification needs exactly one of subject and subjectRegExp"}},
	"a program trusts an identity in two ways": {who: adam, do: verification(`identities: [{issuer: "https://token.example.com", subject: a, subjectRegExp: b}]`), want: []string{"spec.verification.identities[0]: an identity of spec.verification needs exactly one of subject and subjectRegExp"}},

	"a version is requested and withdrawn":         {who: dora, do: version1("review: Requested, availability: Withdrawn")},
	"a version keeps its program":                  {who: dora, do: version1("miniProgramRef: {name: other}"), want: versionKeeps("miniProgramRef")},
	"a version keeps its number":                   {who: dora, do: version1("version: 1.0.1"), want: versionKeeps("version")},
	"a version keeps its source":                   {who: dora, do: version1("source: {configMap: {name: other}}"), want: versionKeeps("source")},
	"a version keeps its code":                     {who: dora, do: version1("versionCode: 2"), want: versionKeeps("versionCode")},
	"a version's code is not removed":              {who: dora, do: version1("versionCode: null"), want: versionKeeps("versionCode")},
	"a version's code is not added":                {who: dora, do: patch("MiniProgramVersion", "shop-0", "spec: {versionCode: 1}"), want: versionKeeps("versionCode")},
	"a version keeps its format":                   {who: dora, do: version1("format: Web"), want: versionKeeps("format")},
	"a version's format comes back by its default": {who: dora, do: version1("format: null")},
	"a version keeps its compatibility":            {who: dora, do: version1(`compatibility: {minContainerVersion: "2.0"}`), want: versionKeeps("compatibility")},
	"a version's compatibility is not removed":     {who: dora, do: version1("compatibility: null"), want: versionKeeps("compatibility")},
	"a version's compatibility is not added":       {who: dora, do: patch("MiniProgramVersion", "shop-0", "spec: {compatibility: {}}"), want: versionKeeps("compatibility")},
	"a version keeps its install hints":            {who: dora, do: version1("install: {download: Any}"), want: versionKeeps("install")},
	"a version's install hints are not removed":    {who: dora, do: version1("install: null"), want: versionKeeps("install")},
	"a version's install hints are not added":      {who: dora, do: patch("MiniProgramVersion", "shop-0", "spec: {install: {}}"), want: versionKeeps("install")},
	"a version keeps its notes":                    {who: dora, do: version1("releaseNotes: Other."), want: versionKeeps("releaseNotes")},
	"a version's notes are not removed":            {who: dora, do: version1("releaseNotes: null"), want: versionKeeps("releaseNotes")},
	"a version's notes are not added":              {who: dora, do: patch("MiniProgramVersion", "shop-0", "spec: {releaseNotes: Late.}"), want: versionKeeps("releaseNotes")},
	"a version keeps its author":                   {who: gitops, do: version1("submittedBy: dan"), want: versionKeeps("submittedBy")},
	"a version's author is not removed":            {who: gitops, do: version1("submittedBy: null"), want: versionKeeps("submittedBy")},
	"a request for review is not taken back":       {who: dora, do: patch("MiniProgramVersion", "shop-0", "spec: {review: NotRequested}"), want: []string{"spec: spec.review may not go back from Requested"}},
	"a request for review is not left out":         {who: dora, do: patch("MiniProgramVersion", "shop-0", "spec: {review: null}"), want: []string{"spec: spec.review may not go back from Requested"}},
	"a withdrawal is not taken back":               {who: dora, do: patch("MiniProgramVersion", "shop-0", "spec: {availability: Active}"), want: []string{"spec: spec.availability may not go back from Withdrawn; create another version instead"}},
	"a withdrawal is not left out":                 {who: dora, do: patch("MiniProgramVersion", "shop-0", "spec: {availability: null}"), want: []string{"spec: spec.availability may not go back from Withdrawn; create another version instead"}},
	"a version from a registry":                    {who: dora, do: newVersion("oci: {ref: registry/shop}")},
	"a version from a web server":                  {who: dora, do: newVersion(`http: {url: "https://example.com/a.zip"}`)},
	"a version from nowhere":                       {who: dora, do: newVersion(""), want: []string{"spec.source: Invalid value: 0: spec.source in body should have at least 1 properties", "spec.source: spec.source needs exactly one of oci, http and configMap"}},
	"a version from two places":                    {who: dora, do: newVersion(`oci: {ref: registry/shop}, http: {url: "https://example.com/a.zip"}`), want: []string{"spec.source: spec.source needs exactly one of oci, http and configMap"}},

	"a review is decided":                 {who: wanda, do: review1("decision: Approved, reviewer: wanda")},
	"a review keeps its program":          {who: wanda, do: review1("miniProgramRef: {name: other}"), want: []string{"spec: spec.miniProgramRef may not change"}},
	"a review keeps its version":          {who: wanda, do: review1("versionRef: {name: other}"), want: []string{"spec: spec.versionRef may not change"}},
	"a review keeps its digest":           {who: wanda, do: review1("digest: sha256:" + strings.Repeat("3", 64)), want: []string{"spec: spec.digest may not change: a review is bound to the bytes that were looked at"}},
	"a review keeps its role":             {who: wanda, do: review1("role: quality"), want: []string{"spec: spec.role may not change"}},
	"a review keeps its host app":         {who: wanda, do: review1("hostApp: other"), want: []string{"spec: spec.hostApp may not change"}},
	"a review's host app is not removed":  {who: wanda, do: review1("hostApp: null"), want: []string{"spec: spec.hostApp may not change"}},
	"a review's host app is not added":    {who: wanda, do: patch("Review", "pending", "spec: {hostApp: wallet}"), want: []string{"spec: spec.hostApp may not change"}},
	"a review keeps its author":           {who: wanda, do: review1("requestedBy: wanda"), want: []string{"spec: spec.requestedBy may not change"}},
	"a review's author is not removed":    {who: wanda, do: review1("requestedBy: null"), want: []string{"spec: spec.requestedBy may not change"}},
	"a review's author is not added":      {who: wanda, do: patch("Review", "pending-other", "spec: {requestedBy: wanda}"), want: []string{"spec: spec.requestedBy may not change"}},
	"a review keeps its end":              {who: wanda, do: review1(`expirationTime: "2037-01-01T00:00:00Z"`), want: []string{"spec: spec.expirationTime may not change"}},
	"a review's end is not removed":       {who: wanda, do: review1("expirationTime: null"), want: []string{"spec: spec.expirationTime may not change"}},
	"a review's end is not added":         {who: wanda, do: patch("Review", "pending", `spec: {expirationTime: "2037-01-01T00:00:00Z"}`), want: []string{"spec: spec.expirationTime may not change"}},
	"a decision is not turned":            {who: rita, do: decided("decision: Rejected"), want: []string{"spec: spec.decision may not change once it is taken; a later Review can supersede it"}},
	"a decision is not taken back":        {who: rita, do: patch("Review", "rejected", "spec: {decision: Withdrawn}"), want: []string{"spec: spec.decision may not change once it is taken; a later Review can supersede it"}},
	"a decided review keeps its reviewer": {who: rita, do: decided("reviewer: wanda"), want: []string{"spec: spec.reviewer may not change once the decision is taken"}},
	"a decided review's reviewer stays": {who: rita, do: decided("reviewer: null"), want: []string{
		"spec: spec.reviewer may not change once the decision is taken",
		"spec: spec.reviewer is required with a decision: write your own user name, as kubectl auth whoami shows it",
	}},
	"a decided review keeps its comment":     {who: rita, do: decided("comment: Well."), want: []string{"spec: spec.comment may not change once the decision is taken"}},
	"a decided review's comment stays":       {who: rita, do: decided("comment: null"), want: []string{"spec: spec.comment may not change once the decision is taken"}},
	"a decided review keeps its checklist":   {who: rita, do: decided("checklist: []"), want: []string{"spec: spec.checklist may not change once the decision is taken"}},
	"a decided review's checklist stays":     {who: rita, do: decided("checklist: null"), want: []string{"spec: spec.checklist may not change once the decision is taken"}},
	"a decided review gets no checklist":     {who: rita, do: patch("Review", "rejected", "spec: {checklist: [{item: Late, result: Pass}]}"), want: []string{"spec: spec.checklist may not change once the decision is taken"}},
	"a decided review lifts nothing later":   {who: rita, do: decided("supersedes: rejected"), want: []string{"spec: spec.supersedes may not change once the decision is taken"}},
	"a decided review lifts what it lifted":  {who: rita, do: patch("Review", "recorded", "spec: {supersedes: approved}"), want: []string{"spec: spec.supersedes may not change once the decision is taken"}},
	"what a decided review lifts stays":      {who: rita, do: patch("Review", "recorded", "spec: {supersedes: null}"), want: []string{"spec: spec.supersedes may not change once the decision is taken"}},
	"a decided review gets no comment":       {who: rita, do: patch("Review", "recorded", "spec: {comment: Late.}"), want: []string{"spec: spec.comment may not change once the decision is taken"}},
	"a decided review keeps its permissions": {who: rita, do: patch("Review", "recorded", "spec: {approvedPermissions: [camera, contacts]}"), want: permissionsStay},
	"a decided review's permissions stay":    {who: rita, do: patch("Review", "recorded", "spec: {approvedPermissions: null}"), want: permissionsStay},
	"a decided review gets no permissions":   {who: rita, do: decided("approvedPermissions: [camera]"), want: permissionsStay},
	"permissions with the decision":          {who: rita, do: patch("Review", "pending", "spec: {decision: Approved, reviewer: rita, approvedPermissions: [none]}")},
	"a review keeps its step":                {who: rita, do: patch("Review", "pending-step", "spec: {rollout: {step: 3}}"), want: []string{"spec: spec.rollout may not change"}},
	"a review keeps its attempt":             {who: rita, do: patch("Review", "pending-step", "spec: {rollout: {attempt: 2}}"), want: []string{"spec: spec.rollout may not change"}},
	"a review's step is not removed":         {who: rita, do: patch("Review", "pending-step", "spec: {rollout: null}"), want: []string{"spec: spec.rollout may not change"}},
	"a review's step is not added":           {who: rita, do: patch("Review", "pending", "spec: {rollout: {name: shop, attempt: 1, step: 2}}"), want: []string{"spec: spec.rollout may not change"}},
	"a step is not of one host app": {who: controller, do: create("Review", "new", pendingReview+stepOfShop+"\n  hostApp: wallet"), want: []string{
		"spec: spec.hostApp must be unset when spec.rollout is set: a step is approved for all host apps of its Rollout",
	}},
	"an approval of what was looked at":       {who: rita, do: patch("Review", "pending", "spec: {decision: Approved, reviewer: rita, checklist: [{item: Policy, result: Pass}, {item: Kids, result: NotApplicable}]}")},
	"an approval of what failed":              {who: rita, do: patch("Review", "pending", "spec: {decision: Approved, reviewer: rita, checklist: [{item: Policy, result: Pass}, {item: Kids, result: Fail}]}"), want: failed},
	"an approval of what failed, by creation": {who: rita, do: create("Review", "own", pendingReview+"\n  decision: Approved\n  reviewer: rita\n  checklist: [{item: Kids, result: Fail}]"), want: failed},
	"a rejection of what failed":              {who: rita, do: patch("Review", "pending", "spec: {decision: Rejected, reviewer: rita, comment: No., checklist: [{item: Kids, result: Fail}]}")},
	"what failed, before the decision":        {who: rita, do: patch("Review", "pending", "spec: {checklist: [{item: Kids, result: Fail}]}")},
	"a rejection with a comment":              {who: wanda, do: review1("decision: Rejected, reviewer: wanda, comment: No policy.")},
	"a rejection without a comment":           {who: wanda, do: review1("decision: Rejected, reviewer: wanda"), want: []string{"spec: spec.comment is required when spec.decision is Rejected: say what has to change"}},
	"a rejection with an empty comment":       {who: wanda, do: review1(`decision: Rejected, reviewer: wanda, comment: ""`), want: []string{`spec.comment: Invalid value: "": spec.comment in body should be at least 1 chars long`}},
	"a reviewer before the decision":          {who: wanda, do: review1("reviewer: wanda"), want: []string{"spec: spec.reviewer may only be set together with a decision"}},

	"a rollout follows another version":     {who: olga, do: patch("Rollout", "shop", "spec: {versionRef: {name: shop-2}}")},
	"a rollout keeps its program":           {who: olga, do: patch("Rollout", "shop", "spec: {miniProgramRef: {name: other}}"), want: []string{"spec: spec.miniProgramRef may not change; create another Rollout instead"}},
	"rising steps in both ways of writing":  {who: olga, do: newRollout(`{setPercent: 0}, {setPercent: "0.25%"}, {pause: {}}, {setPercent: 5}, {setPercent: "5.00%"}, {setPercent: 100}`)},
	"no steps":                              {who: olga, do: newRollout("")},
	"falling steps":                         {who: olga, do: newRollout(`{setPercent: 5}, {pause: {}}, {setPercent: "4.99%"}`), want: []string{"spec.steps: spec.steps: setPercent may not fall from one step to a later one"}},
	"a pause first":                         {who: olga, do: newRollout("{pause: {}}, {setPercent: 5}"), want: []string{"spec: spec.steps: the first step must be a setPercent"}},
	"a step that is two":                    {who: olga, do: newRollout("{setPercent: 5, pause: {}}"), want: oneThing(0)},
	"a step that is none":                   {who: olga, do: newRollout("{setPercent: 5}, {}"), want: oneThing(1)},
	"a step for a person":                   {who: olga, do: newRollout("{setPercent: 5}, {approval: {role: privacy}}, {setPercent: 100}")},
	"an approval that is a share too":       {who: olga, do: newRollout("{setPercent: 5, approval: {role: privacy}}"), want: oneThing(0)},
	"an approval that is a pause too":       {who: olga, do: newRollout("{setPercent: 5}, {pause: {}, approval: {role: privacy}}"), want: oneThing(1)},
	"a step that is three":                  {who: olga, do: newRollout("{setPercent: 5}, {setPercent: 6, pause: {}, approval: {role: privacy}}"), want: oneThing(1)},
	"an approval first":                     {who: olga, do: newRollout("{approval: {role: privacy}}, {setPercent: 5}"), want: []string{"spec: spec.steps: the first step must be a setPercent"}},
	"a share above all":                     {who: olga, do: newRollout("{setPercent: 101}"), want: []string{`spec.steps[0].setPercent: setPercent must be a whole number from 0 to 100, or a string such as "0.25%" with at most two decimals`}},
	"a share with three decimals":           {who: olga, do: newRollout(`{setPercent: "0.125%"}`), want: []string{`spec.steps[0].setPercent: setPercent must be a whole number from 0 to 100, or a string such as "0.25%" with at most two decimals`}},
	"a pause until a person comes, at most": {who: olga, do: newRollout("{setPercent: 5}, {pause: {timeoutSeconds: 60, onTimeout: Abort}}")},
	"a pause with two ends":                 {who: olga, do: newRollout("{setPercent: 5}, {pause: {seconds: 60, timeoutSeconds: 60, onTimeout: Abort}}"), want: []string{"spec.steps[1].pause: a pause has seconds or timeoutSeconds, not both"}},
	"a pause that does not say what then":   {who: olga, do: newRollout("{setPercent: 5}, {pause: {timeoutSeconds: 60}}"), want: []string{"spec.steps[1].pause: pause.onTimeout and pause.timeoutSeconds go together"}},
	"a pause that does not say when":        {who: olga, do: newRollout("{setPercent: 5}, {pause: {onTimeout: Abort}}"), want: []string{"spec.steps[1].pause: pause.onTimeout and pause.timeoutSeconds go together"}},

	"a block of an app":                          {who: adam, do: block("appID: com.example.shop, reason: Broken")},
	"a block of a digest":                        {who: adam, do: block("digest: " + digest + ", reason: Broken")},
	"a block of both":                            {who: adam, do: block("appID: com.example.shop, digest: " + digest + ", reason: Broken"), want: []string{"spec.blocks[0]: a block needs exactly one of appID and digest"}},
	"a host app with web pages":                  {who: adam, do: host(`origins: ["https://wallet.example.com", "https://wallet.example.com:8443"]`)},
	"a host app with a page":                     {who: adam, do: host(`origins: ["https://wallet.example.com/index.html"]`), want: []string{`spec.origins[0]: Invalid value: "https://wallet.example.com/index.html": spec.origins[0] in body should match '^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$'`}},
	"a host app with any origin":                 {who: adam, do: host(`origins: ["https://*.example.com"]`), want: []string{`spec.origins[0]: Invalid value: "https://*.example.com": spec.origins[0] in body should match '^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$'`}},
	"a host app for all":                         {who: adam, do: host("access: {type: Public}")},
	"a host app with tokens":                     {who: adam, do: host("access: {type: Token, secretRef: {name: wallet-tokens}}")},
	"a host app with tokens from nowhere":        {who: adam, do: host("access: {type: Token}"), want: []string{"spec.access: spec.access needs secretRef with type Token, and has none with type Public"}},
	"a host app for all, with tokens":            {who: adam, do: host("access: {type: Public, secretRef: {name: wallet-tokens}}"), want: []string{"spec.access: spec.access needs secretRef with type Token, and has none with type Public"}},
	"a host app takes classified programs":       {who: adam, do: host("miniProgramSelector: {matchLabels: {policy.miniprogram.dev/tier: gold}, matchExpressions: [{key: policy.miniprogram.dev/region, operator: Exists}]}")},
	"a host app takes programs by another label": {who: adam, do: host("miniProgramSelector: {matchLabels: {tier: gold}}"), want: []string{byOtherLabels}},
	"a host app takes programs by its absence":   {who: adam, do: host("miniProgramSelector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}"), want: []string{byOtherLabels}},

	"a block of nothing": {who: adam, do: block("reason: Broken"), want: []string{"spec.blocks[0]: a block needs exactly one of appID and digest"}},
}

var (
	permissionsStay = []string{"spec: spec.approvedPermissions may not change once the decision is taken"}
	failed          = []string{"spec: spec.checklist has an item with result Fail, so spec.decision may not be Approved: reject it, or correct the result"}
)

func oneThing(step int) []string {
	return []string{fmt.Sprintf("spec.steps[%d]: exactly one of the fields in [setPercent pause approval analysis] must be set", step)}
}

func decided(spec string) request { return patch("Review", "approved", "spec: {"+spec+"}") }

func versionKeeps(name string) []string {
	return []string{"spec: spec." + name + " may not change; create another version instead"}
}

func TestTheRulesOfTheKinds(t *testing.T) {
	w := theWorld(t)
	for name, f := range fields {
		t.Run(name, func(t *testing.T) {
			_, err := w.try(t.Context(), f.who, f.do)
			got, other := problems(err)
			if other != nil {
				t.Fatalf("%s: %s of %s %s: %v", f.who, f.do.verb, f.do.kind, f.do.name, other)
			}
			if diff := cmp.Diff(f.want, got); diff != "" {
				t.Errorf("%s: %s of %s %s (-want +got):\n%s", f.who, f.do.verb, f.do.kind, f.do.name, diff)
			}
		})
	}
}

// problems splits what the API server found invalid. An error of another
// sort comes back as it is.
func problems(err error) ([]string, error) {
	if err == nil {
		return nil, nil
	}
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return nil, err
	}
	var found []string
	for _, cause := range status.Status().Details.Causes {
		// The message begins with the value, as long as it is.
		_, message, ok := strings.Cut(cause.Message, ": ")
		for ok && !slices.Contains(knownMessages, message) {
			_, message, ok = strings.Cut(message, ": ")
		}
		if !ok {
			message = cause.Message
		}
		found = append(found, cause.Field+": "+message)
	}
	return found, nil
}

// knownMessages are the messages of all rules in config/crd/bases, of which each
// has its own.
var knownMessages = func() []string {
	messages, err := readMessages()
	if err != nil {
		panic(err) // the tests cannot do without
	}
	return messages
}()

func readMessages() ([]string, error) {
	root, err := controlplane.RepositoryDir()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(root, "config", "crd", "bases", "*.yaml"))
	if err != nil {
		return nil, err
	}
	var messages []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var crd any
		if err := yaml.Unmarshal(data, &crd); err != nil {
			return nil, err
		}
		messages = append(messages, messagesIn(crd)...)
	}
	slices.Sort(messages)
	return messages, nil
}

// messagesIn finds the messages of the rules anywhere below a value of a CRD.
func messagesIn(value any) []string {
	var messages []string
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			messages = append(messages, messagesIn(item)...)
		}
	case map[string]any:
		rules, _ := v["x-kubernetes-validations"].([]any)
		for _, rule := range rules {
			if r, ok := rule.(map[string]any); ok {
				message, _ := r["message"].(string)
				messages = append(messages, message)
			}
		}
		for key, item := range v {
			if key != "x-kubernetes-validations" {
				messages = append(messages, messagesIn(item)...)
			}
		}
	}
	return messages
}

// ofTheSpec are the fields of a Review's spec, from its CRD.
func ofTheSpec(t *testing.T) []string {
	t.Helper()
	root, err := controlplane.RepositoryDir()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "config", "crd", "bases", "miniprogram.dev_reviews.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensions
	if err := yaml.Unmarshal(data, &crd); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties.Spec.Properties))
}

// apiextensions is the little of a CRD that leads to the fields of its spec.
type apiextensions struct {
	Spec struct {
		Versions []struct {
			Schema struct {
				OpenAPIV3Schema struct {
					Properties struct {
						Spec struct {
							Properties map[string]any `json:"properties"`
						} `json:"spec"`
					} `json:"properties"`
				} `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

// A field that is new must not become the author's by being forgotten.
func TestOfEveryFieldTheAuthorSetsOnlyEvidence(t *testing.T) {
	w := theWorld(t)
	values := map[string]string{
		"miniProgramRef": "{name: other}", "versionRef": "{name: other}", "digest": otherDigest, "role": "quality", "hostApp": "wallet",
		"rollout": "{name: shop, attempt: 1, step: 2}", "requestedBy": "somebody", "expirationTime": `"2037-01-01T00:00:00Z"`,
		"decision": "Approved", "reviewer": "dora", "comment": "Fine.", "checklist": "[{item: Policy, result: Pass}]",
		"approvedPermissions": "[camera]", "supersedes": "rejected",
		"evidence": `[{title: Video, url: "https://example.com/video"}, {title: Screens, url: "https://example.com/screens"}]`,
	}
	for _, field := range ofTheSpec(t) {
		t.Run(field, func(t *testing.T) {
			value, known := values[field]
			if !known {
				t.Fatalf("spec.%s of a Review is new: give it a value here", field)
			}
			spec := field + ": " + value
			if field == "decision" {
				spec += ", reviewer: dora"
			}
			_, err := w.try(t.Context(), dora, patch("Review", "pending", "spec: {"+spec+"}"))
			if allowed := err == nil; allowed != (field == "evidence") {
				t.Errorf("the author sets spec.%s of a pending Review: %v", field, err)
			}
		})
	}
}

// ofABound tells that a bound, an enum or a list's type said it, not a rule.
func ofABound(message string) bool {
	return slices.ContainsFunc([]string{"Invalid value: ", "Unsupported value: ", "Too long: ", "Too many: ", "Duplicate value: ", "Required value"},
		func(begin string) bool { return strings.HasPrefix(message, begin) })
}

func TestEveryRuleOfTheKindsIsTried(t *testing.T) {
	var tried []string
	for _, table := range []map[string]field{fields, policyFields, guardrailFields} {
		for _, f := range table {
			for _, problem := range f.want {
				_, message, _ := strings.Cut(problem, ": ")
				if !ofABound(message) {
					tried = append(tried, message)
				}
			}
		}
	}
	slices.Sort(tried)
	if diff := cmp.Diff(slices.Compact(slices.Clone(knownMessages)), slices.Compact(tried)); diff != "" {
		t.Errorf("rules without a test (-) and tests without a rule (+):\n%s", diff)
	}
}
