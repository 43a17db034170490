// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/lease.h"

#include <errno.h>

#include "lib/kube/lease_record.h"
#include "tests/unit/kube/scripted_server.h"

/* --- time that the test moves ------------------------------------------------------------------
 */

static uint64_t ahead_ms;

static uint64_t test_monotonic(void *userdata)
{
    return server_monotonic(userdata) + ahead_ms;
}

static const struct clock_source test_clock = {
    .monotonic_ms = test_monotonic,
    .realtime_ms = server_realtime,
    .random = server_random,
};

/* --- a lease and what it tells ------------------------------------------------------------------
 */

struct story {
    unsigned acquired, lost, failed, observed, released;
    struct error why_lost, failure, release;
    char *holder;
};

static struct kube_lease *lease;
static struct story story;

static void on_acquired(void *userdata)
{
    struct story *into = userdata;

    cr_assert(kube_lease_is_leader(lease));
    into->acquired++;
}

static void on_lost(void *userdata, const struct error *err)
{
    struct story *into = userdata;

    cr_assert_not(kube_lease_is_leader(lease));
    into->lost++;
    error_copy(&into->why_lost, err);
}

static void on_failed(void *userdata, const struct error *err)
{
    struct story *into = userdata;

    into->failed++;
    error_copy(&into->failure, err);
}

static void on_observed(void *userdata, const char *holder)
{
    struct story *into = userdata;

    into->observed++;
    free(into->holder);
    into->holder = xstrdup(holder);
}

static void on_released(void *userdata, const struct error *err)
{
    struct story *into = userdata;

    into->released++;
    error_copy(&into->release, err);
}

static struct kube_lease_options lease_options(void)
{
    return (struct kube_lease_options){
        .ns = "ns",
        .name = "l",
        .identity = "me",
        .retry_period_ms = 10,
        .acquired = on_acquired,
        .lost = on_lost,
        .observed = on_observed,
        .failed = on_failed,
        .userdata = &story,
    };
}

static void start_with(const struct kube_lease_options *options)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(kube_lease_new(client, options, &lease, &err), 0, "%s", error_message(&err));
    kube_lease_start(lease);
}

static void start(void)
{
    struct kube_lease_options options = lease_options();

    start_with(&options);
}

static void open_lease(void)
{
    server_start();
    clock_set_source(&test_clock);
    server_connect(NULL);
}

static void close_lease(void)
{
    kube_lease_free(TAKE_PTR(lease));
    error_done(&story.why_lost);
    error_done(&story.failure);
    error_done(&story.release);
    free(story.holder);
    server_stop();
}

TestSuite(lease, .init = open_lease, .fini = close_lease, .timeout = 60);

/* --- the server's side ---------------------------------------------------------------------------
 */

#define COLLECTION "/apis/coordination.k8s.io/v1/namespaces/ns/leases"

static struct exchange *expect(const char *method)
{
    struct exchange *exchange = server_wait();

    cr_assert_str_eq(exchange->method, method, "%s %s", exchange->method, exchange->target);
    cr_assert_str_eq(exchange->target, strcmp(method, "POST") == 0 ? COLLECTION : COLLECTION "/l");
    return exchange;
}

/* A Lease of somebody; `renewal` tells one record of theirs from another. */
static void reply_held(struct exchange *exchange, const char *holder, int renewal, int version)
{
    _cleanup_free_ char *text = xasprintf(
        "{\"metadata\":{\"name\":\"l\",\"resourceVersion\":\"%d\"},\"spec\":{"
        "\"holderIdentity\":\"%s\",\"leaseDurationSeconds\":15,\"leaseTransitions\":4,"
        "\"acquireTime\":\"2001-01-01T00:00:00.000000Z\",\"renewTime\":\"2001-01-01T00:00:%02d."
        "000000Z\"}}",
        version, holder, renewal);

    server_reply(exchange, 200, text);
}

static void reply_status(struct exchange *exchange, int code, const char *reason)
{
    _cleanup_free_ char *text =
        xasprintf("{\"apiVersion\":\"v1\",\"kind\":\"Status\",\"status\":\"Failure\",\"code\":%d,"
                  "\"reason\":\"%s\"}",
                  code, reason);

    server_reply(exchange, code, text);
}

