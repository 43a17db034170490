// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/informer.h"

#include <errno.h>

#include "tests/unit/kube/scripted_server.h"

static const struct kube_resource things = {"test", "v1", "things", "Thing", false};

static struct kube_informer *informer;
/* What the handler was told, as words: "+a" added, "~a" updated, "-a" deleted, "S" synced, "!"
 * failed. */
static struct buf story;
static struct error last_error;
/* In whatever handler comes next, the informer goes, and perhaps the client. */
static bool free_on_next, free_client;

static void after_handler(void)
{
    if (free_on_next)
        kube_informer_free(TAKE_PTR(informer));
    if (free_client)
        kube_client_free(TAKE_PTR(client));
}

static void on_added(void *userdata, struct kube_object *object)
{
    (void) userdata;
    buf_addf(&story, "+%s ", kube_object_name(object));
    after_handler();
}

static void on_updated(void *userdata, struct kube_object *old, struct kube_object *object)
{
    (void) userdata;
    cr_assert_str_eq(kube_object_uid(old), kube_object_uid(object));
    buf_addf(&story, "~%s:%s>%s ", kube_object_name(object), kube_object_resource_version(old),
             kube_object_resource_version(object));
    after_handler();
}

static void on_deleted(void *userdata, struct kube_object *last, enum kube_delete_cause cause)
{
    static const char *const causes[] = {"event", "missed", "resource"};

    (void) userdata;
    buf_addf(&story, "-%s:%s ", kube_object_name(last), causes[cause]);
    after_handler();
}

static void on_synced(void *userdata)
{
    (void) userdata;
    cr_assert(kube_informer_synced(informer));
    buf_addf(&story, "S ");
    after_handler();
}

static void on_failed(void *userdata, const struct error *err)
{
    (void) userdata;
    cr_assert_lt(err->code, 0);
    buf_addf(&story, "! ");
    error_copy(&last_error, err);
    after_handler();
}

static const struct kube_handler handler = {
    .added = on_added,
    .updated = on_updated,
    .deleted = on_deleted,
    .synced = on_synced,
    .failed = on_failed,
};

static void set_up(void)
{
    server_start();
    server_no_jitter();
    server_connect(NULL);
    story = BUF_INIT(100000);
}

static void tear_down(void)
{
    kube_informer_free(TAKE_PTR(informer));
    buf_done(&story);
    error_done(&last_error);
    server_stop();
}

TestSuite(informer, .init = set_up, .fini = tear_down, .timeout = 60);

static void follow(struct kube_informer_options options)
{
    options.resource = &things;
    informer = kube_informer_new(client, &options);
    kube_informer_add_handler(informer, &handler);
    kube_informer_start(informer);
}

/* Waits until the story is this, and forgets it. */
#define EXPECT_STORY(expected)                          \
    do {                                                \
        RUN_UNTIL(story.len >= strlen(expected));       \
        cr_assert_str_eq(buf_string(&story), expected); \
        buf_reset(&story);                              \
    } while (0)

/* --- what the server says
 * -------------------------------------------------------------------------- */

static bool has_query(const struct exchange *exchange, const char *query)
{
    _cleanup_free_ char *first = xasprintf("?%s", query), *later = xasprintf("&%s", query);
    const char *at = strstr(exchange->target, first);

    if (!at)
        at = strstr(exchange->target, later);
    return at && (at[strlen(first)] == '\0' || at[strlen(first)] == '&');
}

static void expect_query(const struct exchange *exchange, const char *query)
{
    cr_assert(has_query(exchange, query), "%s lacks %s", exchange->target, query);
}

static void expect_no_query(const struct exchange *exchange, const char *word)
{
    cr_assert_null(strstr(exchange->target, word), "%s has %s", exchange->target, word);
}

static bool is_watch(const struct exchange *exchange)
{
    return has_query(exchange, "watch=true");
}

