// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/session.h"

#include <ctype.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/serve/private.h"

/* How long a refused body may still come in before the connection is cut. */
#define LINGER_MS 2000
/* One write to libwebsockets; what the socket does not take, it copies. */
#define WRITE_CHUNK 16384
#define HEADER_MAX 1024
#define MEDIA_TYPE_MAX 128
#define RESUME_MS 10
#define REPEATS_MAX 8

#define LENGTH_NONE (-1)
#define LENGTH_BAD (-2)

static const struct {
    enum lws_token_indexes token;
    const char *name;
    bool body; /* libwebsockets waits for a body even when no length is announced */
} session_methods[] = {
    {WSI_TOKEN_GET_URI, "GET", false},         {WSI_TOKEN_HEAD_URI, "HEAD", false},
    {WSI_TOKEN_POST_URI, "POST", true},        {WSI_TOKEN_PUT_URI, "PUT", true},
    {WSI_TOKEN_PATCH_URI, "PATCH", true},      {WSI_TOKEN_DELETE_URI, "DELETE", false},
    {WSI_TOKEN_OPTIONS_URI, "OPTIONS", false},
};

/* Content-Length as RFC 9110 has it: digits; a repeated header comes joined and is refused. */
static int64_t session_content_length(struct lws *wsi)
{
    char text[20];
    int64_t length = 0;

    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) == 0)
        return LENGTH_NONE;
    if (lws_hdr_copy(wsi, text, sizeof(text) - 1, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
        return LENGTH_BAD;
    text[sizeof(text) - 1] = '\0';
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9')
            return LENGTH_BAD;
        length = length * 10 + (*c - '0');
    }
    return length;
}

/* Lower case, without parameters (RFC 9110, 8.3.1); NULL when there is none, or none to use. */
static char *session_media_type(struct lws *wsi)
{
    char text[MEDIA_TYPE_MAX];
    int len = lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_CONTENT_TYPE);

    if (len <= 0)
        return NULL;
    text[strcspn(text, "; \t")] = '\0';
    for (char *c = text; *c; c++)
        *c = (char) tolower((unsigned char) *c);
    return xstrdup(text);
}

static char *session_authorization(struct lws *wsi)
{
    int len = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
    char *text;

    if (len <= 0)
        return NULL;
    text = xcalloc(1, (size_t) len + 1);
    (void) lws_hdr_copy(wsi, text, len + 1, WSI_TOKEN_HTTP_AUTHORIZATION);
    return text;
}

static void session_end(struct session *session)
{
    struct server_request *request = TAKE_PTR(session->request);

    server_request_detach(request);
}

