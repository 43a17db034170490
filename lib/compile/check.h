// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strv.h"
#include "lib/compile/builder.h"
#include "lib/compile/features.h"
#include "lib/policy/mode.h"
#include "lib/policy/profile.h"
#include "lib/policy/warnings.h"

/*
 * Says of a profile what nodes will say when they compile it, without any: whether they take it,
 * and what its author should know. Nothing is loaded, written or told.
 */
enum verdict_result {
    VERDICT_ACCEPTED,
    VERDICT_REFUSED,   /* the text needs a change */
    VERDICT_UNDECIDED, /* no compiler, no time or no memory for it; a node may manage */
};

struct verdict {
    enum verdict_result result;
    /* Refused: for all kernels that it was compiled for, not for some of them. */
    bool everywhere;
    char *reason;  /* as compile.h; "" when accepted */
    char *message; /* for people, one line: "line 3: …"; "" when accepted */
    unsigned line; /* of spec.policy that the message names; 0: none */
    /* That line with its number, and one with a caret below it; "" without a line. */
    char *excerpt;
    /* Accepted: what a pod may name, and the mode in effect. */
    struct strv names;
    enum policy_mode mode;
    struct policy_warnings warnings; /* accepted */
};

void verdict_free(struct verdict *verdict);
DEFINE_CLEANUP(struct verdict *, verdict_free)
/* Undecided, for a reason that is no compiler's. */
struct verdict *verdict_undecided(const char *reason, const char *message);

/* "line 3: …" → 3, else 0. */
unsigned verdict_line(const char *message);
/* The line of a text as struct verdict's excerpt; the caller frees it. */
char *verdict_excerpt(const char *text, size_t len, unsigned line);

struct check_options {
    struct builder *builder;
    /* Kernels to compile for, one after the other; none: the builder's own. Borrowed until the end.
     */
    struct features *const *features;
    size_t feature_count;
    bool urgent;          /* before others of the builder */
    uint64_t deadline_ms; /* of each parser run; 0: the compiler's */
};

struct check;
/* The verdict passes to the callee. */
typedef void (*check_fn)(void *userdata, struct verdict *verdict);

/* The profile is borrowed until `fn` is called, which happens from the loop, never from inside. */
struct check *check_start(const struct check_options *options, const struct policy_profile *profile,
                          check_fn fn, void *userdata);
/* `fn` is not called. NULL is accepted; not from after the callback. */
void check_cancel(struct check *check);
