// SPDX-License-Identifier: Apache-2.0
#include "agent/denials.h"

#include <stdlib.h>
#include <string.h>

#include "lib/audit/folder.h"
#include "lib/base/alloc.h"
#include "lib/base/map.h"

#define KEY_MAX ((size_t) AUDIT_FIELDS * (AUDIT_TEXT_MAX + 2) + 64)
/* What has not been seen for so long makes room for something new. */
#define IDLE_MS (24 * INT64_C(3600000))

struct entry {
    struct denial denial;
    char *folder; /* key of all in one; NULL: it is no name in a folder */
    size_t text;  /* bytes */
};

struct denials {
    struct denials_options options;
    struct map *entries;    /* of struct entry, by the access's key */
    struct map *folders;    /* of size_t, by their key */
    struct map *shares;     /* of size_t: entries of an object or another profile */
    struct map *violations; /* of struct violation, by object */
    struct buf key;
    size_t text;
    uint64_t refused; /* accesses that found no room */
};

/* --- counters in maps --- */

static size_t tally_get(const struct map *map, const char *key)
{
    const size_t *count = map_get(map, key);

    return count ? *count : 0;
}

static size_t tally_add(struct map *map, const char *key)
{
    size_t *count = map_get(map, key);

    if (!count) {
        count = xcalloc(1, sizeof(*count));
        map_set(map, key, count);
    }
    return ++*count;
}

static void tally_remove(struct map *map, const char *key)
{
    size_t *count = map_get(map, key);

    if (count && --*count == 0)
        map_remove(map, key);
}

/* --- entries --- */

static void who_done(struct denial_who *who)
{
    free(who->ns);
    free(who->pod);
    free(who->uid);
    free(who->container);
}

static void entry_free(void *value)
{
    struct entry *entry = value;

    for (size_t i = 0; i < entry->denial.who_count; i++)
        who_done(&entry->denial.who[i]);
    for (size_t i = 0; i < AUDIT_FIELDS; i++)
        free((char *) (uintptr_t) entry->denial.access.fields[i]);
    free(entry->denial.object);
    free(entry->folder);
    free(entry);
}

static void violation_free(void *value)
{
    struct violation *violation = value;

    free(violation->revision);
    free(violation);
}

/* Whose share it takes. */
static const char *share_of(const struct denial *denial)
{
    return denial->object ? denial->object : denial->access.fields[AUDIT_FIELD_PROFILE];
}

/* The key of all names of an access's folder in one; NULL when it is in none. */
static char *folder_key(const struct audit_access *access)
{
    _cleanup_audit_folder_ struct audit_folder folder = {0};
    struct buf key = BUF_INIT(KEY_MAX);

    if (!audit_folder_of(access, &folder))
        return NULL;
    audit_access_key(&folder.access, &key);
    return buf_take(&key);
}

static struct entry *entry_new(const struct audit_access *access, const char *object)
{
    struct entry *entry = xcalloc(1, sizeof(*entry));
    struct audit_access *copy = &entry->denial.access;

    *copy = *access;
    for (size_t i = 0; i < AUDIT_FIELDS; i++)
        if (access->fields[i]) {
            copy->fields[i] = xstrdup(access->fields[i]);
            entry->text += strlen(copy->fields[i]);
        }
    entry->denial.object = object ? xstrdup(object) : NULL;
    entry->folder = folder_key(access);
    return entry;
}

static void remove_entry(struct denials *denials, const char *key, const struct entry *entry)
{
    denials->text -= entry->text;
    tally_remove(denials->shares, share_of(&entry->denial));
    if (entry->folder)
        tally_remove(denials->folders, entry->folder);
    map_remove(denials->entries, key);
}

static void insert_entry(struct denials *denials, const char *key, struct entry *entry)
{
    denials->text += entry->text;
    tally_add(denials->shares, share_of(&entry->denial));
    if (entry->folder)
        tally_add(denials->folders, entry->folder);
    map_set(denials->entries, key, entry);
}

static const char *key_of(struct denials *denials, const struct audit_access *access)
{
    buf_reset(&denials->key);
    audit_access_key(access, &denials->key);
    return buf_string(&denials->key);
}

/* --- what is not to be kept any more --- */

typedef bool (*stale_fn)(const struct denials *denials, const struct entry *entry,
                         const void *userdata);

static void drop(struct denials *denials, stale_fn is_stale, const void *userdata)
{
    const char *key;
    size_t position = 0;
    void *value;

    while (map_next(denials->entries, &position, &key, &value))
        if (is_stale(denials, value, userdata))
            remove_entry(denials, key, value);
}

static bool is_of(_unused_ const struct denials *denials, const struct entry *entry,
                  const void *object)
{
    return entry->denial.object && strcmp(entry->denial.object, object) == 0;
}

static bool is_idle(_unused_ const struct denials *denials, const struct entry *entry,
                    const void *now_ms)
{
    return entry->denial.last_ms < *(const int64_t *) now_ms - IDLE_MS;
}

