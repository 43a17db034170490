// SPDX-License-Identifier: Apache-2.0

/* What webhooks need of the server: a certificate out of memory, and bounds on bodies. */
#include "lib/serve/certificate.h"
#include "tests/unit/serve/fixture.h"

static struct certificate first, second;

static void make(struct certificate *ret)
{
    _cleanup_strv_ struct strv hosts = {0};
    int64_t now = (int64_t) time(NULL) * 1000;

    strv_add(&hosts, "127.0.0.1");
    cr_assert_eq(certificate_make(&hosts, now - 60000, now + 3600000, ret, NULL), 0);
}

/* Answers with the media type of the request. */
static void handle(void *userdata, struct server_request *request, _unused_ const char *body,
                   _unused_ size_t len)
{
    struct fixture *fixture = userdata;
    _cleanup_free_ char *type = xstrdup(server_request_media_type(request));

    fixture->calls++;
    server_respond(request, 200, "text/plain", type, strlen(type));
}

static void rotate(void *userdata, struct server_request *request, _unused_ const char *body,
                   _unused_ size_t len)
{
    struct fixture *fixture = userdata;
    const struct server_identity identity = {second.cert, second.key};

    server_respond_text(request,
                        server_set_identity(fixture->server, &identity, NULL) == 0 ? 200 : 500, "");
}

static void rotate_badly(void *userdata, struct server_request *request, _unused_ const char *body,
                         _unused_ size_t len)
{
    struct fixture *fixture = userdata;
    const struct server_identity identity = {second.cert, first.key};
    _cleanup_error_ struct error err = {0};

    int r = server_set_identity(fixture->server, &identity, &err);

    server_respond_text(request, r == -EINVAL ? 200 : 500, error_message(&err));
}

static void check(void (*client)(struct fixture *fixture), struct server_options options,
                  bool with_tls)
{
    struct fixture fixture;
    const struct server_route routes[] = {
        {"POST", "/hello", handle, &fixture},
        {"GET", "/rotate", rotate, &fixture},
        {"GET", "/rotate-badly", rotate_badly, &fixture},
    };
    struct server_identity identity;

    fixture_init(&fixture);
    make(&first);
    make(&second);
    identity = (struct server_identity){first.cert, first.key};
    options.address = "127.0.0.1";
    if (with_tls)
        options.identity = &identity;
    fixture_start(&fixture, &options, routes, ARRAY_SIZE(routes));
    fixture_run(&fixture, client);
    fixture_done(&fixture);
    certificate_done(&first);
    certificate_done(&second);
}

static void curl_freep(CURL **curl)
{
    curl_easy_cleanup(*curl);
}

static CURL *trusting(struct fixture *fixture, const struct certificate *certificate)
{
    CURL *curl = client_new(fixture);
    struct curl_blob blob = {certificate->authority, strlen(certificate->authority),
                             CURL_BLOB_COPY};

    curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
    return curl;
}

static void ask(struct fixture *fixture, CURL *curl, const char *path, struct reply *reply)
{
    /* What client_do() makes of it is plain HTTP unless there is a file with a certificate. */
    _cleanup_free_ char *url = xasprintf("https://127.0.0.1:%u%s", fixture->port, path);

    reply_done(reply);
    *reply = (struct reply){.body = BUF_INIT(1 << 16)};
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, reply_add);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply->body);
    reply->result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->status);
    curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &reply->connects);
}

static void rotation_client(struct fixture *fixture)
{
    _cleanup_(curl_freep) CURL *before = trusting(fixture, &first);
    _cleanup_(curl_freep) CURL *stranger = trusting(fixture, &second);
    _cleanup_(curl_freep) CURL *after = trusting(fixture, &second);
    _cleanup_reply_ struct reply reply = {0};

    ask(fixture, stranger, "/rotate", &reply);
    CHECK(reply.result == CURLE_PEER_FAILED_VERIFICATION, "result %d", reply.result);
    ask(fixture, before, "/rotate-badly", &reply);
    CHECK(strstr(buf_string(&reply.body), "private key"), "%s", buf_string(&reply.body));
    ask(fixture, before, "/rotate", &reply);
    CHECK(reply.result == CURLE_OK && reply.status == 200, "result %d", reply.result);
    ask(fixture, after, "/rotate-badly", &reply);
    CHECK(reply.result == CURLE_OK && reply.status == 200, "result %d", reply.result);
    ask(fixture, before, "/rotate-badly", &reply);
    CHECK(reply.result == CURLE_OK && reply.connects == 0, "an open connection goes on");
}

