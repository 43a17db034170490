// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/serve.h"

#include <libwebsockets.h>

#include "tests/unit/serve/fixture.h"

/* From 4.2 on, libwebsockets ends a connection that sends a request before the answer to the last.
 */
#define PIPELINES (LWS_LIBRARY_VERSION_NUMBER < 4002000)

#define BODY_MAX 100000
#define BIG (5 * 1024 * 1024)

/* --- handlers --------------------------------------------------------------- */

static void hello(void *userdata, struct server_request *request, _unused_ const char *body,
                  _unused_ size_t len)
{
    struct fixture *fixture = userdata;

    fixture->calls++;
    server_respond_text(request, 200, "hello");
}

static void echo(_unused_ void *userdata, struct server_request *request, const char *body,
                 size_t len)
{
    server_respond(request, 200, "application/octet-stream", body, len);
}

static void empty(_unused_ void *userdata, struct server_request *request,
                  _unused_ const char *body, _unused_ size_t len)
{
    server_respond(request, 204, "text/plain", NULL, 0);
}

static void big(_unused_ void *userdata, struct server_request *request, _unused_ const char *body,
                _unused_ size_t len)
{
    _cleanup_free_ char *content = xmalloc(BIG);

    for (size_t i = 0; i < BIG; i++)
        content[i] = (char) ('a' + i % 23);
    server_respond(request, 200, "text/plain", content, BIG);
}

static void answer_held(void *userdata)
{
    struct fixture *fixture = userdata;

    server_respond_text(TAKE_PTR(fixture->held), 200, "at last");
}

static void later(void *userdata, struct server_request *request, _unused_ const char *body,
                  _unused_ size_t len)
{
    struct fixture *fixture = userdata;

    fixture->held = request;
    if (!fixture->timer)
        fixture->timer = loop_timer_new(&fixture->loop, answer_held, fixture);
    loop_timer_start(fixture->timer, 100);
}

static void never(void *userdata, struct server_request *request, _unused_ const char *body,
                  _unused_ size_t len)
{
    struct fixture *fixture = userdata;

    fixture->held = request;
    fixture->calls++;
}

static void suicide(void *userdata, struct server_request *request, _unused_ const char *body,
                    _unused_ size_t len)
{
    struct fixture *fixture = userdata;

    server_free(TAKE_PTR(fixture->server));
    server_respond_text(request, 200, "too late");
}

static void start(struct fixture *fixture, struct server_options options)
{
    const struct server_route routes[] = {
        {"GET", "/hello", hello, fixture},     {"POST", "/hello", hello, fixture},
        {"POST", "/echo", echo, fixture},      {"GET", "/empty", empty, fixture},
        {"GET", "/big", big, fixture},         {"GET", "/later", later, fixture},
        {"POST", "/later", later, fixture},    {"GET", "/never", never, fixture},
        {"GET", "/suicide", suicide, fixture},
    };

    if (fixture->cert[0]) {
        options.tls_cert = fixture->cert;
        options.tls_key = fixture->key;
    }
    options.address = "127.0.0.1";
    options.body_max = BODY_MAX;
    fixture_start(fixture, &options, routes, ARRAY_SIZE(routes));
}

static void check(void (*client)(struct fixture *), struct server_options options)
{
    struct fixture fixture;

    fixture_init(&fixture);
    start(&fixture, options);
    fixture_run(&fixture, client);
    fixture_done(&fixture);
}

static void check_tls(void (*client)(struct fixture *), struct server_options options)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_certificate(&fixture);
    start(&fixture, options);
    fixture_run(&fixture, client);
    fixture_done(&fixture);
}

static void curl_freep(CURL **curl)
{
    curl_easy_cleanup(*curl);
}
#define _cleanup_curl_ _cleanup_(curl_freep)

/* --- routes ------------------------------------------------------------------ */

