// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/access.h"

#include "tests/unit/kube/scripted_server.h"

static struct kube_access *access_;
static uint64_t ahead_ms; /* by how much the clock has been put forward */
static unsigned failures;
static char *failure;

struct answer {
    unsigned count, status;
    char *why;
};

static uint64_t test_monotonic(void *userdata)
{
    return server_monotonic(userdata) + ahead_ms;
}

static void on_failed(void *userdata, const struct error *err)
{
    (void) userdata;
    failures++;
    free(failure);
    failure = xstrdup(error_message(err));
}

static void set_up(void)
{
    static const struct clock_source source = {
        .monotonic_ms = test_monotonic,
        .realtime_ms = server_realtime,
        .random = server_random,
    };
    struct kube_access_options options = {.path = "/metrics", .failed = on_failed};

    server_start();
    clock_set_source(&source);
    server_connect(NULL);
    options.client = client;
    access_ = kube_access_new(&options);
}

static void tear_down(void)
{
    kube_access_free(access_);
    free(TAKE_PTR(failure));
    server_stop();
}

TestSuite(access, .init = set_up, .fini = tear_down, .timeout = 60);

static void on_answer(void *userdata, unsigned http_status, const char *why)
{
    struct answer *answer = userdata;

    answer->count++;
    answer->status = http_status;
    free(answer->why);
    answer->why = xstrdup(why);
}

static void answer_done(struct answer *answer)
{
    free(answer->why);
}
#define _cleanup_answer_ _cleanup_(answer_done)

static void ask(struct answer *answer, const char *token)
{
    _cleanup_free_ char *header = xasprintf("Bearer %s", token);

    kube_access_ask(access_, header, on_answer, answer);
}

/* The next request is a TokenReview of this token; its answer is a user, or nobody. */
static void expect_token_review(const char *token, const char *user)
{
    struct exchange *exchange = server_wait();
    _cleanup_free_ char *body =
        user ? xasprintf("{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"%s\","
                         "\"uid\":\"7\",\"groups\":[\"a\",\"b\"],\"extra\":{\"x\":[\"y\"]}}}}",
                         user)
             : xstrdup("{\"status\":{\"error\":\"token is no good\"}}");

    cr_assert_str_eq(exchange->method, "POST");
    cr_assert_str_eq(exchange->target, "/apis/authentication.k8s.io/v1/tokenreviews");
    cr_assert_not_null(strstr(exchange->body, token), "%s", exchange->body);
    server_reply(exchange, 201, body);
}

static void expect_access_review(const char *user, bool allowed)
{
    struct exchange *exchange = server_wait();
    _cleanup_free_ char *spec = xasprintf(
        "\"spec\":{\"user\":\"%s\",\"uid\":\"7\",\"groups\":[\"a\",\"b\"],\"extra\":{\"x\":[\"y\"]}"
        ",\"nonResourceAttributes\":{\"path\":\"/metrics\",\"verb\":\"get\"}}",
        user);
    _cleanup_free_ char *body =
        xasprintf("{%s,\"status\":{\"allowed\":%s}}", spec, allowed ? "true" : "false");

    cr_assert_str_eq(exchange->target, "/apis/authorization.k8s.io/v1/subjectaccessreviews");
    cr_assert_not_null(strstr(exchange->body, spec), "%s", exchange->body);
    server_reply(exchange, 201, body);
}

static void expect_answer(struct answer *answer, unsigned status, const char *why)
{
    RUN_UNTIL(answer->count > 0);
    cr_assert_eq(answer->count, 1);
    cr_assert_eq(answer->status, status, "%u: %s", answer->status, answer->why);
    cr_assert_not_null(strstr(answer->why, why), "%s", answer->why);
}

static void let_in(const char *token)
{
    _cleanup_answer_ struct answer answer = {0};

    ask(&answer, token);
    expect_token_review(token, "prometheus");
    expect_access_review("prometheus", true);
    expect_answer(&answer, 200, "");
}

