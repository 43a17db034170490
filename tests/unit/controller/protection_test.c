// SPDX-License-Identifier: Apache-2.0
#include "controller/protection.h"

#include "controller/message.h"
#include "tests/unit/controller/support.h"

TestSuite(protection, .init = alloc_init);

#define LOST_AFTER 300000
#define NODES_MAX 5
#define SEEN 1000000 /* when the deletion is first seen */

/* Entries of status.profiles; without one, the node says nothing about the object. */
#define ENTRY(state, reason, message)                                                    \
    "{'name':'web','generation':1,'revision':'r1','state':'" state "','reason':'" reason \
    "','message':'" message "'}"
#define LOADED ENTRY("Loaded", "", "")
#define PENDING "{'name':'web','generation':1,'state':'Pending','reason':'Compiling'}"
#define FAILED ENTRY("Failed", "CompileError", "line 1: no")
#define IN_USE ENTRY("Draining", "InUse", "pod default/app names it")
#define REMOVING ENTRY("Draining", "Removing", "")
#define ORPHANED ENTRY("Loaded", "Orphaned", "its object is gone")
#define SILENT ""

/* NODE: the Node is Ready, and a pod of the agent's on it. */
enum life { NO_MACHINE, ALIVE, POD_AWAY, POD_LOST, MACHINE_AWAY, MACHINE_LOST };

struct node_case {
    enum life life;
    const char *entry; /* NULL: no AppArmorNode */
};

struct protection_case {
    const char *name;
    struct node_case nodes[NODES_MAX];
    const char *selector;
    uint64_t since; /* the deletion was first seen */
    bool not_silent_then, unprotected, forced;
    enum protection_act act;
    bool tells;
    uint64_t again;
};

#define WAITS .act = PROTECTION_WAIT, .tells = true, .again = PROTECTION_AGAIN_MS
#define WAITS_SILENTLY .act = PROTECTION_WAIT, .again = PROTECTION_TELL_MS
#define RELEASES .act = PROTECTION_RELEASE

