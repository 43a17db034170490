// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

/*
 * HTTP/1.1 server on libwebsockets, with or without TLS, on the program's loop: exact-path routes,
 * bounded request bodies, limits on connections and time. A handler answers at
 * once or later.
 */
struct server;
struct server_request;

struct server_options {
    const char *address;  /* NULL: all interfaces */
    uint16_t port;        /* 0: any, see server_port() */
    const char *tls_cert; /* PEM files; NULL: plain HTTP */
    const char *tls_key;
    size_t body_max;          /* 0: 64 KiB */
    unsigned timeout_s;       /* of a whole request; 0: 30 */
    unsigned connections_max; /* 0: 128; more wait in the kernel's queue */
};

struct server_route {
    const char *method; /* "GET" also answers HEAD */
    const char *path;   /* exact; the query is not part of it */
    /* `body` is borrowed until the answer is given. */
    void (*handle)(void *userdata, struct server_request *request, const char *body,
                   size_t body_len);
    void *userdata;
};

/* Routes are copied. Certificate and key are read again when they have changed; connections that
 * are open keep what they have. */
_must_check_ int server_new(uv_loop_t *loop, const struct server_options *options,
                            const struct server_route *routes, size_t count, struct server **ret,
                            struct error *err);
/*
 * Stops listening and cuts what is under way; no handler is called any more, and one that has not
 * answered yet still has to.
 * The memory goes as the loop turns (loop_drain()).
 */
void server_free(struct server *server);
DEFINE_CLEANUP(struct server *, server_free)
uint16_t server_port(const struct server *server);

/*
 * Answers once; the content is copied. A client that has gone meanwhile is no
 * error. The request may not be used afterwards.
 */
void server_respond(struct server_request *request, unsigned status, const char *content_type,
                    const void *content, size_t len);
void server_respond_text(struct server_request *request, unsigned status, const char *text);
