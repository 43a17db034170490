// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/policy/mode.h"

/*
 * The real compiler, for tests: what the decoder and the readers say must agree with it.
 */
#define PARSER "/usr/sbin/apparmor_parser"
#define PARSER_BASE "/etc/apparmor.d"
#define PARSER_FEATURES "/etc/apparmor.d/abi/3.0"

enum { PARSER_OUTPUT_MAX = 64 * 1024 * 1024 };

#define SKIP_WITHOUT_PARSER()                                                              \
    do {                                                                                   \
        if (access(PARSER, X_OK) != 0 || access(PARSER_FEATURES, R_OK) != 0)               \
            cr_skip_test("needs " PARSER " and " PARSER_FEATURES " (package apparmor)\n"); \
    } while (0)

static inline int parser_memfd(const char *name, const void *data, size_t len)
{
    int fd = memfd_create(name, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(fs_write_all(fd, data, len), 0);
    return fd;
}

/* Exit status of `apparmor_parser … <action> <file>` for a kernel with these features, of a file;
 * output replaces what `out` held. */
static inline int parser_run_for(const char *features, const char *action, const char *file,
                                 struct buf *out)
{
    _cleanup_close_ int output = parser_memfd("output", "", 0);
    _cleanup_close_ int null = open("/dev/null", O_RDWR);
    int status;

    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        dup2(null, 0);
        dup2(output, 1);
        dup2(null, 2);
        execl(PARSER, PARSER, "--config-file", "/dev/null", "--base", PARSER_BASE, "-M", features,
              "-O", "no-expr-simplify", "-Q", "-K", action, file, (char *) NULL);
        _exit(127);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);

    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", output);
    buf_reset(out);
    cr_assert_eq(fs_read(AT_FDCWD, path, out, NULL), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int parser_run_file(const char *action, const char *file, struct buf *out)
{
    return parser_run_for(PARSER_FEATURES, action, file, out);
}

/* 3 of "AppArmor parser version 3.0.8". */
static inline unsigned long parser_major(void)
{
    _cleanup_buf_ struct buf out = BUF_INIT(4096);

    cr_assert_eq(parser_run_file("--version", "/dev/null", &out), 0);
    const char *version = strstr(buf_string(&out), "version ");
    cr_assert_not_null(version, "%s", buf_string(&out));
    return strtoul(version + strlen("version "), NULL, 10);
}

/*
 * Whether the parser makes other rules of a text in this mode, or none, so that it is not the mode
 * word alone that tells it from another.
 */
static inline bool parser_compiles_apart(enum policy_mode mode)
{
    return mode == POLICY_UNCONFINED && parser_major() >= 4;
}

static inline int parser_run(const char *action, const char *text, size_t len, struct buf *out)
{
    _cleanup_close_ int input = parser_memfd("policy", text, len);
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", input);
    return parser_run_file(action, path, out);
}

/* The features as a text. */
static inline int parser_run_with(const char *features, const char *action, const char *text,
                                  size_t len, struct buf *out)
{
    _cleanup_close_ int input = parser_memfd("policy", text, len);
    _cleanup_close_ int kernel = parser_memfd("features", features, strlen(features));
    char path[64], features_path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", input);
    snprintf(features_path, sizeof(features_path), "/proc/self/fd/%d", kernel);
    return parser_run_for(features_path, action, path, out);
}