/* An item: name, uid and version. */
#define THING(name, uid, version)                                                                  \
    "{\"metadata\":{\"name\":\"" name "\",\"uid\":\"" uid "\",\"resourceVersion\":\"" version "\"" \
    "}}"
#define LIST(version, items)                                                                       \
    "{\"kind\":\"ThingList\",\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items \
    "]}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define STATUS(code, reason)                                                                     \
    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"" reason "\",\"message\":\"" reason \
    "\",\"code\":" code "}"
#define INITIAL_END(version)                                          \
    EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"" version \
                      "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}")
#define BOOKMARK(version) EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"" version "\"}}")

/* A server that does not know WatchList. */
static struct exchange *wait_list(void)
{
    struct exchange *exchange = server_wait();

    if (has_query(exchange, "sendInitialEvents=true")) {
        server_reply(exchange, 422, STATUS("422", "Invalid"));
        exchange = server_wait();
    }
    cr_assert_not(is_watch(exchange), "%s is no list", exchange->target);
    return exchange;
}

static struct exchange *wait_watch(void)
{
    struct exchange *exchange = server_wait();

    cr_assert(is_watch(exchange), "%s is no watch", exchange->target);
    expect_no_query(exchange, "sendInitialEvents");
    return exchange;
}

/* Synchronised through a list of a and b at version 5; returns the watch that follows, begun. */
static struct exchange *synchronise(void)
{
    struct exchange *exchange;

    follow((struct kube_informer_options){0});
    server_reply(wait_list(), 200, LIST("5", THING("a", "1", "3") "," THING("b", "2", "4")));
    EXPECT_STORY("+a +b S ");
    exchange = wait_watch();
    expect_query(exchange, "resourceVersion=5");
    server_begin(exchange);
    return exchange;
}

/* --- WatchList
 * ------------------------------------------------------------------------------------- */

Test(informer, a_watch_list_fills_the_store_before_anything_is_told)
{
    struct exchange *exchange;

    follow((struct kube_informer_options){0});
    exchange = server_wait();
    expect_query(exchange, "watch=true");
    expect_query(exchange, "sendInitialEvents=true");
    expect_query(exchange, "resourceVersionMatch=NotOlderThan");
    expect_query(exchange, "allowWatchBookmarks=true");
    expect_query(exchange, "timeoutSeconds=300");
    expect_no_query(exchange, "resourceVersion=");
    server_begin(exchange);
    server_chunk_text(exchange, EVENT("ADDED", THING("a", "1", "3")));
    server_chunk_text(exchange, EVENT("ADDED", THING("b", "2", "4")) BOOKMARK("4"));
    for (unsigned i = 0; i < 20; i++)
        uv_run(&server.loop, UV_RUN_NOWAIT);
    cr_assert_eq(story.len, 0);
    cr_assert_not(kube_informer_synced(informer));
    server_chunk_text(exchange, INITIAL_END("5") EVENT("ADDED", THING("c", "3", "6")));
    EXPECT_STORY("+a +b S +c ");
    cr_assert(kube_informer_synced(informer));
    cr_assert(kube_informer_connected(informer));
    cr_assert_eq(kube_informer_size(informer), 3);
    cr_assert_not_null(kube_informer_get(informer, NULL, "c"));
    cr_assert_null(kube_informer_get(informer, NULL, "d"));
    /* The same watch goes on, and the next one from its last version. */
    server_end(exchange);
    exchange = wait_watch();
    expect_query(exchange, "resourceVersion=6");
}

Test(informer, a_watch_list_that_ends_early_is_followed_by_a_list)
{
    struct exchange *exchange;

    follow((struct kube_informer_options){0});
    exchange = server_wait();
    server_begin(exchange);
    server_chunk_text(exchange, EVENT("ADDED", THING("a", "1", "3")));
    server_end(exchange);
    exchange = server_wait();
    cr_assert_not(is_watch(exchange));
    expect_query(exchange, "resourceVersion=0");
    server_reply(exchange, 200, LIST("5", THING("b", "2", "4")));
    EXPECT_STORY("+b S ");
}

