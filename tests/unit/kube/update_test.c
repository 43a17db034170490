// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/update.h"

#include <errno.h>

#include "tests/unit/kube/scripted_server.h"

static const struct kube_resource things = {"test", "v1", "things", "Thing", true};

static struct kube_request *update;
static unsigned asked, answers;
static char *answered_version;
static struct error last;
/* What change() does. */
static bool nothing_to_do, refuse, cancel, free_client;

/* Counts data.n up. */
static int change(void *userdata, struct kube_object *object, cJSON **ret_patch, struct error *err)
{
    int64_t n = json_int(json_get(kube_object_json(object), "data", "n"), -1);

    (void) userdata;
    asked++;
    if (cancel)
        kube_request_cancel(TAKE_PTR(update));
    if (free_client)
        kube_client_free(TAKE_PTR(client));
    if (refuse)
        return error_set_reason(err, -EPERM, "NotMine", "%s is not mine", kube_object_name(object));
    if (nothing_to_do)
        return 0;
    *ret_patch = cJSON_CreateObject();
    json_add_int(json_add_object(*ret_patch, "data"), "n", n + 1);
    return 0;
}

static void on_done(void *userdata, struct kube_object *object, const struct error *err)
{
    (void) userdata;
    answers++;
    update = NULL;
    error_copy(&last, err);
    free(answered_version);
    answered_version = object ? xstrdup(kube_object_resource_version(object)) : NULL;
}

static void set_up(void)
{
    server_start();
    server_no_jitter();
    server_connect(NULL);
}

static void tear_down(void)
{
    kube_request_cancel(TAKE_PTR(update));
    error_done(&last);
    free(TAKE_PTR(answered_version));
    server_stop();
}

TestSuite(update, .init = set_up, .fini = tear_down, .timeout = 60);

static void begin(struct kube_update_options options)
{
    options.resource = &things;
    options.ns = "space";
    options.name = "one";
    options.change = change;
    options.done = on_done;
    update = kube_update(client, &options);
}

#define THING(version, n) \
    "{\"metadata\":{\"name\":\"one\",\"resourceVersion\":\"" version "\"},\"data\":{\"n\":" n "}}"
#define CONFLICT "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"Conflict\",\"code\":409}"

static void expect_read(const char *answer)
{
    struct exchange *exchange = server_wait();

    cr_assert_str_eq(exchange->method, "GET");
    /* Not from a cache that may lie behind. */
    cr_assert_str_eq(exchange->target, "/apis/test/v1/namespaces/space/things/one");
    cr_assert_str_empty(exchange->body);
    server_reply(exchange, 200, answer);
}

static struct exchange *wait_write(const char *body)
{
    struct exchange *exchange = server_wait();

    cr_assert_str_eq(exchange->method, "PATCH");
    cr_assert_not_null(strstr(exchange->head, "Content-Type: application/merge-patch+json\r\n"));
    cr_assert_str_eq(exchange->body, body);
    return exchange;
}

#define PATCH(n, version) \
    "{\"data\":{\"n\":" n "},\"metadata\":{\"resourceVersion\":\"" version "\"}}"

Test(update, what_is_written_rests_on_what_was_read)
{
    struct exchange *exchange;

    begin((struct kube_update_options){.field_manager = "me"});
    expect_read(THING("5", "1"));
    exchange = wait_write(PATCH("2", "5"));
    cr_assert_str_eq(exchange->target, "/apis/test/v1/namespaces/space/things/one?fieldManager=me");
    cr_assert_eq(answers, 0);
    server_reply(exchange, 200, THING("6", "2"));
    RUN_UNTIL(answers == 1);
    cr_assert_eq(last.code, 0, "%s", error_message(&last));
    cr_assert_str_eq(answered_version, "6");
    cr_assert_eq(asked, 1);
}

Test(update, after_a_conflict_it_reads_and_asks_again)
{
    begin((struct kube_update_options){0});
    expect_read(THING("5", "1"));
    server_reply(wait_write(PATCH("2", "5")), 409, CONFLICT);
    expect_read(THING("8", "10"));
    server_reply(wait_write(PATCH("11", "8")), 200, THING("9", "11"));
    RUN_UNTIL(answers == 1);
    cr_assert_eq(last.code, 0);
    cr_assert_str_eq(answered_version, "9");
    cr_assert_eq(asked, 2);
}

Test(update, after_five_conflicts_it_gives_up)
{
    begin((struct kube_update_options){0});
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(answers, 0);
        expect_read(THING("5", "1"));
        server_reply(wait_write(PATCH("2", "5")), 409, CONFLICT);
    }
    RUN_UNTIL(answers == 1);
    cr_assert(kube_error_is_conflict(&last));
    cr_assert_not_null(strstr(last.message, "5 attempts"), "%s", last.message);
    cr_assert_null(answered_version);
}

