// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/request.h"

#include <assert.h>
#include <libwebsockets.h>
#include <string.h>

#include "lib/base/alloc.h"

struct server_request *server_request_new(struct lws *wsi, size_t body_max)
{
    struct server_request *request = xcalloc(1, sizeof(*request));

    request->wsi = wsi;
    buf_init(&request->body, body_max);
    return request;
}

static void server_request_drop_timers(struct server_request *request)
{
    loop_timer_free(request->deadline);
    loop_timer_free(request->resume);
    request->deadline = request->resume = NULL;
}

/* The server may go before a handler has answered. */
static void server_request_stop_counting(struct server_request *request)
{
    if (request->bodies)
        *request->bodies -= request->body.len;
    request->bodies = NULL;
}

static void server_request_drop_body(struct server_request *request)
{
    server_request_stop_counting(request);
    buf_done(&request->body);
}

static void server_request_free(struct server_request *request)
{
    server_request_drop_timers(request);
    server_request_drop_body(request);
    free(request->media_type);
    /* A secret as a rule. */
    if (request->authorization)
        explicit_bzero(request->authorization, strlen(request->authorization));
    free(request->authorization);
    free(request->content_type);
    free(request->allow);
    free(request->out);
    free(request);
}

void server_request_detach(struct server_request *request)
{
    if (!request)
        return;
    request->wsi = NULL;
    if (request->handler_holds) {
        /* The body stays: it is the handler's until it answers. */
        server_request_stop_counting(request);
        server_request_drop_timers(request);
        return;
    }
    server_request_free(request);
}

const char *server_request_media_type(const struct server_request *request)
{
    return request->media_type ? request->media_type : "";
}

const char *server_request_authorization(const struct server_request *request)
{
    return request->authorization ? request->authorization : "";
}

void server_request_send(struct server_request *request)
{
    (void) lws_rx_flow_control(request->wsi, 1);
    lws_callback_on_writable(request->wsi);
}

void server_request_answer(struct server_request *request, unsigned status,
                           const char *content_type, const void *content, size_t len)
{
    request->phase = REQUEST_ANSWER;
    request->status = status;
    request->content_type = xstrdup(content_type);
    request->out = xmalloc(LWS_PRE + len + 1);
    request->out_len = len;
    if (len > 0)
        memcpy(request->out + LWS_PRE, content, len);
    server_request_send(request);
}

void server_request_answer_text(struct server_request *request, unsigned status, const char *text)
{
    _cleanup_free_ char *line = xasprintf("%s\n", text);

    server_request_answer(request, status, "text/plain; charset=utf-8", line, strlen(line));
}

void server_respond(struct server_request *request, unsigned status, const char *content_type,
                    const void *content, size_t len)
{
    assert(request->handler_holds);
    request->handler_holds = false;
    if (!request->wsi) {
        server_request_free(request);
        return;
    }
    /* Past the deadline the client has been answered already. */
    if (request->phase == REQUEST_HANDLER)
        server_request_answer(request, status, content_type, content, len);
    /* Not before: the answer may be made of it. */
    server_request_drop_body(request);
}

void server_respond_text(struct server_request *request, unsigned status, const char *text)
{
    _cleanup_free_ char *line = xasprintf("%s\n", text);

    server_respond(request, status, "text/plain; charset=utf-8", line, strlen(line));
}
