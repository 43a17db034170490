// SPDX-License-Identifier: Apache-2.0
#include "controller/history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "controller/profiles.h"
#include "controller/resources.h"
#include "controller/shelf.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/kube/workqueue.h"
#include "lib/policy/names.h"
#include "lib/policy/rollout.h"

#define FIELD_MANAGER "apparmor-controller"
#define MAX_ACTIVE 4
#define RETRY_MS 1000
#define RETRY_MAX_MS 60000

struct history {
    struct history_options options;
    struct kube_informer *informer;
    struct kube_workqueue *queue; /* of profiles */
    struct map *profiles;         /* name → struct shelf */
    struct act *acts;             /* under way */
};

/* One change of a shelf. */
struct act {
    struct history *history;
    struct act *next, **place;
    struct kube_work *work;
    struct kube_request *request;
    char *profile, *revision;
    int64_t number; /* that the revision gets */
    bool creating;
    char *surplus; /* name of what is deleted, or NULL */
};

/* --- what the server shows ------------------------------------------------------------ */

static struct book book_of(const struct kube_object *object)
{
    const cJSON *owner =
        cJSON_GetArrayItem(json_get(kube_object_json(object), "metadata", "ownerReferences"), 0);
    const char *uid = json_string(owner, "uid");
    const char *revision = kube_object_label(object, POLICY_TEXT_REVISION);
    const char *number = kube_object_annotation(object, HISTORY_NUMBER);

    return (struct book){
        .name = (char *) kube_object_name(object),
        .uid = (char *) (uid ? uid : ""),
        .revision = (char *) (revision ? revision : ""),
        .number = number ? strtoll(number, NULL, 10) : 0,
    };
}

static void tell(const struct history *history, const char *profile)
{
    if (kube_informer_synced(history->informer))
        history->options.changed(history->options.userdata, profile);
}

static void on_shown(void *userdata, struct kube_object *object)
{
    struct history *history = userdata;
    const char *profile = kube_object_label(object, POLICY_TEXT_PROFILE);
    struct book book = book_of(object);
    struct shelf *shelf;

    if (!profile)
        return;
    shelf = map_get(history->profiles, profile);
    if (!shelf) {
        shelf = shelf_new();
        map_set(history->profiles, profile, shelf);
    }
    shelf_add(shelf, &book);
    tell(history, profile);
}

static void on_updated(void *userdata, _unused_ struct kube_object *old, struct kube_object *object)
{
    on_shown(userdata, object);
}

static void forget(struct history *history, const char *profile, const char *name)
{
    struct shelf *shelf = profile ? map_get(history->profiles, profile) : NULL;

    if (!shelf)
        return;
    shelf_remove(shelf, name);
    if (shelf_size(shelf) == 0)
        map_remove(history->profiles, profile);
    tell(history, profile);
}

static void on_deleted(void *userdata, struct kube_object *last,
                       _unused_ enum kube_delete_cause cause)
{
    forget(userdata, kube_object_label(last, POLICY_TEXT_PROFILE), kube_object_name(last));
}

static void tell_profile(void *userdata, struct kube_object *profile)
{
    tell(userdata, kube_object_name(profile));
}

static void on_synced(void *userdata)
{
    struct history *history = userdata;

    kube_informer_each(history->options.profiles, tell_profile, history);
}

static void on_failed(_unused_ void *userdata, const struct error *err)
{
    log_warn("cannot follow the texts that are kept; will try again", "resource",
             resource_revisions.plural, "err", error_message(err));
}

/* Of metadata that others may fill, what is looked at. */
static cJSON *project(_unused_ void *userdata, cJSON *object)
{
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");

    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "managedFields");
    return object;
}

/* --- changes -------------------------------------------------------------------------- */

static void act_free(struct act *act)
{
    *act->place = act->next;
    if (act->next)
        act->next->place = act->place;
    kube_request_cancel(act->request);
    free(act->profile);
    free(act->revision);
    free(act->surplus);
    free(act);
}

static struct act *act_new(struct history *history, struct kube_work *work, const char *profile,
                           const char *revision)
{
    struct act *act = xcalloc(1, sizeof(*act));

    act->history = history;
    act->work = work;
    act->profile = xstrdup(profile);
    act->revision = xstrdup(revision);
    act->next = history->acts;
    act->place = &history->acts;
    if (act->next)
        act->next->place = &act->next;
    history->acts = act;
    return act;
}

static void act_end(struct act *act, enum kube_outcome outcome)
{
    struct kube_work *work = act->work;

    act_free(act);
    kube_work_done(work, (struct kube_result){.outcome = outcome});
}

