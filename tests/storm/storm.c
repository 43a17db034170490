// SPDX-License-Identifier: Apache-2.0
/*
 * A storm: many nodes whose agents are played (agents.h), nodes that join and leave all the time,
 * and AppArmorProfiles that are edited, deleted and created. After its time it goes on playing the
 * agents, so that what was begun comes to its end, until standard input is closed.
 *
 *   storm --nodes N --profiles N --seconds N [--churn NODES-PER-SECOND] < /dev/stdin
 *
 * Writes "settled" and some figures to standard output once nothing is left to do.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/options.h"
#include "lib/kube/client.h"
#include "lib/policy/profile.h"
#include "tests/storm/agents.h"

#define NODE_PREFIX "storm-node-"
#define TICK_MS 100
#define AGENT_DELAY_MS 500
/* Nothing to do for so long: it is over. */
#define SETTLED_MS 3000

static const struct kube_resource resource_profiles = {
    .group = POLICY_GROUP,
    .version = POLICY_VERSION,
    .plural = "apparmorprofiles",
    .kind = "AppArmorProfile",
};
static const char *const pools[] = {"a", "b", "c"};

static struct {
    uv_loop_t loop;
    struct kube_client *client;
    struct agents *agents;
    struct loop_timer *timer;
    struct loop_poll *input;
    unsigned nodes, profiles, seconds, churn;
    uint64_t began_ms, idle_since_ms;
    bool filled, told;
    unsigned asked; /* requests under way */
    uint64_t joined, left, edits, deletions, failures;
} storm;

static const struct option table[] = {
    {.name = "nodes",
     .type = OPTION_UINT,
     .target = &storm.nodes,
     .argument = "N",
     .default_text = "500",
     .help = "Nodes at most."},
    {.name = "profiles",
     .type = OPTION_UINT,
     .target = &storm.profiles,
     .argument = "N",
     .default_text = "50",
     .help = "AppArmorProfiles."},
    {.name = "seconds",
     .type = OPTION_UINT,
     .target = &storm.seconds,
     .argument = "N",
     .default_text = "60",
     .help = "How long it goes on."},
    {.name = "churn",
     .type = OPTION_UINT,
     .target = &storm.churn,
     .argument = "N",
     .default_text = "10",
     .help = "Nodes that join or leave in a second, of each."},
};

static const struct options options = {
    .program = "storm",
    .summary = "Plays the agents of many nodes while all of it changes.",
    .table = table,
    .count = ARRAY_SIZE(table),
};

/* --- requests whose success matters little: the next tick makes others ---------------- */

static void on_answer(void *userdata, _unused_ struct kube_object *object, const struct error *err)
{
    uint64_t *counter = userdata;

    storm.asked--;
    if (err->code == 0)
        ++*counter;
    else if (!kube_error_is_not_found(err) && !kube_error_is_already_exists(err) &&
             !kube_error_is_conflict(err))
        storm.failures++;
}

/* --- nodes ------------------------------------------------------------------------------ */

static void node_name(char ret[static 32], unsigned number)
{
    (void) snprintf(ret, 32, NODE_PREFIX "%u", number);
}

static void join(unsigned number)
{
    _cleanup_json_ cJSON *node = cJSON_CreateObject();
    cJSON *metadata = json_add_object(node, "metadata");
    char name[32];

    node_name(name, number);
    json_add_string(node, "apiVersion", "v1");
    json_add_string(node, "kind", "Node");
    json_add_string(metadata, "name", name);
    json_add_string(json_add_object(metadata, "labels"), "pool",
                    pools[clock_random_below(ARRAY_SIZE(pools))]);
    storm.asked++;
    (void) kube_create(storm.client, &kube_nodes, NULL, node, NULL, on_answer, &storm.joined);
}

static void leave(unsigned number)
{
    char name[32];

    node_name(name, number);
    storm.asked++;
    (void) kube_delete(storm.client, &kube_nodes, NULL, name, NULL, on_answer, &storm.left);
}

static void relabel(unsigned number)
{
    _cleanup_json_ cJSON *patch = cJSON_CreateObject();
    char name[32];

    node_name(name, number);
    json_add_string(json_add_object(json_add_object(patch, "metadata"), "labels"), "pool",
                    pools[clock_random_below(ARRAY_SIZE(pools))]);
    storm.asked++;
    (void) kube_patch(storm.client, &kube_nodes, NULL, name, NULL, KUBE_PATCH_MERGE, patch, NULL,
                      on_answer, &storm.edits);
}

