-- A host app that is disabled, or blocks something, is as Git wants it: Healthy. One whose
-- access tokens somebody has to put right is Degraded, though they are looked for again: a
-- sync waits for what is Progressing, and no other commit is synced meanwhile.
local health = {status = "Progressing"}
local status = obj.status or {}
local conditions = {}
for _, c in ipairs(status.conditions or {}) do
  conditions[c.type] = c
end
local function is(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end
local ready = conditions.Ready or {}

if obj.metadata.deletionTimestamp ~= nil then
  health.message = "being deleted"
elseif status.observedGeneration ~= obj.metadata.generation then
  health.message = "the controller has not seen generation " .. tostring(obj.metadata.generation) .. " yet"
elseif is("Stalled") then
  health.status, health.message = "Degraded", conditions.Stalled.message
elseif ready.reason == "AccessTokensMissing" then
  health.status, health.message = "Degraded", ready.message
elseif is("Ready") then
  health.status, health.message = "Healthy", ready.message
else
  health.message = ready.message
end
return health
