// SPDX-License-Identifier: Apache-2.0
/*
 * Answers byte by byte: split anywhere, cut anywhere, of another kind than was asked for, or no
 * sense at all. Reads are retried, so what must fail at once is asked for by a write.
 */
#include <errno.h>

#include "lib/kube/informer.h"
#include "tests/unit/kube/scripted_server.h"

static const struct kube_resource things = {"test", "v1", "things", "Thing", false};

struct answer {
    unsigned calls;
    struct kube_object *object;
    struct error err;
};

static struct answer answer;

static void on_answer(void *userdata, struct kube_object *object, const struct error *err)
{
    (void) userdata;
    answer.calls++;
    kube_object_unref(answer.object);
    answer.object = kube_object_ref(object);
    error_copy(&answer.err, err);
}

static void forget_answer(void)
{
    kube_object_unref(TAKE_PTR(answer.object));
    error_done(&answer.err);
    answer.calls = 0;
}

static void open_client(void)
{
    server_start();
    server_no_jitter();
    server_connect(NULL);
}

static void close_client(void)
{
    forget_answer();
    server_stop();
}

TestSuite(wire, .init = open_client, .fini = close_client, .timeout = 120);

/* What was written is on the other side, and read. */
static void turn(void)
{
    for (unsigned i = 0; i < 6; i++)
        uv_run(&server.loop, UV_RUN_NOWAIT);
}

static struct exchange *ask(void)
{
    _cleanup_json_ cJSON *body = cJSON_Parse("{}");

    forget_answer();
    kube_create(client, &things, NULL, body, NULL, on_answer, NULL);
    return server_wait();
}

#define HEADERS \
    "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nX-Other: \"\xc3\xa9\"\r\n"
/* Characters of two, three and four bytes, and the same as escapes. */
#define BODY "{\"metadata\":{\"name\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7\\ud83d\\udc27\\\"\"}}"
#define NAME "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7\xf0\x9f\x90\xa7\""

/* --- split -------------------------------------------------------------------------------------
 */

static void expect_every_split(const char *text)
{
    size_t len = strlen(text);

    for (size_t at = 0; at <= len; at++) {
        struct exchange *exchange = ask();

        server_send(exchange, text, at);
        turn();
        cr_assert(answer.calls == 0 || at == len, "an answer before its end, at %zu", at);
        server_send(exchange, text + at, len - at);
        exchange_next(exchange);
        RUN_UNTIL(answer.calls == 1);
        cr_assert_eq(answer.err.code, 0, "split at %zu: %s", at, error_message(&answer.err));
        cr_assert_str_eq(kube_object_name(answer.object), NAME, "split at %zu", at);
    }
    cr_assert_eq(server.connections, 1);
}

Test(wire, an_answer_of_known_length_may_be_split_anywhere)
{
    _cleanup_free_ char *text = xasprintf(HEADERS "Content-Length: %zu\r\n\r\n" BODY, strlen(BODY));

    expect_every_split(text);
}

Test(wire, an_answer_in_chunks_may_be_split_anywhere)
{
    _cleanup_free_ char *text =
        xasprintf(HEADERS "Transfer-Encoding: chunked\r\n\r\n7\r\n%.7s\r\n%zx;x=y\r\n%s\r\n0\r\n"
                          "X-Trailer: z\r\n\r\n",
                  BODY, strlen(BODY) - 7, &BODY[7]);

    expect_every_split(text);
}

struct story {
    struct buf text;
    unsigned events, failures;
};

static void on_updated(void *userdata, struct kube_object *old, struct kube_object *object)
{
    struct story *story = userdata;

    (void) old;
    buf_reset(&story->text);
    buf_add_string(&story->text, kube_object_resource_version(object));
    story->events++;
}

static void on_failed(void *userdata, const struct error *err)
{
    (void) err;
    ((struct story *) userdata)->failures++;
}

