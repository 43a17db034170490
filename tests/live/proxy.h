// SPDX-License-Identifier: Apache-2.0
#pragma once

/*
 * A tiny proxy on the test's own loop: it knows HTTP's CONNECT, also over TLS, and SOCKS 5; it
 * counts, and can refuse or cut.
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>

#include "lib/base/buf.h"
#include "tests/live/live.h"

enum proxy_kind { PROXY_HTTP, PROXY_HTTPS, PROXY_SOCKS };

struct proxy {
    uv_tcp_t listener;
    enum proxy_kind kind;
    SSL_CTX *tls; /* of PROXY_HTTPS */
    int port;
    unsigned tunnels, refused; /* ever */
    unsigned open;             /* handles */
    bool refuse;
    char *authorization; /* of the last CONNECT, or "name:password" of SOCKS; NULL: none */
    char *target;        /* of the last one: "host:port" */
    LIST_HEAD(, tunnel) all;
};

/* Two ends; bytes of one go to the other once the tunnel stands. */
struct tunnel {
    LIST_ENTRY(tunnel) link;
    struct proxy *proxy;
    uv_tcp_t client, server;
    bool has_server, standing, closing;
    bool greeted, authenticated; /* SOCKS */
    SSL *tls;                    /* what comes from the client goes through it; NULL: plain */
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
        SSL_free(tunnel->tls);
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

/* --- TLS to the proxy itself ---------------------------------------------------------------------
 */

/* What it has to say. */
static inline void tunnel_flush(struct tunnel *tunnel)
{
    char piece[16384];
    int len;

    while ((len = BIO_read(SSL_get_wbio(tunnel->tls), piece, sizeof(piece))) > 0)
        tunnel_send(&tunnel->client, piece, (size_t) len);
}

static inline void tunnel_to_client(struct tunnel *tunnel, const char *data, size_t len)
{
    if (!tunnel->tls) {
        tunnel_send(&tunnel->client, data, len);
        return;
    }
    cr_assert_eq(SSL_write(tunnel->tls, data, (int) len), (int) len);
    tunnel_flush(tunnel);
}

static inline void tunnel_from_client(struct tunnel *tunnel, const char *data, size_t len);

static inline void tunnel_decrypt(struct tunnel *tunnel, const char *data, size_t len)
{
    char piece[16384];
    int got;

    cr_assert_eq(BIO_write(SSL_get_rbio(tunnel->tls), data, (int) len), (int) len);
    while (!tunnel->closing && (got = SSL_read(tunnel->tls, piece, sizeof(piece))) > 0)
        tunnel_from_client(tunnel, piece, (size_t) got);
    if (!tunnel->closing)
        tunnel_flush(tunnel);
}

static inline void proxy_speak_tls(struct proxy *proxy, const char *certificate, const char *key)
{
    proxy->kind = PROXY_HTTPS;
    proxy->tls = SSL_CTX_new(TLS_server_method());
    cr_assert_eq(SSL_CTX_use_certificate_chain_file(proxy->tls, certificate), 1, "%s", certificate);
    cr_assert_eq(SSL_CTX_use_PrivateKey_file(proxy->tls, key, SSL_FILETYPE_PEM), 1, "%s", key);
}

static inline void tunnel_accept_tls(struct tunnel *tunnel)
{
    tunnel->tls = SSL_new(tunnel->proxy->tls);
    SSL_set_bio(tunnel->tls, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(tunnel->tls);
}

/* --- tunnels ------------------------------------------------------------------------------------
 */

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
        tunnel_to_client(tunnel, piece->base, (size_t) len);
}

/* What the client is told: the tunnel stands, or it does not. */
static inline void tunnel_answer(struct tunnel *tunnel, bool stands)
{
    static const char fine[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    static const char refusal[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    /* Version, 2: not allowed by the rules, reserved, an IPv4 address, its port. */
    const char socks[] = {5, stands ? 0 : 2, 0, 1, 0, 0, 0, 0, 0, 0};

    if (tunnel->proxy->kind == PROXY_SOCKS)
        tunnel_to_client(tunnel, socks, sizeof(socks));
    else if (stands)
        tunnel_to_client(tunnel, fine, strlen(fine));
    else
        tunnel_to_client(tunnel, refusal, strlen(refusal));
}

static inline void tunnel_on_connected(uv_connect_t *connect, int status)
{
    struct tunnel *tunnel = connect->data;

    free(connect);
    if (tunnel->closing)
        return;
    if (status < 0) {
        tunnel_close(tunnel);
        return;
    }
    tunnel->standing = true;
    tunnel->proxy->tunnels++;
    tunnel_answer(tunnel, true);
    uv_read_start((uv_stream_t *) &tunnel->server, tunnel_on_alloc, tunnel_on_server_read);
}

static inline char *proxy_header(const char *head, const char *name)
{
    const char *line = strcasestr(head, name);

    return line ? xstrndup(line + strlen(name), strcspn(line + strlen(name), "\r")) : NULL;
}

/* To `proxy->target`; a name other than an address is 127.0.0.1, too. */
static inline void tunnel_connect(struct tunnel *tunnel)
{
    struct proxy *proxy = tunnel->proxy;
    uv_connect_t *connect;
    struct sockaddr_in address;

    if (proxy->refuse) {
        proxy->refused++;
        tunnel_answer(tunnel, false);
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

/* "CONNECT 127.0.0.1:6443 HTTP/1.1" */
static inline void tunnel_read_http(struct tunnel *tunnel)
{
    struct proxy *proxy = tunnel->proxy;
    const char *head = buf_string(&tunnel->head), *target = head + strlen("CONNECT ");

    if (!strstr(head, "\r\n\r\n"))
        return;
    cr_assert_eq(strncmp(head, "CONNECT ", 8), 0, "%s", head);
    free(proxy->target);
    free(proxy->authorization);
    proxy->target = xstrndup(target, strcspn(target, " "));
    proxy->authorization = proxy_header(head, "\r\nProxy-Authorization: ");
    tunnel_connect(tunnel);
}

/* --- SOCKS 5, RFC 1928 and 1929 -----------------------------------------------------------------
 */

/* The version and a counted list of methods; name and password are taken if they are offered. */
static inline size_t socks_greet(struct tunnel *tunnel, const unsigned char *data, size_t len)
{
    bool password;

    if (len < 2 || len < 2U + data[1])
        return 0;
    cr_assert_eq(data[0], 5);
    password = memchr(data + 2, 2, data[1]);
    tunnel_to_client(tunnel, password ? "\5\2" : "\5\0", 2);
    tunnel->greeted = true;
    tunnel->authenticated = !password;
    return 2U + data[1];
}

/* 1, a counted name, a counted password. */
static inline size_t socks_authenticate(struct tunnel *tunnel, const unsigned char *data,
                                        size_t len)
{
    const char *name = (const char *) data + 2;

    if (len < 2 || len < 3U + data[1] || len < 3U + data[1] + data[2 + data[1]])
        return 0;
    free(tunnel->proxy->authorization);
    tunnel->proxy->authorization =
        xasprintf("%.*s:%.*s", data[1], name, data[2 + data[1]], name + data[1] + 1);
    tunnel->authenticated = true;
    tunnel_to_client(tunnel, "\1\0", 2);
    return 3U + data[1] + data[2 + data[1]];
}

/* 5, 1: connect, 0, the kind of address, the address, its port. */
static inline size_t socks_connect(struct tunnel *tunnel, const unsigned char *data, size_t len)
{
    bool named = len > 4 && data[3] == 3;
    size_t at = named ? 5 : 4, size = named ? data[4] : 4;
    char address[INET_ADDRSTRLEN];

    if (len < 5 || len < at + size + 2)
        return 0;
    cr_assert(data[0] == 5 && data[1] == 1 && (named || data[3] == 1));
    (void) inet_ntop(AF_INET, data + at, address, sizeof(address));
    free(tunnel->proxy->target);
    tunnel->proxy->target = xasprintf("%.*s:%d", named ? (int) size : (int) strlen(address),
                                      named ? (const char *) data + at : address,
                                      data[at + size] << 8 | data[at + size + 1]);
    tunnel_connect(tunnel);
    return at + size + 2;
}

static inline void tunnel_read_socks(struct tunnel *tunnel)
{
    const unsigned char *data = (const unsigned char *) buf_string(&tunnel->head);
    size_t len = tunnel->head.len, used;

    if (!tunnel->greeted)
        used = socks_greet(tunnel, data, len);
    else if (!tunnel->authenticated)
        used = socks_authenticate(tunnel, data, len);
    else
        used = socks_connect(tunnel, data, len);
    buf_consume(&tunnel->head, used);
}

/* --- what the client says -----------------------------------------------------------------------
 */

static inline void tunnel_from_client(struct tunnel *tunnel, const char *data, size_t len)
{
    if (tunnel->standing) {
        tunnel_send(&tunnel->server, data, len);
        return;
    }
    cr_assert_eq(buf_add(&tunnel->head, data, len), 0);
    if (tunnel->proxy->kind == PROXY_SOCKS)
        tunnel_read_socks(tunnel);
    else
        tunnel_read_http(tunnel);
}

static inline void tunnel_on_client_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *piece)
{
    struct tunnel *tunnel = stream->data;

    if (len < 0)
        tunnel_close(tunnel);
    else if (tunnel->tls)
        tunnel_decrypt(tunnel, piece->base, (size_t) len);
    else
        tunnel_from_client(tunnel, piece->base, (size_t) len);
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
    if (proxy->kind == PROXY_HTTPS)
        tunnel_accept_tls(tunnel);
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
    SSL_CTX_free(TAKE_PTR(proxy->tls));
    free(TAKE_PTR(proxy->authorization));
    free(TAKE_PTR(proxy->target));
}
