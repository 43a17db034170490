// SPDX-License-Identifier: Apache-2.0
/*
 * A real API server that is killed, restarted, compacted, of an older kind, and busy. Takes
 * KUBECONFIG, and CONTROLPLANE, the command that controls the API server.
 */
#include "tests/live/follower.h"
#include "tests/live/tcp_proxy.h"

static struct tcp_proxy proxy;
static struct kube_client *through; /* the proxy */
static bool changed_server;

static void open_all(void)
{
    live_open();
    through = proxy_connect(&proxy);
}

static void close_all(void)
{
    kube_client_free(TAKE_PTR(through));
    if (proxy.loop)
        proxy_stop(&proxy);
    if (changed_server)
        rig_run("restart-apiserver --now");
    live_close();
}

TestSuite(server, .init = open_all, .fini = close_all, .timeout = 120);

/* Until the end of the test it runs with these flags. */
static void restart_with(const char *flags)
{
    _cleanup_free_ char *words = xasprintf("restart-apiserver --now %s", flags);

    changed_server = true;
    rig_run(words);
}

/* --- killed and restarted ---------------------------------------------------------------------
 */

#define MAPS 300

/* Writes without end while the command runs, and one round after it. */
static void storm_during(const char *words)
{
    struct command command;
    unsigned round = 1;

    rig_start(&command, words);
    do {
        struct tally tally = {0};

        change_maps(&tally, MAPS, round++);
        TALLY_UNTIL_DONE(&tally);
        error_done(&tally.first);
    } while (!command.done);
    cr_assert_eq(command.status, 0, "%s", words);
    command_done(&command);
}

static void survives(const char *words)
{
    struct follower full, metadata;
    struct kube_informer_options options = {
        .resource = &live_configmaps,
        .ns = ns,
        .field_selector = NOT_THE_ROOT_CA,
        .metadata_only = true,
    };
    struct tally tally = {0};

    rig();
    make_maps(MAPS);
    follow(&full, client);
    follower_start(&metadata, client, &options);
    LIVE_UNTIL(full.synced && metadata.synced, LIVE_WAIT_MS);
    storm_during(words);
    expect_convergence(&full);
    expect_convergence(&metadata);
    change_maps(&tally, 5, 7);
    TALLY_UNTIL_DONE(&tally);
    error_done(&tally.first);
    expect_convergence(&full);
    cr_assert_gt(full.failures, 0, "the server was not restarted");
    cr_assert_eq(count_connections(), 1, "connections: %u", count_connections());
    follower_stop(&full);
    follower_stop(&metadata);
}

Test(server, a_watch_survives_an_orderly_restart)
{
    survives("restart-apiserver");
}

Test(server, a_watch_survives_that_the_server_is_killed)
{
    survives("restart-apiserver --now");
}

/* --- a list that the server does not live to end --------------------------------------------- */

static void hold_at_60(void *userdata, struct kube_object *object)
{
    listing_on_item(userdata, object);
    if (map_size(((struct listing *) userdata)->items) == 60)
        proxy_set_mode(&proxy, PROXY_HOLD);
}

/* Never is a part taken for the whole. */
Test(server, a_list_during_which_the_server_is_killed_fails)
{
    const struct kube_informer_options what = {.resource = &live_configmaps, .ns = ns};
    const struct kube_list_options options = {.page_size = 7};
    _cleanup_listing_ struct listing listing = {.items = map_new(free)}, after = {0};

    rig();
    make_maps(MAPS);
    kube_list(through, &live_configmaps, ns, &options, hold_at_60, listing_on_done, &listing);
    LIVE_UNTIL(proxy.mode == PROXY_HOLD, LIVE_WAIT_MS);
    rig_run("stop-apiserver --now");
    proxy_set_mode(&proxy, PROXY_FORWARD);
    LIVE_UNTIL(listing.done, LIVE_WAIT_MS);
    cr_assert(kube_error_is_transport(&listing.err), "%s", error_message(&listing.err));
    cr_assert_null(listing.version);
    cr_assert_lt(map_size(listing.items), MAPS);
    rig_run("start-apiserver");
    list_all(&after, through, &what);
    cr_assert_geq(map_size(after.items), MAPS);
}