/* --- list
 * ------------------------------------------------------------------------------------------ */

Test(informer, the_first_list_may_be_of_any_version_and_comes_in_pages)
{
    struct exchange *exchange;

    follow((struct kube_informer_options){.label_selector = "a=b", .field_selector = "c=d"});
    exchange = wait_list();
    expect_query(exchange, "resourceVersion=0");
    expect_query(exchange, "limit=500");
    expect_query(exchange, "labelSelector=a%3Db");
    expect_query(exchange, "fieldSelector=c%3Dd");
    server_reply(exchange, 200,
                 "{\"metadata\":{\"resourceVersion\":\"5\",\"continue\":\"x\"},\"items\":[" THING(
                     "a", "1", "3") "]}");
    exchange = server_wait();
    expect_query(exchange, "continue=x");
    cr_assert_eq(story.len, 0);
    server_reply(exchange, 200, LIST("5", THING("b", "2", "4")));
    EXPECT_STORY("+a +b S ");
    exchange = wait_watch();
    expect_query(exchange, "labelSelector=a%3Db");
    expect_query(exchange, "fieldSelector=c%3Dd");
}

Test(informer, pages_that_expire_are_read_again_as_one_list)
{
    struct exchange *exchange;

    follow((struct kube_informer_options){0});
    server_reply(wait_list(), 200,
                 "{\"metadata\":{\"resourceVersion\":\"5\",\"continue\":\"x\"},\"items\":[" THING(
                     "gone", "1", "3") "]}");
    server_reply(server_wait(), 410, STATUS("410", "Expired"));
    exchange = server_wait();
    expect_no_query(exchange, "limit");
    expect_no_query(exchange, "resourceVersion");
    server_reply(exchange, 200, LIST("9", THING("b", "2", "4")));
    EXPECT_STORY("! +b S ");
}

Test(informer, a_list_that_breaks_leaves_no_trace)
{
    struct exchange *exchange;

    follow((struct kube_informer_options){0});
    exchange = wait_list();
    server_begin(exchange);
    server_chunk_text(exchange, "{\"items\":[" THING("x", "1", "3") ",");
    RUN_UNTIL(exchange->handle.write_queue_size == 0);
    server_cut(exchange);
    EXPECT_STORY("! ");
    cr_assert(kube_error_is_transport(&last_error));
    cr_assert_not(kube_informer_connected(informer));
    server_reply(wait_list(), 200, LIST("5", THING("a", "1", "3")));
    EXPECT_STORY("+a S ");
}

Test(informer, a_version_the_server_does_not_have_yet_is_not_insisted_on)
{
    struct exchange *exchange = synchronise();

    server_chunk_text(exchange, EVENT("ERROR", STATUS("410", "Expired")));
    EXPECT_STORY("");
    exchange = server_wait();
    cr_assert_not(is_watch(exchange));
    expect_query(exchange, "resourceVersion=5");
    server_reply(exchange, 504,
                 "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"Timeout\",\"details\":"
                 "{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]},\"code\":504}");
    exchange = server_wait();
    expect_no_query(exchange, "resourceVersion");
    server_reply(exchange, 200, LIST("2", THING("a", "1", "3") "," THING("b", "2", "4")));
    exchange = wait_watch();
    expect_query(exchange, "resourceVersion=2");
}

/* --- watch
 * ----------------------------------------------------------------------------------------- */

Test(informer, events_change_the_store_and_are_told_once)
{
    struct exchange *exchange = synchronise();

    server_chunk_text(exchange, EVENT("MODIFIED", THING("a", "1", "6")));
    server_chunk_text(exchange, EVENT("MODIFIED", THING("a", "1", "6")));
    server_chunk_text(exchange, EVENT("DELETED", THING("b", "2", "7")));
    server_chunk_text(exchange, EVENT("DELETED", THING("b", "2", "7")));
    server_chunk_text(exchange, EVENT("ADDED", THING("c", "3", "8")));
    EXPECT_STORY("~a:3>6 -b:event +c ");
    cr_assert_eq(kube_informer_size(informer), 2);
}

