// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/kube/client.h"

/*
 * One watch: a single answer whose body is a stream of events. What to do after its end is the
 * reflector's business.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
struct kube_watch;

enum watch_event { WATCH_ADDED, WATCH_MODIFIED, WATCH_DELETED, WATCH_BOOKMARK };

struct watch_options {
    const struct kube_resource *resource;
    const char *ns;
    const char *field_selector;
    const char *label_selector;
    const char *resource_version; /* NULL: from now on, or with initial events the latest */
    bool send_initial_events;     /* a list first, as ADDED events */
    bool metadata_only;
    uint64_t timeout_s; /* after which the server ends it */
};

struct watch_hooks {
    /* The server has accepted the watch. */
    void (*opened)(void *userdata);
    /* Takes ownership of the object. */
    void (*event)(void *userdata, enum watch_event type, cJSON *object);
    /* An object was too large; the watch goes on. */
    void (*oversize)(void *userdata, const struct error *err);
    /*
     * The end, once: code 0 when the server ended it in order. An ERROR event and an answer that is
     * no success come as what their Status says; -EBADMSG is a stream, or an event, that is none.
     * `retry_after_ms` is 0 unless the server asked to wait.
     */
    void (*done)(void *userdata, const struct error *err, uint64_t retry_after_ms);
    void *userdata;
};

/* The callbacks come from the loop, never from inside the call. */
struct kube_watch *watch_start(struct kube_client *client, const struct watch_options *options,
                               const struct watch_hooks *hooks);
/* No callback follows. NULL is accepted; not from done() on. */
void watch_cancel(struct kube_watch *watch);
/* The client goes: no callback follows, but the owner must still call watch_cancel(). */
void watch_orphan(struct kube_watch *watch);