/* In the frames of HTTP's chunks, not only between them. */
Test(wire, a_watch_may_be_split_anywhere)
{
    struct story story = {.text = BUF_INIT(1000)};
    const struct kube_handler handler = {.updated = on_updated,
                                         .failed = on_failed,
                                         .userdata = &story};
    const struct kube_informer_options options = {.resource = &things};
    struct kube_informer *informer = kube_informer_new(client, &options);
    struct exchange *exchange;
    size_t len = 1;

    kube_informer_add_handler(informer, &handler);
    kube_informer_start(informer);
    server_reply(server_wait(), 422, "{}");
    server_reply(
        server_wait(), 200,
        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{\"metadata\":{\"name\":\"a\","
        "\"uid\":\"u\",\"resourceVersion\":\"1\"}}]}");
    exchange = server_wait();
    server_begin(exchange);
    for (size_t at = 0; at <= len; at++) {
        _cleanup_free_ char *version = xasprintf("%zu", at + 1000);
        _cleanup_free_ char *event = xasprintf(
            "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"x\":\""
            "\xc3\xa9\xf0\x9f\x90\xa7\\\\\\\"}\",\"resourceVersion\":\"%s\"}}}\n",
            version);
        _cleanup_free_ char *frame = xasprintf("%zx\r\n%s\r\n", strlen(event), event);

        len = strlen(frame);
        server_send(exchange, frame, at);
        turn();
        server_send(exchange, frame + at, len - at);
        RUN_UNTIL(story.events == at + 1);
        cr_assert_str_eq(buf_string(&story.text), version);
    }
    cr_assert_eq(story.failures, 0);
    cr_assert_eq(server.connections, 1);
    kube_informer_free(informer);
    buf_done(&story.text);
}

/* --- cut ---------------------------------------------------------------------------------------
 */

/* However it ends, it is not taken for an answer. */
Test(wire, an_answer_that_is_cut_anywhere_is_a_failure)
{
    _cleanup_free_ char *text = xasprintf(HEADERS "Content-Length: %zu\r\n\r\n" BODY, strlen(BODY));
    size_t len = strlen(text);

    for (size_t at = 0; at < len; at++) {
        struct exchange *exchange = ask();

        server_send(exchange, text, at);
        turn();
        if (at % 2)
            server_cut(exchange);
        else
            server_reset(exchange);
        RUN_UNTIL(answer.calls == 1);
        cr_assert(kube_error_is_transport(&answer.err), "cut at %zu: %d %s", at, answer.err.code,
                  error_message(&answer.err));
        cr_assert_null(answer.object, "cut at %zu", at);
    }
}

/* In order as far as HTTP goes: a middlebox that stopped copying. */
Test(wire, an_answer_whose_json_ends_anywhere_is_a_failure)
{
    for (size_t at = 0; at < strlen(BODY); at++) {
        _cleanup_free_ char *part = xstrndup(BODY, at);

        server_reply(ask(), 201, part);
        RUN_UNTIL(answer.calls == 1);
        cr_assert_lt(answer.err.code, 0, "cut at %zu", at);
        cr_assert_null(answer.object);
    }
}

struct listing {
    unsigned items, done;
    struct error err;
};

static void on_item(void *userdata, struct kube_object *object)
{
    (void) object;
    ((struct listing *) userdata)->items++;
}

static void on_listed(void *userdata, const char *version, const struct error *err)
{
    struct listing *listing = userdata;

    listing->done++;
    error_copy(&listing->err, err);
    cr_assert((version != NULL) == (err->code == 0));
}

static void list_with(struct listing *listing, const char *body)
{
    *listing = (struct listing){0};
    kube_list(client, &things, NULL, NULL, on_item, on_listed, listing);
    server_reply(server_wait(), 200, body);
    RUN_UNTIL(listing->done == 1);
}

Test(wire, a_list_whose_json_ends_anywhere_is_a_failure)
{
    static const char text[] =
        "{\"items\":[{\"metadata\":{\"name\":\"a\"}},{\"metadata\":{\"name\":"
        "\"b\"}}],\"metadata\":{\"resourceVersion\":\"1\"}}";
    struct listing listing;

    for (size_t at = 0; at < sizeof(text) - 1; at++) {
        _cleanup_free_ char *part = xstrndup(text, at);

        list_with(&listing, part);
        cr_assert_lt(listing.err.code, 0, "cut at %zu", at);
        error_done(&listing.err);
    }
    list_with(&listing, text);
    cr_assert_eq(listing.err.code, 0, "%s", error_message(&listing.err));
    cr_assert_eq(listing.items, 2);
}

/* --- no sense ----------------------------------------------------------------------------------
 */

Test(wire, a_list_that_is_not_json_is_a_failure)
{
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{\"items\":[{\"metadata\":}]}",
        "{\"items\":[{\"metadata\":{\"name\":tru}}]}",
        "{\"items\":[{\"a\":01x}],\"metadata\":{}}",
        "{\"items\":[{}],\"metadata\":{\"resourceVersion\":}}",
        "{\"items\":[{}]}{\"items\":[]}",
        "{\"items\":[\"a\"]}",
        "\x1f\x8b\x08",
    };
    struct listing listing;

    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        list_with(&listing, bodies[i]);
        cr_assert_lt(listing.err.code, 0, "%s", bodies[i]);
        cr_assert_not_null(listing.err.message);
        error_done(&listing.err);
    }
}

