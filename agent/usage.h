// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "lib/base/strv.h"
#include "lib/kube/client.h"

/*
 * Who uses profiles on this node, as far as it is known: the tasks, read from /proc, and the pods,
 * by a consistent list. Both grow old quickly.
 */
struct usage;

struct usage_options {
    const char *proc;           /* NULL: /proc */
    struct kube_client *client; /* NULL: no cluster, hence no pods */
    const char *node;
    /* What was asked for is known. With a reason: it cannot be had. */
    void (*known)(void *userdata, const char *reason, const char *message);
    void *userdata;
};

struct usage *usage_new(uv_loop_t *loop, const struct usage_options *options);
void usage_free(struct usage *usage);
DEFINE_CLEANUP(struct usage *, usage_free)

/* Each ends with a call of `known` from the loop, never from inside; one at a time. */
void usage_read_tasks(struct usage *usage);
void usage_list_pods(struct usage *usage);
/* Nothing is known any more. */
void usage_forget(struct usage *usage);

/* Not older than what a removal may rest on. */
bool usage_knows_tasks(const struct usage *usage);
bool usage_knows_pods(const struct usage *usage);
/* Until when usage_knows_pods() will be true; clock_monotonic_ms(). */
uint64_t usage_pods_until_ms(const struct usage *usage);
/* The tasks were read before the pods were listed, and can be read again without the list getting
 * old. */
bool usage_wants_tasks_again(const struct usage *usage);
/* How long the last look at the tasks has taken. */
uint64_t usage_scan_ms(const struct usage *usage);

/* Who uses one of the profiles, in words; the caller frees it. NULL: nobody that is known of. */
char *usage_task(const struct usage *usage, const struct strv *names);
/* A process whose end may change that; 0: there is none. */
pid_t usage_task_pid(const struct usage *usage, const struct strv *names);
char *usage_pod(const struct usage *usage, const struct strv *names);
