// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * The reasons of AppArmorProfile conditions and Events that are the controller's own, one table:
 * what the code writes and what docs/reasons.md says (`make reference` writes it). X(symbol,
 * reason, conditions, meaning, remedy). Condition Valid also shows the reason for which the text
 * was refused, here or by a node; Events about nodes have the reasons that the nodes gave.
 */
#define REASONS(X)                                                                                \
    X(ALL_NODES_LOADED, "AllNodesLoaded", "Ready=True",                                           \
      "Every selected node has this generation loaded and verified.", "Nothing.")                 \
    X(NO_NODES_SELECTED, "NoNodesSelected", "Ready=True",                                         \
      "No node with AppArmor and an agent matches spec.nodeSelector.",                            \
      "If nodes were meant to match, compare spec.nodeSelector with `kubectl get nodes "          \
      "--show-labels`, and see `kubectl get aan` for nodes without AppArmor.")                    \
    X(NODES_PENDING, "NodesPending", "Ready=False, Reconciling=True",                             \
      "Selected nodes have not loaded this generation yet; none has failed.",                     \
      "Wait. A node that stays behind has an agent that does not report: see its pod's log.")     \
    X(NODES_FAILED, "NodesFailed", "Ready=False, Stalled=True or Reconciling=True",               \
      "Nodes could not load this generation for a reason of their own; what they had loaded "     \
      "before stays.",                                                                            \
      "See status.failures; mend the node, or exclude it with spec.nodeSelector.")                \
    X(INVALID, "Invalid", "Ready=False, Stalled=True or Reconciling=True",                        \
      "The text was refused; what was loaded before stays. Condition Valid says why.",            \
      "Correct spec.policy at the line that the message names.")                                  \
    X(ROLLOUT_PROGRESSING, "RolloutProgressing", "Ready=False, Reconciling=True",                 \
      "The rollout of this text has not come to all nodes; the others keep the one before.",      \
      "Wait, or change its pace: see status.rollout and docs/rollout.md.")                        \
    X(ROLLOUT_PAUSED, "RolloutPaused", "Ready=False, Reconciling=True",                           \
      "spec.rollout.paused stops the rollout where it is.", "Take spec.rollout.paused away.")     \
    X(ROLLOUT_HALTED, "RolloutHalted", "Ready=False, Stalled=True",                               \
      "Too many of the nodes that have the text already failed: it goes to no more of them.",     \
      "Correct spec.policy, or put its previous text back, or resume: see docs/rollout.md.")      \
    X(ROLLOUT_STEP, "RolloutStep", "(Events only)", "The rollout has gone on to more nodes.",     \
      "Nothing.")                                                                                 \
    X(QUIET, "Quiet", "Promotable=True",                                                          \
      "In mode Complain, nodes have let nothing through for a while that Enforce would refuse.",  \
      "See that what the profile is for has run meanwhile; then set spec.mode to Enforce.")       \
    X(NOT_USED, "NotUsed", "Promotable=False",                                                    \
      "In mode Complain, quiet for long enough, and no process has been seen under it.",          \
      "Run what the profile is for. What begins and ends within a second may not be seen: "       \
      "kubectl apparmor promote --force.")                                                        \
    X(WOULD_BE_DENIED, "WouldBeDenied", "Promotable=False",                                       \
      "In mode Complain, nodes let accesses through that Enforce would refuse.",                  \
      "Add rules for them: see status.denials of AppArmorNodes, and docs/denials.md.")            \
    X(OBSERVED_BRIEFLY, "ObservedBriefly", "Promotable=False",                                    \
      "In mode Complain, without an access beyond the policy, but not for long enough.", "Wait.") \
    X(NOT_OBSERVED, "NotObserved", "Promotable=False",                                            \
      "In mode Complain, and not every selected node has it loaded and is told of denials.",      \
      "See Ready, and status.audit of AppArmorNodes.")                                            \
    X(TERMINATING, "Terminating", "Ready=False",                                                  \
      "The object is being deleted; nodes keep the profile while processes use it.",              \
      "Delete the pods that use it, or wait; annotation apparmor.io/force-delete=true lets the "  \
      "object go at once.")                                                                       \
    X(RELEASED, "Released", "(Events only)",                                                      \
      "No live node has the deleted object's profile any more: the object goes.", "Nothing.")     \
    X(FORCE_DELETED, "ForceDeleted", "(Events only)",                                             \
      "The deleted object goes by its annotation apparmor.io/force-delete, though nodes still "   \
      "have its profile; they keep it while it is in use.",                                       \
      "See `kubectl get aan -o yaml` for the nodes that are Draining.")                           \
    X(COMPILED, "Compiled", "Valid=True",                                                         \
      "The text compiles for the kernels that nodes have, or nodes have loaded it.", "Nothing.")  \
    X(NOT_COMPILED, "NotCompiled", "Valid=Unknown",                                               \
      "Neither the controller nor a node has compiled this generation yet.",                      \
      "Wait. When it stays so, the controller's log says why it has no compiler, or "             \
      "status.validation that the text takes too much time or memory.")                           \
    X(NODE_RECOVERED, "NodeRecovered", "(Events only)",                                           \
      "A node that had failed has loaded this generation.", "Nothing.")