static void route_client(struct fixture *fixture)
{
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};
    static const char *const unknown[] = {"/", "/hell", "/hello/", "/hellos", "/HELLO"};

    client_do(fixture, curl, "/hello?x=1", &reply);
    CHECK(reply.status == 200, "%ld", reply.status);
    CHECK(strcmp(buf_string(&reply.body), "hello\n") == 0, "%s", buf_string(&reply.body));
    CHECK(!strcasestr(buf_string(&reply.headers), "server:"), "%s", buf_string(&reply.headers));
    CHECK(!strcasestr(buf_string(&reply.headers), "websocket"), "%s", buf_string(&reply.headers));
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        client_do(fixture, curl, unknown[i], &reply);
        CHECK(reply.status == 404, "%s: %ld", unknown[i], reply.status);
    }
    client_do(fixture, curl, "/empty", &reply);
    CHECK(reply.status == 204 && reply.body.len == 0, "%ld", reply.status);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "DELETE");
    client_do(fixture, curl, "/hello", &reply);
    CHECK(reply.status == 405, "%ld", reply.status);
    CHECK(strcasestr(buf_string(&reply.headers), "allow: GET, HEAD, POST"), "%s",
          buf_string(&reply.headers));
}

Test(serve, only_exact_paths_and_methods_are_answered)
{
    check(route_client, (struct server_options){0});
}

static void head_client(struct fixture *fixture)
{
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};

    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    client_do(fixture, curl, "/big", &reply);
    CHECK(reply.result == CURLE_OK && reply.status == 200, "%d %ld", reply.result, reply.status);
    CHECK(strcasestr(buf_string(&reply.headers), "content-length: 5242880"), "%s",
          buf_string(&reply.headers));
    CHECK(reply.body.len == 0, "%zu", reply.body.len);
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    client_do(fixture, curl, "/hello", &reply);
    CHECK(reply.status == 200 && reply.connects == 0, "%ld %ld", reply.status, reply.connects);
}

Test(serve, head_has_the_headers_alone_and_the_connection_goes_on)
{
    check(head_client, (struct server_options){0});
}

Test(serve, head_over_tls)
{
    check_tls(head_client, (struct server_options){0});
}

/* --- bodies ------------------------------------------------------------------ */

static void body_client(struct fixture *fixture)
{
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};
    _cleanup_free_ char *content = xmalloc(BODY_MAX + 1);
    static const size_t sizes[] = {0, 1, 4096, 16384, 65537, BODY_MAX};

    for (size_t i = 0; i <= BODY_MAX; i++)
        content[i] = (char) (i * 7);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        client_post(curl, content, sizes[i]);
        client_do(fixture, curl, "/echo", &reply);
        CHECK(reply.status == 200, "%zu: %ld", sizes[i], reply.status);
        CHECK(reply.body.len == sizes[i] && memcmp(buf_string(&reply.body), content, sizes[i]) == 0,
              "%zu: %zu", sizes[i], reply.body.len);
        CHECK(reply.connects == (i == 0), "%zu: %ld", i, reply.connects);
    }
    client_post(curl, content, BODY_MAX + 1);
    client_do(fixture, curl, "/echo", &reply);
    CHECK(reply.status == 413, "%ld (%d)", reply.status, reply.result);
    /* A refused body on a good connection leaves it usable. */
    client_post(curl, content, 5000);
    client_do(fixture, curl, "/nowhere", &reply);
    CHECK(reply.status == 404, "%ld", reply.status);
    client_post(curl, content, 10);
    client_do(fixture, curl, "/echo", &reply);
    CHECK(reply.status == 200 && reply.connects == 0, "%ld %ld", reply.status, reply.connects);
}

Test(serve, bodies_up_to_the_limit_arrive_whole)
{
    check(body_client, (struct server_options){0});
}

Test(serve, bodies_over_tls)
{
    check_tls(body_client, (struct server_options){0});
}

static void huge_client(struct fixture *fixture)
{
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};
    _cleanup_free_ char *content = xcalloc(1, 64 << 20);
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");

    /* 64 MiB sent without asking: the answer must come, and not after all of it. */
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    client_post(curl, content, 64 << 20);
    client_do(fixture, curl, "/echo", &reply);
    curl_slist_free_all(headers);
    CHECK(reply.status == 413, "%ld (%d)", reply.status, reply.result);
}

Test(serve, a_huge_body_is_refused_with_an_answer)
{
    check(huge_client, (struct server_options){0});
}

