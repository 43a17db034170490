// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/access.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

static struct audit_access file(const char *profile, const char *name, const char *denied)
{
    return (struct audit_access){
        .class = AUDIT_FILE,
        .fields = {[AUDIT_FIELD_PROFILE] = profile,
                   [AUDIT_FIELD_OPERATION] = "open",
                   [AUDIT_FIELD_NAME] = name,
                   [AUDIT_FIELD_REQUESTED] = denied,
                   [AUDIT_FIELD_DENIED] = denied},
    };
}

static char *key_of(const struct audit_access *access)
{
    struct buf key = BUF_INIT(65536);

    audit_access_key(access, &key);
    return buf_take(&key);
}

static bool are_one(const struct audit_access *a, const struct audit_access *b)
{
    _cleanup_free_ char *left = key_of(a), *right = key_of(b);

    return strcmp(left, right) == 0;
}

Test(access, a_key_tells_accesses_apart)
{
    struct audit_access one = file("p", "/x", "r"), other = one;

    cr_expect(are_one(&one, &other));
    other.outcome = AUDIT_ALLOWED;
    cr_expect_not(are_one(&one, &other));
    other = one;
    other.class = AUDIT_EXEC;
    cr_expect_not(are_one(&one, &other));
    other = one;
    other.owner = true;
    cr_expect_not(are_one(&one, &other));
    other = one;
    other.pattern = true;
    cr_expect_not(are_one(&one, &other));
    for (size_t i = 0; i < AUDIT_FIELDS; i++) {
        other = one;
        other.fields[i] = "something else";
        cr_expect_not(are_one(&one, &other), "%s", audit_field_key((enum audit_field) i));
    }
}

/* What one field ends in, the next may begin with. */
Test(access, neighbours_do_not_run_into_one_another)
{
    struct audit_access one = {.fields = {[AUDIT_FIELD_NAME] = "ab", [AUDIT_FIELD_TARGET] = "c"}};
    struct audit_access two = {.fields = {[AUDIT_FIELD_NAME] = "a", [AUDIT_FIELD_TARGET] = "bc"}};
    struct audit_access empty = {.fields = {[AUDIT_FIELD_NAME] = ""}}, none = {0};

    cr_expect_not(are_one(&one, &two));
    cr_expect_not(are_one(&empty, &none));
}

Test(access, json_says_all_of_it)
{
    struct audit_access access = {.outcome = AUDIT_KILLED,
                                  .class = AUDIT_MQUEUE,
                                  .owner = true,
                                  .pattern = true},
                        again;

    for (size_t i = 0; i < AUDIT_FIELDS; i++)
        access.fields[i] = audit_field_key((enum audit_field) i);
    _cleanup_json_ cJSON *json = audit_access_json(&access);
    cr_assert(audit_access_read(json, &again));
    cr_expect(are_one(&access, &again));
    cr_expect_eq(cJSON_GetArraySize(json), AUDIT_FIELDS + 4);
}

static bool reads(const char *text, struct audit_access *ret)
{
    static cJSON *json;

    json_free(json);
    cr_assert_eq(json_parse(text, strlen(text), &json, NULL), 0);
    return audit_access_read(json, ret);
}

Test(access, json_that_lacks_something_is_refused)
{
    struct audit_access access;

    cr_expect(reads("{\"profile\":\"p\",\"outcome\":\"Denied\",\"class\":\"file\","
                    "\"operation\":\"open\"}",
                    &access));
    cr_expect_not(
        reads("{\"outcome\":\"Denied\",\"class\":\"file\",\"operation\":\"o\"}", &access));
    cr_expect_not(reads("{\"profile\":\"p\",\"class\":\"file\",\"operation\":\"o\"}", &access));
    cr_expect_not(reads("{\"profile\":\"p\",\"outcome\":\"Denied\",\"operation\":\"o\"}", &access));
    cr_expect_not(reads("{\"profile\":\"p\",\"outcome\":\"Denied\",\"class\":\"file\"}", &access));
    cr_expect_not(reads("{\"profile\":1,\"outcome\":\"Denied\",\"class\":\"file\","
                        "\"operation\":\"o\"}",
                        &access));
    cr_expect_not(reads("{\"profile\":\"p\",\"outcome\":\"Maybe\",\"class\":\"file\","
                        "\"operation\":\"o\"}",
                        &access));
    /* Of an agent that is newer. */
    cr_assert(reads("{\"profile\":\"p\",\"outcome\":\"Denied\",\"class\":\"new\","
                    "\"operation\":\"o\"}",
                    &access));
    cr_expect_eq(access.class, AUDIT_OTHER);
}

