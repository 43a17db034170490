// SPDX-License-Identifier: Apache-2.0

/* Every row of tests/admission/pods.jsonl: verdicts by level, and patches by scheduling mode. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/policy/pod_placement.h"
#include "lib/policy/pod_review.h"

TestSuite(pod_table, .init = alloc_init);

#define TABLE "tests/admission/pods.jsonl"
#define ROWS_MIN 150

/* The AppArmorProfiles of the table. */
static const struct {
    const char *profile, *object;
    bool loaded;
} DECLARED[] = {
    {"web", "web", true},        {"shop-a", "shop", false},  {"shop-b", "shop", false},
    {"pooled", "pool-1", false}, {"pooled", "pool-2", true},
};

static bool find_objects(_unused_ void *userdata, const char *profile, struct strv *objects)
{
    bool loaded = false;

    for (size_t i = 0; i < ARRAY_SIZE(DECLARED); i++) {
        if (strcmp(DECLARED[i].profile, profile) != 0)
            continue;
        loaded = loaded || DECLARED[i].loaded;
        if (objects)
            strv_add(objects, DECLARED[i].object);
    }
    return loaded;
}

static bool declared(_unused_ void *userdata, const char *profile)
{
    _cleanup_strv_ struct strv objects = {0};

    (void) find_objects(NULL, profile, &objects);
    return objects.len > 0;
}

static void for_each_row(void (*check)(const char *name, const cJSON *row))
{
    _cleanup_buf_ struct buf text = BUF_INIT(1 << 22);
    size_t rows = 0;

    cr_assert_eq(fs_read(AT_FDCWD, TABLE, &text, NULL), 0);
    for (char *line = text.data, *end; *line; line = end + 1) {
        _cleanup_json_ cJSON *row = NULL;

        end = strchr(line, '\n');
        cr_assert_not_null(end);
        cr_assert_eq(json_parse(line, (size_t) (end - line), &row, NULL), 0, "row %zu", rows);
        check(json_string(row, "name"), row);
        rows++;
    }
    cr_assert_geq(rows, ROWS_MIN);
}

/* --- verdicts --------------------------------------------------------------------- */

static void check_verdict(const char *name, const cJSON *row, enum pod_level level)
{
    const struct pod_review review = {.pod = json_get(row, "pod"), .declared = declared};
    const cJSON *expected = json_get(row, pod_level_name(level)), *item;
    _cleanup_pod_verdict_ struct pod_verdict verdict = {0};
    _cleanup_strv_ struct strv parts = {0};
    _cleanup_free_ char *list = NULL;

    pod_review(&review, level, &verdict);
    cJSON_ArrayForEach(item, expected) strv_add(&parts, item->valuestring);
    list = strv_join(&parts, ", ");
    if (parts.len == 0) {
        cr_assert_null(verdict.violations, "%s: %s", name, verdict.violations);
        return;
    }
    cr_assert_not_null(verdict.violations, "%s", name);
    cr_assert(strncmp(verdict.violations, list, strlen(list)) == 0 &&
                  verdict.violations[strlen(list)] == ';',
              "%s: expected «%s», found «%s»", name, list, verdict.violations);
}

static void check_verdicts(const char *name, const cJSON *row)
{
    const struct pod_review review = {.pod = json_get(row, "pod"), .declared = declared};
    _cleanup_pod_verdict_ struct pod_verdict verdict = {0};

    check_verdict(name, row, POD_LEVEL_CONFINED);
    check_verdict(name, row, POD_LEVEL_MANAGED);
    pod_review(&review, POD_LEVEL_UNRESTRICTED, &verdict);
    cr_assert_null(verdict.violations);
    pod_review(&review, POD_LEVEL_CONFINED, &verdict);
    cr_assert_eq(verdict.warnings.len,
                 (size_t) cJSON_GetArraySize(json_get(row, "review_warnings")), "%s", name);
    if (verdict.warnings.len > 0)
        cr_assert(strstr(verdict.warnings.items[0],
                         json_get(row, "review_warnings")->child->valuestring));
}

Test(pod_table, each_level_has_its_verdict)
{
    for_each_row(check_verdicts);
}

