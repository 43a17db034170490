// SPDX-License-Identifier: Apache-2.0
#include "agent/publisher.h"

#include "agent/agent_metrics.h"
#include "agent/attempt.h"
#include "tests/unit/kube/scripted_server.h"

/*
 * What the API server has to be made to do for it: answers that are lost or late, objects that go
 * at the wrong moment. The test is the server.
 */
#define NODE "n1"
#define SELF "/apis/apparmor.io/v1alpha1/apparmornodes"

static struct metrics *metrics;
static struct node *node;
static struct publisher *publisher;
static struct records *records;
static struct exchange *node_watch, *own_watch;
static struct exchange *own_read; /* the first, as soon as the watch tells that there is one */
static unsigned answers;
static uint64_t ahead_ms;

static uint64_t now_ms(_unused_ void *userdata)
{
    return server_monotonic(NULL) + ahead_ms;
}

static const struct clock_source test_clock = {.monotonic_ms = now_ms,
                                               .realtime_ms = server_realtime,
                                               .random = server_random};

static bool is_ready(_unused_ void *userdata)
{
    return true;
}

static uint64_t pace(_unused_ void *userdata)
{
    return 0;
}

static void describe(_unused_ void *userdata, struct status_node *ret_node,
                     const struct records **ret_records)
{
    *ret_node = (struct status_node){.enabled = true, .agent_version = "v1"};
    *ret_records = records;
}

static void on_answered(_unused_ void *userdata)
{
    answers++;
}

/* --- the server --- */

static bool asks_for(const struct exchange *exchange, const char *method, const char *part)
{
    return strcmp(exchange->method, method) == 0 && strstr(exchange->target, part);
}

static struct exchange *expect(const char *method, const char *part)
{
    struct exchange *exchange = server_wait();

    cr_assert(asks_for(exchange, method, part), "%s %s instead of %s %s", exchange->method,
              exchange->target, method, part);
    return exchange;
}

static char *node_json(const char *kind, int version, const char *uid, const char *labels)
{
    return xasprintf("{\"kind\":\"%s\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" NODE
                     "\",\"uid\":\"%s\",\"resourceVersion\":\"%d\",\"labels\":{%s}}}",
                     kind, uid, version, labels);
}

static void send_event(struct exchange *watch, const char *type, const char *object)
{
    _cleanup_free_ char *event = xasprintf("{\"type\":\"%s\",\"object\":%s}\n", type, object);

    server_chunk_text(watch, event);
}

static void send_node(const char *type, int version, const char *uid, const char *labels)
{
    _cleanup_free_ char *object = node_json("PartialObjectMetadata", version, uid, labels);

    send_event(node_watch, type, object);
}

static void reply_node(struct exchange *exchange, int version, const char *labels)
{
    _cleanup_free_ char *object = node_json("Node", version, "u1", labels);

    server_reply(exchange, 200, object);
}

static void send_own(const char *type, int version, const char *uid)
{
    _cleanup_free_ char *object = node_json("PartialObjectMetadata", version, uid, "");

    send_event(own_watch, type, object);
}

static void send_bookmark(struct exchange *watch)
{
    send_event(watch, "BOOKMARK",
               "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\","
               "\"metadata\":{\"resourceVersion\":\"100\",\"annotations\":{"
               "\"k8s.io/initial-events-end\":\"true\"}}}");
}

/* Both watches come in any order. */
static void accept_watches(void)
{
    for (int i = 0; i < 2; i++) {
        struct exchange *exchange = server_wait();

        if (asks_for(exchange, "GET", "/api/v1/nodes?"))
            node_watch = exchange;
        else if (asks_for(exchange, "GET", SELF "?"))
            own_watch = exchange;
        server_begin(exchange);
    }
    cr_assert(node_watch && own_watch);
}

static void setup(void)
{
    struct publisher_options options = {.ready = is_ready,
                                        .pace = pace,
                                        .describe = describe,
                                        .answered = on_answered};

    server_start();
    clock_set_source(&test_clock);
    server_connect(NULL);
    metrics = metrics_new(agent_metric_specs, AGENT_METRICS);
    records = records_new();
    node = node_new(client, NODE);
    options.client = client;
    options.node = node;
    options.metrics = metrics;
    publisher = publisher_new(&options);
    node_start(node);
    publisher_start(publisher);
    accept_watches();
}

