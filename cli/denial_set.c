// SPDX-License-Identifier: Apache-2.0
#include "cli/denial_set.h"

#include <stdlib.h>
#include <string.h>

#include "cli/values.h"
#include "lib/audit/access.h"
#include "lib/base/alloc.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"

#define NAMES_MAX 10
#define TEXT_MAX (16 * 1024)

struct access {
    cJSON *json; /* of the first node */
    int64_t count;
    char *first, *last;
    struct strv nodes, pods;
    size_t node_count;
};

struct denial_set {
    struct map *accesses;
    int64_t not_listed;
};

static void access_free(void *value)
{
    struct access *access = value;

    json_free(access->json);
    free(access->first);
    free(access->last);
    strv_done(&access->nodes);
    strv_done(&access->pods);
    free(access);
}

struct denial_set *denial_set_new(void)
{
    struct denial_set *set = xcalloc(1, sizeof(*set));

    set->accesses = map_new(access_free);
    return set;
}

void denial_set_free(struct denial_set *set)
{
    if (!set)
        return;
    map_free(set->accesses);
    free(set);
}

/* --- the choice ----------------------------------------------------------------------------- */

static bool equal(const char *wanted, const char *found)
{
    return !wanted || strcmp(wanted, found) == 0;
}

/* "web" and its children and hats. */
static bool is_profile(const char *wanted, const char *found)
{
    size_t len = wanted ? strlen(wanted) : 0;

    return !wanted || (strncmp(found, wanted, len) == 0 &&
                       (found[len] == '\0' || strncmp(found + len, "//", 2) == 0));
}

/* Of "namespace/pod/container". */
static bool is_pod(const char *text, const char *ns, const char *pod)
{
    size_t len = strlen(ns), pod_len = strlen(pod);

    return strncmp(text, ns, len) == 0 && text[len] == '/' &&
           strncmp(text + len + 1, pod, pod_len) == 0 && text[len + 1 + pod_len] == '/';
}

static bool has_pod(const cJSON *denial, const char *ns, const char *pod)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get(denial, "pods"))
    {
        if (cJSON_IsString(item) && is_pod(item->valuestring, ns, pod))
            return true;
    }
    return false;
}

static bool is_wanted(const struct denial_filter *filter, const cJSON *denial)
{
    bool object = equal(filter->object, value_text(denial, "object"));
    bool profile = is_profile(filter->profile, value_text(denial, "profile"));

    return (filter->either ? object || profile : object && profile) &&
           (!filter->pod || has_pod(denial, filter->ns, filter->pod));
}

/* --- adding --------------------------------------------------------------------------------- */

/* What says which access it is. */
static cJSON *identity(const cJSON *denial)
{
    static const char *const apart[] = {"count", "firstTime", "lastTime", "comm", "pods"};
    cJSON *copy = cJSON_Duplicate(denial, true);

    for (size_t i = 0; i < ARRAY_SIZE(apart); i++)
        cJSON_DeleteItemFromObjectCaseSensitive(copy, apart[i]);
    return copy;
}

static void add_name(struct strv *names, const char *name)
{
    if (names->len < NAMES_MAX && !strv_contains(names, name))
        strv_add(names, name);
}

/* RFC 3339 times in UTC of one length order as text. */
static void take_time(char **place, const char *time, int sign)
{
    if (*time && (!*place || sign * strcmp(time, *place) > 0)) {
        free(*place);
        *place = xstrdup(time);
    }
}

static void add(struct denial_set *set, const char *node, const cJSON *denial)
{
    _cleanup_json_ cJSON *which = identity(denial);
    _cleanup_free_ char *key = json_print(which);
    struct access *access = map_get(set->accesses, key);
    const cJSON *pod;

    if (!access) {
        access = xcalloc(1, sizeof(*access));
        access->json = cJSON_Duplicate(denial, true);
        map_set(set->accesses, key, access);
    }
    access->count += json_int(json_get(denial, "count"), 1);
    access->node_count++;
    take_time(&access->first, value_text(denial, "firstTime"), -1);
    take_time(&access->last, value_text(denial, "lastTime"), 1);
    add_name(&access->nodes, node);
    cJSON_ArrayForEach(pod, json_get(denial, "pods"))
    {
        if (cJSON_IsString(pod))
            add_name(&access->pods, pod->valuestring);
    }
}

void denial_set_add_node(struct denial_set *set, const struct denial_filter *filter,
                         const cJSON *node)
{
    const char *name = value_text(node, "metadata", "name");
    const cJSON *denial;

    if (!equal(filter->node, name))
        return;
    set->not_listed += json_int(json_get(node, "status", "denialsNotListed"), 0);
    cJSON_ArrayForEach(denial, json_get(node, "status", "denials"))
    {
        if (cJSON_IsObject(denial) && is_wanted(filter, denial))
            add(set, name, denial);
    }
}

int64_t denial_set_not_listed(const struct denial_set *set)
{
    return set->not_listed;
}

/* --- the result ----------------------------------------------------------------------------- */

static int by_count(const void *a, const void *b)
{
    const struct access *x = *(const struct access *const *) a;
    const struct access *y = *(const struct access *const *) b;
    const char *one = value_text(x->json, "name"), *other = value_text(y->json, "name");

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(one, other);
}

static void set_item(cJSON *json, const char *key, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(json, key);
    json_add(json, key, value);
}

static cJSON *names_json(const struct strv *names)
{
    cJSON *array = cJSON_CreateArray();

    for (size_t i = 0; i < names->len; i++)
        json_append_string(array, names->items[i]);
    return array;
}

static cJSON *access_json(const struct access *access)
{
    cJSON *json = cJSON_Duplicate(access->json, true);

    set_item(json, "count", cJSON_CreateNumber((double) access->count));
    set_item(json, "firstTime", cJSON_CreateString(value_or_empty(access->first)));
    set_item(json, "lastTime", cJSON_CreateString(value_or_empty(access->last)));
    set_item(json, "pods", names_json(&access->pods));
    set_item(json, "nodes", names_json(&access->nodes));
    json_add_int(json, "nodeCount", (int64_t) access->node_count);
    return json;
}

cJSON *denial_set_json(const struct denial_set *set)
{
    size_t count = map_size(set->accesses), position = 0, i = 0;
    _cleanup_free_ struct access **sorted = xcalloc(count + 1, sizeof(struct access *));
    cJSON *array = cJSON_CreateArray();
    void *value;

    while (map_next(set->accesses, &position, NULL, &value))
        sorted[i++] = value;
    qsort(sorted, count, sizeof(*sorted), by_count);
    for (i = 0; i < count; i++)
        json_append(array, access_json(sorted[i]));
    return array;
}

/* --- for people ----------------------------------------------------------------------------- */

char *denial_describe(const cJSON *denial)
{
    struct buf out = BUF_INIT(TEXT_MAX);
    struct audit_access access;

    if (audit_access_read(denial, &access))
        audit_access_describe(&access, &out);
    return buf_take(&out);
}
