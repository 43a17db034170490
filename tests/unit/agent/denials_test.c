// SPDX-License-Identifier: Apache-2.0
#include "agent/denials.h"

#include <criterion/criterion.h>
#include <string.h>

#include "agent/denial_events.h"
#include "agent/denial_status.h"
#include "lib/base/alloc.h"

TestSuite(denials, .init = alloc_init);

/* The profile "web" is of the object "web-object", and so on; "foreign" is of none. */
static const char *revision = "r1";

static const char *object_of(_unused_ void *userdata, const char *profile)
{
    if (strncmp(profile, "web", 3) == 0)
        return "web-object";
    return strcmp(profile, "db") == 0 ? "db-object" : NULL;
}

static const char *revision_of(_unused_ void *userdata, const char *object)
{
    return strcmp(object, "web-object") == 0 ? revision : "r9";
}

static struct denials *denials_of_test(void)
{
    const struct denials_options options = {.object_of = object_of, .revision_of = revision_of};

    revision = "r1";
    return denials_new(&options);
}

static const struct pod_names POD_A = {"shop", "a", "uid-a", "main"};
static const struct pod_names POD_B = {"shop", "b", "uid-b", "main"};
static const struct pod_names NOBODY = {"unknown", "unknown", "", "unknown"};

static struct audit_record open_of(const char *profile, const char *name, int64_t time_ms)
{
    return (struct audit_record){
        .access = {.class = AUDIT_FILE,
                   .fields = {[AUDIT_FIELD_PROFILE] = profile,
                              [AUDIT_FIELD_OPERATION] = "open",
                              [AUDIT_FIELD_DENIED] = "r",
                              [AUDIT_FIELD_NAME] = name}},
        .time_ms = time_ms,
        .comm = "cat",
    };
}

static struct denial *add(struct denials *denials, const char *profile, const char *name,
                          const struct pod_names *who)
{
    struct audit_record record = open_of(profile, name, 1700000000000);
    bool new;

    return denials_add(denials, &record, who, &new);
}

static char *status_of(struct denials *denials)
{
    _cleanup_json_ cJSON *status = cJSON_CreateObject();

    denials_forget_outdated(denials);
    denial_status_add(denials, status);
    return json_print(status);
}

Test(denials, equal_accesses_are_one)
{
    _cleanup_(denials_freep) struct denials *denials = denials_of_test();
    struct audit_record record = open_of("web", "/x", 5000);
    bool new;

    struct denial *denial = denials_add(denials, &record, &POD_A, &new);
    cr_assert(new);
    record.time_ms = 3000;
    cr_expect_eq(denials_add(denials, &record, &POD_B, &new), denial);
    cr_expect_not(new);
    record.time_ms = 9000;
    cr_expect_eq(denials_add(denials, &record, &POD_A, &new), denial);
    cr_expect_eq(denial->count, 3);
    cr_expect_eq(denial->first_ms, 3000);
    cr_expect_eq(denial->last_ms, 9000);
    cr_expect_eq(denial->who_count, 2);
    cr_expect_eq(denial->who[0].count, 2);
    cr_expect_str_eq(denial->object, "web-object");
    cr_expect_eq(denials_size(denials), 1);
}

Test(denials, status_says_it)
{
    _cleanup_(denials_freep) struct denials *denials = denials_of_test();
    struct audit_record record = open_of("web", "/x", 1700000000000);
    bool new;

    denials_add(denials, &record, &POD_A, &new);
    record.access.outcome = AUDIT_ALLOWED;
    record.time_ms += 60000;
    denials_add(denials, &record, NULL, &new);
    _cleanup_free_ char *status = status_of(denials);
    cr_expect_str_eq(
        status,
        "{\"violations\":[{\"object\":\"web-object\",\"revision\":\"r1\",\"denied\":1,"
        "\"allowed\":1,\"firstTime\":\"2023-11-14T22:13:20Z\",\"lastTime\":"
        "\"2023-11-14T22:14:20Z\"}],\"denials\":[{\"outcome\":\"Denied\",\"class\":\"file\","
        "\"profile\":\"web\",\"operation\":\"open\",\"denied\":\"r\",\"name\":\"/x\",\"object\":"
        "\"web-object\",\"comm\":\"cat\",\"count\":1,\"firstTime\":\"2023-11-14T22:13:20Z\","
        "\"lastTime\":\"2023-11-14T22:13:20Z\",\"pods\":[\"shop/a/main\"]},{\"outcome\":"
        "\"Allowed\",\"class\":\"file\",\"profile\":\"web\",\"operation\":\"open\",\"denied\":"
        "\"r\",\"name\":\"/x\",\"object\":\"web-object\",\"comm\":\"cat\",\"count\":1,"
        "\"firstTime\":\"2023-11-14T22:14:20Z\",\"lastTime\":\"2023-11-14T22:14:20Z\"}]}",
        "%s", status);
}

Test(denials, where_nothing_was_denied_nothing_is_said)
{
    _cleanup_(denials_freep) struct denials *denials = denials_of_test();
    _cleanup_free_ char *status = status_of(denials);

    cr_expect_str_eq(status, "{}");
}

