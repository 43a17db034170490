// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/events.h"

#include <errno.h>

#include "lib/kube/event_correlator.h"
#include "tests/unit/kube/scripted_server.h"

/* --- time and chance that the test moves ---------------------------------------------------------
 */

static uint64_t ahead_ms;
static uint64_t chance;

static uint64_t test_monotonic(void *userdata)
{
    return server_monotonic(userdata) + ahead_ms;
}

static int64_t test_realtime(void *userdata)
{
    return server_realtime(userdata) + (int64_t) ahead_ms;
}

/* Small, so that no wait at random takes long; and never the same, as names are made of it. */
static uint64_t test_random(void *userdata)
{
    (void) userdata;
    return ++chance;
}

static const struct clock_source test_clock = {
    .monotonic_ms = test_monotonic,
    .realtime_ms = test_realtime,
    .random = test_random,
};

static struct kube_recorder *recorder;
static struct error failure;
static unsigned failures;

static void on_failed(void *userdata, const struct error *err)
{
    (void) userdata;
    failures++;
    error_copy(&failure, err);
}

static struct kube_recorder_options recorder_options(void)
{
    return (struct kube_recorder_options){
        .component = "tester",
        .instance = "tester-0",
        .host = "node-1",
        .failed = on_failed,
    };
}

static void open_recorder(void)
{
    const struct kube_recorder_options options = recorder_options();

    server_start();
    clock_set_source(&test_clock);
    server_connect(NULL);
    recorder = kube_recorder_new(client, &options);
}

static void close_recorder(void)
{
    kube_recorder_free(TAKE_PTR(recorder));
    error_done(&failure);
    server_stop();
}

TestSuite(events, .init = open_recorder, .fini = close_recorder, .timeout = 60);

static const struct kube_reference node = {
    .api_version = "v1",
    .kind = "Node",
    .name = "node-1",
    .uid = "u-1",
};
static const struct kube_reference pod = {
    .api_version = "v1",
    .kind = "Pod",
    .ns = "web",
    .name = "p",
    .uid = "u-2",
    .resource_version = "5",
};

static void say(const char *message)
{
    kube_recorder_event(recorder, &node, KUBE_EVENT_WARNING, "Denied", "%s", message);
}

static struct exchange *expect(const char *method)
{
    struct exchange *exchange = server_wait();

    cr_assert_str_eq(exchange->method, method, "%s %s", exchange->method, exchange->target);
    return exchange;
}

static void reply_status(struct exchange *exchange, int code, const char *reason)
{
    _cleanup_free_ char *text =
        xasprintf("{\"apiVersion\":\"v1\",\"kind\":\"Status\",\"status\":\"Failure\",\"code\":%d,"
                  "\"reason\":\"%s\"}",
                  code, reason);

    server_reply(exchange, code, text);
}

static void expect_text(const struct exchange *exchange, const char *text)
{
    cr_assert_not_null(strstr(exchange->body, text), "no %s in %s", text, exchange->body);
}

static uint64_t waiting(void)
{
    return kube_recorder_stats(recorder).waiting;
}

/* Answers whatever comes until nothing waits. */
static void reply_all(void)
{
    while (waiting() > 0) {
        RUN_UNTIL(!TAILQ_EMPTY(&server.unseen) || waiting() == 0);
        if (waiting() > 0)
            server_reply(server_wait(), 200, "{}");
    }
}

/* --- what is written
 * ------------------------------------------------------------------------------
 */

Test(events, one_about_a_cluster_scoped_object_is_written_to_default)
{
    struct exchange *exchange;

    say("it was denied");
    exchange = expect("POST");
    cr_assert_str_eq(exchange->target, "/api/v1/namespaces/default/events");
    expect_text(exchange, "\"metadata\":{\"namespace\":\"default\",\"name\":\"node-1.0");
    expect_text(exchange, "\"involvedObject\":{\"apiVersion\":\"v1\",\"kind\":\"Node\","
                          "\"name\":\"node-1\",\"uid\":\"u-1\"}");
    expect_text(exchange, "\"type\":\"Warning\",\"reason\":\"Denied\",\"message\":\"it was "
                          "denied\"");
    expect_text(exchange, "\"source\":{\"component\":\"tester\",\"host\":\"node-1\"}");
    expect_text(exchange, "\"reportingInstance\":\"tester-0\"");
    expect_text(exchange, "\"count\":1,");
    expect_text(exchange, "\"firstTimestamp\":\"2023-11-14T22:13:20Z\"");
    expect_text(exchange, "\"lastTimestamp\":\"2023-11-14T22:13:20Z\"");
    server_reply(exchange, 201, "{}");
    reply_all();
    cr_assert_eq(kube_recorder_stats(recorder).created, 1);
}

