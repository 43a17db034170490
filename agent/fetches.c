// SPDX-License-Identifier: Apache-2.0
#include "agent/fetches.h"

#include <assert.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"
#include "lib/base/map.h"

/* What a compiler has to do until the others are there. */
#define AT_ONCE 4
/* One `kubectl apply` sends its objects closer together than this. */
#define QUIET_MS 60
#define WAIT_MAX_MS 400
/* Fewer are read one by one. */
#define LIST_MIN 8
/* Part of all objects that a list is worth. */
#define LIST_PART 2

struct fetch {
    struct fetches *fetches;
    char *name, *version;
    kube_response_fn fn;
    void *userdata;
    struct kube_request *request; /* NULL: it waits, or is in a list */
};

struct fetches {
    struct fetches_options options;
    struct map *waiting; /* struct fetch by name */
    char *version;       /* the latest that was seen of them */
    uint64_t since_ms;   /* the first of them waits */
    struct loop_timer *timer;

    struct map *listed; /* are looked for in `list` */
    struct kube_request *list;
    unsigned asked; /* one by one */
};

/* --- one by one --- */

static void fetch_free(struct fetch *fetch)
{
    free(fetch->name);
    free(fetch->version);
    free(fetch);
}

static void answer(struct fetch *fetch, struct kube_object *object, const struct error *err)
{
    fetch->fn(fetch->userdata, object, err);
    fetch_free(fetch);
}

static void on_answer(void *userdata, struct kube_object *object, const struct error *err)
{
    struct fetch *fetch = userdata;

    fetch->request = NULL;
    fetch->fetches->asked--;
    answer(fetch, object, err);
}

static void ask(struct fetch *fetch)
{
    struct fetches *fetches = fetch->fetches;

    fetches->asked++;
    fetch->request = kube_get(fetches->options.client, fetches->options.resource, NULL, fetch->name,
                              fetch->version, on_answer, fetch);
}

static void ask_all(struct map *of)
{
    size_t position = 0;
    void *fetch;

    while (map_next(of, &position, NULL, &fetch))
        ask(fetch);
    map_clear(of);
}

/* --- many at once --- */

/* Versions of one kind are numbers that grow; of such as are none it is not known
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions). */
static bool is_as_new(const char *version, const char *as)
{
    size_t len = strlen(version), as_len = strlen(as);

    if (strspn(version, "0123456789") != len || strspn(as, "0123456789") != as_len)
        return false;
    return len > as_len || (len == as_len && strcmp(version, as) >= 0);
}

static void on_item(void *userdata, struct kube_object *object)
{
    struct fetches *fetches = userdata;
    struct fetch *fetch = map_get(fetches->listed, kube_object_name(object));
    const struct error none = {0};

    if (!fetch || !is_as_new(kube_object_resource_version(object), fetch->version))
        return;
    map_remove(fetches->listed, fetch->name);
    answer(fetch, object, &none);
}

/* What has not come is gone, was older than what has been seen, or the list has failed: the server
 * is asked for each. */
static void on_listed(void *userdata, const char *version _unused_,
                      const struct error *err _unused_)
{
    struct fetches *fetches = userdata;

    fetches->list = NULL;
    ask_all(fetches->listed);
}

static void list(struct fetches *fetches)
{
    const struct kube_list_options options = {.min_version = fetches->version};
    struct map *all = fetches->listed;

    fetches->listed = fetches->waiting;
    fetches->waiting = all;
    fetches->list = kube_list(fetches->options.client, fetches->options.resource, NULL, &options,
                              on_item, on_listed, fetches);
}

static bool list_is_worth_it(const struct fetches *fetches)
{
    size_t wanted = map_size(fetches->waiting);

    return !fetches->list && wanted >= LIST_MIN &&
           wanted * LIST_PART >= fetches->options.total(fetches->options.userdata);
}

static void on_quiet(void *userdata)
{
    struct fetches *fetches = userdata;

    if (list_is_worth_it(fetches))
        list(fetches);
    else
        ask_all(fetches->waiting);
}

static void wait_for_others(struct fetches *fetches, struct fetch *fetch)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (map_size(fetches->waiting) == 0)
        fetches->since_ms = now_ms;
    map_set(fetches->waiting, fetch->name, fetch);
    if (!fetches->version || !is_as_new(fetches->version, fetch->version)) {
        free(fetches->version);
        fetches->version = xstrdup(fetch->version);
    }

    uint64_t waited_ms = now_ms - fetches->since_ms;
    uint64_t left_ms = waited_ms < WAIT_MAX_MS ? WAIT_MAX_MS - waited_ms : 0;
    loop_timer_start(fetches->timer, left_ms < QUIET_MS ? left_ms : QUIET_MS);
}

static bool may_wait(const struct fetches *fetches, const struct fetch *fetch)
{
    return fetch->version && !map_has(fetches->waiting, fetch->name) &&
           (fetches->asked >= AT_ONCE || map_size(fetches->waiting) > 0);
}

struct fetch *fetches_add(struct fetches *fetches, const struct fetch_what *what,
                          kube_response_fn fn, void *userdata)
{
    struct fetch *fetch = xcalloc(1, sizeof(*fetch));

    *fetch = (struct fetch){
        .fetches = fetches,
        .name = xstrdup(what->name),
        .version = what->version ? xstrdup(what->version) : NULL,
        .fn = fn,
        .userdata = userdata,
    };
    if (may_wait(fetches, fetch))
        wait_for_others(fetches, fetch);
    else
        ask(fetch);
    return fetch;
}

static void forget(struct map *of, const struct fetch *fetch)
{
    if (map_get(of, fetch->name) == fetch)
        map_remove(of, fetch->name);
}

void fetch_cancel(struct fetch *fetch)
{
    if (!fetch)
        return;
    if (fetch->request) {
        kube_request_cancel(fetch->request);
        fetch->fetches->asked--;
    } else {
        forget(fetch->fetches->waiting, fetch);
        forget(fetch->fetches->listed, fetch);
    }
    fetch_free(fetch);
}

/* --- life --- */

struct fetches *fetches_new(const struct fetches_options *options)
{
    struct fetches *fetches = xcalloc(1, sizeof(*fetches));

    fetches->options = *options;
    fetches->waiting = map_new(NULL);
    fetches->listed = map_new(NULL);
    fetches->timer = loop_timer_new(kube_client_loop(options->client), on_quiet, fetches);
    return fetches;
}

void fetches_free(struct fetches *fetches)
{
    if (!fetches)
        return;
    assert(fetches->asked == 0 && map_size(fetches->waiting) + map_size(fetches->listed) == 0);
    kube_request_cancel(fetches->list);
    loop_timer_free(fetches->timer);
    map_free(fetches->waiting);
    map_free(fetches->listed);
    free(fetches->version);
    free(fetches);
}