static void on_written(void *userdata, struct kube_object *object, const struct error *err)
{
    struct act *act = userdata;

    act->request = NULL;
    /* The informer will show it, too, but later. */
    if (err->code == 0 && act->surplus)
        forget(act->history, act->profile, act->surplus);
    else if (err->code == 0)
        on_shown(act->history, object);
    /* What is changed or deleted has gone by itself; for what is created there is no namespace. */
    if (err->code == 0 || kube_error_is_already_exists(err) ||
        (kube_error_is_not_found(err) && !act->creating)) {
        act_end(act, KUBE_DONE);
        return;
    }
    log_warn("cannot keep the text of a revision; will try again", "profile", act->profile,
             "namespace", act->history->options.ns, "err", error_message(err));
    act_end(act, KUBE_RETRY);
}

static bool may_write(const struct history *history)
{
    return history->options.may_write(history->options.userdata);
}

/* What of the object is kept: another AppArmorProfile, of which agents take text and mode. */
static cJSON *kept_data(const cJSON *profile)
{
    static const char *const keys[] = {"policy", "mode", "allowHostAttachment"};
    cJSON *data = cJSON_CreateObject(), *spec;

    json_add_string(data, "apiVersion", POLICY_API_VERSION);
    json_add_string(data, "kind", resource_profiles.kind);
    json_add_string(json_add_object(data, "metadata"), "name",
                    json_string(profile, "metadata", "name"));
    spec = json_add_object(data, "spec");
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const cJSON *value = json_get(profile, "spec", keys[i]);

        if (value)
            json_add(spec, keys[i], cJSON_Duplicate(value, true));
    }
    return data;
}

static cJSON *owners_of(const struct kube_object *profile)
{
    cJSON *owners = cJSON_CreateArray(), *owner = cJSON_CreateObject();

    json_add_string(owner, "apiVersion", POLICY_API_VERSION);
    json_add_string(owner, "kind", resource_profiles.kind);
    json_add_string(owner, "name", kube_object_name(profile));
    json_add_string(owner, "uid", kube_object_uid(profile));
    json_add_bool(owner, "controller", true);
    json_append(owners, owner);
    return owners;
}

static void add_number(cJSON *body, cJSON *metadata, int64_t number)
{
    _cleanup_free_ char *text = xasprintf("%" PRId64, number);

    json_add_string(json_add_object(metadata, "annotations"), HISTORY_NUMBER, text);
    json_add_int(body, "revision", number);
}

static cJSON *revision_json(const struct act *act, const struct kube_object *profile)
{
    _cleanup_free_ char *name = policy_rollout_kept_name(kube_object_name(profile),
                                                         kube_object_uid(profile), act->revision);
    cJSON *body = cJSON_CreateObject(), *metadata, *labels;

    json_add_string(body, "apiVersion", "apps/v1");
    json_add_string(body, "kind", resource_revisions.kind);
    metadata = json_add_object(body, "metadata");
    json_add_string(metadata, "name", name);
    json_add_string(metadata, "namespace", act->history->options.ns);
    labels = json_add_object(metadata, "labels");
    json_add_string(labels, POLICY_TEXT_PROFILE, kube_object_name(profile));
    json_add_string(labels, POLICY_TEXT_REVISION, act->revision);
    json_add(metadata, "ownerReferences", owners_of(profile));
    add_number(body, metadata, act->number);
    json_add(body, "data", kept_data(kube_object_json(profile)));
    return body;
}

/* The object as it is now: it may hold another text already, and then that is the next to keep. */
static void on_read(void *userdata, struct kube_object *object, const struct error *err)
{
    static const struct kube_write_options options = {.field_manager = FIELD_MANAGER};
    _cleanup_(policy_profile_freep) struct policy_profile *profile = NULL;
    _cleanup_json_ cJSON *body = NULL;
    struct act *act = userdata;
    struct history *history = act->history;

    act->request = NULL;
    if (err->code) {
        on_written(act, NULL, err);
        return;
    }
    if (policy_profile_parse(kube_object_json(object), &profile, NULL) < 0 ||
        strcmp(profile->revision, act->revision) != 0 || !may_write(history)) {
        act_end(act, KUBE_DONE);
        return;
    }
    body = revision_json(act, object);
    act->creating = true;
    act->request = kube_create(history->options.client, &resource_revisions, history->options.ns,
                               body, &options, on_written, act);
}

/* An earlier text is the present one again. */
static void renumber(struct act *act, const struct book *book)
{
    static const struct kube_write_options options = {.field_manager = FIELD_MANAGER};
    const struct history_options *history = &act->history->options;
    _cleanup_json_ cJSON *body = cJSON_CreateObject();

    add_number(body, json_add_object(body, "metadata"), act->number);
    act->request = kube_patch(history->client, &resource_revisions, history->ns, book->name, NULL,
                              KUBE_PATCH_MERGE, body, &options, on_written, act);
}

