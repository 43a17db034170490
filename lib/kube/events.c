// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/events.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"
#include "lib/base/map.h"
#include "lib/base/utf8.h"
#include "lib/kube/backoff.h"
#include "lib/kube/event_correlator.h"

#define QUEUE_MAX 1000
#define BURST 25
#define REFILL_MS (5 * 60 * 1000)
#define MESSAGE_MAX 1024
#define REASON_MAX 128
#define NAME_MAX_BYTES 253
#define ATTEMPTS_MAX 12
#define COMBINED "(combined from similar events): "

/* One Event on the server, and what it is still to be told. */
struct series {
    TAILQ_ENTRY(series) link;
    char *name;
    char object[DIGEST_HEX_SIZE];
    bool exists;
    uint64_t count; /* occurrences */
    int64_t first_ms, last_ms;
    unsigned attempts;
    bool combined;
    cJSON *event; /* while it waits to be written, else NULL */
};

struct kube_recorder {
    struct kube_client *client;
    struct kube_recorder_options options; /* the strings are its own */
    struct event_correlator *correlator;
    struct map *series; /* owns */
    TAILQ_HEAD(, series) queue;
    size_t waiting; /* queued, and the one that is being written */

    struct series *active;
    uint64_t active_count;
    struct kube_request *request;
    struct backoff backoff;
    struct loop_timer *retry;
    struct kube_recorder_stats stats;

    struct loop_timer *flush;
    void (*flushed)(void *userdata, uint64_t left);
    void *flushed_userdata;
};

static void pump(struct kube_recorder *recorder);

/* --- the text of an Event ------------------------------------------------------------------------
 */

/* What may be a name in DNS, of which the server makes sure that Events have one. */
static bool is_dns_name(const char *name)
{
    return name[0] && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.")] == '\0' &&
           name[0] != '-' && name[0] != '.' && !strstr(name, "..") && !strstr(name, ".-") &&
           !strstr(name, "-.") && !strchr("-.", name[strlen(name) - 1]);
}

static char *make_name(const char *object)
{
    const char *stem =
        is_dns_name(object) && strlen(object) + 17 <= NAME_MAX_BYTES ? object : "event";

    return xasprintf("%s.%016" PRIx64, stem, clock_random());
}

/* At most `max` bytes, of which what is no UTF-8 becomes '?'. */
static char *clean_text(const char *text, size_t max)
{
    _cleanup_buf_ struct buf out = BUF_INIT(max + 1);
    size_t left = strlen(text);

    while (left > 0) {
        size_t len = utf8_sequence(text, left), skip = len ? len : 1;

        if (out.len + skip > max)
            break;
        if (buf_add(&out, len ? text : "?", skip) < 0)
            break;
        text += skip;
        left -= skip;
    }
    return out.len ? buf_take(&out) : xstrdup("");
}

static void add_text(cJSON *object, const char *key, const char *value)
{
    if (value && value[0])
        json_add_string(object, key, value);
}

static const char *namespace_of(const struct kube_reference *about)
{
    return about->ns && about->ns[0] ? about->ns : "default";
}

static cJSON *make_event(const struct kube_recorder *recorder, const struct series *series,
                         const struct kube_reference *about, enum kube_event_type type,
                         const char *reason, const char *message)
{
    cJSON *event = cJSON_CreateObject(), *metadata, *involved, *source;

    json_add_string(event, "apiVersion", "v1");
    json_add_string(event, "kind", "Event");
    metadata = json_add_object(event, "metadata");
    json_add_string(metadata, "namespace", namespace_of(about));
    json_add_string(metadata, "name", series->name);
    involved = json_add_object(event, "involvedObject");
    add_text(involved, "apiVersion", about->api_version);
    add_text(involved, "kind", about->kind);
    add_text(involved, "namespace", about->ns);
    add_text(involved, "name", about->name);
    add_text(involved, "uid", about->uid);
    add_text(involved, "resourceVersion", about->resource_version);
    json_add_string(event, "type", type == KUBE_EVENT_WARNING ? "Warning" : "Normal");
    json_add_string(event, "reason", reason);
    json_add_string(event, "message", message);
    source = json_add_object(event, "source");
    add_text(source, "component", recorder->options.component);
    add_text(source, "host", recorder->options.host);
    add_text(event, "reportingComponent", recorder->options.component);
    add_text(event, "reportingInstance", recorder->options.instance);
    return event;
}

