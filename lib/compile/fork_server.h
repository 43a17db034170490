// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "lib/base/child.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/compile/confine.h"

/*
 * A program that is started once, in its sandbox, and held before its main(), where it forks a
 * process off for each run: the dynamic loader and the program's own start are paid once. It sees
 * nothing that a run does, and runs see nothing of each other; each is a child of ours like one
 * that was started for it alone, with limits and a system call filter of its own.
 *
 * This is for the hurry of many runs: it ends by itself when nothing was asked of it for a while.
 */
struct fork_server;

/*
 * `program` as child_start() takes it, with one descriptor to keep; its sandbox `serves`. Programs
 * that cannot be held (static ones, or those of another C library) end, and were never ready.
 */
_must_check_ int fork_server_new(uv_loop_t *loop, const struct child_options *program,
                                 struct fork_server **ret, struct error *err);
/* Runs that have been launched go on. */
void fork_server_free(struct fork_server *server);
DEFINE_CLEANUP(struct fork_server *, fork_server_free)

enum fork_server_state {
    FORK_SERVER_STARTS,
    FORK_SERVER_READY,
    FORK_SERVER_OVER,   /* it has ended, or what it does was not waited for any longer */
    FORK_SERVER_FAILED, /* it has ended by itself before it was ready */
};
enum fork_server_state fork_server_state(const struct fork_server *server);
/* Runs that it has made. */
unsigned fork_server_served(const struct fork_server *server);

struct fork_server_run {
    struct fork_server *server; /* ready */
    struct confine_limits limits;
    int text_fd; /* becomes standard input */
};

/* child_options.launch; `userdata` is a struct fork_server_run. Waits for the answer, which takes a
 * fork; a server that gives none is over. */
int fork_server_launch(void *userdata, int out_fd, int err_fd, pid_t *ret, struct error *err);
