// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/profile.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/alloc.h"

#define HEAD "\"apiVersion\": \"apparmor.io/v1alpha1\", \"kind\": \"AppArmorProfile\""

static cJSON *parse_json(const char *text)
{
    cJSON *json = NULL;
    _cleanup_error_ struct error err = {0};

    alloc_init();
    cr_assert_eq(json_parse(text, strlen(text), &json, &err), 0, "%s: %s", text,
                 error_message(&err));
    return json;
}

static struct policy_profile *parse(const char *text)
{
    _cleanup_json_ cJSON *json = parse_json(text);
    _cleanup_error_ struct error err = {0};
    struct policy_profile *profile = NULL;

    cr_assert_eq(policy_profile_parse(json, &profile, &err), 0, "%s", error_message(&err));
    return profile;
}

Test(profile, reads_all_fields)
{
    _cleanup_(policy_profile_freep) struct policy_profile *profile =
        parse("{" HEAD ", \"metadata\": {\"name\": \"deny-write.v2\", \"uid\": \"u-1\", "
              "\"generation\": 7, \"creationTimestamp\": \"2024-03-01T12:00:00Z\", "
              "\"deletionTimestamp\": \"2024-03-02T12:00:00Z\"}, "
              "\"spec\": {\"policy\": \"profile a { }\", \"mode\": \"Kill\", "
              "\"nodeSelector\": {\"matchLabels\": {\"a\": \"b\"}}, \"allowHostAttachment\": true, "
              "\"adopt\": true}}");

    cr_assert_str_eq(profile->name, "deny-write.v2");
    cr_assert_str_eq(profile->uid, "u-1");
    cr_assert_eq(profile->generation, 7);
    cr_assert_eq(profile->created_ms, 1709294400000);
    cr_assert(profile->deleting);
    cr_assert_str_eq(profile->text, "profile a { }");
    cr_assert_eq(profile->text_len, strlen(profile->text));
    cr_assert_eq(profile->mode, POLICY_KILL);
    cr_assert_str_eq(json_string(profile->selector, "matchLabels", "a"), "b");
    cr_assert(profile->allow_host_attachment);
    cr_assert(profile->adopt);
    cr_assert_eq(strlen(profile->revision), POLICY_REVISION_SIZE - 1);
}

Test(profile, absent_fields_have_defaults)
{
    _cleanup_(policy_profile_freep) struct policy_profile *profile =
        parse("{" HEAD ", \"metadata\": {\"name\": \"a\", \"creationTimestamp\": null}, "
              "\"spec\": {\"policy\": \"x\", \"mode\": null, \"nodeSelector\": null}}");

    cr_assert_str_eq(profile->uid, "");
    cr_assert_eq(profile->generation, 0);
    cr_assert_eq(profile->created_ms, 0);
    cr_assert_not(profile->deleting);
    cr_assert_eq(profile->mode, POLICY_MODE_UNSET);
    cr_assert_null(profile->selector);
    cr_assert_not(profile->allow_host_attachment);
    cr_assert_not(profile->adopt);
}

Test(profile, takes_fields_of_a_newer_schema)
{
    _cleanup_(policy_profile_freep) struct policy_profile *profile =
        parse("{" HEAD ", \"metadata\": {\"name\": \"a\"}, "
              "\"spec\": {\"policy\": \"x\", \"rollout\": {}}, \"status\": {}}");

    cr_assert_str_eq(profile->text, "x");
}

struct refusal {
    const char *object;
    const char *message; /* a part of it */
};

#define WITH_SPEC(spec) "{" HEAD ", \"metadata\": {\"name\": \"a\"}, \"spec\": " spec "}"
#define WITH_METADATA(metadata) \
    "{" HEAD ", \"metadata\": " metadata ", \"spec\": {\"policy\": \"x\"}}"

static const struct refusal REFUSALS[] = {
    {"[]", "not an object"},
    {"{\"kind\": \"AppArmorProfile\"}", "apiVersion: must be apparmor.io/v1alpha1"},
    {"{\"apiVersion\": \"apparmor.io/v1\", \"kind\": \"AppArmorProfile\"}", "apiVersion"},
    {"{\"apiVersion\": \"apparmor.io/v1alpha1\", \"kind\": \"AppArmorNode\"}", "kind"},
    {"{" HEAD ", \"spec\": {\"policy\": \"x\"}}", "metadata.name: missing"},
    {WITH_METADATA("{\"name\": \"A\"}"), "metadata.name: 'A'"},
    {WITH_METADATA("{\"name\": 3}"), "metadata.name: missing"},
    {WITH_METADATA("{\"name\": \"a\", \"creationTimestamp\": \"yesterday\"}"), "creationTimestamp"},
    {WITH_METADATA("{\"name\": \"a\", \"creationTimestamp\": 3}"), "creationTimestamp"},
    {"{" HEAD ", \"metadata\": {\"name\": \"a\"}}", "spec: missing"},
    {WITH_SPEC("[]"), "spec: missing"},
    {WITH_SPEC("{}"), "spec.policy: missing"},
    {WITH_SPEC("{\"policy\": [\"x\"]}"), "spec.policy: must be a string"},
    {WITH_SPEC("{\"policy\": \"\"}"), "spec.policy: empty"},
    {WITH_SPEC("{\"policy\": \"x\", \"mode\": \"enforce\"}"), "spec.mode: must be"},
    {WITH_SPEC("{\"policy\": \"x\", \"mode\": \"User\"}"), "spec.mode: must be"},
    {WITH_SPEC("{\"policy\": \"x\", \"mode\": \"\"}"), "spec.mode: must be"},
    {WITH_SPEC("{\"policy\": \"x\", \"mode\": true}"), "spec.mode: must be"},
    {WITH_SPEC("{\"policy\": \"x\", \"nodeSelector\": {\"matchLabels\": {\"a\": 1}}}"),
     "spec.nodeSelector: matchLabels"},
    {WITH_SPEC("{\"policy\": \"x\", \"nodeSelector\": []}"), "spec.nodeSelector"},
    {WITH_SPEC("{\"policy\": \"x\", \"adopt\": \"yes\"}"), "spec.adopt: must be true or false"},
    {WITH_SPEC("{\"policy\": \"x\", \"allowHostAttachment\": \"true\"}"),
     "spec.allowHostAttachment"},
};

