package admissiontest

import (
	"strings"
	"testing"
)

const (
	everything = " holds every right through a wildcard, and a decision must be the word of one person who was asked: decide as that person (kubectl --as=NAME), or with an account that only has a Role with verb approve on miniprograms/review-privacy (resourceNames: shop)"
	notAsked   = ": ask for a Role in namespace shop-team with verb approve on miniprograms/review-privacy (resourceNames: shop)"
	otherwise  = "spec: a pending Review is changed only by who may decide it (verb approve on miniprograms/review-privacy, resourceNames: shop, not by a wildcard), and by its author, dora, who may set spec.decision: Withdrawn and add to spec.evidence; "
)

// stepOfShop, after pendingReview, makes it one of a step.
const stepOfShop = "\n  rollout: {name: shop, attempt: 1, step: 2}"

func decide(review, decision, reviewer string) request {
	return patch("Review", review, "spec: {decision: "+decision+", reviewer: "+reviewer+", comment: Read it.}")
}

func TestAReviewIsDecidedByWhoWasAskedByName(t *testing.T) {
	const policy = "miniprogram-review-decisions"
	deny := func(name, message string) string { return denied("reviews", name, policy, message) }
	check(t, map[string]cell{
		"who holds the role approves":           {who: rita, do: decide("pending", "Approved", rita)},
		"who holds the role rejects":            {who: rita, do: decide("pending", "Rejected", rita)},
		"who holds the role creates a decision": {who: rita, do: create("Review", "own", pendingReview+"\n  decision: Approved\n  reviewer: rita")},
		"without a host app's right, not for a host app": {
			who:  rita,
			do:   decide("pending-wallet", "Approved", rita),
			want: deny("pending-wallet", "spec.decision: rita may not decide in role privacy for host app wallet: ask for a ClusterRole with verb approve on hostapps/review-privacy (resourceNames: wallet)"),
		},
		"with a host app's right, for a host app": {who: wanda, do: decide("pending-wallet", "Approved", wanda)},
		"a step":              {who: rita, do: decide("pending-step", "Approved", rita)},
		"a step, by creation": {who: rita, do: create("Review", "own", pendingReview+stepOfShop+"\n  decision: Approved\n  reviewer: rita")},
		"fewer permissions":   {who: rita, do: patch("Review", "pending", "spec: {decision: Approved, reviewer: rita, approvedPermissions: [camera]}")},
		"a step not in another role": {
			who:  quentin,
			do:   decide("pending-step", "Approved", quentin),
			want: deny("pending-step", "spec.decision: quentin may not decide in role privacy for mini program shop"+notAsked),
		},
		"a step not by its author": {
			who:  dora,
			do:   decide("pending-step", "Approved", dora),
			want: deny("pending-step", "spec.decision: dora may not decide in role privacy for mini program shop"+notAsked),
		},
		"not in another role": {
			who:  quentin,
			do:   decide("pending", "Approved", quentin),
			want: deny("pending", "spec.decision: quentin may not decide in role privacy for mini program shop"+notAsked),
		},
		"in the role that was given": {who: quentin, do: decide("pending-quality", "Approved", quentin)},
		"not for another program": {
			who:  rita,
			do:   decide("pending-other", "Approved", rita),
			want: deny("pending-other", "spec.decision: rita may not decide in role privacy for mini program suspended: ask for a Role in namespace shop-team with verb approve on miniprograms/review-privacy (resourceNames: suspended)"),
		},
		"not by a developer": {
			who:  dora,
			do:   decide("pending", "Approved", dora),
			want: deny("pending", "spec.decision: dora may not decide in role privacy for mini program shop"+notAsked),
		},
		"not by an admin of mini programs": {
			who:  adam,
			do:   create("Review", "own", pendingReview+"\n  decision: Approved\n  reviewer: adam"),
			want: deny("own", "spec.decision: adam may not decide in role privacy for mini program shop"+notAsked),
		},
		"not in another's name": {
			who:  rita,
			do:   decide("pending", "Approved", wanda),
			want: deny("pending", "spec.reviewer: must be the user who decides, rita, not wanda"),
		},
		"not by system:masters": {
			who:  installer,
			do:   decide("pending", "Approved", installer),
			want: deny("pending", "spec.decision: installer"+everything),
		},
		"not by a cluster admin, even with the right by name": {
			who:  carl,
			do:   decide("pending", "Approved", carl),
			want: deny("pending", "spec.decision: carl"+everything),
		},
		"not by who holds everything in the namespace, even with the right by name": {
			who:  nadia,
			do:   decide("pending", "Rejected", nadia),
			want: deny("pending", "spec.decision: nadia"+everything),
		},
		"not by creation, by who holds everything": {
			who:  carl,
			do:   create("Review", "own", pendingReview+"\n  decision: Rejected\n  reviewer: carl\n  comment: No."),
			want: deny("own", "spec.decision: carl"+everything),
		},
		"not by the controller, even with the right by name": {
			who:  controller,
			do:   create("Review", "own", pendingReview+"\n  decision: Approved\n  reviewer: system:serviceaccount:miniprogram-system:miniprogram-manager"),
			want: deny("own", "spec.decision: system:serviceaccount:miniprogram-system:miniprogram-manager is a controller (verb report on controllers.miniprogram.dev), and controllers do not decide: decide with the account of a person"),
		},
	})
}

