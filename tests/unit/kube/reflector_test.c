// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/reflector.h"

#include "tests/unit/kube/scripted_server.h"

/* What needs other limits than an informer gives; the rest is in informer_test.c. */
static const struct kube_resource things = {"test", "v1", "things", "Thing", false};

static struct reflector *reflector;
static unsigned replaced, failed, changed;
static size_t size;

static struct kube_object *on_prepare(void *userdata, cJSON *json)
{
    (void) userdata;
    return kube_object_new(json);
}

static void on_replace(void *userdata, struct store *fresh, bool was_missing, bool incomplete)
{
    (void) userdata;
    (void) was_missing;
    (void) incomplete;
    replaced++;
    size = store_size(fresh);
    store_free(fresh);
}

static void on_change(void *userdata, enum watch_event type, struct kube_object *object)
{
    (void) userdata;
    (void) type;
    (void) object;
    changed++;
}

static void on_failed(void *userdata, const struct error *err)
{
    (void) userdata;
    (void) err;
    failed++;
}

static void start(uint64_t initial_events_ms)
{
    const struct reflector_options options = {
        .resource = &things,
        .initial_events_ms = initial_events_ms,
    };
    const struct reflector_hooks hooks = {on_prepare, on_replace, on_change, on_failed, NULL};

    server_start();
    server_no_jitter();
    server_connect(NULL);
    reflector = reflector_new(client, &options, &hooks);
    reflector_start(reflector);
}

static void tear_down(void)
{
    reflector_free(TAKE_PTR(reflector));
    server_stop();
}

TestSuite(reflector, .fini = tear_down, .timeout = 60);

#define THING(name) "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"3\"}}"
#define ADDED(name) "{\"type\":\"ADDED\",\"object\":" THING(name) "}\n"

/* A server that takes the question for an ordinary watch. */
Test(reflector, initial_events_that_have_no_end_are_replaced_by_a_list)
{
    struct exchange *exchange;

    start(200);
    exchange = server_wait();
    cr_assert_not_null(strstr(exchange->target, "sendInitialEvents=true"));
    server_begin(exchange);
    server_chunk_text(exchange, ADDED("a") ADDED("b"));
    exchange = server_wait();
    cr_assert_null(strstr(exchange->target, "watch="));
    cr_assert_eq(replaced, 0);
    server_reply(exchange, 200,
                 "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[" THING("a") "]}");
    RUN_UNTIL(replaced == 1);
    cr_assert_eq(size, 1);
    exchange = server_wait();
    cr_assert_not_null(strstr(exchange->target, "resourceVersion=5"));
    cr_assert_eq(changed, 0, "what the first watch brought is forgotten");
}

Test(reflector, the_limit_is_for_the_initial_events_alone)
{
    struct exchange *exchange;
    uint64_t begin;

    start(200);
    exchange = server_wait();
    server_begin(exchange);
    server_chunk_text(
        exchange,
        ADDED("a") "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"5\","
                   "\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n");
    RUN_UNTIL(replaced == 1);
    begin = clock_monotonic_ms();
    RUN_UNTIL(clock_monotonic_ms() - begin > 400);
    server_chunk_text(exchange, ADDED("b"));
    RUN_UNTIL(changed == 1);
    cr_assert_eq(failed, 0);
    cr_assert(TAILQ_EMPTY(&server.unseen));
}