static bool is_there(unsigned number)
{
    char name[32];

    node_name(name, number);
    return agents_has_node(storm.agents, name);
}

/* --- profiles ---------------------------------------------------------------------------- */

static cJSON *selector_json(void)
{
    uint64_t which = clock_random_below(2 * ARRAY_SIZE(pools));
    cJSON *selector;

    if (which >= ARRAY_SIZE(pools))
        return cJSON_CreateNull();
    selector = cJSON_CreateObject();
    json_add_string(json_add_object(selector, "matchLabels"), "pool", pools[which]);
    return selector;
}

static cJSON *rollout_json(void)
{
    cJSON *rollout, *steps, *step;

    if (clock_random_below(2) == 0)
        return cJSON_CreateNull();
    rollout = cJSON_CreateObject();
    json_add_string(rollout, "strategy", "Progressive");
    json_add_int(rollout, "maxFailures", 1000000);
    steps = json_add_array(rollout, "steps");
    step = cJSON_CreateObject();
    json_add_int(step, "percent", (int64_t) clock_random_below(50) + 1);
    json_add_int(step, "pauseSeconds", (int64_t) clock_random_below(3));
    json_append(steps, step);
    return rollout;
}

static cJSON *spec_json(const char *name)
{
    _cleanup_free_ char *text =
        xasprintf("profile %s { /storm/%" PRIu64 " r, }", name, clock_random_below(1000000));
    cJSON *spec = cJSON_CreateObject();

    json_add_string(spec, "policy", text);
    if (clock_random_below(2) == 0)
        json_add_string(spec, "mode", "Complain");
    else
        json_add(spec, "mode", cJSON_CreateNull());
    json_add(spec, "nodeSelector", selector_json());
    json_add(spec, "rollout", rollout_json());
    return spec;
}

static void drop_nulls(cJSON *object)
{
    cJSON *item = object->child;

    while (item) {
        cJSON *next = item->next;

        if (cJSON_IsNull(item))
            cJSON_Delete(cJSON_DetachItemViaPointer(object, item));
        item = next;
    }
}

static void profile_name(char ret[static 32], unsigned number)
{
    (void) snprintf(ret, 32, "storm-%u", number);
}

static void edit(unsigned number)
{
    _cleanup_json_ cJSON *object = cJSON_CreateObject();
    char name[32];
    cJSON *spec;

    profile_name(name, number);
    spec = spec_json(name);
    json_add(object, "spec", spec);
    storm.asked++;
    if (agents_profile(storm.agents, name)) {
        (void) kube_patch(storm.client, &resource_profiles, NULL, name, NULL, KUBE_PATCH_MERGE,
                          object, NULL, on_answer, &storm.edits);
        return;
    }
    drop_nulls(spec);
    json_add_string(object, "apiVersion", POLICY_API_VERSION);
    json_add_string(object, "kind", resource_profiles.kind);
    json_add_string(json_add_object(object, "metadata"), "name", name);
    (void) kube_create(storm.client, &resource_profiles, NULL, object, NULL, on_answer,
                       &storm.edits);
}

static void delete (unsigned number)
{
    char name[32];

    profile_name(name, number);
    storm.asked++;
    (void) kube_delete(storm.client, &resource_profiles, NULL, name, NULL, on_answer,
                       &storm.deletions);
}

/* --- time ----------------------------------------------------------------------------------- */

static bool is_over(void)
{
    return clock_monotonic_ms() - storm.began_ms >= (uint64_t) storm.seconds * 1000;
}

/* So often in ten seconds of ticks, by chance. */
static bool now_and_then(unsigned per_ten_seconds)
{
    return clock_random_below(10000 / TICK_MS) < per_ten_seconds;
}

static void fill(void)
{
    for (unsigned i = 0; i < storm.nodes; i++)
        join(i);
    for (unsigned i = 0; i < storm.profiles; i++)
        edit(i);
    storm.filled = true;
    storm.began_ms = clock_monotonic_ms();
}

/* One that is there, or is not; storm.nodes when none was met. */
static unsigned any_node(bool there)
{
    unsigned first = (unsigned) clock_random_below(storm.nodes);

    for (unsigned i = 0; i < storm.nodes; i++)
        if (is_there((first + i) % storm.nodes) == there)
            return (first + i) % storm.nodes;
    return storm.nodes;
}

