// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/kube/decoder.h"
#include "lib/kube/path.h"
#include "lib/kube/request.h"
#include "lib/kube/status.h"

/* The server ends a watch at its timeoutSeconds; if it does not, we do. */
#define GRACE_MS 30000
/* For HTTP/1.1, whose connections cannot be asked; bookmarks come each minute as a rule. */
#define SILENCE_MS 150000
#define ERROR_BODY_MAX (64 * 1024)
#define METADATA_ONLY \
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

struct kube_watch {
    LIST_ENTRY(kube_watch) link;
    struct kube_client *client; /* NULL: gone */
    struct watch_hooks hooks;
    struct transfer *transfer;
    struct loop_timer *timer; /* reports `failure` when the watch cannot even be asked for */
    struct decoder decoder;
    struct decoder_events events;
    char *target;
    const char *accept;
    uint64_t timeout_ms, began_ms;
    struct error failure; /* an ERROR event, or what is wrong with the stream */
    struct buf error_body;
    bool reauthenticated;
    unsigned busy; /* a hook is on the stack */
    bool cancelled;
};

static void watch_free(struct kube_watch *watch)
{
    loop_timer_free(watch->timer);
    decoder_done(&watch->decoder);
    free(watch->target);
    error_done(&watch->failure);
    buf_done(&watch->error_body);
    free(watch);
}

void watch_orphan(struct kube_watch *watch)
{
    if (!watch->client)
        return;
    transfer_cancel(TAKE_PTR(watch->transfer));
    if (watch->timer)
        loop_timer_stop(watch->timer);
    LIST_REMOVE(watch, link);
    watch->client = NULL;
}

void watch_cancel(struct kube_watch *watch)
{
    if (!watch)
        return;
    watch_orphan(watch);
    watch->cancelled = true;
    if (watch->busy == 0)
        watch_free(watch);
}

/* --- events --------------------------------------------------------------------------------- */

static const char *const event_names[] = {
    [WATCH_ADDED] = "ADDED",
    [WATCH_MODIFIED] = "MODIFIED",
    [WATCH_DELETED] = "DELETED",
    [WATCH_BOOKMARK] = "BOOKMARK",
};

/* True when hooks must no longer be called. */
static bool is_over(const struct kube_watch *watch)
{
    return watch->cancelled || !watch->client;
}

static int on_error_event(struct kube_watch *watch, const cJSON *object)
{
    if (status_is(object))
        return status_decode_json(object, &watch->failure);
    return error_set(&watch->failure, -EBADMSG, "watch %s: an ERROR event without a Status",
                     watch->target);
}

static int dispatch(struct kube_watch *watch, const char *type, cJSON *object)
{
    for (size_t i = 0; i < ARRAY_SIZE(event_names); i++)
        if (strcmp(type, event_names[i]) == 0) {
            watch->hooks.event(watch->hooks.userdata, (enum watch_event) i, object);
            return is_over(watch) ? -ECANCELED : 0;
        }
    json_free(object);
    return error_set(&watch->failure, -EBADMSG, "watch %s: unknown event type \"%s\"",
                     watch->target, type);
}

static int on_value(void *userdata, const char *text, size_t len)
{
    struct kube_watch *watch = userdata;
    _cleanup_json_ cJSON *event = NULL;
    const char *type;
    cJSON *object;
    int r = json_parse(text, len, &event, &watch->failure);

    if (r < 0) {
        watch->failure.code = -EBADMSG;
        return error_wrap(&watch->failure, "watch %s: an event", watch->target);
    }
    type = json_string(event, "type");
    object = cJSON_GetObjectItemCaseSensitive(event, "object");
    if (!type || !cJSON_IsObject(object))
        return error_set(&watch->failure, -EBADMSG,
                         "watch %s: an event without \"type\" or \"object\"", watch->target);
    if (strcmp(type, "ERROR") == 0)
        return on_error_event(watch, object);
    return dispatch(watch, type, cJSON_DetachItemViaPointer(event, object));
}

static int on_oversize(void *userdata, const char *prefix, size_t prefix_len, size_t size)
{
    struct kube_watch *watch = userdata;
    _cleanup_error_ struct error err = {0};

    (void) prefix;
    (void) prefix_len;
    error_set_reason(&err, -EFBIG, "ObjectTooLarge",
                     "watch %s: an event of %zu bytes was left out, as it is larger than %zu bytes "
                     "or nested deeper than %d levels",
                     watch->target, size, watch->decoder.max, DECODER_DEPTH_MAX);
    watch->hooks.oversize(watch->hooks.userdata, &err);
    return is_over(watch) ? -ECANCELED : 0;
}

/* --- the exchange --------------------------------------------------------------------------- */

static void leave_hook(struct kube_watch *watch)
{
    if (--watch->busy == 0 && watch->cancelled)
        watch_free(watch);
}

