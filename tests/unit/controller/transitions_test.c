// SPDX-License-Identifier: Apache-2.0
#include "controller/transitions.h"

#include "lib/base/buf.h"
#include "tests/unit/controller/support.h"

/* A profile, its status as it is written again and again, and what is told of that. */
struct story {
    struct node_index *index;
    struct profile_spec profile;
    cJSON *status;
    struct good_news news;
    struct opinion opinion;
};

static void story_init(struct story *story)
{
    alloc_init();
    *story = (struct story){
        .index = node_index_new(ignore_change, NULL),
        .profile = {.name = "web", .generation = 1, .revision = "r1"},
        .status = json_of("{'observedGeneration':-1}"),
    };
    node_index_set_profile(story->index, &story->profile);
}

static void story_done(struct story *story)
{
    cJSON_Delete(story->status);
    node_index_free(story->index);
}
#define _cleanup_story_ _cleanup_(story_done)

static void edit(struct story *story, int64_t generation)
{
    story->profile.generation = generation;
    node_index_set_profile(story->index, &story->profile);
}

static void node_says(struct story *story, int node, const char *state, const char *reason,
                      const char *message)
{
    _cleanup_free_ char *name = xasprintf("node-%02d", node);
    _cleanup_json_ cJSON *status = json_of(
        "{'apparmor':'Enabled','profiles':[{'name':'web','generation':%d,'revision':'r1',"
        "'state':'%s','reason':'%s','message':'%s','profileNames':['web'],'mode':'Enforce'}]}",
        (int) story->profile.generation, state, reason, message);

    node_index_set_node(story->index, name, NULL);
    set_report(story->index, name, status);
}

static void node_loads(struct story *story, int node)
{
    node_says(story, node, "Loaded", "", "");
}

static void node_leaves(struct story *story, int node)
{
    _cleanup_free_ char *name = xasprintf("node-%02d", node);

    node_index_remove_node(story->index, name);
    node_index_remove_report(story->index, name);
}

static struct holders holders_of(const struct story *story)
{
    _cleanup_(liveness_freep) struct liveness *liveness = liveness_new(1000);
    struct holders holders;

    liveness_set_node(liveness, "node-00", true, 0);
    holders_find(&holders, story->index, liveness, "web", 0);
    return holders;
}

/* The status is written; what is told, a line each: N or W, the reason, the message. */
static char *told(struct story *story)
{
    const struct holders holders = holders_of(story);
    const struct rollup rollup = {.profile = &story->profile,
                                  .holders = &holders,
                                  .tally = node_index_tally(story->index, "web"),
                                  .opinion = &story->opinion,
                                  .old = story->status};
    cJSON *status = rollup_status(&rollup);
    const struct status_change change = {story->index, "web", story->status, status};
    _cleanup_transitions_ struct transition_list list = {0};
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 16);

    transitions_find(&change, &story->news, &list);
    for (size_t i = 0; i < list.len; i++)
        (void) buf_addf(&out, "%s%s%s%s %s: %s", i > 0 ? "\n" : "",
                        list.items[i].other ? list.items[i].other : "",
                        list.items[i].other ? "'s " : "", list.items[i].warning ? "W" : "N",
                        list.items[i].reason, list.items[i].message);
    cJSON_Delete(story->status);
    story->status = status;
    return xstrdup(buf_string(&out));
}

#define TELLS(story, expected)                          \
    do {                                                \
        _cleanup_free_ char *told_ = told(story);       \
        cr_assert_str_eq(told_, expected, "%s", told_); \
    } while (0)

Test(transitions, a_generation_is_told_when_it_is_on_its_way_and_when_it_is_everywhere)
{
    _cleanup_story_ struct story story;

    story_init(&story);
    node_says(&story, 0, "Pending", "", "");
    node_says(&story, 1, "Pending", "", "");
    TELLS(&story, "N NodesPending: 0 of 2 nodes loaded; waiting for node-00, node-01");
    node_loads(&story, 0);
    TELLS(&story, "");
    node_loads(&story, 1);
    TELLS(&story, "N AllNodesLoaded: 2 of 2 nodes loaded");
    TELLS(&story, "");

    edit(&story, 2);
    TELLS(&story, "N NodesPending: 0 of 2 nodes loaded; waiting for node-00, node-01");
    node_loads(&story, 0);
    node_loads(&story, 1);
    TELLS(&story, "N AllNodesLoaded: 2 of 2 nodes loaded");
}

