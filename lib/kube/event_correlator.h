// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/digest.h"
#include "lib/kube/events.h"

/*
 * Which occurrences are one Event, and when an object has had enough: the rules of client-go's
 * EventCorrelator, by the monotonic clock. What it remembers is bounded; the least recently used is
 * forgotten first.
 */
struct event_correlator;

#define EVENT_MEMORY_MAX 4096
/* Distinct messages of one kind within the window, from which on they are combined. */
#define EVENT_SIMILAR_MAX 10
#define EVENT_WINDOW_MS (10 * 60 * 1000)

struct event_key {
    char series[DIGEST_HEX_SIZE]; /* occurrences with the same are one Event */
    char object[DIGEST_HEX_SIZE]; /* what the spam limit counts by */
    bool combined;                /* one of many similar ones */
};

struct event_correlator *event_correlator_new(unsigned burst, uint64_t refill_ms);
void event_correlator_free(struct event_correlator *correlator);
DEFINE_CLEANUP(struct event_correlator *, event_correlator_free)

/* Counts the occurrence as one more of its kind. */
void event_correlate(struct event_correlator *correlator, const struct kube_reference *about,
                     enum kube_event_type type, const char *reason, const char *message,
                     struct event_key *ret);
/* Takes one write from what the object may have; false when it has had enough. */
bool event_correlator_allow(struct event_correlator *correlator, const char *object);

/* Removes the least recently set entry until the map has at most `max`. */
struct map;
void event_memory_trim(struct map *memory, size_t max);
