// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/queue.h>

#include "lib/base/buf.h"
#include "lib/base/loop.h"
#include "lib/kube/client.h"
#include "lib/kube/transport.h"

/*
 * One request with its deadline, its attempts and its place in the client's queue; what the verbs
 * of client.c and list.c are made of.
 */
struct request_hooks {
    /* A piece of a successful answer's body. */
    int (*data)(struct kube_request *request, const char *data, size_t len, struct error *err);
    /*
     * The end: either request_again(), or request_detach(), the caller's callback and
     * request_free(), in this order.
     */
    void (*done)(struct kube_request *request, const struct error *err);
    void (*free_state)(void *state); /* or NULL */
};

enum request_state {
    REQUEST_QUEUED,  /* for a place among the active ones */
    REQUEST_WAITING, /* for its timer */
    REQUEST_ACTIVE,
    REQUEST_OVER,
};

struct kube_request {
    TAILQ_ENTRY(kube_request) link;       /* all of the client */
    TAILQ_ENTRY(kube_request) queue_link; /* those that are queued */
    struct kube_client *client;
    enum request_state state;
    const struct request_hooks *hooks;
    void *hook_state;

    const char *method, *accept, *content_type; /* static strings */
    char *target;
    char *body;
    uint64_t timeout_ms;
    uint64_t deadline;
    uint64_t began_ms; /* the last attempt */
    unsigned attempts;
    bool reauthenticated;

    struct transfer *transfer;
    struct loop_timer *timer;
    struct error failure;  /* of a call that cannot even be made */
    struct buf error_body; /* of an answer that is no success */
    bool answer_is_json;
    unsigned busy; /* a hook is on the stack */
    bool cancelled;

    kube_response_fn fn; /* of a single object's request */
    void *userdata;
    struct buf answer;
};

/* A request that is not yet on its way; the fields of the attempt are the caller's to fill in. */
struct kube_request *request_new(struct kube_client *client, const struct request_hooks *hooks,
                                 void *hook_state);
/* Sends it when there is a place; with `failure` set, or no target, done() comes from the loop
 * without an exchange. */
void request_submit(struct kube_request *request);
/* From done(): another exchange with a new deadline. Takes `target`. */
void request_again(struct kube_request *request, char *target);
/* No longer the client's: what the callback does to the client no longer concerns it. */
void request_detach(struct kube_request *request);
void request_free(struct kube_request *request);
/* A data() hook that keeps the answer, and then the object that it is. */
int request_collect(struct kube_request *request, const char *data, size_t len, struct error *err);
_must_check_ int request_take_object(struct kube_request *request, struct kube_object **ret,
                                     struct error *err);

/* --- the client's side ---------------------------------------------------------------------- */

TAILQ_HEAD(request_list, kube_request);

struct kube_client {
    uv_loop_t *loop;
    struct transport *transport;
    uint64_t request_timeout_ms;
    size_t response_max;
    struct request_list requests;
    struct request_list queue;
    LIST_HEAD(, kube_watch) watches;
    unsigned active;
    /* Token bucket of the client's own limit. */
    double qps, burst, tokens;
    uint64_t refilled_at;
    struct loop_timer *gate;
    void (*observe)(void *userdata, const char *verb, int http_status, double seconds);
    void *userdata;
};

void client_open_gate(struct kube_client *client);
/* Since `began_ms`, by the monotonic clock. */
void client_observe(const struct kube_client *client, const char *verb, int http_status,
                    uint64_t began_ms);
