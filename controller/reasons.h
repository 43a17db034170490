// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * The reasons of AppArmorProfile conditions and Events that are the controller's own, one table:
 * what the code writes and what the reference page says. X(symbol, reason, conditions, meaning,
 * remedy). Condition Valid also shows the reason that a node gave for refusing the text (see
 * reason_is_invalid()); Events about nodes have the reasons that the nodes gave.
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
    X(COMPILED, "Compiled", "Valid=True", "Nodes have compiled and loaded the text.", "Nothing.") \
    X(NOT_COMPILED, "NotCompiled", "Valid=Unknown", "No node has compiled this generation yet.",  \
      "Wait, or see Ready for why no node does.")                                                 \
    X(NODE_RECOVERED, "NodeRecovered", "(Events only)",                                           \
      "A node that had failed has loaded this generation.", "Nothing.")

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