static size_t upload_read(char *buffer, size_t size, size_t count, void *userdata)
{
    size_t *left = userdata;
    size_t n = size * count < *left ? size * count : *left;

    memset(buffer, 'x', n);
    *left -= n;
    return n;
}

static void chunked_client(struct fixture *fixture)
{
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};
    struct curl_slist *headers = curl_slist_append(NULL, "Transfer-Encoding: chunked");
    size_t left = 20000;

    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, upload_read);
    curl_easy_setopt(curl, CURLOPT_READDATA, &left);
    client_do(fixture, curl, "/echo", &reply);
    curl_slist_free_all(headers);
    CHECK(reply.status == 411, "%ld (%d)", reply.status, reply.result);
}

Test(serve, a_body_without_a_length_is_refused)
{
    check(chunked_client, (struct server_options){0});
}

/* --- answers ----------------------------------------------------------------- */

static bool big_right(const struct buf *body)
{
    if (body->len != BIG)
        return false;
    for (size_t i = 0; i < BIG; i++)
        if (body->data[i] != (char) ('a' + i % 23))
            return false;
    return true;
}

static void big_client(struct fixture *fixture)
{
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};

    for (int i = 0; i < 3; i++) {
        client_do(fixture, curl, "/big", &reply);
        CHECK(reply.status == 200, "%ld (%d)", reply.status, reply.result);
        CHECK(big_right(&reply.body), "%zu bytes", reply.body.len);
    }
    CHECK(reply.connects == 0, "%ld", reply.connects);
}

Test(serve, large_answers_arrive_whole)
{
    check(big_client, (struct server_options){0});
}

Test(serve, large_answers_over_tls)
{
    check_tls(big_client, (struct server_options){0});
}

static void version_client(struct fixture *fixture)
{
    static const long wanted[] = {CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_2_0};

    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        _cleanup_curl_ CURL *curl = client_new(fixture);
        _cleanup_reply_ struct reply reply = {0};

        curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, wanted[i]);
        for (int j = 0; j < 3; j++) {
            client_do(fixture, curl, "/hello", &reply);
            CHECK(reply.result == CURLE_OK, "%s", curl_easy_strerror(reply.result));
            CHECK(reply.status == 200 && reply.version == CURL_HTTP_VERSION_1_1,
                  "%ld: %ld, version %ld", wanted[i], reply.status, reply.version);
            CHECK(!strcasestr(buf_string(&reply.headers), "server:"), "%s",
                  buf_string(&reply.headers));
        }
        CHECK(reply.connects == 0, "%ld", reply.connects);
    }
}

Test(serve, tls_speaks_http1_also_to_those_who_offer_http2)
{
    check_tls(version_client, (struct server_options){0});
}

static void plain_on_tls_client(struct fixture *fixture)
{
    static const char request[] = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
    _cleanup_close_ int fd = raw_connect(fixture);
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 16);

    CHECK(raw_send(fd, request, strlen(request)), "%s", strerror(errno));
    raw_read(fd, NULL, &out);
    CHECK(!strstr(buf_string(&out), "hello"), "%s", buf_string(&out));
    version_client(fixture);
}

Test(serve, plain_text_on_the_tls_port_gets_nothing)
{
    check_tls(plain_on_tls_client, (struct server_options){0});
}

static void upgrade_client(struct fixture *fixture)
{
    static const char *const offers[] = {
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: "
        "AAMAAABkAAQAoAAA\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
        _cleanup_close_ int fd = raw_connect(fixture);
        _cleanup_buf_ struct buf out = BUF_INIT(1 << 16);
        _cleanup_free_ char *request =
            xasprintf("GET /hello HTTP/1.1\r\nHost: x\r\n%s\r\n", offers[i]);

        CHECK(raw_send(fd, request, strlen(request)), "%s", strerror(errno));
        raw_read(fd, "hello\n", &out);
        CHECK(strncmp(buf_string(&out), "HTTP/1.1 200", 12) == 0, "%s", buf_string(&out));
    }
}

Test(serve, offered_upgrades_are_ignored)
{
    check(upgrade_client, (struct server_options){0});
}

