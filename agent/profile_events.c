// SPDX-License-Identifier: Apache-2.0
#include "agent/profile_events.h"

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/policy/profile.h"

struct profile_events {
    struct kube_recorder *recorder;
    char *node;
};

static void on_failed(_unused_ void *userdata, const struct error *err)
{
    log_warn("an Event was not written", "err", error_message(err));
}

struct profile_events *profile_events_new(struct kube_client *client, const char *node)
{
    struct profile_events *events = xcalloc(1, sizeof(*events));
    struct kube_recorder_options options = {
        .component = "apparmor-agent",
        .instance = node,
        .host = node,
        .failed = on_failed,
    };

    events->node = xstrdup(node);
    events->recorder = kube_recorder_new(client, &options);
    return events;
}

void profile_events_free(struct profile_events *events)
{
    if (!events)
        return;
    kube_recorder_free(events->recorder);
    free(events->node);
    free(events);
}

struct kube_recorder *profile_events_recorder(const struct profile_events *events)
{
    return events->recorder;
}

static struct kube_reference reference_to(const struct record *record)
{
    const char *uid = record->spec     ? record->spec->uid
                      : record->marker ? record->marker->uid
                                       : NULL;

    return (struct kube_reference){
        .api_version = POLICY_API_VERSION,
        .kind = "AppArmorProfile",
        .name = record->name,
        .uid = uid,
    };
}

void profile_events_repaired(struct profile_events *events, const struct record *record)
{
    struct kube_reference about = reference_to(record);

    if (events)
        kube_recorder_event(events->recorder, &about, KUBE_EVENT_WARNING, "Repaired",
                            "%s: something else had changed or removed it in the kernel; it is "
                            "loaded again",
                            events->node);
}

void profile_events_adopted(struct profile_events *events, const struct record *record,
                            const char *name, const char *file)
{
    struct kube_reference about = reference_to(record);

    if (!events)
        return;
    if (file)
        kube_recorder_event(events->recorder, &about, KUBE_EVENT_WARNING, "Adopted",
                            "%s: took over profile %s, which was loaded from elsewhere; "
                            "/etc/apparmor.d/%s declares it, too: remove that file, without "
                            "unloading it",
                            events->node, name, file);
    else
        kube_recorder_event(events->recorder, &about, KUBE_EVENT_NORMAL, "Adopted",
                            "%s: took over profile %s, which was loaded from elsewhere",
                            events->node, name);
}

void profile_events_lost(struct profile_events *events, const struct record *record)
{
    struct kube_reference about = reference_to(record);

    if (events)
        kube_recorder_event(events->recorder, &about, KUBE_EVENT_WARNING, "Lost",
                            "%s: the kernel has lost it and it could not be loaded again for a "
                            "minute; the node's label is removed",
                            events->node);
}

void profile_events_in_use(struct profile_events *events, const struct record *record,
                           const char *who)
{
    struct kube_reference about = reference_to(record);

    if (events)
        kube_recorder_event(events->recorder, &about, KUBE_EVENT_NORMAL, REASON_IN_USE,
                            "%s: it stays loaded for as long as it is used: %s", events->node, who);
}

void profile_events_denied(struct profile_events *events, const struct record *record,
                           const char *what)
{
    struct kube_reference about = reference_to(record);

    if (events)
        kube_recorder_event(events->recorder, &about, KUBE_EVENT_WARNING, REASON_APPARMOR_DENIED,
                            "%s: a process that has ended: %s", events->node, what);
}