Test(events, one_about_a_namespaced_object_is_written_beside_it)
{
    struct exchange *exchange;

    kube_recorder_event(recorder, &pod, KUBE_EVENT_NORMAL, "Seen", "%d times", 3);
    exchange = expect("POST");
    cr_assert_str_eq(exchange->target, "/api/v1/namespaces/web/events");
    expect_text(exchange, "\"namespace\":\"web\",\"name\":\"p\",\"uid\":\"u-2\","
                          "\"resourceVersion\":\"5\"");
    expect_text(exchange, "\"type\":\"Normal\",\"reason\":\"Seen\",\"message\":\"3 times\"");
    server_reply(exchange, 201, "{}");
    reply_all();
}

Test(events, an_object_whose_name_is_no_dns_name_still_gets_its_events)
{
    const struct kube_reference role = {
        .api_version = "rbac.authorization.k8s.io/v1",
        .kind = "ClusterRole",
        .name = "system:node",
        .uid = "u-3",
    };
    struct exchange *exchange;

    kube_recorder_event(recorder, &role, KUBE_EVENT_NORMAL, "Seen", "x");
    exchange = expect("POST");
    expect_text(exchange, "\"name\":\"event.0");
    server_reply(exchange, 201, "{}");
    reply_all();
}

Test(events, a_message_is_cut_and_always_valid_text)
{
    _cleanup_free_ char *long_one = xcalloc(1, 5000);
    struct exchange *exchange;
    _cleanup_json_ cJSON *body = NULL;
    const char *message;

    memset(long_one, 'x', 4999);
    memcpy(long_one, "a\xff\xc3\xa9", 4);
    say(long_one);
    exchange = expect("POST");
    body = cJSON_Parse(exchange->body);
    message = json_string(body, "message");
    cr_assert_eq(strncmp(message, "a?\xc3\xa9xx", 6), 0);
    cr_assert_leq(strlen(message), 1024);
    cr_assert_gt(strlen(message), 900);
    server_reply(exchange, 201, "{}");
    reply_all();
}

/* --- counts
 * ---------------------------------------------------------------------------------------
 */

Test(events, equal_ones_raise_the_count_by_a_patch)
{
    struct exchange *exchange;

    say("again");
    exchange = expect("POST");
    server_reply(exchange, 201, "{}");
    reply_all();
    ahead_ms = 60000;
    say("again");
    exchange = expect("PATCH");
    cr_assert_eq(strncmp(exchange->target, "/api/v1/namespaces/default/events/node-1.0", 41), 0);
    cr_assert_str_eq(exchange->body, "{\"count\":2,\"lastTimestamp\":\"2023-11-14T22:14:20Z\"}");
    server_reply(exchange, 200, "{}");
    reply_all();
    cr_assert_eq(kube_recorder_stats(recorder).updated, 1);
}

Test(events, what_happens_while_one_is_written_is_one_more_write)
{
    struct exchange *exchange;

    say("again");
    exchange = expect("POST");
    for (int i = 0; i < 500; i++)
        say("again");
    cr_assert_eq(waiting(), 1);
    server_reply(exchange, 201, "{}");
    exchange = expect("PATCH");
    expect_text(exchange, "\"count\":501,");
    server_reply(exchange, 200, "{}");
    reply_all();
    cr_assert(TAILQ_EMPTY(&server.unseen));
    cr_assert_eq(kube_recorder_stats(recorder).recorded, 501);
}

Test(events, one_that_the_server_has_forgotten_is_made_again_with_its_count)
{
    struct exchange *exchange;

    say("again");
    server_reply(expect("POST"), 201, "{}");
    reply_all();
    say("again");
    reply_status(expect("PATCH"), 404, "NotFound");
    exchange = expect("POST");
    expect_text(exchange, "\"count\":2,");
    expect_text(exchange, "\"message\":\"again\"");
    server_reply(exchange, 201, "{}");
    reply_all();
    cr_assert_eq(failures, 0);
}

