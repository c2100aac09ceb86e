-- Lets the share grow again. A pause that spec.state asks for is ended in Git.
local status = obj.status or {}
if obj.spec.state == "Paused" then
  error("spec.state is Paused: set it to Running in Git", 0)
end
if status.attempt == nil or status.target == nil then
  error("no target is under way: there is nothing to resume", 0)
end
local about = tostring(status.attempt)
local value = "resume@" .. about
-- The same value is not asked for anew, and 02 is attempt 2 as well.
if status.lastAction ~= nil and status.lastAction.value == value then
  value = "resume@0" .. about
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
