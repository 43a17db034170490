// SPDX-License-Identifier: Apache-2.0
#include "controller/admission_review.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/base64.h"
#include "lib/base/utf8.h"

#define API_VERSION "admission.k8s.io/v1"
#define KIND "AdmissionReview"
/* uuid.NewUUID() has 36. */
#define UID_MAX 128
/*
 * An API server cuts warnings to 256 characters each when all of an answer have more than 4096
 * (k8s.io/apiserver/pkg/endpoints/filters/warning.go).
 */
#define WARNING_MAX 1024
#define WARNINGS_MAX 20
#define REFUSAL_MAX 16384

static const char *text_at(const cJSON *object, const char *key)
{
    const char *text = json_string(object, key);

    return text ? text : "";
}

static const cJSON *object_at(const cJSON *request, const char *key)
{
    const cJSON *object = json_get(request, key);

    return cJSON_IsObject(object) ? object : NULL;
}

static int read_request(struct admission_review *review, struct error *err)
{
    const cJSON *request = json_get(review->root, "request");

    if (strcmp(text_at(review->root, "kind"), KIND) != 0 ||
        strcmp(text_at(review->root, "apiVersion"), API_VERSION) != 0)
        return error_set(err, -EINVAL, "the body is no " KIND " of " API_VERSION);
    review->uid = text_at(request, "uid");
    if (!*review->uid || strlen(review->uid) > UID_MAX)
        return error_set(err, -EINVAL, "request.uid is missing or too long");
    review->kind = text_at(json_get(request, "kind"), "kind");
    review->resource = text_at(json_get(request, "resource"), "resource");
    review->subresource = text_at(request, "subResource");
    review->operation = text_at(request, "operation");
    review->ns = text_at(request, "namespace");
    review->name = text_at(request, "name");
    review->user = text_at(json_get(request, "userInfo"), "username");
    review->groups = json_get(request, "userInfo", "groups");
    review->object = object_at(request, "object");
    review->old = object_at(request, "oldObject");
    review->dry_run = json_bool(json_get(request, "dryRun"), false);
    return 0;
}

int admission_review_parse(const char *text, size_t len, struct admission_review *ret,
                           struct error *err)
{
    _cleanup_admission_review_ struct admission_review review = {
        .values = json_count_values(text, len),
    };
    int r;

    if (review.values > ADMISSION_VALUES_MAX)
        return error_set(err, -EINVAL, "the body has more than %d values", ADMISSION_VALUES_MAX);
    r = json_parse(text, len, &review.root, err);
    if (r < 0)
        return error_wrap(err, "the body");
    r = read_request(&review, err);
    if (r < 0)
        return r;
    *ret = review;
    review = (struct admission_review){0};
    return 0;
}

void admission_review_done(struct admission_review *review)
{
    json_free(review->root);
    *review = (struct admission_review){0};
}

bool admission_review_in_group(const struct admission_review *review, const char *group)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, review->groups)
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, group) == 0)
            return true;
    }
    return false;
}

/* --- the answer --------------------------------------------------------------------- */

void admission_answer_done(struct admission_answer *answer)
{
    free(answer->refusal);
    strv_done(&answer->warnings);
    json_free(answer->patch);
    free(answer->violations);
    *answer = (struct admission_answer){0};
}

static char *cut(const char *text, size_t max)
{
    return xstrndup(text, utf8_cut(text, strlen(text), max));
}

static void add_refusal(cJSON *response, const struct admission_answer *answer)
{
    const char *reason = answer->reason ? answer->reason : "Forbidden";
    _cleanup_free_ char *message = cut(answer->refusal, REFUSAL_MAX);
    cJSON *status = json_add_object(response, "status");

    json_add_int(status, "code", strcmp(reason, "Invalid") == 0 ? 422 : 403);
    json_add_string(status, "reason", reason);
    json_add_string(status, "message", message);
}

static void add_warnings(cJSON *response, const struct strv *warnings)
{
    cJSON *list;

    if (warnings->len == 0)
        return;
    list = json_add_array(response, "warnings");
    for (size_t i = 0; i < warnings->len && i < WARNINGS_MAX; i++) {
        _cleanup_free_ char *text = cut(warnings->items[i], WARNING_MAX);

        json_append_string(list, text);
    }
}

static void add_patch(cJSON *response, const cJSON *patch)
{
    _cleanup_free_ char *text = json_print(patch);
    _cleanup_free_ char *encoded = base64_encode(text, strlen(text));

    json_add_string(response, "patchType", "JSONPatch");
    json_add_string(response, "patch", encoded);
}

char *admission_answer_print(const struct admission_answer *answer, const char *uid)
{
    _cleanup_json_ cJSON *root = cJSON_CreateObject();
    cJSON *response;

    json_add_string(root, "apiVersion", API_VERSION);
    json_add_string(root, "kind", KIND);
    response = json_add_object(root, "response");
    json_add_string(response, "uid", uid);
    json_add_bool(response, "allowed", !answer->refusal);
    if (answer->refusal)
        add_refusal(response, answer);
    add_warnings(response, &answer->warnings);
    if (answer->patch && !answer->refusal)
        add_patch(response, answer->patch);
    if (answer->violations) {
        _cleanup_free_ char *text = cut(answer->violations, REFUSAL_MAX);

        json_add_string(json_add_object(response, "auditAnnotations"), "violations", text);
    }
    return json_print(root);
}
