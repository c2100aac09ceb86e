-- Makes an earlier version stable for everybody, at once: the one that is named, or
-- the newest of the history. What Git names then stays out until Git names another.
local status = obj.status or {}
local rollbacks = status.rollbacks or {}
if status.attempt == nil or #rollbacks == 0 then
  error("there is no earlier stable version to go back to (status.rollbacks)", 0)
end
local version = actionParams["version"]
if version == nil or version == "" then
  version = rollbacks[#rollbacks].version
end
local known = {}
for i, r in ipairs(rollbacks) do
  known[i] = r.version
  known[r.version] = true
end
if not known[version] then
  error("version " .. version .. " is not in the rollback history: name one of " .. table.concat(known, ", "), 0)
end
local about = tostring(status.attempt) .. "/" .. version
local value = "rollback@" .. about
-- The same value is not asked for anew, and 02 is attempt 2 as well.
if status.lastAction ~= nil and status.lastAction.value == value then
  value = "rollback@0" .. about
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
