// SPDX-License-Identifier: Apache-2.0
#include "agent/table.h"

#include <criterion/criterion.h>

#include "lib/base/alloc.h"

TestSuite(table, .init = alloc_init);

static void add(struct records *records, const char *name, enum profile_phase phase,
                const char *profile, const char *reason, const char *message)
{
    struct record *record = records_add(records, name);
    struct strv names = {0};

    if (profile)
        strv_add(&names, profile);
    profile_state_set(&record->state, phase, reason, message);
    profile_state_set_loaded(&record->state, profile ? "r" : "", &names,
                             profile ? POLICY_ENFORCE : POLICY_MODE_UNSET);
    strv_done(&names);
}

Test(table, it_is_aligned_sorted_and_explains_failures)
{
    _cleanup_(records_freep) struct records *records = records_new();
    _cleanup_buf_ struct buf out = BUF_INIT(4096);

    add(records, "web-server", PROFILE_LOADED, "web", NULL, NULL);
    add(records, "bad", PROFILE_FAILED, NULL, "CompileError", "line 2: syntax error");
    add(records, "elsewhere", PROFILE_UNSELECTED, NULL, NULL, NULL);
    table_render(records, &out);
    cr_assert_str_eq(buf_string(&out),
                     "NAME         STATE    MODE      PROFILES\n"
                     "bad          Failed   -         -\n"
                     "  CompileError: line 2: syntax error\n"
                     "web-server   Loaded   Enforce   web\n",
                     "%s", buf_string(&out));
}

Test(table, everything_is_loaded_only_when_all_that_is_shown_is)
{
    _cleanup_(records_freep) struct records *records = records_new();

    cr_assert(table_all_loaded(records));
    add(records, "web", PROFILE_LOADED, "web", NULL, NULL);
    add(records, "elsewhere", PROFILE_UNSELECTED, NULL, NULL, NULL);
    cr_assert(table_all_loaded(records));
    add(records, "going", PROFILE_DRAINING, "going", "InUse", NULL);
    cr_assert_not(table_all_loaded(records));
}