/* --- deferred answers -------------------------------------------------------- */

static void deferred_client(struct fixture *fixture)
{
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};

    client_do(fixture, curl, "/later", &reply);
    CHECK(reply.status == 200 && strcmp(buf_string(&reply.body), "at last\n") == 0, "%ld",
          reply.status);
    client_post(curl, "some body", 9);
    client_do(fixture, curl, "/later", &reply);
    CHECK(reply.status == 200 && reply.connects == 0, "%ld %ld", reply.status, reply.connects);
}

Test(serve, answers_may_come_later)
{
    check(deferred_client, (struct server_options){0});
}

static void count_turn(uv_prepare_t *prepare)
{
    ++*(unsigned *) prepare->data;
}

static void pipeline_client(struct fixture *fixture)
{
    static const char requests[] = "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                                   "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"
                                   "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
                                   "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
    _cleanup_close_ int fd = raw_connect(fixture);
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 16);
    const char *first, *second, *third, *fourth;

    CHECK(raw_send(fd, requests, strlen(requests)), "%s", strerror(errno));
    raw_read(fd, "hello\n", &out);
    first = strstr(buf_string(&out), "at last");
    CHECK(first, "%s", buf_string(&out));
    second = strstr(first + 1, "at last");
    third = second ? strstr(second, "HTTP/1.1 404") : NULL;
    fourth = third ? strstr(third, "hello") : NULL;
    if (PIPELINES)
        CHECK(fourth, "%s", buf_string(&out));
    else
        CHECK(fourth || raw_closed(fd), "%s", buf_string(&out));
}

Test(serve, pipelined_requests_are_answered_in_order_without_spinning)
{
    struct fixture fixture;
    uv_prepare_t prepare;
    unsigned turns = 0;

    fixture_init(&fixture);
    start(&fixture, (struct server_options){0});
    uv_prepare_init(&fixture.loop, &prepare);
    prepare.data = &turns;
    uv_prepare_start(&prepare, count_turn);
    fixture_run(&fixture, pipeline_client);
    uv_close((uv_handle_t *) &prepare, NULL);
    fixture_done(&fixture);
    /* Two answers took 100 ms each, with input pending all the time. */
    cr_assert_lt(turns, 200, "%u turns of the loop", turns);
}

static void pipelined_body_client(struct fixture *fixture)
{
    static const char requests[] = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
                                   "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                                   "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
    _cleanup_close_ int fd = raw_connect(fixture);
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 16);

    CHECK(raw_send(fd, requests, strlen(requests)), "%s", strerror(errno));
    raw_read(fd, "hello\n", &out);
    CHECK(!PIPELINES || strstr(buf_string(&out), "hello"), "%s", buf_string(&out));
    CHECK(strstr(buf_string(&out), "hello") || raw_closed(fd), "%s", buf_string(&out));
    client_do(fixture, curl, "/hello", &reply);
    CHECK(reply.status == 200, "%ld (%d)", reply.status, reply.result);
}

Test(serve, input_behind_a_pipelined_body_does_not_hang_the_server)
{
    check(pipelined_body_client, (struct server_options){0});
}

static void gone_client(struct fixture *fixture)
{
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};
    static const char request[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";

    for (int i = 0; i < 2; i++) {
        struct linger linger = {.l_onoff = i};
        int fd = raw_connect(fixture);

        /* With linger: a reset instead of an orderly end. */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        CHECK(raw_send(fd, request, strlen(request)), "%s", strerror(errno));
        close(fd);
        client_do(fixture, curl, "/hello", &reply);
        CHECK(reply.status == 200, "%ld", reply.status);
        /* Also serves to wait until the first has been answered into the void. */
        while (__atomic_load_n(&fixture->held, __ATOMIC_SEQ_CST)) {
            client_do(fixture, curl, "/hello", &reply);
            CHECK(reply.status == 200, "%ld", reply.status);
        }
    }
}

Test(serve, a_client_that_leaves_before_the_answer_harms_nothing)
{
    check(gone_client, (struct server_options){0});
}

