// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/pod_affinity.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"

#define AFFINITY "/spec/affinity"
#define NODE_AFFINITY AFFINITY "/nodeAffinity"
#define REQUIRED "requiredDuringSchedulingIgnoredDuringExecution"
#define PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"
#define TERMS "nodeSelectorTerms"
/* Of 1 to 100: what keeps a container from starting weighs more than any convenience. */
#define WEIGHT 100

void pod_patch_add(cJSON *patch, const char *path, cJSON *value)
{
    cJSON *operation = cJSON_CreateObject();

    json_add_string(operation, "op", "add");
    json_add_string(operation, "path", path);
    json_add(operation, "value", value);
    json_append(patch, operation);
}

/* --- what is there ------------------------------------------------------------------ */

static bool is(const cJSON *string, const char *text)
{
    return cJSON_IsString(string) && strcmp(string->valuestring, text) == 0;
}

static bool asks_for(const cJSON *expression, const char *label)
{
    const cJSON *values = json_get(expression, "values");

    return is(json_get(expression, "key"), label) && is(json_get(expression, "operator"), "In") &&
           cJSON_GetArraySize(values) == 1 && is(values->child, POD_AFFINITY_TRUE);
}

/* `term`: a nodeSelectorTerm, or a preference. */
static bool term_has(const cJSON *term, const char *label)
{
    const cJSON *expression;

    cJSON_ArrayForEach(expression, json_get(term, "matchExpressions"))
    {
        if (asks_for(expression, label))
            return true;
    }
    return false;
}

static bool term_has_any(const cJSON *term, const struct strv *labels)
{
    for (size_t i = 0; i < labels->len; i++)
        if (term_has(term, labels->items[i]))
            return true;
    return false;
}

/* It matches no node, and would match some with an expression in it. */
static bool term_is_empty(const cJSON *term)
{
    return cJSON_GetArraySize(json_get(term, "matchExpressions")) == 0 &&
           cJSON_GetArraySize(json_get(term, "matchFields")) == 0;
}

static bool selects_any(const cJSON *pod, const struct strv *labels)
{
    for (size_t i = 0; i < labels->len; i++)
        if (is(json_get(pod, "spec", "nodeSelector", labels->items[i]), POD_AFFINITY_TRUE))
            return true;
    return false;
}

static const cJSON *required_terms(const cJSON *pod)
{
    return json_get(pod, "spec", "affinity", "nodeAffinity", REQUIRED, TERMS);
}

static bool requires_any(const cJSON *pod, const struct strv *labels)
{
    const cJSON *terms = required_terms(pod), *term;

    if (selects_any(pod, labels))
        return true;
    if (cJSON_GetArraySize(terms) == 0)
        return false;
    cJSON_ArrayForEach(term, terms)
    {
        if (!term_is_empty(term) && !term_has_any(term, labels))
            return false;
    }
    return true;
}

/* --- what comes to it ----------------------------------------------------------------- */

static cJSON *expression_new(const char *label)
{
    cJSON *expression = cJSON_CreateObject();

    json_add_string(expression, "key", label);
    json_add_string(expression, "operator", "In");
    json_append_string(json_add_array(expression, "values"), POD_AFFINITY_TRUE);
    return expression;
}

/* A copy with one more expression. */
static cJSON *term_with(const cJSON *term, const char *label)
{
    cJSON *copy = cJSON_Duplicate(term, true);
    cJSON *expressions = cJSON_GetObjectItemCaseSensitive(copy, "matchExpressions");

    if (!cJSON_IsArray(expressions)) {
        cJSON_DeleteItemFromObjectCaseSensitive(copy, "matchExpressions");
        expressions = json_add_array(copy, "matchExpressions");
    }
    json_append(expressions, expression_new(label));
    return copy;
}

/*
 * Adds `member` of nodeAffinity, below the deepest object that is there. A null is replaced, as the
 * server takes it for absent.
 */
static void add_member(const cJSON *pod, const char *member, cJSON *value, cJSON *patch)
{
    const cJSON *affinity = json_get(pod, "spec", "affinity");
    _cleanup_free_ char *path = NULL;
    cJSON *inner;

    if (cJSON_IsObject(json_get(affinity, "nodeAffinity"))) {
        path = xasprintf(NODE_AFFINITY "/%s", member);
        pod_patch_add(patch, path, value);
        return;
    }
    inner = cJSON_CreateObject();
    json_add(inner, member, value);
    if (cJSON_IsObject(affinity)) {
        pod_patch_add(patch, NODE_AFFINITY, inner);
    } else {
        cJSON *outer = cJSON_CreateObject();

        json_add(outer, "nodeAffinity", inner);
        pod_patch_add(patch, AFFINITY, outer);
    }
}

/* --- required ---------------------------------------------------------------------------- */

