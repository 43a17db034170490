// SPDX-License-Identifier: Apache-2.0
#include "controller/rollout.h"

#include <inttypes.h>

#include "controller/rollout_steps.h"
#include "lib/base/clock.h"
#include "tests/unit/controller/support.h"

#define R1 "11111111111111111111111111111111"
#define R2 "22222222222222222222222222222222"
#define R3 "33333333333333333333333333333333"
#define NODES_MAX 40
#define STEPS "[{'percent':25,'pauseSeconds':60},{'percent':50}]"

TestSuite(rollout, .init = alloc_init);

/* An object, its nodes and its controller, which remembers nothing but what the object holds. */
struct world {
    cJSON *spec;
    char *annotation, *resume, *skip;
    cJSON *status; /* status.rollout */
    const char *revision;
    int64_t generation, now_ms;
    struct strv kept;
    size_t count;
    struct {
        char name[32];
        char held[POLICY_REVISION_SIZE];
        bool fails, lost;
        uint64_t denied, denied_before; /* by the revision; by that before */
    } nodes[NODES_MAX];
    size_t writes; /* of the annotation */
    bool refused, awaited;
};

#define _cleanup_world_ _cleanup_(world_done)

static void world_done(struct world *world)
{
    cJSON_Delete(world->spec);
    cJSON_Delete(world->status);
    free(world->annotation);
    free(world->resume);
    free(world->skip);
    strv_done(&world->kept);
}

/* All nodes have R1, and the spec is to become another. */
static void world_init(struct world *world, size_t count, const char *steps)
{
    *world = (struct world){.revision = R1, .generation = 1, .now_ms = 1000000000, .count = count};
    world->spec = json_of("{'strategy':'Progressive','steps':%s}", steps);
    strv_add(&world->kept, R1);
    for (size_t i = 0; i < count; i++) {
        (void) snprintf(world->nodes[i].name, sizeof(world->nodes[i].name), "node-%zu", i);
        memcpy(world->nodes[i].held, R1, POLICY_REVISION_SIZE);
    }
}

static void edit(struct world *world, const char *revision)
{
    _cleanup_strv_ struct strv before = world->kept;

    world->revision = revision;
    world->generation++;
    world->kept = (struct strv){0};
    strv_add(&world->kept, revision);
    for (size_t i = 0; i < before.len; i++)
        if (strcmp(before.items[i], revision) != 0)
            strv_add(&world->kept, before.items[i]);
}

static enum node_state state_of(const struct world *world, size_t i)
{
    const char *held = world->nodes[i].held;

    if (strcmp(held, world->revision) != 0)
        return NODE_OUTDATED;
    return world->nodes[i].fails ? NODE_FAILED : NODE_LOADED;
}

/* The controller looks; what it says is released by the caller. */
static void look(struct world *world, struct rollout *ret)
{
    struct profile_spec spec = {
        .name = "web",
        .generation = world->generation,
        .revision = world->revision,
        .progressive = true,
        .rollout = world->spec,
        .rollout_paused = json_bool(json_get(world->spec, "paused"), false),
        .rollout_published = world->annotation,
        .rollout_resume = world->resume,
        .rollout_skip = world->skip,
    };
    struct rollout_node nodes[NODES_MAX + 1];
    struct rollout_question question = {.profile = &spec,
                                        .ns = "system",
                                        .kept = &world->kept,
                                        .old = world->status,
                                        .nodes = nodes,
                                        .refused = world->refused,
                                        .awaited = world->awaited,
                                        .now_ms = world->now_ms};

    for (size_t i = 0; i < world->count; i++) {
        enum node_state state = state_of(world, i);

        question.updated += state == NODE_LOADED;
        if (world->nodes[i].lost) {
            question.lost++;
            continue;
        }
        nodes[question.count++] =
            (struct rollout_node){.hash =
                                      policy_rollout_hash(world->nodes[i].name, world->revision),
                                  .name = world->nodes[i].name,
                                  .state = state,
                                  .denied = world->nodes[i].denied,
                                  .denied_before =
                                      state == NODE_OUTDATED ? world->nodes[i].denied_before : 0};
    }
    rollout_decide(&question, ret);
}