static const struct protection_case CASES[] = {
    {"no nodes", .nodes = {{0}}, RELEASES},
    {"loaded", .nodes = {{ALIVE, LOADED}}, WAITS_SILENTLY},
    {"loaded for a while", .nodes = {{ALIVE, LOADED}}, .since = PROTECTION_TELL_MS,
     .not_silent_then = true, WAITS},
    {"in use is told at once", .nodes = {{ALIVE, IN_USE}, {ALIVE, SILENT}}, .since = 1,
     .not_silent_then = true, WAITS},
    {"for an hour", .nodes = {{ALIVE, IN_USE}}, .since = 3600000, WAITS},
    {"being removed", .nodes = {{ALIVE, REMOVING}}, WAITS_SILENTLY},
    {"still compiling", .nodes = {{ALIVE, PENDING}}, WAITS_SILENTLY},
    {"failed, and not dropped yet", .nodes = {{ALIVE, FAILED}}, WAITS_SILENTLY},
    {"kept as an orphan", .nodes = {{ALIVE, ORPHANED}}, RELEASES},
    {"one of many", .nodes = {{ALIVE, ORPHANED}, {ALIVE, SILENT}, {ALIVE, REMOVING}},
     .since = PROTECTION_GRACE_MS, WAITS},
    {"on a node that is not selected any more", .nodes = {{ALIVE, IN_USE}},
     .selector = "{'matchLabels':{'pool':'none'}}", WAITS},

    {"all had an entry, and it has gone", .nodes = {{ALIVE, SILENT}, {ALIVE, SILENT}}, .since = 1,
     .not_silent_then = true, RELEASES},
    {"a selected node has said nothing yet", .nodes = {{ALIVE, SILENT}}, WAITS_SILENTLY},
    {"just before it has had its time", .nodes = {{ALIVE, SILENT}},
     .since = PROTECTION_GRACE_MS - 1, .act = PROTECTION_WAIT, .tells = true, .again = 1},
    {"it has had its time", .nodes = {{ALIVE, SILENT}}, .since = PROTECTION_GRACE_MS, RELEASES},
    {"it has loaded it after all", .nodes = {{ALIVE, LOADED}}, .since = PROTECTION_GRACE_MS, WAITS},
    {"a silent node that is not selected", .nodes = {{ALIVE, SILENT}},
     .selector = "{'matchLabels':{'pool':'none'}}", RELEASES},
    {"a node that no agent has reported from", .nodes = {{ALIVE, NULL}}, RELEASES},
    {"a silent node that is lost", .nodes = {{POD_LOST, SILENT}}, RELEASES},

    {"the Node has left", .nodes = {{NO_MACHINE, IN_USE}}, RELEASES},
    {"the agent is away, not lost", .nodes = {{POD_AWAY, IN_USE}}, .since = 1,
     .act = PROTECTION_WAIT, .tells = true, .not_silent_then = true, .again = 7000},
    {"the agent is lost", .nodes = {{POD_LOST, IN_USE}}, RELEASES},
    {"the Node is away, not lost", .nodes = {{MACHINE_AWAY, IN_USE}}, .since = 1,
     .act = PROTECTION_WAIT, .tells = true, .not_silent_then = true, .again = 7000},
    {"the Node is lost", .nodes = {{MACHINE_LOST, LOADED}}, RELEASES},
    {"one is lost, another is not", .nodes = {{MACHINE_LOST, IN_USE}, {ALIVE, IN_USE}}, WAITS},
    {"who is lost next does not matter when it is not waited for",
     .nodes = {{POD_AWAY, ORPHANED}, {ALIVE, IN_USE}}, WAITS},

    {"by force", .nodes = {{ALIVE, IN_USE}}, .forced = true, .act = PROTECTION_FORCE},
    {"by force, though a node has said nothing", .nodes = {{ALIVE, SILENT}}, .forced = true,
     .act = PROTECTION_FORCE},
    {"force that is not needed", .nodes = {{ALIVE, ORPHANED}}, .forced = true, RELEASES},

    {"it is another's to release", .nodes = {{ALIVE, IN_USE}}, .unprotected = true, .tells = true,
     .again = PROTECTION_AGAIN_MS},
    {"and nothing changes any more", .nodes = {{ALIVE, ORPHANED}}, .unprotected = true,
     .tells = true},
    {"nor is it forced", .nodes = {{ALIVE, IN_USE}}, .unprotected = true, .forced = true,
     .tells = true, .again = PROTECTION_AGAIN_MS},
};

static void add_node(struct node_index *index, struct liveness *liveness, const char *name,
                     const struct node_case *node, uint64_t now)
{
    uint64_t away = now - LOST_AFTER + 7000, lost = now - LOST_AFTER;
    uint64_t ready_until = node->life == POD_AWAY || node->life == MACHINE_AWAY ? away : lost;
    _cleanup_json_ cJSON *status =
        node->entry ? json_of("{'apparmor':'Enabled','profiles':[%s]}", node->entry) : NULL;

    if (status)
        set_report(index, name, status);
    if (node->life == NO_MACHINE)
        return;
    node_index_set_node(index, name, NULL);
    liveness_set_node(liveness, name, true, 0);
    liveness_add_pod(liveness, name, true, 0);
    if (node->life == POD_AWAY || node->life == POD_LOST)
        liveness_remove_pod(liveness, name, true, ready_until);
    if (node->life == MACHINE_AWAY || node->life == MACHINE_LOST)
        liveness_set_node(liveness, name, false, ready_until);
}

struct scene {
    struct node_index *index;
    struct liveness *liveness;
    struct holders holders;
};

static void scene_init(struct scene *scene, const struct profile_spec *profile,
                       const struct node_case *nodes, uint64_t now)
{
    scene->index = node_index_new(ignore_change, NULL);
    scene->liveness = liveness_new(LOST_AFTER);
    node_index_set_profile(scene->index, profile);
    /* In no order. */
    for (size_t i = NODES_MAX; i > 0; i--) {
        char name[16];

        (void) snprintf(name, sizeof(name), "node-%zu", i - 1);
        add_node(scene->index, scene->liveness, name, &nodes[i - 1], now);
    }
    holders_find(&scene->holders, scene->index, scene->liveness, profile->name, now);
}

static void scene_done(struct scene *scene)
{
    liveness_free(scene->liveness);
    node_index_free(scene->index);
}