Test(access, without_a_token_nobody_is_asked)
{
    static const char *const headers[] = {"", "Basic Zm9v", "Bearer ", "Bearer", "Bearer a b"};

    for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
        _cleanup_answer_ struct answer answer = {0};

        kube_access_ask(access_, headers[i], on_answer, &answer);
        cr_assert_eq(answer.count, 1);
        cr_assert_eq(answer.status, 401, "%s", headers[i]);
    }
    cr_assert_eq(server.connections, 0);
}

Test(access, a_token_that_is_too_long_is_none)
{
    _cleanup_answer_ struct answer answer = {0};
    _cleanup_free_ char *token = xcalloc(1, 9000);

    memset(token, 'x', 8999);
    ask(&answer, token);
    expect_answer(&answer, 401, "no token");
    cr_assert_eq(server.connections, 0);
}

Test(access, who_may_is_asked_about_once_a_minute)
{
    _cleanup_answer_ struct answer again = {0}, later = {0};

    let_in("good");
    ask(&again, "good");
    cr_assert_eq(again.count, 1, "the answer is remembered");
    cr_assert_eq(again.status, 200);
    ahead_ms += 60001;
    ask(&later, "good");
    expect_token_review("good", "prometheus");
    expect_access_review("prometheus", false);
    expect_answer(&later, 403, "prometheus may not get the nonResourceURL /metrics");
}

Test(access, who_may_not_is_told_why_and_asked_about_again_soon)
{
    _cleanup_answer_ struct answer first = {0}, again = {0};

    ask(&first, "poor");
    expect_token_review("poor", "jo");
    expect_access_review("jo", false);
    expect_answer(&first, 403, "apparmor-metrics-reader");
    ahead_ms += 10001;
    ask(&again, "poor");
    expect_token_review("poor", "jo");
    expect_access_review("jo", true);
    expect_answer(&again, 200, "");
}

Test(access, a_token_of_nobody_is_refused)
{
    _cleanup_answer_ struct answer answer = {0}, again = {0};

    ask(&answer, "bad");
    expect_token_review("bad", NULL);
    expect_answer(&answer, 401, "does not take your token for valid");
    ask(&again, "bad");
    expect_answer(&again, 401, "does not take your token for valid");
}

Test(access, an_answer_that_says_nothing_lets_nobody_in)
{
    static const char *const answers[] = {
        "{}", "{\"status\":{\"authenticated\":true}}", "{\"status\":7}",
        "{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"\"}}}",
        "{\"status\":{\"authenticated\":\"true\",\"user\":{\"username\":\"x\"}}}"};

    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        _cleanup_answer_ struct answer answer = {0};
        _cleanup_free_ char *token = xasprintf("token-%zu", i);

        ask(&answer, token);
        server_reply(server_wait(), 201, answers[i]);
        expect_answer(&answer, 401, "");
    }
}

Test(access, an_access_review_that_says_nothing_lets_nobody_in)
{
    _cleanup_answer_ struct answer answer = {0};

    ask(&answer, "odd");
    expect_token_review("odd", "jo");
    server_reply(server_wait(), 201, "{\"status\":{}}");
    expect_answer(&answer, 403, "the token's owner may not");
}

Test(access, who_asks_at_the_same_time_waits_for_the_same_answer)
{
    _cleanup_answer_ struct answer first = {0}, second = {0};

    ask(&first, "good");
    ask(&second, "good");
    expect_token_review("good", "prometheus");
    expect_access_review("prometheus", true);
    expect_answer(&first, 200, "");
    expect_answer(&second, 200, "");
    cr_assert(TAILQ_EMPTY(&server.unseen));
}

