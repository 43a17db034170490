// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/rollout.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

#define R1 "11111111111111111111111111111111"
#define R2 "22222222222222222222222222222222"
#define R3 "33333333333333333333333333333333"

TestSuite(rollout, .init = alloc_init);

static int by_value(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;

    return *one < *other ? -1 : *one > *other;
}

static uint64_t hash_of(size_t node, const char *revision)
{
    char name[32];

    (void) snprintf(name, sizeof(name), "node-%zu", node);
    return policy_rollout_hash(name, revision);
}

/* Agents and controllers of different releases must agree for ever. */
Test(rollout, the_hash_is_what_it_always_was)
{
    cr_assert_eq(policy_rollout_hash("node-1", R1), 0x15afe79d31a3ed8cu, "%lx",
                 policy_rollout_hash("node-1", R1));
}

Test(rollout, each_revision_has_an_order_of_its_own)
{
    size_t before = 0, count = 1000;

    for (size_t i = 0; i < count; i++)
        before += (hash_of(i, R1) < UINT64_MAX / 2) == (hash_of(i, R2) < UINT64_MAX / 2);
    /* Independent: about half of them; eight standard deviations to each side. */
    cr_assert(before > count / 2 - 128 && before < count / 2 + 128, "%zu", before);
}

Test(rollout, hashes_are_spread_evenly)
{
    size_t tenths[10] = {0};

    for (size_t i = 0; i < 10000; i++)
        tenths[hash_of(i, R1) / (UINT64_MAX / 10 + 1)]++;
    for (size_t i = 0; i < 10; i++)
        cr_assert(tenths[i] > 1000 - 240 && tenths[i] < 1000 + 240, "%zu: %zu", i, tenths[i]);
}

Test(rollout, a_percentage_is_rounded_up_and_at_least_one_node)
{
    static const struct {
        unsigned percent;
        size_t nodes, count;
    } cases[] = {{1, 1, 1},  {1, 3, 1},  {1, 100, 1}, {1, 101, 2}, {10, 5, 1},
                 {34, 3, 2}, {50, 3, 2}, {99, 3, 3},  {100, 3, 3}, {25, 5000, 1250},
                 {1, 0, 1},  {67, 3, 3}, {33, 3, 1},  {100, 0, 1}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cr_assert_eq(policy_rollout_count(cases[i].percent, cases[i].nodes), cases[i].count,
                     "%u %% of %zu", cases[i].percent, cases[i].nodes);
}

/* Who has it at a percentage has it at every higher one, whoever joins or leaves meanwhile. */
Test(rollout, what_is_chosen_grows_with_the_percentage)
{
    for (size_t nodes = 1; nodes < 40; nodes++) {
        uint64_t hashes[40], last = 0;

        for (size_t i = 0; i < nodes; i++)
            hashes[i] = hash_of(i, R1);
        qsort(hashes, nodes, sizeof(*hashes), by_value);
        for (unsigned percent = 1; percent <= 100; percent++) {
            uint64_t threshold = hashes[policy_rollout_count(percent, nodes) - 1];

            cr_assert(threshold >= last);
            last = threshold;
        }
        cr_assert_eq(last, hashes[nodes - 1], "100 %% is all");
    }
}

static struct policy_rollout rollout_of(const char *revision, const char *previous,
                                        uint64_t threshold)
{
    struct policy_rollout rollout = {.percent = 25, .threshold = threshold, .ns = "system"};

    memcpy(rollout.revision, revision, strlen(revision));
    memcpy(rollout.previous, previous, strlen(previous));
    return rollout;
}

Test(rollout, what_is_written_is_read_back)
{
    struct policy_rollout written = rollout_of(R2, "", 0xfedcba9876543210), read;
    _cleanup_free_ char *text = policy_rollout_print(&written);

    cr_assert_eq(policy_rollout_parse(text, &read, NULL), 0);
    cr_assert(policy_rollout_equal(&written, &read));
    written.threshold++;
    cr_assert_not(policy_rollout_equal(&written, &read));
}

Test(rollout, what_nobody_writes_is_refused)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"revision\":\"" R1 "\",\"previous\":\"\",\"percent\":25}",
        "{\"revision\":\"\",\"previous\":\"\",\"percent\":25,\"threshold\":\"0123456789abcdef\","
        "\"namespace\":\"a\"}",
        "{\"revision\":\"" R1 "\",\"previous\":\"../../x\",\"percent\":25,\"threshold\":"
        "\"0123456789abcdef\",\"namespace\":\"a\"}",
        "{\"revision\":\"" R1 "\",\"previous\":\"\",\"percent\":0,\"threshold\":"
        "\"0123456789abcdef\",\"namespace\":\"a\"}",
        "{\"revision\":\"" R1 "\",\"previous\":\"\",\"percent\":101,\"threshold\":"
        "\"0123456789abcdef\",\"namespace\":\"a\"}",
        "{\"revision\":\"" R1 "\",\"previous\":\"\",\"percent\":25,\"threshold\":\"x\","
        "\"namespace\":\"a\"}",
        "{\"revision\":\"" R1 "\",\"previous\":\"\",\"percent\":25,\"threshold\":"
        "\"0123456789abcdef\",\"namespace\":\"../pods\"}",
        "{\"revision\":\"" R1 "\",\"previous\":\"\",\"percent\":25,\"threshold\":"
        "\"0123456789abcdef\",\"namespace\":\"\"}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct policy_rollout rollout;
        _cleanup_error_ struct error err = {0};

        cr_assert_eq(policy_rollout_parse(texts[i], &rollout, &err), -EINVAL, "%s", texts[i]);
        cr_assert(strstr(error_message(&err), "apparmor.io/rollout"), "%s", error_message(&err));
    }
}

