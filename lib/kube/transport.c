// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/transport.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/kube/exec.h"
#include "lib/kube/transport_internal.h"

static void settle(struct transport *transport);
static void destroy(struct transport *transport);

void transport_enter(struct transport *transport)
{
    transport->busy++;
}

void transport_leave(struct transport *transport)
{
    assert(transport->busy > 0);
    if (--transport->busy == 0)
        settle(transport);
}

/* --- libcurl on the loop ----------------------------------------------------------------- */

static void act(struct transport *transport, curl_socket_t fd, int mask)
{
    int running;

    transport_enter(transport);
    curl_multi_socket_action(transport->multi, fd, mask, &running);
    transport_leave(transport);
}

static void on_timer(void *userdata)
{
    act(userdata, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *userdata)
{
    struct transport *transport = userdata;

    (void) multi;
    if (timeout_ms < 0)
        loop_timer_stop(transport->timer);
    else
        loop_timer_start(transport->timer, (uint64_t) timeout_ms);
    return 0;
}

static void on_socket_ready(void *userdata, int status, int events)
{
    struct socket_watch *watch = userdata;
    int mask = 0;

    if (status < 0)
        mask = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        mask |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        mask |= CURL_CSELECT_OUT;
    act(watch->transport, watch->fd, mask);
}

static void socket_watch_free(struct socket_watch *watch)
{
    if (!watch)
        return;
    LIST_REMOVE(watch, link);
    loop_poll_free(watch->poll);
    free(watch);
}

/* -1 tells libcurl to give up. */
static int socket_watch_set(struct transport *transport, struct socket_watch *watch,
                            curl_socket_t fd, int events)
{
    if (watch) {
        loop_poll_set(watch->poll, events);
        return 0;
    }
    watch = xcalloc(1, sizeof(*watch));
    watch->transport = transport;
    watch->fd = fd;
    watch->poll = loop_poll_new(transport->loop, fd, events, on_socket_ready, watch);
    if (!watch->poll) {
        free(watch);
        return -1;
    }
    LIST_INSERT_HEAD(&transport->sockets, watch, link);
    curl_multi_assign(transport->multi, fd, watch);
    return 0;
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *userdata, void *assigned)
{
    struct transport *transport = userdata;
    struct socket_watch *watch = assigned;
    int events = 0;

    (void) easy;
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(transport->multi, fd, NULL);
        socket_watch_free(watch);
        return 0;
    }
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    return socket_watch_set(transport, watch, fd, events);
}

/* --- what waits until libcurl has returned -------------------------------------------------- */

static bool may_activate(const struct transport *transport)
{
    return transport->connected || !transport->pioneer;
}

static void on_kick(void *userdata)
{
    transport_enter(userdata);
    transport_leave(userdata);
}

/* It goes ahead no longer. */
static void retire_pioneer(struct transfer *transfer)
{
    struct transport *transport = transfer->transport;

    if (transport->pioneer != transfer)
        return;
    transport->pioneer = NULL;
    if (!transport->freed && !TAILQ_EMPTY(&transport->pending))
        loop_timer_start(transport->kick, 0);
}

void transport_connected(struct transfer *transfer)
{
    transfer->transport->connected = true;
    retire_pioneer(transfer);
}

static void detach(struct transfer *transfer)
{
    struct transport *transport = transfer->transport;

    retire_pioneer(transfer);
    curl_multi_remove_handle(transport->multi, transfer->easy);
    TAILQ_REMOVE(&transport->active, transfer, link);
}

static void bury(struct transport *transport)
{
    struct transfer *transfer;

    while ((transfer = TAILQ_FIRST(&transport->dead))) {
        TAILQ_REMOVE(&transport->dead, transfer, link);
        curl_multi_remove_handle(transport->multi, transfer->easy);
        transfer_free(transfer);
    }
}

static void activate(struct transfer *transfer)
{
    struct transport *transport = transfer->transport;

    if (!transport->connected)
        transport->pioneer = transfer;
    if (TAILQ_EMPTY(&transport->active))
        transport->heard_at = clock_monotonic_ms(); /* nobody was listening before */
    transfer->state = TRANSFER_ACTIVE;
    TAILQ_INSERT_TAIL(&transport->active, transfer, link);
    if (curl_multi_add_handle(transport->multi, transfer->easy) != CURLM_OK)
        abort();
    keepalive_start(transport);
}

