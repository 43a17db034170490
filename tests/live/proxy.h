// SPDX-License-Identifier: Apache-2.0
#pragma once

/*
 * A tiny HTTP proxy on the test's own loop: it knows CONNECT alone, counts, and can refuse or cut.
 */
#include "lib/base/buf.h"
#include "tests/live/live.h"

struct proxy {
    uv_tcp_t listener;
    int port;
    unsigned tunnels, refused; /* ever */
    unsigned open;             /* handles */
    bool refuse;
    char *authorization; /* of the last CONNECT, or NULL */
    char *target;        /* of the last CONNECT */
    LIST_HEAD(, tunnel) all;
};

/* Two ends; bytes of one go to the other once the tunnel stands. */
struct tunnel {
    LIST_ENTRY(tunnel) link;
    struct proxy *proxy;
    uv_tcp_t client, server;
    bool has_server, standing, closing;
    unsigned open;
    struct buf head;
    char piece[65536];
};

static inline void tunnel_on_closed(uv_handle_t *handle)
{
    struct tunnel *tunnel = handle->data;

    tunnel->proxy->open--;
    if (--tunnel->open == 0) {
        buf_done(&tunnel->head);
        free(tunnel);
    }
}

static inline void tunnel_close(struct tunnel *tunnel)
{
    if (tunnel->closing)
        return;
    tunnel->closing = true;
    LIST_REMOVE(tunnel, link);
    uv_close((uv_handle_t *) &tunnel->client, tunnel_on_closed);
    if (tunnel->has_server)
        uv_close((uv_handle_t *) &tunnel->server, tunnel_on_closed);
}

static inline void tunnel_on_written(uv_write_t *write, int status)
{
    (void) status;
    free(write->data);
    free(write);
}

static inline void tunnel_send(uv_tcp_t *to, const char *data, size_t len)
{
    uv_write_t *write = xcalloc(1, sizeof(*write));
    uv_buf_t piece;

    write->data = xmemdup(data, len);
    piece = uv_buf_init(write->data, (unsigned) len);
    if (uv_write(write, (uv_stream_t *) to, &piece, 1, tunnel_on_written) < 0)
        tunnel_on_written(write, 0);
}

static inline void tunnel_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct tunnel *tunnel = handle->data;

    (void) suggested;
    *ret = uv_buf_init(tunnel->piece, sizeof(tunnel->piece));
}

static inline void tunnel_on_server_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *piece)
{
    struct tunnel *tunnel = stream->data;

    if (len < 0)
        tunnel_close(tunnel);
    else
        tunnel_send(&tunnel->client, piece->base, (size_t) len);
}

static inline void tunnel_on_connected(uv_connect_t *connect, int status)
{
    struct tunnel *tunnel = connect->data;
    static const char answer[] = "HTTP/1.1 200 Connection established\r\n\r\n";

    free(connect);
    if (tunnel->closing)
        return;
    if (status < 0) {
        tunnel_close(tunnel);
        return;
    }
    tunnel->standing = true;
    tunnel->proxy->tunnels++;
    tunnel_send(&tunnel->client, answer, strlen(answer));
    uv_read_start((uv_stream_t *) &tunnel->server, tunnel_on_alloc, tunnel_on_server_read);
}

static inline char *proxy_header(const char *head, const char *name)
{
    const char *line = strcasestr(head, name);

    return line ? xstrndup(line + strlen(name), strcspn(line + strlen(name), "\r")) : NULL;
}

/* "CONNECT 127.0.0.1:6443 HTTP/1.1": a name other than an address is 127.0.0.1, too. */
static inline void tunnel_connect(struct tunnel *tunnel)
{
    struct proxy *proxy = tunnel->proxy;
    const char *head = buf_string(&tunnel->head), *target = head + strlen("CONNECT ");
    uv_connect_t *connect;
    struct sockaddr_in address;

    free(proxy->target);
    free(proxy->authorization);
    proxy->target = xstrndup(target, strcspn(target, " "));
    proxy->authorization = proxy_header(head, "\r\nProxy-Authorization: ");
    if (strncmp(head, "CONNECT ", 8) != 0 || proxy->refuse) {
        static const char answer[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";

        proxy->refused++;
        tunnel_send(&tunnel->client, answer, strlen(answer));
        return;
    }
    uv_ip4_addr("127.0.0.1", (int) strtol(strrchr(proxy->target, ':') + 1, NULL, 10), &address);
    uv_tcp_init(&loop, &tunnel->server);
    tunnel->server.data = tunnel;
    tunnel->has_server = true;
    tunnel->open++;
    proxy->open++;
    connect = xcalloc(1, sizeof(*connect));
    connect->data = tunnel;
    cr_assert_eq(uv_tcp_connect(connect, &tunnel->server, (const struct sockaddr *) &address,
                                tunnel_on_connected),
                 0);
}

static inline void tunnel_on_client_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *piece)
{
    struct tunnel *tunnel = stream->data;

    if (len < 0) {
        tunnel_close(tunnel);
    } else if (tunnel->standing) {
        tunnel_send(&tunnel->server, piece->base, (size_t) len);
    } else {
        cr_assert_eq(buf_add(&tunnel->head, piece->base, (size_t) len), 0);
        if (strstr(buf_string(&tunnel->head), "\r\n\r\n"))
            tunnel_connect(tunnel);
    }
}

static inline void proxy_on_connection(uv_stream_t *listener, int status)
{
    struct proxy *proxy = listener->data;
    struct tunnel *tunnel = xcalloc(1, sizeof(*tunnel));

    cr_assert_eq(status, 0);
    tunnel->proxy = proxy;
    tunnel->open = 1;
    proxy->open++;
    buf_init(&tunnel->head, 65536);
    LIST_INSERT_HEAD(&proxy->all, tunnel, link);
    uv_tcp_init(&loop, &tunnel->client);
    tunnel->client.data = tunnel;
    cr_assert_eq(uv_accept(listener, (uv_stream_t *) &tunnel->client), 0);
    uv_read_start((uv_stream_t *) &tunnel->client, tunnel_on_alloc, tunnel_on_client_read);
}

static inline void proxy_start(struct proxy *proxy)
{
    struct sockaddr_in address;
    struct sockaddr_storage bound;
    int len = sizeof(bound);

    *proxy = (struct proxy){0};
    uv_tcp_init(&loop, &proxy->listener);
    proxy->listener.data = proxy;
    uv_ip4_addr("127.0.0.1", 0, &address);
    cr_assert_eq(uv_tcp_bind(&proxy->listener, (const struct sockaddr *) &address, 0), 0);
    cr_assert_eq(uv_listen((uv_stream_t *) &proxy->listener, 16, proxy_on_connection), 0);
    cr_assert_eq(uv_tcp_getsockname(&proxy->listener, (struct sockaddr *) &bound, &len), 0);
    proxy->port = ntohs(((struct sockaddr_in *) &bound)->sin_port);
}

/* All connections end here and now. */
static inline void proxy_cut(struct proxy *proxy)
{
    struct tunnel *tunnel;

    while ((tunnel = LIST_FIRST(&proxy->all)))
        tunnel_close(tunnel);
}

static inline void proxy_stop(struct proxy *proxy)
{
    proxy_cut(proxy);
    uv_close((uv_handle_t *) &proxy->listener, NULL);
    LIVE_UNTIL(proxy->open == 0, LIVE_WAIT_MS);
    free(TAKE_PTR(proxy->authorization));
    free(TAKE_PTR(proxy->target));
}
