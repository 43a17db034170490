// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/error.h"
#include "lib/kube/client.h"

/*
 * Keeps a local store equal to a collection on the server: list, watch, and
 * again after any failure, with the rules of client-go's reflector. Handlers
 * see a consistent history of each key: add, updates, delete. Whatever happened
 * while the watch was down is delivered as the difference.
 */
struct kube_informer;

enum kube_delete_cause {
    KUBE_DELETED,          /* a DELETED event of the watch */
    KUBE_DELETED_MISSED,   /* absent from a list, so deleted while no watch was open
                            */
    KUBE_DELETED_RESOURCE, /* absent from the first list after the resource itself
                              was missing (404): its CRD was removed and came
                              back; nobody may have meant the objects */
};

struct kube_handler {
    void (*added)(void *userdata, struct kube_object *object);
    void (*updated)(void *userdata, struct kube_object *old, struct kube_object *object);
    void (*deleted)(void *userdata, struct kube_object *last, enum kube_delete_cause cause);
    /* The first complete list is in the store and its `added` calls are made. */
    void (*synced)(void *userdata);
    /* A list or watch failed and will be tried again; for logs, metrics and
     * readiness. */
    void (*failed)(void *userdata, const struct error *err);
    void *userdata;
};

struct kube_informer_options {
    const struct kube_resource *resource;
    const char *ns; /* NULL: all namespaces, or cluster-scoped */
    const char *field_selector;
    const char *label_selector;
    bool metadata_only; /* PartialObjectMetadata: no spec, no status */
    unsigned page_size; /* 0: 500 */
    /*
     * Keeps only what the program needs: takes ownership of the whole tree and
     * returns the tree to store (the same one pruned, or a new one).
     * metadata.{name,namespace,uid,resourceVersion} must stay. NULL stores
     * everything but managedFields.
     */
    cJSON *(*project)(void *userdata, cJSON *object);
    void *project_userdata;
};

struct kube_informer *kube_informer_new(struct kube_client *client,
                                        const struct kube_informer_options *options);
/* From any callback, and before its client. */
void kube_informer_free(struct kube_informer *informer);
DEFINE_CLEANUP(struct kube_informer *, kube_informer_free)

/* Handlers are added before the start; the struct is copied. */
void kube_informer_add_handler(struct kube_informer *informer, const struct kube_handler *handler);
void kube_informer_start(struct kube_informer *informer);

bool kube_informer_synced(const struct kube_informer *informer);
/* A list or watch is established: what the store holds is current but for the
 * network's delay. */
bool kube_informer_connected(const struct kube_informer *informer);
/* The server has answered at any time since the start that it has no such
 * resource. */
bool kube_informer_resource_was_missing(const struct kube_informer *informer);

/* Borrowed; NULL when absent. `ns` is NULL or "" for cluster-scoped objects. */
struct kube_object *kube_informer_get(const struct kube_informer *informer, const char *ns,
                                      const char *name);
size_t kube_informer_size(const struct kube_informer *informer);
/* In no order; `fn` must not free the informer. */
void kube_informer_each(const struct kube_informer *informer, kube_item_fn fn, void *userdata);