func TestARejectionIsLiftedByItsReviewerOrByWhoMayOverrule(t *testing.T) {
	supersede := func(reviewer, review string) request {
		return patch("Review", "pending", "spec: {decision: Approved, reviewer: "+reviewer+", supersedes: "+review+"}")
	}
	deny := func(name, message string) string {
		return denied("reviews", name, "miniprogram-review-supersedes", message)
	}
	check(t, map[string]cell{
		"by its reviewer":                          {who: rita, do: supersede(rita, "rejected")},
		"by who may overrule":                      {who: olivia, do: supersede(olivia, "rejected")},
		"of what never was":                        {who: wanda, do: supersede(wanda, "missing")},
		"of a deleted Review, by its reviewer":     {who: rita, do: supersede(rita, "purged")},
		"of a deleted Review, by who may overrule": {who: olivia, do: supersede(olivia, "purged")},
		"of a deleted Review, not by another reviewer": {
			who:  wanda,
			do:   supersede(wanda, "purged"),
			want: denied("reviews", "pending", "miniprogram-review-vetoes", "spec.supersedes: status.rejections of mini program vetoed keeps purged as the word of rita, not of wanda: ask that reviewer to supersede it, or for verb overrule on miniprograms (resourceNames: shop)"),
		},
		"not by another reviewer": {
			who:  wanda,
			do:   supersede(wanda, "rejected"),
			want: deny("pending", "spec.supersedes: Review rejected is the word of rita, not of wanda: ask that reviewer to supersede it, or for verb overrule on miniprograms (resourceNames: shop)"),
		},
		"not by another reviewer's new Review": {
			who:  wanda,
			do:   create("Review", "own", pendingReview+"\n  decision: Approved\n  reviewer: wanda\n  supersedes: rejected"),
			want: deny("own", "spec.supersedes: Review rejected is the word of rita, not of wanda: ask that reviewer to supersede it, or for verb overrule on miniprograms (resourceNames: shop)"),
		},
		"not before anybody spoke": {
			who:  wanda,
			do:   supersede(wanda, "pending-quality"),
			want: deny("pending", "spec.supersedes: Review pending-quality is the word of nobody yet, not of wanda: ask that reviewer to supersede it, or for verb overrule on miniprograms (resourceNames: shop)"),
		},
	})
}