Test(profile, refuses_by_field)
{
    for (size_t i = 0; i < ARRAY_SIZE(REFUSALS); i++) {
        _cleanup_json_ cJSON *json = parse_json(REFUSALS[i].object);
        _cleanup_error_ struct error err = {0};
        struct policy_profile *profile = NULL;

        cr_expect_eq(policy_profile_parse(json, &profile, &err), -EINVAL, "%s", REFUSALS[i].object);
        cr_expect_null(profile);
        cr_expect_str_eq(error_reason(&err, ""), POLICY_REASON_INVALID);
        cr_expect_not_null(strstr(error_message(&err), REFUSALS[i].message), "%s: %s",
                           REFUSALS[i].object, error_message(&err));
    }
}

static int parse_text_of(const char *text, struct error *err)
{
    _cleanup_json_ cJSON *json = parse_json(WITH_SPEC("{}"));
    _cleanup_(policy_profile_freep) struct policy_profile *profile = NULL;

    json_add_string(cJSON_GetObjectItemCaseSensitive(json, "spec"), "policy", text);
    return policy_profile_parse(json, &profile, err);
}

Test(profile, the_text_is_measured_in_bytes)
{
    _cleanup_free_ char *text = xmalloc(POLICY_TEXT_MAX + 2);
    _cleanup_error_ struct error err = {0};

    memset(text, 'x', POLICY_TEXT_MAX + 1);
    text[POLICY_TEXT_MAX] = '\0';
    cr_assert_eq(parse_text_of(text, &err), 0);
    memcpy(text + POLICY_TEXT_MAX - 1, "\xc3\xa9", 3); /* as many characters, one byte more */
    cr_assert_eq(parse_text_of(text, &err), -EINVAL);
    cr_assert_not_null(strstr(error_message(&err), "262145 bytes"));
}

Test(profile, the_text_must_be_utf8)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(parse_text_of("profile \xff {}", &err), -EINVAL);
    cr_assert_not_null(strstr(error_message(&err), "UTF-8"));
}

Test(profile, fields_of_manifests_are_checked_by_name)
{
    _cleanup_json_ cJSON *good = parse_json(WITH_SPEC("{\"policy\": \"x\", \"mode\": \"Kill\"}"));
    _cleanup_json_ cJSON *misspelt =
        parse_json(WITH_SPEC("{\"policy\": \"x\", \"nodeselector\": {}}"));
    _cleanup_json_ cJSON *misplaced = parse_json("{" HEAD ", \"policy\": \"x\"}");
    _cleanup_json_ cJSON *list = parse_json("[0]");
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(policy_profile_check_fields(good, &err), 0);
    cr_assert_eq(policy_profile_check_fields(list, &err), 0);
    cr_assert_eq(policy_profile_check_fields(misspelt, &err), -EINVAL);
    cr_assert_not_null(strstr(error_message(&err), "spec.nodeselector"));
    cr_assert_eq(policy_profile_check_fields(misplaced, &err), -EINVAL);
    cr_assert_not_null(strstr(error_message(&err), "policy"));
}

Test(profile, the_revision_depends_on_text_and_mode_alone)
{
    char a[POLICY_REVISION_SIZE], b[POLICY_REVISION_SIZE];

    policy_revision("x", 1, POLICY_KILL, a);
    policy_revision("x", 1, POLICY_KILL, b);
    cr_assert_str_eq(a, b);
    policy_revision("x", 1, POLICY_MODE_UNSET, b);
    cr_assert_str_neq(a, b);
    policy_revision("y", 1, POLICY_KILL, b);
    cr_assert_str_neq(a, b);
}

/* A change would make every node compile and load everything anew. */
Test(profile, the_revision_stays_what_it_is)
{
    char revision[POLICY_REVISION_SIZE];

    /* printf 'Enforce\nprofile a { }\n' | sha256sum | cut -c1-32 */
    policy_revision("profile a { }\n", 14, POLICY_ENFORCE, revision);
    cr_assert_str_eq(revision, "22b834144fd1985d30552a8b0bb65f25");
}

Test(profile, names_are_subdomains_that_fit_in_a_label)
{
    static const char *const good[] = {"a",
                                       "0",
                                       "a-b",
                                       "a.b",
                                       "a--b",
                                       "a.b-c.d",
                                       "a234567890123456789012345678901234567890123456789012345"};
    static const char *const bad[] = {
        "",         "-a",
        "a-",       ".a",
        "a.",       "a..b",
        "a.-b",     "a-.b",
        "A",        "a_b",
        "a/b",      "a b",
        "\xc3\xa9", "a2345678901234567890123456789012345678901234567890123456"};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        cr_expect_eq(policy_name_check(good[i], NULL), 0, "%s", good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_expect_eq(policy_name_check(bad[i], NULL), -EINVAL, "%s", bad[i]);
    cr_expect_eq(policy_name_check(NULL, NULL), -EINVAL);
}