/* Bytes that are no UTF-8 are the server's affair; nothing breaks. */
Test(wire, bytes_that_are_no_utf_8_do_no_harm)
{
    server_reply(ask(), 201, "{\"metadata\":{\"name\":\"\xff\xc3(\xe2\x82\"}}");
    RUN_UNTIL(answer.calls == 1);
    cr_assert_eq(answer.err.code, 0);
    cr_assert_str_eq(kube_object_name(answer.object), "\xff\xc3(\xe2\x82");
}

static const char *const strange_types[] = {
    "Content-Type: text/html\r\n",
    "Content-Type: text/plain; charset=utf-8\r\n",
    "Content-Type: application/vnd.kubernetes.protobuf\r\n",
    "Content-Type: \r\n",
    "",
};

static void answer_with_type(struct exchange *exchange, const char *type, const char *body)
{
    server_sendf(exchange, "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n%s", type, strlen(body),
                 body);
    exchange_next(exchange);
}

Test(wire, an_answer_of_another_type_is_a_failure)
{
    for (size_t i = 0; i < ARRAY_SIZE(strange_types); i++) {
        struct listing listing = {0};

        answer_with_type(ask(), strange_types[i], "{}");
        RUN_UNTIL(answer.calls == 1);
        cr_assert_eq(answer.err.code, -EBADMSG, "%s", strange_types[i]);
        /* A body need not even come. */
        answer_with_type(ask(), strange_types[i], "");
        RUN_UNTIL(answer.calls == 1);
        cr_assert_eq(answer.err.code, -EBADMSG, "%s", strange_types[i]);
        kube_list(client, &things, NULL, NULL, on_item, on_listed, &listing);
        answer_with_type(server_wait(), strange_types[i], "{\"items\":[]}");
        RUN_UNTIL(listing.done == 1);
        cr_assert_eq(listing.err.code, -EBADMSG, "%s", strange_types[i]);
        error_done(&listing.err);
    }
}

Test(wire, a_watch_of_another_type_is_a_failure)
{
    struct story story = {0};
    const struct kube_handler handler = {.failed = on_failed, .userdata = &story};
    const struct kube_informer_options options = {.resource = &things};
    struct kube_informer *informer = kube_informer_new(client, &options);

    kube_informer_add_handler(informer, &handler);
    kube_informer_start(informer);
    for (unsigned i = 0; i < ARRAY_SIZE(strange_types); i++) {
        struct exchange *exchange = server_wait();

        answer_with_type(exchange, strange_types[i], "{}");
        RUN_UNTIL(story.failures == i + 1);
        cr_assert_not(kube_informer_synced(informer));
    }
    kube_informer_free(informer);
}