static void check(const struct protection_case *test)
{
    _cleanup_json_ cJSON *selector = test->selector ? json_of("%s", test->selector) : NULL;
    const struct profile_spec profile = {
        .name = "web",
        .generation = 2,
        .revision = "r1",
        .deleting = true,
        .protected = !test->unprotected,
        .forced = test->forced,
        .selector = selector,
    };
    struct deletion_watch watch = {.seen = test->since > 0,
                                   .seen_ms = SEEN,
                                   .silent = !test->not_silent_then};
    struct protection found;
    _cleanup_(scene_done) struct scene scene;

    scene_init(&scene, &profile, test->nodes, SEEN + test->since);
    found = protection_decide(&profile, &scene.holders, &watch, SEEN + test->since);
    cr_expect_eq(found.act, test->act, "%s: %d", test->name, (int) found.act);
    cr_expect(watch.seen && watch.seen_ms == SEEN, "%s", test->name);
    if (test->act == PROTECTION_RELEASE || test->act == PROTECTION_FORCE)
        return;
    cr_expect_eq(found.tells, test->tells, "%s", test->name);
    cr_expect_eq(found.again_ms, test->again, "%s: again after %llu", test->name,
                 (unsigned long long) found.again_ms);
}

Test(protection, who_is_waited_for)
{
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++)
        check(&CASES[i]);
}

Test(protection, an_object_that_is_not_being_deleted_is_protected_once)
{
    struct profile_spec profile = {.name = "web"};
    struct deletion_watch watch = {0};

    cr_assert_eq(protection_decide(&profile, NULL, &watch, 5).act, PROTECTION_ADD);
    profile.protected = true;
    cr_assert_eq(protection_decide(&profile, NULL, &watch, 5).act, PROTECTION_NONE);
    cr_assert(protection_decide(&profile, NULL, &watch, 5).tells);
    profile.forced = true;
    cr_assert_eq(protection_decide(&profile, NULL, &watch, 5).act, PROTECTION_NONE);
    cr_assert(!watch.seen);
}

Test(protection, the_first_look_tells_whether_all_had_spoken)
{
    const struct profile_spec profile = {
        .name = "web", .generation = 2, .revision = "r1", .deleting = true, .protected = true};
    static const struct node_case all[NODES_MAX] = {{ALIVE, LOADED}, {ALIVE, FAILED}};
    static const struct node_case some[NODES_MAX] = {{ALIVE, LOADED}, {ALIVE, SILENT}};
    static const struct node_case none[NODES_MAX] = {{ALIVE, SILENT}, {ALIVE, SILENT}};
    struct deletion_watch watch = {0};
    _cleanup_(scene_done) struct scene before, later, after;

    scene_init(&before, &profile, all, SEEN);
    scene_init(&later, &profile, some, SEEN + 1);
    scene_init(&after, &profile, none, SEEN + 2);
    cr_assert_eq(protection_decide(&profile, &before.holders, &watch, SEEN).act, PROTECTION_WAIT);
    cr_assert_eq(protection_decide(&profile, &later.holders, &watch, SEEN + 1).act,
                 PROTECTION_WAIT);
    cr_assert_eq(protection_decide(&profile, &after.holders, &watch, SEEN + 2).act,
                 PROTECTION_RELEASE);

    watch = (struct deletion_watch){0};
    cr_assert_eq(protection_decide(&profile, &later.holders, &watch, SEEN).act, PROTECTION_WAIT);
    cr_assert_eq(protection_decide(&profile, &after.holders, &watch, SEEN + 1).act, PROTECTION_WAIT,
                 "one of them may not have known of it");
}

