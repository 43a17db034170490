// SPDX-License-Identifier: Apache-2.0
#include "agent/profile_state.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"

static int64_t now_ms = 1700000000000;

static int64_t fake_now(_unused_ void *userdata)
{
    return now_ms;
}

static const struct clock_source fake = {.realtime_ms = fake_now};

static void setup(void)
{
    alloc_init();
    clock_set_source(&fake);
}

TestSuite(profile_state, .init = setup);

Test(profile_state, the_time_is_of_the_last_change_of_phase)
{
    struct profile_state state = {0};

    cr_assert(profile_state_set(&state, PROFILE_FAILED, "CompileError", "line 1: no"));
    cr_assert_eq(state.transition_ms, now_ms);
    now_ms += 5000;
    cr_assert(profile_state_set(&state, PROFILE_FAILED, "CompileError", "line 2: no"));
    cr_assert_eq(state.transition_ms, now_ms - 5000);
    cr_assert_not(profile_state_set(&state, PROFILE_FAILED, "CompileError", "line 2: no"));
    cr_assert(profile_state_set(&state, PROFILE_LOADED, NULL, NULL));
    cr_assert_eq(state.transition_ms, now_ms);
    profile_state_done(&state);
}

Test(profile_state, setting_its_own_texts_keeps_them)
{
    struct profile_state state = {0};

    profile_state_set(&state, PROFILE_DRAINING, "InUse", "process 1");
    profile_state_set(&state, PROFILE_FAILED, state.message, state.reason);
    cr_assert_str_eq(state.reason, "process 1");
    cr_assert_str_eq(state.message, "InUse");
    profile_state_done(&state);
}

Test(profile_state, the_entry_has_what_is_known_and_no_more)
{
    struct profile_state state = {.generation = 3};
    struct strv names = {0};

    strv_add(&names, "b");
    strv_add(&names, "a");
    profile_state_set(&state, PROFILE_LOADED, NULL, NULL);
    cr_assert(profile_state_set_loaded(&state, "abc", &names, POLICY_ENFORCE));
    cr_assert_not(profile_state_set_loaded(&state, "abc", &names, POLICY_ENFORCE));

    _cleanup_json_ cJSON *entry = profile_state_json("web", &state, 10000);
    _cleanup_free_ char *text = json_print(entry);

    cr_assert_str_eq(text,
                     "{\"name\":\"web\",\"generation\":3,\"revision\":\"abc\",\"state\":\"Loaded\","
                     "\"mode\":\"Enforce\",\"profileNames\":[\"a\",\"b\"],"
                     "\"lastTransitionTime\":\"2023-11-14T22:13:20Z\"}");
    strv_done(&names);
    profile_state_done(&state);
}

Test(profile_state, the_time_of_an_earlier_entry_counts_when_the_phase_is_the_same)
{
    struct profile_state state = {0};
    _cleanup_json_ cJSON *same = cJSON_CreateObject();
    _cleanup_json_ cJSON *other = cJSON_CreateObject();

    json_add_string(same, "state", "Loaded");
    json_add_string(same, "lastTransitionTime", "2020-01-01T00:00:00Z");
    json_add_string(other, "state", "Failed");
    json_add_string(other, "lastTransitionTime", "2021-01-01T00:00:00Z");
    profile_state_set(&state, PROFILE_LOADED, NULL, NULL);
    profile_state_adopt_time(&state, other);
    cr_assert_eq(state.transition_ms, now_ms);
    profile_state_adopt_time(&state, same);
    cr_assert_eq(state.transition_ms, 1577836800000);
    profile_state_done(&state);
}

Test(profile_state, what_has_no_space_is_cut_and_that_is_said)
{
    struct profile_state state = {0};
    _cleanup_buf_ struct buf message = BUF_INIT(100000);
    struct strv names = {0};

    for (int i = 0; i < 1200; i++) {
        char name[] = "0000";

        for (int j = 0, rest = i; j < 4; j++, rest /= 10)
            name[3 - j] = (char) ('0' + rest % 10);
        strv_add(&names, name);
        buf_add_string(&message, "line 1: «nein» ");
    }
    profile_state_set(&state, PROFILE_FAILED, "CompileError", buf_string(&message));
    profile_state_set_loaded(&state, "abc", &names, POLICY_ENFORCE);
    {
        _cleanup_json_ cJSON *entry = profile_state_json("web", &state, 1000000);
        const char *text = json_string(entry, "message");

        /* The limits of the API. */
        cr_assert_eq(cJSON_GetArraySize(json_get(entry, "profileNames")), 1000);
        cr_assert_not_null(strstr(text, "1000 of its 1200 profile names are shown"));
        cr_assert_leq(strlen(text), 32768);
    }
    {
        _cleanup_json_ cJSON *entry = profile_state_json("web", &state, 1000);
        const char *text = json_string(entry, "message");

        cr_assert_eq(cJSON_GetArraySize(json_get(entry, "profileNames")), 125);
        cr_assert_leq(strlen(text), 501);
        cr_assert_not_null(strstr(text, "125 of its 1200"));
        cr_assert_str_eq(text + strlen(text) - strlen(" …"), " …");
    }
    {
        _cleanup_json_ cJSON *entry = profile_state_json("web", &state, 10);
        const char *text = json_string(entry, "message");

        cr_assert_eq(cJSON_GetArraySize(json_get(entry, "profileNames")), 1);
        cr_assert_not_null(strstr(text, "line 1: «nein»"));
    }
    strv_done(&names);
    profile_state_done(&state);
}