static cJSON *body_of(const struct exchange *exchange)
{
    cJSON *body = cJSON_Parse(exchange->body);

    cr_assert_not_null(body, "%s", exchange->body);
    return body;
}

/* Does what a server would: what was written is what there is. */
static void reply_written(struct exchange *exchange, int version)
{
    _cleanup_json_ cJSON *body = body_of(exchange);
    _cleanup_free_ char *number = xasprintf("%d", version), *text = NULL;

    cJSON_ReplaceItemInObjectCaseSensitive(body, "metadata",
                                           cJSON_Parse("{\"namespace\":\"ns\",\"name\":\"l\"}"));
    json_add_string(cJSON_GetObjectItem(body, "metadata"), "resourceVersion", number);
    text = json_print(body);
    server_reply(exchange, 200, text);
}

static void expect_body(const struct exchange *exchange, const char *holder, int transitions,
                        const char *version)
{
    _cleanup_json_ cJSON *body = body_of(exchange);
    const char *had = json_string(body, "metadata", "resourceVersion");

    cr_assert_str_eq(json_string(body, "spec", "holderIdentity"), holder);
    cr_assert_eq(json_int(json_get(body, "spec", "leaseTransitions"), -1), transitions);
    if (version)
        cr_assert_str_eq(had ? had : "(none)", version);
    else
        cr_assert_null(had);
}

/* Leads, by a Lease that it made, with resource version 1. */
static void lead(void)
{
    start();
    reply_status(expect("GET"), 404, "NotFound");
    reply_written(expect("POST"), 1);
    RUN_UNTIL(story.acquired == 1);
}

/* --- taking it
 * ------------------------------------------------------------------------------------
 */

Test(lease, one_that_is_not_there_is_created)
{
    struct exchange *exchange;

    start();
    cr_assert_str_eq(kube_lease_holder(lease), "");
    reply_status(expect("GET"), 404, "NotFound");
    exchange = expect("POST");
    expect_body(exchange, "me", 0, NULL);
    cr_assert_not_null(strstr(exchange->body, "\"leaseDurationSeconds\":15"));
    cr_assert_not_null(strstr(exchange->body, "\"acquireTime\":\"2023-11-14T22:13:20.000000Z\""));
    cr_assert_not(kube_lease_is_leader(lease), "before the server has agreed");
    reply_written(exchange, 1);
    RUN_UNTIL(story.acquired == 1);
    cr_assert(kube_lease_is_leader(lease));
    cr_assert_str_eq(kube_lease_holder(lease), "me");
    cr_assert_str_eq(story.holder, "me");
}

Test(lease, one_that_nobody_holds_is_taken_at_once)
{
    struct exchange *exchange;

    start();
    reply_held(expect("GET"), "", 0, 7);
    exchange = expect("PATCH");
    expect_body(exchange, "me", 5, "7");
    reply_written(exchange, 8);
    RUN_UNTIL(story.acquired == 1);
}

Test(lease, one_that_is_held_is_taken_when_its_record_has_not_changed_for_its_duration)
{
    struct exchange *exchange;

    start();
    /* Its time stamps are of 2001: by comparing clocks it would have expired long ago. */
    reply_held(expect("GET"), "other", 1, 10);
    exchange = expect("GET");
    ahead_ms += 14000;
    reply_held(exchange, "other", 1, 10);
    /* Renewed: counts from when that was seen. */
    exchange = expect("GET");
    reply_held(exchange, "other", 2, 11);
    exchange = expect("GET");
    ahead_ms += 14000;
    reply_held(exchange, "other", 2, 11);
    exchange = expect("GET");
    cr_assert_eq(story.acquired, 0);
    ahead_ms += 1000;
    reply_held(exchange, "other", 2, 11);
    exchange = expect("PATCH");
    expect_body(exchange, "me", 5, "11");
    reply_written(exchange, 12);
    RUN_UNTIL(story.acquired == 1);
    cr_assert_eq(story.observed, 2, "other, then me");
}

