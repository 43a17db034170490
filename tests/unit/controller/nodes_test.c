// SPDX-License-Identifier: Apache-2.0
#include "controller/nodes.h"

#include "lib/base/clock.h"
#include "lib/base/map.h"
#include "tests/unit/controller/support.h"

#define NODES 9
#define PROFILES 6
#define EVENTS 800
#define SEEDS 6

/* splitmix64, for sequences that can be told again by their seed. */
static uint64_t seeded_random(void *userdata)
{
    uint64_t *state = userdata, z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t fixed_monotonic(_unused_ void *userdata)
{
    return 0;
}

static int64_t fixed_realtime(_unused_ void *userdata)
{
    return 0;
}

/* What the cluster holds: the truth that an index is built from. */
struct world {
    cJSON *labels[NODES]; /* NULL: no Node; JSON null: a Node without labels */
    cJSON *reports[NODES];
    struct profile_spec profiles[PROFILES]; /* name NULL: absent */
    cJSON *selectors[PROFILES];
    char names[NODES][16], profile_names[PROFILES][16], revisions[PROFILES][16];
    struct map *notified;
};

static void world_init(struct world *world)
{
    memset(world, 0, sizeof(*world));
    world->notified = map_new(NULL);
    for (int i = 0; i < NODES; i++)
        (void) snprintf(world->names[i], sizeof(world->names[i]), "node-%d", i);
    for (int i = 0; i < PROFILES; i++)
        (void) snprintf(world->profile_names[i], sizeof(world->profile_names[i]), "p-%d", i);
}

static void world_done(struct world *world)
{
    for (int i = 0; i < NODES; i++) {
        cJSON_Delete(world->labels[i]);
        cJSON_Delete(world->reports[i]);
    }
    for (int i = 0; i < PROFILES; i++)
        cJSON_Delete(world->selectors[i]);
    map_free(world->notified);
}

static void note_change(void *userdata, const char *profile)
{
    struct world *world = userdata;

    map_set(world->notified, profile, NULL);
}

static const char *pick(const char *const *choices, size_t count)
{
    return choices[clock_random_below(count)];
}

static cJSON *random_labels(void)
{
    static const char *const choices[] = {"null", "{}", "{'pool':'a'}", "{'pool':'b'}",
                                          "{'pool':'a','gpu':'1'}"};

    return json_of("%s", pick(choices, ARRAY_SIZE(choices)));
}

static cJSON *random_entry(void)
{
    static const char *const states[] = {"Loaded", "Loaded",   "Pending",
                                         "Failed", "Draining", "Nonsense"};
    static const char *const reasons[] = {"CompileError", "NameConflict", "HostAttachment", ""};
    static const char *const modes[] = {"Enforce", "Complain"};
    static const char *const names[] = {"", "'p'", "'p','q'"};

    return json_of("{'name':'p-%d','generation':%d,'revision':'r%d','state':'%s','mode':'%s',"
                   "'profileNames':[%s],'reason':'%s','message':'m%d'}",
                   (int) clock_random_below(PROFILES + 1), (int) clock_random_below(3),
                   (int) clock_random_below(3), pick(states, ARRAY_SIZE(states)),
                   pick(modes, ARRAY_SIZE(modes)), pick(names, ARRAY_SIZE(names)),
                   pick(reasons, ARRAY_SIZE(reasons)), (int) clock_random_below(2));
}

static cJSON *random_violation(void)
{
    return json_of("{'object':'p-%d','revision':'r%d','denied':%d,'allowed':%d,"
                   "'lastTime':'2026-01-01T00:00:0%dZ'}",
                   (int) clock_random_below(PROFILES + 1), (int) clock_random_below(3),
                   (int) clock_random_below(3), (int) clock_random_below(2),
                   (int) clock_random_below(3));
}

static cJSON *random_report(const cJSON *before)
{
    cJSON *report = json_of("{'apparmor':'%s'}", clock_random_below(5) ? "Enabled" : "Disabled");
    const cJSON *old = json_get(before, "profiles"), *entry;
    cJSON *profiles = json_add_array(report, "profiles");

    /* Mostly what it was, as one thing changes at a time. */
    cJSON_ArrayForEach(entry, old)
    {
        if (clock_random_below(4))
            json_append(profiles, cJSON_Duplicate(entry, true));
    }
    for (uint64_t i = clock_random_below(4); i > 0; i--)
        json_append(profiles, random_entry());
    entry = json_get(before, "violations");
    if (entry && clock_random_below(2)) {
        json_add(report, "violations", cJSON_Duplicate(entry, true));
    } else {
        profiles = json_add_array(report, "violations");
        for (uint64_t i = clock_random_below(4); i > 0; i--)
            json_append(profiles, random_violation());
    }
    return report;
}

static void random_profile(struct world *world, struct node_index *index, uint64_t i)
{
    static const char *const selectors[] = {
        "", "{}", "{'matchLabels':{'pool':'a'}}",
        "{'matchExpressions':[{'key':'gpu','operator':'DoesNotExist'}]}"};
    const char *selector = pick(selectors, ARRAY_SIZE(selectors));
    struct profile_spec *spec = &world->profiles[i];

    cJSON_Delete(world->selectors[i]);
    world->selectors[i] = *selector ? json_of("%s", selector) : NULL;
    (void) snprintf(world->revisions[i], sizeof(world->revisions[i]), "r%d",
                    (int) clock_random_below(3));
    *spec = (struct profile_spec){
        .name = world->profile_names[i],
        .generation = (int64_t) clock_random_below(3),
        .revision = world->revisions[i],
        .selector = world->selectors[i],
    };
    node_index_set_profile(index, spec);
}

static void node_event(struct world *world, struct node_index *index, uint64_t i)
{
    cJSON_Delete(world->labels[i]);
    world->labels[i] = NULL;
    if (clock_random_below(4)) {
        world->labels[i] = random_labels();
        node_index_set_node(index, world->names[i],
                            cJSON_IsNull(world->labels[i]) ? NULL : world->labels[i]);
    } else {
        node_index_remove_node(index, world->names[i]);
    }
}

static void report_event(struct world *world, struct node_index *index, uint64_t i)
{
    cJSON *before = world->reports[i];

    if (clock_random_below(8)) {
        world->reports[i] = random_report(before);
        set_report(index, world->names[i], world->reports[i]);
    } else {
        world->reports[i] = NULL;
        node_index_remove_report(index, world->names[i]);
    }
    cJSON_Delete(before);
}

static void profile_event(struct world *world, struct node_index *index, uint64_t i)
{
    if (clock_random_below(5)) {
        random_profile(world, index, i);
    } else {
        world->profiles[i].name = NULL;
        node_index_remove_profile(index, world->profile_names[i]);
    }
}

static void random_event(struct world *world, struct node_index *index)
{
    switch (clock_random_below(6)) {
    case 0:
        node_event(world, index, clock_random_below(NODES));
        break;
    case 1:
        profile_event(world, index, clock_random_below(PROFILES));
        break;
    default:
        report_event(world, index, clock_random_below(NODES));
        break;
    }
}

static struct node_index *rebuild(const struct world *world)
{
    struct node_index *index = node_index_new(ignore_change, NULL);

    for (int i = 0; i < PROFILES; i++)
        if (world->profiles[i].name)
            node_index_set_profile(index, &world->profiles[i]);
    for (int i = 0; i < NODES; i++) {
        if (world->reports[i])
            set_report(index, world->names[i], world->reports[i]);
        if (world->labels[i])
            node_index_set_node(index, world->names[i],
                                cJSON_IsNull(world->labels[i]) ? NULL : world->labels[i]);
    }
    return index;
}

static struct liveness *all_alive(void)
{
    struct liveness *liveness = liveness_new(1000);
    char name[16];

    for (int i = 0; i < NODES; i++) {
        (void) snprintf(name, sizeof(name), "node-%d", i);
        liveness_set_node(liveness, name, true, 0);
    }
    return liveness;
}

/* Everything that anybody can read of a profile's tally. */
static cJSON *status_of(const struct node_index *index, const struct profile_spec *profile)
{
    _cleanup_(liveness_freep) struct liveness *liveness = all_alive();
    struct holders holders;
    struct rollup rollup = {.profile = profile,
                            .tally = node_index_tally(index, profile->name),
                            .violations = node_index_violations(index, profile->name),
                            .holders = &holders};
    struct profile_spec deleting = *profile;
    cJSON *status = rollup_status(&rollup);

    holders_find(&holders, index, liveness, profile->name, 0);
    deleting.deleting = true;
    rollup.profile = &deleting;
    json_add(status, "deleting", rollup_status(&rollup));
    json_add_int(status, "waitedFor", (int64_t) holders_waited_for(&holders));
    json_add_int(status, "silent", (int64_t) holders.silent);
    for (int i = 0; i < NODE_STATES; i++)
        json_add_int(status, node_state_name((enum node_state) i),
                     (int64_t) rollup.tally->counts[i]);
    return status;
}

static void statuses_of(const struct world *world, const struct node_index *index,
                        cJSON *ret[static PROFILES])
{
    for (int i = 0; i < PROFILES; i++)
        ret[i] = world->profiles[i].name ? status_of(index, &world->profiles[i]) : NULL;
}

static void compare(const struct world *world, cJSON *const *before, cJSON *const *now,
                    const struct node_index *index, uint64_t seed, int event)
{
    _cleanup_(node_index_freep) struct node_index *fresh = rebuild(world);
    cJSON *expected[PROFILES];

    statuses_of(world, fresh, expected);
    for (int i = 0; i < PROFILES; i++) {
        _cleanup_free_ char *is = now[i] ? json_print(now[i]) : NULL;
        _cleanup_free_ char *should = expected[i] ? json_print(expected[i]) : NULL;

        cr_assert(json_equal(now[i], expected[i]), "seed %d, event %d, p-%d:\n%s\nrebuilt:\n%s",
                  (int) seed, event, i, is, should);
        cr_assert(!now[i] || json_equal(before[i], now[i]) ||
                      map_has(world->notified, world->profile_names[i]),
                  "seed %d, event %d: nobody was told of p-%d", (int) seed, event, i);
        cJSON_Delete(expected[i]);
    }
    cr_assert_eq(node_index_nodes(index), node_index_nodes(fresh));
    cr_assert_eq(node_index_profiles(index), node_index_profiles(fresh));
    cr_assert_eq(node_index_reports(index), node_index_reports(fresh));
}

static void check_seed(uint64_t seed)
{
    uint64_t state = seed;
    const struct clock_source source = {fixed_monotonic, fixed_realtime, seeded_random, &state};
    struct node_index *index;
    struct world world;
    cJSON *before[PROFILES], *now[PROFILES];

    clock_set_source(&source);
    world_init(&world);
    index = node_index_new(note_change, &world);
    statuses_of(&world, index, before);
    for (int event = 0; event < EVENTS; event++) {
        map_clear(world.notified);
        random_event(&world, index);
        statuses_of(&world, index, now);
        compare(&world, before, now, index, seed, event);
        for (int i = 0; i < PROFILES; i++) {
            cJSON_Delete(before[i]);
            before[i] = now[i];
        }
    }
    for (int i = 0; i < PROFILES; i++)
        cJSON_Delete(before[i]);
    node_index_free(index);
    world_done(&world);
    clock_set_source(NULL);
}

Test(nodes, after_any_events_the_index_is_what_a_fresh_one_is_and_changes_are_told)
{
    alloc_init();
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        check_seed(seed);
}

Test(nodes, equal_reports_are_kept_once)
{
    _cleanup_(node_index_freep) struct node_index *index = NULL;
    _cleanup_json_ cJSON *report = NULL;

    alloc_init();
    index = node_index_new(ignore_change, NULL);
    report = json_of("{'apparmor':'Enabled','profiles':[{'name':'a','generation':1,"
                     "'state':'Loaded'},{'name':'b','generation':1,'state':'Loaded'}]}");
    for (int i = 0; i < 1000; i++) {
        _cleanup_free_ char *name = xasprintf("node-%d", i);

        set_report(index, name, report);
    }
    cr_assert_eq(node_index_nodes(index), 1000);
    cr_assert_eq(node_index_reports(index), 2);
}

Test(nodes, a_report_that_was_read_and_never_set_leaves_nothing)
{
    _cleanup_(node_index_freep) struct node_index *index = NULL;
    _cleanup_json_ cJSON *one = NULL, *other = NULL;
    struct node_report *report;

    alloc_init();
    index = node_index_new(ignore_change, NULL);
    one = json_of("{'apparmor':'Enabled','profiles':[{'name':'a','state':'Loaded'}]}");
    other = json_of("{'apparmor':'Enabled','profiles':[{'name':'b','state':'Loaded'}]}");
    set_report(index, "n", one);
    report = node_index_read_report(index, other);
    cr_assert_eq(node_index_reports(index), 2);
    node_report_free(report);
    cr_assert_eq(node_index_reports(index), 1);
    node_index_set_report(index, "n", node_index_read_report(index, other));
    cr_assert_eq(node_index_reports(index), 1);
}

static void count_change(void *userdata, _unused_ const char *profile)
{
    ++*(int *) userdata;
}

Test(nodes, heartbeats_and_repeated_reports_tell_nobody)
{
    _cleanup_(node_index_freep) struct node_index *index = NULL;
    const struct profile_spec profile = {.name = "a", .generation = 1, .revision = "r"};
    _cleanup_json_ cJSON *report = NULL, *labels = NULL;
    int changes = 0;

    alloc_init();
    index = node_index_new(count_change, &changes);
    report = json_of("{'apparmor':'Enabled','profiles':[{'name':'a','generation':1,"
                     "'state':'Loaded'}]}");
    labels = json_of("{'pool':'a'}");
    node_index_set_profile(index, &profile);
    node_index_set_node(index, "n", labels);
    set_report(index, "n", report);
    changes = 0;
    node_index_set_profile(index, &profile);
    node_index_set_node(index, "n", labels);
    set_report(index, "n", report);
    cr_assert_eq(changes, 0);
}

#define VIOLATION(object, denied)                                            \
    "{'object':'" object "','revision':'r','denied':" denied ",'allowed':7," \
    "'firstTime':'2026-01-01T00:00:00Z','lastTime':'2026-01-01T00:00:01Z'}"
#define VIOLATIONS(list) "{'apparmor':'Enabled','profiles':[],'violations':[" list "]}"

static void note_view(void *userdata, const struct node_view *node)
{
    *(struct violation *) userdata = node->violation ? *node->violation : (struct violation){0};
}

Test(nodes, violations_are_told_of_the_profile_that_they_are_about)
{
    static const struct {
        const char *status;
        int changes;
        uint64_t denied; /* of profile a */
    } steps[] = {
        {VIOLATIONS(VIOLATION("b", "1")), 1, 0},
        {VIOLATIONS(VIOLATION("b", "1") "," VIOLATION("a", "5")), 1, 5},
        {VIOLATIONS(VIOLATION("a", "5") "," VIOLATION("b", "1")), 0, 5},
        {VIOLATIONS(VIOLATION("a", "6") "," VIOLATION("b", "1")), 1, 6},
        {VIOLATIONS(VIOLATION("a", "6") "," VIOLATION("b", "1") "," VIOLATION("none", "1")), 0, 6},
        {VIOLATIONS(""), 2, 0},
        {"{'apparmor':'Enabled','violations':[null,5,{},{'object':'a'},{'object':'a','revision':'r'"
         ","
         "'denied':'x','lastTime':'never'}]}",
         0, 0},
    };
    _cleanup_(node_index_freep) struct node_index *index = NULL;
    const struct profile_spec a = {.name = "a", .generation = 1, .revision = "r"};
    const struct profile_spec b = {.name = "b", .generation = 1, .revision = "r"};
    _cleanup_json_ cJSON *enabled = NULL;
    int changes = 0;

    alloc_init();
    index = node_index_new(count_change, &changes);
    node_index_set_profile(index, &a);
    node_index_set_profile(index, &b);
    node_index_set_node(index, "n", NULL);
    enabled = json_of("{'apparmor':'Enabled'}");
    set_report(index, "n", enabled);
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        _cleanup_json_ cJSON *status = json_of("%s", steps[i].status);
        struct violation violation = {0};

        changes = 0;
        set_report(index, "n", status);
        node_index_set_node(index, "n", NULL);
        cr_assert_eq(changes, steps[i].changes, "%zu: %d", i, changes);
        node_index_each(index, "a", note_view, &violation);
        cr_assert_eq(violation.denied, steps[i].denied, "%zu", i);
        cr_assert_eq(violation.allowed, steps[i].denied > 0 ? 7 : 0, "%zu", i);
    }
    node_index_remove_report(index, "n");
    cr_assert_eq(node_index_reports(index), 0);
}

