// SPDX-License-Identifier: Apache-2.0
#include "controller/promotion.h"

#include <inttypes.h>

#include "tests/unit/controller/support.h"

TestSuite(promotion, .init = alloc_init);

#define R1 "11111111111111111111111111111111"
#define R2 "22222222222222222222222222222222"
#define NOW 1767225600000 /* 2026-01-01T00:00:00Z */
#define HOUR 3600000
#define DAY (24 * HOUR)
#define OLD(revision, since) "{'revision':'" revision "','since':'" since "','nodes':3}"

static const struct {
    const char *name;
    const char *old;
    bool not_everywhere;
    size_t nodes, blind, silent;
    int64_t processes;
    int64_t last; /* before NOW; 0: none */
    enum condition_status status;
    const char *reason, *since, *message;
    uint64_t again;
    int64_t told; /* of processes; -1: nothing */
} cases[] = {
    {.name = "seen for the first time",
     .nodes = 3,
     .status = CONDITION_FALSE,
     .reason = "ObservedBriefly",
     .since = "2026-01-01T00:00:00Z",
     .again = DAY,
     .message = "no access beyond the policy since 2026-01-01T00:00:00Z: quiet for 24 h is wanted; "
                "no process has been seen under it"},
    {.name = "quiet for some hours",
     .old = OLD(R1, "2025-12-31T20:00:00Z"),
     .nodes = 3,
     .status = CONDITION_FALSE,
     .reason = "ObservedBriefly",
     .since = "2025-12-31T20:00:00Z",
     .again = 20 * HOUR,
     .message = "no access beyond the policy since 2025-12-31T20:00:00Z: quiet for 24 h is wanted; "
                "no process has been seen under it"},
    {.name = "quiet for a day",
     .old = OLD(R1, "2025-12-31T00:00:00Z"),
     .nodes = 1,
     .processes = 1,
     .told = 1,
     .status = CONDITION_TRUE,
     .reason = "Quiet",
     .since = "2025-12-31T00:00:00Z",
     .message = "no access beyond the policy since 2025-12-31T00:00:00Z on 1 node; at "
                "least 1 process ran under it: see that what it is for has run"},
    {.name = "quiet as nobody uses it",
     .old = OLD(R1, "2025-12-31T00:00:00Z"),
     .nodes = 3,
     .status = CONDITION_FALSE,
     .reason = "NotUsed",
     .since = "2025-12-31T00:00:00Z",
     .message = "no access beyond the policy since 2025-12-31T00:00:00Z on 3 nodes; no process has "
                "been seen under it: run what it is for"},
    {.name = "agents that do not count processes",
     .old = OLD(R1, "2025-12-31T00:00:00Z"),
     .nodes = 3,
     .silent = 3,
     .told = -1,
     .status = CONDITION_TRUE,
     .reason = "Quiet",
     .since = "2025-12-31T00:00:00Z",
     .message = "no access beyond the policy since 2025-12-31T00:00:00Z on 3 nodes; how many "
                "processes ran under it is not known, as their agents do not count them: see that "
                "what it is for has run"},
    {.name = "some that do, and a node that has left",
     .old = "{'revision':'" R1 "','since':'2025-12-31T20:00:00Z','nodes':4,'processes':200}",
     .nodes = 3,
     .silent = 1,
     .processes = 120,
     .told = 200,
     .status = CONDITION_FALSE,
     .reason = "ObservedBriefly",
     .since = "2025-12-31T20:00:00Z",
     .again = 20 * HOUR,
     .message = "no access beyond the policy since 2025-12-31T20:00:00Z: quiet for 24 h is wanted; "
                "at least 200 processes ran under it"},
    {.name = "what ran under another text is not counted",
     .old = "{'revision':'" R2 "','since':'2025-12-31T20:00:00Z','nodes':4,'processes':200}",
     .nodes = 3,
     .processes = 7,
     .told = 5,
     .status = CONDITION_FALSE,
     .reason = "ObservedBriefly",
     .since = "2026-01-01T00:00:00Z",
     .again = DAY,
     .message = "no access beyond the policy since 2026-01-01T00:00:00Z: quiet for 24 h is wanted; "
                "at least 5 processes ran under it"},
    {.name = "another text has not been observed",
     .old = OLD(R2, "2025-12-01T00:00:00Z"),
     .nodes = 3,
     .status = CONDITION_FALSE,
     .reason = "ObservedBriefly",
     .since = "2026-01-01T00:00:00Z",
     .again = DAY,
     .message = "no access beyond the policy since 2026-01-01T00:00:00Z: quiet for 24 h is wanted; "
                "no process has been seen under it"},
    {.name = "an access an hour ago",
     .old = OLD(R1, "2025-12-01T00:00:00Z"),
     .nodes = 3,
     .last = HOUR + 1,
     .status = CONDITION_FALSE,
     .reason = "WouldBeDenied",
     .since = "2025-12-31T23:00:00Z",
     .again = 23 * HOUR,
     .message = "accesses beyond the policy until 2025-12-31T23:00:00Z: quiet for 24 h is wanted; "
                "see status.denials of AppArmorNodes"},
    {.name = "times are told in steps",
     .old = OLD(R1, "2025-12-01T00:00:00Z"),
     .nodes = 3,
     .last = HOUR + 599999,
     .status = CONDITION_FALSE,
     .reason = "WouldBeDenied",
     .since = "2025-12-31T23:00:00Z",
     .again = 23 * HOUR,
     .message = "accesses beyond the policy until 2025-12-31T23:00:00Z: quiet for 24 h is wanted; "
                "see status.denials of AppArmorNodes"},
    {.name = "an access long ago",
     .old = OLD(R1, "2025-12-01T00:00:00Z"),
     .nodes = 3,
     .processes = 99,
     .told = 50,
     .last = 2 * DAY,
     .status = CONDITION_TRUE,
     .reason = "Quiet",
     .since = "2025-12-30T00:00:00Z",
     .message = "no access beyond the policy since 2025-12-30T00:00:00Z on 3 nodes; at "
                "least 50 processes ran under it: see that what it is for has run"},
    {.name = "an agent that counts anew undoes nothing",
     .old = OLD(R1, "2025-12-31T23:00:00Z"),
     .nodes = 3,
     .status = CONDITION_FALSE,
     .reason = "ObservedBriefly",
     .since = "2025-12-31T23:00:00Z",
     .again = 23 * HOUR,
     .message = "no access beyond the policy since 2025-12-31T23:00:00Z: quiet for 24 h is wanted; "
                "no process has been seen under it"},
    {.name = "not everywhere",
     .old = OLD(R1, "2025-12-01T00:00:00Z"),
     .not_everywhere = true,
     .nodes = 3,
     .status = CONDITION_FALSE,
     .reason = "NotObserved",
     .since = "2025-12-01T00:00:00Z",
     .message = "not every selected node has it loaded"},
    {.name = "nowhere",
     .told = -1,
     .old = OLD(R1, "2025-12-01T00:00:00Z"),
     .status = CONDITION_FALSE,
     .reason = "NotObserved",
     .since = "2025-12-01T00:00:00Z",
     .message = "not every selected node has it loaded"},
    {.name = "a node that hears nothing",
     .old = OLD(R1, "2025-12-01T00:00:00Z"),
     .nodes = 3,
     .blind = 1,
     .status = CONDITION_FALSE,
     .reason = "NotObserved",
     .since = "2025-12-01T00:00:00Z",
     .message = "1 of 3 nodes are told of no denials: see status.audit of their AppArmorNodes"},
    {.name = "nonsense is no evidence",
     .old = OLD(R1, "ages ago"),
     .nodes = 3,
     .status = CONDITION_FALSE,
     .reason = "ObservedBriefly",
     .since = "2026-01-01T00:00:00Z",
     .again = DAY,
     .message = "no access beyond the policy since 2026-01-01T00:00:00Z: quiet for 24 h is wanted; "
                "no process has been seen under it"},
};

