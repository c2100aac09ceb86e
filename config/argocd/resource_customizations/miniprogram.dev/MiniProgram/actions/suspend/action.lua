-- Takes the mini program from everybody, at once, until somebody resumes it. Targets
-- that are under way are taken back.
-- (There is no string library here. "A" comes after "@".)
local action = (obj.metadata.annotations or {})["miniprogram.dev/action"] or ""
local byAction = action == "suspend" or (action >= "suspend@" and action < "suspendA")
if not byAction then
  obj.metadata.annotations = obj.metadata.annotations or {}
  obj.metadata.annotations["miniprogram.dev/action"] = "suspend@1"
  obj.metadata.annotations["miniprogram.dev/action-by"] = nil -- admission writes whose request it is
end
return obj
