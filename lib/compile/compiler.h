// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

/*
 * The node's compiler: where apparmor_parser is, which version, and an identity that changes
 * whenever it could make something else of the same text.
 */
struct cache;
struct compiler;
struct fork_server;
struct parser;
struct shipped;

struct compiler_options {
    const char *parser;   /* path of apparmor_parser; NULL: looked for in /sbin, /usr/sbin */
    const char *includes; /* folder with abstractions/, tunables/, abi/; NULL: /etc/apparmor.d */
    const char *features; /* the running kernel's features folder or file; required, read once */
    uid_t uid;            /* of the child when we are root; 0: 65534 */
    gid_t gid;
    uint64_t deadline_ms; /* 0: 60 s, of each parser run */
    size_t memory_max;    /* address space; 0: 512 MiB */
    const char *cache;    /* folder for what was compiled; NULL: nothing is kept */
    size_t cache_max;     /* bytes; 0: 64 MiB */
};

/* Runs the parser to know it, and waits for that. Reason of failures: CompilerUnavailable. */
_must_check_ int compiler_new(uv_loop_t *loop, const struct compiler_options *options,
                              struct compiler **ret, struct error *err);
void compiler_free(struct compiler *compiler);
DEFINE_CLEANUP(struct compiler *, compiler_free)

/*
 * Notices that parser or includes were upgraded in place: by inotify where that can tell, else by a
 * stat of each file. Only then does it read them again, and run a parser that is new. Each
 * compilation begins with this. Nothing is done when the last look was less than `age_ms` ago.
 */
_must_check_ int compiler_refresh(struct compiler *compiler, uint64_t age_ms, struct error *err);

/* "3.0.8" */
const char *compiler_parser_version(const struct compiler *compiler);
/* What the kernel of `features` can do; its id is the same wherever it is read. */
struct features *compiler_features(const struct compiler *compiler);
/* Digest of all that a build depends on besides the object: parser, features, includes. As they
 * were at the last compiler_refresh(). */
const char *compiler_id(const struct compiler *compiler);
/* ABI of the Landlock that confines the child; 0: this kernel has none, and the check of includes
 * is the only wall. */
int compiler_landlock(const struct compiler *compiler);

uv_loop_t *compiler_loop(const struct compiler *compiler);
/* As they are since the last compiler_refresh(). */
struct shipped *compiler_shipped(const struct compiler *compiler);
/* NULL: nothing is kept. */
struct cache *compiler_cache(const struct compiler *compiler);
/*
 * Where compilations of its own features are forked from, or NULL: there is none until it has been
 * asked for with `more` to come after this one, and it ends when that turns out not to be so.
 */
struct fork_server *compiler_server(struct compiler *compiler, bool more);
/* Policy has made a process of it crash, which may have been for what it learns of the next one's
 * memory: that is a new program's. */
void compiler_server_end(struct compiler *compiler);
const struct parser *compiler_parser(const struct compiler *compiler);
