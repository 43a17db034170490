// SPDX-License-Identifier: Apache-2.0
#include "tests/storm/agents.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"
#include "lib/base/map.h"
#include "lib/kube/informer.h"
#include "lib/policy/names.h"
#include "lib/policy/profile.h"
#include "lib/policy/rollout.h"
#include "lib/policy/selector.h"

#define RETRY_MS 1000
/* Of nodes and revisions one in so many fails. */
#define FAILS_ONE_IN 40
/* Of changes one in so many is told when it begins, too. */
#define TELLS_PENDING_ONE_IN 4
#define TIME "2026-01-01T00:00:00Z"

static const struct kube_resource resource_profiles = {
    .group = POLICY_GROUP,
    .version = POLICY_VERSION,
    .plural = "apparmorprofiles",
    .kind = "AppArmorProfile",
};
static const struct kube_resource resource_reports = {
    .group = POLICY_GROUP,
    .version = POLICY_VERSION,
    .plural = "apparmornodes",
    .kind = "AppArmorNode",
};

struct agents {
    struct agents_options options;
    struct kube_informer *profiles, *nodes, *reports;
    struct map *texts;  /* name → struct text */
    struct map *agents; /* node → struct agent */
    uint64_t writes;
};

/* What was read of a profile. */
struct text {
    struct agents *agents;
    char *name;
    struct policy_profile *profile; /* or NULL */
    struct kube_request *request;
};

struct agent {
    struct agents *agents;
    char *name;
    struct map *entries; /* profile → struct entry */
    struct loop_timer *timer;
    struct kube_request *request;
    cJSON *writing, *written; /* status */
    char *uid;                /* of the Node that all this is about */
    bool again, labelled;     /* since the round began */
};

struct entry {
    char *uid; /* of the object */
    int64_t generation;
    char revision[POLICY_REVISION_SIZE]; /* that is loaded; "" */
    const char *mode;
    const char *state, *reason;
};

/* --- memory ------------------------------------------------------------------------ */

static void entry_free(void *value)
{
    struct entry *entry = value;

    free(entry->uid);
    free(entry);
}

static void text_free(void *value)
{
    struct text *text = value;

    kube_request_cancel(text->request);
    policy_profile_free(text->profile);
    free(text->name);
    free(text);
}

static void agent_free(void *value)
{
    struct agent *agent = value;

    kube_request_cancel(agent->request);
    loop_timer_free(agent->timer);
    map_free(agent->entries);
    cJSON_Delete(agent->writing);
    cJSON_Delete(agent->written);
    free(agent->uid);
    free(agent->name);
    free(agent);
}

/* --- waking ------------------------------------------------------------------------ */

static void wake(struct agent *agent, unsigned within_ms)
{
    agent->again = true;
    if (!agent->request && !loop_timer_active(agent->timer))
        loop_timer_start(agent->timer, clock_random_below(within_ms + 1));
}

static void wake_all(struct agents *agents)
{
    size_t position = 0;
    void *agent;

    while (map_next(agents->agents, &position, NULL, &agent))
        wake(agent, agents->options.delay_ms);
}

/* --- what a node has ------------------------------------------------------------------ */

static bool fails(const struct agent *agent, const char *revision)
{
    return policy_rollout_hash(revision, agent->name) % FAILS_ONE_IN == 0;
}

static const char *mode_of(const struct policy_profile *profile)
{
    return profile->mode == POLICY_MODE_UNSET ? "Enforce" : policy_mode_name(profile->mode);
}

/* Comes to that revision, or fails and keeps what it has. */
static void entry_load(const struct agent *agent, struct entry *entry, const char *revision,
                       const struct policy_profile *profile)
{
    bool loaded = strcmp(entry->revision, revision) == 0;

    entry->reason = NULL;
    if (!loaded && fails(agent, revision)) {
        entry->state = "Failed";
        entry->reason = "LoadFailed";
        return;
    }
    if (!loaded && clock_random_below(TELLS_PENDING_ONE_IN) == 0 &&
        strcmp(entry->state, "Pending") != 0) {
        entry->state = "Pending";
        entry->reason = "Compiling";
        return;
    }
    memcpy(entry->revision, revision, POLICY_REVISION_SIZE);
    if (strcmp(revision, profile->revision) == 0)
        entry->mode = mode_of(profile);
    entry->state = "Loaded";
}

