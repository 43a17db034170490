// SPDX-License-Identifier: Apache-2.0
#pragma once

/*
 * A TCP proxy on the test's own loop, in front of a real server on 127.0.0.1: forwards, stalls
 * (accepts everything, passes nothing on, closes nothing), or cuts.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/queue.h>
#include <uv.h>

#include "lib/base/alloc.h"

struct tcp_proxy {
    uv_loop_t *loop;
    uv_tcp_t listener;
    int port, server_port;
    bool stalled;
    size_t accepted; /* connections, ever */
    LIST_HEAD(, proxy_pair) pairs;
};

struct proxy_end {
    uv_tcp_t handle;
    struct proxy_pair *pair;
    struct proxy_end *other;
    char piece[65536];
};

struct proxy_pair {
    LIST_ENTRY(proxy_pair) link;
    struct tcp_proxy *proxy;
    struct proxy_end client, server;
    uv_connect_t connect;
    int open;
    bool closing;
};

static inline void proxy_on_closed(uv_handle_t *handle)
{
    struct proxy_end *end = handle->data;

    if (--end->pair->open == 0) {
        LIST_REMOVE(end->pair, link);
        free(end->pair);
    }
}

static inline void proxy_pair_close(struct proxy_pair *pair)
{
    if (pair->closing)
        return;
    pair->closing = true;
    uv_close((uv_handle_t *) &pair->client.handle, proxy_on_closed);
    uv_close((uv_handle_t *) &pair->server.handle, proxy_on_closed);
}

static inline void proxy_on_written(uv_write_t *write, int status)
{
    (void) status;
    free(write->data);
    free(write);
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
    uv_write_t *write;
    uv_buf_t copy;

    if (len < 0) {
        proxy_pair_close(end->pair);
        return;
    }
    if (end->pair->proxy->stalled || len == 0)
        return;
    write = xcalloc(1, sizeof(*write));
    write->data = xmemdup(piece->base, (size_t) len);
    copy = uv_buf_init(write->data, (unsigned) len);
    if (uv_write(write, (uv_stream_t *) &end->other->handle, &copy, 1, proxy_on_written) < 0)
        proxy_on_written(write, 0);
}

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
    pair->open++;
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
    proxy_end_init(pair, &pair->client, &pair->server);
    proxy_end_init(pair, &pair->server, &pair->client);
    pair->connect.data = pair;
    cr_assert_eq(uv_accept(listener, (uv_stream_t *) &pair->client.handle), 0);
    uv_ip4_addr("127.0.0.1", proxy->server_port, &address);
    cr_assert_eq(uv_tcp_connect(&pair->connect, &pair->server.handle,
                                (const struct sockaddr *) &address, proxy_on_connected),
                 0);
}

static inline void proxy_start(struct tcp_proxy *proxy, uv_loop_t *loop, int server_port)
{
    struct sockaddr_storage bound;
    struct sockaddr_in address;
    int len = sizeof(bound);

    *proxy = (struct tcp_proxy){.loop = loop, .server_port = server_port};
    LIST_INIT(&proxy->pairs);
    uv_tcp_init(loop, &proxy->listener);
    proxy->listener.data = proxy;
    uv_ip4_addr("127.0.0.1", 0, &address);
    cr_assert_eq(uv_tcp_bind(&proxy->listener, (const struct sockaddr *) &address, 0), 0);
    cr_assert_eq(uv_listen((uv_stream_t *) &proxy->listener, 16, proxy_on_connection), 0);
    cr_assert_eq(uv_tcp_getsockname(&proxy->listener, (struct sockaddr *) &bound, &len), 0);
    proxy->port = ntohs(((struct sockaddr_in *) &bound)->sin_port);
}

/* What is open ends, as when a middlebox forgets. */
static inline void proxy_cut(struct tcp_proxy *proxy)
{
    struct proxy_pair *pair;

    LIST_FOREACH(pair, &proxy->pairs, link)
    {
        proxy_pair_close(pair);
    }
}

static inline void proxy_stop(struct tcp_proxy *proxy)
{
    proxy_cut(proxy);
    uv_close((uv_handle_t *) &proxy->listener, NULL);
}