void transport_activate_pending(struct transport *transport, bool authenticated)
{
    struct transfer *transfer, *next;

    for (transfer = TAILQ_FIRST(&transport->pending); transfer; transfer = next) {
        next = TAILQ_NEXT(transfer, link);
        if (!may_activate(transport))
            break;
        if (!authenticated && !transfer->options.unauthenticated)
            continue;
        TAILQ_REMOVE(&transport->pending, transfer, link);
        transfer_set_credentials(transfer);
        activate(transfer);
    }
    if (!TAILQ_EMPTY(&transport->pending))
        authenticate_wait(transport);
}

static struct transfer *next_finished(struct transport *transport, CURLcode *ret_code)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(transport->multi, &left))) {
        void *transfer = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        *ret_code = message->data.result;
        return transfer;
    }
    return NULL;
}

static void settle(struct transport *transport)
{
    struct transfer *transfer;
    CURLcode code;

    transport->settling++;
    do {
        bury(transport);
        if (!transport->freed && !TAILQ_EMPTY(&transport->pending))
            transport_activate_pending(transport, authenticate(transport));
        transfer = transport->freed ? NULL : next_finished(transport, &code);
        if (transfer) {
            detach(transfer);
            transfer_finish(transfer, code);
        }
    } while (transfer);
    if (--transport->settling == 0 && transport->freed)
        destroy(transport);
}

void transport_end(struct transfer *transfer, CURLcode code)
{
    struct transport *transport = transfer->transport;

    assert(transport->busy == 0 && transfer->state == TRANSFER_ACTIVE);
    transport->settling++;
    detach(transfer);
    transfer_finish(transfer, code);
    if (--transport->settling == 0 && transport->freed)
        destroy(transport);
}

/* --- transfers --------------------------------------------------------------------------- */

struct transfer *transfer_start(struct transport *transport, const struct transfer_options *options)
{
    struct transfer *transfer;

    assert(!transport->freed);
    transport_refresh_credentials(transport, false);
    transfer = transfer_new(transport, options);
    if (transport->busy > 0 || (!options->unauthenticated && !authenticate(transport)) ||
        !may_activate(transport)) {
        TAILQ_INSERT_TAIL(&transport->pending, transfer, link);
        authenticate_wait(transport);
    } else {
        activate(transfer);
    }
    return transfer;
}

void transfer_cancel(struct transfer *transfer)
{
    struct transport *transport;

    if (!transfer)
        return;
    transport = transfer->transport;
    assert(transfer->state != TRANSFER_DEAD);
    if (transfer->state == TRANSFER_PENDING) {
        TAILQ_REMOVE(&transport->pending, transfer, link);
        transfer_free(transfer);
    } else if (transport->busy > 0) {
        retire_pioneer(transfer);
        TAILQ_REMOVE(&transport->active, transfer, link);
        TAILQ_INSERT_TAIL(&transport->dead, transfer, link);
        transfer->state = TRANSFER_DEAD;
    } else {
        detach(transfer);
        transfer_free(transfer);
    }
}

/* --- life ---------------------------------------------------------------------------------- */

void transport_refresh_credentials(struct transport *transport, bool force)
{
    unsigned before = transport->config->tls_generation;
    int r = credentials_refresh(transport->config, force, NULL);

    /* What was read before goes on being used: the server's answer tells more than this failure. */
    (void) r;
    if (transport->config->tls_generation == before)
        return;
    /* The next one needs another connection than the one that stands. */
    transport->connected = false;
    keepalive_renew(transport);
}

/* With another name in the certificate than in the URL, libcurl gets the name as URL and is told
 * where to connect. */
static int set_server_name(struct transport *transport, CURLU *url, struct error *err)
{
    const struct kube_config *config = transport->config;
    char *host = NULL, *port = NULL, *base = NULL;
    _cleanup_free_ char *connect_to = NULL;
    int r = 0;

    if (curl_url_get(url, CURLUPART_HOST, &host, 0) ||
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ||
        curl_url_set(url, CURLUPART_HOST, config->tls_server_name, 0) ||
        curl_url_get(url, CURLUPART_URL, &base, 0)) {
        r = error_set(err, -EINVAL, "\"%s\" cannot be the tls-server-name of %s",
                      config->tls_server_name, config->server);
    } else {
        connect_to = xasprintf("::%s:%s", host, port);
        transport->connect_to = curl_slist_append(NULL, connect_to);
        transport->host_header = xasprintf("%s:%s", host, port);
        transport->base_url = xstrdup(base);
    }
    curl_free(host);
    curl_free(port);
    curl_free(base);
    return r;
}

