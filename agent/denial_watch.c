// SPDX-License-Identifier: Apache-2.0
#include "agent/denial_watch.h"

#include <errno.h>
#include <string.h>

#include "agent/agent_metrics.h"
#include "agent/denial_events.h"
#include "agent/denial_log.h"
#include "agent/denial_status.h"
#include "agent/denials.h"
#include "agent/processes.h"
#include "agent/violation_series.h"
#include "lib/audit/record.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"

/* Records that wait for the name of their container: the kubelet tells it some seconds after the
 * container has begun, on a busy node half a minute, which is when most denials are. */
#define WAITING_MAX 256
#define WAITING_MS 60000
/* AppArmor's own numbers (linux/audit.h), which some kernels of distributions have used. */
#define AUDIT_TYPE_APPARMOR 1500
#define AUDIT_TYPE_APPARMOR_LAST 1507

struct waiting {
    struct waiting *next;
    struct cgroup_place place;
    uint64_t since_ms;
    size_t len;
    char text[];
};

struct denial_watch {
    struct denial_watch_options options;
    struct audit_source *source;
    struct error error; /* of the source */
    bool heard;         /* there was a record */
    struct processes *processes;
    struct pod_index *pods; /* NULL without a cluster */
    struct denials *denials;
    struct denial_events *events;
    struct denial_log log;
    struct violation_series *series;
    struct audit_record record;
    struct waiting *waiting, **waiting_end;
    size_t waiting_count;
    struct loop_timer *waiting_timer, *status_timer, *silence_timer;
    cJSON *status;
    uint64_t status_ms; /* when it was last made anew because of denials; 0: never */
    uint64_t status_due_ms;
};

/* --- whose policy --- */

/* Children, hats and null profiles are "name//…". */
static const char *object_of(void *userdata, const char *profile)
{
    const struct denial_watch *watch = userdata;
    _cleanup_free_ char *name = xstrdup(profile);

    for (;;) {
        const struct record *record = records_holder(watch->options.records, name, NULL);
        char *end = memmem(name, strlen(name), "//", 2);

        if (record)
            return record->name;
        if (!end)
            return NULL;
        /* The last of them. */
        for (char *next; (next = memmem(end + 1, strlen(end + 1), "//", 2));)
            end = next;
        *end = '\0';
    }
}

static const char *revision_of(void *userdata, const char *object)
{
    const struct denial_watch *watch = userdata;
    const struct record *record = records_get(watch->options.records, object);

    return record && *record->state.revision ? record->state.revision : NULL;
}

/* --- the status --- */

static void make_status(struct denial_watch *watch)
{
    const struct error *err = &watch->error;
    cJSON *audit;

    cJSON_Delete(watch->status->child);
    watch->status->child = NULL;
    audit = json_add_object(watch->status, "audit");
    json_add_string(audit, "source", audit_source_kind_name(audit_source_kind(watch->source)));
    if (err->code) {
        json_add_string(audit, "reason", error_reason(err, REASON_AUDIT_UNAVAILABLE));
        json_add_string(audit, "message", error_message(err));
    }
    denial_status_add(watch->denials, watch->status);
}

static void on_status_due(void *userdata)
{
    struct denial_watch *watch = userdata;

    watch->status_ms = clock_monotonic_ms();
    (void) denials_forget_outdated(watch->denials);
    make_status(watch);
    watch->options.changed(watch->options.userdata);
}

static void tell_status(struct denial_watch *watch, bool new)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t interval_ms = new ? DENIAL_WATCH_INTERVAL_MS : DENIAL_WATCH_COUNTS_MS;
    uint64_t due_ms = now_ms + DENIAL_WATCH_NEW_MS;

    if (watch->status_ms && watch->status_ms + interval_ms > due_ms)
        due_ms = watch->status_ms + interval_ms;
    if (loop_timer_active(watch->status_timer) && watch->status_due_ms <= due_ms)
        return;
    watch->status_due_ms = due_ms;
    loop_timer_start(watch->status_timer, due_ms - now_ms);
}

const cJSON *denial_watch_status(struct denial_watch *watch)
{
    if (denials_forget_outdated(watch->denials))
        make_status(watch);
    return watch->status;
}

void denial_watch_adopt(struct denial_watch *watch, const cJSON *status)
{
    denial_status_adopt(watch->denials, status);
    make_status(watch);
}

const struct error *denial_watch_error(const struct denial_watch *watch)
{
    return &watch->error;
}

/* --- one denial, and whose it is --- */

static void count_metric(const struct denial_watch *watch, const struct pod_names *who)
{
    const struct audit_access *access = &watch->record.access;
    /* Complain makes a profile of its own for each program. */
    const char *profile = access->fields[AUDIT_FIELD_PROFILE], *end = strstr(profile, "//null-");
    _cleanup_free_ char *name = end ? xstrndup(profile, (size_t) (end - profile)) : NULL;
    const char *values[] = {
        name ? name : profile,
        access->fields[AUDIT_FIELD_OPERATION],
        access->outcome == AUDIT_ALLOWED ? "allowed" : "denied",
        who ? who->ns : "",
        who ? who->pod : "",
        who ? who->container : "",
    };

    violation_series_add(watch->series, values);
}

