// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "lib/base/child.h"
#include "lib/base/error.h"
#include "lib/compile/features.h"
#include "lib/compile/fork_server.h"

/*
 * One run of apparmor_parser, in its sandbox: another uid, no capabilities, resource limits, a
 * deadline, few system calls and, with Landlock, sight of nothing but what is compiled against.
 */
struct parser {
    char *path;
    char *includes; /* base folder */
    struct features *features;
    uid_t uid; /* of the child when we are root */
    gid_t gid;
    uint64_t deadline_ms;       /* of a run */
    size_t memory_max;          /* bytes of address space */
    unsigned long major;        /* of its version; 0 until it is known */
    bool may_fork;              /* this parser compiles nothing without a process of its own */
    struct fork_server *server; /* that compiles; not owned. NULL, or not ready: a start for each */
};

void parser_done(struct parser *parser);

/* What policy is compiled against, folders below the base folder; the last is NULL. */
extern const char *const parser_include_folders[];

/*
 * Where a parser that comes with libraries of its own has them: PREFIX/lib for PREFIX/sbin or
 * PREFIX/bin, links followed. NULL when it is in no such folder or not there. The caller frees it.
 */
char *parser_libraries(const char *path);

enum parser_task {
    PARSER_VERSION, /* prints its version */
    PARSER_FLATTEN, /* prints the text with its includes written out */
    PARSER_COMPILE, /* prints what the kernel takes */
};

/* A policy with its includes: 256 KiB of text can name thousands of abstractions. */
#define PARSER_FLAT_MAX (4 * 1024 * 1024)

/* Takes policy text as a file that nobody can change; -1 for PARSER_VERSION. */
_must_check_ int parser_text_file(const char *text, size_t len, int *ret_fd, struct error *err);
/* The file's name in the parser's messages. */
#define PARSER_TEXT_NAME "/proc/self/fd/0"

/* `done` as of child_start(). Reason CompilerUnavailable when the parser cannot be started. */
_must_check_ int parser_start(const struct parser *parser, uv_loop_t *loop, enum parser_task task,
                              int text_fd, child_fn done, void *userdata, struct child **ret,
                              struct error *err);
/* Has the parser ready to compile with these features. */
_must_check_ int parser_serve(const struct parser *parser, uv_loop_t *loop,
                              struct fork_server **ret, struct error *err);
/* Whether it has got as far as its own code; reason CompilerUnavailable otherwise. */
_must_check_ int parser_has_started(const struct parser *parser, const struct child_result *result,
                                    struct error *err);
