// SPDX-License-Identifier: Apache-2.0
#pragma once

/*
 * A TCP proxy on the test's own loop, in front of a real server on 127.0.0.1, that can be as bad as
 * a network is: hold connections up, go silent, refuse, cut, and spoil what it passes on.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uv.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/kube/credentials.h"
#include "tests/live/live.h"

enum proxy_mode {
    PROXY_FORWARD,
    PROXY_HOLD,    /* what comes waits until the mode changes */
    PROXY_SILENT,  /* what comes is lost, and nothing is closed: a dead peer behind a middlebox */
    PROXY_TRICKLE, /* of what the server says a byte arrives each half second: never a whole frame
                    */
    PROXY_REFUSE,  /* connections are cut as soon as they are made */
};

/* What may happen to a piece of the stream. */
enum proxy_mischief {
    PROXY_CUT,   /* instead of it, the end */
    PROXY_HALF,  /* half of it, then the end: mid-frame */
    PROXY_FLIP,  /* a bit is wrong */
    PROXY_SWAP,  /* its halves change places */
    PROXY_DRIP,  /* no harm, but a few bytes at a time */
    PROXY_RESET, /* instead of what comes from the server, a reset */
    PROXY_MISCHIEFS,
};

#define PROXY_BACKLOG_MAX (64 * 1024 * 1024)

struct tcp_proxy {
    uv_loop_t *loop;
    uv_tcp_t listener;
    uv_timer_t trickle;
    int port, server_port;
    enum proxy_mode mode;
    unsigned seed;     /* of its dice */
    unsigned odds;     /* one piece in so many meets with mischief; 0: none */
    unsigned mischief; /* bits of those that may happen */
    size_t done[PROXY_MISCHIEFS];
    size_t accepted, open; /* connections: ever, and now */
    size_t passed;         /* bytes from the server */
    size_t hold_after;     /* bytes from clients, from when on it holds; 0: never */
    LIST_HEAD(, proxy_pair) pairs;
};

struct proxy_end {
    uv_tcp_t handle;
    struct proxy_pair *pair;
    struct proxy_end *other;
    struct buf backlog; /* came from this end while it was held */
    char piece[65536];
};

struct proxy_pair {
    LIST_ENTRY(proxy_pair) link;
    struct tcp_proxy *proxy;
    struct proxy_end client, server;
    uv_connect_t connect;
    int handles;
    bool closing;
};

static inline size_t proxy_random_below(struct tcp_proxy *proxy, size_t bound)
{
    return (size_t) rand_r(&proxy->seed) % bound;
}

/* --- the end of a connection --------------------------------------------------------------------
 */

static inline void proxy_on_closed(uv_handle_t *handle)
{
    struct proxy_end *end = handle->data;
    struct proxy_pair *pair = end->pair;

    buf_done(&end->backlog);
    if (--pair->handles == 0)
        free(pair);
}

static inline void proxy_pair_close(struct proxy_pair *pair)
{
    if (pair->closing)
        return;
    pair->closing = true;
    LIST_REMOVE(pair, link);
    pair->proxy->open--;
    uv_close((uv_handle_t *) &pair->client.handle, proxy_on_closed);
    uv_close((uv_handle_t *) &pair->server.handle, proxy_on_closed);
}

static inline void proxy_pair_reset(struct proxy_pair *pair)
{
    if (pair->closing)
        return;
    pair->closing = true;
    LIST_REMOVE(pair, link);
    pair->proxy->open--;
    cr_assert_eq(uv_tcp_close_reset(&pair->client.handle, proxy_on_closed), 0);
    uv_close((uv_handle_t *) &pair->server.handle, proxy_on_closed);
}

/* What is open ends, as when a middlebox forgets. */
static inline void proxy_cut(struct tcp_proxy *proxy)
{
    struct proxy_pair *pair, *next;

    for (pair = LIST_FIRST(&proxy->pairs); pair; pair = next) {
        next = LIST_NEXT(pair, link);
        proxy_pair_close(pair);
    }
}

/* --- pieces -------------------------------------------------------------------------------------
 */

static inline void proxy_on_written(uv_write_t *write, int status)
{
    (void) status;
    free(write->data);
    free(write);
}

static inline void proxy_write(struct proxy_end *to, const char *data, size_t len)
{
    uv_write_t *write;
    uv_buf_t copy;

    if (len == 0 || to->pair->closing)
        return;
    write = xcalloc(1, sizeof(*write));
    write->data = xmemdup(data, len);
    copy = uv_buf_init(write->data, (unsigned) len);
    if (uv_write(write, (uv_stream_t *) &to->handle, &copy, 1, proxy_on_written) < 0)
        proxy_on_written(write, 0);
}