/* Looks, and writes what is to be written: the annotation, or else the status. True: the former. */
static bool step(struct world *world, struct rollout *ret)
{
    look(world, ret);
    if (ret->publish == ROLLOUT_PUBLISH_NOTHING) {
        cJSON_Delete(world->status);
        world->status = cJSON_Duplicate(ret->status, true);
        return false;
    }
    free(world->annotation);
    world->annotation =
        ret->publish == ROLLOUT_PUBLISH_NEXT ? policy_rollout_print(&ret->next) : NULL;
    world->writes++;
    return true;
}

/* The nodes do what they are told to. */
static void obey(struct world *world)
{
    struct policy_rollout published;
    bool there =
        world->annotation && policy_rollout_parse(world->annotation, &published, NULL) == 0;

    for (size_t i = 0; i < world->count; i++) {
        const struct policy_rollout_question question = {
            .node = world->nodes[i].name,
            .progressive = true,
            .first = world->generation == 1,
            .spec_revision = world->revision,
            .held_revision = world->nodes[i].held,
            .published = there ? &published : NULL,
        };
        enum policy_choice choice = policy_rollout_choose(&question);

        if (world->nodes[i].lost)
            continue;
        if (choice == POLICY_CHOICE_SPEC)
            memcpy(world->nodes[i].held, world->revision, POLICY_REVISION_SIZE);
        if (choice == POLICY_CHOICE_PREVIOUS)
            memcpy(world->nodes[i].held, published.previous, POLICY_REVISION_SIZE);
    }
}

static size_t count_of(const struct world *world, const char *revision)
{
    size_t count = 0;

    for (size_t i = 0; i < world->count; i++)
        count += strcmp(world->nodes[i].held, revision) == 0;
    return count;
}

/* Until nothing happens any more without time: the state, with its message in `ret_message`. */
static enum rollout_state run(struct world *world, char **ret_message)
{
    enum rollout_state state = ROLLOUT_COMPLETE;

    for (int i = 0; i < 100; i++) {
        struct rollout rollout;
        bool wrote = step(world, &rollout);

        state = rollout.state;
        free(*ret_message);
        *ret_message = xstrdup(buf_string(&rollout.message));
        rollout_done(&rollout);
        obey(world);
        if (!wrote && i > 0 && state != ROLLOUT_PROGRESSING)
            break;
    }
    return state;
}

#define assert_world(world, expected, percentage, nodes_with)                              \
    do {                                                                                   \
        _cleanup_free_ char *message_ = NULL;                                              \
        enum rollout_state state_ = run(world, &message_);                                 \
        cr_assert_eq(state_, expected, "%d: %s", (int) state_, message_);                  \
        cr_assert_eq(json_int(json_get((world)->status, "percent"), -1), percentage, "%s", \
                     message_);                                                            \
        cr_assert_eq(count_of(world, (world)->revision), (size_t) (nodes_with), "%zu: %s", \
                     count_of(world, (world)->revision), message_);                        \
    } while (0)

Test(rollout, goes_step_by_step_with_its_pauses)
{
    _cleanup_world_ struct world world;

    world_init(&world, 9, STEPS);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 9);
    cr_assert_eq(world.writes, 1);
    edit(&world, R2);
    assert_world(&world, ROLLOUT_PAUSING, 25, 3);
    cr_assert_eq(count_of(&world, R1), 6);
    world.now_ms += 59000;
    assert_world(&world, ROLLOUT_PAUSING, 25, 3);
    cr_assert_eq(world.writes, 2);
    world.now_ms += 1000;
    /* The second step has no pause. */
    assert_world(&world, ROLLOUT_COMPLETE, 100, 9);
    cr_assert_eq(world.writes, 5, "one write for each step, and one that it is complete: %zu",
                 world.writes);
    cr_assert_str_eq(json_string(world.status, "previous"), R2);
}

