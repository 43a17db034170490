// SPDX-License-Identifier: Apache-2.0
#include "agent/denial_status.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

/* An entry without its texts. */
#define ENTRY_SIZE 200

/* --- writing --- */

static void add_time(cJSON *json, const char *key, int64_t time_ms)
{
    char text[CLOCK_TIME_SIZE];

    json_add_string(json, key, clock_format(time_ms, text));
}

struct counted {
    const char *object;
    const struct violation *violation;
};

static int by_object(const void *a, const void *b)
{
    return strcmp(((const struct counted *) a)->object, ((const struct counted *) b)->object);
}

static void add_violation(cJSON *list, const struct counted *counted)
{
    const struct violation *violation = counted->violation;
    cJSON *json = cJSON_CreateObject();

    json_add_string(json, "object", counted->object);
    json_add_string(json, "revision", violation->revision);
    json_add_int(json, "denied", (int64_t) violation->denied);
    json_add_int(json, "allowed", (int64_t) violation->allowed);
    add_time(json, "firstTime", violation->first_ms);
    add_time(json, "lastTime", violation->last_ms);
    json_append(list, json);
}

static void add_violations(const struct denials *denials, cJSON *status)
{
    _cleanup_free_ struct counted *all = xcalloc(DENIAL_STATUS_VIOLATIONS_MAX, sizeof(*all));
    const struct violation *violation;
    size_t position = 0, count = 0;
    const char *object;
    cJSON *list;

    while (count < DENIAL_STATUS_VIOLATIONS_MAX &&
           (violation = denials_next_violation(denials, &position, &object)))
        all[count++] = (struct counted){object, violation};
    if (count == 0)
        return;
    qsort(all, count, sizeof(*all), by_object);
    list = json_add_array(status, STATUS_VIOLATIONS);
    for (size_t i = 0; i < count; i++)
        add_violation(list, &all[i]);
}

static void add_who(cJSON *json, const struct denial *denial)
{
    cJSON *list;

    if (denial->who_count == 0)
        return;
    list = json_add_array(json, "pods");
    for (size_t i = 0; i < denial->who_count && i < DENIAL_STATUS_WHO_MAX; i++) {
        const struct denial_who *who = &denial->who[i];
        _cleanup_free_ char *text = xasprintf("%s/%s/%s", who->ns, who->pod, who->container);

        json_append_string(list, strcmp(who->pod, POD_NAME_UNKNOWN) == 0 ? POD_NAME_UNKNOWN : text);
    }
}

static cJSON *denial_json(const struct denial *denial)
{
    cJSON *json = audit_access_json(&denial->access);

    if (denial->object)
        json_add_string(json, "object", denial->object);
    if (*denial->comm)
        json_add_string(json, "comm", denial->comm);
    json_add_int(json, "count", (int64_t) denial->count);
    add_time(json, "firstTime", denial->first_ms);
    add_time(json, "lastTime", denial->last_ms);
    add_who(json, denial);
    return json;
}

/* --- which --- */

struct listed {
    const struct denial *denial;
    size_t rank; /* among those of its profile, the most frequent first */
};

static const char *profile_of(const struct denial *denial)
{
    return denial->access.fields[AUDIT_FIELD_PROFILE];
}

static int by_profile(const void *a, const void *b)
{
    const struct denial *left = ((const struct listed *) a)->denial;
    const struct denial *right = ((const struct listed *) b)->denial;
    int order = strcmp(profile_of(left), profile_of(right));

    if (order != 0)
        return order;
    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    /* Of equal ones the order is to stay. */
    for (size_t i = 0; i < AUDIT_FIELDS; i++) {
        const char *one = left->access.fields[i], *other = right->access.fields[i];

        order = strcmp(one ? one : "", other ? other : "");
        if (order != 0)
            return order;
    }
    return (int) left->access.outcome - (int) right->access.outcome;
}

/* No profile's many keep another's out. */
static int by_rank(const void *a, const void *b)
{
    const struct listed *left = a, *right = b;

    if (left->rank != right->rank)
        return left->rank < right->rank ? -1 : 1;
    return by_profile(a, b);
}

static void rank(struct listed *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool same = i > 0 && strcmp(profile_of(all[i].denial), profile_of(all[i - 1].denial)) == 0;

        all[i].rank = same ? all[i - 1].rank + 1 : 0;
    }
}

static size_t size_of(const struct denial *denial)
{
    size_t size = ENTRY_SIZE;

    for (size_t i = 0; i < AUDIT_FIELDS; i++)
        if (denial->access.fields[i])
            size += strlen(denial->access.fields[i]);
    for (size_t i = 0; i < denial->who_count && i < DENIAL_STATUS_WHO_MAX; i++)
        size += strlen(denial->who[i].ns) + strlen(denial->who[i].pod) +
                strlen(denial->who[i].container);
    return size;
}

