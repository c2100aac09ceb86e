-- Approves the bytes that this Review names. The reviewer is the account of Argo CD, so
-- the gate cannot tell the author from anybody else: see docs/argocd.md before you grant it.
if obj.spec.decision ~= nil and obj.spec.decision ~= "Pending" then
  error("this Review was decided already (" .. obj.spec.decision .. "), and stays so", 0)
end
local comment = actionParams["comment"]
if comment ~= nil and comment ~= "" then
  obj.spec.comment = comment
end
obj.spec.decision = "Approved"
obj.spec.reviewer = nil -- admission writes whose request it is
return obj