Test(informer, an_object_that_took_anothers_name_is_another_object)
{
    struct exchange *exchange = synchronise();

    server_chunk_text(exchange, EVENT("ADDED", THING("a", "9", "6")));
    EXPECT_STORY("-a:missed +a ");
}

Test(informer, events_may_come_in_any_pieces)
{
    static const char text[] = EVENT("MODIFIED", THING("a", "1", "6"))
        EVENT("ADDED", THING("\\u00e9\\\\\\\"}", "7", "7")) EVENT("DELETED", THING("b", "2", "8"));
    struct exchange *exchange = synchronise();

    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        server_chunk(exchange, text + i, 1);
        uv_run(&server.loop, UV_RUN_NOWAIT);
    }
    EXPECT_STORY("~a:3>6 +\xc3\xa9\\\"} -b:event ");
}

Test(informer, a_watch_that_ends_in_order_goes_on_from_its_bookmark)
{
    struct exchange *exchange = synchronise();

    server_chunk_text(exchange, BOOKMARK("77"));
    server_end(exchange);
    exchange = wait_watch();
    expect_query(exchange, "resourceVersion=77");
    cr_assert_eq(story.len, 0);
    cr_assert(kube_informer_connected(informer));
}

Test(informer, a_watch_that_breaks_goes_on_without_a_list)
{
    struct exchange *exchange = synchronise();

    server_chunk_text(exchange, EVENT("MODIFIED", THING("a", "1", "6")));
    EXPECT_STORY("~a:3>6 ");
    server_reset(exchange);
    EXPECT_STORY("! ");
    cr_assert(kube_error_is_transport(&last_error));
    cr_assert_not(kube_informer_connected(informer));
    exchange = wait_watch();
    expect_query(exchange, "resourceVersion=6");
    server_begin(exchange);
    RUN_UNTIL(kube_informer_connected(informer));
}

Test(informer, a_watch_cut_inside_an_event_loses_nothing)
{
    struct exchange *exchange = synchronise();

    server_chunk_text(exchange, EVENT("MODIFIED", THING("a", "1", "6")) "{\"type\":\"MODI");
    EXPECT_STORY("~a:3>6 ");
    server_end(exchange);
    EXPECT_STORY("! ");
    exchange = wait_watch();
    expect_query(exchange, "resourceVersion=6");
}

Test(informer, a_busy_server_is_asked_again_for_the_same_watch)
{
    struct exchange *exchange = synchronise();

    server_chunk_text(exchange, BOOKMARK("6"));
    server_end(exchange);
    exchange = wait_watch();
    server_reply(exchange, 429, STATUS("429", "TooManyRequests"));
    EXPECT_STORY("! ");
    cr_assert(kube_error_is_throttled(&last_error));
    exchange = wait_watch();
    expect_query(exchange, "resourceVersion=6");
}

Test(informer, a_short_watch_without_events_is_an_error)
{
    struct exchange *exchange = synchronise();

    server_end(exchange);
    EXPECT_STORY("! ");
    exchange = server_wait();
    cr_assert_not(is_watch(exchange), "a list must follow");
}

static uint64_t standstill(void *userdata)
{
    (void) userdata;
    return 1000000;
}

/* However slow this machine is, each watch is a short one. */
static void stop_clock(void)
{
    static const struct clock_source source = {
        .monotonic_ms = standstill,
        .realtime_ms = server_realtime,
        .random = server_random,
    };

    clock_set_source(&source);
}

