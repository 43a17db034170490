// SPDX-License-Identifier: Apache-2.0
#include "controller/rollup.h"

#include "controller/patch.h"
#include "tests/unit/controller/support.h"

#define NOW 1700000000000 /* 2023-11-14T22:13:20Z */
#define NOW_TEXT "2023-11-14T22:13:20Z"
#define NODES_MAX 4

/* A node as the cluster shows it: NULL labels: no Node; NULL apparmor: no AppArmorNode. Entries are
 * of status.profiles. */
struct node_case {
    const char *labels, *apparmor, *entries;
};

struct rollup_case {
    const char *name;
    struct node_case nodes[NODES_MAX];
    const char *selector; /* or NULL */
    bool deleting;
    const char *invalid; /* message, or NULL */
    enum opinion_result opinion;
    /* What must come out. */
    const char *summary;
    int outdated, failed;
    const char *ready, *reason, *message;
    const char *abnormal; /* Reconciling, Stalled or NULL */
    const char *valid, *valid_reason;
    const char *kstatus;
};

#define LOADED                                                                        \
    "{'name':'web','generation':2,'revision':'r2','state':'Loaded','mode':'Enforce'," \
    "'profileNames':['web']}"
#define LOADED_BEFORE                                                                 \
    "{'name':'web','generation':1,'revision':'r1','state':'Loaded','mode':'Enforce'," \
    "'profileNames':['web']}"
#define LOADED_OTHER                                                                   \
    "{'name':'web','generation':2,'revision':'old','state':'Loaded','mode':'Enforce'," \
    "'profileNames':['web']}"
#define PENDING "{'name':'web','generation':2,'state':'Pending','reason':'Compiling'}"
#define SYNTAX                                                               \
    "{'name':'web','generation':2,'state':'Failed','reason':'CompileError'," \
    "'message':'line 12: syntax error','revision':'r1','profileNames':['web']}"
#define CONFLICT                                                             \
    "{'name':'web','generation':2,'state':'Failed','reason':'NameConflict'," \
    "'message':'the name web belongs to AppArmorProfile shop'}"
#define FAILED_BEFORE "{'name':'web','generation':1,'state':'Failed','reason':'CompileError'}"
#define DRAINING                                                                        \
    "{'name':'web','generation':2,'revision':'r2','state':'Draining','mode':'Enforce'," \
    "'profileNames':['web'],'reason':'InUse','message':'pod shop/web-1 names it'}"
#define HINT                                                                                     \
    "; delete what uses it, or annotate the object with apparmor.io/force-delete=true: it goes " \
    "at once then, and nodes keep what is in use until it is not"
#define OTHER "{'name':'shop','generation':2,'state':'Failed','reason':'CompileError'}"

#define NO_RULE "line 3: no such rule"

