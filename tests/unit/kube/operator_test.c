// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/operator.h"

#include <errno.h>

#include "tests/unit/kube/scripted_server.h"

static const struct kube_resource things = {"test", "v1", "things", "Thing", true};
static const struct kube_resource owners = {"test", "v1", "owners", "Owner", false};

static struct kube_operator *op;
/* What was told, as words: "B" began, "w:key" work begins, "!key" failed, "E" ended. */
static struct buf story;
static struct error last, result;
/* The operations that a test ends itself. */
static struct kube_operation *held[4];
static unsigned held_count;
static bool hold, free_on_work, free_on_failure, free_on_began, stop_on_work;
static const char *expected_version;

static void on_work(void *userdata, struct kube_operation *operation)
{
    cr_assert_eq(userdata, &story);
    buf_addf(&story, "w:%s%s ", operation->key, operation->object ? "" : ":gone");
    cr_assert(kube_operator_active(op));
    if (expected_version)
        cr_assert_str_eq(kube_object_resource_version(operation->object), expected_version);
    if (free_on_work) {
        kube_operator_free(TAKE_PTR(op));
        return;
    }
    if (stop_on_work)
        kube_operator_stop(op);
    if (hold)
        held[held_count++] = operation;
    else
        kube_operation_done(operation);
}

static void on_began(void *userdata)
{
    (void) userdata;
    buf_addf(&story, "B ");
    if (free_on_began)
        kube_operator_free(TAKE_PTR(op));
}

static void on_failed(void *userdata, const char *key, const struct error *err)
{
    (void) userdata;
    cr_assert_lt(err->code, 0);
    buf_addf(&story, "!%s ", key ? key : "");
    error_copy(&last, err);
    if (free_on_failure)
        kube_operator_free(TAKE_PTR(op));
}

static void on_ended(void *userdata, const struct error *err)
{
    (void) userdata;
    buf_addf(&story, "E ");
    error_copy(&result, err);
}

static const struct kube_operator_options plain = {
    .objects = {.resource = &things, .ns = "space"},
    .reconcile = on_work,
    .max_active = 3,
    .began = on_began,
    .failed = on_failed,
    .userdata = &story,
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
    kube_operator_free(TAKE_PTR(op));
    buf_done(&story);
    error_done(&last);
    error_done(&result);
    server_stop();
}

TestSuite(operator, .init = set_up, .fini = tear_down, .timeout = 60);

/* Waits until the story is this, and forgets it. */
#define EXPECT_STORY(expected)                          \
    do {                                                \
        RUN_UNTIL(story.len >= strlen(expected));       \
        cr_assert_str_eq(buf_string(&story), expected); \
        buf_reset(&story);                              \
    } while (0)

static void turn(void)
{
    for (unsigned i = 0; i < 20; i++)
        uv_run(&server.loop, UV_RUN_NOWAIT);
}

static void make(const struct kube_operator_options *options)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(kube_operator_new(client, options, &op, &err), 0, "%s", error_message(&err));
}

#define THING(name, version)                                                       \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"space\",\"uid\":\"" name \
    "\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define INITIAL_END                                                                     \
    EVENT("BOOKMARK",                                                                   \
          "{\"metadata\":{\"resourceVersion\":\"9\",\"annotations\":{\"k8s.io/initial-" \
          "events-end\":\"true\"}}}")

/* The next request, which must be a watch of that collection with these objects in it. */
static struct exchange *serve_watch(const char *plural, const char *events)
{
    struct exchange *exchange = server_wait();

    cr_assert_not_null(strstr(exchange->target, plural), "%s", exchange->target);
    cr_assert_not_null(strstr(exchange->target, "sendInitialEvents=true"));
    server_begin(exchange);
    server_chunk_text(exchange, events);
    return exchange;
}

/* Works, without an election; a and b are there. */
static struct exchange *start(const struct kube_operator_options *options)
{
    struct exchange *watch;

    make(options);
    kube_operator_start(op, on_ended, NULL);
    watch = serve_watch("things", EVENT("ADDED", THING("a", "1")) EVENT("ADDED", THING("b", "2")));
    turn();
    cr_assert_eq(story.len, 0, "it does not know all yet");
    server_chunk_text(watch, INITIAL_END);
    return watch;
}

