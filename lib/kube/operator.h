// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/kube/client.h"
#include "lib/kube/events.h"
#include "lib/kube/informer.h"
#include "lib/kube/lease.h"
#include "lib/kube/workqueue.h"

/*
 * A whole operator out of the parts: informers put the keys of what has changed into a work queue,
 * and a reconcile function works on one key after the other. Work begins when all informers know
 * their collections and, with an election, this process leads; each object is worked on then. It
 * ends in order: nothing new begins, what is under way is waited for, and the Lease and the last
 * Events are written. What controller-runtime calls a manager and its controller.
 */
struct kube_operator;

/* One run of the reconcile function about one object. */
struct kube_operation {
    struct kube_client *client; /* the operator's */
    const char *key;            /* "namespace/name", or "name" */
    const char *ns;             /* NULL: cluster-scoped */
    const char *name;
    struct kube_object *object; /* as the informer had it at the start; NULL: it is gone */
};

/*
 * Compares what is with what should be and sets right what is not; never asks why it was called.
 * The operation lives until it is ended, by one of the calls below, at once or later from the loop.
 * Until then no other runs for the same key.
 */
typedef void (*kube_operation_fn)(void *userdata, struct kube_operation *operation);

struct kube_operator_options {
    struct kube_informer_options objects; /* what operations are about */
    kube_operation_fn reconcile;
    unsigned max_active;                  /* as in workqueue.h */
    uint64_t base_delay_ms, max_delay_ms; /* as in workqueue.h */
    /*
     * With a name: of all processes with the same Lease one works; the namespace is the client's
     * configuration's unless it says another. Its callbacks may be NULL and come first. When the
     * Lease is lost the operator ends with an error, as what is under way can no longer be trusted.
     */
    struct kube_lease_options lease;
    struct kube_recorder_options events; /* without a component: no recorder */
    const char *field_manager;           /* of kube_operation_patch(); NULL: the server's default */
    uint64_t grace_ms;                   /* for what is under way at the end; 0: 10 s */
    /* Work begins: this process leads, and knows all. May be NULL. */
    void (*began)(void *userdata);
    /*
     * Something failed and will be tried again: the operation about `key`, or, where that is NULL,
     * an informer or a renewal of the Lease. For logs and metrics. May be NULL.
     */
    void (*failed)(void *userdata, const char *key, const struct error *err);
    void *userdata;
};

/* Strings are copied. -EINVAL: what is said of the Lease cannot be. The client must outlive the
 * operator. */
_must_check_ int kube_operator_new(struct kube_client *client,
                                   const struct kube_operator_options *options,
                                   struct kube_operator **ret, struct error *err);
/* With its informers; a Lease that is held is not given back. From any callback, but not while
 * kube_operator_run() runs. What is under way must end no operation any more. */
void kube_operator_free(struct kube_operator *op);
DEFINE_CLEANUP(struct kube_operator *, kube_operator_free)

/* The informer of its objects, to look others up. */
const struct kube_informer *kube_operator_objects(const struct kube_operator *op);

/* Names, by kube_operator_enqueue(), what depends on an object that has changed; of an update it
 * gets the object as it was, too. Must not free the operator. */
typedef void (*kube_map_fn)(void *userdata, struct kube_operator *op, struct kube_object *object);
/* Follows another collection, before the start, and calls `map` for its changes. The informer is
 * the operator's. */
const struct kube_informer *kube_operator_follow(struct kube_operator *op,
                                                 const struct kube_informer_options *what,
                                                 kube_map_fn map);
/* One of its objects is to be worked on. Does nothing before work begins, when all
 * are. `ns`: NULL or "" when cluster-scoped. */
void kube_operator_enqueue(struct kube_operator *op, const char *ns, const char *name);

/* --- the end of an operation ------------------------------------------------------------------ */

void kube_operation_done(struct kube_operation *operation);
/* Again after that time, or earlier when something changes. */
void kube_operation_again(struct kube_operation *operation, uint64_t after_ms);
/* Failed: told, and again with back-off. */
void kube_operation_failed(struct kube_operation *operation, const struct error *err);
/* Its last request: a merge patch of the object, or of its `subresource` if that is not NULL. */
void kube_operation_patch(struct kube_operation *operation, const char *subresource,
                          const cJSON *patch);
/*
 * A kube_response_fn, for the last request of an operation, which is its userdata. A success is the
 * end; so is 404, as the informer will tell what became of the object. Of a conflict (409) nothing
 * is told: it is again with back-off, as for any other error.
 */
void kube_operation_answered(void *operation, struct kube_object *object, const struct error *err);

/* --- life ------------------------------------------------------------------------------------- */

/*
 * Runs until SIGTERM or SIGINT, or kube_operator_stop(). Returns 0 after an end in order; -EINTR
 * when a second signal hastened it, -ETIMEDOUT when work under way did not end in time, -EBUSY or
 * -ETIMEDOUT with the Lease's error when that was lost.
 */
_must_check_ int kube_operator_run(struct kube_operator *op, struct error *err);

/*
 * The same for a program that turns the loop and hears of signals itself. `ended` comes once, from
 * the loop, when all has come to its end; its error is as above.
 */
void kube_operator_start(struct kube_operator *op,
                         void (*ended)(void *userdata, const struct error *err), void *userdata);
/* Ends in order. May be called again, and from any callback. */
void kube_operator_stop(struct kube_operator *op);

/* By the clock, this process leads, and what is under way may go on: to be asked before each
 * further write of an operation that makes several. */
bool kube_operator_active(const struct kube_operator *op);
/* NULL without an election. */
const struct kube_lease *kube_operator_lease(const struct kube_operator *op);
/* NULL without one, which kube_recorder_event() accepts. */
struct kube_recorder *kube_operator_recorder(const struct kube_operator *op);
/* Keys waiting and under way, for metrics. */
size_t kube_operator_depth(const struct kube_operator *op);
