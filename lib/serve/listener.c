// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"

#define LISTEN_BACKLOG 128
/* How long accepting rests when the process is out of descriptors. */
#define EXHAUSTED_PAUSE_MS 1000
/* Connections taken per wake-up, so that a flood leaves the loop to others. */
#define ACCEPT_BATCH 16

struct listener {
    int fd;
    uint16_t port;
    bool paused;
    struct loop_poll *poll;
    struct loop_timer *retry;
    listener_fn fn;
    void *userdata;
};

static void listener_update(struct listener *listener)
{
    bool rest = listener->paused || loop_timer_active(listener->retry);

    loop_poll_set(listener->poll, rest ? 0 : UV_READABLE);
}

static void listener_retry(void *userdata)
{
    listener_update(userdata);
}

static bool listener_exhausted(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM;
}

static void listener_ready(void *userdata, int status, _unused_ int events)
{
    struct listener *listener = userdata;

    for (int i = 0; status == 0 && i < ACCEPT_BATCH && !listener->paused; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            listener->fn(listener->userdata, fd);
            continue;
        }
        if (listener_exhausted(errno)) {
            log_warn("cannot accept a connection; raise the limit of open files", "err",
                     strerror(errno));
            loop_timer_start(listener->retry, EXHAUSTED_PAUSE_MS);
            listener_update(listener);
        }
        return;
    }
}

/* Opens one socket for one address; the caller says why it failed. */
static int listener_bind(const struct addrinfo *info)
{
    _cleanup_close_ int fd = -1;
    const int on = 1, off = 0;

    fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* A restart must not wait for the old connections' TIME_WAIT. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -errno;
    /* Connections inherit it: the head and the content of an answer are two writes, and the second
     * would wait for the client's delayed acknowledgement, 40 ms. */
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (info->ai_family == AF_INET6)
        (void) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int listener_open(const char *address, uint16_t port, struct error *err)
{
    /* "::" takes IPv4 as well; a kernel without IPv6 is left with the other. */
    const char *const all[] = {"::", "0.0.0.0"};
    const char *const given[] = {address};
    const char *const *candidates = address ? given : all;
    size_t count = address ? ARRAY_SIZE(given) : ARRAY_SIZE(all);
    char service[8];
    int r = -EADDRNOTAVAIL;

    (void) snprintf(service, sizeof(service), "%u", port);
    for (size_t i = 0; i < count; i++) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
        struct addrinfo *info = NULL;

        if (getaddrinfo(candidates[i], service, &hints, &info) != 0)
            return error_set(err, -EINVAL, "cannot listen on \"%s\": not an IP address", address);
        r = listener_bind(info);
        freeaddrinfo(info);
        if (r >= 0 || (r != -EAFNOSUPPORT && r != -EADDRNOTAVAIL))
            break;
    }
    if (r < 0)
        return error_set_errno(err, r, "cannot listen on %s, port %u",
                               address ? address : "all interfaces", port);
    return r;
}

static uint16_t listener_bound_port(int fd)
{
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof(bound);

    if (getsockname(fd, (struct sockaddr *) &bound, &len) < 0)
        return 0;
    if (bound.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *) &bound)->sin6_port);
    return ntohs(((struct sockaddr_in *) &bound)->sin_port);
}

int listener_new(uv_loop_t *loop, const char *address, uint16_t port, listener_fn fn,
                 void *userdata, struct listener **ret, struct error *err)
{
    _cleanup_(listener_freep) struct listener *listener = xcalloc(1, sizeof(*listener));

    listener->fn = fn;
    listener->userdata = userdata;
    listener->fd = listener_open(address, port, err);
    if (listener->fd < 0)
        return listener->fd;
    listener->port = listener_bound_port(listener->fd);
    listener->retry = loop_timer_new(loop, listener_retry, listener);
    listener->poll = loop_poll_new(loop, listener->fd, UV_READABLE, listener_ready, listener);
    if (!listener->poll)
        return error_set_errno(err, -errno, "cannot watch the listening socket");
    *ret = TAKE_PTR(listener);
    return 0;
}

void listener_free(struct listener *listener)
{
    if (!listener)
        return;
    if (listener->poll)
        loop_poll_free(listener->poll);
    if (listener->retry)
        loop_timer_free(listener->retry);
    closep(&listener->fd);
    free(listener);
}

uint16_t listener_port(const struct listener *listener)
{
    return listener->port;
}

void listener_pause(struct listener *listener, bool paused)
{
    if (listener->paused == paused)
        return;
    listener->paused = paused;
    listener_update(listener);
}