static const struct rollup_case cases[] = {
    {
        .name = "accepted before any node has loaded it",
        .nodes = {{"{}", "Enabled", ""}},
        .opinion = OPINION_ACCEPTED,
        .summary = "0/1",
        .ready = "False",
        .reason = "NodesPending",
        .message = "0 of 1 node loaded; waiting for node-0",
        .abnormal = "Reconciling",
        .valid = "True",
        .valid_reason = "Compiled",
        .kstatus = "InProgress",
    },
    {
        .name = "refused before any node has failed",
        .nodes = {{"{}", "Enabled", ""}, {"{}", "Enabled", PENDING}},
        .opinion = OPINION_REFUSED,
        .summary = "0/2",
        .ready = "False",
        .reason = "Invalid",
        .message = "0 of 2 nodes loaded; " NO_RULE,
        .abnormal = "Stalled",
        .valid = "False",
        .valid_reason = "CompileError",
        .kstatus = "Failed",
    },
    {
        .name = "refused without any node",
        .opinion = OPINION_REFUSED,
        .summary = "0/0",
        .ready = "False",
        .reason = "Invalid",
        .message = NO_RULE,
        .abnormal = "Stalled",
        .valid = "False",
        .valid_reason = "CompileError",
        .kstatus = "Failed",
    },
    {
        .name = "refused here and there",
        .nodes = {{"{}", "Enabled", SYNTAX}, {"{}", "Enabled", PENDING}},
        .opinion = OPINION_REFUSED,
        .summary = "0/2",
        .failed = 1,
        .ready = "False",
        .reason = "Invalid",
        .message = "0 of 2 nodes loaded; node-0: line 12: syntax error; waiting for node-1",
        .abnormal = "Reconciling",
        .valid = "False",
        .valid_reason = "CompileError",
        .kstatus = "InProgress",
    },
    {
        .name = "refused, and nodes load it all the same",
        .nodes = {{"{}", "Enabled", LOADED}},
        .opinion = OPINION_REFUSED,
        .summary = "1/1",
        .ready = "True",
        .reason = "AllNodesLoaded",
        .message = "1 of 1 node loaded",
        .valid = "False",
        .valid_reason = "CompileError",
        .kstatus = "Current",
    },
    {
        .name = "refused for some kernels",
        .nodes = {{"{}", "Enabled", LOADED}, {"{}", "Enabled", PENDING}},
        .opinion = OPINION_PARTLY_REFUSED,
        .summary = "1/2",
        .ready = "False",
        .reason = "NodesPending",
        .message = "1 of 2 nodes loaded; waiting for node-1",
        .abnormal = "Reconciling",
        .valid = "False",
        .valid_reason = "CompileError",
        .kstatus = "InProgress",
    },
    {
        .name = "undecided",
        .nodes = {{"{}", "Enabled", PENDING}},
        .opinion = OPINION_UNDECIDED,
        .summary = "0/1",
        .ready = "False",
        .reason = "NodesPending",
        .message = "0 of 1 node loaded; waiting for node-0",
        .abnormal = "Reconciling",
        .valid = "Unknown",
        .valid_reason = "NotCompiled",
        .kstatus = "InProgress",
    },
    {
        .name = "accepted here, refused by a node",
        .nodes = {{"{}", "Enabled", SYNTAX}},
        .opinion = OPINION_ACCEPTED,
        .summary = "0/1",
        .failed = 1,
        .ready = "False",
        .reason = "Invalid",
        .message = "0 of 1 node loaded; node-0: line 12: syntax error",
        .abnormal = "Stalled",
        .valid = "False",
        .valid_reason = "CompileError",
        .kstatus = "Failed",
    },
    {
        .name = "no nodes at all",
        .summary = "0/0",
        .ready = "True",
        .reason = "NoNodesSelected",
        .message = "no node that runs the agent and has AppArmor is selected",
        .valid = "Unknown",
        .valid_reason = "NotCompiled",
        .kstatus = "Current",
    },
    {
        .name = "nodes without agents",
        .nodes = {{"{}", NULL, NULL}, {"{}", NULL, NULL}},
        .summary = "0/0",
        .ready = "True",
        .reason = "NoNodesSelected",
        .message = "no node that runs the agent and has AppArmor is selected; 2 selected nodes "
                   "have no agent that reports",
        .valid = "Unknown",
        .valid_reason = "NotCompiled",
        .kstatus = "Current",
    },
    {
        .name = "no reports yet",
        .nodes = {{"{}", "Enabled", ""}, {"{}", "Enabled", OTHER}},
        .summary = "0/2",
        .ready = "False",
        .reason = "NodesPending",
        .message = "0 of 2 nodes loaded; waiting for node-0, node-1",
        .abnormal = "Reconciling",
        .valid = "Unknown",
        .valid_reason = "NotCompiled",
        .kstatus = "InProgress",
    },
    {
        .name = "all loaded",
        .nodes = {{"{}", "Enabled", LOADED}, {"{}", "Enabled", LOADED}},
        .summary = "2/2",
        .ready = "True",
        .reason = "AllNodesLoaded",
        .message = "2 of 2 nodes loaded",
        .valid = "True",
        .valid_reason = "Compiled",
        .kstatus = "Current",
    },
    {
        .name = "one pending",
        .nodes = {{"{}", "Enabled", LOADED}, {"{}", "Enabled", PENDING}},
        .summary = "1/2",
        .ready = "False",
        .reason = "NodesPending",
        .message = "1 of 2 nodes loaded; waiting for node-1",
        .abnormal = "Reconciling",
        .valid = "True",
        .valid_reason = "Compiled",
        .kstatus = "InProgress",
    },
    {
        .name = "one at an older generation",
        .nodes = {{"{}", "Enabled", LOADED}, {"{}", "Enabled", LOADED_BEFORE}},
        .summary = "1/2",
        .outdated = 1,
        .ready = "False",
        .reason = "NodesPending",
        .message = "1 of 2 nodes loaded; waiting for node-1",
        .abnormal = "Reconciling",
        .valid = "True",
        .valid_reason = "Compiled",
        .kstatus = "InProgress",
    },
    {
        .name = "an older generation's failure says nothing of this one",
        .nodes = {{"{}", "Enabled", FAILED_BEFORE}},
        .summary = "0/1",
        .outdated = 1,
        .ready = "False",
        .reason = "NodesPending",
        .message = "0 of 1 node loaded; waiting for node-0",
        .abnormal = "Reconciling",
        .valid = "Unknown",
        .valid_reason = "NotCompiled",
        .kstatus = "InProgress",
    },
    {
        .name = "the generation of a re-created object with another text",
        .nodes = {{"{}", "Enabled", LOADED_OTHER}},
        .summary = "0/1",
        .outdated = 1,
        .ready = "False",
        .reason = "NodesPending",
        .message = "0 of 1 node loaded; waiting for node-0",
        .abnormal = "Reconciling",
        .valid = "Unknown",
        .valid_reason = "NotCompiled",
        .kstatus = "InProgress",
    },
    {
        .name = "one compile error that keeps the last good revision",
        .nodes = {{"{}", "Enabled", LOADED}, {"{}", "Enabled", SYNTAX}, {"{}", "Enabled", LOADED}},
        .summary = "2/3",
        .failed = 1,
        .ready = "False",
        .reason = "Invalid",
        .message = "2 of 3 nodes loaded; node-1: line 12: syntax error",
        .abnormal = "Stalled",
        .valid = "False",
        .valid_reason = "CompileError",
        .kstatus = "Failed",
    },
    {
        .name = "a compile error while another node is at work",
        .nodes = {{"{}", "Enabled", SYNTAX}, {"{}", "Enabled", PENDING}},
        .summary = "0/2",
        .failed = 1,
        .ready = "False",
        .reason = "Invalid",
        .message = "0 of 2 nodes loaded; node-0: line 12: syntax error; waiting for node-1",
        .abnormal = "Reconciling",
        .valid = "False",
        .valid_reason = "CompileError",
        .kstatus = "InProgress",
    },
    {
        .name = "a failure that is the node's own",
        .nodes = {{"{}", "Enabled", LOADED}, {"{}", "Enabled", CONFLICT}},
        .summary = "1/2",
        .failed = 1,
        .ready = "False",
        .reason = "NodesFailed",
        .message = "1 of 2 nodes loaded; node-1: the name web belongs to AppArmorProfile shop",
        .abnormal = "Stalled",
        .valid = "True",
        .valid_reason = "Compiled",
        .kstatus = "Failed",
    },
    {
        .name = "like failures are told together",
        .nodes = {{"{}", "Enabled", SYNTAX},
                  {"{}", "Enabled", CONFLICT},
                  {"{}", "Enabled", SYNTAX},
                  {"{}", "Enabled", SYNTAX}},
        .summary = "0/4",
        .failed = 4,
        .ready = "False",
        .reason = "Invalid",
        .message = "0 of 4 nodes loaded; node-0 and 2 others: line 12: syntax error; node-1: the "
                   "name web belongs to AppArmorProfile shop",
        .abnormal = "Stalled",
        .valid = "False",
        .valid_reason = "CompileError",
        .kstatus = "Failed",
    },
    {
        .name = "a node that the selector does not take",
        .nodes = {{"{'pool':'web'}", "Enabled", LOADED}, {"{'pool':'db'}", "Enabled", SYNTAX}},
        .selector = "{'matchLabels':{'pool':'web'}}",
        .summary = "1/1",
        .ready = "True",
        .reason = "AllNodesLoaded",
        .message = "1 of 1 node loaded",
        .valid = "True",
        .valid_reason = "Compiled",
        .kstatus = "Current",
    },
    {
        .name = "a selector that takes nobody",
        .nodes = {{"{'pool':'db'}", "Enabled", LOADED}},
        .selector = "{'matchLabels':{'pool':'web'}}",
        .summary = "0/0",
        .ready = "True",
        .reason = "NoNodesSelected",
        .message = "no node that runs the agent and has AppArmor is selected",
        .valid = "Unknown",
        .valid_reason = "NotCompiled",
        .kstatus = "Current",
    },
    {
        .name = "a node without AppArmor",
        .nodes = {{"{}", "Enabled", LOADED}, {"{}", "Disabled", ""}},
        .summary = "1/1",
        .ready = "True",
        .reason = "AllNodesLoaded",
        .message = "1 of 1 node loaded; 1 node without AppArmor is not counted",
        .valid = "True",
        .valid_reason = "Compiled",
        .kstatus = "Current",
    },
    {
        .name = "only nodes without AppArmor",
        .nodes = {{"{}", "Disabled", ""}},
        .summary = "0/0",
        .ready = "True",
        .reason = "NoNodesSelected",
        .message = "no node that runs the agent and has AppArmor is selected; 1 selected node has "
                   "no AppArmor",
        .valid = "Unknown",
        .valid_reason = "NotCompiled",
        .kstatus = "Current",
    },
    {
        .name = "the report of a node that has left",
        .nodes = {{"{}", "Enabled", LOADED}, {NULL, "Enabled", SYNTAX}},
        .summary = "1/1",
        .ready = "True",
        .reason = "AllNodesLoaded",
        .message = "1 of 1 node loaded",
        .valid = "True",
        .valid_reason = "Compiled",
        .kstatus = "Current",
    },
    {
        .name = "being deleted and in use",
        .nodes = {{"{}", "Enabled", DRAINING}, {"{}", "Enabled", ""}},
        .deleting = true,
        .summary = "0/2",
        .ready = "False",
        .reason = "Terminating",
        .message = "being deleted; in use on 1 node: node-0: pod shop/web-1 names it" HINT,
        .valid = "Unknown",
        .valid_reason = "NotCompiled",
        .kstatus = "Terminating",
    },
    {
        .name = "being deleted, on nodes that are no longer selected as well",
        .nodes = {{"{'pool':'web'}", "Enabled", LOADED}, {"{}", "Enabled", DRAINING}},
        .selector = "{'matchLabels':{'pool':'web'}}",
        .deleting = true,
        .summary = "1/1",
        .ready = "False",
        .reason = "Terminating",
        .message =
            "being deleted; in use on 1 node: node-1: pod shop/web-1 names it; being unloaded "
            "on 1 node: node-0" HINT,
        .valid = "True",
        .valid_reason = "Compiled",
        .kstatus = "Terminating",
    },
    {
        .name = "being deleted, and gone from everywhere",
        .nodes = {{"{}", "Enabled", ""}},
        .deleting = true,
        .summary = "0/1",
        .ready = "False",
        .reason = "Terminating",
        .message = "being deleted; no live node has it to unload",
        .valid = "Unknown",
        .valid_reason = "NotCompiled",
        .kstatus = "Terminating",
    },
    {
        .name = "an object that cannot be accepted",
        .nodes = {{"{}", "Enabled", ""}},
        .invalid = "spec.policy is empty: write a profile",
        .summary = "0/1",
        .ready = "False",
        .reason = "Invalid",
        .message = "spec.policy is empty: write a profile",
        .abnormal = "Stalled",
        .valid = "False",
        .valid_reason = "InvalidSpec",
        .kstatus = "Failed",
    },
};

