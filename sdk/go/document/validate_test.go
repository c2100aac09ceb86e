package document_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

func TestValidateNamesTheFieldThatIsWrong(t *testing.T) {
	const (
		aDigest  = "must be sha256: and 64 lower-case hexadecimal digits"
		aVersion = "must be a version: numbers separated by dots"
		fromOne  = "must be from 1 to 2^53-1"
		fromZero = "must be from 0 to 2^53-1"
		aTime    = "must be a time like 2006-01-02T15:04:05Z"
		anAppID  = "must match [A-Za-z0-9][A-Za-z0-9._-]{2,63}"
		notEmpty = "must not be empty"
		aShare   = "must be from 0 to 10000"
		aBy      = "must be user, device or an attribute"
		aHash    = "must be 16 bytes in base64url without padding"
		inOrder  = "must come after the one before: sorted, each once"
	)
	type release = document.Release
	tombstone := func(r *release, installed document.Retention) {
		r.Availability, r.Tombstone = document.Removed, &document.Tombstone{Installed: installed}
		r.Target, r.Split = nil, nil
	}
	for name, c := range map[string]struct {
		change           func(*release)
		pointer, problem string
	}{
		"no type":                      {func(r *release) { r.Type = "" }, "/type", `must be "miniprogram.release/v1" or "miniprogram.trial/v1"`},
		"a future type":                {func(r *release) { r.Type = "miniprogram.release/v2" }, "/type", `must be "miniprogram.release/v1" or "miniprogram.trial/v1"`},
		"a release for trial":          {func(r *release) { r.Channel = "trial" }, "/channel", `must be "release" in a document of type miniprogram.release/v1`},
		"a trial for release":          {func(r *release) { r.Type = document.TypeTrial }, "/channel", `must be "trial" in a document of type miniprogram.trial/v1`},
		"an app ID too short":          {func(r *release) { r.AppID = "ab" }, "/appID", anAppID},
		"an app ID too long":           {func(r *release) { r.AppID = strings.Repeat("a", 65) }, "/appID", anAppID},
		"an app ID with a dot first":   {func(r *release) { r.AppID = ".abc" }, "/appID", anAppID},
		"an app ID with a slash":       {func(r *release) { r.AppID = "ab/c" }, "/appID", anAppID},
		"no host app":                  {func(r *release) { r.HostApps = nil }, "/hostApps", "must name at least one host app"},
		"a host app without name":      {func(r *release) { r.HostApps[1] = "" }, "/hostApps/1", notEmpty},
		"a host app twice":             {func(r *release) { r.HostApps[1] = "wallet" }, "/hostApps/1", "stands there twice"},
		"no rollout namespace":         {func(r *release) { r.Rollout.Namespace = "" }, "/rollout/namespace", notEmpty},
		"no rollout name":              {func(r *release) { r.Rollout.Name = "" }, "/rollout/name", notEmpty},
		"sequence zero":                {func(r *release) { r.Sequence = 0 }, "/sequence", fromOne},
		"a sequence too large":         {func(r *release) { r.Sequence = 1 << 53 }, "/sequence", fromOne},
		"never issued":                 {func(r *release) { r.IssuedAt = document.Time{} }, "/issuedAt", aTime},
		"expired when issued":          {func(r *release) { r.ExpiresAt = r.IssuedAt }, "/expiresAt", "must be after issuedAt"},
		"polling without pause":        {func(r *release) { r.PollSeconds = 0 }, "/pollSeconds", "must be from 1 to 604800"},
		"polling too seldom":           {func(r *release) { r.PollSeconds = 604801 }, "/pollSeconds", "must be from 1 to 604800"},
		"no availability":              {func(r *release) { r.Availability = "" }, "/availability", "must be Listed, Hidden, Suspended, Withdrawn, Blocked or Removed"},
		"a listed tombstone":           {func(r *release) { r.Tombstone = &document.Tombstone{Installed: document.Retain} }, "/tombstone", "is only for availability Removed"},
		"removed without tombstone":    {func(r *release) { r.Availability = document.Removed }, "/tombstone", "must say what becomes of what is installed"},
		"a tombstone without word":     {func(r *release) { tombstone(r, "") }, "/tombstone/installed", "must be Retain or Remove"},
		"a removal with stable":        {func(r *release) { tombstone(r, document.Remove) }, "/stable", "must be absent in a tombstone that removes"},
		"a tombstone with target":      {func(r *release) { target := r.Target; tombstone(r, document.Retain); r.Target = target }, "/target", "must be absent in a tombstone"},
		"no decider":                   {func(r *release) { r.Decide = "" }, "/decide", "must be Host or Service"},
		"parts that a host lacks":      {func(r *release) { r.Decide = document.DecideHost }, "/decide", "must be Service when an audience has parts"},
		"a recall's parts":             {func(r *release) { r.Decide = document.DecideHost; r.Audience = nil }, "/decide", "must be Service when an audience has parts"},
		"a minimum that is no version": {func(r *release) { r.MinimumVersion = "v1" }, "/minimumVersion", aVersion},
		"an icon without digest":       {func(r *release) { r.Listing.Icon.Digest = "" }, "/listing/icon/digest", aDigest},
		"stable: no delivery":          {func(r *release) { r.Stable.Delivery = 0 }, "/stable/delivery", fromOne},
		"stable: no version":           {func(r *release) { r.Stable.Version = "" }, "/stable/version", aVersion},
		"target: a negative code":      {func(r *release) { r.Target.VersionCode = -1 }, "/target/versionCode", fromZero},
		"target: upper case digest":    {func(r *release) { r.Target.Digest = strings.ToUpper(r.Target.Digest) }, "/target/digest", aDigest},
		"target: another algorithm":    {func(r *release) { r.Target.Digest = "sha512" + r.Target.Digest[6:] }, "/target/digest", aDigest},
		"target: a digest cut":         {func(r *release) { r.Target.ContentDigest = r.Target.ContentDigest[:70] }, "/target/contentDigest", aDigest},
		"target: a digest with G":      {func(r *release) { r.Target.Archive.Digest = digest("gg") }, "/target/archive/digest", aDigest},
		"target: a negative size":      {func(r *release) { r.Target.Archive.Size = -1 }, "/target/archive/size", fromZero},
		"target: no content":           {func(r *release) { r.Target.Content = document.Blob{} }, "/target/content/digest", aDigest},
		"target: container version":    {func(r *release) { r.Target.Compatibility.MinContainerVersion = "x" }, "/target/compatibility/minContainerVersion", aVersion},
		"fallback: no system":          {func(r *release) { r.Fallbacks[0].Compatibility.Platforms[0].OS = "" }, "/fallbacks/0/compatibility/platforms/0/os", notEmpty},
		"fallback: lower bound":        {func(r *release) { r.Fallbacks[0].Compatibility.Platforms[0].MinHostVersion = "x" }, "/fallbacks/0/compatibility/platforms/0/minHostVersion", aVersion},
		"fallback: upper bound":        {func(r *release) { r.Fallbacks[0].Compatibility.Platforms[0].MaxHostVersion = "x" }, "/fallbacks/0/compatibility/platforms/0/maxHostVersion", aVersion},
		"fallbacks without stable":     {func(r *release) { r.Stable = nil }, "/fallbacks", "must be empty without stable"},
		"six fallbacks":                {func(r *release) { r.Fallbacks = make([]document.Variant, 6) }, "/fallbacks", "must have at most 5 entries"},
		"also served":                  {func(r *release) { r.AlsoServed[1] = "latest" }, "/alsoServed/1", aDigest},
		"a target without split":       {func(r *release) { r.Split = nil }, "/split", "must say who gets the target"},
		"a split without target":       {func(r *release) { r.Target = nil }, "/target", "must be there to be split"},
		"another split":                {func(r *release) { r.Split.Algorithm = "bucket/v2" }, "/split/algorithm", "must be bucket/v1"},
		"a split by nothing":           {func(r *release) { r.Split.By = "" }, "/split/by", aBy},
		"less than nobody":             {func(r *release) { r.Split.BasisPoints = -1 }, "/split/basisPoints", aShare},
		"more than everybody":          {func(r *release) { r.Split.BasisPoints = 10001 }, "/split/basisPoints", aShare},
		"a window that ends first":     {func(r *release) { r.Window.End = document.At(r.Window.Start.Add(-time.Second)) }, "/window/end", "must be after the start"},
		"recall: more than all":        {func(r *release) { r.Recalls[0].BasisPoints = 10001 }, "/recalls/0/basisPoints", aShare},
		"recall: by nothing":           {func(r *release) { r.Recalls[0].By = "" }, "/recalls/0/by", aBy},
		"recall: no delivery":          {func(r *release) { r.Recalls[0].Delivery = 0 }, "/recalls/0/delivery", fromOne},
		"recall: a wrong digest":       {func(r *release) { r.Recalls[0].Digest = "x" }, "/recalls/0/digest", aDigest},
		"recall: a wrong hash":         {func(r *release) { r.Recalls[0].Audience.Exclude.Hashes[0] = "x" }, "/recalls/0/audience/exclude/hashes/0", aHash},
		"21 recalls":                   {func(r *release) { r.Recalls = make([]document.Recall, 21) }, "/recalls", "must have at most 20 entries"},
		"a key that is not hashed":     {func(r *release) { r.Audience.Include.Hashes[0] = "user-1" }, "/audience/include/hashes/0", aHash},
		"a hash in plain base64":       {func(r *release) { r.Audience.Include.Hashes[0] = "++++++++++++++++++++++" }, "/audience/include/hashes/0", aHash},
		"hashes out of order": {func(r *release) {
			h := r.Audience.Include.Hashes
			h[0], h[1] = h[1], h[0]
		}, "/audience/include/hashes/1", inOrder},
		"a hash twice":           {func(r *release) { r.Audience.Include.Hashes[1] = r.Audience.Include.Hashes[0] }, "/audience/include/hashes/1", inOrder},
		"1001 hashes":            {func(r *release) { r.Audience.Exclude.Hashes = many(1001) }, "/audience/exclude/hashes", "must have at most 1000 entries"},
		"rule: no attribute":     {func(r *release) { r.Audience.Rules[0].Attribute = "" }, "/audience/rules/0/attribute", notEmpty},
		"rule: another operator": {func(r *release) { r.Audience.Rules[0].Operator = "Near" }, "/audience/rules/0/operator", "must be In, NotIn, StartsWith, AtLeast, AtMost or Between"},
		"rule: half a range":     {func(r *release) { r.Audience.Rules[0].Values = []string{"1"} }, "/audience/rules/0/values", "must have 2 for operator Between"},
		"rule: two least values": {func(r *release) { r.Audience.Rules[0].Operator = document.AtLeast }, "/audience/rules/0/values", "must have 1 for operator AtLeast"},
		"rule: two most values":  {func(r *release) { r.Audience.Rules[0].Operator = document.AtMost }, "/audience/rules/0/values", "must have 1 for operator AtMost"},
		"rule: no version":       {func(r *release) { r.Audience.Rules[0].Values[1] = "new" }, "/audience/rules/0/values/1", aVersion},
		"rule: in nothing":       {func(r *release) { r.Audience.Rules[0] = document.Rule{Attribute: "city", Operator: document.In} }, "/audience/rules/0/values", notEmpty},
		"part: no list":          {func(r *release) { r.Audience.Parts[0].List = "" }, "/audience/parts/0/list", "must be Include or Exclude"},
		"part: no digest":        {func(r *release) { r.Audience.Parts[0].Digest = "" }, "/audience/parts/0/digest", aDigest},
		"part: fewer than none":  {func(r *release) { r.Audience.Parts[0].Keys = -1 }, "/audience/parts/0/keys", "must not be negative"},
		"33 parts":               {func(r *release) { r.Audience.Parts = make([]document.Part, 33) }, "/audience/parts", "must have at most 32 entries"},
	} {
		t.Run(name, func(t *testing.T) {
			doc := full()
			c.change(doc)
			want := document.FieldError{Pointer: c.pointer, Problem: c.problem}
			err := doc.Validate()
			if got, ok := errors.AsType[*document.FieldError](err); !ok || *got != want {
				t.Errorf("got %v\nwant %v", err, &want)
			}
			if _, err := document.Marshal(doc); err == nil {
				t.Error("it is written all the same")
			}
		})
	}
}

func TestTheBoundsThemselvesAreValid(t *testing.T) {
	for name, change := range map[string]func(*document.Release){
		"the shortest app ID": func(r *document.Release) { r.AppID = "a.1" },
		"the longest app ID":  func(r *document.Release) { r.AppID = strings.Repeat("a", 64) },
		"the last sequence":   func(r *document.Release) { r.Sequence = document.MaxNumber },
		"nobody":              func(r *document.Release) { r.Split.BasisPoints = 0 },
		"everybody":           func(r *document.Release) { r.Split.BasisPoints = 10000 },
		"an empty archive":    func(r *document.Release) { r.Stable.Archive.Size = 0 },
		"1000 hashes":         func(r *document.Release) { r.Audience.Include.Hashes = many(1000) },
		"half a window":       func(r *document.Release) { r.Window.End = document.Time{} },
		"no stable yet":       func(r *document.Release) { r.Stable, r.Fallbacks = nil, nil },
	} {
		doc := full()
		change(doc)
		if err := doc.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func many(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	return document.HashKeys("seed", keys)
}