/* --- work ------------------------------------------------------------------------------------- */

Test(operator, each_object_is_worked_on_when_all_are_known_and_when_it_changes)
{
    struct exchange *watch = start(&plain);

    EXPECT_STORY("B w:space/a w:space/b ");
    server_chunk_text(watch, EVENT("MODIFIED", THING("b", "10")) EVENT("ADDED", THING("c", "11")));
    EXPECT_STORY("w:space/b w:space/c ");
    server_chunk_text(watch, EVENT("DELETED", THING("a", "12")));
    EXPECT_STORY("w:space/a:gone ");
    kube_operator_enqueue(op, "space", "b");
    cr_assert_eq(kube_operator_depth(op), 1);
    cr_assert_not_null(kube_informer_get(kube_operator_objects(op), "space", "b"));
    EXPECT_STORY("w:space/b ");
    cr_assert_null(kube_operator_lease(op));
    cr_assert_null(kube_operator_recorder(op));
}

Test(operator, an_operation_has_the_object_as_it_is_and_keeps_it)
{
    struct exchange *watch;

    hold = true;
    watch = start(&plain);
    EXPECT_STORY("B w:space/a w:space/b ");
    cr_assert_eq(held[0]->client, client);
    cr_assert_str_eq(held[0]->ns, "space");
    cr_assert_str_eq(held[0]->name, "a");
    server_chunk_text(watch,
                      EVENT("MODIFIED", THING("a", "10")) EVENT("MODIFIED", THING("a", "11")));
    turn();
    cr_assert_eq(story.len, 0, "two operations for one key");
    cr_assert_str_eq(kube_object_resource_version(held[0]->object), "1");
    expected_version = "11";
    kube_operation_done(held[0]);
    EXPECT_STORY("w:space/a ");
    kube_operation_done(held[1]);
    kube_operation_done(held[2]);
}

Test(operator, an_operation_may_fail_or_come_again)
{
    _cleanup_error_ struct error err = {0};

    hold = true;
    start(&plain);
    EXPECT_STORY("B w:space/a w:space/b ");
    error_set(&err, -EIO, "broken");
    kube_operation_failed(held[0], &err);
    EXPECT_STORY("!space/a w:space/a ");
    cr_assert_str_eq(error_message(&last), "broken");
    kube_operation_again(held[1], 1);
    EXPECT_STORY("w:space/b ");
    kube_operation_done(held[2]);
    kube_operation_done(held[3]);
}

Test(operator, the_answer_to_its_last_request_ends_an_operation)
{
    struct error conflict = {.code = -EBUSY, .http_status = 409, .reason = (char *) "Conflict"};
    struct error gone = {.code = -ENOENT, .http_status = 404, .reason = (char *) "NotFound"};
    struct error forbidden = {.code = -EPERM, .http_status = 403, .reason = (char *) "Forbidden"};
    const struct error fine = {0};

    hold = true;
    start(&plain);
    EXPECT_STORY("B w:space/a w:space/b ");
    kube_operation_answered(held[1], NULL, &fine);
    /* The informer's copy was old: nothing to tell. */
    kube_operation_answered(held[0], NULL, &conflict);
    EXPECT_STORY("w:space/a ");
    kube_operation_answered(held[2], NULL, &forbidden);
    EXPECT_STORY("!space/a w:space/a ");
    kube_operation_answered(held[3], NULL, &gone);
    turn();
    cr_assert_eq(story.len, 0);
    cr_assert_eq(kube_operator_depth(op), 0);
}

Test(operator, an_operation_may_end_with_a_patch_of_its_object)
{
    struct kube_operator_options options = plain;
    _cleanup_json_ cJSON *patch = cJSON_Parse("{\"a\":1}");
    struct exchange *exchange;

    options.field_manager = "me";
    hold = true;
    start(&options);
    EXPECT_STORY("B w:space/a w:space/b ");
    kube_operation_patch(held[0], NULL, patch);
    exchange = server_wait();
    cr_assert_str_eq(exchange->method, "PATCH");
    cr_assert_str_eq(exchange->target, "/apis/test/v1/namespaces/space/things/a?fieldManager=me");
    cr_assert_str_eq(exchange->body, "{\"a\":1}");
    server_reply(exchange, 500, "{}");
    EXPECT_STORY("!space/a w:space/a ");
    kube_operation_patch(held[1], "status", patch);
    exchange = server_wait();
    cr_assert_str_eq(exchange->target,
                     "/apis/test/v1/namespaces/space/things/b/status?fieldManager=me");
    server_reply(exchange, 200, "{}");
    RUN_UNTIL(kube_operator_depth(op) == 1);
    cr_assert_eq(story.len, 0);
}