static void fill_index(struct node_index *index, const struct node_case *nodes)
{
    for (int i = 0; i < NODES_MAX; i++) {
        char name[16];

        (void) snprintf(name, sizeof(name), "node-%d", i);
        if (nodes[i].labels) {
            _cleanup_json_ cJSON *labels = json_of("%s", nodes[i].labels);

            node_index_set_node(index, name, labels);
        }
        if (nodes[i].apparmor) {
            _cleanup_json_ cJSON *status =
                json_of("{'apparmor':'%s','profiles':[%s]}", nodes[i].apparmor, nodes[i].entries);

            set_report(index, name, status);
        }
    }
}

static struct holders holders_of(const struct node_index *index, const struct node_case *nodes)
{
    _cleanup_(liveness_freep) struct liveness *liveness = liveness_new(1000);
    struct holders holders;

    for (int i = 0; i < NODES_MAX; i++) {
        char name[16];

        (void) snprintf(name, sizeof(name), "node-%d", i);
        if (nodes[i].labels)
            liveness_set_node(liveness, name, true, 0);
    }
    holders_find(&holders, index, liveness, "web", 0);
    return holders;
}

static cJSON *roll_up(const struct rollup_case *test, const cJSON *selector, const cJSON *old,
                      int64_t now_ms)
{
    _cleanup_(node_index_freep) struct node_index *index = node_index_new(ignore_change, NULL);
    const struct profile_spec profile = {
        .name = "web",
        .generation = 2,
        .deleting = test->deleting,
        .revision = test->invalid ? "" : "r2",
        .selector = selector,
        .invalid_reason = test->invalid ? "InvalidSpec" : NULL,
        .invalid_message = test->invalid,
    };
    struct holders holders;
    const bool refused =
        test->opinion == OPINION_REFUSED || test->opinion == OPINION_PARTLY_REFUSED;
    const struct opinion opinion = {
        .result = test->opinion,
        .reason = refused ? "CompileError" : "",
        .message = refused ? NO_RULE : "",
        .checked_with = "0123",
    };
    struct rollup rollup = {.profile = &profile,
                            .holders = &holders,
                            .opinion = &opinion,
                            .old = old,
                            .now_ms = now_ms};

    fill_index(index, test->nodes);
    node_index_set_profile(index, &profile);
    rollup.tally = node_index_tally(index, "web");
    holders = holders_of(index, test->nodes);
    return rollup_status(&rollup);
}