static void teardown(void)
{
    publisher_free(publisher);
    node_free(node);
    records_free(records);
    metrics_free(metrics);
    server_stop();
}

TestSuite(publisher, .init = setup, .fini = teardown, .timeout = 60);

#define ENABLED "\"apparmor.io/enabled\":\"true\""
#define WEB "\"apparmor.io/profile-web\":\"true\""
#define EMPTY_OWN                                                                      \
    "{\"kind\":\"AppArmorNode\",\"apiVersion\":\"apparmor.io/v1alpha1\",\"metadata\":" \
    "{\"name\":\"" NODE "\",\"uid\":\"o1\",\"resourceVersion\":\"50\"}}"

static void begin(const char *labels)
{
    send_node("ADDED", 10, "u1", labels);
    send_bookmark(node_watch);
    send_own("ADDED", 20, "o1");
    send_bookmark(own_watch);
    own_read = expect("GET", SELF "/" NODE);
}

static void reply_own_read(void)
{
    server_reply(own_read ? own_read : expect("GET", SELF "/" NODE), 200, EMPTY_OWN);
    own_read = NULL;
}

/* The AppArmorNode is read and says all that there is to say. */
static void settle_status(void)
{
    struct exchange *exchange;

    reply_own_read();
    exchange = expect("PATCH", SELF "/" NODE "/status");
    server_reply(exchange, 200, EMPTY_OWN);
}

static struct record *want(const char *name, bool labelled)
{
    struct record *record = records_add(records, name);

    record->labelled = labelled;
    publisher_changed(publisher);
    return record;
}

static void fail_with(struct exchange *exchange, int status, const char *reason)
{
    _cleanup_free_ char *body = xasprintf("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":"
                                          "\"Failure\",\"reason\":\"%s\",\"code\":%d}",
                                          reason, status);

    server_reply(exchange, status, body);
}

/* Waits out what the publisher waits after a failure. */
static void after_back_off(void)
{
    ahead_ms += ATTEMPT_RETRY_MAX_MS;
    publisher_changed(publisher);
}

/* --- labels --- */

Test(publisher, what_a_watch_shows_is_no_proof_that_a_label_is_gone)
{
    struct exchange *exchange;

    begin(ENABLED);
    settle_status();
    RUN_UNTIL(publisher_has_published(publisher));
    /* Watches may be behind: another server's cache, or a slow stream. */
    cr_assert_not(publisher_label_gone(publisher, "web"));
    exchange = expect("GET", "/api/v1/nodes/" NODE);
    cr_assert_null(strstr(exchange->target, "resourceVersion"), "a consistent read");
    cr_assert_not(publisher_label_gone(publisher, "web"));
    reply_node(exchange, 11, ENABLED "," WEB);
    /* It was there, and goes now. */
    exchange = expect("PATCH", "/api/v1/nodes/" NODE);
    cr_assert_not_null(strstr(exchange->body, "\"apparmor.io/profile-web\":null"));
    cr_assert_not(publisher_label_gone(publisher, "web"));
    reply_node(exchange, 12, ENABLED);
    RUN_UNTIL(publisher_label_gone(publisher, "web"));
}