/*
 * The reasons of entries in status.profiles of AppArmorNodes, and so of status.failures and of
 * Events. X(reason, speaks of, meaning, remedy). What speaks of the OBJECT, the same text would
 * meet anywhere; it is what the controller, compiling it itself, puts into condition Valid.
 */
#define NODE_REASONS(X)                                                                            \
    X("CompileError", OBJECT, "The text does not compile.",                                        \
      "Correct spec.policy at the line that the message names.")                                   \
    X("ForbiddenInclude", OBJECT,                                                                  \
      "The text includes what is not a shipped abstraction, tunable or abi.",                      \
      "Include <abstractions/…> and <tunables/…> only, or write the rules out.")                   \
    X("InvalidPolicy", OBJECT,                                                                     \
      "The text compiles into something that no kernel is given: names twice, a namespace, no "    \
      "profile at all, or spec.mode cannot be written into it.",                                   \
      "As the message says.")                                                                      \
    X("HostAttachment", OBJECT, "The policy attaches to programs of the host by path.",            \
      "Leave the attachment out, or set spec.allowHostAttachment to true.")                        \
    X("InvalidSpec", OBJECT, "The object is not what its definition asks for.",                    \
      "Correct the field that the message names.")                                                 \
    X("InvalidProfile", OBJECT, "The agent cannot read the object.",                               \
      "Correct the field that the message names, or bring the agents up to the definition's "      \
      "release.")                                                                                  \
    X("CompileTimeout", NODE, "The text takes more time to compile than it is given.",             \
      "Simplify its rules, above all alternations and ** in the middle of paths.")                 \
    X("CompileResources", NODE, "The text takes more memory to compile than it is given.",         \
      "Simplify its rules, or split it into several objects.")                                     \
    X("CompilerUnavailable", NODE, "There is no working apparmor_parser.",                         \
      "See the agent's log; the shipped image has one.")                                           \
    X("NameConflict", NODE, "Another AppArmorProfile has a profile of that name on the node.",     \
      "Rename one, or select other nodes.")                                                        \
    X("NotOwned", NODE, "The node has a profile, or a file, of that name from elsewhere.",         \
      "Choose another name, or take it over by spec.adopt: migration.md.")                         \
    X("FetchFailed", NODE, "The agent could not read the object.",                                 \
      "Wait: it is tried again. See the agent's log.")                                             \
    X("FileError", NODE, "/etc/apparmor.d cannot be written.",                                     \
      "See the message, and mend the node.")                                                       \
    X("LoadFailed", NODE, "The kernel refused the policy.",                                        \
      "See the message and the node's kernel log.")                                                \
    X("KernelRefused", NODE, "The kernel refused the policy.",                                     \
      "See the message and the node's kernel log.")                                                \
    X("VerifyFailed", NODE, "The kernel, read back, has something else.",                          \
      "Find out what else on the node changes AppArmor policy.")                                   \
    X("KernelError", NODE, "The kernel's policy cannot be read.",                                  \
      "See the message, and mend the node.")                                                       \
    X("KernelStuck", NODE, "The kernel's policy lock is stuck: policy cannot change.",             \
      "Reboot the node.")                                                                          \
    X("AppArmorDisabled", NODE, "The node's kernel has no AppArmor, or it is off.",                \
      "Boot it with apparmor=1 and apparmor in lsm=, or exclude it with spec.nodeSelector.")       \
    X("SecurityfsMissing", NODE, "/sys/kernel/security is not mounted.",                           \
      "Mount securityfs on the node.")                                                             \
    X("NotAllListed", NODE, "More AppArmorProfiles than an AppArmorNode lists.", "Nothing.")       \
    X("AuditDisabled", NODE, "The node's kernel has no audit: denials there are told to nobody.",  \
      "Boot it without audit=0.")                                                                  \
    X("AuditNotPermitted", NODE, "The agent may not read audit records.",                          \
      "Give it the capability AUDIT_READ.")                                                        \
    X("AuditSilent", NODE,                                                                         \
      "Audit records go to the node's network, which the agent's pod is not in.",                  \
      "Give its pod hostNetwork: true.")                                                           \
    X("AuditUnavailable", NODE, "Audit records cannot be read.", "See the message.")               \
    X("RolloutPending", NODE, "The rollout has not come to this node yet.", "Wait.")               \
    X("Compiling", NODE, "The text is being compiled.", "Wait.")                                   \
    X("Contested", NODE, "Something else on the node keeps changing the profile.",                 \
      "Find out what; it is put back five times a minute.")                                        \
    X("Orphaned", NODE, "The object is gone and nobody deleted it, so what is loaded stays.",      \
      "Apply the object again, or delete it once it is back.")                                     \
    X("AlsoInFile", NODE,                                                                          \
      "It was adopted, and a file of the host that is not the operator's declares it, too.",       \
      "Remove the file, without unloading it: rm, not apparmor_parser -R.")                        \
    X("NotEnforced", NODE, "Processes run on as mode Complain has left them.",                     \
      "Restart the containers that the message names.")                                            \
    X("InUse", NODE, "Removal waits for processes or pods that use the profile.",                  \
      "Delete the pods that the message names, or wait.")                                          \
    X("WaitingForLabel", NODE, "Removal waits until the Node's label is gone.", "Wait.")           \
    X("Removing", NODE, "The profile is being removed.", "Wait.")                                  \
    X("RemoveFailed", NODE, "Removal failed, and is tried again.", "See the message.")             \
    X("PodsUnknown", NODE, "The node's pods could not be listed, so nothing is removed.",          \
      "Wait; see the agent's log.")                                                                \
    X("TasksUnknown", NODE, "The node's processes could not be looked at, so nothing is removed.", \
      "Wait; see the agent's log.")

