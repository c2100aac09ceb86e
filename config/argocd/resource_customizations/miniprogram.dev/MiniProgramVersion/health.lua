-- A version that waits for review is Healthy: reviewers take hours, and a later
-- wave with its Rollout must not wait for them, for the Rollout does. The message says
-- who is waited for. One that was withdrawn is what somebody wanted, even before
-- it was packaged. What somebody has to put right is Degraded, though it is tried
-- again: a sync waits for what is Progressing, and no other commit is synced meanwhile.
-- (There is no string library here. "A" comes after "@".)
local action = (obj.metadata.annotations or {})["miniprogram.dev/action"] or ""
local withdrawn = obj.spec.availability == "Withdrawn" or action == "withdraw" or
  (action >= "withdraw@" and action < "withdrawA")
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
local putRight = {
  MiniProgramMissing = true, SignatureInvalid = true, SignatureMissing = true, SourceDigest = true, SourceForbidden = true,
  SourceInvalid = true, SourceMissing = true, SourceTooLarge = true, SourceUnauthorized = true,
}

if obj.metadata.deletionTimestamp ~= nil then
  health.message = "being deleted"
elseif status.observedGeneration ~= obj.metadata.generation then
  health.message = "the controller has not seen generation " .. tostring(obj.metadata.generation) .. " yet"
elseif withdrawn then
  health.status, health.message = "Healthy", "withdrawn: it is never served again"
elseif is("Stalled") then
  health.status, health.message = "Degraded", conditions.Stalled.message
elseif is("Ready") then
  health.status, health.message = "Healthy", status.summary or ready.message
elseif putRight[ready.reason or ""] then
  health.status, health.message = "Degraded", ready.message
else
  health.message = ready.message
end
return health