Test(transitions, nodes_that_come_and_go_are_not_told)
{
    _cleanup_story_ struct story story;

    story_init(&story);
    node_loads(&story, 0);
    TELLS(&story, "N AllNodesLoaded: 1 of 1 node loaded");
    for (int node = 1; node < 4; node++) {
        node_says(&story, node, "Pending", "", "");
        TELLS(&story, "");
        node_loads(&story, node);
        TELLS(&story, "");
    }
    node_leaves(&story, 2);
    TELLS(&story, "");
}

Test(transitions, when_the_last_node_goes_and_when_one_is_back_is_told)
{
    _cleanup_story_ struct story story;

    story_init(&story);
    node_loads(&story, 0);
    TELLS(&story, "N AllNodesLoaded: 1 of 1 node loaded");
    node_leaves(&story, 0);
    TELLS(&story, "N NoNodesSelected: no node that runs the agent and has AppArmor is selected");
    node_loads(&story, 0);
    TELLS(&story, "N AllNodesLoaded: 1 of 1 node loaded");
}

Test(transitions, a_failure_is_told_once_with_its_reason_and_so_is_its_end)
{
    _cleanup_story_ struct story story;

    story_init(&story);
    node_loads(&story, 0);
    node_loads(&story, 1);
    TELLS(&story, "N AllNodesLoaded: 2 of 2 nodes loaded");
    node_says(&story, 1, "Failed", "NameConflict", "the name web belongs to shop");
    TELLS(&story, "W NameConflict: node-01: the name web belongs to shop");
    TELLS(&story, "");
    node_says(&story, 1, "Failed", "LoadFailed", "");
    TELLS(&story, "W LoadFailed: node-01");
    node_loads(&story, 1);
    TELLS(&story, "N NodeRecovered: node-01 has loaded it after a failure\n"
                  "N AllNodesLoaded: 2 of 2 nodes loaded");
    TELLS(&story, "");
}

Test(transitions, a_node_that_failed_and_left_has_not_recovered)
{
    _cleanup_story_ struct story story;

    story_init(&story);
    node_loads(&story, 0);
    node_says(&story, 1, "Failed", "LoadFailed", "no");
    TELLS(&story, "W LoadFailed: node-01: no");
    node_leaves(&story, 1);
    TELLS(&story, "N AllNodesLoaded: 1 of 1 node loaded");
}

Test(transitions, the_same_failure_of_a_new_generation_is_told_again)
{
    _cleanup_story_ struct story story;

    story_init(&story);
    node_says(&story, 0, "Failed", "CompileError", "line 1: no");
    TELLS(&story, "W CompileError: node-00: line 1: no");
    edit(&story, 2);
    node_says(&story, 0, "Failed", "CompileError", "line 1: no");
    TELLS(&story, "W CompileError: node-00: line 1: no");
}

Test(transitions, failures_alike_are_told_together_and_how_many_there_are)
{
    _cleanup_story_ struct story story;

    story_init(&story);
    for (int node = 0; node < 40; node++)
        node_says(&story, node, "Failed", node % 2 ? "LoadFailed" : "CompileError", "no");
    TELLS(&story, "W CompileError: node-00 and 19 others: no\n"
                  "W LoadFailed: node-01 and 19 others: no");
    /* The list is full: who appears in it now may have failed long ago. */
    node_loads(&story, 0);
    TELLS(&story, "N NodeRecovered: node-00 has loaded it after a failure");
    for (int node = 1; node < 4; node++)
        node_loads(&story, node);
    TELLS(&story, "N NodeRecovered: node-01 and 2 others have loaded it after a failure");
}

Test(transitions, an_object_that_cannot_be_accepted_is_told_once_per_generation)
{
    _cleanup_story_ struct story story;

    story_init(&story);
    story.profile.invalid_reason = "InvalidSpec";
    story.profile.invalid_message = "spec.policy is empty: write a profile";
    TELLS(&story, "W Invalid: spec.policy is empty: write a profile");
    TELLS(&story, "");
    edit(&story, 2);
    TELLS(&story, "W Invalid: spec.policy is empty: write a profile");
}

Test(transitions, a_deletion_is_told_when_it_begins)
{
    _cleanup_story_ struct story story;

    story_init(&story);
    node_loads(&story, 0);
    TELLS(&story, "N AllNodesLoaded: 1 of 1 node loaded");
    cr_assert(!transitions_told_deletion(story.status));
    story.profile.deleting = true;
    TELLS(&story, "N Terminating: being deleted; being unloaded on 1 node: node-00");
    cr_assert(transitions_told_deletion(story.status));
    node_says(&story, 0, "Draining", "InUse", "pod shop/web names it");
    TELLS(&story, "");
    node_leaves(&story, 0);
    TELLS(&story, "");
}