/* `object` may be that of one of the entries that go. */
static void forget(struct denials *denials, const char *object)
{
    _cleanup_free_ char *name = xstrdup(object);

    drop(denials, is_of, name);
    map_remove(denials->violations, name);
}

static const char *revision_of(const struct denials *denials, const char *object)
{
    return denials->options.revision_of(denials->options.userdata, object);
}

/* Something was counted of another revision than the one that is loaded. */
static bool is_outdated(const struct denials *denials, const char *object)
{
    const struct violation *violation = map_get(denials->violations, object);
    const char *loaded = violation ? revision_of(denials, object) : NULL;

    return violation && (!loaded || strcmp(violation->revision, loaded) != 0);
}

bool denials_forget_outdated(struct denials *denials)
{
    const char *object;
    size_t position = 0;
    bool any = false;

    while (map_next(denials->violations, &position, &object, NULL))
        if (is_outdated(denials, object)) {
            forget(denials, object);
            any = true;
        }
    return any;
}

/* --- counting --- */

/* Of an object that has a revision loaded. */
static struct violation *violation_of(struct denials *denials, const char *object)
{
    struct violation *violation = map_get(denials->violations, object);

    if (violation)
        return violation;
    violation = xcalloc(1, sizeof(*violation));
    violation->revision = xstrdup(revision_of(denials, object));
    map_set(denials->violations, object, violation);
    return violation;
}

static void widen(int64_t *first_ms, int64_t *last_ms, int64_t from_ms, int64_t to_ms)
{
    if (*first_ms == 0 || from_ms < *first_ms)
        *first_ms = from_ms;
    if (to_ms > *last_ms)
        *last_ms = to_ms;
}

static struct denial_who *find_who(struct denial *denial, const struct pod_names *names)
{
    for (size_t i = 0; i < denial->who_count; i++) {
        struct denial_who *who = &denial->who[i];

        if (strcmp(who->pod, names->pod) == 0 && strcmp(who->ns, names->ns) == 0 &&
            strcmp(who->container, names->container) == 0 &&
            (!*who->uid || !*names->uid || strcmp(who->uid, names->uid) == 0))
            return who;
    }
    return NULL;
}

/* The first ones are kept: they are what somebody is told of. */
static struct denial_who *add_who(struct denial *denial, const struct pod_names *names)
{
    struct denial_who *who = find_who(denial, names);

    if (!who && denial->who_count < DENIAL_WHO_MAX) {
        who = &denial->who[denial->who_count++];
        *who = (struct denial_who){.ns = xstrdup(names->ns),
                                   .pod = xstrdup(names->pod),
                                   .uid = xstrdup(names->uid),
                                   .container = xstrdup(names->container)};
    }
    if (who && !*who->uid && *names->uid) {
        free(who->uid);
        who->uid = xstrdup(names->uid);
    }
    return who;
}

static void merge(struct denial *into, const struct denial *from)
{
    into->count += from->count;
    if (from->last_ms >= into->last_ms)
        memcpy(into->comm, from->comm, sizeof(into->comm));
    widen(&into->first_ms, &into->last_ms, from->first_ms, from->last_ms);
    for (size_t i = 0; i < from->who_count; i++) {
        const struct denial_who *other = &from->who[i];
        const struct pod_names names = {other->ns, other->pod, other->uid, other->container};
        struct denial_who *who = add_who(into, &names);

        if (!who)
            continue;
        who->count += other->count;
        who->told_count += other->told_count;
        if (other->told_ms > who->told_ms)
            who->told_ms = other->told_ms;
    }
}

/* --- finding the entry --- */

/* All of the folder become one. */
static struct entry *fold(struct denials *denials, const struct audit_access *access,
                          const char *key, const char *object)
{
    _cleanup_audit_folder_ struct audit_folder folder = {0};
    const char *of;
    struct entry *into;
    size_t position = 0;
    void *value;

    (void) audit_folder_of(access, &folder);
    into = entry_new(&folder.access, object);
    while (map_next(denials->entries, &position, &of, &value)) {
        const struct entry *entry = value;

        if (!entry->folder || strcmp(entry->folder, key) != 0)
            continue;
        merge(&into->denial, &entry->denial);
        remove_entry(denials, of, entry);
    }
    insert_entry(denials, key, into);
    return into;
}

static bool has_room(const struct denials *denials, const struct entry *entry)
{
    return map_size(denials->entries) < DENIALS_MAX &&
           tally_get(denials->shares, share_of(&entry->denial)) < DENIALS_PROFILE_MAX &&
           denials->text + entry->text <= DENIALS_TEXT_MAX;
}

static struct entry *insert_new(struct denials *denials, const struct audit_access *access,
                                const char *object, int64_t now_ms)
{
    struct entry *entry = entry_new(access, object);

    if (!has_room(denials, entry))
        drop(denials, is_idle, &now_ms);
    if (!has_room(denials, entry)) {
        entry_free(entry);
        denials->refused++;
        return NULL;
    }
    insert_entry(denials, key_of(denials, access), entry);
    return entry;
}

