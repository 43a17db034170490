// SPDX-License-Identifier: Apache-2.0
#include "controller/liveness.h"

#include "tests/unit/controller/support.h"

TestSuite(liveness, .init = alloc_init);

#define AFTER 300
#define NEVER UINT64_MAX

/* What is seen at which time, in characters: N the Node Ready, n not Ready, - gone; + a Ready pod
 * comes, o one that is not; x the Ready pod goes, X the other; p a pod on another node. */
struct step {
    uint64_t at;
    const char *what;
};

struct liveness_case {
    const char *name;
    struct step steps[5];
    uint64_t asked;
    bool lost;
    uint64_t lost_at;
};

static const struct liveness_case CASES[] = {
    {"nothing is known", {{0, ""}}, 10, true, 0},
    {"a Node alone, where no pod ever was", {{0, "N"}}, 9000, false, NEVER},
    {"such a Node that is not Ready", {{100, "n"}}, 399, false, 400},
    {"for long", {{100, "n"}}, 400, true, 0},
    {"it has been Ready meanwhile", {{100, "n"}, {200, "N"}, {300, "n"}}, 599, false, 600},
    {"the same again changes nothing", {{100, "n"}, {300, "n"}}, 400, true, 0},
    {"it is Ready again", {{100, "n"}, {300, "N"}}, 9000, false, NEVER},
    {"it has gone", {{100, "N+"}, {200, "-"}}, 201, true, 0},
    {"and is back", {{0, "N+"}, {200, "-"}, {210, "N"}}, 9000, false, NEVER},
    {"not Ready after it was gone", {{0, "n+"}, {200, "-"}, {210, "n"}}, 509, false, 510},
    {"a Ready pod", {{0, "N+"}}, 9000, false, NEVER},
    {"the pod came first", {{0, "+"}, {10, "N"}}, 9000, false, NEVER},
    {"a pod without its Node", {{0, "+"}}, 10, true, 0},
    {"a pod that is not Ready", {{0, "No"}}, 299, false, 300},
    {"for long", {{0, "No"}}, 300, true, 0},
    {"one of two", {{0, "No"}, {100, "+"}}, 9000, false, NEVER},
    {"the other of two", {{0, "No+"}, {100, "X"}}, 9000, false, NEVER},
    {"it goes and none comes", {{0, "N+"}, {1000, "x"}}, 1299, false, 1300},
    {"for long", {{0, "N+"}, {1000, "x"}}, 1300, true, 0},
    {"its successor does not get Ready", {{0, "N+"}, {1000, "x"}, {1010, "o"}}, 1300, true, 0},
    {"its successor does", {{0, "N+"}, {1000, "x"}, {1200, "+"}}, 9000, false, NEVER},
    {"late", {{0, "N+"}, {1000, "x"}, {1900, "+"}}, 1901, false, NEVER},
    {"the Node is not Ready, the pod is said to be", {{0, "n+"}}, 300, true, 0},
    {"what is earlier counts", {{0, "N+"}, {100, "x"}, {200, "n"}}, 399, false, 400},
    {"without a pod where others have one", {{0, "N"}, {100, "p"}}, 399, false, 400},
    {"for long", {{0, "N"}, {100, "p"}}, 400, true, 0},
};

static void take_step(struct liveness *liveness, const struct step *step)
{
    for (const char *c = step->what ? step->what : ""; *c; c++) {
        if (*c == 'N' || *c == 'n')
            liveness_set_node(liveness, "a", *c == 'N', step->at);
        else if (*c == '-')
            liveness_remove_node(liveness, "a");
        else if (*c == '+' || *c == 'o')
            liveness_add_pod(liveness, "a", *c == '+', step->at);
        else if (*c == 'x' || *c == 'X')
            liveness_remove_pod(liveness, "a", *c == 'x', step->at);
        else
            liveness_add_pod(liveness, "b", true, step->at);
    }
}

Test(liveness, a_node_is_lost_when_it_has_been_away_for_a_while)
{
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        _cleanup_(liveness_freep) struct liveness *liveness = liveness_new(AFTER);
        uint64_t lost_at = 0;

        for (size_t j = 0; j < ARRAY_SIZE(CASES[i].steps); j++)
            take_step(liveness, &CASES[i].steps[j]);
        cr_expect_eq(liveness_lost(liveness, "a", CASES[i].asked, &lost_at), CASES[i].lost,
                     "%zu: %s", i, CASES[i].name);
        cr_expect_eq(lost_at, CASES[i].lost_at, "%zu: %s: %llu", i, CASES[i].name,
                     (unsigned long long) lost_at);
    }
}