Test(rollout, says_where_it_is)
{
    _cleanup_world_ struct world world;
    _cleanup_free_ char *message = NULL;
    struct rollout rollout;

    world_init(&world, 4, STEPS);
    edit(&world, R2);
    cr_assert(step(&world, &rollout));
    cr_assert_str_eq(rollout.next.previous, R1);
    rollout_done(&rollout);
    cr_assert_not(step(&world, &rollout));
    cr_assert_eq(strncmp(buf_string(&rollout.message),
                         "rollout at 25 %, step 1 of 3: 0 of 1 chosen node loaded; waiting for "
                         "node-",
                         strlen("rollout at 25 %, step 1 of 3: 0 of 1 chosen node loaded; waiting "
                                "for node-")),
                 0, "%s", buf_string(&rollout.message));
    rollout_done(&rollout);
    cr_assert_eq(run(&world, &message), ROLLOUT_PAUSING);
    cr_assert_str_eq(message, "rollout at 25 %, step 1 of 3: 1 of 1 chosen node loaded; the next "
                              "step, 50 %, comes at 1970-01-12T13:47:40Z");
    cr_assert_eq(json_int(json_get(world.status, "updated"), 0), 1);
    cr_assert_eq(json_int(json_get(world.status, "step"), 0), 1);
    cr_assert_eq(json_int(json_get(world.status, "steps"), 0), 3);
}

Test(rollout, a_leader_that_dies_leaves_all_that_the_next_needs)
{
    _cleanup_world_ struct world world;
    struct rollout rollout;

    world_init(&world, 8, STEPS);
    edit(&world, R2);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    world.now_ms += 30000;
    look(&world, &rollout); /* as any replica at any time would */
    cr_assert_eq(rollout.again_ms, 30000, "%" PRIu64, rollout.again_ms);
    cr_assert(json_equal(rollout.status, world.status));
    rollout_done(&rollout);
    /* Before it could write since when it pauses: the pause begins anew, and nothing is skipped. */
    cJSON_Delete(world.status);
    world.status = NULL;
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    world.now_ms += 60000;
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
}

static void fail_all(struct world *world, bool fails)
{
    for (size_t i = 0; i < world->count; i++)
        world->nodes[i].fails = fails;
}

Test(rollout, halts_on_failures_and_resumes)
{
    _cleanup_world_ struct world world;
    _cleanup_free_ char *message = NULL;

    world_init(&world, 8, STEPS);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
    edit(&world, R2);
    fail_all(&world, true);
    assert_world(&world, ROLLOUT_HALTED, 25, 2);
    cr_assert_eq(run(&world, &message), ROLLOUT_HALTED);
    cr_assert_str_eq(message, "rollout halted at 25 %, step 1 of 3: 2 of 2 chosen nodes failed, "
                              "and spec.rollout.maxFailures is 0; correct spec.policy, or roll "
                              "back by its previous text, or annotate the object with "
                              "apparmor.io/rollout-resume=" R2);
    world.now_ms += 3600000;
    assert_world(&world, ROLLOUT_HALTED, 25, 2);
    /* For another revision it means nothing. */
    world.resume = xstrdup(R1);
    assert_world(&world, ROLLOUT_HALTED, 25, 2);
    memcpy(world.resume, R2, strlen(R2));
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    free(world.resume);
    world.resume = NULL;
    assert_world(&world, ROLLOUT_HALTED, 25, 2);
    /* So many are tolerated. */
    json_add_int(world.spec, "maxFailures", 2);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    world.now_ms += 60000;
    assert_world(&world, ROLLOUT_HALTED, 50, 4);
    /* What has been mended is no failure. */
    fail_all(&world, false);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
}

static void deny(struct world *world, const char *revision, uint64_t count)
{
    for (size_t i = 0; i < world->count; i++)
        world->nodes[i].denied = strcmp(world->nodes[i].held, revision) == 0 ? count : 0;
}

