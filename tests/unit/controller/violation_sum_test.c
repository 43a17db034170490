// SPDX-License-Identifier: Apache-2.0
#include "controller/violation_sum.h"

#include "tests/unit/controller/support.h"

static void add(struct violation_sum *sum, const char *text)
{
    _cleanup_json_ cJSON *json = json_of("%s", text);
    struct violations violations;

    violations_init(&violations, json);
    violation_sum_add(sum, &violations, "web", "r2");
    violations_done(&violations);
}

static void assert_sum(const struct violation_sum *sum, const char *expected)
{
    _cleanup_json_ cJSON *json = violation_sum_json(sum);
    _cleanup_json_ cJSON *wanted = json_of("%s", expected);

    cr_expect(json_equal(json, cJSON_IsNull(wanted) ? NULL : wanted), "not %s", expected);
}

Test(violation_sum, nodes_are_added_up_where_they_speak_of_the_same_revision)
{
    struct violation_sum sum = {0};

    assert_sum(&sum, "null");
    add(&sum, "[]");
    add(&sum, "[{'object':'web','revision':'r1','denied':50,'lastTime':'2026-01-01T00:00:09Z'}]");
    add(&sum, "[{'object':'db','revision':'r2','denied':50,'lastTime':'2026-01-01T00:00:09Z'}]");
    assert_sum(&sum, "null");
    add(&sum, "[{'object':'web','revision':'r2','denied':3,'allowed':1,'lastTime':"
              "'2026-01-01T00:00:05Z'}]");
    add(&sum, "[{'object':'web','revision':'r2','denied':4,'lastTime':'2026-01-01T00:00:01Z'}]");
    assert_sum(&sum, "{'denied':7,'allowed':1,'nodes':2,'lastTime':'2026-01-01T00:00:05Z'}");
}
