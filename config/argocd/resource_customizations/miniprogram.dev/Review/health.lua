-- A Review waits for a person. It is no part of what is synced, so it holds back nothing.
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
elseif is("Ready") then
  health.status, health.message = "Healthy", ready.message
else
  health.message = ready.message
end
return health
