// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/lease_record.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"

TestSuite(lease_record, .init = alloc_init);

static int decode(const char *text, struct lease_record *ret, struct error *err)
{
    _cleanup_json_ cJSON *json = cJSON_Parse(text);

    cr_assert_not_null(json);
    return lease_record_decode(json, ret, err);
}

#define VERSION "\"metadata\":{\"resourceVersion\":\"9\"}"

Test(lease_record, an_empty_spec_is_a_lease_that_nobody_holds)
{
    static const char *const texts[] = {"{" VERSION "}", "{" VERSION ",\"spec\":null}",
                                        "{" VERSION ",\"spec\":{\"holderIdentity\":null}}"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_lease_record_ struct lease_record record = {0};

        cr_assert_eq(decode(texts[i], &record, NULL), 0);
        cr_assert_str_eq(record.holder, "");
        cr_assert_str_eq(record.renewed_at, "");
        cr_assert_eq(record.duration_s, 0);
        cr_assert_str_eq(record.resource_version, "9");
    }
}

Test(lease_record, what_no_server_sends_is_refused_by_its_field)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"{}", "metadata.resourceVersion"},
        {"{\"metadata\":{\"resourceVersion\":9}}", "metadata.resourceVersion"},
        {"{" VERSION ",\"spec\":[]}", "spec must be an object"},
        {"{" VERSION ",\"spec\":{\"holderIdentity\":1}}", "spec.holderIdentity"},
        {"{" VERSION ",\"spec\":{\"renewTime\":{}}}", "spec.renewTime"},
        {"{" VERSION ",\"spec\":{\"acquireTime\":true}}", "spec.acquireTime"},
        {"{" VERSION ",\"spec\":{\"leaseDurationSeconds\":-1}}", "spec.leaseDurationSeconds"},
        {"{" VERSION ",\"spec\":{\"leaseDurationSeconds\":1.5}}", "spec.leaseDurationSeconds"},
        {"{" VERSION ",\"spec\":{\"leaseTransitions\":1e300}}", "spec.leaseTransitions"},
        {"{" VERSION ",\"spec\":{\"leaseTransitions\":\"4\"}}", "spec.leaseTransitions"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_lease_record_ struct lease_record record = {0};
        _cleanup_error_ struct error err = {0};

        cr_assert_eq(decode(cases[i].text, &record, &err), -EINVAL, "%s", cases[i].text);
        cr_assert_not_null(strstr(error_message(&err), cases[i].word), "%s", error_message(&err));
        cr_assert_null(record.holder, "a failure leaves the output alone");
    }
}

Test(lease_record, what_is_encoded_is_decoded_to_the_same)
{
    char holder[] = "me", at[] = "2001-01-01T00:00:00.000000Z", version[] = "12";
    const struct lease_record record = {
        .holder = holder,
        .acquired_at = at,
        .renewed_at = at,
        .duration_s = 15,
        .transitions = 3,
        .resource_version = version,
    };
    _cleanup_json_ cJSON *json = lease_record_encode(&record, "ns", "l");
    _cleanup_lease_record_ struct lease_record again = {0};

    cr_assert_eq(lease_record_decode(json, &again, NULL), 0);
    cr_assert(lease_record_equal(&record, &again));
    cr_assert_str_eq(again.resource_version, "12");
    free(again.resource_version);
    again.resource_version = xstrdup("13");
    cr_assert(lease_record_equal(&record, &again), "the version is no part of the record");
    again.transitions++;
    cr_assert_not(lease_record_equal(&record, &again));
}

Test(lease_record, times_have_six_digits_of_a_second)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {1700000000007, "2023-11-14T22:13:20.007000Z"},
        {-1, "1969-12-31T23:59:59.999000Z"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = lease_time(cases[i].ms);

        cr_assert_str_eq(text, cases[i].text);
    }
}