static void expect_condition(const char *name, const cJSON *status, const char *type,
                             const char *value, const char *reason)
{
    const cJSON *condition = condition_find(json_get(status, "conditions"), type);
    _cleanup_free_ char *text = json_print(status);

    cr_assert_not_null(condition, "%s: no %s in %s", name, type, text);
    cr_assert_str_eq(json_string(condition, "status"), value, "%s: %s in %s", name, type, text);
    cr_assert_str_eq(json_string(condition, "reason"), reason, "%s: %s in %s", name, type, text);
    cr_assert_eq(json_int(json_get(condition, "observedGeneration"), 0), 2, "%s", name);
    cr_assert_str_eq(json_string(condition, "lastTransitionTime"), NOW_TEXT, "%s", name);
}

static void expect_abnormal(const struct rollup_case *test, const cJSON *status, const char *type)
{
    const cJSON *conditions = json_get(status, "conditions");

    if (test->abnormal && strcmp(test->abnormal, type) == 0)
        expect_condition(test->name, status, type, "True", test->reason);
    else
        cr_assert_null(condition_find(conditions, type), "%s: %s", test->name, type);
}

static void check_case(const struct rollup_case *test)
{
    _cleanup_json_ cJSON *selector = test->selector ? json_of("%s", test->selector) : NULL;
    _cleanup_json_ cJSON *status = roll_up(test, selector, NULL, NOW);
    _cleanup_json_ cJSON *again = roll_up(test, selector, status, NOW + 60000);
    const cJSON *ready = condition_find(json_get(status, "conditions"), "Ready");
    int selected = 0, loaded = 0;

    cr_assert_eq(json_int(json_get(status, "observedGeneration"), 0), 2, "%s", test->name);
    cr_assert_str_eq(json_string(status, "nodes", "summary"), test->summary, "%s", test->name);
    cr_assert_eq(sscanf(test->summary, "%d/%d", &loaded, &selected), 2);
    cr_assert_eq(json_int(json_get(status, "nodes", "selected"), -1), selected, "%s", test->name);
    cr_assert_eq(json_int(json_get(status, "nodes", "loaded"), -1), loaded, "%s", test->name);
    cr_assert_eq(json_int(json_get(status, "nodes", "outdated"), -1), test->outdated, "%s",
                 test->name);
    cr_assert_eq(json_int(json_get(status, "nodes", "failed"), -1), test->failed, "%s", test->name);
    cr_assert_eq(cJSON_GetArraySize(json_get(status, "failures")), test->failed, "%s", test->name);
    expect_condition(test->name, status, "Ready", test->ready, test->reason);
    cr_assert_str_eq(json_string(ready, "message"), test->message, "%s", test->name);
    expect_abnormal(test, status, "Reconciling");
    expect_abnormal(test, status, "Stalled");
    expect_condition(test->name, status, "Valid", test->valid, test->valid_reason);
    cr_assert_str_eq(kstatus(test->deleting, 2, status), test->kstatus, "%s", test->name);
    /* Looking again, later, changes nothing: no write. */
    cr_assert(json_equal(status, again), "%s", test->name);
}

