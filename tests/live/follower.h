// SPDX-License-Identifier: Apache-2.0
#pragma once

/*
 * An informer under observation: its handler keeps a history of each key and notes the first thing
 * in it that cannot be. After any storm the informer's store, what the handler has seen, and a
 * fresh list of another client must be the same.
 */
#include <sys/socket.h>

#include "lib/base/map.h"
#include "lib/kube/informer.h"
#include "tests/live/live.h"

#define NOT_THE_ROOT_CA "metadata.name!=kube-root-ca.crt"

struct follower {
    struct kube_informer_options options;
    struct kube_informer *informer;
    struct map *seen; /* key → "uid version" */
    size_t added, updated, failures;
    size_t deleted[KUBE_DELETED_RESOURCE + 1]; /* by cause */
    bool synced;
    struct error last; /* failure */
    bool saw_gone, saw_throttled, saw_missing;
    char *fault;
};

static inline char *follower_key(const struct kube_object *object)
{
    return xasprintf("%s/%s", kube_object_namespace(object), kube_object_name(object));
}

static inline char *follower_state(const struct kube_object *object)
{
    return xasprintf("%s %s", kube_object_uid(object), kube_object_resource_version(object));
}

static inline void follower_fault(struct follower *follower, const char *what, const char *key)
{
    if (!follower->fault)
        follower->fault = xasprintf("%s: %s", key, what);
}

static inline void follower_on_added(void *userdata, struct kube_object *object)
{
    struct follower *follower = userdata;
    _cleanup_free_ char *key = follower_key(object);

    follower->added++;
    if (!map_set(follower->seen, key, follower_state(object)))
        follower_fault(follower, "added while it was there", key);
}

static inline void follower_on_updated(void *userdata, struct kube_object *old,
                                       struct kube_object *object)
{
    struct follower *follower = userdata;
    _cleanup_free_ char *key = follower_key(object), *was = follower_state(old),
                        *is = follower_state(object);
    const char *seen = map_get(follower->seen, key);

    follower->updated++;
    if (!seen)
        follower_fault(follower, "updated before it was added, or after it was deleted", key);
    else if (strcmp(seen, was) != 0)
        follower_fault(follower, "updated from what it never was", key);
    if (strcmp(kube_object_uid(old), kube_object_uid(object)) != 0)
        follower_fault(follower, "updated to another object", key);
    if (strcmp(was, is) == 0)
        follower_fault(follower, "updated to the same", key);
    map_set(follower->seen, key, TAKE_PTR(is));
}

static inline void follower_on_deleted(void *userdata, struct kube_object *last,
                                       enum kube_delete_cause cause)
{
    struct follower *follower = userdata;
    _cleanup_free_ char *key = follower_key(last);
    const char *seen = map_get(follower->seen, key);

    follower->deleted[cause]++;
    if (!seen)
        follower_fault(follower, "deleted while it was not there", key);
    else if (strncmp(seen, kube_object_uid(last), strlen(kube_object_uid(last))) != 0)
        follower_fault(follower, "another object was deleted", key);
    map_remove(follower->seen, key);
}

static inline void follower_on_synced(void *userdata)
{
    ((struct follower *) userdata)->synced = true;
}

static inline void follower_on_failed(void *userdata, const struct error *err)
{
    struct follower *follower = userdata;

    follower->failures++;
    follower->saw_gone |= kube_error_is_gone(err);
    follower->saw_throttled |= kube_error_is_throttled(err);
    follower->saw_missing |= kube_error_is_not_found(err);
    error_copy(&follower->last, err);
    cr_log_info("%s: %s", follower->options.resource->plural, error_message(err));
}

/* `through` and what `options` names must outlive it. */
static inline void follower_start(struct follower *follower, struct kube_client *through,
                                  const struct kube_informer_options *options)
{
    const struct kube_handler handler = {
        .added = follower_on_added,
        .updated = follower_on_updated,
        .deleted = follower_on_deleted,
        .synced = follower_on_synced,
        .failed = follower_on_failed,
        .userdata = follower,
    };

    *follower = (struct follower){.options = *options, .seen = map_new(free)};
    follower->informer = kube_informer_new(through, options);
    kube_informer_add_handler(follower->informer, &handler);
    kube_informer_start(follower->informer);
}

/* The test's ConfigMaps. */
static inline void follow(struct follower *follower, struct kube_client *through)
{
    const struct kube_informer_options options = {
        .resource = &live_configmaps,
        .ns = ns,
        .field_selector = NOT_THE_ROOT_CA,
    };

    follower_start(follower, through, &options);
}

static inline void follower_stop(struct follower *follower)
{
    kube_informer_free(TAKE_PTR(follower->informer));
    map_free(TAKE_PTR(follower->seen));
    error_done(&follower->last);
    cr_expect_null(follower->fault, "%s", follower->fault);
    free(TAKE_PTR(follower->fault));
}

/* --- a fresh list -------------------------------------------------------------------------------
 */

struct listing {
    struct map *items; /* key → "uid version" */
    size_t pages_of;
    bool done;
    char *version;
    struct error err;
};

static inline void listing_done(struct listing *listing)
{
    map_free(listing->items);
    free(listing->version);
    error_done(&listing->err);
    *listing = (struct listing){0};
}
#define _cleanup_listing_ _cleanup_(listing_done)

static inline void listing_on_item(void *userdata, struct kube_object *object)
{
    struct listing *listing = userdata;
    _cleanup_free_ char *key = follower_key(object);

    cr_assert(map_set(listing->items, key, follower_state(object)), "%s is listed twice", key);
}

static inline void listing_on_done(void *userdata, const char *version, const struct error *err)
{
    struct listing *listing = userdata;

    listing->done = true;
    listing->version = xstrdup(version);
    error_copy(&listing->err, err);
}