/* --- other collections --------------------------------------------------------------------------
 */

/* An owner's uid is the name of a thing. */
static void map_owner(void *userdata, struct kube_operator *self, struct kube_object *object)
{
    cr_assert_eq(userdata, &story);
    cr_assert_eq(self, op);
    kube_operator_enqueue(self, "space", kube_object_uid(object));
}

#define OWNER(version, of) \
    "{\"metadata\":{\"name\":\"o\",\"uid\":\"" of "\",\"resourceVersion\":\"" version "\"}}"

Test(operator, what_depends_on_an_object_is_worked_on_when_that_changes)
{
    struct exchange *first, *second;

    make(&plain);
    kube_operator_follow(op, &(struct kube_informer_options){.resource = &owners}, map_owner);
    kube_operator_start(op, on_ended, NULL);
    first = serve_watch("things", EVENT("ADDED", THING("a", "1")) INITIAL_END);
    second = serve_watch("owners", EVENT("ADDED", OWNER("2", "x")));
    turn();
    cr_assert_eq(story.len, 0, "it does not know the second collection yet");
    server_chunk_text(second, INITIAL_END);
    EXPECT_STORY("B w:space/a w:space/x:gone ");
    server_chunk_text(second, EVENT("DELETED", OWNER("10", "x")) EVENT("ADDED", OWNER("11", "a")));
    EXPECT_STORY("w:space/x:gone w:space/a ");
    server_chunk_text(first, EVENT("MODIFIED", THING("a", "12")));
    EXPECT_STORY("w:space/a ");
}

/* --- the end ------------------------------------------------------------------------------------
 */

Test(operator, it_ends_when_what_is_under_way_has_ended_and_begins_nothing_new)
{
    struct exchange *watch;

    hold = true;
    watch = start(&plain);
    EXPECT_STORY("B w:space/a w:space/b ");
    kube_operator_stop(op);
    kube_operator_stop(op);
    server_chunk_text(watch, EVENT("ADDED", THING("c", "10")));
    kube_operation_done(held[1]);
    turn();
    cr_assert(kube_operator_active(op), "what is under way may go on");
    kube_operation_again(held[0], 1);
    cr_assert_eq(story.len, 0, "it ended from inside a call");
    EXPECT_STORY("E ");
    cr_assert_eq(result.code, 0, "%s", error_message(&result));
    cr_assert_not(kube_operator_active(op));
    turn();
    cr_assert_eq(story.len, 0);
}

Test(operator, it_waits_for_what_is_under_way_no_longer_than_its_grace)
{
    struct kube_operator_options options = plain;

    options.grace_ms = 20;
    hold = true;
    start(&options);
    EXPECT_STORY("B w:space/a w:space/b ");
    kube_operator_stop(op);
    kube_operation_done(held[0]);
    EXPECT_STORY("E ");
    cr_assert_eq(result.code, -ETIMEDOUT);
    cr_assert_not_null(strstr(result.message, "space/b"), "%s", result.message);
}

Test(operator, it_may_be_stopped_before_it_knows_anything_and_from_its_work)
{
    make(&plain);
    kube_operator_start(op, on_ended, NULL);
    kube_operator_stop(op);
    EXPECT_STORY("E ");
    cr_assert_eq(result.code, 0);
    kube_operator_free(TAKE_PTR(op));
    turn();
    stop_on_work = true;
    TAILQ_INIT(&server.unseen);
    start(&plain);
    EXPECT_STORY("B w:space/a E ");
    cr_assert_eq(result.code, 0);
}

