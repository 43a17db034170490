// SPDX-License-Identifier: Apache-2.0
#include "agent/report.h"

#include <string.h>

#include "agent/agent_metrics.h"
#include "lib/base/log.h"

static void set_gauge(const struct host *host, const struct record *record, bool there)
{
    const struct profile_state *state = &record->state;

    for (size_t i = 0; i < state->names.len; i++) {
        const char *values[] = {record->name, state->names.items[i], policy_mode_name(state->mode)};

        if (there)
            metrics_set(host->metrics, METRIC_PROFILE_LOADED, 1, values);
        else
            metrics_remove(host->metrics, METRIC_PROFILE_LOADED, values);
    }
}

static void update_loaded(const struct host *host, struct record *record)
{
    _cleanup_strv_ struct strv names = {0};
    enum policy_mode mode = POLICY_MODE_UNSET;
    const char *revision = "";

    if (record->marker) {
        mode = loaded_names(host->loaded, record->marker, &names);
        if (names.len > 0)
            revision = record->marker->revision;
    }
    set_gauge(host, record, false);
    profile_state_set_loaded(&record->state, revision, &names, mode);
    set_gauge(host, record, true);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

void report_state(const struct host *host, struct record *record, enum profile_phase phase,
                  const char *reason, const char *message)
{
    struct profile_state *state = &record->state;
    bool transition = state->phase != phase || !same_text(state->reason, reason);
    /* A node that restarts finds its profiles as they were, which is nothing to tell of each. */
    bool found = state->phase == PROFILE_UNDECIDED && phase == PROFILE_LOADED;

    if (record->spec)
        state->generation = record->spec->generation;
    else if (record->marker)
        state->generation = record->marker->generation;
    profile_state_set(state, phase, reason, message);
    update_loaded(host, record);
    if (transition && profile_phase_is_shown(phase))
        log_event(phase == PROFILE_FAILED ? LOG_WARN
                  : found                 ? LOG_DEBUG
                                          : LOG_INFO,
                  "profile state", "profile", record->name, "node", host->node_name, "state",
                  profile_phase_name(phase), "reason", state->reason, "detail", state->message,
                  NULL);
}

void report_gone(const struct host *host, const struct record *record)
{
    set_gauge(host, record, false);
    if (profile_phase_is_shown(record->state.phase))
        log_info("profile gone", "profile", record->name, "node", host->node_name);
}
