// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/denials.h"

/*
 * A line of the log for each distinct access, in limits: 200 at once, then ten a second. What comes
 * beyond is in metrics and status. A zeroed struct has written none.
 */
struct denial_log {
    uint64_t filled_ms; /* 0: full */
    uint64_t tokens_ms; /* time's worth of lines that are left */
    uint64_t left_out;
};

#define DENIAL_LOG_LINE_MS 100
#define DENIAL_LOG_BURST 200

/* `who` is NULL for a process that is in no pod. */
void denial_log_write(struct denial_log *log, const char *node, const struct denial *denial,
                      const struct audit_record *record, const struct pod_names *who);
