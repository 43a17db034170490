// SPDX-License-Identifier: Apache-2.0
#include "controller/violations.h"

#include "tests/unit/controller/support.h"

TestSuite(violations, .init = alloc_init);

Test(violations, more_than_the_api_allows_are_bounded)
{
    _cleanup_json_ cJSON *list = cJSON_CreateArray();
    struct violations violations;

    for (int i = 0; i < VIOLATIONS_MAX + 100; i++)
        json_append(list, json_of("{'object':'p-%d','revision':'r','denied':%d,'lastTime':"
                                  "'2026-01-01T00:00:00Z'}",
                                  i, i));
    violations_init(&violations, list);
    cr_assert_eq(violations.len, VIOLATIONS_MAX);
    cr_assert_eq(violations_find(&violations, "p-77")->denied, 77);
    cr_assert_null(violations_find(&violations, "p-599"));
    violations_done(&violations);
    cr_assert_null(violations_find(&violations, "p-77"));
}

Test(violations, counts_that_cannot_be_are_none)
{
    _cleanup_json_ cJSON *list =
        json_of("[{'object':'a','revision':'r','denied':-5,'allowed':1e300,"
                "'lastTime':'2026-01-01T00:00:00Z'},{'object':'b',"
                "'revision':'%064d','lastTime':'2026-01-01T00:00:00Z'}]",
                1);
    struct violations violations;

    violations_init(&violations, list);
    cr_assert_eq(violations.len, 1, "a revision that is too long is none of ours");
    cr_assert_eq(violations_find(&violations, "a")->denied, 0);
    cr_assert_eq(violations_find(&violations, "a")->allowed, 0);
    cr_assert_eq(violations_find(&violations, "a")->last_ms, 1767225600000);
    violations_done(&violations);
}
