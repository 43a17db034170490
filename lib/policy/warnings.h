// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/policy/mode.h"

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

/* An explicit deny rule, which denies in mode Complain, too, and silently. */
#define POLICY_WARNING_DENY "DenyInComplain"
/* A rule of a kind that a kernel knows nothing of. */
#define POLICY_WARNING_NOT_ENFORCED "RuleNotEnforced"

void policy_warnings_done(struct policy_warnings *warnings);
#define _cleanup_warnings_ _cleanup_(policy_warnings_done)

/* `line`: 0: none. One that is there already is not added again. */
_printf_(4, 5) void policy_warn(struct policy_warnings *warnings, const char *reason, unsigned line,
                                const char *format, ...);

struct blob;
void policy_warn_attachment(struct policy_warnings *warnings, const struct blob *blob);

/* A policy that has compiled: as its author wrote it, and with its includes written out. */
struct policy_texts {
    const char *text;
    size_t len;
    const char *flat;
    size_t flat_len;
    enum policy_mode mode; /* of all profiles, or POLICY_MODE_UNSET: as the text says */
};

void policy_warn_deny(struct policy_warnings *warnings, const struct policy_texts *texts);

/* A kind of kernel. */
struct policy_kernel {
    const char *name;     /* as messages call it */
    const char *features; /* text */
    size_t len;
};

/* Rules that some of the kernels do not heed, each kind once. */
void policy_warn_kernels(struct policy_warnings *warnings, const struct policy_texts *texts,
                         const struct policy_kernel *kernels, size_t count);