Test(protection, other_finalizers_stay_as_they_are)
{
    static const struct {
        const char *object;
        bool protect;
        const char *expected;
    } cases[] = {
        {"{}", true, "['" PROFILE_FINALIZER "']"},
        {"{'metadata':{}}", false, "[]"},
        {"{'metadata':{'finalizers':['a','b']}}", true, "['a','b','" PROFILE_FINALIZER "']"},
        {"{'metadata':{'finalizers':['a','" PROFILE_FINALIZER "','b']}}", false, "['a','b']"},
        {"{'metadata':{'finalizers':['" PROFILE_FINALIZER "']}}", false, "[]"},
        {"{'metadata':{'finalizers':['b','" PROFILE_FINALIZER "']}}", true,
         "['b','" PROFILE_FINALIZER "']"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ cJSON *object = json_of("%s", cases[i].object);
        _cleanup_json_ cJSON *expected = json_of("%s", cases[i].expected);
        _cleanup_json_ cJSON *found = protection_finalizers(object, cases[i].protect);

        cr_expect(json_equal(found, expected), "%s", cases[i].object);
    }
}

Test(protection, what_the_object_says_of_it_is_read)
{
    static const struct {
        const char *metadata;
        bool protected, forced;
        const char *held_by;
    } cases[] = {
        {"'name':'web'", false, false, NULL},
        {"'finalizers':['" PROFILE_FINALIZER "']", true, false, NULL},
        {"'finalizers':['a','" PROFILE_FINALIZER "','b']", true, false, "a"},
        {"'finalizers':['a']", false, false, "a"},
        {"'finalizers':7", false, false, NULL},
        {"'annotations':{'" PROFILE_FORCE_DELETE "':'true'}", false, true, NULL},
        {"'annotations':{'" PROFILE_FORCE_DELETE "':'false'}", false, false, NULL},
        {"'annotations':{'" PROFILE_FORCE_DELETE "':'yes'}", false, false, NULL},
        {"'labels':{'" PROFILE_FORCE_DELETE "':'true'}", false, false, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cJSON *object = json_of("{'metadata':{'deletionTimestamp':'2026-01-01T00:00:00Z',%s},"
                                "'spec':{'policy':'profile web {}'}}",
                                cases[i].metadata);
        struct profile_spec profile;

        object = profile_project(NULL, object);
        profile_spec_read(&profile, object);
        cr_expect(profile.deleting, "%s", cases[i].metadata);
        cr_expect_eq(profile.protected, cases[i].protected, "%s", cases[i].metadata);
        cr_expect_eq(profile.forced, cases[i].forced, "%s", cases[i].metadata);
        cr_expect_str_eq(profile.held_by ? profile.held_by : "",
                         cases[i].held_by ? cases[i].held_by : "", "%s", cases[i].metadata);
        json_free(object);
    }
}

#define HINT                                                                                     \
    "; delete what uses it, or annotate the object with apparmor.io/force-delete=true: it goes " \
    "at once then, and nodes keep what is in use until it is not"

Test(protection, the_message_tells_whom_it_waits_for)
{
    static const struct {
        struct node_case nodes[NODES_MAX];
        const char *held_by, *message;
    } cases[] = {
        {{{0}}, NULL, "; no live node has it to unload"},
        {{{0}},
         "example.com/x",
         "; no live node has it to unload; finalizer example.com/x of another holds it, too"},
        {{{ALIVE, IN_USE}, {ALIVE, REMOVING}, {ALIVE, ENTRY("Draining", "InUse", "process 7")}},
         NULL,
         "; in use on 2 nodes: node-0: pod default/app names it; node-2: process 7; being "
         "unloaded on 1 node: node-1" HINT},
        {{{ALIVE, IN_USE}, {ALIVE, IN_USE}, {ALIVE, IN_USE}, {ALIVE, IN_USE}, {ALIVE, IN_USE}},
         NULL,
         "; in use on 5 nodes: node-0: pod default/app names it; node-1: pod default/app names "
         "it; node-2: pod default/app names it and 2 more" HINT},
        {{{ALIVE, LOADED}, {POD_LOST, IN_USE}},
         NULL,
         "; being unloaded on 1 node: node-0; not waiting for lost agents on 1 node: node-1"},
        {{{ALIVE, ORPHANED}, {MACHINE_LOST, LOADED}},
         NULL,
         "; not waiting for lost agents on 1 node: node-1; kept, as its resource definition goes, "
         "on 1 node: node-0; no live node has it to unload"},
    };
    const struct profile_spec profile = {.name = "web", .generation = 2, .revision = "r1"};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(MESSAGE_MAX);
        _cleanup_(scene_done) struct scene scene;

        scene_init(&scene, &profile, cases[i].nodes, SEEN);
        message_add_holders(&out, &scene.holders, cases[i].held_by);
        cr_expect_str_eq(buf_string(&out), cases[i].message, "%zu: %s", i, buf_string(&out));
    }
}
