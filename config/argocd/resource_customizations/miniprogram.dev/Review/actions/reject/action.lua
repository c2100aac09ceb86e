-- Rejects the bytes that this Review names: a veto until a later Review lifts it. The
-- author reads the comment.
if obj.spec.decision ~= nil and obj.spec.decision ~= "Pending" then
  error("this Review was decided already (" .. obj.spec.decision .. "), and stays so", 0)
end
local comment = actionParams["comment"]
if comment == nil or comment == "" then
  error("write in the parameter comment why: it is what the author reads", 0)
end
obj.spec.comment = comment
obj.spec.decision = "Rejected"
obj.spec.reviewer = nil -- admission writes whose request it is
return obj
