// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/reflector.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"
#include "lib/kube/backoff.h"
#include "lib/kube/list.h"
#include "lib/kube/status.h"

#define PAGE_SIZE 500
#define WATCH_MIN_S 300
#define WATCH_MAX_S 600
/* A watch that ends sooner and brings nothing new is a failure: something closes connections. */
#define SHORT_WATCH_MS 1000
/* Until when the initial events of a WatchList must be complete. */
#define INITIAL_EVENTS_MS 60000
#define INITIAL_EVENTS_END "k8s.io/initial-events-end"

enum phase {
    PHASE_IDLE,
    PHASE_LIST,
    PHASE_WATCH_LIST, /* a watch whose initial events are not complete */
    PHASE_WATCH,
    PHASE_BACKOFF, /* the timer runs */
};

struct reflector {
    struct kube_client *client;
    const struct kube_resource *resource;
    char *ns, *field_selector, *label_selector;
    bool metadata_only;
    unsigned page_size;
    uint64_t initial_events_ms;
    struct reflector_hooks hooks;

    enum phase phase;
    struct kube_request *list;
    struct kube_watch *watch;
    struct loop_timer *timer; /* back-off, or the limit of the initial events */
    struct backoff backoff;
    bool relist; /* what follows the back-off: a list, or a watch from `version` */

    struct store *fresh;
    bool incomplete;          /* an object was too large for `fresh` */
    char *version;            /* last seen; NULL: none yet */
    bool version_unavailable; /* the server has forgotten it, or does not have it yet */
    bool no_watch_list;       /* the server does not know it */
    bool list_next;           /* a WatchList failed in a way that a list may not */
    bool full_list;           /* pages expired while they were read */

    bool connected;
    bool missing;     /* since the last list that succeeded */
    bool was_missing; /* ever */
    uint64_t watch_started_at;
    bool watch_opened;   /* the server has accepted it */
    bool watch_advanced; /* it has brought another version than the one it began with */

    unsigned busy; /* a hook is on the stack */
    bool freed;
};

static void synchronize(struct reflector *reflector);
static void start_watch(struct reflector *reflector);

/* --- hooks, each of which may free the reflector ---------------------------------------------- */

static void destroy(struct reflector *reflector)
{
    loop_timer_free(reflector->timer);
    store_free(reflector->fresh);
    free(reflector->ns);
    free(reflector->field_selector);
    free(reflector->label_selector);
    free(reflector->version);
    free(reflector);
}

static void enter(struct reflector *reflector)
{
    reflector->busy++;
}

/* False when the reflector is no more. */
static bool leave(struct reflector *reflector)
{
    if (--reflector->busy > 0 || !reflector->freed)
        return !reflector->freed;
    destroy(reflector);
    return false;
}

static bool report(struct reflector *reflector, const struct error *err)
{
    enter(reflector);
    reflector->hooks.failed(reflector->hooks.userdata, err);
    return leave(reflector);
}

/* --- state ---------------------------------------------------------------------------------- */

static void set_version(struct reflector *reflector, const char *version)
{
    if (!version[0] || (reflector->version && strcmp(reflector->version, version) == 0))
        return;
    free(reflector->version);
    reflector->version = xstrdup(version);
    reflector->watch_advanced = true;
}

static void established(struct reflector *reflector)
{
    reflector->connected = true;
    backoff_healthy(&reflector->backoff);
}

static void go_on(struct reflector *reflector)
{
    if (reflector->relist)
        synchronize(reflector);
    else
        start_watch(reflector);
}

/* Reports the failure and goes on later. */
static void back_off(struct reflector *reflector, bool relist, uint64_t at_least_ms,
                     const struct error *err)
{
    uint64_t delay = backoff_next(&reflector->backoff);

    reflector->phase = PHASE_BACKOFF;
    reflector->connected = false;
    reflector->relist = relist;
    loop_timer_start(reflector->timer, delay > at_least_ms ? delay : at_least_ms);
    (void) report(reflector, err);
}

static void note_missing(struct reflector *reflector, const struct error *err)
{
    if (!kube_error_is_not_found(err))
        return;
    reflector->missing = true;
    reflector->was_missing = true;
}