Test(denials, what_is_nobodys_business_is_not_kept)
{
    _cleanup_(denials_freep) struct denials *denials = denials_of_test();
    struct audit_record other_namespace = open_of("web", "/x", 1);
    bool new;

    cr_expect_null(add(denials, "foreign", "/x", NULL));
    cr_expect_null(add(denials, "foreign", "/x", &NOBODY));
    other_namespace.access.fields[AUDIT_FIELD_NAMESPACE] = "ns";
    cr_expect_null(denials_add(denials, &other_namespace, NULL, &new));
    cr_expect_not_null(add(denials, "foreign", "/x", &POD_A));
    cr_expect_not_null(add(denials, "web//kid", "/x", NULL));
    cr_expect_not_null(add(denials, "web", "/x", &NOBODY));
}

Test(denials, a_new_revision_begins_with_nothing)
{
    _cleanup_(denials_freep) struct denials *denials = denials_of_test();

    add(denials, "web", "/x", &POD_A);
    add(denials, "web", "/y", &POD_A);
    add(denials, "db", "/x", &POD_A);
    revision = "r2";
    cr_expect_eq(add(denials, "web", "/x", &POD_A)->count, 1);
    cr_expect_eq(denials_size(denials), 2);
    revision = "r3";
    cr_expect(denials_forget_outdated(denials));
    cr_expect_not(denials_forget_outdated(denials));
    cr_expect_eq(denials_size(denials), 1);
    /* Its policy has left the node. */
    revision = NULL;
    cr_expect_null(add(denials, "web", "/x", NULL));
}

Test(denials, many_names_of_one_folder_become_one)
{
    _cleanup_(denials_freep) struct denials *denials = denials_of_test();
    const struct denial *denial = NULL;

    add(denials, "db", "/data/1", &POD_A);
    for (int i = 0; i <= DENIALS_FOLDER_MAX; i++) {
        _cleanup_free_ char *name = xasprintf("/data/%d", i);

        cr_expect_eq(denials_size(denials), 1 + (size_t) i);
        denial = add(denials, "web", name, i % 2 ? &POD_A : &POD_B);
    }
    cr_expect_eq(denials_size(denials), 2);
    cr_expect(denial->access.pattern);
    cr_expect_str_eq(denial->access.fields[AUDIT_FIELD_NAME], "/data/*");
    cr_expect_eq(denial->count, DENIALS_FOLDER_MAX + 1);
    cr_expect_eq(denial->who_count, 2);
    cr_expect_eq(denial->who[0].count + denial->who[1].count, DENIALS_FOLDER_MAX + 1);
    cr_expect_eq(add(denials, "web", "/data/1", &POD_A), denial);
    cr_expect_eq(add(denials, "web", "/data/another", &POD_A), denial);
    cr_expect_neq(add(denials, "web", "/data/deep/er", &POD_A), denial);
}

/* A thousand folders each, so that no name is like another. */
static void flood(struct denials *denials, const char *profile, int count)
{
    for (int i = 0; i < count; i++) {
        _cleanup_free_ char *name = xasprintf("/%d/x", i);

        add(denials, profile, name, &POD_A);
    }
}

Test(denials, no_profile_takes_the_room_of_others)
{
    _cleanup_(denials_freep) struct denials *denials = denials_of_test();
    _cleanup_json_ cJSON *status = cJSON_CreateObject();
    size_t of_db = 0;
    const cJSON *item;

    flood(denials, "web", 5000);
    cr_expect_eq(denials_size(denials), DENIALS_PROFILE_MAX);
    flood(denials, "db", 3);
    cr_expect_eq(denials_size(denials), DENIALS_PROFILE_MAX + 3);
    for (int i = 0; i < 50; i++) {
        _cleanup_free_ char *profile = xasprintf("foreign-%d", i);

        flood(denials, profile, 100);
    }
    cr_expect_eq(denials_size(denials), DENIALS_MAX);
    denial_status_add(denials, status);
    cr_expect_leq(cJSON_GetArraySize(json_get(status, "denials")), DENIAL_STATUS_MAX);
    cr_expect_geq(json_int(json_get(status, "denialsNotListed"), 0),
                  DENIALS_MAX - DENIAL_STATUS_MAX);
    cJSON_ArrayForEach(item, json_get(status, "denials"))
    {
        of_db += strcmp(json_string(item, "profile"), "db") == 0;
    }
    cr_expect_eq(of_db, 3);
    /* All are counted, listed or not. */
    cr_expect_eq(json_int(json_get(cJSON_GetArrayItem(json_get(status, "violations"), 1), "denied"),
                          0),
                 5000);
}