Test(rollup, states)
{
    alloc_init();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_case(&cases[i]);
}

static const struct rollup_case *case_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (strcmp(cases[i].name, name) == 0)
            return &cases[i];
    cr_assert_fail("no case \"%s\"", name);
    return NULL;
}

Test(rollup, a_transition_has_its_time_and_other_changes_keep_theirs)
{
    _cleanup_json_ cJSON *before = NULL, *after = NULL;
    const cJSON *conditions;

    alloc_init();
    before = roll_up(case_named("all loaded"), NULL, NULL, NOW);
    after = roll_up(case_named("one pending"), NULL, before, NOW + 5000);
    conditions = json_get(after, "conditions");
    cr_assert_str_eq(json_string(condition_find(conditions, "Ready"), "lastTransitionTime"),
                     "2023-11-14T22:13:25Z");
    cr_assert_str_eq(json_string(condition_find(conditions, "Valid"), "lastTransitionTime"),
                     NOW_TEXT);
}

Test(rollup, a_reason_changes_without_a_transition)
{
    _cleanup_json_ cJSON *before = NULL, *after = NULL;
    const cJSON *ready;

    alloc_init();
    before = roll_up(case_named("one pending"), NULL, NULL, NOW);
    after = roll_up(case_named("a failure that is the node's own"), NULL, before, NOW + 5000);
    ready = condition_find(json_get(after, "conditions"), "Ready");
    cr_assert_str_eq(json_string(ready, "reason"), "NodesFailed");
    cr_assert_str_eq(json_string(ready, "lastTransitionTime"), NOW_TEXT);
}