Test(lease, a_change_of_the_object_that_is_none_of_the_record_keeps_nobody_in_office)
{
    struct exchange *exchange;

    start();
    reply_held(expect("GET"), "other", 1, 10);
    exchange = expect("GET");
    ahead_ms += 15000;
    reply_held(exchange, "other", 1, 11);
    exchange = expect("PATCH");
    expect_body(exchange, "me", 5, "11");
    reply_written(exchange, 12);
    RUN_UNTIL(story.acquired == 1);
}

Test(lease, of_two_that_race_the_one_that_is_refused_waits)
{
    start();
    reply_held(expect("GET"), "", 0, 7);
    reply_status(expect("PATCH"), 409, "Conflict");
    reply_held(expect("GET"), "other", 1, 8);
    expect("GET");
    cr_assert_eq(story.observed, 1);
    cr_assert_eq(story.acquired, 0);
    cr_assert_eq(story.failed, 0, "to lose a race is no failure");
    cr_assert_str_eq(kube_lease_holder(lease), "other");
}

Test(lease, of_two_that_create_it_the_one_that_is_refused_waits)
{
    start();
    reply_status(expect("GET"), 404, "NotFound");
    reply_status(expect("POST"), 409, "AlreadyExists");
    reply_held(expect("GET"), "other", 1, 8);
    expect("GET");
    cr_assert_eq(story.acquired, 0);
    cr_assert_eq(story.failed, 0);
}

Test(lease, an_answer_that_comes_after_the_renew_deadline_makes_no_leader)
{
    struct exchange *exchange;

    start();
    reply_held(expect("GET"), "", 0, 7);
    exchange = expect("PATCH");
    ahead_ms += 10000;
    reply_written(exchange, 8);
    RUN_UNTIL(story.failed == 1);
    cr_assert_eq(story.acquired, 0);
    cr_assert_eq(story.failure.code, -ETIMEDOUT);
}

Test(lease, a_lease_that_was_written_and_says_otherwise_makes_no_leader)
{
    start();
    reply_held(expect("GET"), "", 0, 7);
    reply_held(expect("PATCH"), "somebody", 1, 8);
    RUN_UNTIL(story.failed == 1);
    cr_assert_eq(story.acquired, 0);
    cr_assert_not_null(strstr(error_message(&story.failure), "\"somebody\""));
}

Test(lease, a_server_that_says_no_is_reported_and_asked_again)
{
    start();
    reply_status(expect("GET"), 403, "Forbidden");
    RUN_UNTIL(story.failed == 1);
    cr_assert(kube_error_is_forbidden(&story.failure), "%s", error_message(&story.failure));
    expect("GET");
}

Test(lease, an_answer_that_makes_no_sense_is_reported_with_its_place)
{
    start();
    server_reply(expect("GET"), 200,
                 "{\"metadata\":{\"resourceVersion\":\"1\"},\"spec\":{\"holderIdentity\":7}}");
    RUN_UNTIL(story.failed == 1);
    cr_assert_str_eq(error_message(&story.failure),
                     "Lease ns/l: spec.holderIdentity must be a string");
    expect("GET");
}

Test(lease, a_mute_server_is_left_after_half_the_renew_deadline)
{
    struct kube_lease_options options = lease_options();

    options.duration_s = 1;
    options.renew_deadline_ms = 100;
    start_with(&options);
    expect("GET");
    RUN_UNTIL(story.failed == 1);
    cr_assert_eq(story.failure.code, -ETIMEDOUT);
    cr_assert_not_null(strstr(error_message(&story.failure), "50 ms"));
    expect("GET");
}

/* --- keeping it
 * -----------------------------------------------------------------------------------
 */

Test(lease, the_leader_renews_without_reading)
{
    struct exchange *exchange;

    lead();
    for (int version = 1; version < 4; version++) {
        _cleanup_free_ char *text = xasprintf("%d", version);

        exchange = expect("PATCH");
        expect_body(exchange, "me", 0, text);
        reply_written(exchange, version + 1);
    }
    expect("PATCH");
    cr_assert_eq(story.acquired, 1);
    cr_assert_eq(story.lost, 0);
}

