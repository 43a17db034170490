// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/loop.h"
#include "lib/serve/serve.h"

struct lws;

enum request_phase {
    REQUEST_BODY,    /* the client is sending */
    REQUEST_HANDLER, /* the handler is to answer */
    REQUEST_ANSWER,  /* we are sending */
    REQUEST_LINGER,  /* answered without having read the body: swallow it for a moment, since
                        closing at once would reset the connection under the answer */
};

/*
 * One request, shared by its connection and its handler: whichever lets go last frees it. A client
 * that has gone leaves `wsi` NULL.
 */
struct server_request {
    struct lws *wsi;
    uv_loop_t *loop;
    enum request_phase phase;
    const struct server_route *route; /* NULL: refused, `status` says how */
    unsigned repeats;                 /* of the body's end, see session_body_end() */
    bool handler_holds;
    bool head;
    bool reading; /* libwebsockets goes on reading a body */
    bool close;   /* the connection is of no use after the answer */
    struct loop_timer *deadline;
    struct loop_timer *resume; /* of sending, see session_hold() */

    char *media_type;    /* or NULL */
    char *authorization; /* likewise */
    struct buf body;
    size_t *bodies; /* the server's count of bytes under way; NULL: this one no longer counts */
    size_t body_len, received; /* as announced, and so far */

    unsigned status;
    char *content_type;
    char *allow;        /* for 405 */
    unsigned char *out; /* room for libwebsockets' framing, then the content */
    size_t out_len, out_sent;
    bool headers_sent;
};

struct server_request *server_request_new(struct lws *wsi, size_t body_max);
/* The connection lets go: it is closed, or the answer is out. */
void server_request_detach(struct server_request *request);
/* Asks for the socket; libwebsockets gives it only to a connection that is not held back. */
void server_request_send(struct server_request *request);
/* Fixes the answer and asks for the socket; the content is copied. */
void server_request_answer(struct server_request *request, unsigned status,
                           const char *content_type, const void *content, size_t len);
void server_request_answer_text(struct server_request *request, unsigned status, const char *text);
