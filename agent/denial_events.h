// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "agent/denials.h"
#include "agent/profile_events.h"
#include "agent/records.h"

/*
 * Events about what was denied, on the pod whose container it was: soon after the first time, with
 * the count by then, and again when there are more, each ten minutes at most. What mode Complain
 * allows is no Event. A process that was gone is told of on the AppArmorProfile.
 */
struct denial_events;

#define DENIAL_EVENTS_GATHER_MS 2000
#define DENIAL_EVENTS_AGAIN_MS 600000

/* All are borrowed; `events` may be NULL, without a cluster. */
struct denial_events *denial_events_new(uv_loop_t *loop, const struct denials *denials,
                                        struct profile_events *events,
                                        const struct records *records);
void denial_events_free(struct denial_events *events);
DEFINE_CLEANUP(struct denial_events *, denial_events_free)

/* Something was denied. */
void denial_events_wake(struct denial_events *events);

/* "container web: open of /etc/shadow for r denied by webapp-restricted, 37 times"; `who` NULL: it
 * is not known who it was. The caller frees it. */
char *denial_events_message(const struct denial *denial, const struct denial_who *who);
