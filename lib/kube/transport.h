// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "lib/base/error.h"
#include "lib/kube/credentials.h"

/*
 * HTTP exchanges with one API server: libcurl's multi-socket interface on a libuv loop. All
 * exchanges share one HTTP/2 connection; a server that speaks only HTTP/1.1 gets one connection for
 * each exchange under way. Certificates are verified against the configuration's authority.
 */
struct transport;
struct transfer;

struct transfer_result {
    int http_status; /* 0: no answer came */
    bool has_retry_after;
    uint64_t retry_after_ms; /* of the Retry-After header, if there was one */
    bool never_sent;         /* the failure came before the request was sent */
    bool stale_connection;   /* it went to a connection that the server had closed before */
    bool new_credentials;    /* refused with 401, and by now there are others to try */
    const struct error *err; /* code 0: a complete answer came, of whatever HTTP status */
};

struct transfer_options {
    const char *method;       /* static string */
    const char *target;       /* escaped path and query, from '/' */
    const char *accept;       /* media type */
    const char *content_type; /* of the body; NULL: no body */
    const char *body;         /* borrowed until the end of the transfer */
    size_t body_len;
    uint64_t timeout_ms; /* from the start to the last byte; required */
    /* A silence longer than this is a failure where the peer cannot be asked whether it lives,
     * which is on HTTP/1.1; 0: none. */
    uint64_t silence_ms;
    bool unauthenticated; /* goes at once, even when the credentials are yet to be fetched */
    /* Lives long, and may end in order at any time: it does when certificates were replaced, so
     * that its successor goes over a connection made with the new ones. */
    bool renewable;
    /* The answer's headers are complete. */
    void (*opened)(void *userdata, int http_status, const char *content_type);
    /* Bytes of the answer's body. A negative errno with `err` filled ends the transfer with it. */
    int (*data)(void *userdata, int http_status, const char *data, size_t len, struct error *err);
    /* The end, once, unless cancelled; never from inside transfer_start(). */
    void (*done)(void *userdata, const struct transfer_result *result);
    void *userdata;
};

/* Keeps the configuration; frees it on success with itself. */
_must_check_ int transport_new(uv_loop_t *loop, struct kube_config *config, const char *user_agent,
                               struct transport **ret, struct error *err);
/* Cancels what is under way. May be called from any callback. */
void transport_free(struct transport *transport);
DEFINE_CLEANUP(struct transport *, transport_free)
const struct kube_config *transport_config(const struct transport *transport);

struct transfer *transfer_start(struct transport *transport,
                                const struct transfer_options *options);
/* No callback will be made any more. NULL is accepted; may be called from any callback but done().
 */
void transfer_cancel(struct transfer *transfer);
