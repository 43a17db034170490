// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/status.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/kube/client.h"

static struct error err;

static void close_error(void)
{
    error_done(&err);
}

TestSuite(status, .init = alloc_init, .fini = close_error);

static int decode(int http_status, const char *body)
{
    return status_decode(http_status, body, strlen(body), &err);
}

Test(status, a_status_gives_reason_and_message)
{
    cr_assert_eq(decode(409, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"Conflict\","
                             "\"message\":\"the object has been modified\",\"code\":409}"),
                 -EAGAIN);
    cr_assert_eq(err.http_status, 409);
    cr_assert_str_eq(err.reason, "Conflict");
    cr_assert_str_eq(err.message, "the object has been modified");
    cr_assert(kube_error_is_conflict(&err));
    cr_assert_not(kube_error_is_already_exists(&err));
}

Test(status, another_body_gives_the_reason_of_the_http_status)
{
    static const struct {
        int http_status;
        int code;
        const char *reason;
        bool (*predicate)(const struct error *err);
    } cases[] = {
        {404, -ENOENT, "NotFound", kube_error_is_not_found},
        {401, -EACCES, "Unauthorized", kube_error_is_unauthorized},
        {403, -EPERM, "Forbidden", kube_error_is_forbidden},
        {409, -EAGAIN, "Conflict", kube_error_is_conflict},
        {410, -ESTALE, "Gone", kube_error_is_gone},
        {422, -EINVAL, "Invalid", kube_error_is_invalid},
        {429, -EBUSY, "TooManyRequests", kube_error_is_throttled},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cr_assert_eq(decode(cases[i].http_status, "<html>\nno\x01 Status"), cases[i].code);
        cr_assert_str_eq(err.reason, cases[i].reason);
        cr_assert(cases[i].predicate(&err), "%d", cases[i].http_status);
        cr_assert_not_null(strstr(err.message, "<html> no  Status"), "%s", err.message);
        cr_assert_not(kube_error_is_transport(&err));
    }
    cr_assert_eq(decode(502, ""), -EREMOTEIO);
    cr_assert_str_eq(err.message, "HTTP status 502");
    cr_assert_str_eq(err.reason, "Unknown");
    cr_assert_eq(decode(418, ""), -EINVAL);
}

Test(status, a_foreign_object_is_no_status)
{
    decode(404, "{\"kind\":\"Status\",\"apiVersion\":\"other/v1\",\"reason\":\"Conflict\"}");
    cr_assert_str_eq(err.reason, "NotFound");
    decode(404, "[\"Status\"]");
    cr_assert_str_eq(err.reason, "NotFound");
}

Test(status, odd_fields_do_no_harm)
{
    decode(500, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":7,\"message\":[],"
                "\"details\":{\"causes\":[null,{\"reason\":{}}]}}");
    cr_assert_str_eq(err.reason, "InternalError");
    cr_assert_not_null(strstr(err.message, "500"));
}

Test(status, a_version_that_is_too_large_is_told_from_other_timeouts)
{
    decode(504,
           "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"Timeout\",\"message\":"
           "\"Too large resource version: 9, current: 3\",\"details\":{\"causes\":[{\"reason\":"
           "\"ResourceVersionTooLarge\"}]},\"code\":504}");
    cr_assert(status_is_version_too_large(&err));
    decode(504, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"Timeout\"}");
    cr_assert_not(status_is_version_too_large(&err));
}

static int decode_json(const char *text)
{
    _cleanup_json_ cJSON *json = cJSON_Parse(text);

    return status_decode_json(json, &err);
}

Test(status, one_in_a_watch_says_its_own_code)
{
    cr_assert_eq(decode_json("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"Expired\","
                             "\"message\":\"too old\",\"code\":410}"),
                 -ESTALE);
    cr_assert_eq(err.http_status, 410);
    cr_assert(kube_error_is_gone(&err));
    decode_json("{\"code\":\"410\"}");
    cr_assert_eq(err.http_status, 500);
    decode_json("{\"code\":1e30}");
    cr_assert_eq(err.http_status, 500);
}

Test(status, nobody_need_listen)
{
    cr_assert_eq(status_decode(404, NULL, 0, NULL), -ENOENT);
    cr_assert_not(kube_error_is_not_found(NULL));
    cr_assert_not(kube_error_is_transport(NULL));
}