static void send_endless_headers(struct exchange *exchange)
{
    server_sendf(exchange, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n");
    for (unsigned i = 0; i < 2000; i++)
        server_sendf(exchange, "X-%u: %0100u\r\n", i, i);
}

Test(wire, endless_headers_end_requests_lists_and_watches)
{
    struct story story = {0};
    const struct kube_handler handler = {.failed = on_failed, .userdata = &story};
    const struct kube_informer_options options = {.resource = &things};
    struct listing listing = {0};
    struct kube_informer *informer;

    send_endless_headers(ask());
    RUN_UNTIL(answer.calls == 1);
    cr_assert_eq(answer.err.code, -EMSGSIZE);
    kube_list(client, &things, NULL, NULL, on_item, on_listed, &listing);
    send_endless_headers(server_wait());
    RUN_UNTIL(listing.done == 1);
    cr_assert_eq(listing.err.code, -EMSGSIZE);
    error_done(&listing.err);
    informer = kube_informer_new(client, &options);
    kube_informer_add_handler(informer, &handler);
    kube_informer_start(informer);
    send_endless_headers(server_wait());
    RUN_UNTIL(story.failures == 1);
    kube_informer_free(informer);
}

/* Answers that say nothing but that an answer will come count as well. */
Test(wire, endless_interim_answers_end_a_request)
{
    struct exchange *exchange = ask();

    for (unsigned i = 0; i < 5000; i++)
        server_sendf(exchange, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    RUN_UNTIL(answer.calls == 1);
    cr_assert_lt(answer.err.code, 0);
}

/* --- gzip ---------------------------------------------------------------------------------------
 */

/* {"metadata":{"name":"\xc3\xa9\xe2\x82\xac", "uid": "1"}} */
static const unsigned char compressed[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0xca, 0x4d, 0x2d, 0x49,
    0x4c, 0x49, 0x2c, 0x49, 0x54, 0xb2, 0xaa, 0x56, 0xca, 0x4b, 0xcc, 0x4d, 0x55, 0xb2, 0x52, 0x3a,
    0xbc, 0xf2, 0x51, 0xd3, 0x1a, 0x25, 0x1d, 0x05, 0xa5, 0xd2, 0xcc, 0x14, 0x25, 0x2b, 0x05, 0x25,
    0x43, 0xa5, 0xda, 0x5a, 0x00, 0xd1, 0xc7, 0x2c, 0x6f, 0x29, 0x00, 0x00, 0x00,
};

/* Sixty thousand spaces and an empty object. */
static const unsigned char bomb[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xc1, 0x41, 0x11,
    0x00, 0x00, 0x0c, 0x02, 0xa0, 0x2a, 0xf6, 0xf4, 0xec, 0xbe, 0x1a, 0x7b, 0x00, 0x09,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0xc0, 0x2f, 0xdd, 0x01, 0x49, 0x2a, 0xcc, 0xf7, 0x62, 0xea, 0x00, 0x00,
};

static void answer_compressed(struct exchange *exchange, const unsigned char *body, size_t len,
                              size_t split)
{
    server_sendf(exchange,
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 len);
    server_send(exchange, (const char *) body, split);
    for (unsigned i = 0; i < 3; i++)
        uv_run(&server.loop, UV_RUN_NOWAIT);
    server_send(exchange, (const char *) body + split, len - split);
    exchange_next(exchange);
}

Test(wire, a_compressed_answer_may_be_split_anywhere)
{
    for (size_t split = 1; split < sizeof(compressed); split++) {
        answer_compressed(ask(), compressed, sizeof(compressed), split);
        RUN_UNTIL(answer.calls == 1);
        cr_assert_eq(answer.err.code, 0, "%zu: %s", split, error_message(&answer.err));
        cr_assert_str_eq(kube_object_name(answer.object), "\xc3\xa9\xe2\x82\xac");
    }
}

Test(wire, a_compressed_answer_that_is_cut_is_a_failure)
{
    /* Without its trailer of eight bytes the object is whole. */
    for (size_t len = 1; len < sizeof(compressed) - 9; len++) {
        answer_compressed(ask(), compressed, len, 0);
        RUN_UNTIL(answer.calls == 1);
        cr_assert_lt(answer.err.code, 0, "%zu bytes", len);
    }
}

Test(wire, the_ceiling_is_for_what_a_compressed_answer_becomes)
{
    const struct kube_client_options options = {.response_max = 50000};

    kube_client_free(TAKE_PTR(client));
    server_connect(&options);
    answer_compressed(ask(), bomb, sizeof(bomb), 1);
    RUN_UNTIL(answer.calls == 1);
    cr_assert_eq(answer.err.code, -EFBIG, "%s", error_message(&answer.err));
}
