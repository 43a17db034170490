// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "lib/base/cleanup.h"

/*
 * Keyed work queue with the semantics of client-go's: a key waits at most once;
 * a key added while it is being worked on runs once more afterwards; failures
 * back off per key, exponentially. Keys are served in order of arrival. Work is
 * asynchronous: it begins with a call and ends with kube_work_done().
 */
struct kube_workqueue;
struct kube_work;

enum kube_outcome {
    KUBE_DONE,          /* forgets the key's back-off */
    KUBE_REQUEUE_AFTER, /* forgets the back-off, again after `after_ms` */
    KUBE_RETRY,         /* failed: again with back-off */
};

struct kube_result {
    enum kube_outcome outcome;
    uint64_t after_ms;
};

/* Begins the work on a key. `key` lives until kube_work_done(), which may be
 * called at once. */
typedef void (*kube_reconcile_fn)(void *userdata, const char *key, struct kube_work *work);

struct kube_workqueue_options {
    uint64_t base_delay_ms; /* 0: 5 ms */
    uint64_t max_delay_ms;  /* 0: 5 min */
    unsigned max_active;    /* keys worked on at once; 0: 1 */
    kube_reconcile_fn reconcile;
    /* For metrics, may be NULL: how long a key has waited when the work on it begins. */
    void (*observe)(void *userdata, double seconds);
    void *userdata;
};

struct kube_workqueue *kube_workqueue_new(uv_loop_t *loop,
                                          const struct kube_workqueue_options *options);
/* Work under way must not call kube_work_done() any more. */
void kube_workqueue_free(struct kube_workqueue *queue);
DEFINE_CLEANUP(struct kube_workqueue *, kube_workqueue_free)

void kube_workqueue_add(struct kube_workqueue *queue, const char *key);
/* The earliest of several delays of a key wins. */
void kube_workqueue_add_after(struct kube_workqueue *queue, const char *key, uint64_t after_ms);
void kube_work_done(struct kube_work *work, struct kube_result result);

/* Keys waiting and active, not those in delay. */
size_t kube_workqueue_depth(const struct kube_workqueue *queue);
