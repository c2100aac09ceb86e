-- The version is never served again, and Rollouts of it abort. Git should say the same
-- soon after, in spec.availability.
-- (There is no string library here. "A" comes after "@".)
local action = (obj.metadata.annotations or {})["miniprogram.dev/action"] or ""
local withdrawn = obj.spec.availability == "Withdrawn" or action == "withdraw" or
  (action >= "withdraw@" and action < "withdrawA")
if not withdrawn then
  obj.metadata.annotations = obj.metadata.annotations or {}
  obj.metadata.annotations["miniprogram.dev/action"] = "withdraw@1"
  obj.metadata.annotations["miniprogram.dev/action-by"] = nil -- admission writes whose request it is
end
return obj
