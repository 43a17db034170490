-- SPDX-License-Identifier: Apache-2.0
--
-- Health of an AppArmorProfile for Argo CD: Healthy when every selected node has this very text in its kernel.
-- argocd-cm.yaml beside this file gives it to Argo CD.
local function condition(type)
  if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, each in ipairs(obj.status.conditions) do
      if each.type == type then
        return each
      end
    end
  end
  return nil
end

local ready = condition("Ready")
local message = "waiting for the controller"
if ready ~= nil then
  message = ready.message
end

if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = message}
end
if ready == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "waiting for the controller"}
end
if ready.status == "True" then
  return {status = "Healthy", message = message}
end
if condition("Stalled") ~= nil then
  return {status = "Degraded", message = message}
end
if ready.reason == "RolloutPaused" then
  return {status = "Suspended", message = message}
end
return {status = "Progressing", message = message}
