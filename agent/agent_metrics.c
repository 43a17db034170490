// SPDX-License-Identifier: Apache-2.0
#include "agent/agent_metrics.h"

#include "agent/violation_series.h"

static const double compile_buckets[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
static const double load_buckets[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1, 10};

const struct metric_spec agent_metric_specs[AGENT_METRICS] = {
    [METRIC_PROFILE_LOADED] =
        {
            .name = "apparmor_profile_loaded",
            .help = "1 for each top-level profile of an AppArmorProfile that is in the kernel.",
            .type = METRIC_GAUGE,
            .labels = {"profile", "name", "mode"},
        },
    [METRIC_COMPILES] =
        {
            .name = "apparmor_compiles_total",
            .help = "Policies compiled, by result.",
            .type = METRIC_COUNTER,
            .labels = {"result"},
        },
    [METRIC_COMPILE_SECONDS] =
        {
            .name = "apparmor_compile_duration_seconds",
            .help = "Time from the start of the compiler to its result.",
            .type = METRIC_HISTOGRAM,
            .buckets = compile_buckets,
            .bucket_count = ARRAY_SIZE(compile_buckets),
        },
    [METRIC_LOADS] =
        {
            .name = "apparmor_loads_total",
            .help = "Policies written to the kernel, by result.",
            .type = METRIC_COUNTER,
            .labels = {"result"},
        },
    [METRIC_LOAD_SECONDS] =
        {
            .name = "apparmor_load_duration_seconds",
            .help = "Time from the request to load a policy to the kernel's answer.",
            .type = METRIC_HISTOGRAM,
            .buckets = load_buckets,
            .bucket_count = ARRAY_SIZE(load_buckets),
        },
    [METRIC_REMOVALS] =
        {
            .name = "apparmor_removals_total",
            .help = "Profiles removed from the kernel, by result.",
            .type = METRIC_COUNTER,
            .labels = {"result"},
        },
    [METRIC_REPAIRS] =
        {
            .name = "apparmor_repairs_total",
            .help = "Policies loaded again after something else had changed or removed them.",
            .type = METRIC_COUNTER,
        },
    [METRIC_API_WRITES] =
        {
            .name = "apparmor_api_writes_total",
            .help = "Write requests to the API server, by object and result.",
            .type = METRIC_COUNTER,
            .labels = {"object", "result"},
        },
    [METRIC_SELF_CONFINED] =
        {
            .name = "apparmor_agent_confined",
            .help = "1 while the agent itself runs under an AppArmor profile, else 0.",
            .type = METRIC_GAUGE,
        },
    [METRIC_UNCONFINED_CONTAINERS] =
        {
            .name = "apparmor_unconfined_containers",
            .help = "Running containers that are not confined as their pods ask.",
            .type = METRIC_GAUGE,
        },
    [METRIC_CONTAINER_UNCONFINED] =
        {
            .name = "apparmor_container_unconfined",
            .help = "1 for each of these containers, up to 100 of them.",
            .type = METRIC_GAUGE,
            .labels = {"namespace", "pod", "container"},
        },
    [METRIC_VIOLATIONS] =
        {
            .name = "apparmor_violations_total",
            .help = "Accesses that a profile did not allow: denied, or allowed by mode Complain. "
                    "Of processes that had gone, namespace, pod and container are unknown; of "
                    "those that no pod has, they are empty.",
            .type = METRIC_COUNTER,
            .labels = {"profile", "operation", "outcome", "namespace", "pod", "container"},
            .max_series = VIOLATION_SERIES_MAX,
        },
    [METRIC_AUDIT_RECORDS] =
        {
            .name = "apparmor_audit_records_total",
            .help = "AppArmor's audit records that were read, of whatever kind.",
            .type = METRIC_COUNTER,
        },
    [METRIC_AUDIT_LOST] =
        {
            .name = "apparmor_audit_lost_total",
            .help = "Audit records that were not read, at least: those that the kernel had "
                    "numbered.",
            .type = METRIC_COUNTER,
        },
    [METRIC_AUDIT_UNPARSED] =
        {
            .name = "apparmor_audit_unparsed_total",
            .help = "AppArmor's audit records that could not be understood, and those of programs "
                    "that are not to be trusted with them.",
            .type = METRIC_COUNTER,
        },
    [METRIC_AUDIT_AVAILABLE] =
        {
            .name = "apparmor_audit_available",
            .help = "1 while the kernel's audit records can be read, 0.5 while only its log can, "
                    "which drops some, else 0.",
            .type = METRIC_GAUGE,
        },
};
