// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/kube/client.h"

/*
 * Records core/v1 Events, which `kubectl describe` shows with their counts, by the rules of
 * client-go's recorder: equal events become one with a count, which a patch raises; when an object
 * has had ten messages of one reason within ten minutes, further ones are combined into one;
 * an object gets 25 writes at once and then one each five minutes, and what happens meanwhile is in
 * the count of the next.
 *
 * Recording never waits and never fails: what cannot be written in time is dropped and counted.
 * Events of cluster-scoped objects go to namespace "default", where the API server wants them.
 */
struct kube_recorder;

enum kube_event_type { KUBE_EVENT_NORMAL, KUBE_EVENT_WARNING };

/* What an event is about. Strings are copied by the call that takes one. */
struct kube_reference {
    const char *api_version;
    const char *kind;
    const char *ns; /* NULL or "": cluster-scoped */
    const char *name;
    const char *uid;              /* `kubectl describe` finds events by it */
    const char *resource_version; /* or NULL */
};

/* Borrows from both. The kind is the resource's, as items of a list lack it; `api_version` is a
 * buffer for the result's. */
#define KUBE_API_VERSION_MAX 320
struct kube_reference kube_reference_to(const struct kube_object *object,
                                        const struct kube_resource *resource,
                                        char api_version[static KUBE_API_VERSION_MAX]);

struct kube_recorder_options {
    const char *component; /* what FROM shows: the program's name */
    const char *instance;  /* reportingInstance, such as the pod's name; NULL: the host's name */
    const char *host;      /* source.host: the node that this is about, or NULL */
    unsigned queue_max;    /* events waiting to be written; 0: 1000 */
    unsigned burst;        /* writes for one object at once; 0: 25 */
    uint64_t refill_ms;    /* until it gets another; 0: 5 min */
    /* An event was given up; for logs. May be NULL, must not call the recorder. */
    void (*failed)(void *userdata, const struct error *err);
    void *userdata;
};

struct kube_recorder_stats {
    uint64_t recorded; /* calls of kube_recorder_event() */
    uint64_t created;  /* Events made */
    uint64_t updated;  /* patches of a count */
    uint64_t limited;  /* held back by an object's spam limit */
    uint64_t dropped;  /* the queue was full */
    uint64_t failed;   /* given up: refused, or not written after all attempts */
    uint64_t waiting;  /* not yet written, at this moment */
};

/* The strings are copied. The client must outlive the recorder. */
struct kube_recorder *kube_recorder_new(struct kube_client *client,
                                        const struct kube_recorder_options *options);
/* Drops what waits; see kube_recorder_flush(). */
void kube_recorder_free(struct kube_recorder *recorder);
DEFINE_CLEANUP(struct kube_recorder *, kube_recorder_free)

/*
 * `reason` is a CamelCase word of at most 128 bytes; a message longer than 1,024 bytes is cut.
 * NULL as recorder is accepted and does nothing.
 */
_printf_(5, 6) void kube_recorder_event(struct kube_recorder *recorder,
                                        const struct kube_reference *about,
                                        enum kube_event_type type, const char *reason,
                                        const char *format, ...);

struct kube_recorder_stats kube_recorder_stats(const struct kube_recorder *recorder);

/*
 * Calls `done` once, from the loop, when nothing waits any more or `deadline_ms` have passed,
 * with what was left then. One flush at a time.
 */
void kube_recorder_flush(struct kube_recorder *recorder, uint64_t deadline_ms,
                         void (*done)(void *userdata, uint64_t left), void *userdata);