Test(rollout, halts_on_denials_only_when_asked_to)
{
    _cleanup_world_ struct world world;
    _cleanup_free_ char *message = NULL;

    world_init(&world, 8, STEPS);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
    edit(&world, R2);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    deny(&world, R2, 3);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    json_add_int(world.spec, "maxDenials", 6);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    cr_assert_eq(json_int(json_get(world.status, "denied"), 0), 6);
    deny(&world, R2, 4);
    cr_assert_eq(run(&world, &message), ROLLOUT_HALTED);
    cr_assert_eq(strncmp(message,
                         "rollout halted at 25 %, step 1 of 3: in this step the 2 chosen nodes "
                         "have refused 8 accesses by it, where 0 are usual by what the 6 others "
                         "show, and spec.rollout.maxDenials is 6; correct spec.policy",
                         190),
                 0, "%s", message);
    /* An agent that counts anew, or a node that leaves, is no reason to go on. */
    deny(&world, R2, 0);
    world.now_ms += 3600000;
    assert_world(&world, ROLLOUT_HALTED, 25, 2);
    world.resume = xstrdup(R2);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    edit(&world, R3);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    cr_assert_eq(json_int(json_get(world.status, "denied"), -1), 0, "of this revision");
}

static void deny_before(struct world *world, uint64_t count)
{
    for (size_t i = 0; i < world->count; i++)
        world->nodes[i].denied_before = count;
}

/* Eight nodes that have refused a hundred accesses each for ever, and two of them the new text. */
static void world_begin(struct world *world)
{
    world_init(world, 8, STEPS);
    json_add_int(world->spec, "maxDenials", 6);
    assert_world(world, ROLLOUT_COMPLETE, 100, 8);
    deny_before(world, 100);
    edit(world, R2);
    assert_world(world, ROLLOUT_PAUSING, 25, 2);
}

/* What is refused everywhere is no rise. */
Test(rollout, compares_denials_with_the_nodes_that_do_not_have_it_yet)
{
    _cleanup_world_ struct world world;

    world_begin(&world);
    deny_before(&world, 140);
    deny(&world, R2, 43);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    deny(&world, R2, 44);
    assert_world(&world, ROLLOUT_HALTED, 25, 2);
    cr_assert_eq(json_int(json_get(world.status, "usual"), -1), 80, "40 on each");
    cr_assert_eq(json_int(json_get(world.status, "baseline", "others"), -1), 600);
    /* The others tell their counts later. */
    deny_before(&world, 142);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    cr_assert_null(json_get(world.status, "usual"));
}

/* On nodes where nothing works nothing is refused any more, and the others go on as ever. */
Test(rollout, a_halt_by_denials_does_not_end_because_time_passes)
{
    _cleanup_world_ struct world world;

    world_begin(&world);
    deny(&world, R2, 50);
    assert_world(&world, ROLLOUT_HALTED, 25, 2);
    world.now_ms += 3600000;
    assert_world(&world, ROLLOUT_HALTED, 25, 2);
    deny_before(&world, 1000);
    assert_world(&world, ROLLOUT_HALTED, 25, 2);
    cr_assert_eq(json_int(json_get(world.status, "usual"), -1), 0, "when it was halted");
    world.resume = xstrdup(R2);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
}

/* Failures that are mended leave no trap behind: what was refused meanwhile is compared. */
Test(rollout, a_halt_by_failures_does_not_become_one_by_denials)
{
    _cleanup_world_ struct world world;

    world_begin(&world);
    fail_all(&world, true);
    assert_world(&world, ROLLOUT_HALTED, 25, 2);
    world.now_ms += 3600000;
    deny_before(&world, 200);
    deny(&world, R2, 100);
    assert_world(&world, ROLLOUT_HALTED, 25, 2);
    fail_all(&world, false);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
}

Test(rollout, each_step_is_compared_by_itself)
{
    _cleanup_world_ struct world world;

    world_begin(&world);
    json_free(cJSON_DetachItemFromObject(world.spec, "steps"));
    json_add(world.spec, "steps",
             json_of("[{'percent':25,'pauseSeconds':60},{'percent':50,'pauseSeconds':60}]"));
    deny(&world, R2, 3);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    world.now_ms += 60000;
    assert_world(&world, ROLLOUT_PAUSING, 50, 4);
    cr_assert_eq(json_int(json_get(world.status, "baseline", "denied"), -1), 6);
    cr_assert_eq(json_int(json_get(world.status, "baseline", "others"), -1), 400);
    deny(&world, R2, 4); /* on four */
    assert_world(&world, ROLLOUT_HALTED, 50, 4);
    deny_before(&world, 101);
    assert_world(&world, ROLLOUT_PAUSING, 50, 4);
    world.now_ms += 60000;
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
}