/* --- applies ---------------------------------------------------------------------------------- */

/* One object, applied again and again; what was acknowledged must be there afterwards. */
struct applier {
    const char *name;
    unsigned next, acknowledged, failures;
    bool stop, idle;
};

static void apply_next(struct applier *applier);

static void on_applied(void *userdata, struct kube_object *object, const struct error *err)
{
    struct applier *applier = userdata;

    if (err->code == 0)
        applier->acknowledged =
            (unsigned) strtoul(json_string(kube_object_json(object), "data", "value"), NULL, 10);
    else
        applier->failures++;
    if (applier->stop)
        applier->idle = true;
    else
        apply_next(applier);
}

static void apply_next(struct applier *applier)
{
    const struct kube_write_options options = {.field_manager = "live-test", .force = true};
    _cleanup_free_ char *value = xasprintf("%u", ++applier->next);
    _cleanup_json_ cJSON *body = live_configmap(applier->name, value);

    kube_patch(client, &live_configmaps, ns, applier->name, NULL, KUBE_PATCH_APPLY, body, &options,
               on_applied, applier);
}

static unsigned stored_value(const char *name)
{
    _cleanup_answer_ struct answer answer = {0};

    kube_get(client, &live_configmaps, ns, name, NULL, on_answer, &answer);
    expect_success(&answer, name);
    return (unsigned) strtoul(json_string(kube_object_json(answer.object), "data", "value"), NULL,
                              10);
}

Test(server, an_apply_that_was_acknowledged_outlives_the_server)
{
    struct applier appliers[] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    struct command command;
    unsigned failures = 0;

    rig();
    for (size_t i = 0; i < ARRAY_SIZE(appliers); i++)
        apply_next(&appliers[i]);
    LIVE_UNTIL(appliers[0].acknowledged > 0, LIVE_WAIT_MS);
    rig_start(&command, "restart-apiserver --now");
    LIVE_UNTIL(command.done, 120000);
    cr_assert_eq(command.status, 0);
    command_done(&command);
    for (size_t i = 0; i < ARRAY_SIZE(appliers); i++) {
        struct applier *applier = &appliers[i];
        unsigned stored;

        applier->stop = true;
        LIVE_UNTIL(applier->idle, LIVE_WAIT_MS);
        stored = stored_value(applier->name);
        printf("# %u applies of %s, %u failed\n", applier->next, applier->name, applier->failures);
        cr_assert_geq(stored, applier->acknowledged, "an acknowledged apply is lost");
        cr_assert_leq(stored, applier->next);
        failures += applier->failures;
        /* And it goes on. */
        applier->stop = true;
        applier->idle = false;
        apply_next(applier);
        LIVE_UNTIL(applier->idle, LIVE_WAIT_MS);
        cr_assert_eq(applier->acknowledged, applier->next);
        cr_assert_eq(stored_value(applier->name), applier->next);
    }
    /* One whose answer came just before waits for the next connection and fails in nothing. */
    cr_assert_gt(failures, 0, "the server was not restarted");
}

/* --- forgotten history ------------------------------------------------------------------------
 */

/* Changes that the follower cannot see, and after which its version is history. */
static void forget(struct follower *follower, const char *command)
{
    struct tally tally = {0};

    proxy_set_mode(&proxy, PROXY_REFUSE);
    LIVE_UNTIL(follower->failures > 0, LIVE_WAIT_MS);
    change_maps(&tally, 50, 1);
    expect_all(&tally);
    rig_run(command);
    proxy_set_mode(&proxy, PROXY_FORWARD);
}