func TestWhatBesideDecidingMayHappenToAReview(t *testing.T) {
	deny := func(name, message string) string {
		return denied("reviews", name, "miniprogram-review-lifecycle", message)
	}
	const (
		onlyController = "spec.decision: only the controller creates pending Reviews (verb report on controllers.miniprogram.dev): set spec.review: Requested on MiniProgramVersion shop-1, or create the Review with your decision"
		owner          = "metadata: {ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: bundle, uid: 0-1}]}"
		ownerDenied    = "metadata.ownerReferences: only the controller gives a Review an owner, not rita: leave it out"
	)
	check(t, map[string]cell{
		"the controller asks": {who: controller, do: create("Review", "new", pendingReview)},
		"a reviewer does not ask": {
			who: rita, do: create("Review", "new", pendingReview), want: deny("new", onlyController),
		},
		"a cluster admin does not ask": {
			who: carl, do: create("Review", "new", pendingReview), want: deny("new", onlyController),
		},
		"nobody creates one withdrawn": {
			who:  rita,
			do:   create("Review", "new", pendingReview+"\n  decision: Withdrawn"),
			want: deny("new", "spec.decision: a Review cannot be created Withdrawn; only a pending one can be withdrawn"),
		},
		"the author withdraws": {who: dora, do: patch("Review", "pending", "spec: {decision: Withdrawn}")},
		"another developer does not withdraw": {
			who:  dan,
			do:   patch("Review", "pending", "spec: {decision: Withdrawn}"),
			want: deny("pending", "spec.decision: only the author, dora, or the controller may withdraw this Review, not dan: write Rejected with a comment instead"),
		},
		"nobody withdraws for an unknown author": {
			who:  rita,
			do:   patch("Review", "pending-other", "spec: {decision: Withdrawn}"),
			want: deny("pending-other", "spec.decision: only the author, who is unknown, or the controller may withdraw this Review, not rita: write Rejected with a comment instead"),
		},
		"the author adds evidence": {
			who: dora,
			do:  patch("Review", "pending", `spec: {evidence: [{title: Video, url: "https://example.com/video"}, {title: Screens, url: "https://example.com/screens"}]}`),
		},
		"the author does not take evidence away": {
			who: dora, do: patch("Review", "pending", "spec: {evidence: []}"), want: deny("pending", otherwise+"dora did something else"),
		},
		"the author does not write the answer": {
			who: dora, do: patch("Review", "pending", "spec: {comment: Fine.}"), want: deny("pending", otherwise+"dora did something else"),
		},
		"the author does not prepare the lifting of a rejection": {
			who: dora, do: patch("Review", "pending", "spec: {supersedes: rejected}"), want: deny("pending", otherwise+"dora did something else"),
		},
		"the author does not agree to permissions": {
			who: dora, do: patch("Review", "pending", "spec: {approvedPermissions: [camera]}"), want: deny("pending", otherwise+"dora did something else"),
		},
		"who holds everything drafts nothing": {
			who: carl, do: patch("Review", "pending", "spec: {supersedes: rejected}"), want: deny("pending", otherwise+"carl did something else"),
		},
		"a reviewer drafts the permissions":         {who: rita, do: patch("Review", "pending", "spec: {approvedPermissions: [camera]}")},
		"the controller asks about a step":          {who: controller, do: create("Review", "new", pendingReview+stepOfShop)},
		"a reviewer does not ask about a step":      {who: rita, do: create("Review", "new", pendingReview+stepOfShop), want: deny("new", onlyController)},
		"the author withdraws the Review of a step": {who: dora, do: patch("Review", "pending-step", "spec: {decision: Withdrawn}")},
		"another developer adds no evidence": {
			who:  dan,
			do:   patch("Review", "pending-quality", `spec: {evidence: [{title: Video, url: "https://example.com/video"}]}`),
			want: deny("pending-quality", "spec: a pending Review is changed only by who may decide it (verb approve on miniprograms/review-quality, resourceNames: shop, not by a wildcard), and by its author, dora, who may set spec.decision: Withdrawn and add to spec.evidence; dan did something else"),
		},
		"a reviewer drafts":                {who: rita, do: patch("Review", "pending", "spec: {comment: Half way through.}")},
		"a reviewer drafts for a host app": {who: wanda, do: patch("Review", "pending-wallet", "spec: {comment: Half way through.}")},
		"without a host app's right nobody drafts for it": {
			who: rita, do: patch("Review", "pending-wallet", "spec: {comment: Half way through.}"), want: deny("pending-wallet", otherwise+"rita did something else"),
		},
		"a decided one gets no more evidence": {
			who:  rita,
			do:   patch("Review", "approved", `spec: {evidence: [{title: Video, url: "https://example.com/video"}]}`),
			want: deny("approved", "spec: this Review was approved and may not change; a later Review can supersede it"),
		},
		"labels are free":               {who: rita, do: patch("Review", "rejected", "metadata: {labels: {team: shop}}")},
		"the controller gives an owner": {who: controller, do: create("Review", "new", pendingReview+"\n"+owner)},
		"nobody else gives an owner":    {who: rita, do: patch("Review", "rejected", owner), want: deny("rejected", ownerDenied)},
		"nobody creates one with an owner": {
			who: rita, do: create("Review", "own", pendingReview+"\n  decision: Approved\n  reviewer: rita\n"+owner), want: deny("own", ownerDenied),
		},
	})
}