static void entry_follow(const struct agent *agent, struct entry *entry,
                         const struct kube_object *object, const struct policy_profile *profile)
{
    const char *annotation = kube_object_annotation(object, POLICY_ROLLOUT_ANNOTATION);
    struct policy_rollout published;
    bool there = annotation && policy_rollout_parse(annotation, &published, NULL) == 0;
    const struct policy_rollout_question question = {
        .node = agent->name,
        .progressive = profile->progressive,
        .first = profile->generation == 1,
        .spec_revision = profile->revision,
        .held_revision = entry->revision,
        .published = there ? &published : NULL,
    };

    entry->generation = profile->generation;
    switch (policy_rollout_choose(&question)) {
    case POLICY_CHOICE_SPEC:
        entry_load(agent, entry, profile->revision, profile);
        break;
    case POLICY_CHOICE_PREVIOUS:
        entry_load(agent, entry, published.previous, profile);
        break;
    case POLICY_CHOICE_HELD:
        entry->state = "Loaded";
        entry->reason = "RolloutPending";
        break;
    case POLICY_CHOICE_WAIT:
        entry->state = "Pending";
        entry->reason = "RolloutPending";
        break;
    }
    /* More is to come of it. */
    if (strcmp(entry->state, "Pending") == 0 && question.published)
        wake((struct agent *) agent, agent->agents->options.delay_ms);
}

static void follow_profile(void *userdata, struct kube_object *object)
{
    struct agent *agent = userdata;
    const struct agents *agents = agent->agents;
    const char *name = kube_object_name(object);
    const struct text *text = map_get(agents->texts, name);
    const struct kube_object *node = kube_informer_get(agents->nodes, NULL, agent->name);
    struct entry *entry = map_get(agent->entries, name);

    if (entry && strcmp(entry->uid, kube_object_uid(object)) != 0) {
        map_remove(agent->entries, name);
        entry = NULL;
    }
    if (kube_object_deleting(object)) {
        map_remove(agent->entries, name);
        return;
    }
    if (!text || !text->profile || text->profile->generation != kube_object_generation(object) ||
        strcmp(text->profile->uid, kube_object_uid(object)) != 0)
        return; /* being read */
    if (!policy_selector_matches(text->profile->selector,
                                 json_get(kube_object_json(node), "metadata", "labels"))) {
        map_remove(agent->entries, name);
        return;
    }
    if (!entry) {
        entry = xcalloc(1, sizeof(*entry));
        entry->uid = xstrdup(kube_object_uid(object));
        entry->state = entry->mode = "";
        map_set(agent->entries, name, entry);
    }
    entry_follow(agent, entry, object, text->profile);
}

static void forget_gone(struct agent *agent)
{
    size_t position = 0;
    const char *name;

    while (map_next(agent->entries, &position, &name, NULL))
        if (!kube_informer_get(agent->agents->profiles, NULL, name))
            map_remove(agent->entries, name);
}

/* --- what it writes --------------------------------------------------------------------- */

static cJSON *entry_json(const char *name, const struct entry *entry)
{
    cJSON *json = cJSON_CreateObject(), *names;

    json_add_string(json, "name", name);
    json_add_int(json, "generation", entry->generation);
    if (*entry->revision)
        json_add_string(json, "revision", entry->revision);
    json_add_string(json, "state", entry->state);
    if (*entry->mode)
        json_add_string(json, "mode", entry->mode);
    names = json_add_array(json, "profileNames");
    if (*entry->revision)
        json_append_string(names, name);
    if (entry->reason)
        json_add_string(json, "reason", entry->reason);
    if (strcmp(entry->state, "Failed") == 0)
        json_add_string(json, "message", "played");
    json_add_string(json, "lastTransitionTime", TIME);
    return json;
}