static void on_opened(void *userdata, int http_status, const char *content_type)
{
    struct kube_watch *watch = userdata;

    if (watch->client)
        client_observe(watch->client, "WATCH", http_status, watch->began_ms);
    if (http_status != 200)
        return;
    if (strncasecmp(content_type, "application/json", 16) != 0) {
        error_set_reason(&watch->failure, -EBADMSG, KUBE_REASON_UNREACHABLE,
                         "watch %s: the answer's type is \"%s\", not application/json",
                         watch->target, content_type);
        return;
    }
    watch->busy++;
    watch->hooks.opened(watch->hooks.userdata);
    leave_hook(watch);
}

static int on_data(void *userdata, int http_status, const char *data, size_t len, struct error *err)
{
    struct kube_watch *watch = userdata;
    int r;

    if (http_status != 200) {
        r = buf_add(&watch->error_body, data, len);
        (void) r; /* what is too long for a Status is no Status */
        return 0;
    }
    if (watch->failure.code != 0)
        return watch->failure.code;
    watch->busy++;
    r = decoder_feed(&watch->decoder, data, len, err);
    leave_hook(watch);
    return r;
}

static void start(struct kube_watch *watch);

static bool reauthenticate(struct kube_watch *watch, const struct transfer_result *result)
{
    if (!result->new_credentials || watch->reauthenticated)
        return false;
    watch->reauthenticated = true;
    buf_reset(&watch->error_body);
    start(watch);
    return true;
}

/* What the watch found in the stream explains more than that the transfer was ended. */
static void explain(struct kube_watch *watch, const struct transfer_result *result,
                    struct error *ret)
{
    if (watch->failure.code != 0)
        error_move(ret, &watch->failure);
    else if (result->err->code != 0)
        error_copy(ret, result->err);
    else if (result->http_status != 200)
        status_decode(result->http_status, buf_string(&watch->error_body), watch->error_body.len,
                      ret);
    else if (decoder_finish(&watch->decoder, ret) < 0)
        error_wrap(ret, "watch %s", watch->target);
}

static void report(struct kube_watch *watch, const struct error *err, uint64_t retry_after_ms)
{
    struct watch_hooks hooks = watch->hooks;

    watch_cancel(watch);
    hooks.done(hooks.userdata, err, retry_after_ms);
}

static void on_done(void *userdata, const struct transfer_result *result)
{
    struct kube_watch *watch = userdata;
    _cleanup_error_ struct error err = {0};

    watch->transfer = NULL;
    if (reauthenticate(watch, result))
        return;
    explain(watch, result, &err);
    report(watch, &err, result->retry_after_ms);
}

static void on_cannot_start(void *userdata)
{
    struct kube_watch *watch = userdata;
    _cleanup_error_ struct error err = {0};

    error_move(&err, &watch->failure);
    report(watch, &err, 0);
}

static void start(struct kube_watch *watch)
{
    const struct transfer_options options = {
        .method = "GET",
        .target = watch->target,
        .accept = watch->accept,
        .timeout_ms = watch->timeout_ms,
        .silence_ms = SILENCE_MS,
        .renewable = true,
        .opened = on_opened,
        .data = on_data,
        .done = on_done,
        .userdata = watch,
    };

    watch->began_ms = clock_monotonic_ms();
    watch->transfer = transfer_start(watch->client->transport, &options);
}

static int make_target(const struct watch_options *options, char **ret, struct error *err)
{
    _cleanup_buf_ struct buf target = BUF_INIT(PATH_MAX_BYTES);
    int r = path_of(&target, options->resource, options->ns, NULL, NULL, err);

    if (r < 0)
        return r;
    path_add_query(&target, "watch", "true");
    path_add_query(&target, "allowWatchBookmarks", "true");
    path_add_query(&target, "fieldSelector", options->field_selector);
    path_add_query(&target, "labelSelector", options->label_selector);
    path_add_query(&target, "resourceVersion", options->resource_version);
    if (options->send_initial_events) {
        path_add_query(&target, "sendInitialEvents", "true");
        path_add_query(&target, "resourceVersionMatch", "NotOlderThan");
    }
    path_add_query_uint(&target, "timeoutSeconds", options->timeout_s);
    if (target.overflow)
        return error_set(err, -EFBIG, "the selectors of a watch of %s are too long",
                         options->resource->plural);
    *ret = buf_take(&target);
    return 0;
}

struct kube_watch *watch_start(struct kube_client *client, const struct watch_options *options,
                               const struct watch_hooks *hooks)
{
    struct kube_watch *watch = xcalloc(1, sizeof(*watch));
    int r;

    watch->client = client;
    watch->hooks = *hooks;
    watch->accept = options->metadata_only ? METADATA_ONLY : "application/json";
    watch->timeout_ms = options->timeout_s * 1000 + GRACE_MS;
    watch->events = (struct decoder_events){
        .value = on_value,
        .oversize = on_oversize,
        .userdata = watch,
    };
    buf_init(&watch->error_body, ERROR_BODY_MAX);
    decoder_init(&watch->decoder, DECODER_STREAM, client->response_max, &watch->events);
    LIST_INSERT_HEAD(&client->watches, watch, link);
    r = make_target(options, &watch->target, &watch->failure);
    if (r < 0) {
        watch->timer = loop_timer_new(client->loop, on_cannot_start, watch);
        loop_timer_start(watch->timer, 0);
    } else {
        start(watch);
    }
    return watch;
}