static int set_base_url(struct transport *transport, struct error *err)
{
    const struct kube_config *config = transport->config;
    CURLU *url = curl_url();
    size_t len;
    int r = 0;

    if (curl_url_set(url, CURLUPART_URL, config->server, 0))
        r = error_set(err, -EINVAL, "server \"%s\" is not a URL such as https://10.0.0.1:6443",
                      config->server);
    else if (config->tls_server_name)
        r = set_server_name(transport, url, err);
    else
        transport->base_url = xstrdup(config->server);
    curl_url_cleanup(url);
    if (r < 0)
        return r;
    len = strlen(transport->base_url);
    while (len > 0 && transport->base_url[len - 1] == '/')
        transport->base_url[--len] = '\0';
    return 0;
}

static void set_up_multi(struct transport *transport)
{
    transport->multi = curl_multi_init();
    if (!transport->multi)
        abort();
    curl_multi_setopt(transport->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_MULTIPLEX);
    curl_multi_setopt(transport->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(transport->multi, CURLMOPT_SOCKETDATA, transport);
    curl_multi_setopt(transport->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(transport->multi, CURLMOPT_TIMERDATA, transport);
}

/* OpenSSL writes to sockets that the peer has closed. A program's own choice is left alone. */
static void ignore_sigpipe(void)
{
    struct sigaction action;

    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

/*
 * Debian's libcurl brings GnuTLS along, for protocols that are never spoken here. As it is loaded
 * it asks by this name (GNUTLS_SKIP_GLOBAL_INIT of gnutls/gnutls.h) whether to leave out what it
 * sets up: 1 MB.
 */
int _gnutls_global_init_skip(void);
int _gnutls_global_init_skip(void)
{
    return 1;
}

int transport_new(uv_loop_t *loop, struct kube_config *config, const char *user_agent,
                  struct transport **ret, struct error *err)
{
    struct transport *transport = xcalloc(1, sizeof(*transport));
    int r;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
    ignore_sigpipe();
    transport->loop = loop;
    transport->config = config;
    TAILQ_INIT(&transport->pending);
    TAILQ_INIT(&transport->active);
    TAILQ_INIT(&transport->dead);
    LIST_INIT(&transport->sockets);
    transport->user_agent = xstrdup(user_agent);
    transport->timer = loop_timer_new(loop, on_timer, transport);
    transport->kick = loop_timer_new(loop, on_kick, transport);
    set_up_multi(transport);
    r = set_base_url(transport, err);
    if (r < 0) {
        transport->config = NULL;
        transport_free(transport);
        return r;
    }
    *ret = transport;
    return 0;
}

static void destroy(struct transport *transport)
{
    struct socket_watch *watch;

    /* Closing its connections, libcurl must find nobody to call. */
    curl_multi_setopt(transport->multi, CURLMOPT_SOCKETFUNCTION, NULL);
    curl_multi_setopt(transport->multi, CURLMOPT_TIMERFUNCTION, NULL);
    while ((watch = LIST_FIRST(&transport->sockets)))
        socket_watch_free(watch);
    curl_multi_cleanup(transport->multi);
    loop_timer_free(transport->timer);
    loop_timer_free(transport->kick);
    loop_timer_free(transport->patience);
    loop_timer_free(transport->keepalive);
    kube_config_free(transport->config);
    curl_slist_free_all(transport->connect_to);
    free(transport->user_agent);
    free(transport->base_url);
    free(transport->host_header);
    free(transport);
    curl_global_cleanup();
}

const struct kube_config *transport_config(const struct transport *transport)
{
    return transport->config;
}

void transport_free(struct transport *transport)
{
    struct transfer *transfer;

    if (!transport)
        return;
    assert(!transport->freed);
    transport->freed = true;
    loop_timer_stop(transport->timer);
    loop_timer_stop(transport->kick);
    exec_plugin_free(TAKE_PTR(transport->config->exec));
    while ((transfer = TAILQ_FIRST(&transport->pending)))
        transfer_cancel(transfer);
    while ((transfer = TAILQ_FIRST(&transport->active)))
        transfer_cancel(transfer);
    if (transport->busy == 0 && transport->settling == 0)
        destroy(transport);
}