/* It has nobody to be compared with, nor to be held back. */
Test(rollout, the_last_step_is_not_halted_by_denials)
{
    _cleanup_world_ struct world world;
    struct policy_rollout published = {0};
    struct rollout rollout;

    world_begin(&world);
    world.now_ms += 60000;
    while (published.percent < 100) {
        obey(&world);
        (void) step(&world, &rollout);
        rollout_done(&rollout);
        cr_assert_eq(policy_rollout_parse(world.annotation, &published, NULL), 0);
    }
    obey(&world);
    deny(&world, R2, 1000);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
}

/* A node that leaves takes along what it has refused. */
Test(rollout, fewer_nodes_to_compare_with_are_no_denials)
{
    _cleanup_world_ struct world world;

    world_begin(&world);
    deny(&world, R2, 3);
    for (size_t i = 0; i < world.count; i++)
        world.nodes[i].lost = strcmp(world.nodes[i].held, R2) != 0;
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    deny(&world, R2, 4);
    assert_world(&world, ROLLOUT_HALTED, 25, 2);
}

Test(rollout, is_rolled_back_by_the_previous_text_at_once)
{
    _cleanup_world_ struct world world;

    world_init(&world, 8, STEPS);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
    edit(&world, R2);
    fail_all(&world, true);
    assert_world(&world, ROLLOUT_HALTED, 25, 2);
    fail_all(&world, false);
    edit(&world, R1);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
    cr_assert_eq(world.writes, 3);
}

Test(rollout, a_new_edit_begins_anew_from_the_last_complete_text)
{
    _cleanup_world_ struct world world;

    world_init(&world, 12, STEPS);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 12);
    edit(&world, R2);
    assert_world(&world, ROLLOUT_PAUSING, 25, 3);
    edit(&world, R3);
    assert_world(&world, ROLLOUT_PAUSING, 25, 3);
    cr_assert_str_eq(json_string(world.status, "previous"), R1);
    cr_assert_eq(count_of(&world, R2), 0, "who had the one that was given up goes back");
    cr_assert_eq(count_of(&world, R1), 9);
    world.now_ms += 60000;
    assert_world(&world, ROLLOUT_COMPLETE, 100, 12);
}

Test(rollout, is_paused_and_skipped_by_edits)
{
    _cleanup_world_ struct world world;

    world_init(&world, 10, STEPS);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 10);
    json_add_bool(world.spec, "paused", true);
    edit(&world, R2);
    assert_world(&world, ROLLOUT_PAUSED, 25, 3);
    world.now_ms += 3600000;
    assert_world(&world, ROLLOUT_PAUSED, 25, 3);
    cJSON_DeleteItemFromObject(world.spec, "paused");
    assert_world(&world, ROLLOUT_PAUSING, 25, 3);
    world.skip = xstrdup(R2);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 10);
    edit(&world, R3);
    assert_world(&world, ROLLOUT_PAUSING, 25, 3);
}

Test(rollout, nodes_that_join_and_leave_do_not_disturb_it)
{
    _cleanup_world_ struct world world;

    world_init(&world, 8, STEPS);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
    edit(&world, R2);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    for (size_t i = 8; i < 30; i++) {
        (void) snprintf(world.nodes[i].name, sizeof(world.nodes[i].name), "node-%zu", i);
        world.nodes[i].held[0] = '\0';
    }
    world.count = 30;
    obey(&world);
    cr_assert_eq(count_of(&world, R1) + count_of(&world, R2), 30, "each has one of the two");
    world.now_ms += 60000;
    assert_world(&world, ROLLOUT_COMPLETE, 100, 30);
    edit(&world, R3);
    assert_world(&world, ROLLOUT_PAUSING, 25, 8);
    world.count = 0;
    world.now_ms += 60000;
    assert_world(&world, ROLLOUT_COMPLETE, 100, 0);
}

/* Those that have the revision, or all. */
static void lose(struct world *world, const char *revision, bool lost)
{
    for (size_t i = 0; i < world->count; i++)
        if (!revision || strcmp(world->nodes[i].held, revision) == 0)
            world->nodes[i].lost = lost;
}

