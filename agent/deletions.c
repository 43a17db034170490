// SPDX-License-Identifier: Apache-2.0
#include "agent/deletions.h"

#include "agent/attempt.h"
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
    struct deletions *deletions;
    char *object;
    enum deletion verdict;
    int64_t created_ms;
    bool seen;                    /* that it is absent is certain */
    struct kube_request *request; /* for making it so */
    bool asked;                   /* in the request for the definition that is under way */
};

struct deletions {
    struct kube_client *client;
    const struct kube_resource *resource;
    deletion_fn decided;
    void *userdata;
    struct map *entries;
    struct kube_request *request;
    struct loop_timer *timer;
    struct attempt attempt; /* to have it decided */
    bool warned;
};

static void entry_free(void *value)
{
    struct entry *entry = value;

    kube_request_cancel(entry->request);
    free(entry->object);
    free(entry);
}

/* Deletions that come together are asked about together. */
static void ask_after(struct deletions *deletions, uint64_t ms)
{
    if (!loop_timer_active(deletions->timer))
        loop_timer_start(deletions->timer, ms);
}

/* --- is it absent? --- */

static void on_read(void *userdata, _unused_ struct kube_object *object, const struct error *err)
{
    struct entry *entry = userdata;

    entry->request = NULL;
    entry->seen = kube_error_is_not_found(err);
    /* It is there: the watch will show it, and until then nothing is certain. */
    ask_after(entry->deletions, entry->seen ? 0 : RETRY_MS);
}

static void confirm(struct entry *entry)
{
    struct deletions *deletions = entry->deletions;

    if (!entry->request)
        entry->request = kube_get(deletions->client, deletions->resource, NULL, entry->object, NULL,
                                  on_read, entry);
}

/* --- was it meant? --- */

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
    /* Servers that start refuse for a moment what they let through later. */
    if (kube_error_is_forbidden(err) && !deletions->warned) {
        log_warn("may not read CustomResourceDefinition " DEFINITION
                 ": what is deleted stays loaded until it may; update the agent's ClusterRole",
                 "err", error_message(err));
        deletions->warned = true;
    }
    return DELETION_ASKING;
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
            more |= entry->seen;
            continue;
        }
        entry->asked = false;
        entry->verdict = judge(deletions, entry, definition, err);
        if (entry->verdict == DELETION_ASKING)
            unknown = true;
        else
            deletions->decided(deletions->userdata, object);
    }
    if (unknown)
        attempt_failed(&deletions->attempt);
    else
        attempt_succeeded(&deletions->attempt);
    if (unknown || more)
        ask_after(deletions, attempt_wait_ms(&deletions->attempt));
}

static void ask(void *userdata)
{
    struct deletions *deletions = userdata;
    void *value;
    size_t position = 0;
    bool any = false;

    while (map_next(deletions->entries, &position, NULL, &value)) {
        struct entry *entry = value;

        if (entry->verdict != DELETION_ASKING)
            continue;
        if (!entry->seen)
            confirm(entry);
        else if (!deletions->request)
            entry->asked = any = true;
    }
    if (any)
        deletions->request =
            kube_get(deletions->client, &definitions, NULL, DEFINITION, NULL, on_answer, deletions);
}

struct deletions *deletions_new(struct kube_client *client, const struct kube_resource *resource,
                                deletion_fn decided, void *userdata)
{
    struct deletions *deletions = xcalloc(1, sizeof(*deletions));

    deletions->client = client;
    deletions->resource = resource;
    deletions->decided = decided;
    deletions->userdata = userdata;
    deletions->entries = map_new(entry_free);
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

static struct entry *note(struct deletions *deletions, const char *object, enum deletion verdict,
                          int64_t created_ms)
{
    struct entry *entry = xcalloc(1, sizeof(*entry));

    entry->deletions = deletions;
    entry->object = xstrdup(object);
    entry->verdict = verdict;
    entry->created_ms = created_ms;
    map_set(deletions->entries, object, entry);
    return entry;
}

void deletions_ask(struct deletions *deletions, const char *object, int64_t created_ms, bool seen)
{
    if (deletions_verdict(deletions, object) == DELETION_ASKING)
        return;
    note(deletions, object, DELETION_ASKING, created_ms)->seen = seen;
    ask_after(deletions, 0);
}

void deletions_orphan(struct deletions *deletions, const char *object)
{
    (void) note(deletions, object, DELETION_NOT_MEANT, 0);
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
