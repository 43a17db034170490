// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/kube/client.h"
#include "lib/kube/exec.h"
#include "lib/kube/transport_internal.h"

#define CONNECT_TIMEOUT_MS 10000
/* All headers of one answer; those of a Kubernetes API server take less than 2 KiB. */
#define HEADER_BYTES_MAX (64 * 1024)

#define set_option(easy, option, value)                             \
    do {                                                            \
        CURLcode set_code_ = curl_easy_setopt(easy, option, value); \
        assert(set_code_ == CURLE_OK);                              \
        (void) set_code_;                                           \
    } while (0)

/* --- libcurl's callbacks --------------------------------------------------------------- */

static int http_status_of(CURL *easy)
{
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return (int) status;
}

static void note_http_version(struct transfer *transfer)
{
    long version = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version);
    transfer->transport->http2 = version == CURL_HTTP_VERSION_2_0;
}

static void headers_complete(struct transfer *transfer)
{
    int status = http_status_of(transfer->easy);
    char *type = NULL;

    if (transfer->opened || (status >= 100 && status < 200))
        return;
    transfer->opened = true;
    note_http_version(transfer);
    curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &type);
    if (transfer->options.opened)
        transfer->options.opened(transfer->options.userdata, status, type ? type : "");
}

static void note_life(struct transfer *transfer)
{
    transfer->heard_at = transfer->transport->heard_at = clock_monotonic_ms();
}

static size_t on_header(char *line, size_t size, size_t count, void *userdata)
{
    struct transfer *transfer = userdata;
    size_t len = size * count;

    if (transfer->state == TRANSFER_DEAD)
        return 0;
    note_life(transfer);
    transfer->header_bytes += len;
    if (transfer->header_bytes > HEADER_BYTES_MAX) {
        error_set_reason(&transfer->failure, -EMSGSIZE, KUBE_REASON_UNREACHABLE,
                         "the server's answer has more than %d bytes of headers", HEADER_BYTES_MAX);
        return 0;
    }
    if (len <= 2 && (line[0] == '\r' || line[0] == '\n'))
        headers_complete(transfer);
    return transfer->state == TRANSFER_DEAD ? 0 : len;
}

static size_t on_body(char *data, size_t size, size_t count, void *userdata)
{
    struct transfer *transfer = userdata;
    size_t len = size * count;

    if (transfer->state == TRANSFER_DEAD)
        return 0;
    note_life(transfer);
    if (transfer->options.data) {
        int r = transfer->options.data(transfer->options.userdata, http_status_of(transfer->easy),
                                       data, len, &transfer->failure);

        if (r < 0 && transfer->state != TRANSFER_DEAD && transfer->failure.code == 0)
            error_set_errno(&transfer->failure, r, "the answer's body");
        if (r < 0)
            return 0;
    }
    return transfer->state == TRANSFER_DEAD ? 0 : len;
}

/*
 * libcurl makes a request again when the connection that it shared with earlier ones breaks before
 * an answer, although a write may have had its effect. It cannot where a body is read piece by
 * piece and there is no way back to its beginning.
 */
static size_t on_body_wanted(char *piece, size_t size, size_t count, void *userdata)
{
    struct transfer *transfer = userdata;
    const struct transfer_options *options = &transfer->options;
    size_t len = options->body_len - transfer->body_sent;

    if (transfer->state == TRANSFER_DEAD)
        return CURL_READFUNC_ABORT;
    if (len > size * count)
        len = size * count;
    if (len > 0)
        memcpy(piece, options->body + transfer->body_sent, len);
    transfer->body_sent += len;
    return len;
}

static int on_socket_created(void *userdata, curl_socket_t fd, curlsocktype purpose)
{
    (void) userdata;
    (void) purpose;
    keepalive_socket_options(fd);
    return CURL_SOCKOPT_OK;
}

/* The request is about to be sent. */
static int on_connected(void *userdata, char *peer, char *self, int peer_port, int self_port)
{
    (void) peer;
    (void) self;
    (void) peer_port;
    (void) self_port;
    transport_connected(userdata);
    return CURL_PREREQFUNC_OK;
}

/* --- setting up ------------------------------------------------------------------------ */

static void add_header(struct transfer *transfer, const char *name, const char *value)
{
    _cleanup_free_ char *line = xasprintf("%s: %s", name, value);
    struct curl_slist *list = curl_slist_append(transfer->headers, line);

    if (!list)
        abort();
    transfer->headers = list;
}

