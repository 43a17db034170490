// SPDX-License-Identifier: Apache-2.0
#include "controller/certificate_secret.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

#define DAY INT64_C(86400000)
#define BEGIN INT64_C(1735689600000)
#define LIFETIME (90 * DAY)

static struct strv hosts;
static cJSON *secret; /* as the API server has it */
static int64_t now_ms;
static bool trusted;

static void setup(void)
{
    alloc_init();
    strv_add(&hosts, "web.ns.svc");
    secret = cJSON_CreateObject();
    now_ms = BEGIN;
    trusted = false;
}

static void teardown(void)
{
    strv_done(&hosts);
    json_free(secret);
    secret = NULL;
}

TestSuite(certificate_secret, .init = setup, .fini = teardown);

/* RFC 7386. */
static void merge(cJSON *target, const cJSON *patch)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, patch)
    {
        if (!cJSON_IsObject(item)) {
            cJSON_DeleteItemFromObjectCaseSensitive(target, item->string);
            if (!cJSON_IsNull(item))
                json_add(target, item->string, cJSON_Duplicate(item, true));
            continue;
        }
        if (!cJSON_GetObjectItemCaseSensitive(target, item->string))
            json_add_object(target, item->string);
        merge(cJSON_GetObjectItemCaseSensitive(target, item->string), item);
    }
}

static enum certificate_step plan(struct certificate_secret *read)
{
    const struct certificate_situation situation = {&hosts, now_ms, trusted};
    int64_t due_ms;

    certificate_secret_read(read, secret);
    return certificate_plan(read, &situation, &due_ms);
}

/* What a replica does now. */
static enum certificate_step step(void)
{
    _cleanup_certificate_secret_ struct certificate_secret read = {0};
    _cleanup_certificate_ struct certificate made = {0};
    enum certificate_step now = plan(&read);
    _cleanup_json_ cJSON *patch = NULL;

    if (now == CERTIFICATE_KEEP)
        return now;
    if (now != CERTIFICATE_PROMOTE)
        cr_assert_eq(certificate_make(&hosts, now_ms, now_ms + LIFETIME, &made, NULL), 0);
    patch = certificate_secret_patch(&read, now, &made);
    merge(secret, patch);
    return now;
}

static char *bundle(void)
{
    _cleanup_certificate_secret_ struct certificate_secret read = {0};

    certificate_secret_read(&read, secret);
    return certificate_secret_bundle(&read);
}

static size_t authorities(void)
{
    _cleanup_free_ char *text = bundle();
    size_t count = 0;

    for (const char *at = text; at && (at = strstr(at, "BEGIN CERTIFICATE")); at++)
        count++;
    return count;
}

static char *served(void)
{
    return xstrdup(json_string(secret, "data", "tls.crt"));
}

Test(certificate_secret, an_empty_one_is_filled_once)
{
    cr_assert_eq(authorities(), 0);
    cr_assert_eq(step(), CERTIFICATE_BEGIN);
    cr_assert_eq(step(), CERTIFICATE_KEEP);
    cr_assert_eq(authorities(), 1);
}

Test(certificate_secret, a_new_one_is_trusted_before_it_is_served)
{
    _cleanup_free_ char *first = NULL, *staged_bundle = NULL, *promoted_bundle = NULL;

    cr_assert_eq(step(), CERTIFICATE_BEGIN);
    first = served();
    now_ms += LIFETIME / 3 * 2 - DAY;
    cr_assert_eq(step(), CERTIFICATE_KEEP);
    now_ms += DAY;
    cr_assert_eq(step(), CERTIFICATE_STAGE);
    cr_assert_str_eq(json_string(secret, "data", "tls.crt"), first);
    cr_assert_eq(authorities(), 2);
    cr_assert_eq(step(), CERTIFICATE_KEEP, "not before it is trusted");

    staged_bundle = bundle();
    trusted = true;
    cr_assert_eq(step(), CERTIFICATE_PROMOTE);
    cr_assert_str_neq(json_string(secret, "data", "tls.crt"), first);
    promoted_bundle = bundle();
    /* A replica that has not heard of it yet must not put another one back. */
    cr_assert_str_eq(staged_bundle, promoted_bundle);
    cr_assert_eq(step(), CERTIFICATE_KEEP);
    cr_assert_null(json_get(secret, "data", "next-tls.key"));

    now_ms += LIFETIME;
    cr_assert_eq(step(), CERTIFICATE_STAGE);
    cr_assert_eq(authorities(), 2, "the first is not trusted any more");
}

Test(certificate_secret, it_is_renewed_when_asked_to)
{
    cr_assert_eq(step(), CERTIFICATE_BEGIN);
    json_add_string(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(secret,
                                                                                      "metadata"),
                                                     "annotations"),
                    CERTIFICATE_ROTATE, "true");
    cr_assert_eq(step(), CERTIFICATE_STAGE);
    trusted = true;
    cr_assert_eq(step(), CERTIFICATE_PROMOTE);
    cr_assert_eq(step(), CERTIFICATE_KEEP, "once");
}

Test(certificate_secret, another_host_needs_another_certificate)
{
    cr_assert_eq(step(), CERTIFICATE_BEGIN);
    strv_add(&hosts, "127.0.0.1");
    cr_assert_eq(step(), CERTIFICATE_STAGE);
    trusted = true;
    cr_assert_eq(step(), CERTIFICATE_PROMOTE);
    cr_assert_eq(step(), CERTIFICATE_KEEP);
}

Test(certificate_secret, one_that_waited_too_long_is_made_again)
{
    cr_assert_eq(step(), CERTIFICATE_BEGIN);
    now_ms += LIFETIME;
    cr_assert_eq(step(), CERTIFICATE_STAGE);
    now_ms += LIFETIME;
    trusted = true;
    cr_assert_eq(step(), CERTIFICATE_STAGE);
    cr_assert_eq(step(), CERTIFICATE_PROMOTE);
}

Test(certificate_secret, what_cannot_be_read_is_replaced)
{
    cJSON *data;

    cr_assert_eq(step(), CERTIFICATE_BEGIN);
    data = cJSON_GetObjectItemCaseSensitive(secret, "data");
    cJSON_ReplaceItemInObjectCaseSensitive(data, "tls.crt", cJSON_CreateString("eHg="));
    cr_assert_eq(step(), CERTIFICATE_BEGIN);
    cJSON_DeleteItemFromObjectCaseSensitive(data, "tls.key");
    cr_assert_eq(step(), CERTIFICATE_BEGIN);
    cr_assert_eq(step(), CERTIFICATE_KEEP);
}

Test(certificate_secret, somebody_elses_is_left_alone)
{
    _cleanup_free_ char *before = NULL, *after = NULL;
    _cleanup_certificate_secret_ struct certificate_secret read = {0};

    cr_assert_eq(step(), CERTIFICATE_BEGIN);
    cJSON_DeleteItemFromObjectCaseSensitive(secret, "metadata");
    before = json_print(secret);
    now_ms += 10 * LIFETIME;
    strv_add(&hosts, "other");
    cr_assert_eq(step(), CERTIFICATE_KEEP);
    after = json_print(secret);
    cr_assert_str_eq(before, after);
    cr_assert_eq(authorities(), 1, "and what it says is trusted");
    certificate_secret_read(&read, secret);
    cr_assert(read.foreign);
}