static inline void list_start_all(struct listing *listing, struct kube_client *through,
                                  const struct kube_informer_options *what, unsigned page_size)
{
    const struct kube_list_options options = {
        .field_selector = what->field_selector,
        .label_selector = what->label_selector,
        .page_size = page_size,
        .metadata_only = true,
    };

    *listing = (struct listing){.items = map_new(free)};
    kube_list(through, what->resource, what->ns, &options, listing_on_item, listing_on_done,
              listing);
}

static inline void list_all(struct listing *listing, struct kube_client *through,
                            const struct kube_informer_options *what)
{
    list_start_all(listing, through, what, 500);
    LIVE_UNTIL(listing->done, LIVE_WAIT_MS);
    cr_assert_eq(listing->err.code, 0, "%s", error_message(&listing->err));
}

/* --- convergence --------------------------------------------------------------------------------
 */

struct comparison {
    const struct listing *listing;
    size_t different;
};

static inline void compare_stored(void *userdata, struct kube_object *object)
{
    struct comparison *comparison = userdata;
    _cleanup_free_ char *key = follower_key(object), *state = follower_state(object);
    const char *listed = map_get(comparison->listing->items, key);

    comparison->different += !listed || strcmp(listed, state) != 0;
}

static inline bool follower_equals(const struct follower *follower, const struct listing *listing)
{
    struct comparison comparison = {.listing = listing};
    size_t position = 0;
    const char *key;
    void *state;

    if (!follower->synced || kube_informer_size(follower->informer) != map_size(listing->items) ||
        map_size(follower->seen) != map_size(listing->items))
        return false;
    while (map_next(listing->items, &position, &key, &state)) {
        const char *seen = map_get(follower->seen, key);

        if (!seen || strcmp(seen, state) != 0)
            return false;
    }
    kube_informer_each(follower->informer, compare_stored, &comparison);
    return comparison.different == 0;
}

/* Nobody else may change the collection meanwhile. */
static inline void expect_convergence(struct follower *follower)
{
    _cleanup_listing_ struct listing listing = {0};

    list_all(&listing, client, &follower->options);
    LIVE_UNTIL(follower_equals(follower, &listing), LIVE_WAIT_MS);
    cr_assert_null(follower->fault, "%s", follower->fault);
}

/* --- many writes --------------------------------------------------------------------------------
 */

struct tally {
    size_t wanted, done, failed;
    struct error first; /* failure */
};

static inline void tally_on_answer(void *userdata, struct kube_object *object,
                                   const struct error *err)
{
    struct tally *tally = userdata;

    (void) object;
    tally->done++;
    tally->failed += err->code != 0;
    if (err->code != 0 && tally->first.code == 0)
        error_copy(&tally->first, err);
}

#define TALLY_UNTIL_DONE(tally) LIVE_UNTIL((tally)->done == (tally)->wanted, 120000)

static inline void expect_all(struct tally *tally)
{
    TALLY_UNTIL_DONE(tally);
    cr_assert_eq(tally->failed, 0, "%zu of %zu failed: %s", tally->failed, tally->done,
                 error_message(&tally->first));
}

static inline cJSON *live_configmap(const char *name, const char *value)
{
    cJSON *json = live_object("v1", "ConfigMap", name);

    json_add_string(json_add_object(json, "data"), "value", value);
    return json;
}

static inline void make_map(struct tally *tally, const char *name, const char *value)
{
    _cleanup_json_ cJSON *body = live_configmap(name, value);

    tally->wanted++;
    kube_create(client, &live_configmaps, ns, body, &live_writer, tally_on_answer, tally);
}

static inline void make_maps(unsigned count)
{
    struct tally tally = {0};

    for (unsigned i = 0; i < count; i++) {
        _cleanup_free_ char *name = xasprintf("map-%05u", i);

        make_map(&tally, name, "0");
    }
    expect_all(&tally);
}

/* Of each five one goes and the others are made or changed, each round another. Some of it may fail
 * where the test is unkind. */
static inline void change_maps(struct tally *tally, unsigned count, unsigned round)
{
    const struct kube_write_options options = {.field_manager = "live-test", .force = true};
    _cleanup_free_ char *value = xasprintf("round %u", round);

    for (unsigned i = 0; i < count; i++) {
        _cleanup_free_ char *name = xasprintf("map-%05u", i);
        _cleanup_json_ cJSON *body = live_configmap(name, value);

        tally->wanted++;
        if ((i + round) % 5 == 3)
            kube_delete(client, &live_configmaps, ns, name, NULL, tally_on_answer, tally);
        else
            kube_patch(client, &live_configmaps, ns, name, NULL, KUBE_PATCH_APPLY, body, &options,
                       tally_on_answer, tally);
    }
}

/* Connected TCP sockets of this process. */
static inline unsigned count_connections(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);

        if (getpeername(fd, (struct sockaddr *) &peer, &len) == 0 &&
            (peer.ss_family == AF_INET || peer.ss_family == AF_INET6))
            count++;
    }
    return count;
}

/* --- the rig ------------------------------------------------------------------------------------
 */

/* `controlplane ctl --dir DIR`, which the runner gives. */
static inline const char *rig(void)
{
    if (!getenv("CONTROLPLANE"))
        cr_skip_test("CONTROLPLANE, the command that controls the API server, is not set");
    return getenv("CONTROLPLANE");
}

static inline void rig_start(struct command *command, const char *words)
{
    _cleanup_free_ char *text = xasprintf("%s %s", rig(), words);

    command_start(command, text);
}

static inline void rig_run(const char *words)
{
    _cleanup_free_ char *text = xasprintf("%s %s", rig(), words);
    _cleanup_command_ struct command command = {0};

    command_run(&command, text);
}
