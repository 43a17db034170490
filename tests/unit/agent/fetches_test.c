// SPDX-License-Identifier: Apache-2.0
#include "agent/fetches.h"

#include "tests/unit/kube/scripted_server.h"

#define PATH "/apis/apparmor.io/v1alpha1/apparmorprofiles"

static const struct kube_resource profiles = {"apparmor.io", "v1alpha1", "apparmorprofiles",
                                              "AppArmorProfile", false};
static struct fetches *fetches;
static size_t objects; /* that there are */

struct outcome {
    struct fetch *fetch;
    unsigned calls;
    int code;
    char version[16];
};
static struct outcome outcomes[100];

static size_t total(void *userdata _unused_)
{
    return objects;
}

static void record(void *userdata, struct kube_object *object, const struct error *err)
{
    struct outcome *outcome = userdata;

    outcome->calls++;
    outcome->code = err->code;
    if (object)
        snprintf(outcome->version, sizeof(outcome->version), "%s",
                 kube_object_resource_version(object));
}

static void setup(void)
{
    server_start();
    server_no_jitter();
    server_connect(NULL);
    fetches = fetches_new(
        &(struct fetches_options){.client = client, .resource = &profiles, .total = total});
    memset(outcomes, 0, sizeof(outcomes));
    objects = 20;
}

static void teardown(void)
{
    fetches_free(fetches);
    server_stop();
}

TestSuite(fetches, .init = setup, .fini = teardown, .timeout = 60);

/* Objects are p0, p1, …; p7 was seen as of version 107. */
static void add(size_t i)
{
    _cleanup_free_ char *name = xasprintf("p%zu", i);
    _cleanup_free_ char *version = xasprintf("%zu", 100 + i);

    outcomes[i].fetch =
        fetches_add(fetches, &(struct fetch_what){name, version}, record, &outcomes[i]);
}

static void add_many(size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(i);
}

static char *object_text(size_t i, size_t version)
{
    return xasprintf("{\"apiVersion\":\"apparmor.io/v1alpha1\",\"kind\":\"AppArmorProfile\","
                     "\"metadata\":{\"name\":\"p%zu\",\"uid\":\"u\",\"resourceVersion\":\"%zu\"}}",
                     i, version);
}

/* The next request is a GET, of which it is answered what it asks for. */
static size_t answer_one(void)
{
    struct exchange *exchange = server_wait();
    unsigned i = 1000;

    cr_assert_eq(sscanf(exchange->target, PATH "/p%u?", &i), 1, "%s", exchange->target);
    _cleanup_free_ char *expected = xasprintf(PATH "/p%u?resourceVersion=%u", i, 100 + i);
    cr_assert_str_eq(exchange->target, expected);
    _cleanup_free_ char *body = object_text(i, 100 + i);
    server_reply(exchange, 200, body);
    return i;
}

static void answer_each(size_t first, size_t end)
{
    for (size_t n = first; n < end; n++) {
        size_t i = answer_one();
        cr_assert(i >= first && i < end, "%zu", i);
    }
}

static struct exchange *await_list(const char *version)
{
    struct exchange *exchange = server_wait();
    _cleanup_free_ char *expected =
        xasprintf(PATH "?resourceVersion=%s&resourceVersionMatch=NotOlderThan", version);

    cr_assert_str_eq(exchange->target, expected);
    return exchange;
}

/* Of p0 to p<count - 1>, one of them of another version than the others. */
static void answer_list(struct exchange *exchange, size_t count, size_t odd, size_t odd_version)
{
    struct buf body = BUF_INIT(100000);

    cr_assert_eq(buf_add_string(&body, "{\"kind\":\"AppArmorProfileList\",\"apiVersion\":"
                                       "\"apparmor.io/v1alpha1\",\"metadata\":{\"resourceVersion\":"
                                       "\"200\"},\"items\":["),
                 0);
    for (size_t i = 0; i < count; i++) {
        _cleanup_free_ char *object = object_text(i, i == odd ? odd_version : 100 + i);
        cr_assert_eq(buf_addf(&body, "%s%s", i ? "," : "", object), 0);
    }
    cr_assert_eq(buf_add_string(&body, "]}"), 0);
    server_reply(exchange, 200, buf_string(&body));
    buf_done(&body);
}

