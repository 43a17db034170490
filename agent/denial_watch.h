// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "agent/audit_source.h"
#include "agent/node_pods.h"
#include "agent/profile_events.h"
#include "agent/records.h"
#include "lib/base/json.h"
#include "lib/base/metrics.h"

/*
 * What this node's policy refuses: reads the kernel's audit records, finds the container of each,
 * and tells: metrics, a line of the log for each new access, Events, and what AppArmorNode's
 * status.audit, .violations and .denials say.
 */
struct denial_watch;

struct denial_watch_options {
    uv_loop_t *loop;
    const char *proc;      /* NULL: /proc */
    const char *node_name; /* for logs */
    const struct records *records;
    const struct node_pods *pods; /* NULL without a cluster */
    struct metrics *metrics;
    struct profile_events *events; /* likewise */
    /* What denial_watch_status() gives has changed: soon after an access that is new, each half
     * minute at most; when counts alone have changed, each five minutes. */
    void (*changed)(void *userdata);
    void *userdata;
};

#define DENIAL_WATCH_NEW_MS 1000
#define DENIAL_WATCH_INTERVAL_MS 30000
#define DENIAL_WATCH_COUNTS_MS 300000
/* From a change of policy to its record, at most. */
#define DENIAL_WATCH_SILENCE_MS 3000

/* All of the options are borrowed. */
struct denial_watch *denial_watch_new(const struct denial_watch_options *options);
void denial_watch_free(struct denial_watch *watch);
DEFINE_CLEANUP(struct denial_watch *, denial_watch_free)

/* Why no denials, or not all, are told: an error without code when they are. Borrowed. */
const struct error *denial_watch_error(const struct denial_watch *watch);
void denial_watch_pods_changed(struct denial_watch *watch);
/* The kernel's policy has changed, of which there is a record: without any, they go elsewhere. */
void denial_watch_policy_changed(struct denial_watch *watch);
/* What the node's status said before this start. */
void denial_watch_adopt(struct denial_watch *watch, const cJSON *status);
/* The fields of status, in an object that lives as long as the watch does. */
const cJSON *denial_watch_status(struct denial_watch *watch);

/* One record: what the source gives. For tests and benchmarks. */
void denial_watch_record(struct denial_watch *watch, unsigned type, const char *text, size_t len);
/* Distinct accesses that are kept. */
size_t denial_watch_size(const struct denial_watch *watch);
