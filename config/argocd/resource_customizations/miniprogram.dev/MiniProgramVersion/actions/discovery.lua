-- Deciding is no action here: a decision is about one role, and a version does not say
-- which. Its Reviews have the actions approve and reject.
-- (There is no string library here. "A" comes after "@".)
local action = (obj.metadata.annotations or {})["miniprogram.dev/action"] or ""
local withdrawn = obj.spec.availability == "Withdrawn" or action == "withdraw" or
  (action >= "withdraw@" and action < "withdrawA")

local actions = {}
actions["withdraw"] = {
  ["disabled"] = withdrawn or obj.metadata.deletionTimestamp ~= nil,
  ["iconClass"] = "fa fa-fw fa-ban",
  ["displayName"] = "Withdraw: never served again",
}
return actions