static void silent_client(struct fixture *fixture)
{
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};

    client_do(fixture, curl, "/never", &reply);
    CHECK(reply.status == 503, "%ld", reply.status);
    client_do(fixture, curl, "/hello", &reply);
    CHECK(reply.status == 200 && reply.connects == 0, "%ld %ld", reply.status, reply.connects);
}

Test(serve, a_handler_past_the_deadline_costs_a_503_and_may_still_answer)
{
    struct fixture fixture;

    fixture_init(&fixture);
    start(&fixture, (struct server_options){.timeout_s = 1});
    fixture_run(&fixture, silent_client);
    cr_assert_not_null(fixture.held);
    server_respond_text(fixture.held, 200, "nobody hears this");
    fixture_done(&fixture);
}

/* --- slow and broken clients ------------------------------------------------- */

/* Sends one byte every 100 ms until the server has had enough. */
static void drip_client(struct fixture *fixture, const char *opening, struct buf *out)
{
    _cleanup_close_ int fd = raw_connect(fixture);
    uint64_t begin = uv_hrtime();

    CHECK(raw_send(fd, opening, strlen(opening)), "%s", strerror(errno));
    for (int i = 0; i < 100; i++) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

        if (poll(&poll_fd, 1, 100) > 0)
            break;
        (void) raw_send(fd, "x", 1);
    }
    CHECK((uv_hrtime() - begin) / 1000000 < 5000, "still open after 5 s");
    raw_read(fd, NULL, out);
}

static void slow_header_client(struct fixture *fixture)
{
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 16);

    drip_client(fixture, "GET /hello HTTP/1.1\r\nHost: ", &out);
}

Test(serve, headers_that_drip_end_the_connection)
{
    check(slow_header_client, (struct server_options){.timeout_s = 1});
}

static void slow_body_client(struct fixture *fixture)
{
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 16);

    drip_client(fixture, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n", &out);
    CHECK(strncmp(buf_string(&out), "HTTP/1.1 408", 12) == 0, "%s", buf_string(&out));
}

Test(serve, a_body_that_drips_gets_408)
{
    check(slow_body_client, (struct server_options){.timeout_s = 1});
}

static void slow_reader_client(struct fixture *fixture)
{
    static const char request[] = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n";
    _cleanup_close_ int fd = raw_connect(fixture);
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};

    CHECK(raw_send(fd, request, strlen(request)), "%s", strerror(errno));
    /* There is room for one: this is served when the other, which reads nothing, is out. */
    client_do(fixture, curl, "/hello", &reply);
    CHECK(reply.status == 200, "%ld (%d)", reply.status, reply.result);
}

Test(serve, a_client_that_does_not_read_is_cut_off)
{
    check(slow_reader_client, (struct server_options){.timeout_s = 1, .connections_max = 1});
}

static void malformed_client(struct fixture *fixture)
{
    static const char *const requests[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "BREW /hello HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET hello HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /hello\r\n\r\n",
        "GET /hello HTTP/9.9\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5x\r\n\r\nabcde",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 3\r\n\r\nabcde",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /hello HTTP/1.1\r\nPOST /echo HTTP/1.1\r\n\r\n",
        "GET /%zz%\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: x\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    };
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};

    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        _cleanup_close_ int fd = raw_connect(fixture);
        _cleanup_buf_ struct buf out = BUF_INIT(1 << 16);

        CHECK(raw_send(fd, requests[i], strlen(requests[i])), "%s", strerror(errno));
        shutdown(fd, SHUT_WR);
        raw_read(fd, NULL, &out);
        CHECK(!strstr(buf_string(&out), "HTTP/1.1 200") || strstr(requests[i], "GET /hello"),
              "%s -> %s", requests[i], buf_string(&out));
        client_do(fixture, curl, "/hello", &reply);
        CHECK(reply.status == 200, "after %s: %ld", requests[i], reply.status);
    }
}

Test(serve, malformed_requests_harm_only_themselves)
{
    check(malformed_client, (struct server_options){.timeout_s = 2});
}