/* Of status.warnings and their Events. X(reason, meaning, remedy). */
#define WARNING_REASONS(X)                                                                      \
    X("DenyInComplain", "Explicit deny rules deny in mode Complain, too, and leave no record.", \
      "Write `audit deny` to have them allowed and recorded in mode Complain.")                 \
    X("HostAttachment",                                                                         \
      "The policy confines the host's own programs, as spec.allowHostAttachment "               \
      "allows.",                                                                                \
      "Nothing, if that is meant.")                                                             \
    X("RuleNotEnforced",                                                                        \
      "A kind of rule that kernels of the nodes know nothing of: what it forbids is allowed "   \
      "there.",                                                                                 \
      "`kubectl get aan -o wide` shows which nodes have the kernel features that the message "  \
      "names; do not rely on the rule there.")

/* Events about other objects. X(reason, object, meaning, remedy). */
#define OTHER_REASONS(X)                                                                           \
    X("Repaired", "AppArmorProfile", "Something else on a node had changed or removed it.",        \
      "Find out what, if it goes on.")                                                             \
    X("Adopted", "AppArmorProfile",                                                                \
      "A node had the profile from elsewhere and has taken it over, as spec.adopt says.",          \
      "Take away what loaded it, without unloading it: migration.md.")                             \
    X("Lost", "AppArmorProfile", "A kernel has lost it and could not take it again for a minute.", \
      "See the agent's log; the node's label is removed.")                                         \
    X("AppArmorDenied", "Pod, AppArmorProfile",                                                    \
      "A profile has refused a container something, which the Event names.",                       \
      "Add a rule to spec.policy, or find out who is at work: denials.md.")                        \
    X("AppArmorUnconfined", "Pod",                                                                 \
      "A container does not run under the profile that its pod asks "                              \
      "for.",                                                                                      \
      "Delete the pod, so that another starts confined.")                                          \
    X("AppArmorEvicted", "Pod", "It was evicted for that, as its annotation allows.", "Nothing.")  \
    X("AppArmorEvictionBlocked", "Pod", "A PodDisruptionBudget refuses that.",                     \
      "Nothing: it is tried again.")                                                               \
    X("AppArmorAgentLost", "Node",                                                                 \
      "The node's agent has been away for so long that its labels were removed.",                  \
      "See why the agent's pod is not Ready, or delete the Node.")

enum reason {
#define REASON_SYMBOL(symbol, reason, conditions, meaning, remedy) REASON_##symbol,
    REASONS(REASON_SYMBOL)
#undef REASON_SYMBOL
        REASON_COUNT
};

const char *reason_name(enum reason reason);
/* REASON_COUNT for any other. */
enum reason reason_find(const char *name);

/*
 * Whether a node's reason for a failure speaks of the object rather than of the node: the same text
 * would be refused anywhere.
 */
bool reason_is_invalid(const char *reason);