/* --- patches ------------------------------------------------------------------------ */

/* What "add" of RFC 6902 does, for paths without escapes. */
static void apply(cJSON *pod, const cJSON *operation)
{
    _cleanup_free_ char *path = xstrdup(json_string(operation, "path"));
    cJSON *parent = pod, *value = cJSON_Duplicate(json_get(operation, "value"), true);
    char *key = path + 1, *slash;

    cr_assert_str_eq(json_string(operation, "op"), "add");
    cr_assert_eq(path[0], '/');
    for (; (slash = strchr(key, '/')); key = slash + 1) {
        *slash = '\0';
        parent = cJSON_IsArray(parent) ? cJSON_GetArrayItem(parent, (int) strtol(key, NULL, 10))
                                       : cJSON_GetObjectItemCaseSensitive(parent, key);
        cr_assert_not_null(parent, "%s of %s", key, json_string(operation, "path"));
    }
    if (cJSON_IsArray(parent)) {
        cr_assert_str_eq(key, "-");
        json_append(parent, value);
        return;
    }
    cr_assert(cJSON_IsObject(parent), "%s", json_string(operation, "path"));
    cJSON_DeleteItemFromObjectCaseSensitive(parent, key);
    json_add(parent, key, value);
}

static void check_warnings(const char *name, const cJSON *expected, const struct strv *warnings)
{
    const cJSON *item;

    if (!expected)
        cr_assert_eq(warnings->len, 0, "%s: %s", name, warnings->items[0]);
    cJSON_ArrayForEach(item, expected)
    {
        bool found = false;

        for (size_t i = 0; i < warnings->len; i++)
            found = found || strstr(warnings->items[i], item->valuestring);
        cr_assert(found, "%s: no warning has «%s»", name, item->valuestring);
    }
}

static void check_patch(const char *name, const cJSON *row, enum pod_scheduling mode,
                        const char *key)
{
    struct pod_placement placement = {
        .pod = json_get(row, "pod"),
        .scheduling = mode,
        .objects = find_objects,
    };
    _cleanup_pod_placement_result_ struct pod_placement_result result = {0}, again = {0};
    const cJSON *expected = json_get(row, key), *operation;
    _cleanup_json_ cJSON *pod = cJSON_Duplicate(placement.pod, true);
    _cleanup_free_ char *found = NULL, *wanted = json_print(expected);

    pod_place(&placement, &result);
    found = result.patch ? json_print(result.patch) : xstrdup("null");
    cr_assert_str_eq(found, wanted, "%s, %s:\nexpected %s\nfound    %s", name, key, wanted, found);
    if (mode != POD_SCHEDULING_REQUIRED || !json_get(row, "required_warnings"))
        check_warnings(name, json_get(row, "warnings"), &result.warnings);
    else
        check_warnings(name, json_get(row, "required_warnings"), &result.warnings);

    cJSON_ArrayForEach(operation, result.patch) apply(pod, operation);
    placement.pod = pod;
    pod_place(&placement, &again);
    cr_assert_null(again.patch, "%s, %s: not idempotent", name, key);
}

/* With scheduling turned off, annotations still become fields, and nothing else happens. */
static void check_disabled(const char *name, const cJSON *row)
{
    const struct pod_placement placement = {
        .pod = json_get(row, "pod"),
        .scheduling = POD_SCHEDULING_DISABLED,
        .objects = find_objects,
    };
    _cleanup_pod_placement_result_ struct pod_placement_result result = {0};
    const char *mode =
        json_string(placement.pod, "metadata", "annotations", "apparmor.io/scheduling");
    const cJSON *operation;

    if (mode)
        return;
    pod_place(&placement, &result);
    cJSON_ArrayForEach(operation, result.patch)
        cr_assert(strstr(json_string(operation, "path"), "/securityContext"), "%s", name);
}

static void check_patches(const char *name, const cJSON *row)
{
    check_patch(name, row, POD_SCHEDULING_PREFERRED, "preferred");
    check_patch(name, row, POD_SCHEDULING_REQUIRED, "required");
    check_disabled(name, row);
}

Test(pod_table, each_mode_has_its_patch_which_is_idempotent)
{
    for_each_row(check_patches);
}