/* The same would come again, so that no watch from this version would ever get further. */
Test(informer, an_event_that_makes_no_sense_is_an_error_that_a_list_follows)
{
    static const char *const events[] = {
        "<html>",
        "[]",
        "{\"type\":\"SURPRISE\",\"object\":{}}",
        "{\"type\":\"ADDED\"}",
        "{\"type\":\"ADDED\",\"object\":[]}",
        "{\"type\":\"ADDED\",\"object\":{1:2}}",
        "{\"object\":" THING("x", "1", "6") "}",
        EVENT("ERROR", "{\"kind\":\"Status\",\"code\":\"none\"}"),
        EVENT("ERROR", STATUS("500", "InternalError")),
        "{\"type\":\"ADDED\",\"obj",
    };
    struct exchange *exchange;

    stop_clock();
    exchange = synchronise();
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        server_chunk_text(exchange, events[i]);
        server_end(exchange);
        EXPECT_STORY("! ");
        cr_assert_not(kube_informer_connected(informer));
        exchange = server_wait();
        cr_assert_not(is_watch(exchange), "%s is followed by a watch", events[i]);
        expect_query(exchange, "resourceVersion=5");
        server_reply(exchange, 200, LIST("5", THING("a", "1", "3") "," THING("b", "2", "4")));
        exchange = wait_watch();
        server_begin(exchange);
    }
}

Test(informer, a_watch_that_breaks_twice_at_the_same_place_is_followed_by_a_list)
{
    struct exchange *exchange;

    stop_clock();
    exchange = synchronise();
    server_chunk_text(exchange, EVENT("MODIFIED", THING("a", "1", "6")) "{\"type\":\"MODI");
    EXPECT_STORY("~a:3>6 ");
    server_reset(exchange);
    EXPECT_STORY("! ");
    exchange = wait_watch();
    expect_query(exchange, "resourceVersion=6");
    server_begin(exchange);
    server_chunk_text(exchange, BOOKMARK("6") "{\"type\":\"MODI");
    RUN_UNTIL(kube_informer_connected(informer));
    server_reset(exchange);
    EXPECT_STORY("! ");
    exchange = server_wait();
    cr_assert_not(is_watch(exchange));
    server_reply(exchange, 200, LIST("7", THING("a", "1", "7") "," THING("b", "2", "4")));
    EXPECT_STORY("~a:6>7 ");
}

Test(informer, initial_events_that_break_off_are_followed_by_a_list)
{
    struct exchange *exchange;

    follow((struct kube_informer_options){0});
    exchange = server_wait();
    expect_query(exchange, "sendInitialEvents=true");
    server_begin(exchange);
    server_chunk_text(exchange, EVENT("ADDED", THING("a", "1", "3")) "{\"type\":\"ADD");
    RUN_UNTIL(exchange->handle.write_queue_size == 0);
    server_cut(exchange);
    EXPECT_STORY("! ");
    exchange = server_wait();
    cr_assert_not(is_watch(exchange));
    server_reply(exchange, 200, LIST("5", THING("b", "2", "4")));
    EXPECT_STORY("+b S ");
}

/* An eighth of each step of the back-off. */
static uint64_t eighth(void *userdata)
{
    (void) userdata;
    return UINT64_C(1) << 61;
}

/* The back-off grows although a list and the beginning of a watch succeed each time. */
Test(informer, an_event_that_never_makes_sense_is_met_ever_more_slowly)
{
    static const struct clock_source source = {
        .monotonic_ms = server_monotonic,
        .realtime_ms = server_realtime,
        .random = eighth,
    };
    struct exchange *exchange = synchronise();

    clock_set_source(&source);
    for (uint64_t step = 100; step <= 800; step *= 2) {
        uint64_t began = server_monotonic(NULL);

        server_chunk_text(exchange, BOOKMARK("6") "{\"type\":\"SURPRISE\",\"object\":{}}");
        exchange = server_wait();
        cr_assert_not(is_watch(exchange));
        cr_assert_geq(server_monotonic(NULL) - began, step - 1);
        server_reply(exchange, 200, LIST("5", THING("a", "1", "3") "," THING("b", "2", "4")));
        exchange = wait_watch();
        server_begin(exchange);
    }
    EXPECT_STORY("! ! ! ! ");
}