Test(denials, status_and_table_are_bounded_in_bytes)
{
    _cleanup_(denials_freep) struct denials *denials = denials_of_test();
    _cleanup_free_ char *filler = xcalloc(1, 400);

    memset(filler, 'x', 399);
    for (int i = 0; i < 2000; i++) {
        _cleanup_free_ char *profile = xasprintf("foreign-%d-%s", i / 100, filler);
        struct audit_record record = open_of(profile, filler, 1700000000000);
        _cleanup_free_ char *name = xasprintf("/%d/%s", i, filler);
        bool new;

        record.access.fields[AUDIT_FIELD_NAME] = name;
        record.access.fields[AUDIT_FIELD_TARGET] = filler;
        record.access.fields[AUDIT_FIELD_PEER] = filler;
        denials_add(denials, &record, &POD_A, &new);
    }
    cr_expect_leq(denials_size(denials), DENIALS_TEXT_MAX / 1600);
    _cleanup_free_ char *status = status_of(denials);
    cr_expect_lt(strlen(status), DENIAL_STATUS_TEXT_MAX + 65536);
}

Test(denials, what_is_old_makes_room)
{
    _cleanup_(denials_freep) struct denials *denials = denials_of_test();
    struct audit_record later = open_of("web", "/new", 1700000000000 + 25 * INT64_C(3600000));
    bool new;

    flood(denials, "web", DENIALS_PROFILE_MAX);
    cr_expect_null(add(denials, "web", "/no/room", &POD_A));
    cr_expect_not_null(denials_add(denials, &later, &POD_A, &new));
    cr_expect(new);
    cr_expect_eq(denials_size(denials), 1);
}

Test(denials, a_status_is_taken_over_as_it_was)
{
    _cleanup_(denials_freep) struct denials *first = denials_of_test();
    _cleanup_(denials_freep) struct denials *second = denials_of_test();

    add(first, "web", "/x", &POD_A);
    add(first, "web", "/x", &POD_B);
    add(first, "web", "/y", &NOBODY);
    add(first, "db", "/x", NULL);
    add(first, "foreign", "/x", &POD_A);
    _cleanup_free_ char *before = status_of(first);
    _cleanup_json_ cJSON *status = NULL;
    cr_assert_eq(json_parse(before, strlen(before), &status, NULL), 0);
    denial_status_adopt(second, status);
    _cleanup_free_ char *after = status_of(second);
    cr_expect_str_eq(after, before);
    /* It goes on from there, and what was told is not told again. */
    const struct denial *denial = add(second, "web", "/x", &POD_A);
    cr_expect_eq(denial->count, 3);
    cr_expect_str_eq(denial->who[0].uid, "uid-a");
    cr_expect_eq(denial->who[0].count, denial->who[0].told_count + 1);
}

Test(denials, a_status_of_another_revision_is_not)
{
    _cleanup_(denials_freep) struct denials *first = denials_of_test();
    _cleanup_(denials_freep) struct denials *second = denials_of_test();

    add(first, "web", "/x", &POD_A);
    _cleanup_free_ char *before = status_of(first);
    _cleanup_json_ cJSON *status = NULL;
    cr_assert_eq(json_parse(before, strlen(before), &status, NULL), 0);
    revision = "r2";
    denial_status_adopt(second, status);
    _cleanup_free_ char *after = status_of(second);
    cr_expect_str_eq(after, "{}");
}

Test(denials, a_status_that_makes_no_sense_is_passed_over)
{
    static const char text[] =
        "{\"violations\":[1,{},{\"object\":\"web-object\"},{\"object\":\"web-object\",\"revision\":"
        "\"r1\",\"denied\":-5,\"firstTime\":\"never\"}],\"denials\":[null,{},{\"profile\":"
        "\"foreign\","
        "\"outcome\":\"Denied\",\"class\":\"file\",\"operation\":\"open\",\"count\":\"x\",\"pods\":"
        "[1,\"a\",\"a/b\",\"a/b/c/d\",\"shop/a/main\"]}]}";
    _cleanup_(denials_freep) struct denials *denials = denials_of_test();
    _cleanup_json_ cJSON *status = NULL;
    size_t position = 0;

    cr_assert_eq(json_parse(text, strlen(text), &status, NULL), 0);
    denial_status_adopt(denials, status);
    cr_assert_eq(denials_size(denials), 1);
    const struct denial *denial = denials_next(denials, &position);
    cr_expect_eq(denial->who_count, 1);
    cr_expect_str_eq(denial->who[0].pod, "a");
}

static void assert_message(const struct denial *denial, const struct denial_who *who,
                           const char *expected)
{
    _cleanup_free_ char *message = denial_events_message(denial, who);

    cr_expect_str_eq(message, expected);
}

Test(denials, what_an_event_says)
{
    _cleanup_(denials_freep) struct denials *denials = denials_of_test();
    struct denial *denial = add(denials, "web", "/etc/shadow", &POD_A);

    assert_message(denial, &denial->who[0],
                   "container main: open of /etc/shadow for r denied by web");
    for (int i = 0; i < 36; i++)
        add(denials, "web", "/etc/shadow", &POD_A);
    add(denials, "web", "/etc/shadow", &POD_B);
    assert_message(denial, &denial->who[0],
                   "container main: open of /etc/shadow for r denied by web, 37 times");
    assert_message(denial, NULL, "open of /etc/shadow for r denied by web, 38 times");
    denial->access.outcome = AUDIT_KILLED;
    assert_message(denial, &denial->who[1],
                   "container main: open of /etc/shadow for r denied and "
                   "the process killed by web");
}