/* The whole collection is in `fresh`. */
static bool replace(struct reflector *reflector, const char *version)
{
    bool was_missing = reflector->missing;

    set_version(reflector, version);
    reflector->version_unavailable = false;
    reflector->full_list = false;
    reflector->list_next = false;
    reflector->missing = false;
    established(reflector);
    enter(reflector);
    reflector->hooks.replace(reflector->hooks.userdata, TAKE_PTR(reflector->fresh), was_missing,
                             reflector->incomplete);
    return leave(reflector);
}

static void keep_fresh(struct reflector *reflector, cJSON *json)
{
    struct kube_object *object;

    /* prepare() must not free the reflector: it is the program's projection, no handler. */
    object = reflector->hooks.prepare(reflector->hooks.userdata, json);
    if (!object)
        return;
    store_put(reflector->fresh, object);
    kube_object_unref(object);
    store_pack(reflector->fresh);
}

static void on_oversize(void *userdata, const struct error *err)
{
    struct reflector *reflector = userdata;

    reflector->incomplete = true;
    (void) report(reflector, err);
}

/* --- list ----------------------------------------------------------------------------------- */

static void on_list_item(void *userdata, cJSON *json)
{
    keep_fresh(userdata, json);
}

/* The version that was asked for is no longer, or not yet, there. */
static bool is_version_error(const struct error *err)
{
    return kube_error_is_gone(err) || status_is_version_too_large(err);
}

static void on_sync_failed(struct reflector *reflector, unsigned pages, const struct error *err)
{
    bool again = is_version_error(err) && (!reflector->version_unavailable || pages > 0) &&
                 !reflector->full_list;

    store_free(TAKE_PTR(reflector->fresh));
    note_missing(reflector, err);
    if (is_version_error(err)) {
        reflector->version_unavailable = true;
        if (pages > 0)
            reflector->full_list = true;
    }
    if (!again) {
        back_off(reflector, true, 0, err);
        return;
    }
    if (report(reflector, err))
        synchronize(reflector);
}

static void on_list_done(void *userdata, const char *version, unsigned pages,
                         const struct error *err)
{
    struct reflector *reflector = userdata;

    reflector->list = NULL;
    if (err->code != 0)
        on_sync_failed(reflector, pages, err);
    else if (replace(reflector, version))
        start_watch(reflector);
}

static void start_list(struct reflector *reflector)
{
    const struct list_hooks hooks = {
        .item = on_list_item,
        .oversize = on_oversize,
        .done = on_list_done,
        .userdata = reflector,
    };
    struct kube_list_options options = {
        .field_selector = reflector->field_selector,
        .label_selector = reflector->label_selector,
        .metadata_only = reflector->metadata_only,
    };

    if (!reflector->version_unavailable)
        options.min_version = reflector->version ? reflector->version : "0";
    /* Pages of a version that is not the latest would go past the watch cache to etcd. */
    if (!reflector->full_list && (!options.min_version || strcmp(options.min_version, "0") == 0))
        options.page_size = reflector->page_size;
    reflector->phase = PHASE_LIST;
    reflector->list =
        list_start(reflector->client, reflector->resource, reflector->ns, &options, &hooks);
}

/* --- watch ---------------------------------------------------------------------------------- */

static void on_watch_opened(void *userdata)
{
    struct reflector *reflector = userdata;

    reflector->watch_opened = true;
    if (reflector->phase == PHASE_WATCH)
        established(reflector);
}

static bool ends_initial_events(const cJSON *json)
{
    const char *value = json_string(json, "metadata", "annotations", INITIAL_EVENTS_END);

    return value && strcmp(value, "true") == 0;
}

static void on_bookmark(struct reflector *reflector, cJSON *json)
{
    _cleanup_json_ cJSON *bookmark = json;
    const char *version = json_string(bookmark, "metadata", "resourceVersion");

    if (reflector->phase == PHASE_WATCH) {
        if (version)
            set_version(reflector, version);
    } else if (ends_initial_events(bookmark)) {
        loop_timer_stop(reflector->timer);
        reflector->phase = PHASE_WATCH;
        (void) replace(reflector, version ? version : "");
    }
}