static void await_all(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        RUN_UNTIL(outcomes[i].calls > 0);
        cr_assert_eq(outcomes[i].calls, 1);
        cr_assert_eq(outcomes[i].code, 0);
        cr_assert_eq(strtoul(outcomes[i].version, NULL, 10), 100 + i);
    }
}

Test(fetches, one_that_comes_alone_is_read_at_once)
{
    add(3);
    cr_assert_eq(answer_one(), 3);
    RUN_UNTIL(outcomes[3].calls == 1);
}

Test(fetches, many_are_read_by_one_list)
{
    add_many(20);
    answer_each(0, 4);
    answer_list(await_list("119"), 20, 0, 100);
    await_all(20);
}

Test(fetches, few_are_read_one_by_one)
{
    objects = 8;
    add_many(8);
    answer_each(0, 8);
    await_all(8);
}

Test(fetches, a_small_part_of_all_is_read_one_by_one)
{
    objects = 50;
    add_many(20);
    answer_each(0, 20);
    await_all(20);
}

Test(fetches, what_a_list_has_of_an_older_version_is_read_by_itself)
{
    add_many(20);
    answer_each(0, 4);
    answer_list(await_list("119"), 20, 9, 99);
    cr_assert_eq(answer_one(), 9);
    await_all(20);
}

Test(fetches, what_a_list_has_not_is_asked_for)
{
    add_many(20);
    answer_each(0, 4);
    answer_list(await_list("119"), 19, 0, 100);
    cr_assert_eq(answer_one(), 19);
    await_all(20);
}

Test(fetches, a_list_that_fails_is_none)
{
    add_many(20);
    answer_each(0, 4);
    server_reply(await_list("119"), 403,
                 "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"reason\":"
                 "\"Forbidden\",\"code\":403}");
    answer_each(4, 20);
    await_all(20);
}

Test(fetches, what_is_wanted_while_a_list_is_read_is_not_of_it)
{
    add_many(20);
    answer_each(0, 4);
    struct exchange *first = await_list("119");
    /* As of a later version. */
    outcomes[30].fetch =
        fetches_add(fetches, &(struct fetch_what){"p10", "130"}, record, &outcomes[30]);
    answer_list(first, 20, 0, 100);
    await_all(20);
    cr_assert_eq(outcomes[30].calls, 0);
    struct exchange *again = server_wait();
    cr_assert_str_eq(again->target, PATH "/p10?resourceVersion=130");
    _cleanup_free_ char *body = object_text(10, 130);
    server_reply(again, 200, body);
    RUN_UNTIL(outcomes[30].calls == 1);
}

Test(fetches, the_latest_does_not_wait)
{
    add_many(10);
    outcomes[30].fetch =
        fetches_add(fetches, &(struct fetch_what){"p30", NULL}, record, &outcomes[30]);
    bool latest = false;
    for (int i = 0; i < 5; i++) {
        struct exchange *exchange = server_wait();
        if (strcmp(exchange->target, PATH "/p30") == 0)
            latest = true;
        server_reply(exchange, 404,
                     "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":"
                     "\"Failure\",\"reason\":\"NotFound\",\"code\":404}");
    }
    cr_assert(latest);
    for (size_t i = 4; i < 10; i++)
        fetch_cancel(outcomes[i].fetch);
    RUN_UNTIL(outcomes[30].calls == 1 && outcomes[3].calls == 1);
}

Test(fetches, what_is_cancelled_is_not_answered)
{
    add_many(20);
    fetch_cancel(outcomes[2].fetch);  /* is asked for */
    fetch_cancel(outcomes[10].fetch); /* waits */
    for (int n = 0; n < 3; n++)
        answer_one();
    struct exchange *list = await_list("119");
    fetch_cancel(outcomes[11].fetch); /* is in a list */
    answer_list(list, 20, 0, 100);
    for (size_t i = 0; i < 20; i++)
        RUN_UNTIL(outcomes[i].calls == (i != 2 && i != 10 && i != 11));
}