Test(rollup, names_and_mode_are_those_of_this_generation_else_the_last_known)
{
    _cleanup_json_ cJSON *none = NULL, *loaded = NULL, *pending = NULL;
    _cleanup_free_ char *names = NULL;

    alloc_init();
    none = roll_up(case_named("no reports yet"), NULL, NULL, NOW);
    cr_assert_eq(cJSON_GetArraySize(json_get(none, "profileNames")), 0);
    cr_assert_null(json_get(none, "mode"));
    loaded = roll_up(case_named("all loaded"), NULL, none, NOW);
    names = json_print(json_get(loaded, "profileNames"));
    cr_assert_str_eq(names, "[\"web\"]");
    cr_assert_str_eq(json_string(loaded, "mode"), "Enforce");
    pending = roll_up(case_named("no reports yet"), NULL, loaded, NOW);
    cr_assert(json_equal(json_get(pending, "profileNames"), json_get(loaded, "profileNames")));
    cr_assert_str_eq(json_string(pending, "mode"), "Enforce");
}

Test(rollup, modes_that_differ_are_mixed_and_names_are_joined)
{
    static const struct rollup_case test = {
        .nodes = {{"{}", "Enabled",
                   "{'name':'web','generation':2,'state':'Loaded','mode':'Enforce',"
                   "'profileNames':['b','a']}"},
                  {"{}", "Enabled",
                   "{'name':'web','generation':2,'state':'Loaded','mode':'Complain',"
                   "'profileNames':['c','b']}"}},
    };
    _cleanup_json_ cJSON *status = NULL;
    _cleanup_free_ char *names = NULL;

    alloc_init();
    status = roll_up(&test, NULL, NULL, NOW);
    names = json_print(json_get(status, "profileNames"));
    cr_assert_str_eq(names, "[\"a\",\"b\",\"c\"]");
    cr_assert_str_eq(json_string(status, "mode"), "Mixed");
}

Test(rollup, of_many_failures_ten_are_listed_by_name)
{
    _cleanup_(node_index_freep) struct node_index *index = NULL;
    const struct profile_spec profile = {.name = "web", .generation = 2, .revision = "r2"};
    struct rollup rollup = {.profile = &profile, .now_ms = NOW};
    _cleanup_json_ cJSON *status = NULL;
    const cJSON *failure;
    int i = 0;

    alloc_init();
    index = node_index_new(ignore_change, NULL);
    node_index_set_profile(index, &profile);
    for (int node = 39; node >= 0; node--) {
        _cleanup_free_ char *name = xasprintf("node-%02d", node);
        _cleanup_json_ cJSON *report = json_of(
            "{'apparmor':'Enabled','profiles':[{'name':'web','generation':2,'state':'Failed',"
            "'reason':'LoadFailed','message':'reason %d'}]}",
            node % 5);

        node_index_set_node(index, name, NULL);
        set_report(index, name, report);
    }
    rollup.tally = node_index_tally(index, "web");
    status = rollup_status(&rollup);
    cr_assert_eq(cJSON_GetArraySize(json_get(status, "failures")), ROLLUP_FAILURES_MAX);
    cJSON_ArrayForEach(failure, json_get(status, "failures"))
    {
        _cleanup_free_ char *name = xasprintf("node-%02d", i++);

        cr_assert_str_eq(json_string(failure, "node"), name);
    }
    cr_assert_eq(json_int(json_get(status, "nodes", "failed"), 0), 40);
}