static cJSON *status_of(const struct agent *agent)
{
    _cleanup_free_ const char **names = map_sorted_keys(agent->entries);
    cJSON *status = cJSON_CreateObject(), *profiles;

    json_add_string(status, "apparmor", "Enabled");
    profiles = json_add_array(status, "profiles");
    for (size_t i = 0; i < map_size(agent->entries); i++)
        json_append(profiles, entry_json(names[i], map_get(agent->entries, names[i])));
    return status;
}

/* Makes the Node's labels what the entries say; NULL when they are. */
static cJSON *labels_patch_of(const struct agent *agent, const struct kube_object *node)
{
    cJSON *patch = cJSON_CreateObject(), *metadata = json_add_object(patch, "metadata");
    cJSON *labels = json_add_object(metadata, "labels");
    const cJSON *label;
    size_t position = 0;
    const char *name;
    void *value;

    json_add_string(metadata, "uid", kube_object_uid(node));
    cJSON_ArrayForEach(label, json_get(kube_object_json(node), "metadata", "labels"))
    {
        const struct entry *entry = NULL;

        if (strncmp(label->string, POLICY_NODE_PROFILE, strlen(POLICY_NODE_PROFILE)) != 0)
            continue;
        entry = map_get(agent->entries, label->string + strlen(POLICY_NODE_PROFILE));
        if (!entry || !*entry->revision)
            json_add(labels, label->string, cJSON_CreateNull());
    }
    while (map_next(agent->entries, &position, &name, &value)) {
        _cleanup_free_ char *key = xasprintf(POLICY_NODE_PROFILE "%s", name);

        if (*((const struct entry *) value)->revision && !kube_object_label(node, key))
            json_add_string(labels, key, "true");
    }
    if (labels->child)
        return patch;
    cJSON_Delete(patch);
    return NULL;
}

static cJSON *report_json(const struct agent *agent)
{
    cJSON *object = cJSON_CreateObject(), *metadata, *owner = cJSON_CreateObject();

    json_add_string(object, "apiVersion", POLICY_API_VERSION);
    json_add_string(object, "kind", resource_reports.kind);
    metadata = json_add_object(object, "metadata");
    json_add_string(metadata, "name", agent->name);
    json_add_string(owner, "apiVersion", "v1");
    json_add_string(owner, "kind", "Node");
    json_add_string(owner, "name", agent->name);
    json_add_string(owner, "uid", agent->uid);
    json_append(json_add_array(metadata, "ownerReferences"), owner);
    return object;
}

static void act(struct agent *agent);

static void on_created(void *userdata, _unused_ struct kube_object *object, const struct error *err)
{
    struct agent *agent = userdata;

    agent->request = NULL;
    agent->agents->writes += err->code == 0;
    wake(agent, err->code == 0 ? 0 : RETRY_MS);
}

static void on_status(void *userdata, _unused_ struct kube_object *object, const struct error *err)
{
    struct agent *agent = userdata;
    _cleanup_json_ cJSON *body = NULL;

    agent->request = NULL;
    if (err->code == 0) {
        agent->agents->writes++;
        cJSON_Delete(agent->written);
        agent->written = TAKE_PTR(agent->writing);
        act(agent);
    } else if (kube_error_is_not_found(err)) {
        body = report_json(agent);
        agent->request = kube_create(agent->agents->options.client, &resource_reports, NULL, body,
                                     NULL, on_created, agent);
    } else {
        wake(agent, RETRY_MS);
    }
}

static void on_labelled(void *userdata, _unused_ struct kube_object *object,
                        const struct error *err)
{
    struct agent *agent = userdata;

    agent->request = NULL;
    agent->labelled = err->code == 0;
    agent->agents->writes += err->code == 0;
    if (err->code == 0)
        act(agent);
    else
        wake(agent, RETRY_MS);
}

