// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <curl/curl.h>
#include <sys/queue.h>

#include "lib/base/loop.h"
#include "lib/kube/transport.h"

/*
 * What transport.c (the multi handle on the loop), transfer.c (one exchange) and keepalive.c share.
 *
 * Callbacks of transfers run while libcurl is on the stack, where its functions must not be called.
 * What a callback asks for meanwhile (start, cancel, free) is noted and done when libcurl has
 * returned: `busy` tells.
 *
 * After a connection has failed, one transfer goes ahead, and the others wait until it has another:
 * libcurl lets transfers wait for a connection that is being made only as long as it knows of no
 * earlier one to the same server, and would make one for each of them.
 */
enum transfer_state {
    TRANSFER_PENDING, /* waits for libcurl to return, for credentials, or for the pioneer */
    TRANSFER_ACTIVE,  /* libcurl's */
    TRANSFER_DEAD,    /* cancelled; waits for libcurl to return */
};

struct transfer {
    TAILQ_ENTRY(transfer) link; /* in the list of its state */
    struct transport *transport;
    enum transfer_state state;
    struct transfer_options options;
    CURL *easy;
    struct curl_slist *headers;
    char error_text[CURL_ERROR_SIZE];
    struct error failure; /* what the data callback, or the header limit, refused */
    size_t header_bytes;
    size_t body_sent; /* bytes of the request's */
    uint64_t heard_at;
    uint64_t deadline;
    unsigned generation, tls_generation; /* of the credentials that it was given */
    bool doomed;                         /* pending, and about to fail for want of credentials */
    bool opened;
    bool lost; /* its connection is, whatever libcurl thinks */
};

TAILQ_HEAD(transfer_list, transfer);

struct socket_watch {
    LIST_ENTRY(socket_watch) link;
    struct transport *transport;
    curl_socket_t fd;
    struct loop_poll *poll;
};

struct transport {
    uv_loop_t *loop;
    CURLM *multi;
    struct loop_timer *timer;
    LIST_HEAD(, socket_watch) sockets;
    struct transfer_list pending, active, dead;
    unsigned busy;     /* libcurl is on the stack */
    unsigned settling; /* callbacks of finished transfers are on the stack */
    bool freed;

    struct kube_config *config;
    char *user_agent;
    char *base_url;    /* what the target is added to */
    char *host_header; /* NULL: the URL's */
    struct curl_slist *connect_to;

    struct transfer *pioneer; /* goes ahead, and has no connection yet */
    bool connected;           /* a connection stands, or did when we last looked */
    struct loop_timer *kick;  /* what is pending may go on */

    struct loop_timer *patience; /* while transfers are pending */
    struct loop_timer *keepalive;
    uint64_t heard_at; /* when any transfer last got anything */
    struct transfer *probe;
    uint64_t probe_heard_at; /* `heard_at` when it began */
    bool http2;
};

/* transfer.c */
struct transfer *transfer_new(struct transport *transport, const struct transfer_options *options);
void transfer_free(struct transfer *transfer);
/* Makes the result of what libcurl says, or of `failure` when that has a code, calls done() and
 * frees the transfer, which libcurl has already let go. */
void transfer_finish(struct transfer *transfer, CURLcode code);

/* Carries the body of a success, and may be ended at any time. */
bool transfer_is_renewable(const struct transfer *transfer);
/* Its connection is for nobody after it. */
void transfer_forbid_reuse(struct transfer *transfer);
/* The credentials as they are now, and what is left of the time. */
void transfer_set_credentials(struct transfer *transfer);

/* authenticate.c */
/* The credentials are there. Otherwise they are being fetched, and what is pending goes on, or
 * fails, when they are or cannot be. */
bool authenticate(struct transport *transport);

/* Looks after the deadlines of what is pending. */
void authenticate_wait(struct transport *transport);

/* transport.c */
/* The transfer has a connection. */
void transport_connected(struct transfer *transfer);
void transport_activate_pending(struct transport *transport, bool authenticated);
/* Reads the credential files again, when that is due or with `force` in any case. */
void transport_refresh_credentials(struct transport *transport, bool force);
/* Ends a transfer that libcurl holds with a result of ours; not while busy. */
void transport_end(struct transfer *transfer, CURLcode code);
void transport_enter(struct transport *transport);
/* May free the transport. */
void transport_leave(struct transport *transport);

/* keepalive.c */
void keepalive_start(struct transport *transport);
/* The connections that stand were made with credentials that are no longer. */
void keepalive_renew(struct transport *transport);
void keepalive_socket_options(curl_socket_t fd);
