// SPDX-License-Identifier: Apache-2.0
#include "agent/denial_events.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"

#define MESSAGE_MAX 4096

struct denial_events {
    const struct denials *denials;
    struct profile_events *events;
    const struct records *records;
    struct loop_timer *timer;
    uint64_t due_ms; /* when the timer is active */
};

/* --- one Event --- */

char *denial_events_message(const struct denial *denial, const struct denial_who *who)
{
    const struct audit_access *access = &denial->access;
    uint64_t count = who ? who->count : denial->count;
    struct buf text = BUF_INIT(MESSAGE_MAX);

    if (who)
        buf_addf(&text, "container %s: ", who->container);
    audit_access_describe(access, &text);
    buf_addf(&text, " %s by %s",
             access->outcome == AUDIT_KILLED ? "denied and the process killed" : "denied",
             access->fields[AUDIT_FIELD_PROFILE]);
    if (count > 1)
        buf_addf(&text, ", %llu times", (unsigned long long) count);
    return buf_take(&text);
}

static void tell_pod(const struct denial_events *events, const struct denial *denial,
                     const struct denial_who *who)
{
    const struct kube_reference about = {
        .api_version = "v1",
        .kind = "Pod",
        .ns = who->ns,
        .name = who->pod,
        .uid = who->uid,
    };
    _cleanup_free_ char *message = denial_events_message(denial, who);

    kube_recorder_event(profile_events_recorder(events->events), &about, KUBE_EVENT_WARNING,
                        REASON_APPARMOR_DENIED, "%s", message);
}

static void tell_object(const struct denial_events *events, const struct denial *denial,
                        const struct denial_who *who)
{
    const struct record *record =
        denial->object ? records_get(events->records, denial->object) : NULL;
    struct denial unknown = *denial;

    unknown.count = who->count;
    _cleanup_free_ char *message = denial_events_message(&unknown, NULL);
    if (record)
        profile_events_denied(events->events, record, message);
}

/* --- when --- */

/* 0: there is nothing to tell. */
static uint64_t due_of(const struct denial_who *who, uint64_t now_ms)
{
    if (who->count == who->told_count)
        return 0;
    return who->told_ms ? who->told_ms + DENIAL_EVENTS_AGAIN_MS : now_ms;
}

static void tell(const struct denial_events *events, const struct denial *denial,
                 struct denial_who *who, uint64_t now_ms)
{
    /* Without its uid `kubectl describe` would not show it, and no pod is sure to be meant. */
    if (*who->uid)
        tell_pod(events, denial, who);
    else if (strcmp(who->pod, POD_NAME_UNKNOWN) == 0)
        tell_object(events, denial, who);
    who->told_count = who->count;
    who->told_ms = now_ms;
}

static void tell_by(struct denial_events *events, uint64_t due_ms)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (loop_timer_active(events->timer) && events->due_ms <= due_ms)
        return;
    events->due_ms = due_ms;
    loop_timer_start(events->timer, due_ms > now_ms ? due_ms - now_ms : 0);
}

static void on_timer(void *userdata)
{
    struct denial_events *events = userdata;
    uint64_t now_ms = clock_monotonic_ms(), next_ms = UINT64_MAX;
    struct denial *denial;
    size_t position = 0;

    while ((denial = denials_next(events->denials, &position))) {
        if (denial->access.outcome == AUDIT_ALLOWED)
            continue;
        for (size_t i = 0; i < denial->who_count; i++) {
            uint64_t due_ms = due_of(&denial->who[i], now_ms);

            if (due_ms == 0)
                continue;
            if (due_ms <= now_ms)
                tell(events, denial, &denial->who[i], now_ms);
            else if (due_ms < next_ms)
                next_ms = due_ms;
        }
    }
    if (next_ms != UINT64_MAX)
        tell_by(events, next_ms);
}

void denial_events_wake(struct denial_events *events)
{
    if (events->events)
        tell_by(events, clock_monotonic_ms() + DENIAL_EVENTS_GATHER_MS);
}

struct denial_events *denial_events_new(uv_loop_t *loop, const struct denials *denials,
                                        struct profile_events *events,
                                        const struct records *records)
{
    struct denial_events *made = xcalloc(1, sizeof(*made));

    made->denials = denials;
    made->events = events;
    made->records = records;
    made->timer = loop_timer_new(loop, on_timer, made);
    return made;
}

void denial_events_free(struct denial_events *events)
{
    if (!events)
        return;
    loop_timer_free(events->timer);
    free(events);
}