Test(promotion, is_what_the_nodes_have_seen)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ cJSON *old = cases[i].old ? json_of("%s", cases[i].old) : NULL;
        const struct promotion_question question = {
            .revision = R1,
            .everywhere = !cases[i].not_everywhere,
            .old = old,
            .nodes = cases[i].nodes,
            .blind = cases[i].blind,
            .silent = cases[i].silent,
            .processes = cases[i].processes,
            .last_ms = cases[i].last ? NOW - cases[i].last : 0,
            .now_ms = NOW,
            .after_ms = DAY,
        };
        struct promotion promotion;

        promotion_decide(&question, &promotion);
        cr_assert_eq(promotion.status, cases[i].status, "%s", cases[i].name);
        cr_assert_str_eq(promotion.reason, cases[i].reason, "%s", cases[i].name);
        cr_assert_str_eq(buf_string(&promotion.message), cases[i].message, "%s", cases[i].name);
        cr_assert_str_eq(json_string(promotion.json, "since"), cases[i].since, "%s", cases[i].name);
        cr_assert_eq(json_int(json_get(promotion.json, "processes"), -1), cases[i].told, "%s",
                     cases[i].name);
        cr_assert_eq(promotion.again_ms, cases[i].again, "%s: %" PRIu64, cases[i].name,
                     promotion.again_ms);
        promotion_done(&promotion);
    }
}

