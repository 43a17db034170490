// SPDX-License-Identifier: Apache-2.0
#pragma once

/*
 * An HTTP/1.1 server on the test's own loop, which does byte by byte what the test tells it: the
 * test waits for a request, looks at it, and answers it as it likes. Nothing here knows Kubernetes.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <uv.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "lib/kube/client.h"
#include "lib/kube/config.h"

#define SERVER_REQUEST_MAX (1024 * 1024)
#define WAIT_MS 20000

struct scripted_server {
    uv_loop_t loop;
    uv_tcp_t listener;
    int port;
    LIST_HEAD(, exchange) all;     /* until the end of the test */
    TAILQ_HEAD(, exchange) unseen; /* complete requests that the test has not asked for */
    size_t connections;            /* ever accepted */
    size_t open;
};

/* One connection and the request that is on it. */
struct exchange {
    uv_tcp_t handle;
    LIST_ENTRY(exchange) all_link;
    TAILQ_ENTRY(exchange) link;
    struct scripted_server *server;
    struct buf input;
    char *head;   /* "GET /path HTTP/1.1\r\nHost: …" */
    char *method; /* of the head */
    char *target;
    char *body;
    bool closed; /* by either side */
    char piece[65536];
};

static struct scripted_server server;
static struct kube_client *client;

/* --- the loop ------------------------------------------------------------------------------------
 */

static inline void server_tick(uv_timer_t *tick)
{
    (void) tick;
}

static inline void server_free_tick(uv_handle_t *tick)
{
    free(tick);
}

/* UV_RUN_ONCE runs what is due and then waits for the next timer, however late that is: the tick
 * is. */
static inline uv_timer_t *server_start_tick(void)
{
    uv_timer_t *tick = xcalloc(1, sizeof(*tick));

    uv_timer_init(&server.loop, tick);
    uv_timer_start(tick, server_tick, 2, 2);
    return tick;
}

/* Turns the loop until the condition holds; fails the test when that takes too long. */
#define RUN_UNTIL(condition)                                                       \
    do {                                                                           \
        uint64_t begin_ = uv_hrtime();                                             \
        uv_timer_t *tick_ = server_start_tick();                                   \
        while (!(condition) && uv_hrtime() - begin_ < WAIT_MS * UINT64_C(1000000)) \
            uv_run(&server.loop, UV_RUN_ONCE);                                     \
        uv_close((uv_handle_t *) tick_, server_free_tick);                         \
        cr_assert((condition), "waited in vain for: %s", #condition);              \
    } while (0)

/* --- connections ---------------------------------------------------------------------------------
 */

static inline void exchange_forget_request(struct exchange *exchange)
{
    free(TAKE_PTR(exchange->head));
    free(TAKE_PTR(exchange->method));
    free(TAKE_PTR(exchange->target));
    free(TAKE_PTR(exchange->body));
}

static inline void exchange_free(struct exchange *exchange)
{
    LIST_REMOVE(exchange, all_link);
    exchange_forget_request(exchange);
    buf_done(&exchange->input);
    free(exchange);
}

static inline void exchange_on_closed(uv_handle_t *handle)
{
    struct exchange *exchange = handle->data;

    exchange->server->open--;
}

/* The connection ends here and now, whatever was under way. */
static inline void server_cut(struct exchange *exchange)
{
    if (exchange->closed)
        return;
    exchange->closed = true;
    uv_close((uv_handle_t *) &exchange->handle, exchange_on_closed);
}

/* A reset instead of an orderly end. */
static inline void server_reset(struct exchange *exchange)
{
    if (exchange->closed)
        return;
    exchange->closed = true;
    uv_tcp_close_reset(&exchange->handle, exchange_on_closed);
}

static inline size_t exchange_body_len(const char *head)
{
    const char *line = strcasestr(head, "\r\ncontent-length:");

    return line ? strtoul(line + strlen("\r\ncontent-length:"), NULL, 10) : 0;
}

/* Takes a complete request off the input. */
static inline void exchange_scan(struct exchange *exchange)
{
    const char *text = buf_string(&exchange->input);
    const char *end = strstr(text, "\r\n\r\n");
    size_t head_len, body_len;

    if (!end || exchange->head)
        return;
    head_len = (size_t) (end - text) + 4;
    exchange->head = xstrndup(text, head_len);
    body_len = exchange_body_len(exchange->head);
    if (exchange->input.len < head_len + body_len) {
        free(TAKE_PTR(exchange->head));
        return;
    }
    exchange->body = xstrndup(text + head_len, body_len);
    exchange->method = xstrndup(text, strcspn(text, " "));
    text += strlen(exchange->method) + 1;
    exchange->target = xstrndup(text, strcspn(text, " "));
    buf_consume(&exchange->input, head_len + body_len);
    TAILQ_INSERT_TAIL(&exchange->server->unseen, exchange, link);
}

static inline void exchange_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct exchange *exchange = handle->data;

    (void) suggested;
    *ret = uv_buf_init(exchange->piece, sizeof(exchange->piece));
}

