// SPDX-License-Identifier: Apache-2.0
#include "agent/profile_state.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

static const char *const phase_names[] = {
    [PROFILE_UNDECIDED] = "Undecided", [PROFILE_UNSELECTED] = "Unselected",
    [PROFILE_LOADED] = "Loaded",       [PROFILE_PENDING] = "Pending",
    [PROFILE_FAILED] = "Failed",       [PROFILE_DRAINING] = "Draining",
};

void profile_state_done(struct profile_state *state)
{
    strv_done(&state->names);
    free(state->reason);
    free(state->message);
    *state = (struct profile_state){0};
}

const char *profile_phase_name(enum profile_phase phase)
{
    return phase_names[phase];
}

bool profile_phase_is_shown(enum profile_phase phase)
{
    return phase != PROFILE_UNDECIDED && phase != PROFILE_UNSELECTED;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool profile_state_set(struct profile_state *state, enum profile_phase phase, const char *reason,
                       const char *message)
{
    bool changed = state->phase != phase || !same_text(state->reason, reason) ||
                   !same_text(state->message, message);
    /* Before anything is released: the caller may pass what the state holds. */
    char *new_reason = xstrdup(reason), *new_message = xstrdup(message);

    free(state->reason);
    free(state->message);
    state->reason = new_reason;
    state->message = new_message;
    if (state->phase != phase) {
        state->phase = phase;
        state->transition_ms = clock_realtime_ms();
    }
    return changed;
}

bool profile_state_set_loaded(struct profile_state *state, const char *revision,
                              const struct strv *names, enum policy_mode mode)
{
    struct strv sorted = {0};
    bool changed;

    strv_copy(&sorted, names);
    strv_sort(&sorted);
    changed = state->mode != mode || !strv_equal(&state->names, &sorted) ||
              strcmp(state->revision, revision) != 0;
    memmove(state->revision, revision, strnlen(revision, sizeof(state->revision) - 1) + 1);
    strv_done(&state->names);
    state->names = sorted;
    state->mode = mode;
    return changed;
}

static void add_if(cJSON *json, const char *key, const char *value)
{
    if (value && *value)
        json_add_string(json, key, value);
}

cJSON *profile_state_json(const char *object, const struct profile_state *state)
{
    char time[CLOCK_TIME_SIZE];
    cJSON *json = cJSON_CreateObject();
    cJSON *names;

    json_add_string(json, "name", object);
    json_add_int(json, "generation", state->generation);
    add_if(json, "revision", state->revision);
    json_add_string(json, "state", profile_phase_name(state->phase));
    add_if(json, "mode", policy_mode_name(state->mode));
    names = json_add_array(json, "profileNames");
    for (size_t i = 0; i < state->names.len; i++)
        json_append_string(names, state->names.items[i]);
    add_if(json, "reason", state->reason);
    add_if(json, "message", state->message);
    json_add_string(json, "lastTransitionTime", clock_format(state->transition_ms, time));
    return json;
}

void profile_state_adopt_time(struct profile_state *state, const cJSON *entry)
{
    const char *phase = json_string(entry, "state");
    const char *time = json_string(entry, "lastTransitionTime");
    int64_t ms;

    if (phase && time && strcmp(phase, profile_phase_name(state->phase)) == 0 &&
        clock_parse(time, &ms) == 0)
        state->transition_ms = ms;
}