static void on_initial_event(struct reflector *reflector, enum watch_event type, cJSON *json)
{
    struct kube_object *object;

    if (type != WATCH_DELETED) {
        keep_fresh(reflector, json);
        return;
    }
    object = reflector->hooks.prepare(reflector->hooks.userdata, json);
    if (object)
        store_remove(reflector->fresh, object);
    kube_object_unref(object);
}

static void on_watch_event(void *userdata, enum watch_event type, cJSON *json)
{
    struct reflector *reflector = userdata;
    struct kube_object *object;

    if (type == WATCH_BOOKMARK) {
        on_bookmark(reflector, json);
        return;
    }
    if (reflector->phase == PHASE_WATCH_LIST) {
        on_initial_event(reflector, type, json);
        return;
    }
    object = reflector->hooks.prepare(reflector->hooks.userdata, json);
    if (!object)
        return;
    set_version(reflector, kube_object_resource_version(object));
    enter(reflector);
    reflector->hooks.change(reflector->hooks.userdata, type, object);
    kube_object_unref(object);
    (void) leave(reflector);
}

/* What came is no watch, or no event: the server, or something before it, is at fault. */
static bool is_garbled(const struct error *err)
{
    return err->code == -EBADMSG;
}

/* The end of a WatchList before its list was complete. */
static void on_watch_list_done(struct reflector *reflector, uint64_t retry_after_ms,
                               const struct error *err)
{
    bool unknown = err->http_status == 400 || err->http_status == 422;

    loop_timer_stop(reflector->timer);
    if (unknown || err->code == 0) {
        /* Before 1.32, or switched off: a list serves as well. */
        reflector->no_watch_list = reflector->no_watch_list || unknown;
        reflector->list_next = true;
        store_free(TAKE_PTR(reflector->fresh));
        synchronize(reflector);
        return;
    }
    /* What broke off, or could not be understood, would do so again at the same place. */
    if (reflector->watch_opened || is_garbled(err))
        reflector->list_next = true;
    if (retry_after_ms > 0) {
        store_free(TAKE_PTR(reflector->fresh));
        back_off(reflector, true, retry_after_ms, err);
    } else {
        on_sync_failed(reflector, 0, err);
    }
}

static bool is_short(const struct reflector *reflector)
{
    return clock_monotonic_ms() - reflector->watch_started_at < SHORT_WATCH_MS;
}

/* It has got nowhere, and the next from the same version may get no further. */
static bool is_stuck(const struct reflector *reflector)
{
    return reflector->watch_opened && !reflector->watch_advanced && is_short(reflector);
}

/* The connection or the server has a bad time, but the version is good. */
static bool can_rewatch(const struct reflector *reflector, const struct error *err)
{
    if (kube_error_is_throttled(err))
        return true;
    /* What comes next cannot be had from a watch, perhaps for ever: a list goes past it. */
    if (is_garbled(err) || is_stuck(reflector))
        return false;
    return err->http_status == 0 || err->http_status >= 500;
}

static void on_watch_failed(struct reflector *reflector, uint64_t retry_after_ms,
                            const struct error *err)
{
    note_missing(reflector, err);
    if (kube_error_is_gone(err) && !is_short(reflector)) {
        if (report(reflector, err))
            synchronize(reflector);
        return;
    }
    back_off(reflector, !can_rewatch(reflector, err), retry_after_ms, err);
}

static void on_watch_ended(struct reflector *reflector)
{
    _cleanup_error_ struct error err = {0};

    if (!is_stuck(reflector)) {
        start_watch(reflector);
        return;
    }
    error_set_reason(&err, -EPIPE, KUBE_REASON_UNREACHABLE,
                     "a watch of %s ended within a second and without news",
                     reflector->resource->plural);
    back_off(reflector, true, 0, &err);
}

