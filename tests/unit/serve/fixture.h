// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <criterion/criterion.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include <arpa/inet.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"
#include "lib/serve/serve.h"

/*
 * A server on a loop of the test's main thread and a client of real sockets on another. The client
 * notes what went wrong first; Criterion's assertions belong to the main thread.
 */
struct fixture {
    uv_loop_t loop;
    struct server *server;
    uint16_t port;
    char folder[32], cert[64], key[64]; /* with TLS */
    uv_async_t done;
    void (*client)(struct fixture *fixture);
    char *failure;
    struct server_request *held; /* of the deferring routes */
    struct loop_timer *timer;
    unsigned calls;
    int socket; /* of a client that stays until the end */
};

#define CHECK(condition, ...)                                                    \
    do {                                                                         \
        if (!(condition)) {                                                      \
            fixture_fail(fixture, __LINE__, #condition, xasprintf(__VA_ARGS__)); \
            return;                                                              \
        }                                                                        \
    } while (0)

/* Takes ownership of `detail`. */
static inline void fixture_fail(struct fixture *fixture, int line, const char *condition,
                                char *detail)
{
    if (!fixture->failure)
        fixture->failure = xasprintf("line %d: %s: %s", line, condition, detail);
    free(detail);
}

static void fixture_client_done(uv_async_t *async)
{
    uv_stop(async->loop);
}

static void *fixture_client(void *userdata)
{
    struct fixture *fixture = userdata;

    fixture->client(fixture);
    uv_async_send(&fixture->done);
    return NULL;
}

static inline void fixture_init(struct fixture *fixture)
{
    alloc_init();
    memset(fixture, 0, sizeof(*fixture));
    fixture->socket = -1;
    cr_assert_eq(uv_loop_init(&fixture->loop), 0);
    uv_async_init(&fixture->loop, &fixture->done, fixture_client_done);
}

static inline void fixture_start(struct fixture *fixture, const struct server_options *options,
                                 const struct server_route *routes, size_t count)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(server_new(&fixture->loop, options, routes, count, &fixture->server, &err), 0,
                 "%s", error_message(&err));
    fixture->port = server_port(fixture->server);
    cr_assert_neq(fixture->port, 0);
}

/* Runs the loop until the client's function has returned. */
static inline void fixture_run(struct fixture *fixture, void (*client)(struct fixture *fixture))
{
    pthread_t thread;

    fixture->client = client;
    cr_assert_eq(pthread_create(&thread, NULL, fixture_client, fixture), 0);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    pthread_join(thread, NULL);
    cr_assert_null(fixture->failure, "%s", fixture->failure);
}

/* Everything must go: the loop ends up empty, and ASan finds no leak. */
static inline void fixture_done(struct fixture *fixture)
{
    server_free(fixture->server);
    if (fixture->timer)
        loop_timer_free(fixture->timer);
    uv_close((uv_handle_t *) &fixture->done, NULL);
    loop_drain(&fixture->loop);
    cr_assert_eq(uv_loop_close(&fixture->loop), 0);
    closep(&fixture->socket);
    if (fixture->folder[0]) {
        unlink(fixture->cert);
        unlink(fixture->key);
        rmdir(fixture->folder);
    }
    free(fixture->failure);
}

/* A self-signed certificate for 127.0.0.1. */
static inline void fixture_certificate(struct fixture *fixture)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
    FILE *file;

    (void) snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/serve-test-XXXXXX");
    cr_assert_not_null(mkdtemp(fixture->folder));
    (void) snprintf(fixture->cert, sizeof(fixture->cert), "%s/tls.crt", fixture->folder);
    (void) snprintf(fixture->key, sizeof(fixture->key), "%s/tls.key", fixture->folder);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "test", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_add_ext(cert, san, -1);
    cr_assert_gt(X509_sign(cert, key, EVP_sha256()), 0);
    file = fopen(fixture->cert, "we");
    cr_assert_not_null(file);
    PEM_write_X509(file, cert);
    fclose(file);
    file = fopen(fixture->key, "we");
    cr_assert_not_null(file);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_EXTENSION_free(san);
    X509_free(cert);
    EVP_PKEY_free(key);
}

/* --- clients ---------------------------------------------------------------- */

struct reply {
    CURLcode result;
    long status, version, connects;
    struct buf headers, body;
};

static inline void reply_done(struct reply *reply)
{
    buf_done(&reply->headers);
    buf_done(&reply->body);
}
#define _cleanup_reply_ _cleanup_(reply_done)

static inline size_t reply_add(char *data, size_t size, size_t count, void *userdata)
{
    return buf_add(userdata, data, size * count) < 0 ? 0 : size * count;
}

static inline CURL *client_new(struct fixture *fixture)
{
    CURL *curl = curl_easy_init();

    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    if (fixture->cert[0])
        curl_easy_setopt(curl, CURLOPT_CAINFO, fixture->cert);
    return curl;
}

static inline void client_do(struct fixture *fixture, CURL *curl, const char *path,
                             struct reply *ret)
{
    _cleanup_free_ char *url =
        xasprintf("%s://127.0.0.1:%u%s", fixture->cert[0] ? "https" : "http", fixture->port, path);

    reply_done(ret);
    *ret = (struct reply){.headers = BUF_INIT(1 << 16), .body = BUF_INIT(1 << 25)};
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, reply_add);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &ret->body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, reply_add);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &ret->headers);
    ret->result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
    curl_easy_getinfo(curl, CURLINFO_HTTP_VERSION, &ret->version);
    curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &ret->connects);
}

static inline void client_post(CURL *curl, const char *body, size_t len)
{
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) len);
}

static inline int raw_connect(struct fixture *fixture)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(fixture->port)};
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *) &to, sizeof(to)) < 0)
        abort();
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

static inline bool raw_send(int fd, const char *text, size_t len)
{
    return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t) len;
}

/* Reads until the server closes, or until `marker` has come (NULL: to the end). */
static inline void raw_read(int fd, const char *marker, struct buf *out)
{
    char chunk[4096];

    while (!marker || !strstr(buf_string(out), marker)) {
        ssize_t n = recv(fd, chunk, sizeof(chunk), 0);

        if (n <= 0 || buf_add(out, chunk, (size_t) n) < 0)
            return;
    }
}

/* Whether the server closes the connection within 20 s. */
static inline bool raw_closed(int fd)
{
    char chunk[4096];
    ssize_t n;

    do
        n = recv(fd, chunk, sizeof(chunk), 0);
    while (n > 0);
    return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}
