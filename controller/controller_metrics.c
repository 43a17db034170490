// SPDX-License-Identifier: Apache-2.0
#include "controller/controller_metrics.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/options.h"

static const double reconcile_buckets[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                           0.1,   0.25,   0.5,   1,    5,     30};

static const double compile_buckets[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
static const double admission_buckets[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                           0.025,  0.05,    0.1,    0.25,  0.5,    1,     10};

/* Of the profile metric; "agentless" and the uncounted are not states of a profile. */
static const enum node_state shown_states[] = {NODE_LOADED, NODE_OUTDATED, NODE_PENDING,
                                               NODE_FAILED, NODE_DISABLED, NODE_LOST};
/* The last is a reason of the first. */
static const char *const shown_conditions[] = {"Ready", "Reconciling", "Stalled", "RolloutHalted"};
#define PROFILES_SHOWN_MAX 2000

const struct metric_spec controller_metrics[METRIC_COUNT] = {
    [METRIC_PROFILE_NODES] =
        {
            .name = "apparmor_profile_nodes",
            .help = "Nodes that an AppArmorProfile selects, by the state that they report for its "
                    "current generation: loaded, outdated (still at an earlier one), pending, "
                    "failed; disabled are those without AppArmor, lost those that "
                    "have not loaded it and whose agent is lost. Only the replica that leads "
                    "shows them.",
            .type = METRIC_GAUGE,
            .labels = {"profile", "state"},
            .max_series = PROFILES_SHOWN_MAX * ARRAY_SIZE(shown_states),
        },
    [METRIC_PROFILE_CONDITION] =
        {
            .name = "apparmor_profile_condition",
            .help = "1 while a condition of an AppArmorProfile holds, else 0: Ready, Reconciling, "
                    "Stalled, and RolloutHalted, which is Ready's reason. Only the replica that "
                    "leads shows them.",
            .type = METRIC_GAUGE,
            .labels = {"profile", "condition"},
            .max_series = PROFILES_SHOWN_MAX * ARRAY_SIZE(shown_conditions),
        },
    [METRIC_STATUS_WRITES] =
        {
            .name = "apparmor_controller_status_writes_total",
            .help = "Writes of AppArmorProfile status, by outcome: ok, conflict, gone, error.",
            .type = METRIC_COUNTER,
            .labels = {"outcome"},
        },
    [METRIC_FINALIZER_WRITES] =
        {
            .name = "apparmor_controller_finalizer_writes_total",
            .help = "Writes that add or release the finalizer of an AppArmorProfile, by outcome: "
                    "ok, conflict, gone, error.",
            .type = METRIC_COUNTER,
            .labels = {"outcome"},
        },
    [METRIC_ROLLOUT_WRITES] =
        {
            .name = "apparmor_controller_rollout_writes_total",
            .help = "Writes that publish a step of a rollout, by outcome: ok, conflict, gone, "
                    "error.",
            .type = METRIC_COUNTER,
            .labels = {"outcome"},
        },
    [METRIC_RECONCILE_SECONDS] =
        {
            .name = "apparmor_controller_reconcile_duration_seconds",
            .help = "Time from taking an AppArmorProfile from the queue to being done with it, "
                    "writes included.",
            .type = METRIC_HISTOGRAM,
            .buckets = reconcile_buckets,
            .bucket_count = ARRAY_SIZE(reconcile_buckets),
        },
    [METRIC_QUEUE_DEPTH] =
        {
            .name = "apparmor_controller_queue_depth",
            .help = "AppArmorProfiles that wait for a look or are being looked at.",
            .type = METRIC_GAUGE,
        },
    [METRIC_QUEUE_SECONDS] =
        {
            .name = "apparmor_controller_queue_duration_seconds",
            .help = "How long an AppArmorProfile waits in the queue for a look.",
            .type = METRIC_HISTOGRAM,
            .buckets = reconcile_buckets,
            .bucket_count = ARRAY_SIZE(reconcile_buckets),
        },
    [METRIC_API_REQUESTS] =
        {
            .name = "apparmor_controller_api_requests_total",
            .help = "Requests to the API server, by verb (the HTTP method, or WATCH for each watch "
                    "that was opened) and the answer's HTTP status; none: no answer came.",
            .type = METRIC_COUNTER,
            .labels = {"verb", "code"},
        },
    [METRIC_API_SECONDS] =
        {
            .name = "apparmor_controller_api_request_duration_seconds",
            .help = "Time from sending a request to the API server to the end of its answer, by "
                    "verb; of a watch, to its beginning.",
            .type = METRIC_HISTOGRAM,
            .labels = {"verb"},
            .buckets = reconcile_buckets,
            .bucket_count = ARRAY_SIZE(reconcile_buckets),
        },
    [METRIC_COMPILE_SECONDS] =
        {
            .name = "apparmor_controller_compile_duration_seconds",
            .help =
                "Time of compiling a policy for one kind of kernel, by outcome: accepted; failed "
                "(refused, or it took too much).",
            .type = METRIC_HISTOGRAM,
            .labels = {"outcome"},
            .buckets = compile_buckets,
            .bucket_count = ARRAY_SIZE(compile_buckets),
        },
    [METRIC_LEADER] =
        {
            .name = "apparmor_controller_leader",
            .help = "1 on the replica that holds the Lease and does the work, else 0.",
            .type = METRIC_GAUGE,
        },
    [METRIC_LEASE_FAILURES] =
        {
            .name = "apparmor_controller_lease_failures_total",
            .help = "Attempts to take or renew the Lease that failed and were made again.",
            .type = METRIC_COUNTER,
        },
    [METRIC_EVENTS] =
        {
            .name = "apparmor_controller_events_total",
            .help = "Events about AppArmorProfiles, by outcome: created; updated (the count of "
                    "one that is there was raised); limited (an object had too many); dropped (too "
                    "many waited); failed.",
            .type = METRIC_COUNTER,
            .labels = {"outcome"},
        },
    [METRIC_EVENTS_WAITING] =
        {
            .name = "apparmor_controller_events_waiting",
            .help = "Events that are not written yet.",
            .type = METRIC_GAUGE,
        },
    [METRIC_INFORMER_FAILURES] =
        {
            .name = "apparmor_controller_informer_failures_total",
            .help = "Lists and watches that failed and were tried again, by resource.",
            .type = METRIC_COUNTER,
            .labels = {"resource"},
        },
    [METRIC_NODES_KNOWN] =
        {
            .name = "apparmor_controller_nodes",
            .help = "Nodes and AppArmorNodes known, by name.",
            .type = METRIC_GAUGE,
        },
    [METRIC_PROFILES_KNOWN] =
        {
            .name = "apparmor_controller_profiles",
            .help = "AppArmorProfiles known.",
            .type = METRIC_GAUGE,
        },
    [METRIC_EVICTIONS] =
        {
            .name = "apparmor_controller_evictions_total",
            .help = "Evictions of pods that run unconfined and opt in, by outcome: evicted; "
                    "blocked (a PodDisruptionBudget refused, and it is tried again); error.",
            .type = METRIC_COUNTER,
            .labels = {"outcome"},
        },
    [METRIC_ADMISSION_REQUESTS] =
        {
            .name = "apparmor_admission_requests_total",
            .help = "Admission reviews by webhook and outcome: allowed; warned (allowed, with "
                    "something to say); patched; denied; error (no answer could be given, and the "
                    "webhook's failurePolicy decided).",
            .type = METRIC_COUNTER,
            .labels = {"webhook", "outcome"},
        },
    [METRIC_ADMISSION_SECONDS] =
        {
            .name = "apparmor_admission_duration_seconds",
            .help = "Time from the end of an admission review's body to its answer, by webhook.",
            .type = METRIC_HISTOGRAM,
            .labels = {"webhook"},
            .buckets = admission_buckets,
            .bucket_count = ARRAY_SIZE(admission_buckets),
        },
    [METRIC_CERTIFICATE_EXPIRY] =
        {
            .name = "apparmor_webhook_certificate_expiry_timestamp_seconds",
            .help = "When the webhooks' serving certificate expires, in seconds since 1970.",
            .type = METRIC_GAUGE,
        },
    [METRIC_GARBAGE] =
        {
            .name = "apparmor_controller_garbage_total",
            .help = "What was taken away because it is of no use, by kind: features (ConfigMaps), "
                    "report (AppArmorNodes), labels (of nodes whose agent is lost); and outcome: "
                    "removed; held (pods require labels); error.",
            .type = METRIC_COUNTER,
            .labels = {"kind", "outcome"},
        },
    [METRIC_BUILD_INFO] =
        {
            .name = "apparmor_controller_build_info",
            .help = "Always 1; the label is the program's version.",
            .type = METRIC_GAUGE,
            .labels = {"version"},
        },
};

struct metrics *controller_metrics_new(void)
{
    struct metrics *metrics = metrics_new(controller_metrics, METRIC_COUNT);

    metrics_set(metrics, METRIC_BUILD_INFO, 1, (const char *const[]){options_version()});
    return metrics;
}

static bool holds(const cJSON *status, const char *condition)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get(status, "conditions"))
    {
        const char *type = json_string(item, "type"), *reason = json_string(item, "reason");
        const char *value = json_string(item, "status");

        if (type && value && strcmp(type, condition) == 0)
            return strcmp(value, "True") == 0;
        if (type && reason && strcmp(type, "Ready") == 0 && strcmp(reason, condition) == 0)
            return true;
    }
    return false;
}