/* The entry of an access that has none of its own: its folder's, when that is one, or a new one. */
static struct entry *take_entry(struct denials *denials, const struct audit_access *access,
                                const char *object, int64_t now_ms, bool *ret_new)
{
    _cleanup_free_ char *folder = folder_key(access);
    struct entry *entry = folder ? map_get(denials->entries, folder) : NULL;

    if (entry)
        return entry;
    if (folder && tally_get(denials->folders, folder) >= DENIALS_FOLDER_MAX)
        return fold(denials, access, folder, object);
    entry = insert_new(denials, access, object, now_ms);
    *ret_new = entry != NULL;
    return entry;
}

/* Ours are all in the root namespace, and loaded. */
static const char *object_of(const struct denials *denials, const struct audit_access *access)
{
    const char *object = access->fields[AUDIT_FIELD_NAMESPACE]
                             ? NULL
                             : denials->options.object_of(denials->options.userdata,
                                                          access->fields[AUDIT_FIELD_PROFILE]);

    return object && revision_of(denials, object) ? object : NULL;
}

static void count_violation(struct denials *denials, const char *object,
                            const struct audit_record *record)
{
    struct violation *violation = violation_of(denials, object);

    if (record->access.outcome == AUDIT_ALLOWED)
        violation->allowed++;
    else
        violation->denied++;
    widen(&violation->first_ms, &violation->last_ms, record->time_ms, record->time_ms);
}

static void count(struct denial *denial, const struct audit_record *record,
                  const struct pod_names *names)
{
    struct denial_who *who = names ? add_who(denial, names) : NULL;

    denial->count++;
    widen(&denial->first_ms, &denial->last_ms, record->time_ms, record->time_ms);
    memcpy(denial->comm, record->comm, sizeof(denial->comm));
    if (who)
        who->count++;
}

static bool is_pod(const struct pod_names *names)
{
    return names && (*names->uid || strcmp(names->pod, POD_NAME_UNKNOWN) != 0);
}

struct denial *denials_add(struct denials *denials, const struct audit_record *record,
                           const struct pod_names *who, bool *ret_new)
{
    struct entry *entry = map_get(denials->entries, key_of(denials, &record->access));
    const char *object = entry ? entry->denial.object : object_of(denials, &record->access);

    *ret_new = false;
    if (!object && !is_pod(who))
        return NULL;
    if (object && is_outdated(denials, object)) {
        forget(denials, object);
        entry = NULL;
        object = object_of(denials, &record->access);
    }
    if (object)
        count_violation(denials, object, record);
    if (!entry)
        entry = take_entry(denials, &record->access, object, record->time_ms, ret_new);
    if (!entry)
        return NULL;
    count(&entry->denial, record, who);
    return &entry->denial;
}

size_t denials_size(const struct denials *denials)
{
    return map_size(denials->entries);
}

struct denial *denials_next(const struct denials *denials, size_t *position)
{
    void *value;

    return map_next(denials->entries, position, NULL, &value) ? &((struct entry *) value)->denial
                                                              : NULL;
}

uint64_t denials_refused(const struct denials *denials)
{
    return denials->refused;
}

const struct violation *denials_next_violation(const struct denials *denials, size_t *position,
                                               const char **ret_object)
{
    void *value;

    return map_next(denials->violations, position, ret_object, &value) ? value : NULL;
}

/* --- what an earlier agent has counted --- */

void denials_restore_violation(struct denials *denials, const char *object,
                               const struct violation *before)
{
    const char *loaded = revision_of(denials, object);
    struct violation *violation;

    if (!loaded || strcmp(loaded, before->revision) != 0)
        return;
    violation = violation_of(denials, object);
    violation->denied += before->denied;
    violation->allowed += before->allowed;
    widen(&violation->first_ms, &violation->last_ms, before->first_ms, before->last_ms);
}

void denials_restore(struct denials *denials, const struct denial *before)
{
    const struct audit_access *access = &before->access;
    struct entry *entry = map_get(denials->entries, key_of(denials, access));
    bool new;

    if (before->object && !map_has(denials->violations, before->object))
        return;
    if (!entry)
        entry = take_entry(denials, access, before->object, before->last_ms, &new);
    if (entry)
        merge(&entry->denial, before);
}

/* --- the module --- */

struct denials *denials_new(const struct denials_options *options)
{
    struct denials *denials = xcalloc(1, sizeof(*denials));

    denials->options = *options;
    denials->entries = map_new(entry_free);
    denials->folders = map_new(free);
    denials->shares = map_new(free);
    denials->violations = map_new(violation_free);
    denials->key = BUF_INIT(KEY_MAX);
    return denials;
}

void denials_free(struct denials *denials)
{
    if (!denials)
        return;
    map_free(denials->entries);
    map_free(denials->folders);
    map_free(denials->shares);
    map_free(denials->violations);
    buf_done(&denials->key);
    free(denials);
}
