-- What can be done now. The controller asks for more (the gate, the calendar, guardrails)
-- and answers an action that it refuses in status.lastAction, which the health shows.
-- While somebody's action is not answered only an abort takes its place.
local status = obj.status or {}
local target, step, refused = status.target, status.step or {}, status.refused
local rollbacks = status.rollbacks or {}
local asked = (obj.metadata.annotations or {})["miniprogram.dev/action"]
local answered = asked == nil or (status.lastAction ~= nil and status.lastAction.value == asked)
local exists = obj.metadata.deletionTimestamp == nil and status.attempt ~= nil
local underWay = exists and target ~= nil
local paused = status.pausedReason ~= nil
local running = underWay and not paused and obj.spec.state ~= "Paused"
local release = obj.spec.channel ~= "trial"

local actions = {}
local function offer(name, enabled, icon, title)
  enabled = enabled and (answered or name == "abort")
  actions[name] = {["disabled"] = not enabled, ["iconClass"] = "fa fa-fw " .. icon, ["displayName"] = title}
end

offer("promote", running and release and step.kind ~= nil and step.kind ~= "Approval", "fa-step-forward", "Promote")
offer("promote-full", running and release and status.promotion ~= "Full", "fa-fast-forward", "Promote to everybody")
offer("abort", underWay, "fa-times-circle", "Abort")
offer("retry", exists and target == nil and refused ~= nil and refused.versionRef == obj.spec.versionRef.name and
  obj.spec.state ~= "Paused", "fa-redo", "Retry")
offer("pause", underWay and not paused, "fa-pause-circle", "Pause")
offer("resume", underWay and paused and obj.spec.state ~= "Paused", "fa-play-circle", "Resume")
offer("rollback", exists and #rollbacks > 0, "fa-undo", "Roll back")
if underWay then
  if step.index ~= nil then
    actions["promote"]["displayName"] = "Promote: end step " .. tostring(step.index)
  end
  actions["promote-full"]["displayName"] = "Promote " .. target.version .. " to everybody"
  actions["abort"]["displayName"] = "Abort " .. target.version
end
if #rollbacks > 0 then
  actions["rollback"]["displayName"] = "Roll back (to " .. rollbacks[#rollbacks].version .. ", unless you name another)"
  actions["rollback"]["params"] = {{["name"] = "version"}}
end
return actions