static void expect_missed(struct follower *follower)
{
    expect_convergence(follower);
    cr_assert(follower->saw_gone, "%s", error_message(&follower->last));
    cr_assert_eq(follower->deleted[KUBE_DELETED_MISSED], 10);
    cr_assert_eq(follower->deleted[KUBE_DELETED], 0);
    cr_assert_eq(follower->added, 50);
    cr_assert_eq(follower->updated, 40);
}

/* Without the server's watch cache a watch is etcd's own. */
Test(server, after_a_compaction_the_difference_is_told)
{
    struct follower follower;

    restart_with("--watch-cache=false");
    make_maps(50);
    follow(&follower, through);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    forget(&follower, "compact");
    expect_missed(&follower);
    follower_stop(&follower);
}

/* The cache of a server that has just started knows no history. */
Test(server, after_a_restart_that_forgets_the_difference_is_told)
{
    struct follower follower;

    rig();
    make_maps(50);
    follow(&follower, through);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    forget(&follower, "restart-apiserver");
    expect_missed(&follower);
    follower_stop(&follower);
}

/* --- older servers ----------------------------------------------------------------------------
 */

static unsigned held_at, held;

static cJSON *hold_at_item(void *userdata, cJSON *object)
{
    struct tcp_proxy *way = userdata;

    if (++held == held_at)
        proxy_set_mode(way, PROXY_HOLD);
    return object;
}

/* How often the server was asked for lists of ConfigMaps. */
static unsigned long count_lists(void)
{
    _cleanup_command_ struct command command = {0};

    command_run(
        &command,
        "${KUBECTL:-kubectl} get --raw /metrics | awk '/^apiserver_request_total/ && "
        "/resource=\"configmaps\"/ && /verb=\"LIST\"/ { sum += $NF } END { print sum + 0 }'");
    return strtoul(command.out, NULL, 10);
}

Test(server, a_server_that_knows_no_watch_list_is_listed_in_pages)
{
    const struct kube_informer_options options = {
        .resource = &live_configmaps,
        .ns = ns,
        .field_selector = NOT_THE_ROOT_CA,
        .page_size = 7,
    };
    struct follower follower;
    struct tally tally = {0};
    unsigned long before;

    restart_with("--feature-gates=WatchList=false --watch-cache=false");
    make_maps(50);
    before = count_lists();
    follower_start(&follower, through, &options);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    cr_assert_geq(count_lists() - before, 8);
    cr_assert_eq(follower.added, 50);
    cr_assert_eq(follower.failures, 0, "%s", error_message(&follower.last));
    change_maps(&tally, 50, 1);
    expect_all(&tally);
    expect_convergence(&follower);
    follower_stop(&follower);
}

Test(server, pages_that_expire_while_they_are_read_are_followed_by_a_whole_list)
{
    const struct kube_informer_options options = {
        .resource = &live_configmaps,
        .ns = ns,
        .field_selector = NOT_THE_ROOT_CA,
        .page_size = 10,
        .project = hold_at_item,
        .project_userdata = &proxy,
    };
    struct follower follower;
    struct tally tally = {0};

    restart_with("--feature-gates=WatchList=false --watch-cache=false");
    make_maps(50);
    held_at = 15;
    follower_start(&follower, through, &options);
    LIVE_UNTIL(proxy.mode == PROXY_HOLD, LIVE_WAIT_MS);
    change_maps(&tally, 50, 1);
    expect_all(&tally);
    rig_run("compact");
    proxy_set_mode(&proxy, PROXY_FORWARD);
    expect_convergence(&follower);
    cr_assert(follower.saw_gone, "%s", error_message(&follower.last));
    /* Nothing of the first attempt was told. */
    cr_assert_eq(follower.added, 40);
    cr_assert_eq(follower.deleted[KUBE_DELETED] + follower.deleted[KUBE_DELETED_MISSED], 0);
    follower_stop(&follower);
}

/* --- a busy server: a priority level of the test's own ----------------------------------------
 */

static struct kube_client *robot;  /* the only one who is on that level */
static struct kube_client *jammer; /* as well, but for one request */
static struct tcp_proxy clogged;