/* Ten at once and two a second, and who was let in before is still asked about. */
Test(access, a_flood_of_bad_tokens_is_no_flood_of_reviews)
{
    _cleanup_answer_ struct answer regular = {0};
    struct answer flood[2000] = {0};
    unsigned refused = 0;

    let_in("good");
    for (size_t i = 0; i < ARRAY_SIZE(flood); i++) {
        _cleanup_free_ char *token = xasprintf("bad-%zu", i);

        ask(&flood[i], token);
        refused += flood[i].status == 429;
    }
    cr_assert_geq(refused, ARRAY_SIZE(flood) - 20, "%u", refused);
    for (size_t i = refused; i < ARRAY_SIZE(flood); i++)
        server_reply(server_wait(), 201, "{\"status\":{}}");
    for (size_t i = 0; i < ARRAY_SIZE(flood); i++) {
        RUN_UNTIL(flood[i].count == 1);
        answer_done(&flood[i]);
    }
    cr_assert(TAILQ_EMPTY(&server.unseen));
    ahead_ms += 60001;
    for (size_t i = 0; i < 20; i++) {
        _cleanup_answer_ struct answer more = {0};
        _cleanup_free_ char *token = xasprintf("more-%zu", i);

        ask(&more, token);
        if (more.count == 0) {
            server_reply(server_wait(), 201, "{\"status\":{}}");
            RUN_UNTIL(more.count == 1);
        }
    }
    ask(&regular, "good");
    expect_token_review("good", "prometheus");
    expect_access_review("prometheus", true);
    expect_answer(&regular, 200, "");
}

/* More than is remembered: those that were asked about longest ago go, users stay. */
Test(access, what_is_remembered_is_bounded)
{
    _cleanup_answer_ struct answer good = {0}, first = {0};

    let_in("good");
    for (size_t i = 0; i < 300; i++) {
        _cleanup_answer_ struct answer bad = {0};
        _cleanup_free_ char *token = xasprintf("bad-%zu", i);

        /* Just enough for the limit to let another one pass: none is forgotten for its age. */
        ahead_ms += 30;
        if (i % 10 == 0)
            ahead_ms += 500;
        ask(&bad, token);
        if (bad.count == 0)
            expect_token_review(token, NULL);
        RUN_UNTIL(bad.count == 1);
        cr_assert_neq(bad.status, 200);
    }
    ask(&good, "good");
    cr_assert_eq(good.count, 1);
    cr_assert_eq(good.status, 200);
    ahead_ms += 5000;
    ask(&first, "bad-0");
    expect_token_review("bad-0", NULL);
    expect_answer(&first, 401, "");
}

Test(access, a_server_that_refuses_us_is_named_and_remembered_for_a_second)
{
    _cleanup_answer_ struct answer answer = {0}, again = {0}, later = {0};

    ask(&answer, "good");
    server_reply(server_wait(), 403,
                 "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"Forbidden\",\"message\":"
                 "\"tokenreviews is forbidden\",\"code\":403}");
    expect_answer(&answer, 503, "ClusterRole apparmor-metrics-auth");
    cr_assert_eq(failures, 1);
    cr_assert_not_null(strstr(failure, "this program may not create tokenreviews"), "%s", failure);
    ask(&again, "good");
    expect_answer(&again, 503, "ClusterRole apparmor-metrics-auth");
    cr_assert_eq(failures, 1, "told once");
    ahead_ms += 1001;
    ask(&later, "good");
    expect_token_review("good", "prometheus");
    expect_access_review("prometheus", true);
    expect_answer(&later, 200, "");
}

Test(access, without_an_answer_in_time_nobody_is_let_in)
{
    _cleanup_answer_ struct answer answer = {0};

    ask(&answer, "good");
    (void) server_wait();
    expect_answer(&answer, 503, "it gave no answer within 5 s");
    cr_assert_eq(failures, 1);
}

/* An allowed token is let in for its minute; then it is not, though it once was. */
Test(access, what_was_allowed_is_not_for_ever_when_the_server_has_gone)
{
    _cleanup_answer_ struct answer answer = {0};

    let_in("good");
    ahead_ms += 60001;
    ask(&answer, "good");
    server_reply(server_wait(), 500, "{}");
    expect_answer(&answer, 503, "the API server could not be asked");
}

Test(access, who_still_waits_at_the_end_is_refused)
{
    _cleanup_answer_ struct answer answer = {0};

    ask(&answer, "good");
    kube_access_free(TAKE_PTR(access_));
    expect_answer(&answer, 503, "ending");
}
