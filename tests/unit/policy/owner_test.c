// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/owner.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/cleanup.h"

struct owner_case {
    const char *what;
    struct owner_claim claims[3];
    size_t count;
    ptrdiff_t owner;
    enum owner_foreign foreign;
};

static const struct owner_case CASES[] = {
    {"nobody claims", {{0}}, 0, -1, OWNER_FOREIGN_NONE},
    {"who neither selects nor holds gets nothing", {{.object = "a"}}, 1, -1, OWNER_FOREIGN_NONE},
    {"the oldest owns",
     {{.object = "a", .uid = "1", .created_ms = 20, .selects = true},
      {.object = "b", .uid = "2", .created_ms = 10, .selects = true}},
     2,
     1,
     OWNER_FOREIGN_NONE},
    {"of the same age, the lower uid owns",
     {{.object = "a", .uid = "2", .created_ms = 10, .selects = true},
      {.object = "b", .uid = "1", .created_ms = 10, .selects = true}},
     2,
     1,
     OWNER_FOREIGN_NONE},
    {"without uids the name decides",
     {{.object = "b", .uid = "", .selects = true}, {.object = "a", .selects = true}},
     2,
     1,
     OWNER_FOREIGN_NONE},
    {"an older object that begins to declare the name does not seize it",
     {{.object = "old", .uid = "1", .created_ms = 1, .selects = true},
      {.object = "held", .uid = "2", .created_ms = 9, .selects = true, .incumbent = true}},
     2,
     1,
     OWNER_FOREIGN_NONE},
    {"an incumbent that is deleted hands over at once",
     {{.object = "a",
       .uid = "1",
       .created_ms = 1,
       .selects = true,
       .deleting = true,
       .incumbent = true},
      {.object = "b", .uid = "2", .created_ms = 2, .selects = true}},
     2,
     1,
     OWNER_FOREIGN_NONE},
    {"an incumbent that selects the node no more hands over",
     {{.object = "a", .uid = "1", .created_ms = 1, .incumbent = true},
      {.object = "b", .uid = "2", .created_ms = 2, .selects = true}},
     2,
     1,
     OWNER_FOREIGN_NONE},
    {"what is deleted inherits nothing",
     {{.object = "a", .uid = "1", .created_ms = 1, .incumbent = true},
      {.object = "b", .uid = "2", .created_ms = 2, .selects = true, .deleting = true}},
     2,
     0,
     OWNER_FOREIGN_NONE},
    {"an incumbent without a successor drains",
     {{.object = "a", .uid = "1", .selects = true, .deleting = true, .incumbent = true}},
     1,
     0,
     OWNER_FOREIGN_NONE},
    {"the eldest of the heirs takes over",
     {{.object = "a", .uid = "1", .created_ms = 1, .deleting = true, .incumbent = true},
      {.object = "b", .uid = "2", .created_ms = 3, .selects = true},
      {.object = "c", .uid = "3", .created_ms = 2, .selects = true}},
     3,
     2,
     OWNER_FOREIGN_NONE},
    {"what is there from elsewhere stays, whoever wants its name",
     {{.object = "a", .uid = "1", .created_ms = 1, .selects = true},
      {.object = "b", .uid = "2", .created_ms = 2, .selects = true}},
     2,
     -1,
     OWNER_FOREIGN_PLAIN},
    {"it goes to the one that adopts, though another is older",
     {{.object = "a", .uid = "1", .created_ms = 1, .selects = true},
      {.object = "b", .uid = "2", .created_ms = 2, .selects = true, .adopts = true}},
     2,
     1,
     OWNER_FOREIGN_PLAIN},
    {"the eldest of those that adopt has it",
     {{.object = "a", .uid = "1", .created_ms = 3, .selects = true, .adopts = true},
      {.object = "b", .uid = "2", .created_ms = 2, .selects = true, .adopts = true}},
     2,
     1,
     OWNER_FOREIGN_PLAIN},
    {"nobody adopts what is a runtime's or the distribution's",
     {{.object = "a", .uid = "1", .created_ms = 1, .selects = true, .adopts = true}},
     1,
     -1,
     OWNER_FOREIGN_PROTECTED},
    {"who is deleted adopts nothing",
     {{.object = "a", .uid = "1", .selects = true, .deleting = true, .adopts = true}},
     1,
     -1,
     OWNER_FOREIGN_PLAIN},
    {"who does not select the node adopts nothing",
     {{.object = "a", .uid = "1", .adopts = true}},
     1,
     -1,
     OWNER_FOREIGN_PLAIN},
    {"an incumbent need not adopt what is its own",
     {{.object = "a", .uid = "1", .selects = true, .incumbent = true}},
     1,
     0,
     OWNER_FOREIGN_PROTECTED},
};

Test(owner, each_case)
{
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++)
        cr_expect_eq(owner_decide(CASES[i].claims, CASES[i].count, CASES[i].foreign),
                     CASES[i].owner, "%s", CASES[i].what);
}

