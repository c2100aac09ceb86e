-- Ends what the action suspend began.
-- (There is no string library here. "A" comes after "@".)
local action = (obj.metadata.annotations or {})["miniprogram.dev/action"] or ""
local byAction = action == "suspend" or (action >= "suspend@" and action < "suspendA")
if not byAction and obj.spec.availability == "Suspended" then
  error("spec.availability is Suspended: set it to Listed or Hidden in Git", 0)
elseif not byAction then
  error("no action has suspended the mini program: there is nothing to resume", 0)
end
obj.metadata.annotations["miniprogram.dev/action"] = "resume@1"
obj.metadata.annotations["miniprogram.dev/action-by"] = nil -- admission writes whose request it is
return obj