Test(informer, a_version_that_is_always_forgotten_is_met_ever_more_slowly)
{
    static const struct clock_source source = {
        .monotonic_ms = server_monotonic,
        .realtime_ms = server_realtime,
        .random = eighth,
    };
    struct exchange *exchange = synchronise();

    clock_set_source(&source);
    for (uint64_t step = 100; step <= 400; step *= 2) {
        uint64_t began = server_monotonic(NULL);

        server_chunk_text(exchange, BOOKMARK("6") EVENT("ERROR", STATUS("410", "Expired")));
        exchange = server_wait();
        cr_assert_not(is_watch(exchange));
        cr_assert_geq(server_monotonic(NULL) - began, step - 1);
        server_reply(exchange, 200, LIST("5", THING("a", "1", "3") "," THING("b", "2", "4")));
        exchange = wait_watch();
        server_begin(exchange);
    }
    EXPECT_STORY("! ! ! ");
}

/* --- what was missed
 * -------------------------------------------------------------------------------- */

Test(informer, after_410_the_difference_is_told)
{
    struct exchange *exchange = synchronise();

    server_chunk_text(exchange, BOOKMARK("6") EVENT("ERROR", STATUS("410", "Expired")));
    exchange = server_wait();
    cr_assert_not(is_watch(exchange));
    expect_query(exchange, "resourceVersion=6");
    expect_query(exchange, "resourceVersionMatch=NotOlderThan");
    expect_no_query(exchange, "limit");
    server_reply(exchange, 200, LIST("20", THING("a", "1", "15") "," THING("c", "3", "16")));
    EXPECT_STORY("! -b:missed ~a:3>15 +c ");
    cr_assert_eq(kube_informer_size(informer), 2);
}

Test(informer, a_list_that_changes_nothing_tells_nothing)
{
    struct exchange *exchange = synchronise();

    server_chunk_text(exchange, BOOKMARK("6") EVENT("ERROR", STATUS("410", "Expired")));
    server_reply(server_wait(), 200, LIST("20", THING("b", "2", "4") "," THING("a", "1", "3")));
    exchange = wait_watch();
    EXPECT_STORY("! ");
}

Test(informer, what_goes_with_its_resource_is_told_apart)
{
    struct exchange *exchange = synchronise();

    server_chunk_text(exchange, BOOKMARK("6"));
    server_end(exchange);
    server_reply(wait_watch(), 404, "404 page not found\n");
    EXPECT_STORY("! ");
    cr_assert(kube_error_is_not_found(&last_error));
    cr_assert(kube_informer_resource_was_missing(informer));
    cr_assert_not(kube_informer_connected(informer));
    server_reply(wait_list(), 404, STATUS("404", "NotFound"));
    EXPECT_STORY("! ");
    cr_assert_eq(kube_informer_size(informer), 2);
    /* A list that fails in between takes nothing back. */
    server_reply(wait_list(), 500, STATUS("500", "InternalError"));
    EXPECT_STORY("! ");
    server_reply(wait_list(), 200, LIST("30", THING("b", "2", "4")));
    EXPECT_STORY("-a:resource ");
    /* Only the first list after it is in doubt. */
    exchange = wait_watch();
    server_begin(exchange);
    server_chunk_text(exchange, BOOKMARK("31") EVENT("ERROR", STATUS("410", "Expired")));
    server_reply(wait_list(), 200, LIST("40", ""));
    EXPECT_STORY("! -b:missed ");
    cr_assert(kube_informer_resource_was_missing(informer));
}