static void assert_described(struct audit_access access, const char *expected)
{
    _cleanup_buf_ struct buf text = BUF_INIT(65536);

    audit_access_describe(&access, &text);
    cr_expect_str_eq(buf_string(&text), expected, "%s", buf_string(&text));
}

Test(access, words)
{
    assert_described(file("p", "/etc/shadow", "r"), "open of /etc/shadow for r");
    assert_described((struct audit_access){.class = AUDIT_EXEC,
                                           .fields = {[AUDIT_FIELD_OPERATION] = "exec",
                                                      [AUDIT_FIELD_NAME] = "/bin/sh",
                                                      [AUDIT_FIELD_DENIED] = "x"}},
                     "exec of /bin/sh");
    assert_described(
        (struct audit_access){
            .class = AUDIT_CAPABILITY,
            .fields = {[AUDIT_FIELD_OPERATION] = "capable", [AUDIT_FIELD_NAME] = "net_admin"}},
        "use of capability net_admin");
    assert_described((struct audit_access){.class = AUDIT_NETWORK,
                                           .fields = {[AUDIT_FIELD_OPERATION] = "create",
                                                      [AUDIT_FIELD_FAMILY] = "inet",
                                                      [AUDIT_FIELD_SOCKET_TYPE] = "raw",
                                                      [AUDIT_FIELD_DENIED] = "create"}},
                     "create of a socket of family inet, type raw");
    assert_described((struct audit_access){.class = AUDIT_SIGNAL,
                                           .fields = {[AUDIT_FIELD_OPERATION] = "signal",
                                                      [AUDIT_FIELD_SIGNAL] = "term",
                                                      [AUDIT_FIELD_DENIED] = "send",
                                                      [AUDIT_FIELD_PEER] = "db"}},
                     "signal term for send, peer db");
    assert_described((struct audit_access){.class = AUDIT_MOUNT,
                                           .fields = {[AUDIT_FIELD_OPERATION] = "mount",
                                                      [AUDIT_FIELD_NAME] = "/mnt/",
                                                      [AUDIT_FIELD_SOURCE] = "none",
                                                      [AUDIT_FIELD_INFO] = "failed flags match"}},
                     "mount of none on /mnt/ (failed flags match)");
    assert_described((struct audit_access){.class = AUDIT_DBUS,
                                           .fields = {[AUDIT_FIELD_OPERATION] = "dbus_method_call",
                                                      [AUDIT_FIELD_NAME] = "a.Service",
                                                      [AUDIT_FIELD_BUS] = "system",
                                                      [AUDIT_FIELD_PATH] = "/a",
                                                      [AUDIT_FIELD_INTERFACE] = "a.B",
                                                      [AUDIT_FIELD_MEMBER] = "Do",
                                                      [AUDIT_FIELD_DENIED] = "send"}},
                     "dbus_method_call of a.B.Do at /a of a.Service on the bus system for send");
    assert_described((struct audit_access){.class = AUDIT_RLIMIT,
                                           .fields = {[AUDIT_FIELD_OPERATION] = "setrlimit",
                                                      [AUDIT_FIELD_RLIMIT] = "nofile",
                                                      [AUDIT_FIELD_VALUE] = "4096"}},
                     "setrlimit of nofile to 4096");
}
