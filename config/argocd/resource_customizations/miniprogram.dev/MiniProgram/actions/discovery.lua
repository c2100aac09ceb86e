-- What an action suspended an action resumes; what Git suspended, Git does.
-- (There is no string library here. "A" comes after "@".)
local action = (obj.metadata.annotations or {})["miniprogram.dev/action"] or ""
local byAction = action == "suspend" or (action >= "suspend@" and action < "suspendA")
local exists = obj.metadata.deletionTimestamp == nil
local suspended = byAction or obj.spec.availability == "Suspended"

local actions = {}
actions["suspend"] = {["disabled"] = not exists or suspended, ["iconClass"] = "fa fa-fw fa-ban", ["displayName"] = "Suspend: nobody gets it"}
actions["resume"] = {["disabled"] = not exists or not byAction, ["iconClass"] = "fa fa-fw fa-play-circle", ["displayName"] = "Resume"}
return actions
