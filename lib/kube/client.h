// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/kube/config.h"
#include "lib/kube/object.h"

/*
 * An asynchronous client of the Kubernetes API on a libuv loop: libcurl, HTTP/2
 * on one connection. Every call returns at once; its callback runs from the
 * loop, never from inside the call, exactly once unless the request is
 * cancelled. Every request has a deadline. Retries: Retry-After of 429 and 5xx
 * is honoured for as long as the deadline allows; a read is tried again when the
 * connection fails before an answer, a write only when it cannot have reached
 * the server; for 409 there is update.h.
 */
struct kube_client;
struct kube_request;

/* A resource as it stands in request paths. The strings are not copied: use
 * static tables. */
struct kube_resource {
    const char *group; /* "" for the core group */
    const char *version;
    const char *plural;
    const char *kind;
    bool namespaced;
};

extern const struct kube_resource kube_nodes, kube_pods, kube_events, kube_leases;

struct kube_client_options {
    const char *user_agent;      /* "program/version" */
    uint64_t request_timeout_ms; /* 0: 30 s */
    size_t response_max;         /* bytes of a single object; 0: 8 MiB */
    double qps;                  /* 0: no limit of our own */
    unsigned burst;
    /* For metrics, may be NULL: of each exchange its method, or WATCH for one that has been opened,
     * the answer's HTTP status (0: none came), and how long it took. */
    void (*observe)(void *userdata, const char *verb, int http_status, double seconds);
    void *userdata;
};

/* The client keeps the config. */
_must_check_ int kube_client_new(uv_loop_t *loop, struct kube_config *config,
                                 const struct kube_client_options *options,
                                 struct kube_client **ret, struct error *err);
/* Cancels what is under way. From any callback, but after its informers. */
void kube_client_free(struct kube_client *client);
DEFINE_CLEANUP(struct kube_client *, kube_client_free)
uv_loop_t *kube_client_loop(const struct kube_client *client);
const struct kube_config *kube_client_config(const struct kube_client *client);

/* `object` is borrowed for the call (NULL on failure); `err->code` is 0 on
 * success. */
typedef void (*kube_response_fn)(void *userdata, struct kube_object *object,
                                 const struct error *err);

enum kube_patch_type {
    KUBE_PATCH_MERGE, /* RFC 7386 */
    KUBE_PATCH_JSON,  /* RFC 6902 */
    KUBE_PATCH_APPLY, /* server-side apply; needs field_manager */
};

struct kube_write_options {
    const char *field_manager; /* NULL: the server's default */
    bool force;                /* apply: take over fields of other managers */
    bool dry_run;
};

/*
 * `ns` is NULL for cluster-scoped resources. `min_version`: NULL reads the
 * latest from etcd; "0" or a resource version reads the watch cache, at least
 * as fresh as that version.
 */
struct kube_request *kube_get(struct kube_client *client, const struct kube_resource *resource,
                              const char *ns, const char *name, const char *min_version,
                              kube_response_fn fn, void *userdata);
/* Body is borrowed for the call. `subresource` is NULL or for example "status".
 */
struct kube_request *kube_create(struct kube_client *client, const struct kube_resource *resource,
                                 const char *ns, const cJSON *body,
                                 const struct kube_write_options *options, kube_response_fn fn,
                                 void *userdata);
struct kube_request *kube_patch(struct kube_client *client, const struct kube_resource *resource,
                                const char *ns, const char *name, const char *subresource,
                                enum kube_patch_type type, const cJSON *body,
                                const struct kube_write_options *options, kube_response_fn fn,
                                void *userdata);
/* `uid`: NULL, or the precondition that the object is still this one. */
struct kube_request *kube_delete(struct kube_client *client, const struct kube_resource *resource,
                                 const char *ns, const char *name, const char *uid,
                                 kube_response_fn fn, void *userdata);
/*
 * Asks for a pod's eviction (policy/v1, https://kubernetes.io/docs/concepts/scheduling-eviction/
 * api-eviction/), which is a deletion that PodDisruptionBudgets can refuse, with 429. `uid`: as
 * above.
 */
struct kube_request *kube_evict(struct kube_client *client, const char *ns, const char *name,
                                const char *uid, kube_response_fn fn, void *userdata);

struct kube_list_options {
    const char *field_selector;
    const char *label_selector;
    const char *min_version; /* as in kube_get(); NULL is a consistent read */
    bool metadata_only;      /* PartialObjectMetadataList */
    unsigned page_size;      /* 0: one page */
};

/*
 * Calls `item` for each object (borrowed), page after page, then `done`. After
 * a failure `done` carries it and the items already given are to be dropped.
 */
typedef void (*kube_item_fn)(void *userdata, struct kube_object *object);
typedef void (*kube_list_done_fn)(void *userdata, const char *resource_version,
                                  const struct error *err);
struct kube_request *kube_list(struct kube_client *client, const struct kube_resource *resource,
                               const char *ns, const struct kube_list_options *options,
                               kube_item_fn item, kube_list_done_fn done, void *userdata);

/* The callback will not be called. NULL is accepted; not from after the
 * callback. */
void kube_request_cancel(struct kube_request *request);

/* Reasons of metav1.Status, decoded from an answer's body (error.reason) or its
 * HTTP status. */
bool kube_error_is_not_found(const struct error *err);
bool kube_error_is_conflict(const struct error *err);
bool kube_error_is_already_exists(const struct error *err);
bool kube_error_is_gone(const struct error *err); /* 410: Expired, Gone */
bool kube_error_is_forbidden(const struct error *err);
bool kube_error_is_unauthorized(const struct error *err);
bool kube_error_is_throttled(const struct error *err); /* 429 */
bool kube_error_is_invalid(const struct error *err);   /* 422 */
/* The reason of errors that are no answer of the server's. */
#define KUBE_REASON_UNREACHABLE "ServerUnreachable"
/* Never reached the server, or the connection broke. */
bool kube_error_is_transport(const struct error *err);
