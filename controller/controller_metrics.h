// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "controller/tally.h"
#include "lib/base/json.h"
#include "lib/base/metrics.h"
#include "lib/kube/events.h"

enum controller_metric {
    METRIC_PROFILE_NODES,
    METRIC_PROFILE_CONDITION,
    METRIC_STATUS_WRITES,
    METRIC_FINALIZER_WRITES,
    METRIC_ROLLOUT_WRITES,
    METRIC_RECONCILE_SECONDS,
    METRIC_QUEUE_DEPTH,
    METRIC_QUEUE_SECONDS,
    METRIC_API_REQUESTS,
    METRIC_API_SECONDS,
    METRIC_COMPILE_SECONDS,
    METRIC_LEADER,
    METRIC_LEASE_FAILURES,
    METRIC_EVENTS,
    METRIC_EVENTS_WAITING,
    METRIC_INFORMER_FAILURES,
    METRIC_NODES_KNOWN,
    METRIC_PROFILES_KNOWN,
    METRIC_EVICTIONS,
    METRIC_ADMISSION_REQUESTS,
    METRIC_ADMISSION_SECONDS,
    METRIC_CERTIFICATE_EXPIRY,
    METRIC_GARBAGE,
    METRIC_BUILD_INFO,
    METRIC_COUNT,
};

/* The table that the registry and the reference page are made of. */
extern const struct metric_spec controller_metrics[METRIC_COUNT];

struct metrics *controller_metrics_new(void);
/* `status` is the one that the profile is to have. */
void controller_metrics_set_profile(struct metrics *metrics, const char *profile,
                                    const struct tally *tally, const cJSON *status);
void controller_metrics_remove_profile(struct metrics *metrics, const char *profile);
void controller_metrics_set_events(struct metrics *metrics,
                                   const struct kube_recorder_stats *stats);
/* Of kube_client_options: `metrics` is a struct metrics. */
void controller_metrics_observe_request(void *metrics, const char *verb, int http_status,
                                        double seconds);
/* Another replica tells of them now. */
void controller_metrics_remove_profiles(struct metrics *metrics);
