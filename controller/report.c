// SPDX-License-Identifier: Apache-2.0
#include "controller/report.h"

#include <assert.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/map.h"
#include "lib/base/utf8.h"

struct report_pool {
    struct map *reports; /* key → struct pooled, not owned */
};

struct pooled {
    struct report report;
    struct report_pool *pool;
    size_t refs;
    char *key;
};

static const char *const state_names[] = {
    [REPORT_PENDING] = "Pending",
    [REPORT_LOADED] = "Loaded",
    [REPORT_FAILED] = "Failed",
    [REPORT_DRAINING] = "Draining",
};

struct report_pool *report_pool_new(void)
{
    struct report_pool *pool = xcalloc(1, sizeof(*pool));

    pool->reports = map_new(NULL);
    return pool;
}

void report_pool_free(struct report_pool *pool)
{
    if (!pool)
        return;
    assert(map_size(pool->reports) == 0);
    map_free(pool->reports);
    free(pool);
}

size_t report_pool_size(const struct report_pool *pool)
{
    return map_size(pool->reports);
}

static bool report_parse_state(const char *text, enum report_state *ret)
{
    for (size_t i = 0; text && i < ARRAY_SIZE(state_names); i++) {
        if (strcmp(text, state_names[i]) == 0) {
            *ret = (enum report_state) i;
            return true;
        }
    }
    return false;
}

/* One bounded line. Without control characters the parts of a key cannot run into each other. */
static char *report_line(const char *text)
{
    char *line = text ? xstrndup(text, utf8_cut(text, strlen(text), REPORT_TEXT_MAX)) : xstrdup("");

    for (char *c = line; *c; c++)
        if ((unsigned char) *c < ' ' || *c == 0x7f)
            *c = ' ';
    return line;
}

static char *report_text(const cJSON *entry, const char *key)
{
    return report_line(json_string(entry, key));
}

static void report_done(struct report *report)
{
    free(report->profile);
    free(report->revision);
    free(report->mode);
    strv_done(&report->names);
    free(report->reason);
    free(report->message);
}

static bool report_parse(struct report *report, const cJSON *entry)
{
    const char *profile = json_string(entry, "name");
    const cJSON *name;

    if (!profile || !report_parse_state(json_string(entry, "state"), &report->state))
        return false;
    report->profile = report_line(profile);
    report->generation = json_int(json_get(entry, "generation"), 0);
    report->revision = report_text(entry, "revision");
    report->mode = report_text(entry, "mode");
    report->processes = json_int(json_get(entry, "processes"), -1);
    if (report->processes > REPORT_PROCESSES_MAX)
        report->processes = REPORT_PROCESSES_MAX;
    report->reason = report_text(entry, "reason");
    report->message = report_text(entry, "message");
    cJSON_ArrayForEach(name, json_get(entry, "profileNames"))
    {
        if (cJSON_IsString(name))
            strv_take(&report->names, report_line(name->valuestring));
    }
    strv_sort(&report->names);
    if (report->state == REPORT_FAILED && !*report->reason) {
        free(report->reason);
        report->reason = xstrdup(REPORT_REASON_NONE);
    }
    return true;
}

/* Two reports are equal when their keys are. */
static char *report_key(const struct report *report)
{
    _cleanup_free_ char *names = strv_join(&report->names, "\x1e");

    return xasprintf("%s\x1f%lld\x1f%d\x1f%s\x1f%s\x1f%lld\x1f%s\x1f%s\x1f%s", report->profile,
                     (long long) report->generation, (int) report->state, report->revision,
                     report->mode, (long long) report->processes, names, report->reason,
                     report->message);
}

const struct report *report_intern(struct report_pool *pool, const cJSON *entry)
{
    struct report report = {0};
    _cleanup_free_ char *key = NULL;
    struct pooled *pooled;

    if (!report_parse(&report, entry))
        return NULL;
    key = report_key(&report);
    pooled = map_get(pool->reports, key);
    if (pooled) {
        report_done(&report);
    } else {
        pooled = xcalloc(1, sizeof(*pooled));
        pooled->report = report;
        pooled->pool = pool;
        pooled->key = TAKE_PTR(key);
        map_set(pool->reports, pooled->key, pooled);
    }
    pooled->refs++;
    return &pooled->report;
}

void report_unref(const struct report *report)
{
    struct pooled *pooled;

    if (!report)
        return;
    pooled = container_of(report, struct pooled, report);
    if (--pooled->refs > 0)
        return;
    (void) map_take(pooled->pool->reports, pooled->key);
    report_done(&pooled->report);
    free(pooled->key);
    free(pooled);
}

static int report_compare(const void *a, const void *b)
{
    const struct report *const *one = a, *const *other = b;

    return strcmp((*one)->profile, (*other)->profile);
}

/* Stable, so that the first of duplicates stays first: qsort() is not. */
static void report_list_sort(struct report_list *list)
{
    for (size_t i = 1; i < list->len; i++) {
        const struct report *item = list->items[i];
        size_t at = i;

        if (report_compare(&list->items[i - 1], &item) <= 0)
            continue; /* agents list them sorted: one pass */
        while (at > 0 && report_compare(&list->items[at - 1], &item) > 0) {
            list->items[at] = list->items[at - 1];
            at--;
        }
        list->items[at] = item;
    }
}

static void report_list_drop_duplicates(struct report_list *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->len; i++) {
        if (kept > 0 && report_compare(&list->items[kept - 1], &list->items[i]) == 0)
            report_unref(list->items[i]);
        else
            list->items[kept++] = list->items[i];
    }
    list->len = kept;
}

void report_list_init(struct report_list *list, struct report_pool *pool, const cJSON *profiles)
{
    const cJSON *entry;
    int count = cJSON_IsArray(profiles) ? cJSON_GetArraySize(profiles) : 0;

    *list = (struct report_list){0};
    if (count == 0)
        return;
    list->items = xcalloc((size_t) count, sizeof(const struct report *));
    cJSON_ArrayForEach(entry, profiles)
    {
        const struct report *report = report_intern(pool, entry);

        if (report)
            list->items[list->len++] = report;
    }
    report_list_sort(list);
    report_list_drop_duplicates(list);
}

void report_list_done(struct report_list *list)
{
    for (size_t i = 0; i < list->len; i++)
        report_unref(list->items[i]);
    free(list->items);
    *list = (struct report_list){0};
}

const struct report *report_list_find(const struct report_list *list, const char *profile)
{
    size_t low = 0, high = list->len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(list->items[middle]->profile, profile);

        if (order == 0)
            return list->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

struct node_report *node_report_new(struct report_pool *pool, const cJSON *status)
{
    struct node_report *report = xcalloc(1, sizeof(*report));
    const char *apparmor = json_string(status, "apparmor"), *source;

    report->enabled = apparmor && strcmp(apparmor, "Enabled") == 0;
    source = json_string(status, "audit", "source");
    report->sees_denials = source && strcmp(source, "None") != 0;
    report->features = xstrdup(json_string(status, "featuresID"));
    report_list_init(&report->reports, pool, json_get(status, "profiles"));
    violations_init(&report->violations, json_get(status, "violations"));
    return report;
}

void node_report_free(struct node_report *report)
{
    if (!report)
        return;
    report_list_done(&report->reports);
    violations_done(&report->violations);
    free(report->features);
    free(report);
}