Test(lease, a_renewal_keeps_the_time_of_the_beginning)
{
    struct exchange *exchange;
    _cleanup_json_ cJSON *body = NULL;

    start();
    reply_held(expect("GET"), "me", 3, 7);
    exchange = expect("PATCH");
    body = body_of(exchange);
    cr_assert_str_eq(json_string(body, "spec", "acquireTime"), "2001-01-01T00:00:00.000000Z");
    expect_body(exchange, "me", 4, "7");
    reply_written(exchange, 8);
    RUN_UNTIL(story.acquired == 1);
}

Test(lease, a_renewal_that_meets_a_change_reads_and_renews_again)
{
    struct exchange *exchange;

    lead();
    reply_status(expect("PATCH"), 409, "Conflict");
    reply_held(expect("GET"), "me", 1, 20);
    exchange = expect("PATCH");
    expect_body(exchange, "me", 4, "20");
    reply_written(exchange, 21);
    expect("PATCH");
    cr_assert_eq(story.lost, 0);
    cr_assert_eq(story.failed, 0);
}

Test(lease, a_renewal_that_is_refused_twice_waits_for_the_next_attempt)
{
    lead();
    reply_status(expect("PATCH"), 409, "Conflict");
    reply_held(expect("GET"), "me", 1, 20);
    reply_status(expect("PATCH"), 409, "Conflict");
    /* Which begins with a write again: a storm of changes makes no storm of requests. */
    expect("PATCH");
    cr_assert_eq(story.lost, 0);
}

Test(lease, a_leader_whose_lease_is_deleted_makes_another)
{
    struct exchange *exchange;

    lead();
    reply_status(expect("PATCH"), 404, "NotFound");
    reply_status(expect("GET"), 404, "NotFound");
    exchange = expect("POST");
    expect_body(exchange, "me", 0, NULL);
    reply_written(exchange, 30);
    expect("PATCH");
    cr_assert_eq(story.lost, 0);
}

/* --- losing it
 * ------------------------------------------------------------------------------------
 */

Test(lease, a_leader_that_finds_another_in_office_has_lost_at_once)
{
    lead();
    reply_status(expect("PATCH"), 409, "Conflict");
    reply_held(expect("GET"), "other", 1, 20);
    RUN_UNTIL(story.lost == 1);
    cr_assert_str_eq(error_message(&story.why_lost), "Lease ns/l is held by \"other\"");
    expect("GET");
}

Test(lease, a_leader_that_cannot_renew_has_lost_at_the_deadline_and_says_why)
{
    struct kube_lease_options options = lease_options();

    options.duration_s = 1;
    options.renew_deadline_ms = 400;
    start_with(&options);
    reply_held(expect("GET"), "", 0, 7);
    reply_written(expect("PATCH"), 8);
    RUN_UNTIL(story.acquired == 1);
    while (story.lost == 0) {
        RUN_UNTIL(!TAILQ_EMPTY(&server.unseen) || story.lost);
        if (story.lost == 0)
            reply_status(server_wait(), 500, "InternalError");
    }
    cr_assert_eq(story.why_lost.code, -ETIMEDOUT);
    cr_assert_gt(story.failed, 2, "it has tried %u times", story.failed);
    cr_assert_not_null(strstr(error_message(&story.why_lost), "was not renewed for 4"), "%s",
                       error_message(&story.why_lost));
    cr_assert_not_null(strstr(error_message(&story.why_lost), "500"), "%s",
                       error_message(&story.why_lost));
}

Test(lease, a_leader_whose_server_is_mute_has_lost_at_the_deadline)
{
    struct kube_lease_options options = lease_options();
    uint64_t began;

    options.duration_s = 1;
    options.renew_deadline_ms = 300;
    start_with(&options);
    reply_held(expect("GET"), "", 0, 7);
    began = clock_monotonic_ms();
    reply_written(expect("PATCH"), 8);
    RUN_UNTIL(story.acquired == 1);
    RUN_UNTIL(story.lost == 1);
    cr_assert_geq(clock_monotonic_ms() - began, 300);
    cr_assert_lt(clock_monotonic_ms() - began, 1000, "another could lead already");
    cr_assert_eq(story.why_lost.code, -ETIMEDOUT);
}