static void write_status(struct agent *agent, cJSON *status)
{
    _cleanup_json_ cJSON *patch = cJSON_CreateObject();

    json_add(patch, "status", cJSON_Duplicate(status, true));
    cJSON_Delete(agent->writing);
    agent->writing = status;
    agent->request = kube_patch(agent->agents->options.client, &resource_reports, NULL, agent->name,
                                "status", KUBE_PATCH_MERGE, patch, NULL, on_status, agent);
}

/* One write after the other, until there is nothing to write. */
static void act(struct agent *agent)
{
    struct agents *agents = agent->agents;
    const struct kube_object *node = kube_informer_get(agents->nodes, NULL, agent->name);
    _cleanup_json_ cJSON *labels = NULL, *status = NULL;

    if (!node)
        return;
    labels = agent->labelled ? NULL : labels_patch_of(agent, node);
    if (labels) {
        agent->request = kube_patch(agents->options.client, &kube_nodes, NULL, agent->name, NULL,
                                    KUBE_PATCH_MERGE, labels, NULL, on_labelled, agent);
        return;
    }
    status = status_of(agent);
    if (!json_equal(status, agent->written))
        write_status(agent, TAKE_PTR(status));
    else if (agent->again)
        wake(agent, agents->options.delay_ms);
}

static void on_timer(void *userdata)
{
    struct agent *agent = userdata;

    if (agent->request)
        return;
    agent->again = agent->labelled = false;
    forget_gone(agent);
    kube_informer_each(agent->agents->profiles, follow_profile, agent);
    act(agent);
}

/* --- what it hears ------------------------------------------------------------------------ */

static struct agent *agent_new(struct agents *agents, const struct kube_object *node)
{
    struct agent *agent = xcalloc(1, sizeof(*agent));

    agent->agents = agents;
    agent->name = xstrdup(kube_object_name(node));
    agent->uid = xstrdup(kube_object_uid(node));
    agent->entries = map_new(entry_free);
    agent->timer = loop_timer_new(kube_client_loop(agents->options.client), on_timer, agent);
    return agent;
}

static void node_shown(void *userdata, struct kube_object *node)
{
    struct agents *agents = userdata;
    const char *name = kube_object_name(node), *prefix = agents->options.prefix;
    struct agent *agent = map_get(agents->agents, name);

    if (strncmp(name, prefix, strlen(prefix)) != 0)
        return;
    /* Another machine of that name, which has nothing. */
    if (!agent || strcmp(agent->uid, kube_object_uid(node)) != 0) {
        agent = agent_new(agents, node);
        map_set(agents->agents, name, agent);
    }
    wake(agent, agents->options.delay_ms);
}

static void node_updated(void *userdata, _unused_ struct kube_object *old, struct kube_object *node)
{
    node_shown(userdata, node);
}

static void node_gone(void *userdata, struct kube_object *node,
                      _unused_ enum kube_delete_cause cause)
{
    struct agents *agents = userdata;

    map_remove(agents->agents, kube_object_name(node));
}

/* The garbage collector takes what belonged to an earlier Node of the name. */
static void report_gone(void *userdata, struct kube_object *report,
                        _unused_ enum kube_delete_cause cause)
{
    struct agents *agents = userdata;
    struct agent *agent = map_get(agents->agents, kube_object_name(report));

    if (!agent)
        return;
    cJSON_Delete(agent->written);
    agent->written = NULL;
    wake(agent, agents->options.delay_ms);
}

static void on_read(void *userdata, struct kube_object *object, const struct error *err)
{
    struct text *text = userdata;
    struct agents *agents = text->agents;
    struct policy_profile *profile = NULL;
    const struct kube_object *shown = kube_informer_get(agents->profiles, NULL, text->name);

    text->request = NULL;
    if (err->code == 0 && policy_profile_parse(kube_object_json(object), &profile, NULL) == 0) {
        policy_profile_free(text->profile);
        text->profile = profile;
    }
    if (shown && (!text->profile || kube_object_generation(shown) > text->profile->generation ||
                  strcmp(kube_object_uid(shown), text->profile->uid) != 0))
        text->request = kube_get(agents->options.client, &resource_profiles, NULL, text->name, NULL,
                                 on_read, text);
    wake_all(agents);
}