Test(nodes, reports_of_the_wrong_shape_are_passed_over)
{
    static const char *const wrong[] = {
        "null",
        "[]",
        "{'apparmor':5,'profiles':'x'}",
        "{'apparmor':'Enabled','profiles':{}}",
        "{'apparmor':'Enabled','profiles':[null,5,'a',[],{},{'name':5,'state':'Loaded'},"
        "{'name':'a'},{'name':'a','state':null},{'name':'a','state':'Unloaded'}]}",
        "{'apparmor':'Enabled','profiles':[{'name':'b','state':'Loaded','generation':'x',"
        "'profileNames':[1,null,{}],'mode':[]}]}",
    };
    _cleanup_(node_index_freep) struct node_index *index = NULL;
    const struct profile_spec profile = {.name = "a", .generation = 1, .revision = "r"};

    alloc_init();
    index = node_index_new(ignore_change, NULL);
    node_index_set_profile(index, &profile);
    node_index_set_node(index, "n", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_json_ cJSON *report = json_of("%s", wrong[i]);

        set_report(index, "n", report);
        cr_assert_eq(node_index_tally(index, "a")->counts[NODE_LOADED], 0, "%s", wrong[i]);
    }
}

Test(nodes, control_characters_cannot_make_two_reports_one)
{
    _cleanup_(node_index_freep) struct node_index *index = NULL;
    _cleanup_json_ cJSON *one = NULL, *other = NULL;

    alloc_init();
    index = node_index_new(ignore_change, NULL);
    one = json_of("{'profiles':[{'name':'a','state':'Loaded','profileNames':['b','c']}]}");
    other = json_of("{'profiles':[{'name':'a','state':'Loaded','profileNames':['b\\u001ec']}]}");
    set_report(index, "n", one);
    set_report(index, "m", other);
    cr_assert_eq(node_index_reports(index), 2);
}

