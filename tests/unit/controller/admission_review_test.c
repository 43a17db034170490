// SPDX-License-Identifier: Apache-2.0
#include "controller/admission_review.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/base64.h"
#include "lib/base/buf.h"
#include "lib/base/utf8.h"

TestSuite(admission_review, .init = alloc_init);

#define HEAD "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":"

Test(admission_review, what_is_asked_is_read)
{
    static const char text[] =
        HEAD "{\"uid\":\"u-1\",\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"},"
             "\"resource\":{\"resource\":\"pods\"},\"subResource\":\"ephemeralcontainers\","
             "\"name\":\"p\",\"namespace\":\"n\",\"operation\":\"UPDATE\",\"userInfo\":{"
             "\"username\":\"me\",\"groups\":[\"a\",7,\"b\"]},\"object\":{\"spec\":{}},"
             "\"oldObject\":null,\"dryRun\":true}}";
    _cleanup_admission_review_ struct admission_review review = {0};

    cr_assert_eq(admission_review_parse(text, strlen(text), &review, NULL), 0);
    cr_assert_str_eq(review.uid, "u-1");
    cr_assert_str_eq(review.kind, "Pod");
    cr_assert_str_eq(review.resource, "pods");
    cr_assert_str_eq(review.subresource, "ephemeralcontainers");
    cr_assert_str_eq(review.operation, "UPDATE");
    cr_assert_str_eq(review.name, "p");
    cr_assert_str_eq(review.ns, "n");
    cr_assert_str_eq(review.user, "me");
    cr_assert(review.object && !review.old && review.dry_run);
    cr_assert(admission_review_in_group(&review, "b"));
    cr_assert_not(admission_review_in_group(&review, "c"));
}

/* Some bytes of text become eighty of memory. */
Test(admission_review, more_values_than_any_object_has_are_refused)
{
    _cleanup_buf_ struct buf text = BUF_INIT(8 * 1024 * 1024);
    _cleanup_error_ struct error err = {0};
    struct admission_review review;

    cr_assert_eq(buf_add_string(&text, HEAD "{\"uid\":\"u\",\"object\":{\"x\":[0"), 0);
    for (size_t i = 0; i < ADMISSION_VALUES_MAX; i++)
        cr_assert_eq(buf_add_string(&text, ",0"), 0);
    cr_assert_eq(buf_add_string(&text, "]}}}"), 0);
    cr_assert_eq(admission_review_parse(buf_string(&text), text.len, &review, &err), -EINVAL);
    cr_assert_not_null(strstr(error_message(&err), "values"), "%s", error_message(&err));
}

Test(admission_review, what_is_none_is_refused)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"kind\":\"AdmissionReview\"}",
        "{\"apiVersion\":\"admission.k8s.io/v1beta1\",\"kind\":\"AdmissionReview\",\"request\":"
        "{\"uid\":\"u\"}}",
        HEAD "{}}",
        HEAD "{\"uid\":\"\"}}",
        HEAD "{\"uid\":7}}",
        HEAD "null}",
        HEAD "{\"uid\":\"u\"}} x",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct admission_review review = {.uid = "untouched"};
        _cleanup_error_ struct error err = {0};

        cr_assert_eq(admission_review_parse(bad[i], strlen(bad[i]), &review, &err), -EINVAL, "%s",
                     bad[i]);
        cr_assert_str_eq(review.uid, "untouched");
        cr_assert(*error_message(&err));
    }
}

static cJSON *print(const struct admission_answer *answer)
{
    _cleanup_free_ char *text = admission_answer_print(answer, "u-1");
    cJSON *json = NULL;

    cr_assert_eq(json_parse(text, strlen(text), &json, NULL), 0);
    cr_assert_str_eq(json_string(json, "response", "uid"), "u-1");
    return json;
}

Test(admission_review, nothing_to_say_is_admitted)
{
    const struct admission_answer answer = {0};
    _cleanup_json_ cJSON *json = print(&answer);

    cr_assert(cJSON_IsTrue(json_get(json, "response", "allowed")));
    cr_assert_eq(cJSON_GetArraySize(json_get(json, "response")), 2);
}

Test(admission_review, a_refusal_has_a_status_and_no_patch)
{
    _cleanup_admission_answer_ struct admission_answer answer = {.refusal = xstrdup("no"),
                                                                 .reason = "Invalid",
                                                                 .patch = cJSON_CreateArray()};
    _cleanup_json_ cJSON *json = print(&answer);

    cr_assert(cJSON_IsFalse(json_get(json, "response", "allowed")));
    cr_assert_eq(json_int(json_get(json, "response", "status", "code"), 0), 422);
    cr_assert_str_eq(json_string(json, "response", "status", "message"), "no");
    cr_assert_null(json_get(json, "response", "patch"));
}

Test(admission_review, a_patch_is_base64)
{
    _cleanup_admission_answer_ struct admission_answer answer = {.patch = cJSON_CreateArray()};
    _cleanup_json_ cJSON *json = print(&answer);
    _cleanup_free_ char *patch = NULL;
    size_t len;

    cr_assert_str_eq(json_string(json, "response", "patchType"), "JSONPatch");
    cr_assert_eq(base64_decode(json_string(json, "response", "patch"), &patch, &len), 0);
    cr_assert_str_eq(patch, "[]");
}

Test(admission_review, an_answer_has_a_bounded_length)
{
    _cleanup_admission_answer_ struct admission_answer answer = {0};
    _cleanup_free_ char *text = xmalloc(100002);
    _cleanup_json_ cJSON *json = NULL;
    const char *first;

    memset(text, 'x', 100000);
    /* What is cut stays valid UTF-8. */
    for (size_t i = 1; i < 100000; i += 2)
        memcpy(text + i, "\xc3\xb6", 2);
    text[100001] = '\0';
    for (int i = 0; i < 50; i++)
        strv_add(&answer.warnings, text);
    answer.refusal = xstrdup(text);
    answer.violations = xstrdup(text);
    json = print(&answer);
    cr_assert_eq(cJSON_GetArraySize(json_get(json, "response", "warnings")), 20);
    first = json_get(json, "response", "warnings")->child->valuestring;
    cr_assert_leq(strlen(first), 1024);
    cr_assert(utf8_valid(first, strlen(first)));
    cr_assert_leq(strlen(json_string(json, "response", "status", "message")), 16384);
}