Test(rollup, long_messages_are_cut_where_a_character_ends)
{
    struct rollup_case test = {0};
    _cleanup_json_ cJSON *status = NULL;
    _cleanup_free_ char *long_text = xcalloc(1, 8001), *entry = NULL;
    const cJSON *ready;

    alloc_init();
    for (size_t i = 0; i < 8000; i += 2)
        memcpy(long_text + i, "ö", 2);
    entry = xasprintf("{'name':'web','generation':2,'state':'Failed','reason':'LoadFailed',"
                      "'message':'x%s'}",
                      long_text);
    test.nodes[0] = (struct node_case){"{}", "Enabled", entry};
    status = roll_up(&test, NULL, NULL, NOW);
    ready = condition_find(json_get(status, "conditions"), "Ready");
    cr_assert_lt(strlen(json_string(ready, "message")), 400);
    cr_assert(strstr(json_string(ready, "message"), "öö…"));
    cr_assert_leq(strlen(
                      json_string(cJSON_GetArrayItem(json_get(status, "failures"), 0), "message")),
                  REPORT_TEXT_MAX);
}

/* Applies a merge patch as RFC 7386 has it. */
static cJSON *apply_patch(const cJSON *target, const cJSON *patch)
{
    cJSON *result = cJSON_IsObject(target) ? cJSON_Duplicate(target, true) : cJSON_CreateObject();
    const cJSON *item;

    if (!cJSON_IsObject(patch)) {
        cJSON_Delete(result);
        return cJSON_Duplicate(patch, true);
    }
    cJSON_ArrayForEach(item, patch)
    {
        cJSON *value =
            cJSON_IsNull(item) ? NULL : apply_patch(json_get(target, item->string), item);

        cJSON_DeleteItemFromObjectCaseSensitive(result, item->string);
        if (value)
            json_add(result, item->string, value);
    }
    return result;
}

Test(rollup, the_patch_between_any_two_states_makes_the_second)
{
    alloc_init();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ cJSON *one_selector =
            cases[i].selector ? json_of("%s", cases[i].selector) : NULL;
        _cleanup_json_ cJSON *one = roll_up(&cases[i], one_selector, NULL, NOW);

        for (size_t j = 0; j < ARRAY_SIZE(cases); j++) {
            _cleanup_json_ cJSON *other_selector =
                cases[j].selector ? json_of("%s", cases[j].selector) : NULL;
            _cleanup_json_ cJSON *other = roll_up(&cases[j], other_selector, one, NOW + 1);
            _cleanup_json_ cJSON *patch = merge_patch(one, other);
            _cleanup_json_ cJSON *result = patch ? apply_patch(one, patch) : NULL;

            cr_assert_eq(patch == NULL, json_equal(one, other));
            cr_assert(!patch || json_equal(result, other), "%s to %s", cases[i].name,
                      cases[j].name);
        }
    }
}

/* A restart takes it from there. */
Test(rollup, an_opinion_can_be_read_back)
{
    alloc_init();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ cJSON *status = roll_up(&cases[i], NULL, NULL, NOW);
        const struct opinion opinion = opinion_of(status);

        cr_assert_eq(opinion.result, cases[i].opinion, "%s", cases[i].name);
        if (opinion.result != OPINION_NONE)
            cr_assert_str_eq(opinion.checked_with, "0123");
        if (opinion_refuses(&opinion))
            cr_assert_str_eq(opinion.message, NO_RULE, "%s", cases[i].name);
    }
}

Test(rollup, a_status_that_says_something_else_holds_no_opinion)
{
    static const char *const texts[] = {
        "{}",
        "{'validation':{'result':'Accepted'}}",
        "{'validation':{'result':'Perhaps','checkedWith':'0123'}}",
        "{'validation':{'result':'Refused','checkedWith':'0123'}}",
        "{'validation':[],'warnings':{}}",
    };

    alloc_init();
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_json_ cJSON *status = json_of("%s", texts[i]);

        cr_assert_eq(opinion_of(status).result, OPINION_NONE, "%s", texts[i]);
    }
}
