// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "lib/compile/compile.h"

/*
 * Compilations in their order, a bounded number at once, so that a burst of profiles takes neither
 * the node's processors nor its memory. Repairs go before what is new, and need not wait for it to
 * end: a text that takes a minute keeps no lost profile waiting. Looks for the compiler again while
 * there is none.
 *
 * All that run have one budget of memory: each begins with a share of it, and what needs more runs
 * again when nothing else does but a repair, which always has a small part of the budget to itself.
 */
struct builder;
struct build;

/* A compilation for which a compiler has run has ended. */
typedef void (*build_observe_fn)(void *userdata, bool success, double seconds);

struct builder_options {
    /* Strings are borrowed for the builder's life. memory_max is the budget; 0: 512 MiB, or less
     * where the container's limit leaves less beside the program. */
    struct compiler_options compiler;
    unsigned parallel;        /* at most; 0: one per processor */
    build_observe_fn observe; /* may be NULL */
    void *userdata;
};

struct builder *builder_new(uv_loop_t *loop, const struct builder_options *options);
void builder_free(struct builder *builder);
DEFINE_CLEANUP(struct builder *, builder_free)

/* How long a compilation usually takes, of late; 0: it is not known. */
uint64_t builder_pace_ms(const struct builder *builder);
/* NULL while there is no compiler. */
const struct compiler *builder_compiler(struct builder *builder);
/* Its compiler_id(); "" while there is none. */
const char *builder_compiler_id(struct builder *builder);

/*
 * As compiler_run(); reason CompilerUnavailable while there is no compiler. A repair is of the flat
 * text that an earlier compilation has made.
 */
struct build *builder_start(struct builder *builder, const struct policy_profile *profile,
                            bool repair, compile_fn fn, void *userdata);
/* As compiler_run_with(). What is urgent goes as repairs do. */
struct build *builder_start_with(struct builder *builder, const struct policy_profile *profile,
                                 bool urgent, const struct compile_options *options, compile_fn fn,
                                 void *userdata);
/* Its turn has not come yet. */
bool build_is_waiting(const struct build *build);
/* `fn` is not called. NULL is accepted; not from after the callback. */
void build_cancel(struct build *build);