/* `kubectl` with the words of a format, as one shell command. */
_printf_(1, 2) static char *kubectl(const char *format, ...)
{
    _cleanup_command_ struct command command = {0};
    _cleanup_free_ char *words = NULL, *text = NULL;
    va_list args;

    va_start(args, format);
    words = xvasprintf(format, args);
    va_end(args);
    text = xasprintf("${KUBECTL:-kubectl} %s", words);
    command_run(&command, text);
    return xstrndup(command.out, strcspn(command.out, "\n"));
}

static struct kube_client *new_robot(struct tcp_proxy *way, uint64_t request_timeout_ms)
{
    const struct kube_client_options options = {.request_timeout_ms = request_timeout_ms};
    struct kube_config *config = proxy_config(way);
    struct kube_client *ret;
    _cleanup_error_ struct error err = {0};

    credential_done(&config->certificate);
    credential_done(&config->key);
    config->token.data = kubectl("create token robot -n %s", ns);
    config->token.len = strlen(config->token.data);
    cr_assert_eq(kube_client_new(&loop, config, &options, &ret, &err), 0, "%s",
                 error_message(&err));
    return ret;
}

static void make_robot(uint64_t request_timeout_ms)
{
    if (!robot) {
        free(kubectl("create serviceaccount robot -n %s", ns));
        free(kubectl("create rolebinding robot -n %s --clusterrole=admin --serviceaccount=%s:robot",
                     ns, ns));
    }
    kube_client_free(TAKE_PTR(robot));
    robot = new_robot(&proxy, request_timeout_ms);
}

static unsigned long count_requests(const char *what)
{
    _cleanup_free_ char *text =
        kubectl("get --raw /metrics | awk '/^apiserver_flowcontrol_%s_requests_total/ && "
                "/flow_schema=\"%s\"/ { sum += $NF } END { print sum + 0 }'",
                what, ns);

    return strtoul(text, NULL, 10);
}

static unsigned long count_rejections(void)
{
    return count_requests("rejected");
}

/* The robot's level has no shares: the server takes one request of his at a time, and rejects what
 * comes meanwhile. It takes it a moment to know. */
static void squeeze(void)
{
    free(kubectl(
        "apply -f - <<'END'\n"
        "{apiVersion: flowcontrol.apiserver.k8s.io/v1, kind: PriorityLevelConfiguration,\n"
        " metadata: {name: %s}, spec: {type: Limited, limited: {nominalConcurrencyShares: 0,\n"
        " lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: {type: Reject}}}}\n"
        "---\n"
        "{apiVersion: flowcontrol.apiserver.k8s.io/v1, kind: FlowSchema, metadata: {name: %s},\n"
        " spec: {matchingPrecedence: 2, priorityLevelConfiguration: {name: %s}, rules: "
        "[{subjects:\n"
        " [{kind: ServiceAccount, serviceAccount: {name: robot, namespace: %s}}], resourceRules:\n"
        " [{verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'],\n"
        " clusterScope: true}]}]}}\nEND",
        ns, ns, ns, ns));
    for (uint64_t begin = clock_monotonic_ms(); count_requests("dispatched") == 0;) {
        _cleanup_answer_ struct answer answer = {0};

        cr_assert_lt(clock_monotonic_ms() - begin, LIVE_WAIT_MS, "the level is not in force");
        kube_get(robot, &live_configmaps, ns, "map-00000", NULL, on_answer, &answer);
        expect_success(&answer, "get");
    }
}

/* One request of the robot's whose body does not come to its end. */
static void jam(void)
{
    _cleanup_free_ char *value = xasprintf("%0700000d", 1);
    _cleanup_json_ cJSON *body = live_configmap("jam", value);
    _cleanup_answer_ struct answer ready = {0};

    jammer = new_robot(&clogged, 60000);
    kube_get(jammer, &live_configmaps, ns, "map-00000", NULL, on_answer, &ready);
    expect_success(&ready, "get");
    clogged.hold_after = 20000;
    kube_create(jammer, &live_configmaps, ns, body, NULL, NULL, NULL);
    LIVE_UNTIL(clogged.mode == PROXY_HOLD, LIVE_WAIT_MS);
}

