// Package rollout decides what a Rollout does next. Decide takes the plan from
// the spec, what status recorded, what was observed, and the time, and returns
// the status to record. It performs nothing, so every history can be replayed
// in a test.
//
// # The order of decisions
//
// Each pass asks the same questions in the same order; the first that takes the
// target back wins, whatever else is asked for at the same time:
//
//  1. the target was rejected or withdrawn, or the program is suspended: abort
//  2. stable was withdrawn or rejected: the newest servable version of the rollback history, else none
//  3. deletion: what stays is what the deletion policy says
//  4. a guardrail failed: pause or abort
//  5. the action: abort, promote, promote-full, retry, pause, resume, rollback
//  6. what Git names: a new target, a rollback, or the way back to stable
//  7. the steps of the target that is under way
//
// # Worked examples
//
// Each row is a test: TestTheWorkedExamples reads them here. It is noon, and what
// the spec names is approved unless a row says otherwise.
//
// Plan: 5 %, pause 60 s, 25 %, pause for a person. Stable is 1.0.0.
//
//	recorded                      seen                          recorded next
//	no target                     versionRef 1.1.0, approved    1.1.0 at step 1, 5 %; attempt 2; Progressing until 12:01:00
//	no target                     versionRef 1.1.0, unapproved  stable 1.0.0; attempt 1; NotApproved
//	step 1, 5 %, began 10 s ago   –                             1.1.0 at step 1, 5 %; attempt 2; Progressing until 12:00:50
//	step 1, 5 %, began 60 s ago   –                             1.1.0 at step 3, 25 %; attempt 2; WaitsForPromote
//	step 3, 25 %                  promote@2/3                   stable 1.1.0; attempt 2; Promoted; Done; can go back to 1.0.0
//	step 3, 25 %                  abort@2                       stable 1.0.0; attempt 2; Aborted; Done; refused 1.1.0; recall of 25 %
//	refused 1.1.0                 versionRef 1.1.0              stable 1.0.0; attempt 2; Aborted; refused 1.1.0
//	refused 1.1.0                 retry@2                       1.1.0 at step 3, 25 %; attempt 3; WaitsForPromote; Done
//	stable 1.1.0                  versionRef 1.0.0              stable 1.0.0; attempt 3; RolledBack
//
// With an approval of role privacy between the pause and 25 %:
//
//	step 1, 5 %, began 60 s ago   –                             1.1.0 at step 2, 5 %; attempt 2; WaitingForApproval
//	step 2, 5 %                   promote@2/2                   1.1.0 at step 2, 5 %; attempt 2; WaitingForApproval; Refused
//	step 2, 5 %                   step 2 of attempt 2 approved  1.1.0 at step 4, 25 %; attempt 2; WaitsForPromote
//	step 1, 5 %                   promote-full@2                1.1.0 at step 2, 5 %; attempt 2; WaitingForApproval; Done; promotion Full
//	step 2, 5 %, Full             step 2 of attempt 2 approved  stable 1.1.0; attempt 2; FastPromoted; can go back to 1.0.0
//	step 4, 25 %                  the approval is gone          1.1.0 at step 2, 25 %; attempt 2; WaitingForApproval
//	refused 1.1.0 at step 4       retry@2                       1.1.0 at step 2, 5 %; attempt 3; WaitingForApproval; Done
//
// With a calendar that is shut until 13:00:
//
//	no target                     versionRef 1.1.0, approved    1.1.0 at step 0, 0 %; attempt 2; CalendarClosed until 13:00:00
//	step 1, 5 %, began 10 s ago   –                             1.1.0 at step 1, 5 %; attempt 2; Progressing until 12:00:50
//	step 1, 5 %, began 60 s ago   –                             1.1.0 at step 2, 5 %; attempt 2; CalendarClosed until 13:00:00
//	step 3, 25 %                  promote@2/3                   1.1.0 at step 3, 25 %; attempt 2; WaitsForPromote; Refused
//	step 3, 25 %                  abort@2                       stable 1.0.0; attempt 2; Aborted; Done; refused 1.1.0; recall of 25 %
//	refused 1.1.0                 retry@2                       stable 1.0.0; attempt 2; Aborted; Refused; refused 1.1.0
//	stable 1.1.0                  versionRef 1.0.0              stable 1.0.0; attempt 3; RolledBack
//
// With progressDeadlineSeconds 600:
//
//	step 1, 5 %, began 10 s ago   unapproved                    1.1.0 at step 1, 5 %; attempt 2; NotApproved; held since 12:00:00
//	step 1, 5 %, held for 600 s   unapproved                    1.1.0 at step 1, 5 %; attempt 2; NotApproved; held since 11:50:00; overdue
//	step 1, 5 %, held for 600 s   –                             1.1.0 at step 3, 25 %; attempt 2; WaitsForPromote
//
// Plan: 5 %, pause 60 s, bake 600 s. Stable is 1.0.0.
//
//	step 1, 5 %, began 60 s ago   –                             1.1.0 at step 2, 5 %; attempt 2; Progressing until 12:10:00
//	step 2, 5 %, began 600 s ago  –                             stable 1.1.0; attempt 2; Promoted; can go back to 1.0.0
//	step 2, 5 %, began 600 s ago  steps 1 %, pause              1.1.0 at step 2, 5 %; attempt 2; ShareWouldFall; held since 12:00:00
//	step 2, 5 %, began 600 s ago  steps 10 %, pause             1.1.0 at step 1, 10 %; attempt 2; WaitsForPromote
//	step 2, 5 %, began 600 s ago  1.1.0 is withdrawn            stable 1.0.0; attempt 2; Aborted; refused 1.1.0; recall of 5 %
//
// # Approval steps
//
// A step is approved in one attempt, at one index, in one role and for one
// digest; of none of them another will do. That is asked in every pass, also of the
// steps before the present one, and not recorded: what an edit puts in the
// target's way holds it like what was there before, and an approval that no
// longer counts takes effect at once. The share stays where it is then, for only
// a take-back lowers it.
//
// promote-full does not end at an approval step; it is recorded, and goes on when
// the approval is there. Refusing it would be simpler, but an answered action
// is never performed again: the operator could not ask for the same a second
// time, after the approval.
//
// # Guardrails
//
// They watch from the first share on. With guardrail white, whose onFailure is Pause, and an
// analysis of it for 60 s instead of the pause:
//
//	recorded                      seen                          recorded next
//	step 1, 5 %, white new        –                             unchanged, holds: no whole interval was measured yet
//	step 1, 5 %, white new        white passed for 60 s         step 3, 25 %, white Passed
//	step 1, 5 %                   white failed                  white Failed with its figures, paused: Guardrail
//	paused, white Failed          resume@2                      not paused, white Inconclusive since now
//	step 1, 5 %                   white has no data             unchanged, holds; onNoData Abort: refused 1.1.0
//	step 2, 5 %, white Error      promote@2/2                   unchanged: Refused, for it is a share that waits
//	step 2, 5 %, white Error      promote-full@2                stable 1.1.0, FastPromoted
//
// A measurement counts when its interval began after the last change of the recorded
// word, which is after the share was out, and after somebody resumed: so who resumes is
// not stopped by what was looked at, and a failure has to come again. Words are recorded
// when they change, and so are figures: a measurement that says the same is no write.
//
// # Audiences and windows
//
// The share is of those whom the audience admits. With a rule for one city:
//
//	step 3, 25 %                  promote@2/3                   step 4, 100 % of the audience, waits: AudienceServed
//	step 4, AudienceServed        promote-full@2                stable 1.1.0, FastPromoted
//	step 1, 5 %                   ada is included               unchanged but for ada's hash: a decision of its own
//
// And with a window:
//
//	no target                     it opens in 60 s              target 1.1.0, step 0, nobody; recheck in 60 s
//	step 1, 5 %                   it has closed, Hold           unchanged, waits: WindowClosed
//	step 1, 5 %                   it has closed, Abort          no target, refused 1.1.0, recall of 5 %
//	refused 1.1.0                 retry@2, it is closed still   unchanged: Refused
//	step 1, 5 %, for 100 users    100 installations             closed since now, as if it ended: waits, or no target
//	closed, for 100 users         3 installations               unchanged: who counts has started anew
//	closed, for 100 users         users 200                     goes on
//
// An edit of audience or window is followed while the target is under way, also while it
// is paused, for a pause is about the share and an edit is somebody's word. While
// the gate is shut nobody new gets the target: names go out of include and into
// exclude, and all else waits. The end of a window counts whatever holds the target.
//
// Of users' keys only hashes are recorded, with a seed of their own for each target: at
// most 1,000 in include and in exclude, 1,001 of who lost the target by an edit, 2,000 in
// all recalls together, 22 bytes each. With the 16,384 characters that rules may have that is
// less than 200 KiB of status, and less than 160 KiB of the document's 256. What recalls cannot
// tell apart any longer gets a new number for everybody, as more than 20 recalls do.
//
// # Lists in ConfigMaps
//
// Long lists of users are hashed and cut into parts by who gathers. What is decided here
// is which parts count: each has a digest, a list, and nothing to look into.
//
//	no target                     lists not read                unchanged: AudienceNotRead
//	step 1, 5 %, list A           include names B               B is included, A is remembered as had
//	step 1, 5 %, list A           exclude names B               B is excluded since an edit: its users may have had the target
//	step 1, 5 %, A had, B since   abort@2                       a recall that includes A and says nothing of B
//	step 1, 5 %, A is lost        abort@2                       no recall: stable has a new number for everybody
//
// # Numbers
//
// The sequence rises with every change of the published document, to
// max(last+1, Unix seconds), and delivery numbers to max(last+1, minutes since
// 2020): both rise even after everything but Git was lost.
//
// A share never falls but by an abort, a rollback, a new target or a deletion,
// and a recall remembers who had the target then.
package rollout
