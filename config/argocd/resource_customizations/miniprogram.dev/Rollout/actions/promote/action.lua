-- Ends the step that the rollout is at, and no other: whoever was shown an older one
-- gets the answer Stale.
local status = obj.status or {}
if status.attempt == nil or status.target == nil or status.step == nil then
  error("no target is under way: there is nothing to promote", 0)
end
local about = tostring(status.attempt) .. "/" .. tostring(status.step.index)
local value = "promote@" .. about
-- The same value is not asked for anew, and 02 is attempt 2 as well.
if status.lastAction ~= nil and status.lastAction.value == value then
  value = "promote@0" .. about
end
obj.metadata.annotations = obj.metadata.annotations or {}
local asked = obj.metadata.annotations["miniprogram.dev/action"]
if asked == value then
  return obj -- somebody asks for just that
end
if asked ~= nil and (status.lastAction == nil or status.lastAction.value ~= asked) then
  error(asked .. " is not answered yet: look again when status.lastAction answers it", 0)
end
obj.metadata.annotations["miniprogram.dev/action"] = value
obj.metadata.annotations["miniprogram.dev/action-by"] = nil -- admission writes whose request it is
return obj
