// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

/*
 * Child processes with a deadline, on the loop. The child is the leader of its
 * own process group, which is killed as a whole. Output past its ceiling kills
 * it, too. Every descriptor but 0, 1, 2 and the passed ones is closed in the
 * child, the signal mask and dispositions are the defaults.
 */
struct child;

struct child_options {
    const char *const *argv; /* NULL-terminated; argv[0] is a path, PATH is not searched */
    const char *const *env;  /* NULL-terminated; NULL: an empty environment */
    int stdin_fd;            /* 0: /dev/null */
    const int *fds;          /* descriptors that keep their number in the child */
    size_t fd_count;
    size_t stdout_max, stderr_max; /* bytes kept */
    uint64_t deadline_ms;          /* from the start; required */
    /*
     * Called in the child between vfork and exec, in the memory of the caller,
     * who waits: async-signal-safe calls only, and nothing written that is read later.
     * Drops privileges, sets limits. Returns 0 or a negative errno, which
     * child_start() reports as its own failure.
     */
    int (*prepare)(void *userdata);
    void *prepare_userdata;
    /*
     * In place of all that is above but the ceilings and the deadline: has somebody else make the
     * process, which is a child of ours that leads a group of its own, and writes to these.
     */
    int (*launch)(void *userdata, int out_fd, int err_fd, pid_t *ret, struct error *err);
    void *launch_userdata;
};

struct child_result {
    int exit_status;      /* 0–255, or -1 when a signal ended it */
    int signal;           /* 0: it exited */
    bool timed_out;       /* killed at its deadline */
    bool output_exceeded; /* killed for a flood of output */
    struct buf out, err;  /* the callee may take their content */
    uint64_t elapsed_ms, cpu_ms;
    size_t max_rss_bytes;
};

/* Called once, from the loop, when the process has been reaped and its output
 * is complete. */
typedef void (*child_fn)(void *userdata, struct child_result *result);

_must_check_ int child_start(uv_loop_t *loop, const struct child_options *options, child_fn done,
                             void *userdata, struct child **ret, struct error *err);
pid_t child_pid(const struct child *child);
/* Kills the group; `done` is still called. */
void child_kill(struct child *child);
/* Kills the group, reaps it, and `done` is not called. NULL is accepted; only
 * before `done`. */
void child_abandon(struct child *child);