/* Each term once for each label; an array of their number or fewer. */
static cJSON *multiply(const cJSON *terms, const struct strv *labels)
{
    cJSON *product = cJSON_CreateArray();
    const cJSON *term;

    cJSON_ArrayForEach(term, terms)
    {
        if (term_is_empty(term) || term_has_any(term, labels)) {
            json_append(product, cJSON_Duplicate(term, true));
            continue;
        }
        for (size_t i = 0; i < labels->len; i++)
            json_append(product, term_with(term, labels->items[i]));
    }
    return product;
}

/* One term for each label. */
static cJSON *begin(const struct strv *labels)
{
    _cleanup_json_ cJSON *empty = cJSON_CreateObject();
    cJSON *terms = cJSON_CreateArray();

    for (size_t i = 0; i < labels->len; i++)
        json_append(terms, term_with(empty, labels->items[i]));
    return terms;
}

/* Appends to each term what the wanted one has behind it: term_with() only appends. */
static void extend_terms(const cJSON *terms, const cJSON *wanted, cJSON *patch)
{
    const cJSON *term = terms->child, *goal = wanted->child;

    for (size_t i = 0; term; term = term->next, goal = goal->next, i++) {
        const cJSON *have = json_get(term, "matchExpressions");
        const cJSON *want = json_get(goal, "matchExpressions");
        _cleanup_free_ char *path =
            xasprintf(NODE_AFFINITY "/" REQUIRED "/" TERMS "/%zu/matchExpressions", i);
        int count = cJSON_GetArraySize(have);

        if (count == cJSON_GetArraySize(want))
            continue;
        if (!cJSON_IsArray(have)) {
            pod_patch_add(patch, path, cJSON_Duplicate(want, true));
            continue;
        }
        for (const cJSON *added = cJSON_GetArrayItem(want, count); added; added = added->next) {
            _cleanup_free_ char *end = xasprintf("%s/-", path);

            pod_patch_add(patch, end, cJSON_Duplicate(added, true));
        }
    }
}

static void write_terms(const cJSON *pod, const cJSON *wanted, cJSON *patch)
{
    const cJSON *terms = required_terms(pod);
    cJSON *required;

    if (cJSON_GetArraySize(terms) == cJSON_GetArraySize(wanted)) {
        extend_terms(terms, wanted, patch);
        return;
    }
    if (cJSON_IsArray(terms)) {
        /* "add" to a member that is there replaces it. */
        pod_patch_add(patch, NODE_AFFINITY "/" REQUIRED "/" TERMS, cJSON_Duplicate(wanted, true));
        return;
    }
    required = cJSON_CreateObject();
    json_add(required, TERMS, cJSON_Duplicate(wanted, true));
    add_member(pod, REQUIRED, required, patch);
}

int pod_affinity_require(const cJSON *pod, const struct strv *lists, size_t count, size_t terms_max,
                         cJSON *patch)
{
    const cJSON *terms = required_terms(pod);
    _cleanup_json_ cJSON *wanted = cJSON_IsArray(terms) ? cJSON_Duplicate(terms, true) : NULL;
    bool changed = false;

    /* Terms that are none: the server refuses that, and says so better. */
    if (wanted && cJSON_GetArraySize(wanted) == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        size_t before = wanted ? (size_t) cJSON_GetArraySize(wanted) : 1;
        cJSON *next;

        if (requires_any(pod, &lists[i]))
            continue;
        if (before * lists[i].len > terms_max)
            return -E2BIG;
        next = wanted ? multiply(wanted, &lists[i]) : begin(&lists[i]);
        json_free(wanted);
        wanted = next;
        changed = true;
    }
    if (changed)
        write_terms(pod, wanted, patch);
    return 0;
}

/* --- preferred ------------------------------------------------------------------------------- */

static bool prefers(const cJSON *preferred, const char *label)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, preferred)
    {
        if (term_has(json_get(item, "preference"), label))
            return true;
    }
    return false;
}

static cJSON *preference_new(const char *label)
{
    _cleanup_json_ cJSON *empty = cJSON_CreateObject();
    cJSON *item = cJSON_CreateObject();

    json_add_int(item, "weight", WEIGHT);
    json_add(item, "preference", term_with(empty, label));
    return item;
}

void pod_affinity_prefer(const cJSON *pod, const struct strv *labels, cJSON *patch)
{
    const cJSON *preferred = json_get(pod, "spec", "affinity", "nodeAffinity", PREFERRED);
    _cleanup_json_ cJSON *added = cJSON_CreateArray();

    for (size_t i = 0; i < labels->len; i++) {
        const struct strv one = {.items = &labels->items[i], .len = 1};

        if (!requires_any(pod, &one) && !prefers(preferred, labels->items[i]))
            json_append(added, preference_new(labels->items[i]));
    }
    if (!added->child)
        return;
    if (!cJSON_IsArray(preferred)) {
        add_member(pod, PREFERRED, TAKE_PTR(added), patch);
        return;
    }
    while (added->child)
        pod_patch_add(patch, NODE_AFFINITY "/" PREFERRED "/-", cJSON_DetachItemFromArray(added, 0));
}