Test(informer, an_object_too_large_is_not_taken_for_deleted)
{
    const struct kube_client_options options = {.response_max = 200};
    struct exchange *exchange;
    _cleanup_free_ char *big =
        xasprintf("{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" THING(
                      "b", "2",
                      "4") ",{\"metadata\":{\"name\":\"a\",\"uid\":\"1\"},\"x\":\"%0300d\"}]}",
                  1);
    _cleanup_free_ char *event = xasprintf(EVENT("ADDED", "{\"x\":\"%0300d\"}"), 1);

    kube_client_free(TAKE_PTR(client));
    server_connect(&options);
    exchange = synchronise();
    server_chunk_text(exchange, BOOKMARK("6") EVENT("ERROR", STATUS("410", "Expired")));
    server_reply(server_wait(), 200, big);
    EXPECT_STORY("! ! ");
    cr_assert_eq(last_error.code, -EFBIG);
    exchange = wait_watch();
    expect_query(exchange, "resourceVersion=9");
    cr_assert_eq(kube_informer_size(informer), 2);
    server_begin(exchange);
    server_chunk_text(exchange, event);
    EXPECT_STORY("! ");
    server_chunk_text(exchange, EVENT("MODIFIED", THING("a", "1", "12")));
    EXPECT_STORY("~a:3>12 ");
}

/* --- options
 * --------------------------------------------------------------------------------------- */

static cJSON *keep_name_only(void *userdata, cJSON *object)
{
    cJSON_DeleteItemFromObject(object, "spec");
    ++*(unsigned *) userdata;
    return object;
}

Test(informer, a_projection_decides_what_is_kept)
{
    unsigned calls = 0;
    struct exchange *exchange;

    follow((struct kube_informer_options){.project = keep_name_only, .project_userdata = &calls});
    server_reply(wait_list(), 200,
                 LIST("5", "{\"metadata\":{\"name\":\"a\",\"uid\":\"1\",\"resourceVersion\":\"1\"},"
                           "\"spec\":{},\"rest\":1}"));
    EXPECT_STORY("+a S ");
    cr_assert_eq(calls, 1);
    exchange = wait_watch();
    server_begin(exchange);
    server_chunk_text(exchange,
                      EVENT("MODIFIED", "{\"metadata\":{\"name\":\"a\",\"uid\":\"1\","
                                        "\"resourceVersion\":\"2\"},\"spec\":{},\"rest\":2}"));
    EXPECT_STORY("~a:1>2 ");
    cr_assert_eq(calls, 2);
    const cJSON *json = kube_object_json(kube_informer_get(informer, NULL, "a"));
    cr_assert_null(json_get(json, "spec"));
    cr_assert_not_null(json_get(json, "rest"));
}

Test(informer, managed_fields_are_not_kept)
{
    follow((struct kube_informer_options){0});
    server_reply(wait_list(), 200,
                 LIST("5", "{\"metadata\":{\"name\":\"a\",\"managedFields\":[{}]},\"spec\":{}}"));
    EXPECT_STORY("+a S ");
    const cJSON *json = kube_object_json(kube_informer_get(informer, NULL, "a"));
    cr_assert_null(json_get(json, "metadata", "managedFields"));
    cr_assert_not_null(json_get(json, "spec"));
}

Test(informer, metadata_only_is_asked_for_in_lists_and_watches)
{
    struct exchange *exchange;

    follow((struct kube_informer_options){.metadata_only = true});
    exchange = wait_list();
    cr_assert_not_null(strstr(exchange->head, "Accept: application/json;as=PartialObjectMetadata"
                                              "List;g=meta.k8s.io;v=v1,application/json\r\n"));
    server_reply(exchange, 200, LIST("5", ""));
    EXPECT_STORY("S ");
    exchange = wait_watch();
    cr_assert_not_null(strstr(exchange->head, "Accept: application/json;as=PartialObjectMetadata;"
                                              "g=meta.k8s.io;v=v1,application/json\r\n"));
}

static void count(void *userdata, struct kube_object *object)
{
    (void) object;
    ++*(unsigned *) userdata;
}