/* The new text may be why. */
Test(rollout, a_step_whose_nodes_are_all_lost_goes_to_others)
{
    _cleanup_world_ struct world world;

    world_init(&world, 8, STEPS);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
    edit(&world, R2);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    lose(&world, R2, true);
    fail_all(&world, true);
    world.now_ms += 60000;
    assert_world(&world, ROLLOUT_HALTED, 25, 4);
    cr_assert_eq(count_of(&world, R1), 4);
}

Test(rollout, nothing_goes_on_while_all_nodes_are_lost)
{
    _cleanup_world_ struct world world;
    struct rollout rollout;

    world_init(&world, 8, STEPS);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
    lose(&world, NULL, true);
    edit(&world, R2);
    cr_assert(step(&world, &rollout));
    cr_assert_eq(rollout.next.percent, 25);
    rollout_done(&rollout);
    for (int i = 0; i < 3; i++) {
        world.now_ms += 3600000;
        cr_assert_not(step(&world, &rollout));
        cr_assert_eq(rollout.state, ROLLOUT_PROGRESSING);
        cr_assert_gt(rollout.again_ms, 0, "nobody tells when they are back");
        cr_assert_not_null(strstr(buf_string(&rollout.message), "all selected nodes are lost"));
        rollout_done(&rollout);
    }
    lose(&world, NULL, false);
    obey(&world);
    cr_assert_eq(count_of(&world, R1), 8, "who comes back has what it had");
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    world.now_ms += 60000;
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
}

Test(rollout, survives_the_loss_of_its_annotation)
{
    _cleanup_world_ struct world world;

    world_init(&world, 8, STEPS);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
    edit(&world, R2);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    free(world.annotation);
    world.annotation = NULL; /* kubectl replace */
    obey(&world);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    cr_assert_str_eq(json_string(world.status, "previous"), R1);
    free(world.annotation);
    world.annotation = xstrdup("{}");
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    cr_assert_str_eq(json_string(world.status, "previous"), R1);
}

Test(rollout, begins_when_the_text_is_kept)
{
    _cleanup_world_ struct world world;
    struct rollout rollout;

    world_init(&world, 4, STEPS);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 4);
    world.revision = R2;
    world.generation++;
    cr_assert_not(step(&world, &rollout));
    cr_assert_eq(rollout.state, ROLLOUT_PROGRESSING);
    cr_assert_str_eq(buf_string(&rollout.message),
                     "the rollout begins when the text is kept in a ControllerRevision");
    rollout_done(&rollout);
    obey(&world);
    cr_assert_eq(count_of(&world, R1), 4, "until then all keep what they have");
}

Test(rollout, what_does_not_compile_goes_to_nobody)
{
    _cleanup_world_ struct world world;
    _cleanup_free_ char *message = NULL;
    struct rollout rollout;

    world_init(&world, 4, STEPS);
    assert_world(&world, ROLLOUT_COMPLETE, 100, 4);
    edit(&world, R2);
    world.awaited = true;
    cr_assert_not(step(&world, &rollout));
    cr_assert_str_eq(buf_string(&rollout.message),
                     "the rollout begins when the text has been compiled");
    rollout_done(&rollout);
    world.awaited = false;
    world.refused = true;
    assert_world(&world, ROLLOUT_HALTED, 0, 0);
    cr_assert_eq(run(&world, &message), ROLLOUT_HALTED);
    cr_assert_str_eq(message, "the rollout does not begin: the text does not compile, see "
                              "condition Valid; correct spec.policy, or roll back by its previous "
                              "text, or annotate the object with apparmor.io/rollout-resume=" R2);
    edit(&world, R1);
    world.refused = false;
    assert_world(&world, ROLLOUT_COMPLETE, 100, 4);
    cr_assert_eq(count_of(&world, R1), 4);
    edit(&world, R3);
    assert_world(&world, ROLLOUT_PAUSING, 25, 1);
    world.refused = true; /* nodes with another kernel have joined */
    assert_world(&world, ROLLOUT_HALTED, 25, 1);
}