Test(identity, a_certificate_from_memory_is_exchanged_under_open_connections)
{
    check(rotation_client, (struct server_options){0}, true);
}

static void check_refused(const char *cert, const char *key, const char *expected)
{
    const struct server_identity identity = {cert, key};
    const struct server_options options = {.address = "127.0.0.1", .identity = &identity};
    const struct server_route route = {"GET", "/", handle, NULL};
    _cleanup_error_ struct error err = {0};
    struct server *server = NULL;
    uv_loop_t loop;

    uv_loop_init(&loop);
    cr_assert_eq(server_new(&loop, &options, &route, 1, &server, &err), -EINVAL);
    cr_assert(strstr(error_message(&err), expected), "%s", error_message(&err));
    cr_assert_null(server);
    loop_drain(&loop);
    uv_loop_close(&loop);
}

Test(identity, what_is_no_certificate_or_key_is_refused)
{
    alloc_init();
    make(&first);
    make(&second);
    check_refused("", first.key, "cannot use the certificate");
    check_refused(first.cert, "", "cannot use the private key");
    check_refused(first.cert, second.key, "cannot use the private key");
    certificate_done(&first);
    certificate_done(&second);
}

static void type_client(struct fixture *fixture)
{
    static const struct {
        const char *header, *type;
    } cases[] = {
        {"Content-Type: application/json", "application/json"},
        {"Content-Type: Application/JSON; charset=utf-8", "application/json"},
        {"Content-Type: application/json;x=y", "application/json"},
        {"Content-Type:", ""},
        {"Content-Type: text/html", "text/html"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(curl_freep) CURL *curl = client_new(fixture);
        struct curl_slist *headers = curl_slist_append(NULL, cases[i].header);
        _cleanup_reply_ struct reply reply = {0};

        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        client_post(curl, "{}", 2);
        client_do(fixture, curl, "/hello", &reply);
        curl_slist_free_all(headers);
        CHECK(strcmp(buf_string(&reply.body), cases[i].type) == 0, "%s: %s", cases[i].header,
              buf_string(&reply.body));
    }
}

Test(identity, the_media_type_is_without_parameters)
{
    check(type_client, (struct server_options){0}, false);
}

#define HALF 40000

/* Three bodies of which two fit; those that do not get their answer, and room comes back. */
static void bodies_client(struct fixture *fixture)
{
    _cleanup_free_ char *half = xmalloc(HALF);
    _cleanup_free_ char *head = xasprintf("POST /hello HTTP/1.1\r\nHost: x\r\n"
                                          "Content-Length: %d\r\n\r\n",
                                          2 * HALF);
    int sockets[3];

    memset(half, 'x', HALF);
    for (size_t i = 0; i < ARRAY_SIZE(sockets); i++) {
        sockets[i] = raw_connect(fixture);
        CHECK(raw_send(sockets[i], head, strlen(head)), "head");
    }
    CHECK(raw_send(sockets[0], half, HALF) && raw_send(sockets[1], half, HALF) &&
              raw_send(sockets[2], half, HALF),
          "first halves");
    for (size_t i = 0; i < ARRAY_SIZE(sockets); i++)
        (void) raw_send(sockets[i], half, HALF);
    {
        unsigned served = 0, refused = 0;

        for (size_t i = 0; i < ARRAY_SIZE(sockets); i++) {
            _cleanup_buf_ struct buf answer = BUF_INIT(1 << 16);

            raw_read(sockets[i], "\r\n\r\n", &answer);
            served += strstr(buf_string(&answer), " 200 ") != NULL;
            refused += strstr(buf_string(&answer), " 503 ") != NULL;
            close(sockets[i]);
        }
        CHECK(served + refused == 3 && refused >= 1, "%u served, %u refused", served, refused);
    }
    for (int i = 0; i < 4; i++) {
        _cleanup_(curl_freep) CURL *curl = client_new(fixture);
        _cleanup_reply_ struct reply reply = {0};

        client_post(curl, half, HALF);
        client_do(fixture, curl, "/hello", &reply);
        CHECK(reply.status == 200, "status %ld", reply.status);
    }
}

Test(identity, bodies_have_one_bound_for_all)
{
    /* All first halves are there before any body is whole. */
    check(bodies_client, (struct server_options){.body_max = 2 * HALF, .bodies_max = 3 * HALF - 1},
          false);
}

#define WARM_UP 40
#define QUICK_MS 30

/* A client that acknowledges late, as clients do after their first requests. */
static void quick_client(struct fixture *fixture)
{
    _cleanup_(curl_freep) CURL *curl = trusting(fixture, &first);
    uint64_t fastest = UINT64_MAX;

    for (int i = 0; i < 2 * WARM_UP; i++) {
        _cleanup_reply_ struct reply reply = {0};
        uint64_t began = uv_hrtime(), took;

        client_post(curl, "{}", 2);
        ask(fixture, curl, "/hello", &reply);
        took = uv_hrtime() - began;
        CHECK(reply.status == 200, "status %ld", reply.status);
        if (i >= WARM_UP && took < fastest)
            fastest = took;
    }
    CHECK(fastest < QUICK_MS * UINT64_C(1000000), "%llu ns at best", (unsigned long long) fastest);
}

Test(identity, an_answer_does_not_wait_for_the_clients_acknowledgement)
{
    check(quick_client, (struct server_options){0}, true);
}

#define ROOM 8
#define CROWD 100

/* Many that say nothing, or never all of it, and one that asks on one connection all the time. */
static void displaced_client(struct fixture *fixture)
{
    _cleanup_(curl_freep) CURL *steady = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};
    int fds[CROWD];

    client_post(steady, "{}", 2);
    for (int i = 0; i < CROWD; i++) {
        _cleanup_(curl_freep) CURL *fresh = client_new(fixture);

        fds[i] = raw_connect(fixture);
        if (i % 2)
            (void) raw_send(fds[i], "POST /hello HTTP/1.1\r\nHost", 26);
        client_do(fixture, steady, "/hello", &reply);
        CHECK(reply.status == 200 && (i == 0) == (reply.connects > 0), "%d: %ld, %ld", i,
              reply.status, reply.connects);
        client_post(fresh, "{}", 2);
        client_do(fixture, fresh, "/hello", &reply);
        CHECK(reply.status == 200, "%d: %ld", i, reply.status);
    }
    CHECK(raw_closed(fds[0]), "the oldest has made room");
    for (int i = 0; i < CROWD; i++)
        close(fds[i]);
}

Test(identity, who_says_nothing_makes_room)
{
    check(displaced_client, (struct server_options){.connections_max = ROOM, .displace = true},
          false);
}

static void displaced_tls_client(struct fixture *fixture)
{
    int fds[CROWD];

    for (int i = 0; i < CROWD; i++) {
        fds[i] = raw_connect(fixture);
        if (i % 2)
            (void) raw_send(fds[i], "\x16\x03\x01\x02", 4);
    }
    for (int i = 0; i < ROOM; i++) {
        _cleanup_(curl_freep) CURL *curl = trusting(fixture, &first);
        _cleanup_reply_ struct reply reply = {0};

        client_post(curl, "{}", 2);
        ask(fixture, curl, "/hello", &reply);
        CHECK(reply.status == 200, "%d: %ld (%d)", i, reply.status, reply.result);
    }
    for (int i = 0; i < CROWD; i++)
        close(fds[i]);
}

Test(identity, who_never_ends_a_handshake_makes_room)
{
    check(displaced_tls_client, (struct server_options){.connections_max = ROOM, .displace = true},
          true);
}