static void flood_client(struct fixture *fixture)
{
    _cleanup_close_ int fd = raw_connect(fixture);
    _cleanup_free_ char *line = xmalloc(1 << 20);
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};

    memset(line, 'a', 1 << 20);
    memcpy(line, "GET /", 5);
    (void) send(fd, line, 1 << 20, MSG_NOSIGNAL);
    CHECK(raw_closed(fd), "endless headers are read");
    client_do(fixture, curl, "/hello", &reply);
    CHECK(reply.status == 200, "%ld", reply.status);
}

Test(serve, endless_headers_end_the_connection)
{
    check(flood_client, (struct server_options){0});
}

static void crowd_client(struct fixture *fixture)
{
    static const char request[] = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
    int fds[6];

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = raw_connect(fixture);
        CHECK(raw_send(fds[i], request, strlen(request)), "%s", strerror(errno));
    }
    /* With room for two, the others are served as those before them leave. */
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(1 << 16);

        raw_read(fds[i], "hello\n", &out);
        CHECK(strstr(buf_string(&out), "hello"), "%zu: %s", i, buf_string(&out));
        if (i == 0) {
            struct pollfd third = {.fd = fds[2], .events = POLLIN};

            CHECK(poll(&third, 1, 50) == 0, "a third connection was taken");
        }
        close(fds[i]);
    }
}

Test(serve, connections_past_the_limit_wait)
{
    check(crowd_client, (struct server_options){.connections_max = 2});
}

static void many_client(struct fixture *fixture)
{
    for (int i = 0; i < 20; i++) {
        _cleanup_curl_ CURL *curl = client_new(fixture);
        _cleanup_reply_ struct reply reply = {0};

        curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
                         (long) (i % 2 ? CURL_HTTP_VERSION_2_0 : CURL_HTTP_VERSION_1_1));
        for (int j = 0; j < 3; j++) {
            client_do(fixture, curl, "/hello", &reply);
            CHECK(reply.status == 200, "%d: %ld (%d)", i, reply.status, reply.result);
        }
    }
}

Test(serve, connections_are_counted_right_over_tls)
{
    check_tls(many_client, (struct server_options){.connections_max = 2});
}

/* --- the end ----------------------------------------------------------------- */

static void pending_client(struct fixture *fixture)
{
    static const char request[] = "GET /never HTTP/1.1\r\nHost: x\r\n\r\n";
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};

    fixture->socket = raw_connect(fixture);
    CHECK(raw_send(fixture->socket, request, strlen(request)), "%s", strerror(errno));
    while (__atomic_load_n(&fixture->calls, __ATOMIC_SEQ_CST) == 0)
        client_do(fixture, curl, "/empty", &reply);
}

Test(serve, the_end_may_come_with_requests_under_way)
{
    struct fixture fixture;

    fixture_init(&fixture);
    start(&fixture, (struct server_options){0});
    fixture_run(&fixture, pending_client);
    server_free(TAKE_PTR(fixture.server));
    for (int i = 0; i < 20; i++)
        uv_run(&fixture.loop, UV_RUN_NOWAIT);
    server_respond_text(fixture.held, 200, "nobody");
    fixture_done(&fixture);
}

static void suicide_client(struct fixture *fixture)
{
    _cleanup_curl_ CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};

    client_do(fixture, curl, "/suicide", &reply);
}

Test(serve, a_handler_may_end_the_server)
{
    check(suicide_client, (struct server_options){0});
}

Test(serve, a_server_that_served_nobody_ends)
{
    struct fixture fixture;

    fixture_init(&fixture);
    start(&fixture, (struct server_options){0});
    fixture_done(&fixture);
}

/* --- what cannot start says why ---------------------------------------------- */

