// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/records.h"
#include "lib/kube/client.h"
#include "lib/kube/events.h"

/*
 * Events about an AppArmorProfile that only its node can tell. That it failed on a node is not
 * among them: the controller sees that in the node's status, and tells it once for all nodes alike.
 */
/* On pods and AppArmorProfiles. */
#define REASON_APPARMOR_DENIED "AppArmorDenied"

struct profile_events;

struct profile_events *profile_events_new(struct kube_client *client, const char *node);
/* Before its client. */
void profile_events_free(struct profile_events *events);
DEFINE_CLEANUP(struct profile_events *, profile_events_free)

/* For Events about other objects. */
struct kube_recorder *profile_events_recorder(const struct profile_events *events);

/* All accept NULL, without a cluster. */

/* Something else had changed or removed the policy; it is loaded again. */
void profile_events_repaired(struct profile_events *events, const struct record *record);
/* The node had that profile from elsewhere. `file` (or NULL) of the host declares it, too. */
void profile_events_adopted(struct profile_events *events, const struct record *record,
                            const char *name, const char *file);
/* It could not be loaded again, and the label went. */
void profile_events_lost(struct profile_events *events, const struct record *record);
/* It is to go, and something uses it. */
void profile_events_in_use(struct profile_events *events, const struct record *record,
                           const char *who);
/* What a process that could not be found any more was denied. */
void profile_events_denied(struct profile_events *events, const struct record *record,
                           const char *what);