/* `who` is NULL for a process that is in no pod. */
static void tell(struct denial_watch *watch, const struct pod_names *who)
{
    const struct denial *denial;
    bool new;

    count_metric(watch, who);
    denial = denials_add(watch->denials, &watch->record, who, &new);
    if (!denial)
        return;
    if (new)
        denial_log_write(&watch->log, watch->options.node_name, denial, &watch->record, who);
    if (denial->access.outcome != AUDIT_ALLOWED)
        denial_events_wake(watch->events);
    tell_status(watch, new);
}

/* Everybody with CAP_AUDIT_WRITE, which containers have by default, can send such a record and say
 * anything: only the node's own programs are listened to. */
static bool is_trusted(struct denial_watch *watch, unsigned type)
{
    struct cgroup_place place;

    if (type != AUDIT_TYPE_USER_AVC && !watch->record.sender)
        return true;
    return processes_find(watch->processes, watch->record.sender, watch->record.time_ms, &place) ==
           PROCESS_OUTSIDE;
}

/* --- waiting for the kubelet's word --- */

static void set_waiting_timer(const struct denial_watch *watch)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (!watch->waiting)
        loop_timer_stop(watch->waiting_timer);
    else if (!loop_timer_active(watch->waiting_timer))
        loop_timer_start(watch->waiting_timer, watch->waiting->since_ms + WAITING_MS > now_ms
                                                   ? watch->waiting->since_ms + WAITING_MS - now_ms
                                                   : 0);
}

static bool let_wait(struct denial_watch *watch, const struct cgroup_place *place, const char *text,
                     size_t len)
{
    struct waiting *waiting;

    if (watch->waiting_count == WAITING_MAX || len > AUDIT_RECORD_MAX)
        return false;
    waiting = xmalloc(sizeof(*waiting) + len);
    *waiting = (struct waiting){.place = *place, .since_ms = clock_monotonic_ms(), .len = len};
    memcpy(waiting->text, text, len);
    *watch->waiting_end = waiting;
    watch->waiting_end = &waiting->next;
    watch->waiting_count++;
    set_waiting_timer(watch);
    return true;
}

/* Those whose container is known now, and those that have waited for long enough. */
static void look_at_waiting(struct denial_watch *watch)
{
    uint64_t now_ms = clock_monotonic_ms();
    struct waiting **place = &watch->waiting, *waiting;

    while ((waiting = *place)) {
        struct pod_names names;

        if (pod_index_find(watch->pods, &waiting->place, &names) != POD_CONTAINER_KNOWN &&
            now_ms - waiting->since_ms < WAITING_MS) {
            place = &waiting->next;
            continue;
        }
        *place = waiting->next;
        watch->waiting_count--;
        if (audit_record_parse(waiting->text, waiting->len, &watch->record) == AUDIT_DENIAL)
            tell(watch, &names);
        free(waiting);
    }
    watch->waiting_end = place;
    set_waiting_timer(watch);
}

static void on_waiting_due(void *userdata)
{
    look_at_waiting(userdata);
}

void denial_watch_pods_changed(struct denial_watch *watch)
{
    if (!watch->pods)
        return;
    pod_index_changed(watch->pods);
    look_at_waiting(watch);
}

/* --- whether there are records at all --- */

/* The kernel gives them to its first network namespace, and says nothing to sockets of others. */
static void on_silence(void *userdata)
{
    struct denial_watch *watch = userdata;

    if (watch->heard)
        return;
    (void) error_set_reason(&watch->error, -ENODATA, REASON_AUDIT_SILENT,
                            "policy was loaded, and no audit record tells of it: the kernel gives "
                            "records to the node's own network alone. Give the agent's pod "
                            "hostNetwork: true");
    metrics_set(watch->options.metrics, METRIC_AUDIT_AVAILABLE, 0, NULL);
    log_warn("denials are not told of on this node", "node", watch->options.node_name, "reason",
             REASON_AUDIT_SILENT, "err", error_message(&watch->error));
    make_status(watch);
    watch->options.changed(watch->options.userdata);
}

void denial_watch_policy_changed(struct denial_watch *watch)
{
    if (!watch->heard && !watch->error.code && !loop_timer_active(watch->silence_timer))
        loop_timer_start(watch->silence_timer, DENIAL_WATCH_SILENCE_MS);
}

static void hear(struct denial_watch *watch)
{
    metrics_add(watch->options.metrics, METRIC_AUDIT_RECORDS, 1, NULL);
    if (!watch->heard && strcmp(error_reason(&watch->error, ""), REASON_AUDIT_SILENT) == 0) {
        error_done(&watch->error);
        metrics_set(watch->options.metrics, METRIC_AUDIT_AVAILABLE, 1, NULL);
        tell_status(watch, true);
    }
    watch->heard = true;
}

/* --- one record --- */