static void on_watch_done(void *userdata, const struct error *err, uint64_t retry_after_ms)
{
    struct reflector *reflector = userdata;

    reflector->watch = NULL;
    if (reflector->phase == PHASE_WATCH_LIST)
        on_watch_list_done(reflector, retry_after_ms, err);
    else if (err->code == 0)
        on_watch_ended(reflector);
    else
        on_watch_failed(reflector, retry_after_ms, err);
}

static void open_watch(struct reflector *reflector, const char *version, bool initial_events)
{
    static const struct watch_hooks hooks = {
        .opened = on_watch_opened,
        .event = on_watch_event,
        .oversize = on_oversize,
        .done = on_watch_done,
    };
    struct watch_hooks own_hooks = hooks;
    const struct watch_options options = {
        .resource = reflector->resource,
        .ns = reflector->ns,
        .field_selector = reflector->field_selector,
        .label_selector = reflector->label_selector,
        .resource_version = version,
        .send_initial_events = initial_events,
        .metadata_only = reflector->metadata_only,
        .timeout_s = WATCH_MIN_S + clock_random_below(WATCH_MAX_S - WATCH_MIN_S + 1),
    };

    own_hooks.userdata = reflector;
    reflector->watch_opened = false;
    reflector->watch_advanced = false;
    reflector->watch_started_at = clock_monotonic_ms();
    reflector->watch = watch_start(reflector->client, &options, &own_hooks);
}

static void start_watch(struct reflector *reflector)
{
    reflector->phase = PHASE_WATCH;
    open_watch(reflector, reflector->version, false);
}

static void start_watch_list(struct reflector *reflector)
{
    reflector->phase = PHASE_WATCH_LIST;
    loop_timer_start(reflector->timer, reflector->initial_events_ms);
    open_watch(reflector, reflector->version_unavailable ? NULL : reflector->version, true);
}

static void synchronize(struct reflector *reflector)
{
    assert(!reflector->list && !reflector->watch);
    store_free(reflector->fresh);
    reflector->fresh = store_new();
    reflector->incomplete = false;
    if (reflector->no_watch_list || reflector->list_next)
        start_list(reflector);
    else
        start_watch_list(reflector);
}

/* --- life ----------------------------------------------------------------------------------- */

static void on_timer(void *userdata)
{
    struct reflector *reflector = userdata;

    if (reflector->phase == PHASE_BACKOFF) {
        go_on(reflector);
        return;
    }
    /* The initial events do not come to an end: a server that ignores what it does not know. */
    assert(reflector->phase == PHASE_WATCH_LIST);
    watch_cancel(TAKE_PTR(reflector->watch));
    reflector->list_next = true;
    synchronize(reflector);
}

struct reflector *reflector_new(struct kube_client *client, const struct reflector_options *options,
                                const struct reflector_hooks *hooks)
{
    struct reflector *reflector = xcalloc(1, sizeof(*reflector));

    reflector->client = client;
    reflector->resource = options->resource;
    reflector->ns = xstrdup(options->ns);
    reflector->field_selector = xstrdup(options->field_selector);
    reflector->label_selector = xstrdup(options->label_selector);
    reflector->metadata_only = options->metadata_only;
    reflector->page_size = options->page_size ? options->page_size : PAGE_SIZE;
    reflector->initial_events_ms =
        options->initial_events_ms ? options->initial_events_ms : INITIAL_EVENTS_MS;
    reflector->hooks = *hooks;
    reflector->timer = loop_timer_new(kube_client_loop(client), on_timer, reflector);
    return reflector;
}

void reflector_free(struct reflector *reflector)
{
    if (!reflector)
        return;
    kube_request_cancel(TAKE_PTR(reflector->list));
    watch_cancel(TAKE_PTR(reflector->watch));
    loop_timer_stop(reflector->timer);
    reflector->freed = true;
    if (reflector->busy == 0)
        destroy(reflector);
}

void reflector_start(struct reflector *reflector)
{
    assert(reflector->phase == PHASE_IDLE);
    synchronize(reflector);
}

bool reflector_connected(const struct reflector *reflector)
{
    return reflector->connected;
}

bool reflector_resource_was_missing(const struct reflector *reflector)
{
    return reflector->was_missing;
}
