// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libwebsockets.h>

#include "lib/serve/request.h"

/* What libwebsockets keeps for each connection: the request under way, if any. */
struct session {
    struct server_request *request;
};

/* The lws_callback_function of the server's only protocol. */
int session_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t len);
/* A request of the connection is whole and has no answer yet. */
bool session_is_working(struct lws *wsi);
