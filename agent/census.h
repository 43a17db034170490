// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "agent/records.h"
#include "lib/base/cleanup.h"

/*
 * Counts the processes that run under profiles in mode Complain: without any, that nothing was let
 * through says little about a profile. It looks at /proc when something has happened that may have
 * begun processes, or the agent is awake for another reason, and never by itself; with no profile
 * in mode Complain it does nothing at all.
 */
struct census;

struct census_options {
    const char *proc; /* NULL: /proc */
    const struct records *records;
    /* What some record's `sightings` amount to is to be told: coarsely, so that it is seldom. */
    void (*changed)(void *userdata);
    void *userdata;
};

/* Between two looks, at least; and between two for want of another reason. */
#define CENSUS_INTERVAL_MS 5000
#define CENSUS_SELDOM_MS 60000

struct census *census_new(uv_loop_t *loop, const struct census_options *options);
void census_free(struct census *census);
DEFINE_CLEANUP(struct census *, census_free)

/* Containers, profiles or denials have changed. */
void census_wake(struct census *census);
/* The agent is awake, and has looked at processes for another reason. */
void census_remind(struct census *census);
