// SPDX-License-Identifier: Apache-2.0
#include "controller/profile_users.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/policy/pod_profile.h"

/* Small ones: each is a few milliseconds of work. */
#define PAGE 100
/* Of the largest cluster that Kubernetes means to support, a part is enough for a warning. */
#define PODS_MAX 20000
#define LIST_MS 4000

struct profile_users_query {
    LIST_ENTRY(profile_users_query) link;
    struct profile_users *users;
    struct strv profiles;
    struct profile_users_answer answer;
    profile_users_fn fn;
    void *userdata;
    bool running; /* in the list that is under way, not for the next one */
};

struct profile_users {
    struct kube_client *client;
    LIST_HEAD(, profile_users_query) queries;
    struct kube_request *list;
    struct loop_timer *timer; /* of the list, and to begin one */
    size_t seen;
};

/* --- one pod -------------------------------------------------------------------------- */

static bool names(const struct strv *profiles, const char *asked)
{
    for (size_t i = 0; i < profiles->len; i++) {
        size_t len = strlen(profiles->items[i]);

        if (strncmp(asked, profiles->items[i], len) == 0 &&
            (asked[len] == '\0' || strncmp(asked + len, "//", 2) == 0))
            return true;
    }
    return false;
}

static bool has_ended(const cJSON *pod)
{
    const char *phase = json_string(pod, "status", "phase");

    return phase && (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0);
}

bool profile_users_match(const cJSON *pod, const struct strv *profiles)
{
    const cJSON *container;

    if (has_ended(pod))
        return false;
    for (size_t i = 0; i < POD_CONTAINER_LISTS; i++) {
        cJSON_ArrayForEach(container, json_get(pod, "spec", pod_container_lists[i].spec))
        {
            const struct pod_profile profile = pod_profile_of(pod, container);

            if (profile.type == POD_PROFILE_LOCALHOST && names(profiles, profile.name))
                return true;
        }
    }
    return false;
}

/* --- all of them ------------------------------------------------------------------------ */

static void query_free(struct profile_users_query *query)
{
    LIST_REMOVE(query, link);
    strv_done(&query->profiles);
    strv_done(&query->answer.named);
    free(query);
}

static struct profile_users_query *find_running(const struct profile_users *users)
{
    struct profile_users_query *query;

    LIST_FOREACH(query, &users->queries, link)
    if (query->running)
        return query;
    return NULL;
}

/* Whoever hears an answer may cancel others. */
static void finish(struct profile_users *users, bool complete)
{
    struct profile_users_query *query;

    users->list = NULL;
    loop_timer_stop(users->timer);
    while ((query = find_running(users))) {
        query->running = false;
        query->answer.complete = complete;
        query->fn(query->userdata, &query->answer);
        query_free(query);
    }
    if (!LIST_EMPTY(&users->queries))
        loop_timer_start(users->timer, 0);
}

static void on_pod(void *userdata, struct kube_object *pod)
{
    struct profile_users *users = userdata;
    struct profile_users_query *query;

    if (++users->seen == PODS_MAX)
        loop_timer_start(users->timer, 0);
    LIST_FOREACH(query, &users->queries, link)
    {
        if (!query->running || !profile_users_match(kube_object_json(pod), &query->profiles))
            continue;
        query->answer.count++;
        if (query->answer.named.len < PROFILE_USERS_NAMED)
            strv_take(&query->answer.named,
                      xasprintf("%s/%s", kube_object_namespace(pod), kube_object_name(pod)));
    }
}

static void on_listed(void *userdata, _unused_ const char *version, const struct error *err)
{
    struct profile_users *users = userdata;

    if (err->code != 0)
        log_warn("cannot list pods to tell who uses a profile", "err", error_message(err));
    finish(users, err->code == 0);
}

static void begin(struct profile_users *users)
{
    const struct kube_list_options options = {.page_size = PAGE};
    struct profile_users_query *query;

    LIST_FOREACH(query, &users->queries, link)
    query->running = true;
    users->seen = 0;
    users->list = kube_list(users->client, &kube_pods, NULL, &options, on_pod, on_listed, users);
    loop_timer_start(users->timer, LIST_MS);
}

static void on_timer(void *userdata)
{
    struct profile_users *users = userdata;

    if (!users->list) {
        begin(users);
        return;
    }
    kube_request_cancel(users->list);
    finish(users, false);
}

/* --- life --------------------------------------------------------------------------------- */

struct profile_users *profile_users_new(struct kube_client *client)
{
    struct profile_users *users = xcalloc(1, sizeof(*users));

    users->client = client;
    LIST_INIT(&users->queries);
    users->timer = loop_timer_new(kube_client_loop(client), on_timer, users);
    return users;
}

void profile_users_free(struct profile_users *users)
{
    if (!users)
        return;
    kube_request_cancel(users->list);
    loop_timer_free(users->timer);
    free(users);
}

struct profile_users_query *profile_users_find(struct profile_users *users,
                                               const struct strv *profiles, profile_users_fn fn,
                                               void *userdata)
{
    struct profile_users_query *query = xcalloc(1, sizeof(*query));

    query->users = users;
    strv_copy(&query->profiles, profiles);
    query->fn = fn;
    query->userdata = userdata;
    LIST_INSERT_HEAD(&users->queries, query, link);
    if (!users->list)
        loop_timer_start(users->timer, 0);
    return query;
}

void profile_users_cancel(struct profile_users_query *query)
{
    if (query)
        query_free(query);
}
