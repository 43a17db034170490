// SPDX-License-Identifier: Apache-2.0

/*
 * An AdmissionReview, as far as an answer about its pod: every level and every scheduling mode.
 * What is accepted is answered with JSON; a patch that is made applies to the pod, and is made
 * once.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "controller/admission_review.h"
#include "lib/base/alloc.h"
#include "lib/policy/pod_placement.h"
#include "lib/policy/pod_review.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool declared(void *userdata, const char *profile)
{
    (void) userdata;
    return strncmp(profile, "web", 3) == 0;
}

static bool objects(void *userdata, const char *profile, struct strv *ret_objects)
{
    if (!declared(userdata, profile))
        return false;
    strv_add(ret_objects, "web");
    if (profile[3] == '-')
        strv_add(ret_objects, "web-2");
    return profile[3] == '\0';
}

static void check_answer(struct admission_answer *answer, const char *uid)
{
    _cleanup_free_ char *text = admission_answer_print(answer, uid);
    _cleanup_json_ cJSON *json = NULL;

    /* cJSON writes what is not valid UTF-8 as it is. */
    if (json_parse(text, strlen(text), &json, NULL) == 0)
        assert(cJSON_IsBool(json_get(json, "response", "allowed")));
    admission_answer_done(answer);
}

static void review_levels(const struct admission_review *review, const cJSON *pod)
{
    const struct pod_review what = {.pod = pod, .old = review->old, .declared = declared};

    for (enum pod_level level = POD_LEVEL_UNRESTRICTED; level <= POD_LEVEL_MANAGED; level++) {
        struct admission_answer answer = {0};
        struct pod_verdict verdict;

        pod_review(&what, level, &verdict);
        assert(level != POD_LEVEL_UNRESTRICTED || !verdict.violations);
        if (verdict.violations)
            answer.refusal = xstrdup(verdict.violations);
        strv_copy(&answer.warnings, &verdict.warnings);
        pod_verdict_done(&verdict);
        check_answer(&answer, review->uid);
    }
}

/* "add" of RFC 6902 to what a patch of ours names. */
static void apply(cJSON *pod, const cJSON *operation)
{
    _cleanup_free_ char *path = xstrdup(json_string(operation, "path"));
    cJSON *parent = pod, *value = cJSON_Duplicate(json_get(operation, "value"), true);
    char *key = path + 1, *slash;

    for (; (slash = strchr(key, '/')); key = slash + 1) {
        *slash = '\0';
        parent = cJSON_IsArray(parent) ? cJSON_GetArrayItem(parent, (int) strtol(key, NULL, 10))
                                       : cJSON_GetObjectItemCaseSensitive(parent, key);
        assert(parent);
    }
    if (cJSON_IsArray(parent)) {
        assert(strcmp(key, "-") == 0);
        json_append(parent, value);
        return;
    }
    assert(cJSON_IsObject(parent));
    cJSON_DeleteItemFromObjectCaseSensitive(parent, key);
    json_add(parent, key, value);
}

static void place(const struct admission_review *review, const cJSON *pod)
{
    for (enum pod_scheduling mode = POD_SCHEDULING_PREFERRED; mode <= POD_SCHEDULING_DISABLED;
         mode++) {
        struct pod_placement placement = {.pod = pod, .scheduling = mode, .objects = objects};
        _cleanup_pod_placement_result_ struct pod_placement_result again = {0};
        _cleanup_json_ cJSON *patched = cJSON_Duplicate(pod, true);
        struct pod_placement_result result;
        struct admission_answer answer = {0};
        const cJSON *operation;

        pod_place(&placement, &result);
        cJSON_ArrayForEach(operation, result.patch) apply(patched, operation);
        placement.pod = patched;
        pod_place(&placement, &again);
        assert(!again.patch);
        answer.patch = result.patch;
        answer.warnings = result.warnings;
        check_answer(&answer, review->uid);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_admission_review_ struct admission_review review = {0};
    _cleanup_error_ struct error err = {0};
    const cJSON *pod;

    alloc_init();
    if (admission_review_parse((const char *) data, len, &review, &err) < 0) {
        assert(*error_message(&err));
        return 0;
    }
    pod = review.object ? pod_template_of(review.kind, review.object) : NULL;
    if (!pod)
        return 0;
    review_levels(&review, pod);
    if (cJSON_IsObject(pod))
        place(&review, pod);
    return 0;
}