/* How many of the first ones fit. */
static size_t fitting(const struct listed *all, size_t count)
{
    size_t i = 0, size = 0;

    while (i < count && i < DENIAL_STATUS_MAX) {
        size += size_of(all[i].denial);
        if (size > DENIAL_STATUS_TEXT_MAX)
            break;
        i++;
    }
    return i;
}

static void add_denials(const struct denials *denials, cJSON *status)
{
    size_t count = denials_size(denials), position = 0, listed;
    uint64_t not_listed = denials_refused(denials) > 0;
    _cleanup_free_ struct listed *all = xcalloc(count + 1, sizeof(*all));
    cJSON *list;

    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        all[i].denial = denials_next(denials, &position);
    qsort(all, count, sizeof(*all), by_profile);
    rank(all, count);
    qsort(all, count, sizeof(*all), by_rank);
    listed = fitting(all, count);
    qsort(all, listed, sizeof(*all), by_profile);
    not_listed += count - listed;
    if (not_listed > 0)
        json_add_int(status, STATUS_DENIALS_NOT_LISTED, (int64_t) not_listed);
    list = json_add_array(status, STATUS_DENIALS);
    for (size_t i = 0; i < listed; i++)
        json_append(list, denial_json(all[i].denial));
}

void denial_status_add(const struct denials *denials, cJSON *status)
{
    add_violations(denials, status);
    add_denials(denials, status);
}

/* --- reading --- */

/* 0 when there is none. */
static int64_t read_time(const cJSON *json, const char *key)
{
    const char *text = json_string(json, key);
    int64_t time_ms;

    return text && clock_parse(text, &time_ms) == 0 ? time_ms : 0;
}

static uint64_t read_count(const cJSON *json, const char *key)
{
    int64_t count = json_int(json_get(json, key), 0);

    return count > 0 ? (uint64_t) count : 0;
}

static void adopt_violation(struct denials *denials, const cJSON *json)
{
    const char *object = json_string(json, "object"), *revision = json_string(json, "revision");
    const struct violation violation = {
        .revision = (char *) (uintptr_t) revision, /* which is only read */
        .denied = read_count(json, "denied"),
        .allowed = read_count(json, "allowed"),
        .first_ms = read_time(json, "firstTime"),
        .last_ms = read_time(json, "lastTime"),
    };

    if (object && revision)
        denials_restore_violation(denials, object, &violation);
}

/* Cuts "namespace/pod/container" up. */
static bool read_who(char *text, struct denial_who *ret)
{
    static char none[] = "", unknown[] = POD_NAME_UNKNOWN;
    char *rest = text;

    *ret = (struct denial_who){.ns = strsep(&rest, "/"), .uid = none};
    if (strcmp(text, POD_NAME_UNKNOWN) == 0 && !rest) {
        ret->pod = ret->container = unknown;
        return true;
    }
    ret->pod = strsep(&rest, "/");
    ret->container = strsep(&rest, "/");
    return ret->container && !rest;
}

/* It has been told, all of it. */
static void adopt_who(struct denial *denial, const cJSON *list, struct strv *texts)
{
    uint64_t now_ms = clock_monotonic_ms();
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        struct denial_who *who = &denial->who[denial->who_count];

        if (!cJSON_IsString(item) || denial->who_count == DENIAL_STATUS_WHO_MAX)
            continue;
        strv_add(texts, cJSON_GetStringValue(item));
        if (!read_who(texts->items[texts->len - 1], who))
            continue;
        who->count = who->told_count = denial->count;
        who->told_ms = now_ms;
        denial->who_count++;
    }
}

static void adopt_denial(struct denials *denials, const cJSON *json)
{
    struct denial denial = {0};
    _cleanup_strv_ struct strv texts = {0};
    const char *object = json_string(json, "object"), *comm = json_string(json, "comm");

    if (!audit_access_read(json, &denial.access))
        return;
    denial.object = (char *) (uintptr_t) object; /* which is only read */
    if (comm && strlen(comm) < sizeof(denial.comm))
        memcpy(denial.comm, comm, strlen(comm) + 1);
    denial.count = read_count(json, "count");
    denial.first_ms = read_time(json, "firstTime");
    denial.last_ms = read_time(json, "lastTime");
    adopt_who(&denial, json_get(json, "pods"), &texts);
    denials_restore(denials, &denial);
}

void denial_status_adopt(struct denials *denials, const cJSON *status)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get(status, STATUS_VIOLATIONS))
    {
        adopt_violation(denials, item);
    }
    cJSON_ArrayForEach(item, json_get(status, STATUS_DENIALS))
    {
        adopt_denial(denials, item);
    }
}
