// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "lib/base/cleanup.h"
#include "lib/base/metrics.h"
#include "lib/compile/check.h"
#include "lib/policy/profile.h"

/*
 * Compiles policy before nodes do, for the kernels that the cluster's nodes have, and remembers the
 * verdicts by content: a text is compiled once for each set of kernels, whoever asks. It writes and
 * tells nothing; the reconciler does so for its own questions, a webhook answers its own.
 *
 * At most two compilers run, one of them only for who waits for the answer.
 */
struct validator;
struct validation;

struct validator_options {
    /* `features`: what is compiled for while no node's are known. Strings are borrowed. */
    struct compiler_options compiler;
    struct metrics *metrics; /* borrowed; may be NULL */
};

struct validator *validator_new(uv_loop_t *loop, const struct validator_options *options);
/* What is asked must have been answered or cancelled. */
void validator_free(struct validator *validator);
DEFINE_CLEANUP(struct validator *, validator_free)

/*
 * The kernels that nodes have, in any order; the validator takes references. More than
 * VALIDATOR_KERNELS_MAX are too many to compile for: those of the smallest ids are taken.
 */
#define VALIDATOR_KERNELS_MAX 8
void validator_set_features(struct validator *validator, struct features *const *features,
                            size_t count);

/*
 * Digest of all that a verdict depends on besides the profile: kernels, parser and includes. NULL
 * while there is no compiler.
 */
const char *validator_id(struct validator *validator);

/* The verdict is borrowed for the call. */
typedef void (*validation_fn)(void *userdata, const struct verdict *verdict);

struct validation_options {
    bool urgent;          /* a request waits for it, as in admission: before others */
    uint64_t deadline_ms; /* from the call; 0: none */
    bool forget;          /* a verdict that is made for this question alone is not remembered */
};

/*
 * Takes ownership of the profile, of which text, mode and allowHostAttachment matter. `fn` is
 * called once, from the loop, never from inside. Undecided are, besides what check.h says: reason
 * Busy, when more questions wait than are worth queueing; reason TimedOut, at the deadline.
 */
struct validation *validator_check(struct validator *validator, struct policy_profile *profile,
                                   const struct validation_options *options, validation_fn fn,
                                   void *userdata);
/* `fn` is not called. NULL is accepted; not from after the callback. */
void validation_cancel(struct validation *validation);
/* Questions that wait or are being answered. */
size_t validator_depth(const struct validator *validator);