Test(events, many_similar_ones_become_one)
{
    struct exchange *exchange;

    for (int i = 0; i < 9; i++) {
        _cleanup_free_ char *text = xasprintf("path %d", i);

        say(text);
        exchange = expect("POST");
        cr_assert_null(strstr(exchange->body, "combined"));
        server_reply(exchange, 201, "{}");
        reply_all();
    }
    say("path 9");
    exchange = expect("POST");
    expect_text(exchange, "\"message\":\"(combined from similar events): path 9\"");
    server_reply(exchange, 201, "{}");
    reply_all();
    say("path 10");
    exchange = expect("PATCH");
    expect_text(exchange, "\"count\":2,");
    expect_text(exchange, "\"message\":\"(combined from similar events): path 10\"");
    server_reply(exchange, 200, "{}");
    reply_all();
    /* What has its own Event keeps it. */
    say("path 3");
    exchange = expect("PATCH");
    cr_assert_null(strstr(exchange->body, "combined"));
    server_reply(exchange, 200, "{}");
    reply_all();
    /* Of another reason. */
    kube_recorder_event(recorder, &node, KUBE_EVENT_WARNING, "Other", "path 11");
    exchange = expect("POST");
    cr_assert_null(strstr(exchange->body, "combined"));
    server_reply(exchange, 200, "{}");
    reply_all();
    /* Eleven minutes without any. */
    ahead_ms += 11 * 60 * 1000;
    say("path 12");
    exchange = expect("POST");
    cr_assert_null(strstr(exchange->body, "combined"));
    server_reply(exchange, 200, "{}");
    reply_all();
}

/* --- limits
 * ---------------------------------------------------------------------------------------
 */

Test(events, an_object_has_25_writes_and_then_one_each_five_minutes)
{
    struct exchange *exchange;
    struct kube_recorder_stats stats;

    for (int i = 0; i < 40; i++) {
        say("again");
        reply_all();
    }
    stats = kube_recorder_stats(recorder);
    cr_assert_eq(stats.created + stats.updated, 25);
    cr_assert_eq(stats.limited, 15);
    /* Others are none the worse for it. */
    kube_recorder_event(recorder, &pod, KUBE_EVENT_NORMAL, "Seen", "x");
    server_reply(expect("POST"), 201, "{}");
    reply_all();
    ahead_ms += 5 * 60 * 1000 - 1000;
    say("again");
    cr_assert_eq(waiting(), 0);
    ahead_ms += 1000;
    say("again");
    exchange = expect("PATCH");
    expect_text(exchange, "\"count\":42,");
    server_reply(exchange, 200, "{}");
    reply_all();
}

Test(events, a_full_queue_drops_and_counts)
{
    struct kube_recorder_options options = recorder_options();

    kube_recorder_free(recorder);
    options.queue_max = 3;
    recorder = kube_recorder_new(client, &options);
    for (int i = 0; i < 10; i++) {
        _cleanup_free_ char *name = xasprintf("node-%d", i);
        const struct kube_reference one = {.kind = "Node", .name = name, .uid = name};

        kube_recorder_event(recorder, &one, KUBE_EVENT_NORMAL, "Seen", "x");
    }
    cr_assert_eq(kube_recorder_stats(recorder).dropped, 7);
    cr_assert_eq(waiting(), 3);
    reply_all();
    cr_assert_eq(kube_recorder_stats(recorder).created, 3);
}

Test(events, what_is_remembered_is_bounded)
{
    _cleanup_(event_correlator_freep) struct event_correlator *correlator =
        event_correlator_new(1, 1000);
    char name[16];
    struct event_key key;

    for (int i = 0; i < 3 * EVENT_MEMORY_MAX; i++) {
        const struct kube_reference one = {.kind = "Node", .name = name};

        snprintf(name, sizeof(name), "%d", i);
        event_correlate(correlator, &one, KUBE_EVENT_NORMAL, "Seen", "x", &key);
        cr_assert(event_correlator_allow(correlator, key.object));
        cr_assert_not(event_correlator_allow(correlator, key.object));
    }
    /* The last is still known, the first is not. */
    cr_assert_not(event_correlator_allow(correlator, key.object));
    event_correlate(correlator, &(struct kube_reference){.kind = "Node", .name = "0"},
                    KUBE_EVENT_NORMAL, "Seen", "x", &key);
    cr_assert(event_correlator_allow(correlator, key.object));
}

/* --- failures ------------------------------------------------------------------------------------
 */

Test(events, a_server_in_trouble_is_asked_again)
{
    say("again");
    reply_status(expect("POST"), 500, "InternalError");
    server_cut(expect("POST"));
    reply_status(expect("POST"), 503, "ServiceUnavailable");
    server_reply(expect("POST"), 201, "{}");
    RUN_UNTIL(waiting() == 0);
    cr_assert_eq(failures, 0);
    cr_assert_eq(kube_recorder_stats(recorder).created, 1);
}

Test(events, an_event_whose_answer_was_lost_is_not_written_twice)
{
    say("again");
    server_cut(expect("POST"));
    reply_status(expect("POST"), 409, "AlreadyExists");
    RUN_UNTIL(waiting() == 0);
    cr_assert_eq(failures, 0, "%s", error_message(&failure));
    cr_assert_eq(kube_recorder_stats(recorder).created, 1);
    say("again");
    server_reply(expect("PATCH"), 200, "{}");
    reply_all();
}