static void drop(struct act *act, const struct book *book)
{
    const struct history_options *history = &act->history->options;

    act->surplus = xstrdup(book->name);
    act->request = kube_delete(history->client, &resource_revisions, history->ns, book->name, NULL,
                               on_written, act);
}

/* --- deciding ------------------------------------------------------------------------- */

enum need { NEED_NOTHING, NEED_CREATE, NEED_RENUMBER, NEED_DELETE };

static enum need find_need(const struct history *history, const struct kube_object *profile,
                           struct profile_spec *spec, const struct book **ret)
{
    const struct shelf *shelf = map_get(history->profiles, kube_object_name(profile));
    const char *uid = kube_object_uid(profile);

    profile_spec_read(spec, kube_object_json(profile));
    if (spec->deleting || !*spec->revision || !kube_informer_synced(history->informer))
        return NEED_NOTHING;
    *ret = shelf_find(shelf, uid, spec->revision);
    if (!*ret)
        return NEED_CREATE;
    if ((*ret)->number < shelf_last_number(shelf, uid))
        return NEED_RENUMBER;
    *ret = shelf_surplus(shelf, uid, HISTORY_MAX, spec->rollout_published);
    return *ret ? NEED_DELETE : NEED_NOTHING;
}

static void work_on(void *userdata, const char *key, struct kube_work *work)
{
    struct history *history = userdata;
    const struct kube_object *profile = kube_informer_get(history->options.profiles, NULL, key);
    const struct book *book = NULL;
    struct profile_spec spec;
    enum need need = profile ? find_need(history, profile, &spec, &book) : NEED_NOTHING;
    struct act *act;

    if (need == NEED_NOTHING || !may_write(history)) {
        kube_work_done(work, (struct kube_result){.outcome = KUBE_DONE});
        return;
    }
    act = act_new(history, work, key, spec.revision);
    act->number = shelf_last_number(map_get(history->profiles, key), kube_object_uid(profile)) + 1;
    if (need == NEED_CREATE)
        act->request = kube_get(history->options.client, &resource_profiles, NULL, key,
                                kube_object_resource_version(profile), on_read, act);
    else if (need == NEED_RENUMBER)
        renumber(act, book);
    else
        drop(act, book);
}

void history_keep(struct history *history, const struct kube_object *profile)
{
    const struct book *book = NULL;
    struct profile_spec spec;

    if (find_need(history, profile, &spec, &book) != NEED_NOTHING)
        kube_workqueue_add(history->queue, kube_object_name(profile));
}

void history_list(const struct history *history, const struct kube_object *profile,
                  struct strv *ret)
{
    const struct shelf *shelf = map_get(history->profiles, kube_object_name(profile));

    if (kube_informer_synced(history->informer))
        shelf_revisions(shelf, kube_object_uid(profile), ret);
}

const char *history_namespace(const struct history *history)
{
    return history->options.ns;
}

static void free_shelf(void *shelf)
{
    shelf_free(shelf);
}

/* --- life ------------------------------------------------------------------------------ */

struct history *history_new(const struct history_options *options)
{
    struct history *history = xcalloc(1, sizeof(*history));
    const struct kube_informer_options informer = {
        .resource = &resource_revisions,
        .ns = options->ns,
        .label_selector = POLICY_TEXT_PROFILE,
        .metadata_only = true,
        .project = project,
    };
    const struct kube_handler handler = {
        .added = on_shown,
        .updated = on_updated,
        .deleted = on_deleted,
        .synced = on_synced,
        .failed = on_failed,
        .userdata = history,
    };
    const struct kube_workqueue_options queue = {
        .base_delay_ms = RETRY_MS,
        .max_delay_ms = RETRY_MAX_MS,
        .max_active = MAX_ACTIVE,
        .reconcile = work_on,
        .userdata = history,
    };

    history->options = *options;
    history->profiles = map_new(free_shelf);
    history->queue = kube_workqueue_new(kube_client_loop(options->client), &queue);
    history->informer = kube_informer_new(options->client, &informer);
    kube_informer_add_handler(history->informer, &handler);
    kube_informer_start(history->informer);
    return history;
}

void history_free(struct history *history)
{
    if (!history)
        return;
    while (history->acts)
        act_free(history->acts);
    kube_workqueue_free(history->queue);
    kube_informer_free(history->informer);
    map_free(history->profiles);
    free(history);
}
