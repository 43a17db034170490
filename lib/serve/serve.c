// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/serve.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/serve/private.h"
#include "lib/serve/session.h"

#define DEFAULT_BODY_MAX (64 * 1024)
#define DEFAULT_TIMEOUT_S 30
#define DEFAULT_CONNECTIONS_MAX 128
/* Longer than Prometheus' usual scrape interval, shorter than a forgotten connection should be. */
#define KEEPALIVE_IDLE_S 90
#define TIMEOUT_MARGIN_S 5
/* All headers of a request. */
#define HEADERS_MAX 8192
#define READ_BUFFER 16384
/* Descriptors of libwebsockets' own. */
#define CONTEXT_DESCRIPTORS 8
/* Turns of the loop that the closing of libwebsockets' handles takes, with a margin. */
#define REAPER_ROUNDS 6

static void server_log(int level, const char *line)
{
    _cleanup_free_ char *text = xstrdup(line);

    text[strcspn(text, "\n")] = '\0';
    log_debug("libwebsockets", "level", level & LLL_ERR ? "error" : "warning", "text", text);
}

/* Its complaints are about peers that misbehave; they are of no interest until someone debugs. */
static void server_route_log(void)
{
    lws_set_log_level(log_enabled(LOG_DEBUG) ? LLL_ERR | LLL_WARN : 0, server_log);
}

/* Without TLS it would make a client's context all the same, and with several servers lose it. */
static uint64_t server_tls_options(const struct server_options *options)
{
    return options->tls_cert || options->identity ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0;
}

static int server_start_context(struct server *server, const struct server_options *options,
                                struct error *err)
{
    void *loops[] = {server->loop};
    struct lws_context_creation_info info = {
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS | server_tls_options(options),
        .foreign_loops = loops,
        .pcontext = &server->context,
        .user = server,
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .fd_limit_per_thread =
            (server->displace ? 2 : 1) * server->connections_max + CONTEXT_DESCRIPTORS,
        .max_http_header_data2 = HEADERS_MAX,
        .pt_serv_buf_size = READ_BUFFER,
        /* Its own deadlines are the second line, behind those of session.c. */
        .timeout_secs = server->timeout_s + TIMEOUT_MARGIN_S,
        /* Only for the errors that libwebsockets answers by itself; it insists on a name. */
        .server_string = "server",
    };

    server_route_log();
    server->context = lws_create_context(&info);
    if (!server->context)
        return error_set(err, -EIO,
                         "cannot start libwebsockets: is its libuv plugin installed "
                         "(Debian: libwebsockets-evlib-uv)?");
    return 0;
}

static int server_start_vhost(struct server *server, const struct server_options *options,
                              struct error *err)
{
    const struct server_identity *identity = options->identity;
    struct lws_context_creation_info info = {
        .options = LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS | server_tls_options(options),
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .vhost_name = "default",
        .protocols = server->protocols,
        .keepalive_timeout = KEEPALIVE_IDLE_S,
        .timeout_secs_ah_idle = server->timeout_s,
        /* HTTP/1.1 alone: in HTTP/2, libwebsockets 4.3 takes a body whose last frame comes in two
         * reads for longer than announced, and ends the connection. */
        .alpn = "http/1.1",
        .ssl_cert_filepath = options->tls_cert,
        .ssl_private_key_filepath = options->tls_key,
        .server_ssl_cert_mem = identity ? identity->cert : NULL,
        .server_ssl_cert_mem_len = identity ? (unsigned) strlen(identity->cert) : 0,
        .server_ssl_private_key_mem = identity ? identity->key : NULL,
        .server_ssl_private_key_mem_len = identity ? (unsigned) strlen(identity->key) : 0,
        .ssl_options_set = SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1,
    };

    server->protocols[0] = (struct lws_protocols){
        .name = "http",
        .callback = session_callback,
        .per_session_data_size = sizeof(struct session),
    };
    server->vhost = lws_create_vhost(server->context, &info);
    if (!server->vhost)
        return error_set(err, -EIO, "libwebsockets refuses the server's configuration");
    /* It takes of PEM text the first certificate alone. */
    return identity ? server_set_identity(server, identity, err) : 0;
}

int server_set_identity(struct server *server, const struct server_identity *identity,
                        struct error *err)
{
    if (!server->tls_context)
        return error_set(err, -EINVAL, "this server does not speak TLS");
    return tls_use_pem(server->tls_context, identity->cert, identity->key, err);
}

/* With the connection that is the first to need it: nothing has to watch the files. */
static void server_refresh_tls(struct server *server)
{
    _cleanup_error_ struct error err = {0};
    bool changed = false;

    if (!server->tls || !server->tls_context)
        return;
    if (tls_files_refresh(server->tls, server->tls_context, &changed, &err) < 0)
        log_warn("the new certificate is not used, the old one is", "err", error_message(&err));
    else if (changed)
        log_info("serving with a new certificate");
}

/* --- connections -------------------------------------------------------------------- */

/* The first that nobody works for; NULL: all are being served. */
static struct connection *server_find_idle(const struct server *server)
{
    struct connection *connection;

    TAILQ_FOREACH(connection, &server->order, link)
    if (!session_is_working(connection->wsi))
        return connection;
    return NULL;
}

static bool server_is_full(const struct server *server)
{
    return server->connections >= server->connections_max;
}