void controller_metrics_set_profile(struct metrics *metrics, const char *profile,
                                    const struct tally *tally, const cJSON *status)
{
    for (size_t i = 0; i < ARRAY_SIZE(shown_conditions); i++) {
        const char *const labels[] = {profile, shown_conditions[i]};

        metrics_set(metrics, METRIC_PROFILE_CONDITION, holds(status, shown_conditions[i]), labels);
    }
    for (size_t i = 0; i < ARRAY_SIZE(shown_states); i++) {
        const char *const labels[] = {profile, node_state_name(shown_states[i])};

        metrics_set(metrics, METRIC_PROFILE_NODES, (double) tally->counts[shown_states[i]], labels);
    }
}

void controller_metrics_set_events(struct metrics *metrics, const struct kube_recorder_stats *stats)
{
    const struct {
        const char *outcome;
        uint64_t count;
    } outcomes[] = {
        {"created", stats->created}, {"updated", stats->updated}, {"limited", stats->limited},
        {"dropped", stats->dropped}, {"failed", stats->failed},
    };

    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
        metrics_set(metrics, METRIC_EVENTS, (double) outcomes[i].count,
                    (const char *const[]){outcomes[i].outcome});
    metrics_set(metrics, METRIC_EVENTS_WAITING, (double) stats->waiting, NULL);
}

void controller_metrics_remove_profile(struct metrics *metrics, const char *profile)
{
    for (size_t i = 0; i < ARRAY_SIZE(shown_states); i++) {
        const char *const labels[] = {profile, node_state_name(shown_states[i])};

        metrics_remove(metrics, METRIC_PROFILE_NODES, labels);
    }
    for (size_t i = 0; i < ARRAY_SIZE(shown_conditions); i++) {
        const char *const labels[] = {profile, shown_conditions[i]};

        metrics_remove(metrics, METRIC_PROFILE_CONDITION, labels);
    }
}

void controller_metrics_observe_request(void *metrics, const char *verb, int http_status,
                                        double seconds)
{
    char code[16] = "none";

    if (http_status > 0)
        (void) snprintf(code, sizeof(code), "%d", http_status);
    metrics_add(metrics, METRIC_API_REQUESTS, 1, (const char *const[]){verb, code});
    metrics_observe(metrics, METRIC_API_SECONDS, seconds, (const char *const[]){verb});
}

void controller_metrics_remove_profiles(struct metrics *metrics)
{
    metrics_remove(metrics, METRIC_PROFILE_NODES, NULL);
    metrics_remove(metrics, METRIC_PROFILE_CONDITION, NULL);
}