/* All claims over a small universe, in all rotations and reversed. */
Test(owner, does_not_depend_on_the_order_of_claims)
{
    enum { KINDS = 16, CLAIMS = 3 };
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
                                             .incumbent = rest & 4,
                                             .adopts = rest & 8};
        for (enum owner_foreign foreign = 0; foreign <= OWNER_FOREIGN_PROTECTED; foreign++) {
            ptrdiff_t owner = owner_decide(claims, CLAIMS, foreign);

            for (size_t turn = 0; turn < CLAIMS; turn++) {
                for (size_t i = 0; i < CLAIMS; i++)
                    turned[i] = claims[(i + turn) % CLAIMS];
                ptrdiff_t again = owner_decide(turned, CLAIMS, foreign);
                cr_assert_eq(owner < 0, again < 0);
                if (owner >= 0)
                    cr_assert_str_eq(turned[again].object, claims[owner].object);
            }
        }
    }
}

Test(owner, only_what_is_entered_by_name_alone_can_be_adopted)
{
    static const struct {
        const char *name, *attachment;
        enum owner_foreign expected;
    } cases[] = {
        {"my-app", "my-app", OWNER_FOREIGN_PLAIN},
        {"my app", "my app", OWNER_FOREIGN_PLAIN},
        {"man_filter", "/usr/bin/man", OWNER_FOREIGN_PROTECTED},
        {"man_filter", "<unknown>", OWNER_FOREIGN_PROTECTED},
        {"my-app", NULL, OWNER_FOREIGN_PROTECTED},
        {"/usr/bin/man", "/usr/bin/man", OWNER_FOREIGN_PROTECTED},
        {"docker-default", "docker-default", OWNER_FOREIGN_PROTECTED},
        {"cri-containerd.apparmor.d", "cri-containerd.apparmor.d", OWNER_FOREIGN_PROTECTED},
        {"crio-default", "crio-default", OWNER_FOREIGN_PROTECTED},
        {"crio-default-1.34.0", "crio-default-1.34.0", OWNER_FOREIGN_PROTECTED},
        {"containers-default-0.57", "containers-default-0.57", OWNER_FOREIGN_PROTECTED},
        {"lxc-container-default-cgns", "lxc-container-default-cgns", OWNER_FOREIGN_PROTECTED},
        {"snap.firefox.firefox", "snap.firefox.firefox", OWNER_FOREIGN_PROTECTED},
        {"docker-default-of-mine", "docker-default-of-mine", OWNER_FOREIGN_PLAIN},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cr_expect_eq(owner_classify(cases[i].name, cases[i].attachment), cases[i].expected, "%s %s",
                     cases[i].name, cases[i].attachment);
}

/* --- every history of three objects ---------------------------------------------------------- */

/*
 * Somebody else loads the name when the node has it from nobody, and unloads it. Objects are
 * created, begin and cease to declare the name (an edit), to select the node (of the object's
 * selector or of the node's labels), to adopt, are deleted and created anew, and what nobody owns
 * any more is removed once it is unused: in any order and for however long. As the node only
 * remembers what is in here, all histories are covered when each state that any of them reaches has
 * been left by each event.
 */
enum { OBJECTS = 3, NOBODY = OBJECTS, STRANGER, HOLDERS, SLOTS = 17 };
enum { STATES = SLOTS * SLOTS * SLOTS * 6 * HOLDERS };

struct object {
    bool there, declares, selects, deleting, adopts;
};

struct world {
    struct object objects[OBJECTS];
    unsigned age[OBJECTS]; /* a permutation: 0 is the oldest */
    unsigned holder; /* whose file holds the name; NOBODY, or STRANGER: somebody else loaded it */
};

enum event { CREATE, DECLARE, SELECT, ADOPT, DELETE, EVENTS };

static const char *const object_names[OBJECTS] = {"a", "b", "c"};

static bool is_eligible(const struct object *object)
{
    return object->there && object->declares && object->selects && !object->deleting;
}

static unsigned decide(const struct world *world)
{
    struct owner_claim claims[OBJECTS];
    unsigned whose[OBJECTS];
    size_t count = 0;

    for (unsigned i = 0; i < OBJECTS; i++) {
        const struct object *object = &world->objects[i];

        if (!object->there || (!object->declares && world->holder != i))
            continue;
        whose[count] = i;
        claims[count++] = (struct owner_claim){
            .object = object_names[i],
            .uid = object_names[OBJECTS - 1 - i],
            .created_ms = world->age[i],
            .selects = object->declares && object->selects,
            .deleting = object->deleting,
            .incumbent = world->holder == i,
            .adopts = object->adopts,
        };
    }
    ptrdiff_t owner =
        owner_decide(claims, count,
                     world->holder == STRANGER ? OWNER_FOREIGN_PLAIN : OWNER_FOREIGN_NONE);
    return owner < 0 ? NOBODY : whose[owner];
}

/* The eldest that may have the name. */
static unsigned heir(const struct world *world)
{
    unsigned best = NOBODY;

    for (unsigned i = 0; i < OBJECTS; i++)
        if (is_eligible(&world->objects[i]) &&
            (world->holder != STRANGER || world->objects[i].adopts) &&
            (best == NOBODY || world->age[i] < world->age[best]))
            best = i;
    return best;
}

/* A new object is the youngest. */
static void create(struct world *world, unsigned object)
{
    for (unsigned i = 0; i < OBJECTS; i++)
        if (world->age[i] > world->age[object])
            world->age[i]--;
    world->age[object] = OBJECTS - 1;
    world->objects[object] = (struct object){.there = true, .declares = true, .selects = true};
}

/* False when it cannot happen. Objects that are there no more have to be let go by the node. */
static bool happen(struct world *world, enum event event, unsigned which)
{
    struct object *object = &world->objects[which];

    if ((event == CREATE) == object->there)
        return false;
    switch (event) {
    case CREATE:
        create(world, which);
        break;
    case DECLARE:
        object->declares = !object->declares;
        break;
    case SELECT:
        object->selects = !object->selects;
        break;
    case ADOPT:
        object->adopts = !object->adopts;
        break;
    default:
        if (object->deleting)
            return false;
        object->deleting = true;
    }
    return true;
}

static void check(const struct world *world)
{
    unsigned owner = decide(world), expected = heir(world);

    if (world->holder < OBJECTS && is_eligible(&world->objects[world->holder]))
        cr_assert_eq(owner, world->holder, "whoever holds it rightly keeps it");
    else if (expected != NOBODY)
        cr_assert_eq(owner, expected, "the eldest that may takes over at once");
    else if (world->holder == STRANGER)
        cr_assert_eq(owner, NOBODY, "what is somebody else's is nobody's");
    else
        cr_assert_eq(owner, world->holder, "without an heir it stays with the last until unused");
}

/* The node does what was decided: an owner that may have the name replaces whatever is there. */
static void settle(struct world *world)
{
    unsigned owner = decide(world);

    if (owner != NOBODY && is_eligible(&world->objects[owner]))
        world->holder = owner;
    for (unsigned i = 0; i < OBJECTS; i++)
        if (world->objects[i].deleting && world->holder != i)
            world->objects[i] = (struct object){0};
}

static size_t index_of(const struct world *world)
{
    size_t index = world->holder;

    for (unsigned i = 0; i < OBJECTS; i++) {
        const struct object *object = &world->objects[i];
        unsigned slot = object->there ? 1 + 1U * object->declares + 2U * object->selects +
                                            4U * object->deleting + 8U * object->adopts
                                      : 0;
        index = index * SLOTS + slot;
    }
    return index * 6 + (world->age[0] * 2 + (world->age[1] > world->age[2]));
}

static bool seen[STATES];
/* Worlds that are to be left by each event. */
static struct world waiting[STATES];
static size_t waiting_count;

static void reach(struct world world)
{
    check(&world);
    settle(&world);
    check(&world);
    if (seen[index_of(&world)])
        return;
    seen[index_of(&world)] = true;
    waiting[waiting_count++] = world;
}

static void leave(const struct world *world)
{
    struct world next;

    for (unsigned which = 0; which < OBJECTS; which++)
        for (unsigned event = 0; event < EVENTS; event++) {
            next = *world;
            if (happen(&next, (enum event) event, which))
                reach(next);
        }
    next = *world;
    if (world->holder == NOBODY) {
        next.holder = STRANGER;
        reach(next);
    } else if (world->holder == STRANGER || !is_eligible(&world->objects[world->holder])) {
        /* Somebody has unloaded it, or the last process that used it has ended. */
        next.holder = NOBODY;
        reach(next);
    }
}

Test(owner, every_history_of_three_objects_and_a_stranger_keeps_the_rules)
{
    size_t states = 0;

    reach((struct world){.age = {0, 1, 2}, .holder = NOBODY});
    while (waiting_count > 0) {
        struct world world = waiting[--waiting_count];

        states++;
        leave(&world);
    }
    cr_assert_gt(states, 20000, "%zu states", states);
}

Test(owner, a_conflict_names_the_owner_whatever_the_profile_is_called)
{
    static const char *const names[] = {"web", "a b", "x belongs to AppArmorProfile y on this node",
                                        " belongs to AppArmorProfile ", ""};
    static const char *const others[] = {"", "web", "profile web belongs to AppArmorProfile shop",
                                         "profile web belongs to AppArmorProfile  on this node",
                                         "profile web belongs to AppArmorProfile a b on this node"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *text = owner_conflict_text(names[i], "shop.example");
        _cleanup_free_ char *object = owner_conflict_object(text);

        cr_assert_str_eq(object, "shop.example", "%s", text);
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        cr_assert_null(owner_conflict_object(others[i]), "%s", others[i]);
}