static void check_error(struct server_options options, const char *expected)
{
    _cleanup_error_ struct error err = {0};
    struct server *server = NULL;
    uv_loop_t loop;

    alloc_init();
    cr_assert_eq(uv_loop_init(&loop), 0);
    cr_assert_lt(server_new(&loop, &options, NULL, 0, &server, &err), 0);
    cr_assert_null(server);
    cr_assert(strstr(error_message(&err), expected), "%s", error_message(&err));
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

Test(serve, an_address_that_is_none_is_named)
{
    check_error((struct server_options){.address = "eth0"}, "\"eth0\": not an IP address");
    check_error((struct server_options){.address = "192.0.2.1"}, "192.0.2.1");
}

Test(serve, a_certificate_that_cannot_be_used_is_named)
{
    check_error((struct server_options){.tls_cert = "/nonexistent.crt", .tls_key = "/x"},
                "/nonexistent.crt: No such file");
}

Test(serve, a_key_of_another_certificate_is_named)
{
    struct fixture one, other;

    fixture_init(&one);
    fixture_certificate(&one);
    fixture_init(&other);
    fixture_certificate(&other);
    check_error((struct server_options){.tls_cert = one.cert, .tls_key = other.key}, other.key);
    fixture_done(&one);
    fixture_done(&other);
}

/* --- renewal of the certificate ------------------------------------------------- */

static struct fixture renewal; /* has the files that come next */

static void get(struct fixture *fixture, CURL *curl, struct reply *reply)
{
    client_do(fixture, curl, "/hello", reply);
    CHECK(reply->result == CURLE_OK && reply->status == 200, "%s, status %ld",
          curl_easy_strerror(reply->result), reply->status);
}

/* By a client that has no connection yet, and trusts what is in the certificate's file. */
static void get_anew(struct fixture *fixture)
{
    _cleanup_(curl_freep) CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};

    get(fixture, curl, &reply);
}

static void replace(struct fixture *fixture, const char *from, const char *to)
{
    CHECK(rename(from, to) == 0, "%s: %s", to, strerror(errno));
}

static void renewal_client(struct fixture *fixture)
{
    _cleanup_(curl_freep) CURL *before = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};

    get(fixture, before, &reply);
    replace(fixture, renewal.key, fixture->key);
    replace(fixture, renewal.cert, fixture->cert);
    get_anew(fixture);
    get(fixture, before, &reply);
    CHECK(reply.connects == 0, "an open connection goes on");
}

Test(serve, a_renewed_certificate_is_served_to_new_connections)
{
    fixture_init(&renewal);
    fixture_certificate(&renewal);
    check_tls(renewal_client, (struct server_options){0});
    fixture_done(&renewal);
}

/* As a writer of one file after the other leaves it for a moment. */
static void half_renewal_client(struct fixture *fixture)
{
    FILE *file;

    replace(fixture, renewal.key, fixture->key);
    get_anew(fixture);
    file = fopen(fixture->key, "we");
    CHECK(file, "%s", strerror(errno));
    fclose(file);
    get_anew(fixture);
    CHECK(unlink(fixture->key) == 0, "%s", strerror(errno));
    get_anew(fixture);
    get_anew(fixture);
}

Test(serve, a_key_that_does_not_fit_or_is_gone_leaves_the_old_certificate)
{
    fixture_init(&renewal);
    fixture_certificate(&renewal);
    check_tls(half_renewal_client, (struct server_options){0});
    fixture_done(&renewal);
}

static void late_certificate_client(struct fixture *fixture)
{
    replace(fixture, renewal.key, fixture->key);
    get_anew(fixture);
    replace(fixture, renewal.cert, fixture->cert);
    get_anew(fixture);
}

Test(serve, after_half_a_renewal_the_other_half_makes_it_whole)
{
    fixture_init(&renewal);
    fixture_certificate(&renewal);
    check_tls(late_certificate_client, (struct server_options){0});
    fixture_done(&renewal);
}

Test(serve, a_port_in_use_is_named)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    _cleanup_free_ char *expected = NULL;

    alloc_init();
    cr_assert_eq(bind(fd, (struct sockaddr *) &at, sizeof(at)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *) &at, &len), 0);
    expected = xasprintf("port %u: Address already in use", ntohs(at.sin_port));
    check_error((struct server_options){.address = "127.0.0.1", .port = ntohs(at.sin_port)},
                expected);
}

Test(serve, all_interfaces_take_ipv4)
{
    struct fixture fixture;
    const struct server_options options = {0};
    const struct server_route routes[] = {{"GET", "/hello", hello, &fixture}};

    fixture_init(&fixture);
    fixture_start(&fixture, &options, routes, 1);
    fixture_run(&fixture, suicide_client);
    fixture_done(&fixture);
}