static void attribute(struct denial_watch *watch, const char *text, size_t len)
{
    static const struct pod_names unknown = {POD_NAME_UNKNOWN, POD_NAME_UNKNOWN, "",
                                             POD_NAME_UNKNOWN};
    const struct audit_record *record = &watch->record;
    struct pod_names names = unknown;
    struct cgroup_place place;

    switch (processes_find(watch->processes, record->pid, record->time_ms, &place)) {
    case PROCESS_OUTSIDE:
        tell(watch, NULL);
        return;
    case PROCESS_IN_POD:
        if (watch->pods && pod_index_find(watch->pods, &place, &names) != POD_CONTAINER_KNOWN &&
            let_wait(watch, &place, text, len))
            return;
        break;
    default:
        break;
    }
    tell(watch, &names);
}

static bool is_of_interest(unsigned type)
{
    return type == 0 || type == AUDIT_TYPE_AVC || type == AUDIT_TYPE_USER_AVC ||
           (type >= AUDIT_TYPE_APPARMOR && type <= AUDIT_TYPE_APPARMOR_LAST);
}

void denial_watch_record(struct denial_watch *watch, unsigned type, const char *text, size_t len)
{
    enum audit_verdict verdict;

    if (!is_of_interest(type))
        return;
    verdict = audit_record_parse(text, len, &watch->record);
    if (verdict == AUDIT_FOREIGN)
        return;
    hear(watch);
    if (verdict == AUDIT_MALFORMED || (verdict == AUDIT_DENIAL && !is_trusted(watch, type)))
        metrics_add(watch->options.metrics, METRIC_AUDIT_UNPARSED, 1, NULL);
    else if (verdict == AUDIT_DENIAL)
        attribute(watch, text, len);
}

size_t denial_watch_size(const struct denial_watch *watch)
{
    return denials_size(watch->denials);
}

static void on_record(void *userdata, unsigned type, const char *text, size_t len)
{
    denial_watch_record(userdata, type, text, len);
}

/* --- the module --- */

static void open_source(struct denial_watch *watch)
{
    static const double available[] = {
        [AUDIT_SOURCE_NONE] = 0, [AUDIT_SOURCE_LOG] = 0.5, [AUDIT_SOURCE_NETLINK] = 1};
    const struct audit_source_options options = {
        .loop = watch->options.loop,
        .metrics = watch->options.metrics,
        .record = on_record,
        .userdata = watch,
    };
    enum audit_source_kind kind;

    watch->source = audit_source_new(&options, &watch->error);
    kind = audit_source_kind(watch->source);
    metrics_set(watch->options.metrics, METRIC_AUDIT_AVAILABLE, available[kind], NULL);
    if (watch->error.code)
        log_warn(kind == AUDIT_SOURCE_NONE ? "denials are not told of on this node"
                                           : "denials are read from the kernel's log, which drops "
                                             "some of many",
                 "node", watch->options.node_name, "reason", error_reason(&watch->error, ""), "err",
                 error_message(&watch->error));
}

struct denial_watch *denial_watch_new(const struct denial_watch_options *options)
{
    struct denial_watch *watch = xcalloc(1, sizeof(*watch));
    const struct denials_options denials = {.object_of = object_of,
                                            .revision_of = revision_of,
                                            .userdata = watch};

    watch->options = *options;
    watch->waiting_end = &watch->waiting;
    watch->processes = processes_new(options->proc);
    watch->pods = options->pods ? pod_index_new(options->pods) : NULL;
    watch->denials = denials_new(&denials);
    watch->series = violation_series_new(options->metrics);
    watch->events =
        denial_events_new(options->loop, watch->denials, options->events, options->records);
    watch->waiting_timer = loop_timer_new(options->loop, on_waiting_due, watch);
    watch->status_timer = loop_timer_new(options->loop, on_status_due, watch);
    watch->silence_timer = loop_timer_new(options->loop, on_silence, watch);
    watch->status = cJSON_CreateObject();
    metrics_add(options->metrics, METRIC_AUDIT_RECORDS, 0, NULL);
    metrics_add(options->metrics, METRIC_AUDIT_LOST, 0, NULL);
    metrics_add(options->metrics, METRIC_AUDIT_UNPARSED, 0, NULL);
    open_source(watch);
    make_status(watch);
    return watch;
}

void denial_watch_free(struct denial_watch *watch)
{
    if (!watch)
        return;
    audit_source_free(watch->source);
    loop_timer_free(watch->waiting_timer);
    loop_timer_free(watch->status_timer);
    loop_timer_free(watch->silence_timer);
    denial_events_free(watch->events);
    while (watch->waiting) {
        struct waiting *next = watch->waiting->next;

        free(watch->waiting);
        watch->waiting = next;
    }
    denials_free(watch->denials);
    violation_series_free(watch->series);
    pod_index_free(watch->pods);
    processes_free(watch->processes);
    audit_record_done(&watch->record);
    error_done(&watch->error);
    cJSON_Delete(watch->status);
    free(watch);
}
