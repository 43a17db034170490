// SPDX-License-Identifier: Apache-2.0
#include "agent/profile_state.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/utf8.h"

/* Of the API (crds/apparmornodes.yaml), in characters there: names of an entry, and its message. */
#define NAMES_MAX 1000
#define MESSAGE_MAX 32768
/* However little space there is. */
#define MESSAGE_MIN 200

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

/* Adds as many names as half of the space takes; returns how many. */
static size_t add_names(cJSON *json, const struct strv *names, size_t *space)
{
    cJSON *array = json_add_array(json, "profileNames");
    size_t count = 0, left = *space / 2;

    while (count < names->len && count < NAMES_MAX && strlen(names->items[count]) <= left) {
        left -= strlen(names->items[count]);
        json_append_string(array, names->items[count++]);
    }
    *space -= *space / 2 - left;
    return count;
}

static void add_message(cJSON *json, const struct profile_state *state, size_t names_shown,
                        size_t space)
{
    size_t max = space < MESSAGE_MIN ? MESSAGE_MIN : space > MESSAGE_MAX ? MESSAGE_MAX : space;
    const char *message = state->message ? state->message : "";
    size_t len = strlen(message), kept;
    _cleanup_free_ char *names = NULL;
    _cleanup_free_ char *text = NULL;

    if (names_shown < state->names.len)
        names =
            xasprintf("(%zu of its %zu profile names are shown) ", names_shown, state->names.len);
    else
        names = xstrdup("");
    max -= strlen(names);
    kept = len <= max ? len : utf8_cut(message, len, max - strlen(" …"));
    text = xasprintf("%s%.*s%s", names, (int) kept, message, kept < len ? " …" : "");
    add_if(json, "message", text);
}

cJSON *profile_state_json(const char *object, const struct profile_state *state, size_t space)
{
    char time[CLOCK_TIME_SIZE];
    cJSON *json = cJSON_CreateObject();
    size_t names;

    json_add_string(json, "name", object);
    json_add_int(json, "generation", state->generation);
    add_if(json, "revision", state->revision);
    json_add_string(json, "state", profile_phase_name(state->phase));
    add_if(json, "mode", policy_mode_name(state->mode));
    names = add_names(json, &state->names, &space);
    add_if(json, "reason", state->reason);
    add_message(json, state, names, space);
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
