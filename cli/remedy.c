// SPDX-License-Identifier: Apache-2.0
#include "cli/remedy.h"

#include <stddef.h>
#include <string.h>

#include "lib/base/cleanup.h"

#define SEE_LINE                                                                                 \
    "correct spec.policy at the line that the message names; kubectl apparmor lint FILE checks " \
    "it "                                                                                        \
    "without a cluster"

static const struct {
    const char *reason, *remedy;
} remedies[] = {
    /* Of the text. */
    {"Invalid", SEE_LINE},
    {"InvalidSpec", SEE_LINE},
    {"InvalidProfile", SEE_LINE},
    {"InvalidPolicy", SEE_LINE},
    {"CompileError", SEE_LINE},
    {"ForbiddenInclude",
     "include <abstractions/…> or <tunables/…>, or write the rules into spec.policy"},
    {"HostAttachment", "give the profile a name that is no path and no attachment; kubectl "
                       "apparmor convert does that to files of /etc/apparmor.d"},
    {"CompileTimeout", "simplify the rules, above all alternations and ** in the middle of paths"},
    {"CompileResources", "simplify the rules, or split them into several AppArmorProfiles"},
    /* Of names. */
    {"NameConflict", "rename one of the profiles in spec.policy, or delete the older object"},
    {"NotOwned", "rename the profile in spec.policy, remove the node's own one, or take it over by "
                 "spec.adopt: true"},
    {"AlsoInFile", "remove the file that the message names, without unloading it: rm, not "
                   "apparmor_parser -R"},
    {"Contested", "find what else on the node changes AppArmor profiles, often configuration "
                  "management"},
    {"Orphaned", "apply the AppArmorProfile again"},
    /* Of nodes. */
    {"NodesFailed", "mend the nodes that status.failures names, or exclude them with "
                    "spec.nodeSelector"},
    {"NodesPending",
     "wait; a node that stays behind has an agent that does not report: see the log "
     "of its pod in apparmor-system"},
    {"NoNodesSelected", "compare spec.nodeSelector with kubectl get nodes --show-labels"},
    {"Terminating", "delete the pods that use it, or wait; the annotation "
                    "apparmor.io/force-delete=true lets the object go at once"},
    {"AppArmorDisabled", "boot the node with apparmor=1 security=apparmor, or leave it: its pods "
                         "that ask for a profile go elsewhere"},
    {"SecurityfsMissing", "mount securityfs on /sys/kernel/security of the node"},
    {"CompilerUnavailable",
     "see the agent's log: its image lacks apparmor_parser or cannot run it"},
    {"KernelStuck", "restart the node: its kernel no longer takes policy"},
    {"KernelError", "see the agent's log on the node"},
    {"KernelRefused", "see the node's kernel log (dmesg)"},
    {"LoadFailed", "see the node's kernel log (dmesg)"},
    {"VerifyFailed", "see the agent's log on the node"},
    {"FileError", "make /etc/apparmor.d of the node writable: see the message"},
    {"RemoveFailed", "see the agent's log on the node"},
    {"TasksUnknown", "see the agent's log on the node"},
    {"PodsUnknown", "see whether the node's agent reaches the API server"},
    {"FetchFailed", "see whether the node's agent reaches the API server"},
    {"InUse", "stop what runs under the profile on that node"},
    {"AuditDisabled", "boot the node without audit=0 to see denials"},
};

const char *remedy_of(const char *reason)
{
    for (size_t i = 0; reason && i < ARRAY_SIZE(remedies); i++)
        if (strcmp(remedies[i].reason, reason) == 0)
            return remedies[i].remedy;
    return NULL;
}