static void blow(void)
{
    unsigned number;

    for (unsigned i = 0; i < 1 + storm.churn * TICK_MS / 1000; i++) {
        if (!now_and_then(storm.churn * 10 / (1 + storm.churn * TICK_MS / 1000)))
            continue;
        if ((number = any_node(true)) < storm.nodes)
            leave(number);
        /* Often one is asked for that has been asked for already. */
        for (unsigned k = 0; k < 3; k++)
            if ((number = any_node(false)) < storm.nodes)
                join(number);
    }
    if (now_and_then(20))
        relabel((unsigned) clock_random_below(storm.nodes));
    if (now_and_then(10))
        edit((unsigned) clock_random_below(storm.profiles));
    if (now_and_then(2))
        delete ((unsigned) clock_random_below(storm.profiles));
}

/* Every profile is there at the end. */
static void finish(void)
{
    for (unsigned i = 0; storm.asked == 0 && i < storm.profiles; i++) {
        const struct kube_object *profile;
        char name[32];

        profile_name(name, i);
        profile = agents_profile(storm.agents, name);
        if (!profile)
            edit(i);
        else if (kube_object_deleting(profile))
            storm.idle_since_ms = clock_monotonic_ms();
    }
}

static void tell_when_settled(void)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (storm.asked > 0 || agents_busy(storm.agents) > 0)
        storm.idle_since_ms = now_ms;
    if (storm.told || now_ms - storm.idle_since_ms < SETTLED_MS)
        return;
    storm.told = true;
    printf("settled: %zu nodes; %" PRIu64 " joined, %" PRIu64 " left, %" PRIu64 " edits, %" PRIu64
           " deletions, %" PRIu64 " writes of agents, %" PRIu64 " requests failed\n",
           agents_count(storm.agents), storm.joined, storm.left, storm.edits, storm.deletions,
           agents_writes(storm.agents), storm.failures);
    fflush(stdout);
}

static void on_tick(_unused_ void *userdata)
{
    if (agents_synced(storm.agents)) {
        if (!storm.filled)
            fill();
        else if (!is_over())
            blow();
        else
            finish();
        if (is_over())
            tell_when_settled();
        else
            storm.idle_since_ms = clock_monotonic_ms();
    }
    loop_timer_start(storm.timer, TICK_MS);
}

/* --- life ------------------------------------------------------------------------------------- */

static void on_input(_unused_ void *userdata, _unused_ int status, _unused_ int events)
{
    char byte;

    if (read(STDIN_FILENO, &byte, 1) <= 0)
        uv_stop(&storm.loop);
}

static int start(struct error *err)
{
    const struct kube_config_source source = {0};
    const struct kube_client_options client = {.user_agent = "storm"};
    _cleanup_(kube_config_freep) struct kube_config *config = NULL;
    struct agents_options agents = {.prefix = NODE_PREFIX, .delay_ms = AGENT_DELAY_MS};
    int r = kube_config_load(&source, &config, err);

    if (r == 0)
        r = kube_client_new(&storm.loop, config, &client, &storm.client, err);
    if (r < 0)
        return r;
    (void) TAKE_PTR(config);
    agents.client = storm.client;
    storm.agents = agents_new(&agents);
    agents_start(storm.agents);
    storm.timer = loop_timer_new(&storm.loop, on_tick, NULL);
    loop_timer_start(storm.timer, TICK_MS);
    storm.input = loop_poll_new(&storm.loop, STDIN_FILENO, UV_READABLE, on_input, NULL);
    return 0;
}

int main(int argc, char **argv)
{
    _cleanup_error_ struct error err = {0};
    enum options_outcome outcome;
    int status = EXIT_SUCCESS;

    alloc_init();
    if (options_parse(&options, argc, argv, NULL, &outcome, &err) < 0) {
        fprintf(stderr, "storm: %s\n", error_message(&err));
        return 2;
    }
    if (outcome == OPTIONS_HELP) {
        options_print_help(&options, stdout);
        return EXIT_SUCCESS;
    }
    uv_loop_init(&storm.loop);
    if (start(&err) < 0) {
        fprintf(stderr, "storm: %s\n", error_message(&err));
        status = EXIT_FAILURE;
    } else {
        uv_run(&storm.loop, UV_RUN_DEFAULT);
    }
    agents_free(storm.agents);
    loop_timer_free(storm.timer);
    loop_poll_free(storm.input);
    kube_client_free(storm.client);
    loop_drain(&storm.loop);
    uv_loop_close(&storm.loop);
    return status;
}
