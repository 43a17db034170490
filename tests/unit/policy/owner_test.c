// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/owner.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/cleanup.h"

struct owner_case {
    const char *what;
    struct owner_claim claims[3];
    size_t count;
    ptrdiff_t owner;
};

static const struct owner_case CASES[] = {
    {"nobody claims", {{0}}, 0, -1},
    {"who neither selects nor holds gets nothing", {{.object = "a"}}, 1, -1},
    {"the oldest owns",
     {{.object = "a", .uid = "1", .created_ms = 20, .selects = true},
      {.object = "b", .uid = "2", .created_ms = 10, .selects = true}},
     2,
     1},
    {"of the same age, the lower uid owns",
     {{.object = "a", .uid = "2", .created_ms = 10, .selects = true},
      {.object = "b", .uid = "1", .created_ms = 10, .selects = true}},
     2,
     1},
    {"without uids the name decides",
     {{.object = "b", .uid = "", .selects = true}, {.object = "a", .selects = true}},
     2,
     1},
    {"an older object that begins to declare the name does not seize it",
     {{.object = "old", .uid = "1", .created_ms = 1, .selects = true},
      {.object = "held", .uid = "2", .created_ms = 9, .selects = true, .incumbent = true}},
     2,
     1},
    {"an incumbent that is deleted hands over at once",
     {{.object = "a",
       .uid = "1",
       .created_ms = 1,
       .selects = true,
       .deleting = true,
       .incumbent = true},
      {.object = "b", .uid = "2", .created_ms = 2, .selects = true}},
     2,
     1},
    {"an incumbent that selects the node no more hands over",
     {{.object = "a", .uid = "1", .created_ms = 1, .incumbent = true},
      {.object = "b", .uid = "2", .created_ms = 2, .selects = true}},
     2,
     1},
    {"what is deleted inherits nothing",
     {{.object = "a", .uid = "1", .created_ms = 1, .incumbent = true},
      {.object = "b", .uid = "2", .created_ms = 2, .selects = true, .deleting = true}},
     2,
     0},
    {"an incumbent without a successor drains",
     {{.object = "a", .uid = "1", .selects = true, .deleting = true, .incumbent = true}},
     1,
     0},
    {"the eldest of the heirs takes over",
     {{.object = "a", .uid = "1", .created_ms = 1, .deleting = true, .incumbent = true},
      {.object = "b", .uid = "2", .created_ms = 3, .selects = true},
      {.object = "c", .uid = "3", .created_ms = 2, .selects = true}},
     3,
     2},
};

Test(owner, each_case)
{
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++)
        cr_expect_eq(owner_decide(CASES[i].claims, CASES[i].count), CASES[i].owner, "%s",
                     CASES[i].what);
}

/* All claims over a small universe, in all rotations and reversed. */
Test(owner, does_not_depend_on_the_order_of_claims)
{
    enum { KINDS = 8, CLAIMS = 3 };
    struct owner_claim claims[CLAIMS], turned[CLAIMS];

    for (unsigned combination = 0; combination < KINDS * KINDS * KINDS; combination++) {
        static const char *const objects[CLAIMS] = {"a", "b", "c"};
        unsigned rest = combination;

        for (size_t i = 0; i < CLAIMS; i++, rest /= KINDS)
            claims[i] = (struct owner_claim){.object = objects[i],
                                             .uid = objects[CLAIMS - 1 - i],
                                             .created_ms = i == 1,
                                             .selects = rest & 1,
                                             .deleting = rest & 2,
                                             .incumbent = rest & 4};
        ptrdiff_t owner = owner_decide(claims, CLAIMS);
        for (size_t turn = 0; turn < CLAIMS; turn++) {
            for (size_t i = 0; i < CLAIMS; i++)
                turned[i] = claims[(i + turn) % CLAIMS];
            ptrdiff_t again = owner_decide(turned, CLAIMS);
            cr_assert_eq(owner < 0, again < 0);
            if (owner >= 0)
                cr_assert_str_eq(turned[again].object, claims[owner].object);
        }
    }
}