static void set_occurrences(cJSON *into, const struct series *series)
{
    char time[CLOCK_TIME_SIZE];
    uint64_t count = series->count < INT32_MAX ? series->count : INT32_MAX;

    cJSON_DeleteItemFromObjectCaseSensitive(into, "count");
    cJSON_DeleteItemFromObjectCaseSensitive(into, "lastTimestamp");
    json_add_int(into, "count", (int64_t) count);
    json_add_string(into, "lastTimestamp", clock_format(series->last_ms, time));
}

/* --- series
 * ----------------------------------------------------------------------------------------
 */

static void series_free(void *value)
{
    struct series *series = value;

    if (!series)
        return;
    free(series->name);
    json_free(series->event);
    free(series);
}

/* As event_memory_trim(), but those that wait must stay. */
static void forget_some(struct kube_recorder *recorder)
{
    size_t position = 0, max = EVENT_MEMORY_MAX + recorder->waiting;
    const char *key;
    void *value;

    while (map_size(recorder->series) > max &&
           map_next(recorder->series, &position, &key, &value)) {
        struct series *series = value;

        if (!series->event)
            map_remove(recorder->series, key);
    }
}

static struct series *get_series(struct kube_recorder *recorder, const struct event_key *key,
                                 const struct kube_reference *about)
{
    struct series *series = map_take(recorder->series, key->series);

    if (!series) {
        series = xcalloc(1, sizeof(*series));
        series->name = make_name(about->name);
        series->first_ms = clock_realtime_ms();
        series->combined = key->combined;
        memcpy(series->object, key->object, sizeof(series->object));
    }
    map_set(recorder->series, key->series, series);
    return series;
}

static void enqueue(struct kube_recorder *recorder, struct series *series)
{
    series->attempts = 0;
    TAILQ_INSERT_TAIL(&recorder->queue, series, link);
    recorder->waiting++;
}

/* What has no place is only counted: the next that has one tells of it. */
static bool may_enqueue(struct kube_recorder *recorder, const char *object)
{
    if (recorder->waiting >= recorder->options.queue_max) {
        recorder->stats.dropped++;
        return false;
    }
    if (!event_correlator_allow(recorder->correlator, object)) {
        recorder->stats.limited++;
        return false;
    }
    return true;
}

/* --- flushing
 * ---------------------------------------------------------------------------------------
 */

static void on_flushed(void *userdata)
{
    struct kube_recorder *recorder = userdata;
    void (*done)(void *userdata, uint64_t left) = recorder->flushed;

    recorder->flushed = NULL;
    loop_timer_stop(recorder->flush);
    if (done)
        done(recorder->flushed_userdata, recorder->waiting);
}

/* --- writing
 * ----------------------------------------------------------------------------------------
 */

/* The active series is no longer that. It stays in the map, and waits again when it has had
 * occurrences since the write began. */
static void settle(struct kube_recorder *recorder, struct series *series)
{
    recorder->active = NULL;
    recorder->waiting--;
    if (series->exists && series->count > recorder->active_count &&
        may_enqueue(recorder, series->object))
        enqueue(recorder, series);
    else
        json_free(TAKE_PTR(series->event));
    if (recorder->waiting == 0 && recorder->flushed)
        loop_timer_start(recorder->flush, 0);
    pump(recorder);
}

static void written(struct kube_recorder *recorder, struct series *series)
{
    if (series->exists)
        recorder->stats.updated++;
    else
        recorder->stats.created++;
    series->exists = true;
    backoff_healthy(&recorder->backoff);
    settle(recorder, series);
}