Test(informer, several_handlers_see_the_same)
{
    const struct kube_informer_options options = {.resource = &things};
    unsigned seen = 0, each = 0;
    const struct kube_handler counting = {.added = count, .userdata = &seen};

    informer = kube_informer_new(client, &options);
    kube_informer_add_handler(informer, &counting);
    kube_informer_add_handler(informer, &handler);
    kube_informer_start(informer);
    server_reply(wait_list(), 200, LIST("5", THING("a", "1", "3") "," THING("b", "2", "4")));
    EXPECT_STORY("+a +b S ");
    cr_assert_eq(seen, 2);
    kube_informer_each(informer, count, &each);
    cr_assert_eq(each, 2);
}

/* --- freeing
 * --------------------------------------------------------------------------------------- */

Test(informer, it_may_be_freed_from_added)
{
    free_on_next = true;
    follow((struct kube_informer_options){0});
    server_reply(wait_list(), 200, LIST("5", THING("a", "1", "3") "," THING("b", "2", "4")));
    EXPECT_STORY("+a ");
    cr_assert_null(informer);
}

Test(informer, it_may_be_freed_from_synced)
{
    free_on_next = true;
    follow((struct kube_informer_options){0});
    server_reply(wait_list(), 200, LIST("5", ""));
    EXPECT_STORY("S ");
}

Test(informer, it_may_be_freed_from_updated_and_deleted)
{
    struct exchange *exchange = synchronise();

    free_on_next = true;
    server_chunk_text(exchange, EVENT("MODIFIED", THING("a", "1", "6"))
                                    EVENT("DELETED", THING("b", "2", "7")));
    EXPECT_STORY("~a:3>6 ");
    server_cut(exchange);
    free_on_next = false;
    exchange = synchronise();
    free_on_next = true;
    server_chunk_text(exchange, EVENT("DELETED", THING("b", "2", "7"))
                                    EVENT("DELETED", THING("a", "1", "8")));
    EXPECT_STORY("-b:event ");
}

Test(informer, it_may_be_freed_from_deleted_in_a_replacement)
{
    struct exchange *exchange = synchronise();

    server_chunk_text(exchange, BOOKMARK("6") EVENT("ERROR", STATUS("410", "Expired")));
    EXPECT_STORY("! ");
    free_on_next = true;
    server_reply(server_wait(), 200, LIST("20", THING("c", "3", "16")));
    EXPECT_STORY("-a:missed ");
}

Test(informer, it_may_be_freed_from_failed)
{
    free_on_next = true;
    follow((struct kube_informer_options){0});
    server_reply(wait_list(), 500, STATUS("500", "InternalError"));
    EXPECT_STORY("! ");
}

Test(informer, it_may_be_freed_in_the_initial_events)
{
    struct exchange *exchange;

    follow((struct kube_informer_options){0});
    exchange = server_wait();
    server_begin(exchange);
    server_chunk_text(exchange, EVENT("ADDED", THING("a", "1", "3")) INITIAL_END("5")
                                    EVENT("ADDED", THING("c", "3", "6")));
    free_on_next = true;
    EXPECT_STORY("+a ");
}

Test(informer, it_may_be_freed_before_it_is_started_and_while_it_waits)
{
    const struct kube_informer_options options = {.resource = &things};

    kube_informer_free(kube_informer_new(client, &options));
    kube_informer_free(NULL);
    follow((struct kube_informer_options){0});
    kube_informer_free(TAKE_PTR(informer));
    follow((struct kube_informer_options){0});
    server_reply(wait_list(), 500, STATUS("500", "InternalError"));
    EXPECT_STORY("! ");
}

Test(informer, client_and_informer_may_both_go_in_a_handler)
{
    struct exchange *exchange = synchronise();

    free_on_next = free_client = true;
    server_chunk_text(exchange, EVENT("DELETED", THING("b", "2", "7"))
                                    EVENT("DELETED", THING("a", "1", "8")));
    EXPECT_STORY("-b:event ");
    cr_assert_null(client);
}
