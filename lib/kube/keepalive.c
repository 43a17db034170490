// SPDX-License-Identifier: Apache-2.0
#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/kube/transport_internal.h"

/*
 * A peer that is gone must be noticed within 30 s although nobody writes on an idle watch. The
 * kernel's keepalive finds a host that is gone. What it cannot find is a proxy or a server that
 * holds the connection and does nothing: for that, a connection that was silent gets a request of
 * its own, which over HTTP/2 travels on the same connection as the watches. (libcurl sends HTTP/2's
 * PING for handles of a multi interface only in later versions, and does not look for the answer.)
 * What counts is what has arrived here: libcurl's HTTP/2 can come to wait for one stream for ever
 * while the socket has data for others (seen with 7.88 under load), and to the kernel such a
 * connection looks alive.
 */
#define TCP_IDLE_S 10
#define TCP_INTERVAL_S 5
#define TCP_PROBES 3
#define TCP_UNACKNOWLEDGED_MS 20000
#define SILENCE_MS 20000
#define PROBE_TIMEOUT_MS 8000
/* Readable by all who are authenticated, and answered from memory. */
#define PROBE_TARGET "/version"

static void set_int(curl_socket_t fd, int level, int option, int value)
{
    /* A socket that cannot (a Unix socket in a test) works without. */
    (void) setsockopt(fd, level, option, &value, sizeof(value));
}

void keepalive_socket_options(curl_socket_t fd)
{
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, TCP_IDLE_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, TCP_INTERVAL_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, TCP_PROBES);
    set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, TCP_UNACKNOWLEDGED_MS);
}

/* Milliseconds since the peer last sent data; 0 when the socket does not tell. */
static uint64_t silence_of(curl_socket_t fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return 0;
    return info.tcpi_last_data_recv;
}

/* Of the quietest connection, or of all. */
static uint64_t longest_silence(const struct transport *transport)
{
    const struct socket_watch *watch;
    uint64_t longest = clock_monotonic_ms() - transport->heard_at;

    LIST_FOREACH(watch, &transport->sockets, link)
    {
        uint64_t silence = silence_of(watch->fd);

        if (silence > longest)
            longest = silence;
    }
    return longest;
}

static struct transfer *find_lost(const struct transport *transport)
{
    struct transfer *transfer;

    TAILQ_FOREACH(transfer, &transport->active, link)
    {
        if (transfer->lost)
            return transfer;
    }
    return NULL;
}

/* libcurl may not even look whether the socket was closed. */
static void end_lost(struct transport *transport)
{
    struct transfer *transfer;

    while (!transport->freed && (transfer = find_lost(transport)))
        transport_end(transfer, CURLE_OPERATION_TIMEDOUT);
}

static void give_up(struct transport *transport)
{
    struct transfer *transfer;

    TAILQ_FOREACH(transfer, &transport->active, link)
    {
        transfer->lost = true;
        transfer_forbid_reuse(transfer);
    }
    loop_timer_start(transport->keepalive, 0);
}

static void on_probe_done(void *userdata, const struct transfer_result *result)
{
    struct transport *transport = userdata;
    bool nothing_heard = transport->heard_at == transport->probe_heard_at;
    struct socket_watch *watch;

    transport->probe = NULL;
    if (result->http_status != 0)
        return;
    /* All its streams fail now, and nobody will use it again. */
    LIST_FOREACH(watch, &transport->sockets, link)
    {
        if (nothing_heard || silence_of(watch->fd) >= SILENCE_MS)
            (void) shutdown(watch->fd, SHUT_RDWR);
    }
    if (nothing_heard)
        give_up(transport);
}

static void start_probe(struct transport *transport)
{
    const struct transfer_options options = {
        .method = "GET",
        .target = PROBE_TARGET,
        .accept = "application/json",
        .timeout_ms = PROBE_TIMEOUT_MS,
        .unauthenticated = true, /* any answer will do */
        .done = on_probe_done,
        .userdata = transport,
    };

    transport->probe_heard_at = transport->heard_at;
    transport->probe = transfer_start(transport, &options);
}

/* A transfer that was silent for longer than it allows; its end may start or cancel others, so one
 * at a time. */
static struct transfer *find_silent(const struct transport *transport)
{
    uint64_t now = clock_monotonic_ms();
    struct transfer *transfer;

    TAILQ_FOREACH(transfer, &transport->active, link)
    {
        if (transfer->options.silence_ms &&
            now - transfer->heard_at >= transfer->options.silence_ms)
            return transfer;
    }
    return NULL;
}

static void end_silent(struct transport *transport)
{
    struct transfer *transfer;

    while (!transport->freed && !transport->http2 && (transfer = find_silent(transport)))
        transport_end(transfer, CURLE_OPERATION_TIMEDOUT);
}

static struct transfer *find_outdated(const struct transport *transport)
{
    struct transfer *transfer;

    TAILQ_FOREACH(transfer, &transport->active, link)
    {
        if (transfer->tls_generation != transport->config->tls_generation &&
            transfer_is_renewable(transfer))
            return transfer;
    }
    return NULL;
}

/*
 * A server asks for a client's certificate only when a connection is made, and libcurl makes one
 * for other certificates. The last that leaves the old one closes it.
 */
static void end_outdated(struct transport *transport)
{
    struct transfer *transfer;

    TAILQ_FOREACH(transfer, &transport->active, link)
    {
        if (transfer->tls_generation != transport->config->tls_generation)
            transfer_forbid_reuse(transfer);
    }
    while (!transport->freed && (transfer = find_outdated(transport)))
        transport_end(transfer, CURLE_OK);
}

/* When to look again: where peers are asked, after so much silence; else when the first transfer
 * has been silent for too long. */
static uint64_t next_look(const struct transport *transport)
{
    uint64_t now = clock_monotonic_ms(), next = SILENCE_MS, due;
    const struct transfer *transfer;

    if (transport->http2) {
        due = longest_silence(transport);
        return due < SILENCE_MS ? SILENCE_MS - due : SILENCE_MS;
    }
    TAILQ_FOREACH(transfer, &transport->active, link)
    {
        due = transfer->heard_at + transfer->options.silence_ms;
        if (transfer->options.silence_ms && due < now + next)
            next = due > now ? due - now : 0;
    }
    return next;
}

static void on_keepalive(void *userdata)
{
    struct transport *transport = userdata;

    transport_refresh_credentials(transport, false);
    transport->settling++;
    end_silent(transport);
    end_lost(transport);
    if (!transport->freed)
        end_outdated(transport);
    transport->settling--;
    if (transport->freed) {
        /* The last one out. */
        transport_enter(transport);
        transport_leave(transport);
        return;
    }
    if (TAILQ_EMPTY(&transport->active))
        return;
    if (transport->http2 && !transport->probe && longest_silence(transport) >= SILENCE_MS)
        start_probe(transport);
    loop_timer_start(transport->keepalive, next_look(transport));
}

void keepalive_start(struct transport *transport)
{
    if (!transport->keepalive)
        transport->keepalive = loop_timer_new(transport->loop, on_keepalive, transport);
    if (!loop_timer_active(transport->keepalive))
        loop_timer_start(transport->keepalive, next_look(transport));
}

void keepalive_renew(struct transport *transport)
{
    if (transport->keepalive && loop_timer_active(transport->keepalive))
        loop_timer_start(transport->keepalive, 0);
}
