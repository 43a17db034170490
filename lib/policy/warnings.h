// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"

/*
 * What somebody should know about a policy that is accepted: it does what it says, and that may not
 * be what its author means.
 */
struct policy_warning {
    const char *reason; /* static, for programs: POLICY_WARNING_… */
    unsigned line;      /* of spec.policy; 0: it has none */
    char *message;      /* for people; "line N: …" where there is one */
};

struct policy_warnings {
    struct policy_warning *items;
    size_t len;
};

/* More than these say nothing new; further ones are left out. */
#define POLICY_WARNINGS_MAX 10

/* The policy attaches to programs of the host, as spec.allowHostAttachment allows. */
#define POLICY_WARNING_ATTACHMENT "HostAttachment"

void policy_warnings_done(struct policy_warnings *warnings);
#define _cleanup_warnings_ _cleanup_(policy_warnings_done)

/* `line`: 0: none. One that is there already is not added again. */
_printf_(4, 5) void policy_warn(struct policy_warnings *warnings, const char *reason, unsigned line,
                                const char *format, ...);

struct blob;
void policy_warn_attachment(struct policy_warnings *warnings, const struct blob *blob);