static void read_text(struct agents *agents, const struct kube_object *object)
{
    const char *name = kube_object_name(object);
    struct text *text = map_get(agents->texts, name);

    if (!text) {
        text = xcalloc(1, sizeof(*text));
        text->agents = agents;
        text->name = xstrdup(name);
        map_set(agents->texts, name, text);
    }
    if (!text->request)
        text->request = kube_get(agents->options.client, &resource_profiles, NULL, name,
                                 kube_object_resource_version(object), on_read, text);
}

static void profile_shown(void *userdata, struct kube_object *object)
{
    read_text(userdata, object);
}

static void profile_updated(void *userdata, struct kube_object *old, struct kube_object *object)
{
    struct agents *agents = userdata;
    const char *before = kube_object_annotation(old, POLICY_ROLLOUT_ANNOTATION);
    const char *now = kube_object_annotation(object, POLICY_ROLLOUT_ANNOTATION);

    if (strcmp(kube_object_uid(old), kube_object_uid(object)) != 0 ||
        kube_object_generation(old) != kube_object_generation(object))
        read_text(agents, object);
    if (kube_object_deleting(old) != kube_object_deleting(object) ||
        strcmp(before ? before : "", now ? now : "") != 0)
        wake_all(agents);
}

static void profile_gone(void *userdata, _unused_ struct kube_object *object,
                         _unused_ enum kube_delete_cause cause)
{
    wake_all(userdata);
}

/* --- all ------------------------------------------------------------------------------------ */

static struct kube_informer *follow(struct agents *agents, const struct kube_resource *resource,
                                    struct kube_handler handler)
{
    const struct kube_informer_options options = {.resource = resource, .metadata_only = true};
    struct kube_informer *informer = kube_informer_new(agents->options.client, &options);

    handler.userdata = agents;
    kube_informer_add_handler(informer, &handler);
    return informer;
}

struct agents *agents_new(const struct agents_options *options)
{
    struct agents *agents = xcalloc(1, sizeof(*agents));

    agents->options = *options;
    agents->texts = map_new(text_free);
    agents->agents = map_new(agent_free);
    agents->profiles = follow(agents, &resource_profiles,
                              (struct kube_handler){.added = profile_shown,
                                                    .updated = profile_updated,
                                                    .deleted = profile_gone});
    agents->nodes = follow(agents, &kube_nodes,
                           (struct kube_handler){.added = node_shown,
                                                 .updated = node_updated,
                                                 .deleted = node_gone});
    agents->reports =
        follow(agents, &resource_reports, (struct kube_handler){.deleted = report_gone});
    return agents;
}

void agents_start(struct agents *agents)
{
    kube_informer_start(agents->profiles);
    kube_informer_start(agents->nodes);
    kube_informer_start(agents->reports);
}

void agents_free(struct agents *agents)
{
    if (!agents)
        return;
    map_free(agents->agents);
    map_free(agents->texts);
    kube_informer_free(agents->profiles);
    kube_informer_free(agents->nodes);
    kube_informer_free(agents->reports);
    free(agents);
}

bool agents_synced(const struct agents *agents)
{
    return kube_informer_synced(agents->profiles) && kube_informer_synced(agents->nodes) &&
           kube_informer_synced(agents->reports);
}

size_t agents_count(const struct agents *agents)
{
    return map_size(agents->agents);
}

size_t agents_busy(const struct agents *agents)
{
    size_t position = 0, busy = 0;
    void *value;

    while (map_next(agents->agents, &position, NULL, &value)) {
        const struct agent *agent = value;

        busy += agent->request || loop_timer_active(agent->timer);
    }
    return busy;
}

uint64_t agents_writes(const struct agents *agents)
{
    return agents->writes;
}

bool agents_has_node(const struct agents *agents, const char *node)
{
    return kube_informer_get(agents->nodes, NULL, node) != NULL;
}

const struct kube_object *agents_profile(const struct agents *agents, const char *profile)
{
    return kube_informer_get(agents->profiles, NULL, profile);
}