static inline void exchange_on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *piece)
{
    struct exchange *exchange = stream->data;

    if (len < 0) {
        server_cut(exchange);
        return;
    }
    cr_assert_eq(buf_add(&exchange->input, piece->base, (size_t) len), 0);
    exchange_scan(exchange);
}

static inline void server_on_connection(uv_stream_t *listener, int status)
{
    struct scripted_server *self = listener->data;
    struct exchange *exchange = xcalloc(1, sizeof(*exchange));

    cr_assert_eq(status, 0);
    exchange->server = self;
    buf_init(&exchange->input, SERVER_REQUEST_MAX);
    uv_tcp_init(&self->loop, &exchange->handle);
    exchange->handle.data = exchange;
    LIST_INSERT_HEAD(&self->all, exchange, all_link);
    self->connections++;
    self->open++;
    cr_assert_eq(uv_accept(listener, (uv_stream_t *) &exchange->handle), 0);
    uv_read_start((uv_stream_t *) &exchange->handle, exchange_on_alloc, exchange_on_read);
}

/* --- what a test does ---------------------------------------------------------------------------
 */

/* The next request. */
static inline struct exchange *server_wait(void)
{
    struct exchange *exchange;

    RUN_UNTIL(!TAILQ_EMPTY(&server.unseen));
    exchange = TAILQ_FIRST(&server.unseen);
    TAILQ_REMOVE(&server.unseen, exchange, link);
    return exchange;
}

static inline void server_on_written(uv_write_t *write, int status)
{
    (void) status;
    free(write->data);
    free(write);
}

static inline void server_send(struct exchange *exchange, const char *data, size_t len)
{
    uv_write_t *write;
    uv_buf_t piece;

    if (exchange->closed)
        return;
    write = xcalloc(1, sizeof(*write));
    write->data = xmemdup(data, len);
    piece = uv_buf_init(write->data, (unsigned) len);
    cr_assert_eq(uv_write(write, (uv_stream_t *) &exchange->handle, &piece, 1, server_on_written),
                 0);
}

_printf_(2, 3) static inline void server_sendf(struct exchange *exchange, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = xvasprintf(format, args);
    va_end(args);
    server_send(exchange, text, strlen(text));
    free(text);
}

/* The test is done with the request, and the next may come. */
static inline void exchange_next(struct exchange *exchange)
{
    if (exchange->closed)
        return;
    exchange_forget_request(exchange);
    exchange_scan(exchange);
}

/* The whole answer; the connection stays for the next request. */
static inline void server_reply_with(struct exchange *exchange, int status, const char *headers,
                                     const char *body)
{
    server_sendf(exchange,
                 "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%sContent-Length: "
                 "%zu\r\n\r\n%s",
                 status, headers, strlen(body), body);
    exchange_next(exchange);
}

static inline void server_reply(struct exchange *exchange, int status, const char *body)
{
    server_reply_with(exchange, status, "", body);
}