func TestAReviewIsDeletedByItsAuthorBeforeAndByWhoMayPurgeAfter(t *testing.T) {
	deny := func(name, message string) string {
		return denied("reviews", name, "miniprogram-review-deletion", message)
	}
	const (
		kept      = " by rita and is kept as a record: deleting it needs verb purge on reviews; to lift a rejection create a Review that names it in spec.supersedes"
		untold    = " by rita, and nothing else tells of it yet (status.recordTime is unset): the controller records it, so see that the manager runs and that mini program shop exists, and delete it then"
		undecided = "metadata.name: a Review without a decision is deleted only by its author, dora, by the controller, and by who has verb purge on reviews, not by "
	)
	check(t, map[string]cell{
		"a pending one by its author":                  {who: dora, do: remove("Review", "pending")},
		"a pending one by the controller":              {who: controller, do: remove("Review", "pending")},
		"a pending one by who may purge":               {who: adam, do: remove("Review", "pending")},
		"a pending one not by another developer":       {who: dan, do: remove("Review", "pending"), want: deny("pending", undecided+"dan: ask one of them")},
		"a pending one not by a reviewer":              {who: rita, do: remove("Review", "pending"), want: deny("pending", undecided+"rita: ask one of them")},
		"a withdrawn one by its author":                {who: dora, do: remove("Review", "withdrawn")},
		"a withdrawn one not by another developer":     {who: dan, do: remove("Review", "withdrawn"), want: deny("withdrawn", undecided+"dan: ask one of them")},
		"one of nobody not by a developer":             {who: dora, do: remove("Review", "pending-other"), want: deny("pending-other", strings.Replace(undecided, "author, dora", "author, who is unknown", 1)+"dora: ask one of them")},
		"a recorded one by who may purge":              {who: adam, do: remove("Review", "recorded")},
		"a recorded one by who holds everything":       {who: installer, do: remove("Review", "recorded")},
		"a recorded one not by its author":             {who: dora, do: remove("Review", "recorded"), want: deny("recorded", "metadata.name: Review recorded was approved"+kept)},
		"one that is not recorded by nobody":           {who: adam, do: remove("Review", "rejected"), want: deny("rejected", "metadata.name: Review rejected was rejected"+untold)},
		"nor by who holds everything":                  {who: installer, do: remove("Review", "approved"), want: deny("approved", "metadata.name: Review approved was approved"+untold)},
		"a rejected one not by its reviewer":           {who: rita, do: remove("Review", "rejected"), want: deny("rejected", "metadata.name: Review rejected was rejected"+kept)},
		"an approved one not by its reviewer":          {who: rita, do: remove("Review", "approved"), want: deny("approved", "metadata.name: Review approved was approved"+kept)},
		"a rejected one not by the controller":         {who: controller, do: remove("Review", "rejected"), want: deny("rejected", "metadata.name: Review rejected was rejected"+kept)},
		"a recorded one not by the controller, either": {who: controller, do: remove("Review", "recorded"), want: deny("recorded", "metadata.name: Review recorded was approved"+kept)},
	})
}