/* Only from the loop, with nothing of libwebsockets on the stack. The request goes with it. */
static void session_kill(struct server_request *request)
{
    lws_set_timeout(request->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

bool session_is_working(struct lws *wsi)
{
    const struct session *session = lws_wsi_user(wsi);

    return session && session->request &&
           (session->request->phase == REQUEST_HANDLER ||
            session->request->phase == REQUEST_ANSWER);
}

static void session_refuse(struct server_request *request, unsigned status, const char *text)
{
    request->close = true;
    server_request_answer_text(request, status, text);
}

struct poll_search {
    int fd;
    uv_poll_t *found;
};

static void session_match_poll(uv_handle_t *handle, void *userdata)
{
    struct poll_search *search = userdata;
    uv_os_fd_t fd;

    if (uv_handle_get_type(handle) == UV_POLL && !uv_is_closing(handle) &&
        uv_fileno(handle, &fd) == 0 && fd == search->fd)
        search->found = (uv_poll_t *) handle;
}

/*
 * Takes a connection's socket off the loop until server_request_send(). While a handler works, or a
 * client reads more slowly than we send, libwebsockets leaves events unhandled, and the loop would
 * spin on them: input when reading is on (a pipelined request, or the client's end), writability
 * when it is off. Its handle can be found, and starts again with its next change of events.
 */
static void session_hold(struct server_request *request)
{
    struct poll_search search = {.fd = lws_get_socket_fd(request->wsi)};

    uv_walk(request->loop, session_match_poll, &search);
    if (search.found)
        uv_poll_stop(search.found);
}

static void session_resume(void *userdata)
{
    struct server_request *request = userdata;
    struct pollfd socket = {.fd = lws_get_socket_fd(request->wsi), .events = POLLOUT};

    if (request->phase == REQUEST_HANDLER) {
        session_hold(request);
    } else if (poll(&socket, 1, 0) > 0) {
        server_request_send(request);
    } else {
        session_hold(request);
        loop_timer_start(request->resume, RESUME_MS);
    }
}

static void session_deadline(void *userdata)
{
    struct server_request *request = userdata;

    switch (request->phase) {
    case REQUEST_BODY:
        session_refuse(request, 408, "the request did not arrive in time");
        loop_timer_start(request->deadline, LINGER_MS);
        break;
    case REQUEST_HANDLER:
        server_request_answer_text(request, 503, "no answer was found in time");
        loop_timer_start(request->deadline, LINGER_MS);
        break;
    case REQUEST_ANSWER:
    case REQUEST_LINGER:
        session_kill(request);
        break;
    }
}

/* The whole request is here. */
static void session_dispatch(struct server_request *request)
{
    request->reading = false;
    if (!request->route) {
        server_request_answer_text(request, request->status,
                                   request->status == 405 ? "method not allowed" : "not found");
        return;
    }
    request->phase = REQUEST_HANDLER;
    request->handler_holds = true;
    (void) lws_rx_flow_control(request->wsi, 0);
    request->route->handle(request->route->userdata, request, buf_string(&request->body),
                           request->body.len);
    /* Not now: libwebsockets is not through with the socket. */
    if (request->phase == REQUEST_HANDLER)
        loop_timer_start(request->resume, 0);
}

static void session_route(struct server *server, struct server_request *request, const char *method,
                          const char *path, size_t path_len)
{
    _cleanup_buf_ struct buf allow = BUF_INIT(HEADER_MAX / 2);
    bool known = false;

    request->head = strcmp(method, "HEAD") == 0;
    request->route = route_find(&server->routes, method, path, path_len, &known);
    if (request->route)
        return;
    request->status = known ? 405 : 404;
    if (known && route_allowed(&server->routes, path, path_len, &allow) == 0)
        request->allow = buf_take(&allow);
}

/* Decides by the headers whether the body is wanted; answers at once when it is not. */
static bool session_accepts_body(struct server *server, struct server_request *request,
                                 int64_t length, bool body_assumed)
{
    struct lws *wsi = request->wsi;

    request->body_len = length > 0 ? (size_t) length : 0;
    request->reading = length > 0 || (length == LENGTH_NONE && body_assumed);
    if (length == LENGTH_BAD)
        session_refuse(request, 400, "Content-Length is not a number");
    else if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 ||
             (request->reading && length == LENGTH_NONE))
        session_refuse(request, 411, "send the body with a Content-Length");
    else if (length > 0 && (uint64_t) length > server->body_max)
        session_refuse(request, 413, "the body is too large");
    else
        return true;
    return false;
}

static int session_begin(struct server *server, struct session *session, struct lws *wsi,
                         const char *path, size_t path_len)
{
    struct server_request *request;
    size_t method = 0;

    session_end(session);
    if (server->closing)
        return -1;
    while (method < ARRAY_SIZE(session_methods) &&
           lws_hdr_total_length(wsi, session_methods[method].token) == 0)
        method++;
    if (method == ARRAY_SIZE(session_methods))
        return -1;

    request = session->request = server_request_new(wsi, server->body_max);
    request->loop = server->loop;
    request->bodies = &server->bodies;
    request->media_type = session_media_type(wsi);
    request->authorization = session_authorization(wsi);
    request->deadline = loop_timer_new(server->loop, session_deadline, request);
    request->resume = loop_timer_new(server->loop, session_resume, request);
    loop_timer_start(request->deadline, UINT64_C(1000) * server->timeout_s);
    session_route(server, request, session_methods[method].name, path, path_len);
    if (session_accepts_body(server, request, session_content_length(wsi),
                             session_methods[method].body) &&
        !request->reading)
        session_dispatch(request);
    return 0;
}

/*
 * libwebsockets 4.3 does not end a body where Content-Length does: a request that was sent behind
 * it comes with it. That one is lost, and its sender learns so by the end of the connection.
 */
static void session_body(struct server *server, struct server_request *request, const void *data,
                         size_t len)
{
    size_t missing;

    if (!request || len == 0 || request->phase != REQUEST_BODY)
        return;
    missing = request->body_len - request->received;
    if (len > missing) {
        request->close = true;
        len = missing;
    }
    request->received += len;
    if (request->route && server->bodies_max > 0 && server->bodies + len > server->bodies_max) {
        session_refuse(request, 503, "too many large requests at once");
        return;
    }
    /* Fits: session_accepts_body() has seen to that. */
    if (request->route) {
        (void) buf_add(&request->body, data, len);
        server->bodies += len;
    }
    if (request->close)
        session_dispatch(request);
}

/*
 * libwebsockets tells the end of the body again whenever it finds more input behind it, and does
 * so for ever (lws_http_action()) when the whole request came out of its own buffer: two requests
 * sent at once, the second with a body, and a third behind it. Nothing but the end of the
 * connection stops that.
 */
static int session_body_end(const struct server *server, struct server_request *request)
{
    if (!request)
        return 0;
    if (request->phase == REQUEST_LINGER || server->closing)
        return -1;
    if (request->phase == REQUEST_BODY) {
        session_dispatch(request);
        return 0;
    }
    return ++request->repeats > REPEATS_MAX ? -1 : 0;
}

static int session_add_header(struct lws *wsi, const char *name, const char *value,
                              unsigned char **at, unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *) name,
                                       (const unsigned char *) value, (int) strlen(value), at, end);
}