/* What is told when the object is let go, as above. */
static char *told_release(const struct story *story, bool forced, bool waited)
{
    const struct holders holders = holders_of(story);
    _cleanup_transitions_ struct transition_list list = {0};

    transitions_find_release(forced, waited, &holders, &list);
    if (list.len == 0)
        return xstrdup("");
    return xasprintf("%s %s: %s", list.items[0].warning ? "W" : "N", list.items[0].reason,
                     list.items[0].message);
}

#define TELLS_RELEASE(story, forced, waited, expected)                    \
    do {                                                                  \
        _cleanup_free_ char *told_ = told_release(story, forced, waited); \
        cr_assert_str_eq(told_, expected, "%s", told_);                   \
    } while (0)

Test(transitions, the_end_is_told_of_what_was_waited_for_or_is_left_behind)
{
    _cleanup_story_ struct story story;

    story_init(&story);
    TELLS_RELEASE(&story, false, false, "");
    TELLS_RELEASE(&story, false, true, "N Released: no live node has it to unload any more");
    node_loads(&story, 1); /* liveness does not know it */
    TELLS_RELEASE(&story, false, false,
                  "N Released: no live node has it to unload any more; not waiting for lost "
                  "agents, which unload it when they are back, on 1 node: node-01");
    node_says(&story, 0, "Draining", "InUse", "process 7");
    TELLS_RELEASE(&story, true, true,
                  "W ForceDeleted: deleted by force; still in use on 1 node: node-00: process 7; "
                  "not waiting for lost agents, which unload it when they are back, on 1 node: "
                  "node-01");
}

/* Who takes over knows of what was told only what the status says. */
Test(transitions, a_successor_does_not_repeat_what_was_told)
{
    _cleanup_story_ struct story story;

    story_init(&story);
    node_loads(&story, 0);
    node_says(&story, 1, "Failed", "LoadFailed", "no");
    TELLS(&story, "W LoadFailed: node-01: no");
    story.news = good_news_of(story.status);
    cr_assert(!story.news.told);
    TELLS(&story, "");
    node_loads(&story, 1);
    TELLS(&story, "N NodeRecovered: node-01 has loaded it after a failure\n"
                  "N AllNodesLoaded: 2 of 2 nodes loaded");

    story.news = good_news_of(story.status);
    node_says(&story, 2, "Pending", "", "");
    TELLS(&story, "");
    node_loads(&story, 2);
    TELLS(&story, "");
}

Test(transitions, a_text_that_is_refused_is_told_before_nodes_fail)
{
    _cleanup_story_ struct story story;

    story_init(&story);
    story.opinion = (struct opinion){OPINION_REFUSED, "CompileError", "line 3: no", "0", NULL};
    node_says(&story, 0, "Pending", "", "");
    TELLS(&story, "W Invalid: 0 of 1 node loaded; line 3: no");
    node_says(&story, 0, "Failed", "CompileError", "line 3: no");
    TELLS(&story, "W CompileError: node-00: line 3: no");
}

Test(transitions, a_warning_is_told_once)
{
    _cleanup_story_ struct story story;
    _cleanup_json_ cJSON *one = json_of("[{'reason':'A','message':'a'}]"),
                         *two =
                             json_of("[{'reason':'A','message':'a'},{'reason':'B','message':'b'}]");

    story_init(&story);
    node_loads(&story, 0);
    story.opinion = (struct opinion){OPINION_ACCEPTED, "", "", "0", one};
    TELLS(&story, "W A: a\nN AllNodesLoaded: 1 of 1 node loaded");
    TELLS(&story, "");
    story.opinion.warnings = two;
    TELLS(&story, "W B: b");
    story.opinion.warnings = one;
    TELLS(&story, "");
}

/* Who has the name sees nothing else of it. */
Test(transitions, a_name_conflict_is_told_of_both_objects)
{
    _cleanup_story_ struct story story;

    story_init(&story);
    node_says(&story, 0, "Failed", "NameConflict",
              "profile web belongs to AppArmorProfile shop on this node");
    node_says(&story, 1, "Failed", "NameConflict",
              "profile web belongs to AppArmorProfile shop on this node");
    TELLS(&story,
          "W NameConflict: node-00 and 1 other: profile web belongs to AppArmorProfile shop on "
          "this node\n"
          "shop's W NameConflict: node-00 and 1 other: AppArmorProfile web declares a profile name "
          "of this one, too, and is not loaded there");
    TELLS(&story, "");
}
