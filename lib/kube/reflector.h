// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/kube/client.h"
#include "lib/kube/store.h"
#include "lib/kube/watch.h"

/*
 * Follows a collection: a list or a WatchList, then watches, and again after whatever goes wrong.
 * The rules are client-go's (tools/cache/reflector.go).
 */
struct reflector;

struct reflector_options {
    const struct kube_resource *resource;
    const char *ns, *field_selector, *label_selector; /* copied */
    bool metadata_only;
    unsigned page_size;         /* 0: 500 */
    uint64_t initial_events_ms; /* until when those of a WatchList must be complete; 0: 60 s */
};

/* Each may free the reflector. */
struct reflector_hooks {
    /* Makes what is kept of an object; takes ownership. NULL when it is no object of a collection.
     */
    struct kube_object *(*prepare)(void *userdata, cJSON *json);
    /*
     * The whole collection; takes ownership of the store. `was_missing`: the resource itself was
     * missing since the last time. `incomplete`: an object was too large, so that what is absent
     * was not necessarily deleted.
     */
    void (*replace)(void *userdata, struct store *fresh, bool was_missing, bool incomplete);
    /* One change since; takes a reference if it keeps the object. */
    void (*change)(void *userdata, enum watch_event type, struct kube_object *object);
    void (*failed)(void *userdata, const struct error *err);
    void *userdata;
};

struct reflector *reflector_new(struct kube_client *client, const struct reflector_options *options,
                                const struct reflector_hooks *hooks);
void reflector_free(struct reflector *reflector);
void reflector_start(struct reflector *reflector);
/* A list or watch is established. */
bool reflector_connected(const struct reflector *reflector);
/* The server has said since the start that there is no such resource. */
bool reflector_resource_was_missing(const struct reflector *reflector);
