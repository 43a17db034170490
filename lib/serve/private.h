// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libwebsockets.h>
#include <sys/queue.h>

#include "lib/serve/listener.h"
#include "lib/serve/route.h"
#include "lib/serve/serve.h"
#include "lib/serve/tls.h"

/* Inside lib/serve only. */

/* From its adoption to its end. */
struct connection {
    TAILQ_ENTRY(connection) link;
    struct server *server;
    struct lws *wsi;
    bool displaced; /* counted no more, though libwebsockets has not let go of it */
};

struct server {
    uv_loop_t *loop;
    struct lws_context *context; /* set to NULL by libwebsockets when it has gone */
    struct lws_vhost *vhost;
    struct tls_files *tls; /* NULL: plain HTTP */
    SSL_CTX *tls_context;  /* the vhost's */
    struct lws_protocols protocols[2];
    struct route_table routes;
    struct listener *listener;
    size_t body_max;
    size_t bodies_max, bodies; /* bytes of bodies under way, and how many they may be; 0: any */
    unsigned timeout_s;
    unsigned connections, connections_max;
    bool displace;
    unsigned displaced;             /* connections that are on their way out */
    TAILQ_HEAD(, connection) order; /* who has been without a whole request for longest is first */
    uv_idle_t reaper;               /* see server_free() */
    unsigned reaper_rounds;
    bool closing; /* handlers are called no more */
};

/* Each connection is counted from its adoption to its end. */
void server_connection_come(struct server *server, struct lws *wsi);
void server_connection_gone(struct connection *connection);
/* A request has had its answer. */
void server_connection_served(struct connection *connection);
