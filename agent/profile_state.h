// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/json.h"
#include "lib/base/strv.h"
#include "lib/policy/mode.h"
#include "lib/policy/profile.h"

/*
 * What this node says about one AppArmorProfile: an entry of AppArmorNode's status.profiles, a row
 * of the table of --manifests.
 */
enum profile_phase {
    PROFILE_UNDECIDED,  /* not looked at yet; never shown */
    PROFILE_UNSELECTED, /* none of this node's business; never shown */
    PROFILE_LOADED,
    PROFILE_PENDING,
    PROFILE_FAILED,
    PROFILE_DRAINING,
};

/* Reasons of the agent's own; those of the compiler are in lib/compile/compile.h. */
#define REASON_NAME_CONFLICT "NameConflict"     /* another AppArmorProfile owns the name */
#define REASON_NOT_OWNED "NotOwned"             /* kernel or folder have it from elsewhere */
#define REASON_CONTESTED "Contested"            /* something else keeps changing it, too */
#define REASON_ORPHANED "Orphaned"              /* the object is gone, nobody deleted it */
#define REASON_ALSO_IN_FILE "AlsoInFile"        /* a file of the host declares it, too */
#define REASON_NOT_ENFORCED "NotEnforced"       /* tasks run on as complain mode left them */
#define REASON_FETCH_FAILED "FetchFailed"       /* the object could not be read */
#define REASON_INVALID "InvalidProfile"         /* the object is no valid AppArmorProfile */
#define REASON_FILE_ERROR "FileError"           /* /etc/apparmor.d cannot be written */
#define REASON_LOAD_FAILED "LoadFailed"         /* the kernel refused it */
#define REASON_VERIFY_FAILED "VerifyFailed"     /* the kernel reads back something else */
#define REASON_KERNEL_ERROR "KernelError"       /* the kernel's policy cannot be read */
#define REASON_ROLLOUT_PENDING "RolloutPending" /* its rollout has not come to this node yet */
#define REASON_COMPILING "Compiling"            /* waiting for the compiler or compiling */
#define REASON_LABEL_PRESENT "WaitingForLabel"  /* removal: the Node still carries the label */
#define REASON_IN_USE "InUse"                   /* removal: a task or a pod has it */
#define REASON_REMOVING "Removing"              /* removal: being checked or under way */
#define REASON_KERNEL_STUCK "KernelStuck"       /* the kernel's policy lock is stuck */
#define REASON_REMOVE_FAILED "RemoveFailed"     /* removal: the kernel or the folder refused */
#define REASON_PODS_UNKNOWN "PodsUnknown"       /* removal: the node's pods could not be listed */
#define REASON_TASKS_UNKNOWN "TasksUnknown"     /* removal: the node's tasks could not be read */

struct profile_state {
    enum profile_phase phase;
    int64_t generation;                  /* that the phase speaks of */
    char revision[POLICY_REVISION_SIZE]; /* that is in the kernel; "" */
    enum policy_mode mode;               /* likewise */
    struct strv names;                   /* likewise: top-level profiles, sorted */
    char *reason, *message;              /* or NULL */
    int64_t transition_ms;               /* of `phase`, since the epoch */
};

void profile_state_done(struct profile_state *state);
const char *profile_phase_name(enum profile_phase phase);
bool profile_phase_is_shown(enum profile_phase phase);

/* Sets phase, reason and message (NULL: none). True when anything changed. */
bool profile_state_set(struct profile_state *state, enum profile_phase phase, const char *reason,
                       const char *message);
/* What is in the kernel. True when anything changed. */
bool profile_state_set_loaded(struct profile_state *state, const char *revision,
                              const struct strv *names, enum policy_mode mode);

/*
 * An entry of status.profiles. Names and message take about `space` bytes at most: what is left out
 * of them is said in the message.
 */
cJSON *profile_state_json(const char *object, const struct profile_state *state, size_t space);
/* Takes over the time of the last transition from an earlier entry of the same phase. */
void profile_state_adopt_time(struct profile_state *state, const cJSON *entry);
