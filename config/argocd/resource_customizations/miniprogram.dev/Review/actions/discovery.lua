-- What is decided stays: only a pending Review is decided.
local pending = obj.metadata.deletionTimestamp == nil and (obj.spec.decision == nil or obj.spec.decision == "Pending")

local actions = {}
actions["approve"] = {
  ["disabled"] = not pending, ["iconClass"] = "fa fa-fw fa-check-circle", ["displayName"] = "Approve",
  ["params"] = {{["name"] = "comment"}},
}
actions["reject"] = {
  ["disabled"] = not pending, ["iconClass"] = "fa fa-fw fa-times-circle", ["displayName"] = "Reject (with a comment)",
  ["params"] = {{["name"] = "comment"}},
}
return actions