Test(rollout, what_went_to_all_at_once_before_is_the_previous_text)
{
    _cleanup_world_ struct world world;

    world_init(&world, 8, STEPS);
    edit(&world, R2); /* nothing has been published of R1: its strategy was another */
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    cr_assert_str_eq(json_string(world.status, "previous"), R1);
}

Test(rollout, an_unknown_previous_text_is_what_nodes_have)
{
    _cleanup_world_ struct world world;

    world_init(&world, 8, STEPS);
    strv_done(&world.kept);
    world.kept = (struct strv){0};
    edit(&world, R2);
    assert_world(&world, ROLLOUT_PAUSING, 25, 2);
    cr_assert_null(json_string(world.status, "previous"));
    cr_assert_eq(count_of(&world, R1), 6);
    world.now_ms += 60000;
    assert_world(&world, ROLLOUT_COMPLETE, 100, 8);
}

Test(rollout, all_at_once_takes_the_annotation_away)
{
    struct profile_spec spec = {.name = "web", .revision = R2, .rollout_published = "{}"};
    struct strv kept = {0};
    struct rollout_question question = {.profile = &spec, .ns = "system", .kept = &kept};
    struct rollout rollout;

    rollout_decide(&question, &rollout);
    cr_assert_eq(rollout.publish, ROLLOUT_PUBLISH_REMOVAL);
    cr_assert_null(rollout.status);
    rollout_done(&rollout);
    spec.rollout_published = NULL;
    rollout_decide(&question, &rollout);
    cr_assert_eq(rollout.publish, ROLLOUT_PUBLISH_NOTHING);
    rollout_done(&rollout);
}

/* --- steps -------------------------------------------------------------------------- */

Test(rollout, steps_are_in_order_and_end_with_all)
{
    _cleanup_json_ cJSON *json = json_of(
        "{'steps':[{'percent':50},{'percent':5,'pauseSeconds':7},{'percent':0},{'percent':101},"
        "{'percent':50,'pauseSeconds':9},{'percent':20,'pauseSeconds':-1},'x',{}]}");
    struct rollout_steps steps;

    rollout_steps_read(&steps, json);
    cr_assert_eq(steps.count, 3);
    cr_assert_eq(steps.items[0].percent, 5);
    cr_assert_eq(steps.items[0].pause_ms, 7000);
    cr_assert_eq(steps.items[1].percent, 50);
    cr_assert_eq(steps.items[1].pause_ms, 0);
    cr_assert_eq(steps.items[2].percent, 100);
    cr_assert_eq(rollout_steps_after(&steps, 5), 50);
    cr_assert_eq(rollout_steps_after(&steps, 7), 50);
    cr_assert_eq(rollout_steps_after(&steps, 50), 100);
    cr_assert_eq(rollout_steps_after(&steps, 100), 100);
    cr_assert_eq(rollout_steps_number(&steps, 5), 1);
    cr_assert_eq(rollout_steps_number(&steps, 7), 1);
    cr_assert_eq(rollout_steps_number(&steps, 2), 1);
    cr_assert_eq(rollout_steps_number(&steps, 50), 2);
    cr_assert_eq(rollout_steps_number(&steps, 100), 3);
}

Test(rollout, there_are_steps_without_any_being_named)
{
    struct rollout_steps steps;

    rollout_steps_read(&steps, NULL);
    cr_assert_eq(steps.count, 3);
    cr_assert_eq(steps.items[0].percent, 10);
    cr_assert_eq(steps.items[0].pause_ms, 300000);
    cr_assert_eq(steps.items[1].percent, 50);
    cr_assert_eq(steps.items[2].percent, 100);
}

Test(rollout, more_steps_than_allowed_are_bounded)
{
    _cleanup_json_ cJSON *json = cJSON_CreateObject();
    cJSON *list = json_add_array(json, "steps");
    struct rollout_steps steps;

    for (int i = 1; i <= 100; i++) {
        cJSON *item = cJSON_CreateObject();

        json_add_int(item, "percent", i);
        json_append(list, item);
    }
    rollout_steps_read(&steps, json);
    cr_assert_eq(steps.count, ROLLOUT_STEPS_MAX + 1);
    cr_assert_eq(steps.items[ROLLOUT_STEPS_MAX].percent, 100);
}