static inline void proxy_drip(struct proxy_end *to, const char *data, size_t len)
{
    for (size_t at = 0, step; at < len; at += step) {
        step = 1 + proxy_random_below(to->pair->proxy, len / 20 + 1);
        if (step > len - at)
            step = len - at;
        proxy_write(to, data + at, step);
    }
}

/* Which of those that are allowed; PROXY_MISCHIEFS: none this time. */
static inline enum proxy_mischief proxy_choose(struct tcp_proxy *proxy)
{
    unsigned choice;

    if (proxy->odds == 0 || proxy_random_below(proxy, proxy->odds) != 0)
        return PROXY_MISCHIEFS;
    do
        choice = (unsigned) proxy_random_below(proxy, PROXY_MISCHIEFS);
    while (!(proxy->mischief >> choice & 1));
    return (enum proxy_mischief) choice;
}

static inline void proxy_pass(struct proxy_end *from, char *data, size_t len)
{
    struct tcp_proxy *proxy = from->pair->proxy;
    enum proxy_mischief mischief = proxy_choose(proxy);

    if (mischief == PROXY_RESET && from == &from->pair->client)
        mischief = PROXY_MISCHIEFS;
    if (mischief < PROXY_MISCHIEFS)
        proxy->done[mischief]++;
    if (from == &from->pair->server)
        proxy->passed += len;
    else if (proxy->hold_after &&
             (proxy->hold_after -= len < proxy->hold_after ? len : proxy->hold_after) == 0)
        proxy->mode = PROXY_HOLD;
    switch (mischief) {
    case PROXY_CUT:
        proxy_pair_close(from->pair);
        return;
    case PROXY_HALF:
        /* What is written before the close still goes out, as far as the socket takes it. */
        (void) uv_try_write((uv_stream_t *) &from->other->handle,
                            &(uv_buf_t){.base = data, .len = len / 2}, 1);
        proxy_pair_close(from->pair);
        return;
    case PROXY_RESET:
        proxy_pair_reset(from->pair);
        return;
    case PROXY_FLIP:
        data[proxy_random_below(proxy, len)] ^= (char) (1 << proxy_random_below(proxy, 8));
        break;
    case PROXY_SWAP:
        proxy_write(from->other, data + len / 2, len - len / 2);
        len /= 2;
        break;
    case PROXY_DRIP:
        proxy_drip(from->other, data, len);
        return;
    default:
        break;
    }
    proxy_write(from->other, data, len);
}

static inline void proxy_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct proxy_end *end = handle->data;

    (void) suggested;
    *ret = uv_buf_init(end->piece, sizeof(end->piece));
}

static inline void proxy_on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *piece)
{
    struct proxy_end *end = stream->data;

    if (len < 0) {
        proxy_pair_close(end->pair);
        return;
    }
    switch (end->pair->proxy->mode) {
    case PROXY_HOLD:
        cr_assert_eq(buf_add(&end->backlog, piece->base, (size_t) len), 0);
        break;
    case PROXY_SILENT:
        break;
    case PROXY_TRICKLE:
        if (end == &end->pair->server)
            cr_assert_eq(buf_add(&end->backlog, piece->base, (size_t) len), 0);
        else
            proxy_pass(end, piece->base, (size_t) len);
        break;
    default:
        if (len > 0)
            proxy_pass(end, piece->base, (size_t) len);
        break;
    }
}

static inline void proxy_on_trickle(uv_timer_t *timer)
{
    struct tcp_proxy *proxy = timer->data;
    struct proxy_pair *pair;

    LIST_FOREACH(pair, &proxy->pairs, link)
    {
        if (pair->server.backlog.len == 0)
            continue;
        proxy_write(&pair->client, pair->server.backlog.data, 1);
        buf_consume(&pair->server.backlog, 1);
    }
}

/* What was held goes on; PROXY_REFUSE ends what is open. */
static inline void proxy_set_mode(struct tcp_proxy *proxy, enum proxy_mode mode)
{
    struct proxy_pair *pair;

    proxy->mode = mode;
    if (mode == PROXY_REFUSE)
        proxy_cut(proxy);
    if (mode == PROXY_TRICKLE)
        uv_timer_start(&proxy->trickle, proxy_on_trickle, 0, 500);
    else
        uv_timer_stop(&proxy->trickle);
    if (mode != PROXY_FORWARD)
        return;
    LIST_FOREACH(pair, &proxy->pairs, link)
    {
        proxy_write(&pair->server, pair->client.backlog.data, pair->client.backlog.len);
        buf_reset(&pair->client.backlog);
        proxy_write(&pair->client, pair->server.backlog.data, pair->server.backlog.len);
        buf_reset(&pair->server.backlog);
    }
}