Test(operator, its_last_events_are_written_before_it_ends)
{
    struct kube_operator_options options = plain;
    const struct kube_reference about = {"test/v1", "Thing", "space", "a", "1", NULL};
    struct exchange *exchange;

    options.events.component = "tester";
    start(&options);
    EXPECT_STORY("B w:space/a w:space/b ");
    kube_recorder_event(kube_operator_recorder(op), &about, KUBE_EVENT_NORMAL, "Done", "done");
    kube_operator_stop(op);
    exchange = server_wait();
    cr_assert_str_eq(exchange->method, "POST");
    cr_assert_not_null(strstr(exchange->target, "/events"));
    turn();
    cr_assert_eq(story.len, 0);
    server_reply(exchange, 201, "{\"metadata\":{\"name\":\"e\"}}");
    EXPECT_STORY("E ");
    cr_assert_eq(result.code, 0);
}

/* --- election -----------------------------------------------------------------------------------
 */

static void on_acquired(void *userdata)
{
    (void) userdata;
    buf_addf(&story, "L ");
}

static void on_lost(void *userdata, const struct error *err)
{
    (void) userdata;
    cr_assert_lt(err->code, 0);
    buf_addf(&story, "l ");
}

static struct kube_operator_options elected(void)
{
    struct kube_operator_options options = plain;

    options.lease = (struct kube_lease_options){
        .name = "lock",
        .identity = "me",
        .acquired = on_acquired,
        .lost = on_lost,
    };
    return options;
}

#define LEASE_OF(holder, version)                                                           \
    "{\"metadata\":{\"name\":\"lock\",\"resourceVersion\":\"" version "\"},\"spec\":{"      \
    "\"holderIdentity\":\"" holder "\",\"leaseDurationSeconds\":15,\"leaseTransitions\":1," \
    "\"acquireTime\":\"2026-01-01T00:00:00.000000Z\",\"renewTime\":\"2026-01-01T00:00:00."  \
    "000000Z\"}}"

static struct exchange *wait_lease(const char *method)
{
    struct exchange *exchange = server_wait();

    cr_assert_str_eq(exchange->method, method);
    /* The namespace of the kubeconfig. */
    cr_assert_not_null(strstr(exchange->target, "/namespaces/default/leases"), "%s",
                       exchange->target);
    return exchange;
}

/* Follows and does not lead yet; the first word of the Lease is to be given. */
static struct exchange *start_elected(const struct kube_operator_options *options)
{
    struct exchange *watch;

    make(options);
    kube_operator_start(op, on_ended, NULL);
    watch = serve_watch("things", EVENT("ADDED", THING("a", "1")) INITIAL_END);
    turn();
    cr_assert_eq(story.len, 0, "it works and does not lead");
    return watch;
}

static void take_lease(void)
{
    server_reply(wait_lease("GET"), 200, LEASE_OF("", "1"));
    server_reply(wait_lease("PATCH"), 200, LEASE_OF("me", "2"));
}

Test(operator, it_works_when_it_leads_and_leaves_the_lease_to_nobody)
{
    const struct kube_operator_options options = elected();
    struct exchange *exchange;

    start_elected(&options);
    take_lease();
    EXPECT_STORY("L B w:space/a ");
    cr_assert(kube_lease_is_leader(kube_operator_lease(op)));
    kube_operator_stop(op);
    server_reply(wait_lease("GET"), 200, LEASE_OF("me", "2"));
    exchange = wait_lease("PATCH");
    cr_assert_not_null(strstr(exchange->body, "\"holderIdentity\":\"\""), "%s", exchange->body);
    turn();
    cr_assert_eq(story.len, 0);
    server_reply(exchange, 200, LEASE_OF("", "3"));
    EXPECT_STORY("E ");
    cr_assert_eq(result.code, 0);
}

/* Another would work beside what is still under way. */
Test(operator, the_lease_is_kept_while_something_is_under_way)
{
    struct kube_operator_options options = elected();

    options.grace_ms = 20;
    hold = true;
    start_elected(&options);
    take_lease();
    EXPECT_STORY("L B w:space/a ");
    kube_operator_stop(op);
    EXPECT_STORY("E ");
    cr_assert_eq(result.code, -ETIMEDOUT);
    cr_assert(TAILQ_EMPTY(&server.unseen), "the Lease was given back");
}

