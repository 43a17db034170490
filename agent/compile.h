// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "lib/base/error.h"
#include "lib/policy/blob.h"
#include "lib/policy/profile.h"

/*
 * Compiles policy text with apparmor_parser in a child that has nothing to lose: another uid, no
 * capabilities, no_new_privs, resource limits, a deadline and, where the kernel offers Landlock,
 * sight of nothing but the parser, its libraries and the shipped includes (DESIGN invariant 6).
 *
 * The text is flattened first (the parser's own --preprocess) and the flattened text is what gets
 * compiled, so that the file which the host's parser reads at boot has already been through the
 * sandbox.
 */
struct compiler;

struct compiler_options {
    const char *parser;   /* path of apparmor_parser; NULL: looked for in /sbin, /usr/sbin */
    const char *includes; /* folder with abstractions/, tunables/, abi/; NULL: /etc/apparmor.d */
    const char *features; /* the running kernel's features folder or file; required */
    uid_t uid;            /* of the child when we are root; 0: 65534 */
    gid_t gid;
    uint64_t deadline_ms; /* 0: 60 s, of each parser run */
    size_t memory_max;    /* address space; 0: 512 MiB */
};

_must_check_ int compiler_new(uv_loop_t *loop, const struct compiler_options *options,
                              struct compiler **ret, struct error *err);
void compiler_free(struct compiler *compiler);
DEFINE_CLEANUP(struct compiler *, compiler_free)

/* "3.0.8" */
const char *compiler_parser_version(const struct compiler *compiler);
/* Digest of the kernel's features as the parser sees them; 16 hex characters. */
const char *compiler_features_id(const struct compiler *compiler);
/* Digest of all that a build depends on besides the object: parser, features, includes. As they
 * were at compiler_new(). */
const char *compiler_id(const struct compiler *compiler);
/* ABI of the Landlock that confines the child; 0: this kernel has none, and the check of includes
 * is the only wall. */
int compiler_landlock(const struct compiler *compiler);

struct compiled {
    /*
     * Flattened: without any include. An `abi <abi/…>` rule stays if there was one, since the text
     * would mean something else without it; it reads that file below the base folder. spec.mode is
     * written into its flags wherever that compiles.
     */
    char *text;
    size_t text_len;
    void *data; /* what the kernel takes, spec.mode applied */
    size_t len;
    struct blob *blob;
};

void compiled_free(struct compiled *compiled);
DEFINE_CLEANUP(struct compiled *, compiled_free)

/*
 * `compiled` passes to the callee, NULL on failure. Reasons of failures: ForbiddenInclude,
 * CompileError (message `line N: …` relative to spec.policy), CompileTimeout, CompileResources,
 * InvalidPolicy (the decoder refused it; no profile in it), HostAttachment, CompilerUnavailable.
 */
typedef void (*compile_fn)(void *userdata, struct compiled *compiled, const struct error *err);

struct compilation;

/* The profile is borrowed until `fn` is called, which happens from the loop, never from inside. */
struct compilation *compiler_run(struct compiler *compiler, const struct policy_profile *profile,
                                 compile_fn fn, void *userdata);
/* Kills the child; `fn` is not called. */
void compilation_cancel(struct compilation *compilation);
