// SPDX-License-Identifier: Apache-2.0
#include "agent/deletions.h"

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/map.h"

#define DEFINITION "apparmorprofiles.apparmor.io"
#define RETRY_MS 1000

static const struct kube_resource definitions = {
    .group = "apiextensions.k8s.io",
    .version = "v1",
    .plural = "customresourcedefinitions",
    .kind = "CustomResourceDefinition",
};

struct entry {
    enum deletion verdict;
    int64_t created_ms;
    bool asked; /* in the request under way */
};

struct deletions {
    struct kube_client *client;
    deletion_fn decided;
    void *userdata;
    struct map *entries;
    struct kube_request *request;
    struct loop_timer *timer;
    bool warned;
};

static void ask(void *userdata);

/* What the server's answer says about an object; DELETION_ASKING when it says nothing. */
static enum deletion judge(struct deletions *deletions, const struct entry *entry,
                           struct kube_object *definition, const struct error *err)
{
    const char *created;
    int64_t created_ms;

    if (definition) {
        created = json_string(kube_object_json(definition), "metadata", "creationTimestamp");
        if (kube_object_deleting(definition) || !created || clock_parse(created, &created_ms) < 0)
            return DELETION_NOT_MEANT;
        return created_ms > entry->created_ms ? DELETION_NOT_MEANT : DELETION_MEANT;
    }
    if (kube_error_is_not_found(err))
        return DELETION_NOT_MEANT;
    if (!kube_error_is_forbidden(err))
        return DELETION_ASKING;
    if (!deletions->warned)
        log_warn("may not read CustomResourceDefinition " DEFINITION
                 ": its removal will count as deletion of every profile; update the agent's "
                 "ClusterRole",
                 "err", error_message(err));
    deletions->warned = true;
    return DELETION_MEANT;
}

static void on_answer(void *userdata, struct kube_object *definition, const struct error *err)
{
    struct deletions *deletions = userdata;
    const char *object;
    void *value;
    size_t position = 0;
    bool more = false, unknown = false;

    deletions->request = NULL;
    while (map_next(deletions->entries, &position, &object, &value)) {
        struct entry *entry = value;

        if (entry->verdict != DELETION_ASKING)
            continue;
        if (!entry->asked) {
            more = true;
            continue;
        }
        entry->asked = false;
        entry->verdict = judge(deletions, entry, definition, err);
        if (entry->verdict == DELETION_ASKING)
            unknown = true;
        else
            deletions->decided(deletions->userdata, object);
    }
    if (unknown || more)
        loop_timer_start(deletions->timer, unknown ? RETRY_MS : 0);
}

static void ask(void *userdata)
{
    struct deletions *deletions = userdata;
    void *value;
    size_t position = 0;

    if (deletions->request)
        return;
    while (map_next(deletions->entries, &position, NULL, &value))
        ((struct entry *) value)->asked = true;
    deletions->request =
        kube_get(deletions->client, &definitions, NULL, DEFINITION, NULL, on_answer, deletions);
}

struct deletions *deletions_new(struct kube_client *client, deletion_fn decided, void *userdata)
{
    struct deletions *deletions = xcalloc(1, sizeof(*deletions));

    deletions->client = client;
    deletions->decided = decided;
    deletions->userdata = userdata;
    deletions->entries = map_new(free);
    deletions->timer = loop_timer_new(kube_client_loop(client), ask, deletions);
    return deletions;
}

void deletions_free(struct deletions *deletions)
{
    if (!deletions)
        return;
    kube_request_cancel(deletions->request);
    loop_timer_free(deletions->timer);
    map_free(deletions->entries);
    free(deletions);
}

static void note(struct deletions *deletions, const char *object, enum deletion verdict,
                 int64_t created_ms)
{
    struct entry *entry = xcalloc(1, sizeof(*entry));

    entry->verdict = verdict;
    entry->created_ms = created_ms;
    map_set(deletions->entries, object, entry);
}

void deletions_ask(struct deletions *deletions, const char *object, int64_t created_ms)
{
    if (deletions_verdict(deletions, object) == DELETION_ASKING)
        return;
    note(deletions, object, DELETION_ASKING, created_ms);
    /* Deletions that come together are asked about together. */
    if (!deletions->request && !loop_timer_active(deletions->timer))
        loop_timer_start(deletions->timer, 0);
}

void deletions_orphan(struct deletions *deletions, const char *object)
{
    note(deletions, object, DELETION_NOT_MEANT, 0);
}

void deletions_forget(struct deletions *deletions, const char *object)
{
    map_remove(deletions->entries, object);
}

enum deletion deletions_verdict(const struct deletions *deletions, const char *object)
{
    const struct entry *entry = map_get(deletions->entries, object);

    return entry ? entry->verdict : DELETION_NONE;
}
