// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/compile/compiler.h"
#include "lib/policy/blob.h"
#include "lib/policy/profile.h"

/*
 * Compiles policy text with apparmor_parser in a child that has nothing to lose: another uid, no
 * capabilities, no_new_privs, resource limits, a filter of system calls, a deadline and, where the
 * kernel offers Landlock, sight of nothing but the parser, its libraries and the shipped includes
 * (DESIGN invariant 6).
 *
 * The text is flattened first (the parser's own --preprocess) and the flattened text is what gets
 * compiled, so that the file which the host's parser reads at boot has already been through the
 * sandbox.
 */
struct compiled {
    /*
     * Flattened: without any include. An `abi <abi/…>` rule stays if there was one, since the text
     * would mean something else without it; it reads that file below the base folder. spec.mode is
     * written into its flags.
     */
    char *text;
    size_t text_len;
    void *data; /* what the kernel takes */
    size_t len;
    struct blob *blob;
    bool cached;               /* no compiler has run for it now */
    char key[DIGEST_HEX_SIZE]; /* of the cache; "" where nothing is kept */
    /* compiler_id() when it began: what was upgraded meanwhile makes it one to compile again. */
    char compiler[DIGEST_HEX_SIZE];
};

void compiled_free(struct compiled *compiled);
DEFINE_CLEANUP(struct compiled *, compiled_free)

/* For the next time; to be called when nobody waits for it any more, as the cache is a folder of
 * files. */
void compiled_keep(const struct compiler *compiler, const struct compiled *compiled);

/*
 * `compiled` passes to the callee, NULL on failure. Reasons of failures: ForbiddenInclude,
 * CompileError (message `line N: …` relative to spec.policy), CompileTimeout, CompileResources,
 * InvalidPolicy (the decoder refused it; no profile in it; spec.mode cannot be written into it),
 * HostAttachment, CompilerUnavailable.
 */
typedef void (*compile_fn)(void *userdata, struct compiled *compiled, const struct error *err);

struct compilation;

/*
 * The profile is borrowed until `fn` is called, which happens from the loop, never from inside.
 * `flat`: its text is what an earlier compilation has made of some text, and is taken as it is.
 */
struct compilation *compiler_run(struct compiler *compiler, const struct policy_profile *profile,
                                 bool flat, compile_fn fn, void *userdata);
struct compile_options {
    bool flat;                 /* as above */
    struct features *features; /* compiled for these instead of the compiler's own, as long as the
                                  caller has a reference; nothing is kept of it then */
    uint64_t deadline_ms;      /* of each parser run; 0: the compiler's */
    size_t memory_max;         /* of each parser run; 0: the compiler's */
    bool more;                 /* compilations are to follow: the parser is held ready for them */
};
struct compilation *compiler_run_with(struct compiler *compiler,
                                      const struct policy_profile *profile,
                                      const struct compile_options *options, compile_fn fn,
                                      void *userdata);
/* Kills the child; `fn` is not called. */
void compilation_cancel(struct compilation *compilation);