static bool is_named(void *userdata, const char *node)
{
    return strcmp(userdata, node) == 0;
}

static size_t count_of(const struct node_index *index, enum node_state state)
{
    return node_index_tally(index, "web")->counts[state];
}

/* A node that nobody mends is not waited for; what it has loaded it has. */
Test(nodes, a_lost_node_blocks_nothing_until_it_is_back)
{
    const struct profile_spec spec = {.name = "web", .generation = 2, .revision = "r"};
    _cleanup_json_ cJSON *pending = json_of("{'apparmor':'Enabled','profiles':[]}");
    _cleanup_json_ cJSON *loaded =
        json_of("{'apparmor':'Enabled','profiles':[{'name':'web','generation':2,'revision':'r',"
                "'state':'Loaded','mode':'Enforce'}]}");
    _cleanup_json_ cJSON *failed =
        json_of("{'apparmor':'Enabled','profiles':[{'name':'web','generation':2,"
                "'state':'Failed','reason':'LoadFailed'}]}");
    int told = 0;
    _cleanup_(node_index_freep) struct node_index *index = node_index_new(count_change, &told);

    node_index_set_profile(index, &spec);
    node_index_set_node(index, "a", NULL);
    node_index_set_node(index, "b", NULL);
    set_report(index, "a", loaded);
    set_report(index, "b", pending);
    node_index_look_for_lost(index, is_named, (void *) (uintptr_t) "a");
    cr_assert_eq(count_of(index, NODE_LOADED), 1);
    told = 0;
    node_index_look_for_lost(index, is_named, (void *) (uintptr_t) "b");
    cr_assert_eq(count_of(index, NODE_LOST), 1);
    cr_assert_eq(tally_selected(node_index_tally(index, "web")), 1);
    cr_assert_eq(told, 1);
    node_index_look_for_lost(index, is_named, (void *) (uintptr_t) "b");
    cr_assert_eq(told, 1, "nothing has changed");
    node_index_look_for_lost(index, is_named, (void *) (uintptr_t) "nobody");
    cr_assert_eq(count_of(index, NODE_PENDING), 1);

    node_index_look_for_lost(index, is_named, (void *) (uintptr_t) "b");
    set_report(index, "b", failed);
    cr_assert_eq(count_of(index, NODE_FAILED), 1, "who reports is there");
    node_index_look_for_lost(index, is_named, (void *) (uintptr_t) "b");
    cr_assert_eq(count_of(index, NODE_LOST), 1);
    node_index_remove_node(index, "b");
    cr_assert_eq(count_of(index, NODE_LOST), 0);
}