static void give_up(struct kube_recorder *recorder, struct series *series, const struct error *err)
{
    _cleanup_error_ struct error failure = {0};
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(series->event, "metadata");

    recorder->stats.failed++;
    error_copy(&failure, err);
    error_wrap(&failure, "Event %s/%s", json_string(metadata, "namespace"), series->name);
    settle(recorder, series);
    if (recorder->options.failed)
        recorder->options.failed(recorder->options.userdata, &failure);
}

static bool is_passing(const struct error *err)
{
    return kube_error_is_transport(err) || err->http_status == 429 || err->http_status >= 500 ||
           kube_error_is_unauthorized(err);
}

static void again(struct kube_recorder *recorder, struct series *series)
{
    TAILQ_INSERT_HEAD(&recorder->queue, series, link);
    recorder->active = NULL;
    loop_timer_start(recorder->retry, backoff_next(&recorder->backoff));
}

static void on_written(void *userdata, struct kube_object *object, const struct error *err)
{
    struct kube_recorder *recorder = userdata;
    struct series *series = recorder->active;
    /* The answer to an earlier attempt was lost, but not the Event. */
    bool is_there = kube_error_is_already_exists(err) && series->attempts > 1;

    (void) object;
    recorder->request = NULL;
    if (err->code == 0 || is_there) {
        written(recorder, series);
    } else if (series->exists && kube_error_is_not_found(err)) {
        /* Its time was over on the server. */
        series->exists = false;
        TAILQ_INSERT_HEAD(&recorder->queue, series, link);
        recorder->active = NULL;
        pump(recorder);
    } else if (is_passing(err) && series->attempts < ATTEMPTS_MAX) {
        again(recorder, series);
    } else {
        give_up(recorder, series, err);
    }
}

static cJSON *make_patch(const struct series *series)
{
    cJSON *patch = cJSON_CreateObject();

    set_occurrences(patch, series);
    if (series->combined)
        json_add_string(patch, "message", json_string(series->event, "message"));
    return patch;
}

static void write_series(struct kube_recorder *recorder, struct series *series)
{
    const char *ns = json_string(series->event, "metadata", "namespace");
    _cleanup_json_ cJSON *patch = NULL;
    char first[CLOCK_TIME_SIZE];

    recorder->active = series;
    recorder->active_count = series->count;
    series->attempts++;
    if (series->exists) {
        patch = make_patch(series);
        recorder->request = kube_patch(recorder->client, &kube_events, ns, series->name, NULL,
                                       KUBE_PATCH_MERGE, patch, NULL, on_written, recorder);
        return;
    }
    set_occurrences(series->event, series);
    if (!json_get(series->event, "firstTimestamp"))
        json_add_string(series->event, "firstTimestamp", clock_format(series->first_ms, first));
    recorder->request =
        kube_create(recorder->client, &kube_events, ns, series->event, NULL, on_written, recorder);
}

static void pump(struct kube_recorder *recorder)
{
    struct series *series = TAILQ_FIRST(&recorder->queue);

    if (!series || recorder->active || loop_timer_active(recorder->retry))
        return;
    TAILQ_REMOVE(&recorder->queue, series, link);
    write_series(recorder, series);
}

static void on_retry(void *userdata)
{
    pump(userdata);
}

/* --- recording
 * ---------------------------------------------------------------------------------------
 */

static void record(struct kube_recorder *recorder, const struct kube_reference *about,
                   enum kube_event_type type, const char *reason, const char *message)
{
    struct event_key key;
    struct series *series;
    _cleanup_free_ char *text = NULL;

    event_correlate(recorder->correlator, about, type, reason, message, &key);
    series = get_series(recorder, &key, about);
    series->count++;
    series->last_ms = clock_realtime_ms();
    text = xasprintf("%s%s", key.combined ? COMBINED : "", message);
    if (series->event) {
        if (key.combined)
            cJSON_ReplaceItemInObjectCaseSensitive(series->event, "message",
                                                   cJSON_CreateString(text));
        return;
    }
    if (may_enqueue(recorder, key.object)) {
        series->event = make_event(recorder, series, about, type, reason, text);
        enqueue(recorder, series);
        pump(recorder);
    }
    forget_some(recorder);
}