static void unjam(void)
{
    if (clogged.loop)
        proxy_stop(&clogged);
    clogged.loop = NULL;
    kube_client_free(TAKE_PTR(jammer));
}

static void close_robot(void)
{
    unjam();
    kube_client_free(TAKE_PTR(robot));
    if (!ns)
        return;
    free(kubectl("delete --ignore-not-found flowschema %s", ns));
    free(kubectl("delete --ignore-not-found prioritylevelconfiguration %s", ns));
}

Test(server, a_server_that_rejects_is_asked_again_when_it_says_until_the_deadline,
     .fini = close_robot)
{
    _cleanup_answer_ struct answer refused = {0}, answered = {0};
    unsigned long before;
    uint64_t begin;

    make_maps(1);
    make_robot(0);
    squeeze();
    jam();
    make_robot(4000);
    before = count_rejections();
    begin = clock_monotonic_ms();
    kube_get(robot, &live_configmaps, ns, "map-00000", NULL, on_answer, &refused);
    LIVE_UNTIL(refused.done, LIVE_WAIT_MS);
    cr_assert(kube_error_is_throttled(&refused.err), "%s", error_message(&refused.err));
    cr_assert_leq(clock_monotonic_ms() - begin, 4500);
    /* The server says a second. */
    cr_assert_geq(count_rejections() - before, 2);
    cr_assert_leq(count_rejections() - before, 4);

    make_robot(30000);
    before = count_rejections();
    kube_get(robot, &live_configmaps, ns, "map-00000", NULL, on_answer, &answered);
    begin = clock_monotonic_ms();
    while (count_rejections() == before)
        cr_assert_lt(clock_monotonic_ms() - begin, 10000);
    cr_assert_not(answered.done);
    unjam();
    expect_success(&answered, "after the jam");
}

Test(server, an_informer_waits_until_the_server_has_time, .fini = close_robot)
{
    struct follower before, during;
    struct tally tally = {0};

    make_maps(50);
    make_robot(0);
    squeeze();
    follow(&before, robot);
    LIVE_UNTIL(before.synced, LIVE_WAIT_MS);
    jam();
    /* Its watch goes on, but the next is refused. */
    proxy_cut(&proxy);
    LIVE_UNTIL(before.saw_throttled, LIVE_WAIT_MS);
    follow(&during, robot);
    LIVE_UNTIL(during.saw_throttled, LIVE_WAIT_MS);
    cr_assert_not(kube_informer_synced(during.informer));
    change_maps(&tally, 50, 1);
    expect_all(&tally);
    unjam();
    expect_convergence(&before);
    expect_convergence(&during);
    /* The watch went on where it was: no list told what is missing. */
    cr_assert_eq(before.deleted[KUBE_DELETED], 10);
    cr_assert_eq(before.deleted[KUBE_DELETED_MISSED], 0);
    follower_stop(&before);
    follower_stop(&during);
}

Test(server, a_crowd_gets_through_a_narrow_door, .fini = close_robot)
{
    struct listing listings[60] = {0};
    unsigned long before;

    make_maps(50);
    make_robot(60000);
    squeeze();
    before = count_rejections();
    for (size_t i = 0; i < ARRAY_SIZE(listings); i++) {
        listings[i].items = map_new(free);
        kube_list(robot, &live_configmaps, ns, NULL, listing_on_item, listing_on_done,
                  &listings[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(listings); i++) {
        LIVE_UNTIL(listings[i].done, 70000);
        cr_assert_eq(listings[i].err.code, 0, "%s", error_message(&listings[i].err));
        cr_assert_geq(map_size(listings[i].items), 50);
        listing_done(&listings[i]);
    }
    printf("# %lu of 60 at once were too many\n", count_rejections() - before);
    cr_assert_gt(count_rejections(), before);
}
