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

/* PEM: a certificate, with the chain that leads to its authority behind it, and its private key. */
struct server_identity {
    const char *cert, *key;
};

struct server_options {
    const char *address;  /* NULL: all interfaces */
    uint16_t port;        /* 0: any, see server_port() */
    const char *tls_cert; /* PEM files; NULL: plain HTTP */
    const char *tls_key;
    const struct server_identity *identity; /* instead of the files; or NULL */
    size_t body_max;                        /* 0: 64 KiB */
    size_t bodies_max;        /* of all that are under way; 0: no limit but that of connections */
    unsigned timeout_s;       /* of a whole request; 0: 30 */
    unsigned connections_max; /* 0: 128; more wait in the kernel's queue */
    /*
     * Instead of waiting, a new connection takes the place of the one that has been without a whole
     * request for longest: who opens many and says nothing keeps nobody out.
     */
    bool displace;
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
 * What new connections are served with from now on, for a server that was given an identity.
 * -EINVAL says why it cannot be used; the one before stays then.
 */
_must_check_ int server_set_identity(struct server *server, const struct server_identity *identity,
                                     struct error *err);
/* Of a request whose handler has not answered: the media type that its body has by its header,
 * without parameters; "" when there is none. */
const char *server_request_media_type(const struct server_request *request);
/* Likewise: the Authorization header; "" when there is none. */
const char *server_request_authorization(const struct server_request *request);

/*
 * Answers once; the content is copied. A client that has gone meanwhile is no
 * error. The request may not be used afterwards.
 */
void server_respond(struct server_request *request, unsigned status, const char *content_type,
                    const void *content, size_t len);
void server_respond_text(struct server_request *request, unsigned status, const char *text);