static void set_headers(struct transfer *transfer)
{
    const struct transport *transport = transfer->transport;
    char *authorization = credentials_authorization(transport->config);

    transfer->generation = transport->config->generation;
    add_header(transfer, "Accept", transfer->options.accept);
    if (transfer->options.content_type)
        add_header(transfer, "Content-Type", transfer->options.content_type);
    if (transport->host_header)
        add_header(transfer, "Host", transport->host_header);
    if (authorization) {
        add_header(transfer, "Authorization", authorization);
        explicit_bzero(authorization, strlen(authorization));
        free(authorization);
    }
    /* libcurl would wait a second for the answer to its Expect. */
    add_header(transfer, "Expect", "");
    set_option(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
}

static void set_blob(CURL *easy, CURLoption option, const struct credential *credential)
{
    struct curl_blob blob = {.data = credential->data,
                             .len = credential->len,
                             .flags = CURL_BLOB_COPY};

    if (credential->data)
        set_option(easy, option, &blob);
}

static void set_tls(struct transfer *transfer)
{
    const struct kube_config *config = transfer->transport->config;
    CURL *easy = transfer->easy;

    transfer->tls_generation = config->tls_generation;
    set_option(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    set_option(easy, CURLOPT_SSL_VERIFYPEER, config->insecure ? 0L : 1L);
    set_option(easy, CURLOPT_SSL_VERIFYHOST, config->insecure ? 0L : 2L);
    set_blob(easy, CURLOPT_CAINFO_BLOB, &config->ca);
    /* Or the system's authorities would be trusted besides. */
    if (config->ca.data)
        set_option(easy, CURLOPT_CAPATH, NULL);
    set_blob(easy, CURLOPT_SSLCERT_BLOB, &config->certificate);
    set_blob(easy, CURLOPT_SSLKEY_BLOB, &config->key);
}

/* A proxy that speaks TLS is judged as the server is, and told who we are, as kubectl does. */
static void set_proxy_tls(struct transfer *transfer)
{
    const struct kube_config *config = transfer->transport->config;
    CURL *easy = transfer->easy;

    set_option(easy, CURLOPT_PROXY_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    set_option(easy, CURLOPT_PROXY_SSL_VERIFYPEER, config->insecure ? 0L : 1L);
    set_option(easy, CURLOPT_PROXY_SSL_VERIFYHOST, config->insecure ? 0L : 2L);
    set_blob(easy, CURLOPT_PROXY_CAINFO_BLOB, &config->ca);
    if (config->ca.data)
        set_option(easy, CURLOPT_PROXY_CAPATH, NULL);
    set_blob(easy, CURLOPT_PROXY_SSLCERT_BLOB, &config->certificate);
    set_blob(easy, CURLOPT_PROXY_SSLKEY_BLOB, &config->key);
}

static void set_connection(struct transfer *transfer)
{
    const struct transport *transport = transfer->transport;
    CURL *easy = transfer->easy;

    set_option(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
    /* Rather wait for the one connection to speak HTTP/2 than open another. Without TLS there is no
     * ALPN, and libcurl would wait for the first answer, which a watch may withhold for minutes. */
    set_option(easy, CURLOPT_PIPEWAIT, strncmp(transport->base_url, "https:", 6) == 0 ? 1L : 0L);
    set_option(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set_option(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_created);
    set_option(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) CONNECT_TIMEOUT_MS);
    if (transport->connect_to)
        set_option(easy, CURLOPT_CONNECT_TO, transport->connect_to);
    if (transport->config->proxy_url) {
        set_option(easy, CURLOPT_PROXY, transport->config->proxy_url);
        /* NO_PROXY is about the proxy of the environment. */
        set_option(easy, CURLOPT_NOPROXY, "");
    }
    set_option(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set_option(easy, CURLOPT_NOSIGNAL, 1L);
}

static void set_request(struct transfer *transfer)
{
    const struct transfer_options *options = &transfer->options;
    _cleanup_free_ char *url = xasprintf("%s%s", transfer->transport->base_url, options->target);
    CURL *easy = transfer->easy;

    set_option(easy, CURLOPT_URL, url);
    /* The path is escaped as it should be; libcurl must not squash dots. */
    set_option(easy, CURLOPT_PATH_AS_IS, 1L);
    set_option(easy, CURLOPT_CUSTOMREQUEST, options->method);
    set_option(easy, CURLOPT_USERAGENT, transfer->transport->user_agent);
    set_option(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    set_option(easy, CURLOPT_TIMEOUT_MS, (long) options->timeout_ms);
    if (options->content_type) {
        set_option(easy, CURLOPT_POST, 1L);
        set_option(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) options->body_len);
        set_option(easy, CURLOPT_READFUNCTION, on_body_wanted);
        set_option(easy, CURLOPT_READDATA, transfer);
    }
}

struct transfer *transfer_new(struct transport *transport, const struct transfer_options *options)
{
    struct transfer *transfer = xcalloc(1, sizeof(*transfer));

    assert(options->timeout_ms > 0);
    transfer->transport = transport;
    transfer->options = *options;
    transfer->heard_at = clock_monotonic_ms();
    transfer->deadline = transfer->heard_at + options->timeout_ms;
    transfer->easy = curl_easy_init();
    if (!transfer->easy)
        abort();
    set_option(transfer->easy, CURLOPT_PRIVATE, transfer);
    set_option(transfer->easy, CURLOPT_ERRORBUFFER, transfer->error_text);
    set_option(transfer->easy, CURLOPT_HEADERFUNCTION, on_header);
    set_option(transfer->easy, CURLOPT_HEADERDATA, transfer);
    set_option(transfer->easy, CURLOPT_PREREQFUNCTION, on_connected);
    set_option(transfer->easy, CURLOPT_PREREQDATA, transfer);
    set_option(transfer->easy, CURLOPT_WRITEFUNCTION, on_body);
    set_option(transfer->easy, CURLOPT_WRITEDATA, transfer);
    set_connection(transfer);
    set_tls(transfer);
    set_proxy_tls(transfer);
    set_request(transfer);
    set_headers(transfer);
    return transfer;
}

void transfer_set_credentials(struct transfer *transfer)
{
    uint64_t now = clock_monotonic_ms();

    /* None at all would be no limit. */
    set_option(transfer->easy, CURLOPT_TIMEOUT_MS,
               (long) (transfer->deadline > now ? transfer->deadline - now : 1));
    set_option(transfer->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(TAKE_PTR(transfer->headers));
    set_headers(transfer);
    set_tls(transfer);
    set_proxy_tls(transfer);
}

void transfer_free(struct transfer *transfer)
{
    if (!transfer)
        return;
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    error_done(&transfer->failure);
    free(transfer);
}

/* --- renewal ------------------------------------------------------------------------- */

bool transfer_is_renewable(const struct transfer *transfer)
{
    return transfer->options.renewable && transfer->opened && http_status_of(transfer->easy) == 200;
}

void transfer_forbid_reuse(struct transfer *transfer)
{
    set_option(transfer->easy, CURLOPT_FORBID_REUSE, 1L);
}

/* --- the end ------------------------------------------------------------------------- */

static int errno_of(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return -EHOSTUNREACH;
    case CURLE_COULDNT_CONNECT:
        return -ECONNREFUSED;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
        return -EKEYREJECTED;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
        return -EPROTO;
    default:
        return -ECONNRESET;
    }
}

/* `failure` becomes what the caller gets, whoever found it. */
static void explain(struct transfer *transfer, CURLcode code)
{
    const char *text = transfer->error_text[0] ? transfer->error_text : curl_easy_strerror(code);

    if (transfer->failure.code != 0)
        return;
    if (code == CURLE_SEND_FAIL_REWIND)
        text = "the connection broke before an answer; it may have had its effect";
    if (code == CURLE_OK) {
        /* To libcurl that is an answer. */
        if (!transfer->opened)
            error_set_reason(&transfer->failure, -ECONNRESET, KUBE_REASON_UNREACHABLE,
                             "%s: the answer ended within its headers",
                             kube_config_server(transfer->transport->config));
        return;
    }
    error_set_reason(&transfer->failure, errno_of(code), KUBE_REASON_UNREACHABLE, "%s: %s",
                     kube_config_server(transfer->transport->config), text);
}

/* What the peers refused of each other may have been replaced meanwhile, on either side. */
static void refresh_after(struct transfer *transfer, CURLcode code)
{
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CONNECT_ERROR:
        transport_refresh_credentials(transfer->transport, true);
        break;
    default:
        break;
    }
}

/* Another request may have found out before this one was answered: what counts is what this one
 * carried. */
static bool has_new_credentials(const struct transfer *transfer)
{
    struct transport *transport = transfer->transport;

    if (transport->config->exec) {
        exec_plugin_refuse(transport->config->exec);
        return true;
    }
    transport_refresh_credentials(transport, true);
    return transport->config->generation != transfer->generation;
}

/*
 * libcurl does not look after idle connections and may take one that the server has closed. When
 * not even the sending succeeds on one that was used before, the server has not seen the request:
 * at least the end of a body is still here. (On HTTP/2 that may have been the sending of something
 * else.)
 */
static bool was_stale(const struct transfer *transfer, CURLcode code)
{
    const struct transfer_options *options = &transfer->options;
    bool whole = options->body_len > 0 && transfer->body_sent == options->body_len;
    long made = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &made);
    return code == CURLE_SEND_ERROR && made == 0 && transfer->header_bytes == 0 && !whole &&
           !transfer->transport->http2;
}

void transfer_finish(struct transfer *transfer, CURLcode code)
{
    struct transfer_result result = {0};
    curl_off_t retry_after = 0;
    long sent = 0;

    if (transfer->opened)
        result.http_status = http_status_of(transfer->easy);
    if (code != CURLE_OK)
        transfer->transport->connected = false;
    explain(transfer, code);
    refresh_after(transfer, code);
    curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after);
    curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
    result.has_retry_after = retry_after > 0;
    result.retry_after_ms = (uint64_t) (retry_after > 0 ? retry_after : 0) * 1000;
    result.never_sent = code != CURLE_OK && sent == 0;
    result.stale_connection = was_stale(transfer, code);
    result.new_credentials = result.http_status == 401 && has_new_credentials(transfer);
    result.err = &transfer->failure;
    transfer->options.done(transfer->options.userdata, &result);
    transfer_free(transfer);
}