/* --- connections --------------------------------------------------------------------------------
 */

static inline void proxy_on_connected(uv_connect_t *connect, int status)
{
    struct proxy_pair *pair = connect->data;

    if (status < 0) {
        proxy_pair_close(pair);
        return;
    }
    uv_read_start((uv_stream_t *) &pair->client.handle, proxy_on_alloc, proxy_on_read);
    uv_read_start((uv_stream_t *) &pair->server.handle, proxy_on_alloc, proxy_on_read);
}

static inline void proxy_end_init(struct proxy_pair *pair, struct proxy_end *end,
                                  struct proxy_end *other)
{
    uv_tcp_init(pair->proxy->loop, &end->handle);
    end->handle.data = end;
    end->pair = pair;
    end->other = other;
    buf_init(&end->backlog, PROXY_BACKLOG_MAX);
    pair->handles++;
}

static inline void proxy_on_connection(uv_stream_t *listener, int status)
{
    struct tcp_proxy *proxy = listener->data;
    struct proxy_pair *pair = xcalloc(1, sizeof(*pair));
    struct sockaddr_in address;

    cr_assert_eq(status, 0);
    pair->proxy = proxy;
    LIST_INSERT_HEAD(&proxy->pairs, pair, link);
    proxy->accepted++;
    proxy->open++;
    proxy_end_init(pair, &pair->client, &pair->server);
    proxy_end_init(pair, &pair->server, &pair->client);
    pair->connect.data = pair;
    cr_assert_eq(uv_accept(listener, (uv_stream_t *) &pair->client.handle), 0);
    if (proxy->mode == PROXY_REFUSE) {
        proxy_pair_close(pair);
        return;
    }
    uv_ip4_addr("127.0.0.1", proxy->server_port, &address);
    cr_assert_eq(uv_tcp_connect(&pair->connect, &pair->server.handle,
                                (const struct sockaddr *) &address, proxy_on_connected),
                 0);
}

/* --- life ---------------------------------------------------------------------------------------
 */

static inline void proxy_start(struct tcp_proxy *proxy, uv_loop_t *on, int server_port)
{
    struct sockaddr_storage bound;
    struct sockaddr_in address;
    int len = sizeof(bound);

    *proxy = (struct tcp_proxy){.loop = on, .server_port = server_port};
    LIST_INIT(&proxy->pairs);
    uv_tcp_init(on, &proxy->listener);
    uv_timer_init(on, &proxy->trickle);
    proxy->listener.data = proxy->trickle.data = proxy;
    uv_ip4_addr("127.0.0.1", 0, &address);
    cr_assert_eq(uv_tcp_bind(&proxy->listener, (const struct sockaddr *) &address, 0), 0);
    cr_assert_eq(uv_listen((uv_stream_t *) &proxy->listener, 16, proxy_on_connection), 0);
    cr_assert_eq(uv_tcp_getsockname(&proxy->listener, (struct sockaddr *) &bound, &len), 0);
    proxy->port = ntohs(((struct sockaddr_in *) &bound)->sin_port);
}

static inline void proxy_stop(struct tcp_proxy *proxy)
{
    proxy_cut(proxy);
    uv_close((uv_handle_t *) &proxy->trickle, NULL);
    uv_close((uv_handle_t *) &proxy->listener, NULL);
}

/* The configuration of KUBECONFIG, but for the way, which leads through the proxy; starts it unless
 * it runs. */
static inline struct kube_config *proxy_config(struct tcp_proxy *proxy)
{
    const struct kube_config_source source = {0};
    struct kube_config *config;
    const char *port;
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(kube_config_load(&source, &config, &err), 0, "%s", error_message(&err));
    port = strrchr(config->server, ':');
    cr_assert_not_null(port);
    if (!proxy->loop)
        proxy_start(proxy, &loop, (int) strtol(port + 1, NULL, 10));
    free(config->server);
    config->server = xasprintf("https://127.0.0.1:%d", proxy->port);
    return config;
}

static inline struct kube_client *live_client_of(struct kube_config *config)
{
    struct kube_client *ret;
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(kube_client_new(&loop, config, NULL, &ret, &err), 0, "%s", error_message(&err));
    return ret;
}

static inline struct kube_client *proxy_connect(struct tcp_proxy *proxy)
{
    return live_client_of(proxy_config(proxy));
}