/* An answer in pieces: begin, then any number of chunks, then end or cut. */
static inline void server_begin(struct exchange *exchange)
{
    server_sendf(exchange, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n");
}

static inline void server_chunk(struct exchange *exchange, const char *data, size_t len)
{
    server_sendf(exchange, "%zx\r\n", len);
    server_send(exchange, data, len);
    server_send(exchange, "\r\n", 2);
}

static inline void server_chunk_text(struct exchange *exchange, const char *text)
{
    server_chunk(exchange, text, strlen(text));
}

static inline void server_end(struct exchange *exchange)
{
    server_send(exchange, "0\r\n\r\n", 5);
    exchange_next(exchange);
}

/* --- life ----------------------------------------------------------------------------------------
 */

static inline void server_start(void)
{
    struct sockaddr_in address;
    struct sockaddr_storage bound;
    int len = sizeof(bound);

    alloc_init();
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&server.loop);
    LIST_INIT(&server.all);
    TAILQ_INIT(&server.unseen);
    uv_tcp_init(&server.loop, &server.listener);
    server.listener.data = &server;
    uv_ip4_addr("127.0.0.1", 0, &address);
    cr_assert_eq(uv_tcp_bind(&server.listener, (const struct sockaddr *) &address, 0), 0);
    cr_assert_eq(uv_listen((uv_stream_t *) &server.listener, 64, server_on_connection), 0);
    cr_assert_eq(uv_tcp_getsockname(&server.listener, (struct sockaddr *) &bound, &len), 0);
    server.port = ntohs(((struct sockaddr_in *) &bound)->sin_port);
}

/* A kubeconfig for the server, with `user` (YAML of a user) as its credentials. */
static inline struct kube_config *server_config(const char *user)
{
    char path[] = "kubeconfig-XXXXXX";
    const struct kube_config_source source = {.kubeconfig = path};
    _cleanup_close_ int fd = mkostemp(path, O_CLOEXEC);
    _cleanup_free_ char *text = xasprintf(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:%d'}}]\n"
        "users: [{name: u, user: {%s}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n",
        server.port, user);
    _cleanup_error_ struct error err = {0};
    struct kube_config *config = NULL;
    int r;

    cr_assert_geq(fd, 0);
    cr_assert_eq(fs_write_all(fd, text, strlen(text)), 0);
    r = kube_config_load(&source, &config, &err);
    unlink(path);
    cr_assert_eq(r, 0, "%s", error_message(&err));
    return config;
}

static inline void server_connect(const struct kube_client_options *options)
{
    struct kube_config *config = server_config("token: secret");
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(kube_client_new(&server.loop, config, options, &client, &err), 0, "%s",
                 error_message(&err));
}

/* Nothing may be left open, in the loop or on the server. */
static inline void server_stop(void)
{
    struct exchange *exchange;

    kube_client_free(TAKE_PTR(client));
    LIST_FOREACH(exchange, &server.all, all_link)
    {
        server_cut(exchange);
    }
    RUN_UNTIL(server.open == 0);
    while ((exchange = LIST_FIRST(&server.all)))
        exchange_free(exchange);
    uv_close((uv_handle_t *) &server.listener, NULL);
    loop_drain(&server.loop);
    cr_assert_eq(uv_loop_close(&server.loop), 0);
}

/* --- time: no jitter, so that what waits at random waits a millisecond ---------------------------
 */

static inline uint64_t server_monotonic(void *userdata)
{
    struct timespec now;

    (void) userdata;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static inline int64_t server_realtime(void *userdata)
{
    (void) userdata;
    return 1700000000000;
}

static inline uint64_t server_random(void *userdata)
{
    (void) userdata;
    return 0;
}

static inline void server_no_jitter(void)
{
    static const struct clock_source source = {
        .monotonic_ms = server_monotonic,
        .realtime_ms = server_realtime,
        .random = server_random,
    };

    clock_set_source(&source);
}
