// Package schedule reads what the plan of a rollout says about time: presets as
// the steps that they stand for, and calendars, which say when a share may grow.
// Package rollout decides by it, and package policy judges it.
//
// # Calendars
//
// An entry is on from each of its beginnings for its duration; beginnings that come
// sooner than that run together. A Deny that is on shuts its calendar, and so does
// a calendar with an Allow of which none is on. Several calendars hold beside each
// other: one that is shut is enough.
//
// A schedule has the five fields of cron, read as CronJobs read them, in the entry's
// time zone. A time that the clock leaves out on a day begins an hour before or
// after it, so that no Deny is lost with the hour; one that comes twice begins once.
//
// Answers take bounded work, whatever a schedule says: one that never comes, such
// as "0 0 30 2 *", is looked for through some years, and the change of very many
// entries that take turns up to a limit. Past that the answer says only when to ask
// again.
package schedule