Test(events, a_name_that_is_another_s_is_no_success)
{
    say("again");
    reply_status(expect("POST"), 409, "AlreadyExists");
    RUN_UNTIL(failures == 1);
    cr_assert_eq(kube_recorder_stats(recorder).created, 0);
}

static void on_got(void *userdata, struct kube_object *object, const struct error *err)
{
    (void) object;
    (void) err;
    *(bool *) userdata = true;
}

Test(events, what_comes_while_the_server_is_in_trouble_waits_with_the_rest)
{
    uint64_t begin;
    bool got = false;

    say("one");
    /* Half of the first step of 800 ms. */
    chance = UINT64_MAX / 2;
    reply_status(expect("POST"), 500, "InternalError");
    begin = uv_hrtime();
    /* That answer has arrived when a later one has. */
    kube_get(client, &kube_nodes, NULL, "n", NULL, on_got, &got);
    server_reply(expect("GET"), 200, "{}");
    RUN_UNTIL(got);
    say("two");
    expect_text(expect("POST"), "\"message\":\"one\"");
    cr_assert_gt(uv_hrtime() - begin, UINT64_C(300000000));
}

Test(events, what_waits_is_never_forgotten)
{
    struct kube_recorder_options options = recorder_options();
    struct exchange *exchange;

    kube_recorder_free(recorder);
    options.queue_max = 1;
    recorder = kube_recorder_new(client, &options);
    say("first");
    exchange = expect("POST");
    for (int i = 0; i < 2 * EVENT_MEMORY_MAX; i++) {
        _cleanup_free_ char *name = xasprintf("node-%d", i);
        const struct kube_reference one = {.kind = "Node", .name = name, .uid = name};

        kube_recorder_event(recorder, &one, KUBE_EVENT_NORMAL, "Seen", "x");
    }
    say("first");
    server_reply(exchange, 201, "{}");
    expect_text(expect("PATCH"), "\"count\":2,");
}

Test(events, one_that_is_refused_is_given_up_and_the_next_is_written)
{
    say("one");
    say("two");
    reply_status(expect("POST"), 403, "Forbidden");
    server_reply(expect("POST"), 201, "{}");
    reply_all();
    cr_assert_eq(failures, 1);
    cr_assert(kube_error_is_forbidden(&failure));
    cr_assert_not_null(strstr(error_message(&failure), "Event default/node-1."), "%s",
                       error_message(&failure));
    cr_assert_eq(kube_recorder_stats(recorder).failed, 1);
}

Test(events, after_twelve_attempts_it_is_given_up)
{
    say("again");
    for (int i = 0; i < 12; i++)
        reply_status(expect("POST"), 500, "InternalError");
    RUN_UNTIL(failures == 1);
    cr_assert_eq(waiting(), 0);
}

/* --- the end
 * --------------------------------------------------------------------------------------
 */

struct flush {
    unsigned calls;
    uint64_t left;
};

static void on_flushed(void *userdata, uint64_t left)
{
    struct flush *flush = userdata;

    flush->calls++;
    flush->left = left;
}

Test(events, a_flush_ends_when_all_is_written)
{
    struct flush flush = {0};

    say("one");
    say("two");
    kube_recorder_flush(recorder, WAIT_MS, on_flushed, &flush);
    server_reply(expect("POST"), 201, "{}");
    cr_assert_eq(flush.calls, 0);
    server_reply(expect("POST"), 201, "{}");
    RUN_UNTIL(flush.calls == 1);
    cr_assert_eq(flush.left, 0);
}

Test(events, a_flush_of_nothing_ends_from_the_loop)
{
    struct flush flush = {0};

    kube_recorder_flush(recorder, WAIT_MS, on_flushed, &flush);
    cr_assert_eq(flush.calls, 0);
    RUN_UNTIL(flush.calls == 1);
}

Test(events, a_flush_ends_at_its_deadline_and_says_what_is_left)
{
    struct flush flush = {0};

    say("one");
    say("two");
    expect("POST");
    kube_recorder_flush(recorder, 30, on_flushed, &flush);
    RUN_UNTIL(flush.calls == 1);
    cr_assert_eq(flush.left, 2);
}

Test(events, a_recorder_that_is_not_there_records_nothing)
{
    kube_recorder_event(NULL, &node, KUBE_EVENT_NORMAL, "Seen", "x");
    cr_assert(TAILQ_EMPTY(&server.unseen));
}