Test(operator, who_loses_the_lease_ends)
{
    struct kube_operator_options options = elected();

    options.lease.renew_deadline_ms = 40;
    options.lease.retry_period_ms = 10;
    hold = true;
    start_elected(&options);
    take_lease();
    EXPECT_STORY("L B w:space/a ");
    /* The renewals are not answered. */
    RUN_UNTIL(strstr(buf_string(&story), "E "));
    cr_assert_str_eq(buf_string(&story) + story.len - strlen("l E "), "l E ");
    cr_assert_eq(result.code, -ETIMEDOUT, "%s", error_message(&result));
    cr_assert_not(kube_operator_active(op));
    /* What was under way may still end. */
    kube_operation_done(held[0]);
    turn();
}

Test(operator, an_election_that_cannot_be_is_refused)
{
    struct kube_operator_options options = elected();
    _cleanup_error_ struct error err = {0};

    options.lease.duration_s = 1;
    cr_assert_eq(kube_operator_new(client, &options, &op, &err), -EINVAL);
    cr_assert_null(op);
}

/* --- freeing ------------------------------------------------------------------------------------
 */

Test(operator, it_may_be_freed_from_its_work)
{
    free_on_work = true;
    start(&plain);
    EXPECT_STORY("B w:space/a ");
}

Test(operator, it_may_be_freed_when_it_begins)
{
    free_on_began = true;
    start(&plain);
    EXPECT_STORY("B ");
}

Test(operator, it_may_be_freed_when_something_fails)
{
    _cleanup_error_ struct error err = {0};

    free_on_failure = hold = true;
    start(&plain);
    EXPECT_STORY("B w:space/a w:space/b ");
    error_set(&err, -EIO, "broken");
    kube_operation_failed(held[0], &err);
    EXPECT_STORY("!space/a ");
    cr_assert_null(op);
    /* An informer's failure. */
    held_count = 0;
    make(&plain);
    kube_operator_start(op, on_ended, NULL);
    server_cut(server_wait());
    EXPECT_STORY("! ");
    cr_assert_null(op);
}

Test(operator, it_may_be_freed_at_any_time)
{
    kube_operator_free(NULL);
    make(&plain);
    kube_operator_free(TAKE_PTR(op));
    hold = true;
    start(&plain);
    EXPECT_STORY("B w:space/a w:space/b ");
    kube_operator_stop(op);
}

/* --- run ----------------------------------------------------------------------------------------
 */

static int signals[2];
static struct loop_timer *sender;

/* When the first work has begun. */
static void send_signals(void *userdata)
{
    (void) userdata;
    if (!strstr(buf_string(&story), "w:")) {
        loop_timer_start(sender, 2);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        if (signals[i] != 0)
            kill(getpid(), signals[i]);
}

/* The test's own side of the connection, while the operator turns the loop. */
static struct loop_timer *servant;

static void serve(void *userdata)
{
    struct exchange *exchange = TAILQ_FIRST(&server.unseen);

    (void) userdata;
    if (!exchange) {
        loop_timer_start(servant, 2);
        return;
    }
    TAILQ_REMOVE(&server.unseen, exchange, link);
    server_begin(exchange);
    server_chunk_text(exchange, EVENT("ADDED", THING("a", "1")) INITIAL_END);
}

static int run(int first, int second)
{
    int r;

    signals[0] = first;
    signals[1] = second;
    make(&plain);
    servant = loop_timer_new(&server.loop, serve, NULL);
    sender = loop_timer_new(&server.loop, send_signals, NULL);
    loop_timer_start(servant, 0);
    loop_timer_start(sender, 0);
    error_done(&result);
    r = kube_operator_run(op, &result);
    loop_timer_free(servant);
    loop_timer_free(sender);
    return r;
}

Test(operator, a_signal_ends_it_in_order)
{
    cr_assert_eq(run(SIGTERM, 0), 0, "%s", error_message(&result));
    cr_assert_str_eq(buf_string(&story), "B w:space/a ");
    kube_operator_free(TAKE_PTR(op));
    buf_reset(&story);
    cr_assert_eq(run(SIGINT, 0), 0, "%s", error_message(&result));
}

Test(operator, a_second_signal_does_not_wait)
{
    hold = true;
    cr_assert_eq(run(SIGTERM, SIGINT), -EINTR);
    cr_assert_not_null(strstr(result.message, "not in order"), "%s", result.message);
}
