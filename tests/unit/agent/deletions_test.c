// SPDX-License-Identifier: Apache-2.0
#include "agent/deletions.h"

#include "tests/unit/kube/scripted_server.h"

#define DEFINITION "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
#define WEB "/apis/apparmor.io/v1alpha1/apparmorprofiles/web"

static const struct kube_resource profiles = {"apparmor.io", "v1alpha1", "apparmorprofiles",
                                              "AppArmorProfile", false};
static struct deletions *deletions;
static unsigned decisions;

static void on_decided(_unused_ void *userdata, _unused_ const char *object)
{
    decisions++;
}

static void setup(void)
{
    server_start();
    server_no_jitter();
    server_connect(NULL);
    deletions = deletions_new(client, &profiles, on_decided, NULL);
}

static void teardown(void)
{
    deletions_free(deletions);
    server_stop();
}

TestSuite(deletions, .init = setup, .fini = teardown, .timeout = 60);

static int64_t created_at(const char *time)
{
    int64_t ms;

    cr_assert_eq(clock_parse(time, &ms), 0);
    return ms;
}

static struct exchange *expect(const char *target)
{
    struct exchange *exchange = server_wait();

    cr_assert_str_eq(exchange->method, "GET");
    cr_assert_eq(strncmp(exchange->target, target, strlen(target)), 0, "%s", exchange->target);
    cr_assert_null(strstr(exchange->target, "resourceVersion"), "a consistent read");
    return exchange;
}

static void reply_definition(const char *metadata)
{
    _cleanup_free_ char *body = xasprintf(
        "{\"kind\":\"CustomResourceDefinition\",\"apiVersion\":\"apiextensions.k8s.io/v1\","
        "\"metadata\":{\"name\":\"x\",\"uid\":\"d\",\"resourceVersion\":\"1\",%s}}",
        metadata);

    server_reply(expect(DEFINITION), 200, body);
}

static void reply_failure(struct exchange *exchange, int status, const char *reason)
{
    _cleanup_free_ char *body = xasprintf("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":"
                                          "\"Failure\",\"reason\":\"%s\",\"code\":%d}",
                                          reason, status);

    server_reply(exchange, status, body);
}

#define OLD "\"creationTimestamp\":\"2020-01-01T00:00:00Z\""

static void expect_verdict(enum deletion verdict)
{
    RUN_UNTIL(decisions > 0);
    cr_assert_eq(deletions_verdict(deletions, "web"), verdict);
}

Test(deletions, one_that_was_seen_is_meant_while_the_definition_is_there)
{
    deletions_ask(deletions, "web", created_at("2021-01-01T00:00:00Z"), true);
    cr_assert_eq(deletions_verdict(deletions, "web"), DELETION_ASKING);
    reply_definition(OLD);
    expect_verdict(DELETION_MEANT);
}

Test(deletions, one_that_goes_with_the_definition_is_not)
{
    deletions_ask(deletions, "web", created_at("2021-01-01T00:00:00Z"), true);
    reply_definition(OLD ",\"deletionTimestamp\":\"2022-01-01T00:00:00Z\"");
    expect_verdict(DELETION_NOT_MEANT);
}

Test(deletions, one_that_is_older_than_the_definition_went_with_an_earlier_one)
{
    deletions_ask(deletions, "web", created_at("2019-01-01T00:00:00Z"), true);
    reply_definition(OLD);
    expect_verdict(DELETION_NOT_MEANT);
}

Test(deletions, without_a_definition_none_is_meant)
{
    deletions_ask(deletions, "web", 0, true);
    reply_failure(expect(DEFINITION), 404, "NotFound");
    expect_verdict(DELETION_NOT_MEANT);
}

Test(deletions, no_answer_decides_nothing)
{
    deletions_ask(deletions, "web", created_at("2021-01-01T00:00:00Z"), true);
    reply_failure(expect(DEFINITION), 500, "InternalError");
    reply_definition(OLD);
    expect_verdict(DELETION_MEANT);
    cr_assert_eq(decisions, 1);
}

/* As servers answer that have just started. */
Test(deletions, a_refusal_decides_nothing)
{
    deletions_ask(deletions, "web", created_at("2021-01-01T00:00:00Z"), true);
    reply_failure(expect(DEFINITION), 403, "Forbidden");
    reply_failure(expect(DEFINITION), 404, "NotFound");
    expect_verdict(DELETION_NOT_MEANT);
}

/* The first list comes from a cache that may be behind. */
Test(deletions, absence_from_a_list_is_confirmed_by_a_consistent_read)
{
    deletions_ask(deletions, "web", created_at("2021-01-01T00:00:00Z"), false);
    reply_failure(expect(WEB), 404, "NotFound");
    cr_assert_eq(decisions, 0);
    reply_definition(OLD);
    expect_verdict(DELETION_MEANT);
}

Test(deletions, what_a_list_has_not_yet_is_waited_for)
{
    deletions_ask(deletions, "web", created_at("2021-01-01T00:00:00Z"), false);
    for (int i = 0; i < 2; i++) {
        server_reply(expect(WEB), 200,
                     "{\"kind\":\"AppArmorProfile\",\"apiVersion\":\"apparmor.io/v1alpha1\","
                     "\"metadata\":{\"name\":\"web\",\"uid\":\"u\",\"resourceVersion\":\"9\"}}");
        cr_assert_eq(deletions_verdict(deletions, "web"), DELETION_ASKING);
    }
    /* The watch shows it. */
    deletions_forget(deletions, "web");
    cr_assert_eq(deletions_verdict(deletions, "web"), DELETION_NONE);
    cr_assert_eq(decisions, 0);
}

Test(deletions, what_is_forgotten_is_not_asked_about_any_more)
{
    struct exchange *exchange;

    deletions_ask(deletions, "web", 0, false);
    exchange = expect(WEB);
    deletions_forget(deletions, "web");
    deletions_ask(deletions, "db", created_at("2021-01-01T00:00:00Z"), true);
    reply_failure(exchange, 404, "NotFound");
    reply_definition(OLD);
    RUN_UNTIL(decisions > 0);
    cr_assert_eq(decisions, 1);
    cr_assert_eq(deletions_verdict(deletions, "db"), DELETION_MEANT);
    cr_assert_eq(deletions_verdict(deletions, "web"), DELETION_NONE);
}

Test(deletions, those_that_come_together_cost_one_question)
{
    deletions_ask(deletions, "web", created_at("2021-01-01T00:00:00Z"), true);
    deletions_ask(deletions, "db", created_at("2019-01-01T00:00:00Z"), true);
    reply_definition(OLD);
    RUN_UNTIL(decisions == 2);
    cr_assert_eq(deletions_verdict(deletions, "web"), DELETION_MEANT);
    cr_assert_eq(deletions_verdict(deletions, "db"), DELETION_NOT_MEANT);
    cr_assert(TAILQ_EMPTY(&server.unseen));
}