void kube_recorder_event(struct kube_recorder *recorder, const struct kube_reference *about,
                         enum kube_event_type type, const char *reason, const char *format, ...)
{
    _cleanup_free_ char *whole = NULL, *message = NULL, *word = NULL;
    va_list args;

    if (!recorder)
        return;
    va_start(args, format);
    whole = xvasprintf(format, args);
    va_end(args);
    /* Room for what is put before it when it is one of many. */
    message = clean_text(whole, MESSAGE_MAX - strlen(COMBINED));
    word = clean_text(reason, REASON_MAX);
    recorder->stats.recorded++;
    record(recorder, about, type, word, message);
}

struct kube_reference kube_reference_to(const struct kube_object *object,
                                        const struct kube_resource *resource,
                                        char api_version[static KUBE_API_VERSION_MAX])
{
    snprintf(api_version, KUBE_API_VERSION_MAX, "%s%s%s", resource->group,
             resource->group[0] ? "/" : "", resource->version);
    return (struct kube_reference){
        .api_version = api_version,
        .kind = resource->kind,
        .ns = kube_object_namespace(object),
        .name = kube_object_name(object),
        .uid = kube_object_uid(object),
        .resource_version = kube_object_resource_version(object),
    };
}

/* --- life
 * -----------------------------------------------------------------------------------------
 */

static char *host_name(void)
{
    char host[HOST_NAME_MAX + 1] = "";

    if (gethostname(host, sizeof(host) - 1) < 0)
        host[0] = '\0';
    return xstrdup(host);
}

struct kube_recorder *kube_recorder_new(struct kube_client *client,
                                        const struct kube_recorder_options *given)
{
    struct kube_recorder *recorder = xcalloc(1, sizeof(*recorder));
    struct kube_recorder_options *options = &recorder->options;
    uv_loop_t *loop = kube_client_loop(client);

    *options = *given;
    options->component = xstrdup(given->component);
    options->instance = given->instance ? xstrdup(given->instance) : host_name();
    options->host = xstrdup(given->host);
    if (!options->queue_max)
        options->queue_max = QUEUE_MAX;
    if (!options->burst)
        options->burst = BURST;
    if (!options->refill_ms)
        options->refill_ms = REFILL_MS;
    recorder->client = client;
    recorder->correlator = event_correlator_new(options->burst, options->refill_ms);
    recorder->series = map_new(series_free);
    TAILQ_INIT(&recorder->queue);
    recorder->retry = loop_timer_new(loop, on_retry, recorder);
    recorder->flush = loop_timer_new(loop, on_flushed, recorder);
    return recorder;
}

void kube_recorder_free(struct kube_recorder *recorder)
{
    if (!recorder)
        return;
    kube_request_cancel(recorder->request);
    loop_timer_free(recorder->retry);
    loop_timer_free(recorder->flush);
    event_correlator_free(recorder->correlator);
    map_free(recorder->series);
    free((char *) recorder->options.component);
    free((char *) recorder->options.instance);
    free((char *) recorder->options.host);
    free(recorder);
}

struct kube_recorder_stats kube_recorder_stats(const struct kube_recorder *recorder)
{
    struct kube_recorder_stats stats = recorder->stats;

    stats.waiting = recorder->waiting;
    return stats;
}

void kube_recorder_flush(struct kube_recorder *recorder, uint64_t deadline_ms,
                         void (*done)(void *userdata, uint64_t left), void *userdata)
{
    assert(!recorder->flushed);
    recorder->flushed = done;
    recorder->flushed_userdata = userdata;
    loop_timer_start(recorder->flush, recorder->waiting ? deadline_ms : 0);
    /* No time to be patient. */
    if (loop_timer_active(recorder->retry))
        loop_timer_start(recorder->retry, 0);
}