Test(lease, an_answer_after_the_loss_changes_nothing)
{
    struct kube_lease_options options = lease_options();
    struct exchange *late;
    bool asks_again = false;

    options.duration_s = 1;
    options.renew_deadline_ms = 300;
    start_with(&options);
    reply_held(expect("GET"), "", 0, 7);
    reply_written(expect("PATCH"), 8);
    RUN_UNTIL(story.lost == 1);
    while (!asks_again) {
        late = server_wait();
        asks_again = strcmp(late->method, "GET") == 0;
        if (!asks_again)
            reply_written(late, 9);
    }
    cr_assert_eq(story.acquired, 1);
}

Test(lease, the_deadline_counts_from_when_the_renewal_was_sent)
{
    struct exchange *exchange;

    start();
    reply_held(expect("GET"), "", 0, 7);
    exchange = expect("PATCH");
    ahead_ms += 9000;
    reply_written(exchange, 8);
    RUN_UNTIL(story.acquired == 1);
    ahead_ms += 1000;
    /* A process that was stopped: the clock knows before any callback could. */
    cr_assert_not(kube_lease_is_leader(lease));
    cr_assert_eq(story.lost, 0);
    RUN_UNTIL(story.lost == 1);
}

Test(lease, who_has_lost_is_a_candidate_again)
{
    struct exchange *exchange;

    lead();
    reply_status(expect("PATCH"), 409, "Conflict");
    reply_held(expect("GET"), "other", 1, 20);
    RUN_UNTIL(story.lost == 1);
    reply_held(expect("GET"), "", 1, 21);
    exchange = expect("PATCH");
    expect_body(exchange, "me", 5, "21");
    reply_written(exchange, 22);
    RUN_UNTIL(story.acquired == 2);
    cr_assert_eq(story.lost, 1);
}

/* --- giving it back ------------------------------------------------------------------------------
 */

Test(lease, a_release_leaves_it_to_nobody)
{
    struct exchange *exchange;

    lead();
    kube_lease_release(lease, on_released, &story);
    kube_lease_release(lease, on_released, &story);
    cr_assert_not(kube_lease_is_leader(lease));
    cr_assert_eq(story.released, 0);
    reply_held(expect("GET"), "me", 1, 5);
    exchange = expect("PATCH");
    expect_body(exchange, "", 4, "5");
    cr_assert_not_null(strstr(exchange->body, "\"leaseDurationSeconds\":1,"));
    reply_written(exchange, 6);
    RUN_UNTIL(story.released == 1);
    cr_assert_eq(story.release.code, 0);
    cr_assert_eq(story.lost, 0, "the owner knows");
}

Test(lease, who_never_wrote_has_nothing_to_release)
{
    start();
    reply_held(expect("GET"), "other", 1, 5);
    RUN_UNTIL(story.observed == 1);
    kube_lease_release(lease, on_released, &story);
    cr_assert_eq(story.released, 0, "never from inside the call");
    RUN_UNTIL(story.released == 1);
    cr_assert_eq(story.release.code, 0);
    cr_assert(TAILQ_EMPTY(&server.unseen));
}

Test(lease, a_write_without_answer_may_have_arrived_and_is_released)
{
    struct exchange *exchange;

    start();
    reply_held(expect("GET"), "", 0, 7);
    expect("PATCH");
    kube_lease_release(lease, on_released, &story);
    reply_held(expect("GET"), "me", 1, 8);
    exchange = expect("PATCH");
    expect_body(exchange, "", 4, "8");
    reply_written(exchange, 9);
    RUN_UNTIL(story.released == 1);
    cr_assert_eq(story.release.code, 0);
}

Test(lease, a_release_never_touches_what_another_holds)
{
    lead();
    kube_lease_release(lease, on_released, &story);
    reply_held(expect("GET"), "me", 1, 5);
    reply_status(expect("PATCH"), 409, "Conflict");
    reply_held(expect("GET"), "other", 2, 6);
    RUN_UNTIL(story.released == 1);
    cr_assert_eq(story.release.code, 0);
    cr_assert(TAILQ_EMPTY(&server.unseen));
}

