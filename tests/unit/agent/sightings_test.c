// SPDX-License-Identifier: Apache-2.0
#include "agent/sightings.h"

#include <criterion/criterion.h>

#include "lib/base/alloc.h"

#define R1 "11111111111111111111111111111111"
#define R2 "22222222222222222222222222222222"
#define SINCE 1000

static struct sightings sightings;

static void teardown(void)
{
    sightings_done(&sightings);
}

TestSuite(sightings, .init = alloc_init, .fini = teardown);

struct process {
    pid_t pid;
    uint64_t start;
    bool elsewhere; /* alive, but not under the profile */
};

#define MAX 8
#define IN(pid, start)    \
    {                     \
        pid, start, false \
    }
#define OUT(pid)     \
    {                \
        pid, 0, true \
    }
#define LOOK(revision, ...)                               \
    look(revision, (const struct process[]){__VA_ARGS__}, \
         sizeof((const struct process[]){__VA_ARGS__}) / sizeof(struct process))

/* Returns what is counted then. */
static uint64_t look(const char *revision, const struct process *processes, size_t count)
{
    pid_t alive[MAX];
    struct sighting seen[MAX];
    struct sightings_look look = {.alive = alive, .seen = seen, .since = SINCE};

    for (size_t i = 0; i < count; i++) {
        alive[look.alive_count++] = processes[i].pid;
        if (!processes[i].elsewhere)
            seen[look.seen_count++] =
                (struct sighting){.pid = processes[i].pid, .start = processes[i].start};
    }
    sightings_add(&sightings, revision, &look);
    return sightings_count(&sightings, revision);
}

Test(sightings, a_process_counts_once)
{
    cr_assert_eq(sightings_count(&sightings, R1), 0);
    cr_assert_eq(LOOK(R1, IN(10, 1), IN(20, 2000)), 2);
    cr_assert_eq(LOOK(R1, IN(10, 1), IN(20, 2000)), 2);
    cr_assert_eq(LOOK(R1, IN(5, 3000), IN(10, 1), IN(20, 2000), IN(30, 3000)), 4);
}

Test(sightings, what_has_ended_stays_counted)
{
    cr_assert_eq(LOOK(R1, IN(10, 1), IN(20, 2000)), 2);
    cr_assert_eq(LOOK(R1, OUT(2)), 2);
    cr_assert_eq(sightings.len, 0, "and takes no memory");
    cr_assert_eq(LOOK(R1, IN(30, 3000)), 3);
}

Test(sightings, a_number_that_is_given_out_again_is_another_process)
{
    cr_assert_eq(LOOK(R1, IN(10, 1)), 1);
    cr_assert_eq(LOOK(R1, IN(10, 2000)), 2);
    cr_assert_eq(sightings.len, 1);
}

Test(sightings, who_leaves_the_profile_and_comes_back_counts_once)
{
    cr_assert_eq(LOOK(R1, IN(10, 1), IN(11, 1)), 2);
    cr_assert_eq(LOOK(R1, OUT(10), IN(11, 1)), 2);
    cr_assert_eq(LOOK(R1, IN(10, 1), IN(11, 1)), 2);
}

Test(sightings, another_revision_begins_anew_with_what_runs)
{
    cr_assert_eq(LOOK(R1, IN(10, 1), IN(20, 2000), IN(30, 2000)), 3);
    cr_assert_eq(sightings_count(&sightings, R2), 0);
    cr_assert_eq(LOOK(R2, IN(10, 1)), 1);
    cr_assert_eq(sightings_count(&sightings, R1), 0);
}

/* An agent that starts anew meets processes that the one before it may have counted. */
Test(sightings, a_restart_counts_no_process_twice)
{
    sightings_adopt(&sightings, R1, 5);
    cr_assert_eq(sightings_count(&sightings, R1), 5);
    cr_assert_eq(LOOK(R1, IN(10, 1), IN(20, 2)), 5);
    cr_assert_eq(LOOK(R1, IN(10, 1), IN(20, 2), IN(30, SINCE)), 6, "begun since: none of the five");
}

Test(sightings, what_was_told_may_have_been_less)
{
    cr_assert_eq(LOOK(R1, IN(10, 1), IN(20, 2), IN(30, 3)), 3);
    sightings_adopt(&sightings, R1, 2);
    cr_assert_eq(sightings_count(&sightings, R1), 3);
}

Test(sightings, what_was_told_of_another_revision_is_dropped)
{
    sightings_adopt(&sightings, R2, 50);
    cr_assert_eq(LOOK(R1, IN(10, 1)), 1);
    cr_assert_eq(LOOK(R2, IN(10, 1)), 1);
}
