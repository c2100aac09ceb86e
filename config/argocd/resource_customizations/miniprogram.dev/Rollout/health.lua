-- Paused is the only thing that is Suspended: a person, or an approval, is waited
-- for. What was taken back stays out until somebody decides, so it is Degraded,
-- whether by an abort or by a rollback that Git does not know of; and so is what
-- is held for longer than spec.progressDeadlineSeconds.
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
elseif is("Aborted") or ready.reason == "Aborted" then
  health.status, health.message = "Degraded", status.summary or ready.message
elseif is("Paused") then
  health.status, health.message = "Suspended", status.summary or conditions.Paused.message
elseif (conditions.Progressing or {}).reason == "ProgressDeadlineExceeded" then
  health.status, health.message = "Degraded", status.summary or ready.message
elseif is("Ready") then
  health.status, health.message = "Healthy", status.summary or ready.message
else
  health.message = status.summary or ready.message
end

-- Argo CD shows no answer to an action but this.
local asked = (obj.metadata.annotations or {})["miniprogram.dev/action"]
local answer = status.lastAction
if answer ~= nil and answer.value == asked and answer.result ~= "Done" then
  health.message = (health.message or "") .. " (" .. asked .. ": " .. answer.result .. ", " .. (answer.message or "") .. ")"
end
return health