Test(lease, a_release_waits_no_longer_than_half_the_renew_deadline)
{
    struct kube_lease_options options = lease_options();

    options.duration_s = 1;
    options.renew_deadline_ms = 200;
    start_with(&options);
    reply_held(expect("GET"), "", 0, 7);
    reply_written(expect("PATCH"), 8);
    RUN_UNTIL(story.acquired == 1);
    kube_lease_release(lease, on_released, &story);
    RUN_UNTIL(story.released == 1);
    cr_assert_eq(story.release.code, -ETIMEDOUT);
}

/* --- ends in odd places --------------------------------------------------------------------------
 */

static void free_in_acquired(void *userdata)
{
    (void) userdata;
    kube_lease_free(TAKE_PTR(lease));
    story.acquired++;
}

static void free_in_lost(void *userdata, const struct error *err)
{
    (void) userdata;
    (void) err;
    kube_lease_free(TAKE_PTR(lease));
    story.lost++;
}

static void free_in_observed(void *userdata, const char *holder)
{
    (void) userdata;
    cr_assert_str_eq(holder, "other");
    kube_lease_free(TAKE_PTR(lease));
    story.observed++;
}

static void release_in_lost(void *userdata, const struct error *err)
{
    (void) userdata;
    (void) err;
    story.lost++;
    kube_lease_release(lease, free_in_lost, NULL);
}

Test(lease, it_may_be_freed_when_it_is_acquired)
{
    struct kube_lease_options options = lease_options();

    options.acquired = free_in_acquired;
    start_with(&options);
    reply_held(expect("GET"), "", 0, 7);
    reply_written(expect("PATCH"), 8);
    RUN_UNTIL(story.acquired == 1);
}

Test(lease, it_may_be_freed_when_it_is_observed)
{
    struct kube_lease_options options = lease_options();

    options.observed = free_in_observed;
    start_with(&options);
    reply_held(expect("GET"), "other", 0, 7);
    RUN_UNTIL(story.observed == 1);
}

Test(lease, it_may_be_freed_when_it_is_lost)
{
    struct kube_lease_options options = lease_options();

    options.lost = free_in_lost;
    start_with(&options);
    reply_held(expect("GET"), "", 0, 7);
    reply_written(expect("PATCH"), 8);
    reply_status(expect("PATCH"), 409, "Conflict");
    reply_held(expect("GET"), "other", 1, 20);
    RUN_UNTIL(story.lost == 1);
}

Test(lease, it_may_be_released_when_it_is_lost_and_freed_when_it_is_released)
{
    struct kube_lease_options options = lease_options();

    options.lost = release_in_lost;
    start_with(&options);
    reply_held(expect("GET"), "", 0, 7);
    reply_written(expect("PATCH"), 8);
    reply_status(expect("PATCH"), 409, "Conflict");
    reply_held(expect("GET"), "other", 1, 20);
    reply_held(expect("GET"), "other", 1, 20);
    RUN_UNTIL(story.lost == 2);
}

/* --- options
 * --------------------------------------------------------------------------------------
 */

static void expect_refusal(const struct kube_lease_options *options, const char *word)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(kube_lease_new(client, options, &lease, &err), -EINVAL);
    cr_assert_not_null(strstr(error_message(&err), word), "%s", error_message(&err));
    cr_assert_null(lease);
}

Test(lease, times_at_odds_and_missing_names_are_refused)
{
    struct kube_lease_options options = lease_options();

    options.duration_s = 10;
    expect_refusal(&options, "longer than the renew deadline (10000 ms)");
    options = lease_options();
    options.retry_period_ms = 8400;
    expect_refusal(&options, "1.2 times the retry period (8400 ms)");
    options = lease_options();
    options.ns = NULL;
    expect_refusal(&options, "a namespace and a name");
    options = lease_options();
    options.identity = "";
    expect_refusal(&options, "identity");
}

Test(lease, without_an_identity_each_gets_its_own)
{
    struct kube_lease_options options = lease_options();
    struct kube_lease *other;

    clock_set_source(NULL);
    options.identity = NULL;
    cr_assert_eq(kube_lease_new(client, &options, &lease, NULL), 0);
    cr_assert_eq(kube_lease_new(client, &options, &other, NULL), 0);
    cr_assert_str_neq(kube_lease_identity(lease), kube_lease_identity(other));
    kube_lease_free(other);
}
