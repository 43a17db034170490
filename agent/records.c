// SPDX-License-Identifier: Apache-2.0
#include "agent/records.h"

#include <string.h>

#include "lib/base/alloc.h"

struct records {
    struct map *map;
};

static void record_free(void *value)
{
    struct record *record = value;

    free(record->name);
    marker_free(record->marker);
    policy_profile_free(record->spec);
    free(record->version);
    strv_done(&record->claims);
    free(record->failed_build);
    profile_state_done(&record->state);
    sightings_done(&record->sightings);
    free(record);
}

struct records *records_new(void)
{
    struct records *records = xcalloc(1, sizeof(*records));

    records->map = map_new(record_free);
    return records;
}

void records_free(struct records *records)
{
    if (!records)
        return;
    map_free(records->map);
    free(records);
}

struct record *records_get(const struct records *records, const char *name)
{
    return map_get(records->map, name);
}

struct record *records_add(struct records *records, const char *name)
{
    struct record *record = records_get(records, name);

    if (record)
        return record;
    record = xcalloc(1, sizeof(*record));
    record->name = xstrdup(name);
    map_set(records->map, name, record);
    return record;
}

void records_remove(struct records *records, const char *name)
{
    map_remove(records->map, name);
}

size_t records_size(const struct records *records)
{
    return map_size(records->map);
}

struct record *records_next(const struct records *records, size_t *position)
{
    void *value;

    return map_next(records->map, position, NULL, &value) ? value : NULL;
}

const char **records_sorted(const struct records *records)
{
    return map_sorted_keys(records->map);
}

void record_set_marker(struct record *record, struct marker *marker)
{
    if (record->marker != marker)
        marker_free(record->marker);
    record->marker = marker;
}

void record_set_spec(struct record *record, struct policy_profile *spec, const char *version)
{
    policy_profile_free(record->spec);
    record->spec = spec;
    free(record->version);
    record->version = xstrdup(version);
    strv_done(&record->claims);
    free(record->failed_build);
    record->failed_build = NULL;
}

void record_drop_text(struct record *record)
{
    if (!record->spec)
        return;
    free(record->spec->text);
    record->spec->text = NULL;
    record->spec->text_len = 0;
}

bool record_depends_on_others(const struct record *record)
{
    const char *reason = record->state.reason;

    if (record->releasing)
        return true;
    if (record->state.phase == PROFILE_FAILED && reason &&
        (strcmp(reason, REASON_NAME_CONFLICT) == 0 || strcmp(reason, REASON_NOT_OWNED) == 0))
        return true;
    for (size_t i = 0; record->marker && i < record->marker->count; i++)
        if (marker_is_leftover(&record->marker->profiles[i]))
            return true;
    return false;
}

struct marker_profile *marker_find(const struct marker *marker, const char *name)
{
    for (size_t i = 0; marker && i < marker->count; i++)
        if (strcmp(marker->profiles[i].name, name) == 0)
            return &marker->profiles[i];
    return NULL;
}

bool marker_is_leftover(const struct marker_profile *profile)
{
    return !profile->sha1[0] && !profile->sha256[0];
}

bool marker_drop(struct marker *marker, const char *name)
{
    struct marker_profile *profile = marker_find(marker, name);
    size_t index;

    if (!profile)
        return false;
    index = (size_t) (profile - marker->profiles);
    free(profile->name);
    marker->count--;
    memmove(profile, profile + 1, (marker->count - index) * sizeof(*profile));
    return true;
}

struct record *records_holder(const struct records *records, const char *name,
                              const struct record *except)
{
    struct record *record;
    size_t position = 0;

    while ((record = records_next(records, &position)))
        if (record != except && marker_find(record->marker, name))
            return record;
    return NULL;
}

/* False when the record has nothing to do with the name. */
static bool claim_of(const struct record *record, const char *name, struct owner_claim *ret)
{
    const struct marker_profile *held = marker_find(record->marker, name);
    bool wanted = strv_contains(&record->claims, name) || (held && !marker_is_leftover(held));
    /* A leftover, like all names of an object that goes, is handed over to whoever wants it. */
    bool keeps = wanted && !record->releasing;

    if (!wanted && !held)
        return false;
    *ret = (struct owner_claim){
        .object = record->name,
        .uid = "",
        .selects = keeps,
        .deleting = !keeps,
        .incumbent = held != NULL,
    };
    if (record->spec) {
        ret->uid = record->spec->uid;
        ret->created_ms = record->spec->created_ms;
        ret->adopts = record->spec->adopt;
    } else if (record->marker) {
        ret->uid = record->marker->uid;
        ret->created_ms = record->marker->created_ms;
    }
    return true;
}

struct record *records_owner(const struct records *records, const char *name,
                             enum owner_foreign foreign)
{
    size_t position = 0, count = 0, size = records_size(records) + 1;
    _cleanup_free_ struct owner_claim *claims = xcalloc(size, sizeof(*claims));
    _cleanup_free_ struct record **claimants = xcalloc(size, sizeof(*claimants));
    struct record *record;
    ptrdiff_t owner;

    while ((record = records_next(records, &position)))
        if (claim_of(record, name, &claims[count]))
            claimants[count++] = record;
    owner = owner_decide(claims, count, foreign);
    return owner < 0 ? NULL : claimants[owner];
}
