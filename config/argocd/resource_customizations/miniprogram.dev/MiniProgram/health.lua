-- Suspended is what somebody wanted, and the message says it. Only a Rollout is ever
-- Suspended here, for that holds back later waves. A suspended app ID is not transferred before
-- this one is suspended, too: that takes a commit, and no commit is synced while a sync waits
-- for what is Progressing, so it is Degraded.
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
elseif ready.reason == "Suspended" then
  health.status, health.message = "Degraded", ready.message
else
  health.message = ready.message
end
return health