Test(rollout, the_text_of_another_object_of_the_name_is_kept_under_another_name)
{
    _cleanup_free_ char *one = policy_rollout_kept_name("web", "u-1", R1);
    _cleanup_free_ char *other = policy_rollout_kept_name("web", "u-2", R1);
    _cleanup_free_ char *next = policy_rollout_kept_name("web", "u-1", R2);

    cr_assert_eq(strlen(one), strlen("web-") + 16);
    cr_assert_str_neq(one, other);
    cr_assert_str_neq(one, next);
}

/* --- what a node is to have --- */

static const struct {
    const char *name;
    bool all_at_once, first;
    const char *spec, *held;
    const char *published; /* revision, or NULL */
    const char *previous;
    bool chosen;
    enum policy_choice choice;
} cases[] = {
    {.name = "all at once",
     .all_at_once = true,
     .spec = R2,
     .held = R1,
     .published = R2,
     .previous = R1,
     .choice = POLICY_CHOICE_SPEC},
    {.name = "a first text goes everywhere",
     .first = true,
     .spec = R1,
     .held = "",
     .choice = POLICY_CHOICE_SPEC},
    {.name = "a new object with the annotation of an old one",
     .first = true,
     .spec = R1,
     .held = "",
     .published = R2,
     .previous = R3,
     .choice = POLICY_CHOICE_SPEC},
    {.name = "before the controller says anything",
     .spec = R2,
     .held = R1,
     .choice = POLICY_CHOICE_HELD},
    {.name = "a new node then", .spec = R2, .held = "", .choice = POLICY_CHOICE_WAIT},
    {.name = "a rollout of another revision counts as 0 %",
     .spec = R3,
     .held = R1,
     .published = R2,
     .previous = R1,
     .chosen = true,
     .choice = POLICY_CHOICE_HELD},
    {.name = "also where that had come already",
     .spec = R3,
     .held = R2,
     .published = R2,
     .previous = R1,
     .chosen = true,
     .choice = POLICY_CHOICE_HELD},
    {.name = "a new node then gets what all have",
     .spec = R3,
     .held = "",
     .published = R2,
     .previous = R1,
     .chosen = true,
     .choice = POLICY_CHOICE_PREVIOUS},
    {.name = "also after a complete one",
     .spec = R3,
     .held = "",
     .published = R2,
     .previous = R2,
     .choice = POLICY_CHOICE_PREVIOUS},
    {.name = "or nothing, if that is not known",
     .spec = R3,
     .held = "",
     .published = R2,
     .previous = "",
     .choice = POLICY_CHOICE_WAIT},
    {.name = "a new node in a roll-back",
     .spec = R1,
     .held = "",
     .published = R2,
     .previous = R1,
     .choice = POLICY_CHOICE_SPEC},
    {.name = "chosen",
     .spec = R2,
     .held = R1,
     .published = R2,
     .previous = R1,
     .chosen = true,
     .choice = POLICY_CHOICE_SPEC},
    {.name = "chosen and new",
     .spec = R2,
     .held = "",
     .published = R2,
     .previous = R1,
     .chosen = true,
     .choice = POLICY_CHOICE_SPEC},
    {.name = "not chosen",
     .spec = R2,
     .held = R1,
     .published = R2,
     .previous = R1,
     .choice = POLICY_CHOICE_HELD},
    {.name = "not chosen and new",
     .spec = R2,
     .held = "",
     .published = R2,
     .previous = R1,
     .choice = POLICY_CHOICE_PREVIOUS},
    {.name = "not chosen, with a text of a rollout that was given up",
     .spec = R3,
     .held = R2,
     .published = R3,
     .previous = R1,
     .choice = POLICY_CHOICE_PREVIOUS},
    {.name = "who has it keeps it",
     .spec = R2,
     .held = R2,
     .published = R2,
     .previous = R1,
     .choice = POLICY_CHOICE_SPEC},
    {.name = "complete",
     .spec = R2,
     .held = R1,
     .published = R2,
     .previous = R2,
     .choice = POLICY_CHOICE_SPEC},
    {.name = "nothing is known of the text before",
     .spec = R2,
     .held = R1,
     .published = R2,
     .previous = "",
     .choice = POLICY_CHOICE_HELD},
    {.name = "and the node has none",
     .spec = R2,
     .held = "",
     .published = R2,
     .previous = "",
     .choice = POLICY_CHOICE_SPEC},
};

Test(rollout, a_node_knows_what_it_is_to_have)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct policy_rollout published =
            rollout_of(cases[i].published ? cases[i].published : R1,
                       cases[i].previous ? cases[i].previous : "",
                       cases[i].published ? policy_rollout_hash("node-1", cases[i].published) : 0);
        const struct policy_rollout_question question = {
            .node = "node-1",
            .progressive = !cases[i].all_at_once,
            .first = cases[i].first,
            .spec_revision = cases[i].spec,
            .held_revision = cases[i].held,
            .published = cases[i].published ? &published : NULL,
        };

        published.threshold -= !cases[i].chosen;
        cr_assert_eq(policy_rollout_choose(&question), cases[i].choice, "%s", cases[i].name);
    }
}
