// SPDX-License-Identifier: Apache-2.0
#include "controller/protection.h"

#include <string.h>

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What there is to wait for, besides nodes with an entry: 0 when nothing. */
static uint64_t grace_left(const struct deletion_watch *watch, uint64_t now_ms)
{
    uint64_t since = now_ms - watch->seen_ms;

    return watch->silent && since < PROTECTION_GRACE_MS ? PROTECTION_GRACE_MS - since : 0;
}

static struct protection wait_for(const struct holders *holders, const struct deletion_watch *watch,
                                  uint64_t now_ms)
{
    struct protection protection = {.act = PROTECTION_WAIT, .again_ms = PROTECTION_AGAIN_MS};
    uint64_t since = now_ms - watch->seen_ms, grace = grace_left(watch, now_ms);

    protection.tells = holders->in_use.count > 0 || since >= PROTECTION_TELL_MS;
    if (!protection.tells)
        protection.again_ms = PROTECTION_TELL_MS - since;
    if (grace > 0)
        protection.again_ms = earlier(protection.again_ms, grace);
    if (holders->lost_ms != UINT64_MAX)
        protection.again_ms = earlier(protection.again_ms, holders->lost_ms - now_ms);
    return protection;
}

static struct protection decide_deleted(const struct profile_spec *profile,
                                        const struct holders *holders, struct deletion_watch *watch,
                                        uint64_t now_ms)
{
    bool waits;

    if (!watch->seen)
        *watch =
            (struct deletion_watch){.seen = true, .seen_ms = now_ms, .silent = holders->silent > 0};
    waits = holders_waited_for(holders) > 0 || grace_left(watch, now_ms) > 0;
    if (!profile->protected)
        return (struct protection){.act = PROTECTION_NONE,
                                   .tells = true,
                                   .again_ms = waits ? PROTECTION_AGAIN_MS : 0};
    if (!waits)
        return (struct protection){.act = PROTECTION_RELEASE};
    if (profile->forced)
        return (struct protection){.act = PROTECTION_FORCE};
    return wait_for(holders, watch, now_ms);
}

struct protection protection_decide(const struct profile_spec *profile,
                                    const struct holders *holders, struct deletion_watch *watch,
                                    uint64_t now_ms)
{
    if (profile->deleting)
        return decide_deleted(profile, holders, watch, now_ms);
    return (struct protection){.act = profile->protected ? PROTECTION_NONE : PROTECTION_ADD,
                               .tells = true};
}

cJSON *protection_finalizers(const cJSON *profile, bool protect)
{
    cJSON *finalizers = cJSON_CreateArray();
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get(profile, "metadata", "finalizers"))
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, PROFILE_FINALIZER) != 0)
            json_append_string(finalizers, item->valuestring);
    }
    if (protect)
        json_append_string(finalizers, PROFILE_FINALIZER);
    return finalizers;
}