/* The server may have done what was asked, or do it yet. */
Test(publisher, after_a_lost_answer_the_node_is_read_again)
{
    struct exchange *exchange;

    begin("");
    exchange = expect("PATCH", "/api/v1/nodes/" NODE);
    reply_node(exchange, 11, ENABLED);
    settle_status();
    want("web", true);
    exchange = expect("PATCH", "/api/v1/nodes/" NODE);
    server_sendf(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
    RUN_UNTIL(uv_stream_get_write_queue_size((uv_stream_t *) &exchange->handle) == 0);
    server_cut(exchange);
    RUN_UNTIL(metrics_value(metrics, METRIC_API_WRITES, (const char *[]){"Node", RESULT_FAILURE}) ==
              1);
    want("web", false);
    cr_assert_not(publisher_label_gone(publisher, "web"));
    after_back_off();
    exchange = expect("GET", "/api/v1/nodes/" NODE);
    reply_node(exchange, 12, ENABLED "," WEB);
    exchange = expect("PATCH", "/api/v1/nodes/" NODE);
    cr_assert_not_null(strstr(exchange->body, "null"));
    reply_node(exchange, 13, ENABLED);
    RUN_UNTIL(publisher_label_gone(publisher, "web"));
}

Test(publisher, labels_that_the_server_refuses_are_not_published)
{
    struct exchange *exchange;

    begin("");
    exchange = expect("PATCH", "/api/v1/nodes/" NODE);
    fail_with(exchange, 403, "Forbidden");
    settle_status();
    RUN_UNTIL(metrics_value(metrics, METRIC_API_WRITES,
                            (const char *[]){"AppArmorNode", RESULT_SUCCESS}) == 1);
    publisher_changed(publisher);
    cr_assert_not(publisher_has_published(publisher));
    after_back_off();
    reply_node(expect("GET", "/api/v1/nodes/" NODE), 10, "");
    reply_node(expect("PATCH", "/api/v1/nodes/" NODE), 11, ENABLED);
    RUN_UNTIL(publisher_has_published(publisher));
}

/* A Node that was re-created: the uid in the patch makes the server refuse it. */
Test(publisher, a_conflict_is_cleared_up_by_reading_the_node)
{
    _cleanup_free_ char *other = node_json("Node", 30, "u2", "");
    struct exchange *exchange;

    begin("");
    exchange = expect("PATCH", "/api/v1/nodes/" NODE);
    cr_assert_not_null(strstr(exchange->body, "\"uid\":\"u1\""));
    fail_with(exchange, 409, "Conflict");
    settle_status();
    after_back_off();
    server_reply(expect("GET", "/api/v1/nodes/" NODE), 200, other);
    exchange = expect("PATCH", "/api/v1/nodes/" NODE);
    cr_assert_not_null(strstr(exchange->body, "\"uid\":\"u2\""));
    /* The news of the first one's end is none of the second's. */
    send_node("DELETED", 29, "u1", "");
    server_reply(exchange, 200, other);
    RUN_UNTIL(answers > 4 && node_object(node));
    cr_assert_str_eq(kube_object_uid(node_object(node)), "u2");
}

Test(publisher, a_late_answer_does_not_bring_back_a_deleted_node)
{
    struct exchange *exchange;
    unsigned before;

    begin("");
    exchange = expect("PATCH", "/api/v1/nodes/" NODE);
    send_node("DELETED", 12, "u1", "");
    RUN_UNTIL(!node_object(node));
    before = answers;
    reply_node(exchange, 11, ENABLED);
    RUN_UNTIL(answers > before);
    cr_assert_null(node_object(node));
}

/* --- AppArmorNode --- */

Test(publisher, a_status_that_the_server_refuses_is_tried_ever_less_often)
{
    struct exchange *exchange;

    begin(ENABLED);
    reply_own_read();
    for (int i = 0; i < 3; i++) {
        uint64_t began_ms, waited_ms;

        exchange = expect("PATCH", SELF "/" NODE "/status");
        fail_with(exchange, 422, "Invalid");
        began_ms = server_monotonic(NULL);
        /* What it says may be wrong because of what we believe to be there. */
        exchange = expect("GET", SELF "/" NODE);
        waited_ms = server_monotonic(NULL) - began_ms;
        cr_assert_geq(waited_ms, (UINT64_C(1000) << i) - 10);
        server_reply(exchange, 200, EMPTY_OWN);
    }
}

Test(publisher, an_object_that_goes_while_it_is_written_is_made_anew)
{
    struct exchange *exchange;

    begin(ENABLED);
    reply_own_read();
    exchange = expect("PATCH", SELF "/" NODE "/status");
    send_own("DELETED", 60, "o1");
    RUN_UNTIL(answers > 2);
    server_reply(exchange, 200, EMPTY_OWN);
    exchange = expect("POST", SELF);
    cr_assert_not_null(strstr(exchange->body, "\"uid\":\"u1\""));
    server_reply(exchange, 201, EMPTY_OWN);
    exchange = expect("PATCH", SELF "/" NODE "/status");
    cr_assert_not_null(strstr(exchange->body, "\"agentVersion\":\"v1\""), "all of it");
    server_reply(exchange, 200, EMPTY_OWN);
    RUN_UNTIL(publisher_has_published(publisher));
}

Test(publisher, an_object_that_was_replaced_is_read_again)
{
    begin(ENABLED);
    settle_status();
    RUN_UNTIL(publisher_has_published(publisher));
    send_own("MODIFIED", 61, "o2");
    settle_status();
}