static void set_node(struct node_index *index, struct liveness *liveness, const char *name,
                     const char *mode, const char *source, const char *violation, int processes)
{
    _cleanup_json_ cJSON *status =
        json_of("{'apparmor':'Enabled','audit':{'source':'%s'},'profiles':[{'name':'web',"
                "'generation':1,'revision':'" R1 "','state':'Loaded','mode':'%s',"
                "'processes':%d}],"
                "'violations':[%s]}",
                source, mode, processes, violation);

    liveness_set_node(liveness, name, true, 0);
    node_index_set_node(index, name, NULL);
    set_report(index, name, status);
}

#define ALLOWED(revision, allowed)                                            \
    "{'object':'web','revision':'" revision "','denied':9,'allowed':" allowed \
    ",'lastTime':'2025-01-01T00:00:00Z'}"

static void look(const struct node_index *index, const struct liveness *liveness,
                 struct promotion *ret)
{
    const struct profile_spec spec = {.name = "web", .generation = 1, .revision = R1};
    _cleanup_json_ cJSON *status = json_of("{'promotion':" OLD(R1, "2024-01-01T00:00:00Z") "}");

    promotion_look(index, liveness, &spec, status, 0, DAY, ret);
}

Test(promotion, counts_live_nodes_of_this_revision)
{
    const struct profile_spec spec = {.name = "web", .generation = 1, .revision = R1};
    _cleanup_(node_index_freep) struct node_index *index = node_index_new(ignore_change, NULL);
    _cleanup_(liveness_freep) struct liveness *liveness = liveness_new(1000);
    struct promotion promotion;

    node_index_set_profile(index, &spec);
    look(index, liveness, &promotion);
    cr_assert_not(promotion.applies, "no node has it in any mode");
    promotion_done(&promotion);

    set_node(index, liveness, "a", "Complain", "Netlink", ALLOWED(R1, "0"), 20);
    set_node(index, liveness, "b", "Complain", "KernelLog", ALLOWED(R2, "5"), 50);
    look(index, liveness, &promotion);
    cr_assert(promotion.applies);
    cr_assert_str_eq(promotion.reason, "Quiet");
    cr_assert_str_eq(json_string(promotion.json, "since"), "2024-01-01T00:00:00Z",
                     "what deny rules and other revisions refuse is something else");
    cr_assert_eq(json_int(json_get(promotion.json, "nodes"), 0), 2);
    cr_assert_eq(json_int(json_get(promotion.json, "processes"), 0), 50, "70, coarsely");
    promotion_done(&promotion);

    set_node(index, liveness, "b", "Complain", "Netlink", ALLOWED(R1, "1"), 50);
    look(index, liveness, &promotion);
    cr_assert_str_eq(json_string(promotion.json, "since"), "2025-01-01T00:00:00Z");
    promotion_done(&promotion);

    set_node(index, liveness, "b", "Complain", "None", "", 50);
    look(index, liveness, &promotion);
    cr_assert_str_eq(promotion.reason, "NotObserved");
    promotion_done(&promotion);

    set_node(index, liveness, "b", "Enforce", "Netlink", "", 50);
    look(index, liveness, &promotion);
    cr_assert_not(promotion.applies);
    promotion_done(&promotion);
}