/* From the loop, with nothing of libwebsockets on the stack. */
static bool server_make_room(struct server *server)
{
    struct connection *idle;

    if (!server_is_full(server))
        return true;
    idle = server_find_idle(server);
    if (!idle)
        return false;
    idle->displaced = true;
    TAILQ_REMOVE(&server->order, idle, link);
    server->connections--;
    server->displaced++;
    /* It is gone when the loop has let go of its handle. */
    lws_set_timeout(idle->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
    return true;
}

static void server_accept(void *userdata, int fd)
{
    struct server *server = userdata;
    lws_adopt_desc_t desc = {
        .vh = server->vhost,
        .fd.sockfd = fd,
        .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | LWS_ADOPT_ALLOW_SSL,
    };

    if (server->displace && !server_make_room(server)) {
        close(fd);
        return;
    }
    server_refresh_tls(server);
    /* Closes the socket when it fails. */
    (void) lws_adopt_descriptor_vhost_via_info(&desc);
}

/* Who would find no room waits: without displacement, and while the displaced are still going. */
static void server_pause(const struct server *server)
{
    bool room =
        server->displace ? server->displaced < server->connections_max : !server_is_full(server);

    if (server->listener)
        listener_pause(server->listener, !room);
}

void server_connection_come(struct server *server, struct lws *wsi)
{
    struct connection *connection = xcalloc(1, sizeof(*connection));

    connection->server = server;
    connection->wsi = wsi;
    TAILQ_INSERT_TAIL(&server->order, connection, link);
    lws_set_opaque_user_data(wsi, connection);
    server->connections++;
    server_pause(server);
}

void server_connection_gone(struct connection *connection)
{
    struct server *server;

    if (!connection)
        return;
    server = connection->server;
    lws_set_opaque_user_data(connection->wsi, NULL);
    if (connection->displaced) {
        server->displaced--;
    } else {
        TAILQ_REMOVE(&server->order, connection, link);
        server->connections--;
    }
    free(connection);
    server_pause(server);
}

void server_connection_served(struct connection *connection)
{
    struct server *server = connection->server;

    if (connection->displaced)
        return;
    TAILQ_REMOVE(&server->order, connection, link);
    TAILQ_INSERT_TAIL(&server->order, connection, link);
}

/* --- life ------------------------------------------------------------------------------- */

static void server_reaped(uv_handle_t *handle)
{
    struct server *server = handle->data;

    route_table_done(&server->routes);
    tls_files_free(server->tls);
    free(server);
}

/*
 * libwebsockets 4.1 on a foreign loop leaves its end to us: lws_context_destroy() begins to close
 * its handles, and must be called again when the loop has let go of all of them, which no call
 * tells. They take a fixed number of turns: connections first, then its timer and idle handle.
 * Later versions finish by themselves. Both then clear `context`.
 */
static void server_reap(uv_idle_t *reaper)
{
    struct server *server = reaper->data;

    if (server->context) {
        if (server->reaper_rounds == 0 || server->reaper_rounds == REAPER_ROUNDS)
            lws_context_destroy(server->context);
        server->reaper_rounds++;
    }
    if (!server->context)
        uv_close((uv_handle_t *) reaper, server_reaped);
}

/* libwebsockets does not tell what is wrong with it. */
static int server_check_identity(const struct server_identity *identity, struct error *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    int r = tls_use_pem(ctx, identity->cert, identity->key, err);

    SSL_CTX_free(ctx);
    return r;
}

int server_new(uv_loop_t *loop, const struct server_options *options,
               const struct server_route *routes, size_t count, struct server **ret,
               struct error *err)
{
    _cleanup_(tls_files_freep) struct tls_files *tls = NULL;
    _cleanup_(server_freep) struct server *server = NULL;
    int r;

    if (options->tls_cert) {
        r = tls_files_new(options->tls_cert, options->tls_key, &tls, err);
        if (r < 0)
            return r;
    }
    if (options->identity) {
        r = server_check_identity(options->identity, err);
        if (r < 0)
            return r;
    }
    server = xcalloc(1, sizeof(*server));
    server->tls = TAKE_PTR(tls);
    server->loop = loop;
    server->body_max = options->body_max ? options->body_max : DEFAULT_BODY_MAX;
    server->bodies_max = options->bodies_max;
    server->displace = options->displace;
    TAILQ_INIT(&server->order);
    server->timeout_s = options->timeout_s ? options->timeout_s : DEFAULT_TIMEOUT_S;
    server->connections_max =
        options->connections_max ? options->connections_max : DEFAULT_CONNECTIONS_MAX;
    route_table_init(&server->routes, routes, count);

    r = server_start_context(server, options, err);
    if (r < 0)
        return r;
    r = server_start_vhost(server, options, err);
    if (r < 0)
        return r;
    r = listener_new(loop, options->address, options->port, server_accept, server,
                     &server->listener, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(server);
    return 0;
}

void server_free(struct server *server)
{
    if (!server)
        return;
    server->closing = true;
    listener_free(server->listener);
    server->listener = NULL;
    /* Not now: this may be a request's handler, with libwebsockets below us on the stack. */
    uv_idle_init(server->loop, &server->reaper);
    server->reaper.data = server;
    uv_idle_start(&server->reaper, server_reap);
}

uint16_t server_port(const struct server *server)
{
    return listener_port(server->listener);
}