static int session_write_headers(struct server_request *request)
{
    unsigned char buffer[LWS_PRE + HEADER_MAX];
    unsigned char *start = buffer + LWS_PRE, *at = start, *end = buffer + sizeof(buffer);
    struct lws *wsi = request->wsi;

    if (lws_add_http_common_headers(wsi, request->status | LWSAHH_FLAG_NO_SERVER_NAME,
                                    request->content_type, request->out_len, &at, end) != 0 ||
        session_add_header(wsi, "cache-control:", "no-store", &at, end) != 0)
        return -1;
    if (request->allow && session_add_header(wsi, "allow:", request->allow, &at, end) != 0)
        return -1;
    /* RFC 9110, 15.5.2. */
    if (request->status == 401 &&
        session_add_header(wsi, "www-authenticate:", "Bearer", &at, end) != 0)
        return -1;
    if (request->close && session_add_header(wsi, "connection:", "close", &at, end) != 0)
        return -1;
    if (lws_finalize_http_header(wsi, &at, end) != 0)
        return -1;
    if (lws_write(wsi, start, (size_t) (at - start), LWS_WRITE_HTTP_HEADERS) < 0)
        return -1;
    request->headers_sent = true;
    if (request->head)
        request->out_sent = request->out_len;
    return 0;
}

/* libwebsockets keeps of a chunk what the socket does not take. */
static int session_write_content(struct server_request *request)
{
    size_t chunk = request->out_len - request->out_sent;
    bool last = chunk <= WRITE_CHUNK;

    if (!last)
        chunk = WRITE_CHUNK;
    if (lws_write(request->wsi, request->out + LWS_PRE + request->out_sent, chunk,
                  last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
        return -1;
    request->out_sent += chunk;
    return 0;
}

/* The answer is out: ready for the next request, or on the way to the end of the connection. */
static int session_complete(struct session *session, struct lws *wsi)
{
    struct server_request *request = session->request;

    if (request->close && request->reading) {
        request->phase = REQUEST_LINGER;
        loop_timer_start(request->deadline, LINGER_MS);
        return 0;
    }
    if (request->close)
        return -1;
    session_end(session);
    server_connection_served(lws_get_opaque_user_data(wsi));
    return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int session_write(struct session *session, struct lws *wsi)
{
    struct server_request *request = session->request;

    if (!request || request->phase != REQUEST_ANSWER)
        return 0;
    if (!request->headers_sent && session_write_headers(request) < 0)
        return -1;
    while (request->out_sent < request->out_len && !lws_send_pipe_choked(wsi))
        if (session_write_content(request) < 0)
            return -1;
    if (request->out_sent == request->out_len)
        return session_complete(session, wsi);
    loop_timer_start(request->resume, 0);
    return 0;
}

/*
 * libwebsockets would follow any upgrade that is not refused with the connection. An upgrade is
 * an offer that a server may ignore (RFC 9110, 7.8), so take it off the table.
 */
static void session_ignore_upgrade(char *protocol)
{
    if (protocol)
        protocol[0] = '\0';
}

int session_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t len)
{
    struct server *server = lws_context_user(lws_get_context(wsi));
    struct session *session = user;

    switch ((int) reason) {
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
        /* The one call by which libwebsockets shows the context that it serves with. */
        server->tls_context = user;
        return 0;
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        server_connection_come(server, wsi);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        server_connection_gone(lws_get_opaque_user_data(wsi));
        return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        session_ignore_upgrade(in);
        return 0;
    case LWS_CALLBACK_HTTP:
        /* From here on the request has its own deadline. */
        lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
        return session_begin(server, session, wsi, in, len);
    case LWS_CALLBACK_HTTP_BODY:
        session_body(server, session->request, in, len);
        return 0;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return session_body_end(server, session->request);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return session_write(session, wsi);
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
        if (session)
            session_end(session);
        return 0;
    default:
        return 0;
    }
}