Test(update, nothing_to_do_writes_nothing)
{
    nothing_to_do = true;
    begin((struct kube_update_options){0});
    expect_read(THING("5", "1"));
    RUN_UNTIL(answers == 1);
    cr_assert_eq(last.code, 0);
    cr_assert_str_eq(answered_version, "5");
    cr_assert(TAILQ_EMPTY(&server.unseen));
}

/* Another did what was to be done. */
Test(update, there_may_be_nothing_to_do_after_a_conflict)
{
    struct exchange *exchange;

    begin((struct kube_update_options){0});
    expect_read(THING("5", "1"));
    exchange = wait_write(PATCH("2", "5"));
    nothing_to_do = true;
    server_reply(exchange, 409, CONFLICT);
    expect_read(THING("6", "2"));
    RUN_UNTIL(answers == 1);
    cr_assert_eq(last.code, 0);
    cr_assert_str_eq(answered_version, "6");
}

Test(update, what_an_informer_knows_saves_a_read_until_it_is_stale)
{
    cJSON *json = cJSON_Parse(THING("3", "7"));
    struct kube_object *known = kube_object_new(json);

    begin((struct kube_update_options){.known = known, .subresource = "status"});
    kube_object_unref(known);
    cr_assert_eq(asked, 0, "asked from inside the call");
    server_reply(wait_write(PATCH("8", "3")), 409, CONFLICT);
    expect_read(THING("5", "1"));
    server_reply(wait_write(PATCH("2", "5")), 200, THING("6", "2"));
    RUN_UNTIL(answers == 1);
    cr_assert_eq(last.code, 0);
    cr_assert_eq(asked, 2);
}

Test(update, a_subresource_is_what_is_written)
{
    struct exchange *exchange;

    begin((struct kube_update_options){.subresource = "status"});
    expect_read(THING("5", "1"));
    exchange = wait_write(PATCH("2", "5"));
    cr_assert_str_eq(exchange->target, "/apis/test/v1/namespaces/space/things/one/status");
    server_reply(exchange, 200, THING("6", "2"));
    RUN_UNTIL(answers == 1);
}

Test(update, what_cannot_be_decided_is_its_error)
{
    refuse = true;
    begin((struct kube_update_options){0});
    expect_read(THING("5", "1"));
    RUN_UNTIL(answers == 1);
    cr_assert_eq(last.code, -EPERM);
    cr_assert_str_eq(last.reason, "NotMine");
    cr_assert_null(answered_version);
}

Test(update, other_errors_end_it)
{
    struct exchange *exchange;

    begin((struct kube_update_options){0});
    server_reply(
        server_wait(), 404,
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"NotFound\",\"code\":404}");
    RUN_UNTIL(answers == 1);
    cr_assert(kube_error_is_not_found(&last));
    cr_assert_eq(asked, 0);
    begin((struct kube_update_options){0});
    expect_read("{\"metadata\":{\"name\":\"one\"}}");
    RUN_UNTIL(answers == 2);
    cr_assert_eq(last.code, -EPROTO);
    /* A conflict of a read is none of ours. */
    begin((struct kube_update_options){0});
    server_reply(server_wait(), 409, CONFLICT);
    RUN_UNTIL(answers == 3);
    cr_assert(kube_error_is_conflict(&last));
    /* It may have had its effect. */
    begin((struct kube_update_options){0});
    expect_read(THING("5", "1"));
    exchange = wait_write(PATCH("2", "5"));
    server_cut(exchange);
    RUN_UNTIL(answers == 4);
    cr_assert(kube_error_is_transport(&last), "%s", error_message(&last));
    cr_assert_eq(asked, 2);
}

Test(update, a_name_that_cannot_be_one_fails_from_the_loop)
{
    const struct kube_update_options options = {
        .resource = &things,
        .ns = "space",
        .name = "../other",
        .change = change,
        .done = on_done,
    };

    update = kube_update(client, &options);
    cr_assert_eq(answers, 0);
    RUN_UNTIL(answers == 1);
    cr_assert_eq(last.code, -EINVAL);
    cr_assert_eq(server.connections, 0);
}

Test(update, it_may_be_cancelled_at_any_time)
{
    begin((struct kube_update_options){0});
    kube_request_cancel(TAKE_PTR(update));
    begin((struct kube_update_options){0});
    server_wait();
    kube_request_cancel(TAKE_PTR(update));
    begin((struct kube_update_options){0});
    expect_read(THING("5", "1"));
    wait_write(PATCH("2", "5"));
    kube_request_cancel(TAKE_PTR(update));
    cancel = true;
    begin((struct kube_update_options){0});
    expect_read(THING("5", "1"));
    RUN_UNTIL(asked == 2);
    for (unsigned i = 0; i < 20; i++)
        uv_run(&server.loop, UV_RUN_NOWAIT);
    cr_assert_eq(answers, 0);
    cr_assert(TAILQ_EMPTY(&server.unseen));
}

Test(update, it_goes_with_its_client)
{
    free_client = true;
    begin((struct kube_update_options){0});
    expect_read(THING("5", "1"));
    RUN_UNTIL(asked == 1);
    update = NULL;
    cr_assert_eq(answers, 0);
}
