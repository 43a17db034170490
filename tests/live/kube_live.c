// SPDX-License-Identifier: Apache-2.0
/*
 * lib/kube against a real API server, with the rights of an administrator. Takes KUBECONFIG, and
 * for the restart RESTART_APISERVER, a shell command that restarts the server and returns when it
 * is ready; what is not set is skipped, with a word about it. One test at a time (--jobs 1): the
 * restart is everybody's.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/alloc.h"
#include "lib/base/child.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"
#include "lib/base/map.h"
#include "lib/kube/client.h"
#include "lib/kube/credentials.h"
#include "lib/kube/informer.h"
#include "tests/live/tcp_proxy.h"

static const struct kube_resource namespaces = {"", "v1", "namespaces", "Namespace", false};
static const struct kube_resource configmaps = {"", "v1", "configmaps", "ConfigMap", true};
static const struct kube_resource crds = {"apiextensions.k8s.io", "v1", "customresourcedefinitions",
                                          "CustomResourceDefinition", false};
static const struct kube_write_options writer = {.field_manager = "kube-live"};

static uv_loop_t loop;
static struct kube_client *client;
static char *ns; /* of this test alone */
static struct tcp_proxy proxy;

/* --- waiting ------------------------------------------------------------------------------------
 */

struct answer {
    bool done;
    struct kube_object *object;
    struct error err;
};

static void answer_done(struct answer *answer)
{
    kube_object_unref(answer->object);
    error_done(&answer->err);
    *answer = (struct answer){0};
}

static void on_answer(void *userdata, struct kube_object *object, const struct error *err)
{
    struct answer *answer = userdata;

    answer->done = true;
    answer->object = kube_object_ref(object);
    error_copy(&answer->err, err);
}

static void on_tick(void *userdata)
{
    (void) userdata;
}

/* Turns the loop until the predicate holds. UV_RUN_ONCE runs what is due and then waits for the
 * next timer, however late that is: hence the tick. */
static bool wait_until(bool (*predicate)(void *userdata), void *userdata, uint64_t ms)
{
    struct loop_timer *tick = loop_timer_new(&loop, on_tick, NULL);
    uint64_t begin = clock_monotonic_ms();

    while (!predicate(userdata) && clock_monotonic_ms() - begin < ms) {
        loop_timer_start(tick, 5);
        uv_run(&loop, UV_RUN_ONCE);
    }
    loop_timer_free(tick);
    return predicate(userdata);
}

static bool is_done(void *userdata)
{
    return ((struct answer *) userdata)->done;
}

static void wait_answer(struct answer *answer)
{
    cr_assert(wait_until(is_done, answer, 60000), "no answer within a minute");
}

static void expect_success(struct answer *answer, const char *what)
{
    wait_answer(answer);
    cr_assert_eq(answer->err.code, 0, "%s: %s", what, error_message(&answer->err));
}

/* --- a client and a namespace for each test --------------------------------------------------- */

static cJSON *named(const char *name)
{
    cJSON *json = cJSON_CreateObject();

    json_add_string(json_add_object(json, "metadata"), "name", name);
    return json;
}

static struct kube_config *load_config(void)
{
    const struct kube_config_source source = {0};
    struct kube_config *config;
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(kube_config_load(&source, &config, &err), 0, "%s", error_message(&err));
    return config;
}

/* Replaces the client. */
static void connect_with(struct kube_config *config)
{
    const struct kube_client_options options = {.user_agent = "kube-live/1"};
    _cleanup_error_ struct error err = {0};

    kube_client_free(TAKE_PTR(client));
    cr_assert_eq(kube_client_new(&loop, config, &options, &client, &err), 0, "%s",
                 error_message(&err));
}

static void open_client(void)
{
    struct answer answer = {0};
    _cleanup_json_ cJSON *body = NULL;

    if (!getenv("KUBECONFIG"))
        cr_skip_test("KUBECONFIG is not set");
    alloc_init();
    uv_loop_init(&loop);
    connect_with(load_config());
    ns = xasprintf("kube-live-%llx", (unsigned long long) clock_random());
    body = named(ns);
    kube_create(client, &namespaces, NULL, body, &writer, on_answer, &answer);
    expect_success(&answer, "create the namespace");
    answer_done(&answer);
}

static void close_client(void)
{
    struct answer answer = {0};

    if (!client)
        return;
    if (proxy.loop)
        proxy_stop(&proxy);
    connect_with(load_config());
    kube_delete(client, &namespaces, NULL, ns, NULL, on_answer, &answer);
    expect_success(&answer, "delete the namespace");
    answer_done(&answer);
    kube_client_free(TAKE_PTR(client));
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
    free(TAKE_PTR(ns));
}

TestSuite(live, .init = open_client, .fini = close_client, .timeout = 300);

/* --- single objects
 * -------------------------------------------------------------------------------- */

static cJSON *configmap(const char *name, const char *value)
{
    cJSON *json = named(name);

    json_add_string(json, "apiVersion", "v1");
    json_add_string(json, "kind", "ConfigMap");
    json_add_string(json_add_object(json, "data"), "value", value);
    return json;
}

static const char *value_of(const struct kube_object *object)
{
    const char *value = json_string(kube_object_json(object), "data", "value");

    return value ? value : "(none)";
}

static void create(const char *name, const char *value)
{
    _cleanup_json_ cJSON *body = configmap(name, value);
    struct answer answer = {0};

    kube_create(client, &configmaps, ns, body, &writer, on_answer, &answer);
    expect_success(&answer, name);
    cr_assert_str_eq(kube_object_name(answer.object), name);
    answer_done(&answer);
}

Test(live, an_object_is_created_read_patched_applied_and_deleted)
{
    const struct kube_write_options apply = {.field_manager = "kube-live", .force = true};
    _cleanup_json_ cJSON *patch = NULL, *applied = configmap("one", "applied");
    struct answer answer = {0};
    char *uid;

    create("one", "created");
    kube_get(client, &configmaps, ns, "one", NULL, on_answer, &answer);
    expect_success(&answer, "get");
    cr_assert_str_eq(value_of(answer.object), "created");
    uid = xstrdup(kube_object_uid(answer.object));
    answer_done(&answer);

    patch = cJSON_Parse("{\"data\":{\"value\":\"patched\"}}");
    kube_patch(client, &configmaps, ns, "one", NULL, KUBE_PATCH_MERGE, patch, &writer, on_answer,
               &answer);
    expect_success(&answer, "merge patch");
    cr_assert_str_eq(value_of(answer.object), "patched");
    answer_done(&answer);

    kube_patch(client, &configmaps, ns, "one", NULL, KUBE_PATCH_APPLY, applied, &apply, on_answer,
               &answer);
    expect_success(&answer, "apply");
    cr_assert_str_eq(value_of(answer.object), "applied");
    answer_done(&answer);

    kube_delete(client, &configmaps, ns, "one", "00000000-0000-0000-0000-000000000000", on_answer,
                &answer);
    wait_answer(&answer);
    cr_assert(kube_error_is_conflict(&answer.err), "another uid: %s", error_message(&answer.err));
    answer_done(&answer);

    kube_delete(client, &configmaps, ns, "one", uid, on_answer, &answer);
    expect_success(&answer, "delete");
    answer_done(&answer);
    free(uid);
    kube_get(client, &configmaps, ns, "one", "0", on_answer, &answer);
    wait_answer(&answer);
    cr_assert(kube_error_is_not_found(&answer.err), "%s", error_message(&answer.err));
    cr_assert_eq(answer.err.code, -ENOENT);
    cr_assert_str_eq(answer.err.reason, "NotFound");
    answer_done(&answer);
}

Test(live, what_the_server_refuses_comes_with_its_reason)
{
    _cleanup_json_ cJSON *bad = configmap("Not A Name", "x"), *body = configmap("twice", "x");
    struct answer answer = {0};

    create("twice", "x");
    kube_create(client, &configmaps, ns, body, &writer, on_answer, &answer);
    wait_answer(&answer);
    cr_assert(kube_error_is_already_exists(&answer.err), "%s", error_message(&answer.err));
    cr_assert_not(kube_error_is_conflict(&answer.err));
    answer_done(&answer);
    kube_create(client, &configmaps, ns, bad, &writer, on_answer, &answer);
    wait_answer(&answer);
    cr_assert(kube_error_is_invalid(&answer.err), "%s", error_message(&answer.err));
    cr_assert(strstr(answer.err.message, "metadata.name"), "%s", answer.err.message);
    answer_done(&answer);
    kube_get(client, &configmaps, ns, "../../../namespaces", NULL, on_answer, &answer);
    wait_answer(&answer);
    cr_assert_eq(answer.err.code, -EINVAL);
    cr_assert_eq(answer.err.http_status, 0);
    answer_done(&answer);
}

/* --- many objects
 * --------------------------------------------------------------------------------- */

#define MANY 500

struct counter {
    size_t done, wanted;
    struct error first;
};

static void on_counted(void *userdata, struct kube_object *object, const struct error *err)
{
    struct counter *counter = userdata;

    (void) object;
    counter->done++;
    if (err->code != 0 && counter->first.code == 0)
        error_copy(&counter->first, err);
}

static bool all_counted(void *userdata)
{
    struct counter *counter = userdata;

    return counter->done == counter->wanted;
}

static void wait_counter(struct counter *counter)
{
    cr_assert(wait_until(all_counted, counter, 120000), "%zu of %zu answers", counter->done,
              counter->wanted);
    cr_assert_eq(counter->first.code, 0, "%s", error_message(&counter->first));
}

static void create_many(struct counter *counter)
{
    for (unsigned i = 0; i < MANY; i++) {
        _cleanup_free_ char *name = xasprintf("map-%03u", i);
        _cleanup_json_ cJSON *body = configmap(name, "0");

        counter->wanted++;
        kube_create(client, &configmaps, ns, body, &writer, on_counted, counter);
    }
}

static void change_some(struct counter *counter, const char *value)
{
    for (unsigned i = 0; i < MANY; i++) {
        _cleanup_free_ char *name = xasprintf("map-%03u", i);
        _cleanup_json_ cJSON *patch = configmap(name, value);

        if (i % 5 == 4)
            continue;
        counter->wanted++;
        if (i % 5 == 3)
            kube_delete(client, &configmaps, ns, name, NULL, on_counted, counter);
        else
            kube_patch(client, &configmaps, ns, name, NULL, KUBE_PATCH_MERGE, patch, &writer,
                       on_counted, counter);
    }
}

/* What a handler has seen: key → last value, and whether it was ever inconsistent. */
struct history {
    struct map *seen;
    size_t added, updated, deleted, failures;
    bool synced;
    char *fault;
};

static void fault(struct history *history, const char *what, const struct kube_object *object)
{
    if (!history->fault)
        history->fault = xasprintf("%s: %s", what, kube_object_name(object));
}

static void on_added(void *userdata, struct kube_object *object)
{
    struct history *history = userdata;

    history->added++;
    if (!map_set(history->seen, kube_object_name(object), xstrdup(value_of(object))))
        fault(history, "added twice", object);
}

static void on_updated(void *userdata, struct kube_object *old, struct kube_object *object)
{
    struct history *history = userdata;

    history->updated++;
    if (strcmp(kube_object_resource_version(old), kube_object_resource_version(object)) == 0)
        fault(history, "updated to the same", object);
    if (map_set(history->seen, kube_object_name(object), xstrdup(value_of(object))))
        fault(history, "updated before it was added", object);
}

static void on_deleted(void *userdata, struct kube_object *object, enum kube_delete_cause cause)
{
    struct history *history = userdata;

    (void) cause;
    history->deleted++;
    if (!map_remove(history->seen, kube_object_name(object)))
        fault(history, "deleted before it was added", object);
}

static void on_synced(void *userdata)
{
    ((struct history *) userdata)->synced = true;
}

static void on_failed(void *userdata, const struct error *err)
{
    struct history *history = userdata;

    history->failures++;
    cr_log_info("informer: %s", error_message(err));
}

static struct kube_informer *follow(struct history *history, bool metadata_only)
{
    const struct kube_handler handler = {
        .added = on_added,
        .updated = on_updated,
        .deleted = on_deleted,
        .synced = on_synced,
        .failed = on_failed,
        .userdata = history,
    };
    const struct kube_informer_options options = {
        .resource = &configmaps,
        .ns = ns,
        .field_selector = "metadata.name!=kube-root-ca.crt",
        .metadata_only = metadata_only,
        .page_size = 50,
    };
    struct kube_informer *informer = kube_informer_new(client, &options);

    history->seen = map_new(free);
    kube_informer_add_handler(informer, &handler);
    kube_informer_start(informer);
    return informer;
}

static bool is_synced(void *userdata)
{
    return ((struct history *) userdata)->synced;
}

struct listing {
    struct map *values;
    bool done;
    struct error err;
    char *version;
};

static void on_item(void *userdata, struct kube_object *object)
{
    struct listing *listing = userdata;

    if (strcmp(kube_object_name(object), "kube-root-ca.crt") != 0)
        map_set(listing->values, kube_object_name(object), xstrdup(value_of(object)));
}

static void on_listed(void *userdata, const char *version, const struct error *err)
{
    struct listing *listing = userdata;

    listing->done = true;
    listing->version = xstrdup(version);
    error_copy(&listing->err, err);
}

static bool is_listed(void *userdata)
{
    return ((struct listing *) userdata)->done;
}

static void list_all(struct listing *listing)
{
    const struct kube_list_options options = {.page_size = 70};

    *listing = (struct listing){.values = map_new(free)};
    kube_list(client, &configmaps, ns, &options, on_item, on_listed, listing);
    cr_assert(wait_until(is_listed, listing, 60000));
    cr_assert_eq(listing->err.code, 0, "%s", error_message(&listing->err));
}

static void listing_free(struct listing *listing)
{
    map_free(listing->values);
    free(listing->version);
    error_done(&listing->err);
}

struct comparison {
    const struct listing *listing;
    const struct history *history;
    const struct kube_informer *informer;
};

static bool equals_listing(void *userdata)
{
    const struct comparison *comparison = userdata;
    size_t position = 0;
    const char *key;
    void *value;

    if (map_size(comparison->history->seen) != map_size(comparison->listing->values) ||
        kube_informer_size(comparison->informer) != map_size(comparison->listing->values))
        return false;
    while (map_next(comparison->listing->values, &position, &key, &value)) {
        const char *seen = map_get(comparison->history->seen, key);
        struct kube_object *object = kube_informer_get(comparison->informer, ns, key);

        if (!seen || strcmp(seen, value) != 0 || !object || strcmp(value_of(object), value) != 0)
            return false;
    }
    return true;
}

static void expect_convergence(const struct history *history, const struct kube_informer *informer)
{
    struct listing listing;
    struct comparison comparison = {&listing, history, informer};

    list_all(&listing);
    cr_assert(wait_until(equals_listing, &comparison, 60000),
              "the store of %zu objects does not become the list of %zu",
              kube_informer_size(informer), map_size(listing.values));
    cr_assert_null(history->fault, "%s", history->fault);
    listing_free(&listing);
}

/* Connected TCP sockets of this process. */
static unsigned count_connections(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);

        if (getpeername(fd, (struct sockaddr *) &peer, &len) == 0 &&
            (peer.ss_family == AF_INET || peer.ss_family == AF_INET6))
            count++;
    }
    return count;
}

Test(live, an_informer_converges_while_objects_change_over_one_connection)
{
    struct counter counter = {0};
    struct history history = {0};
    struct kube_informer *informer;

    create_many(&counter);
    wait_counter(&counter);
    informer = follow(&history, false);
    change_some(&counter, "1");
    cr_assert(wait_until(is_synced, &history, 60000));
    wait_counter(&counter);
    expect_convergence(&history, informer);
    cr_assert_eq(history.failures, 0);
    cr_assert_eq(count_connections(), 1, "connections: %u", count_connections());
    kube_informer_free(informer);
    map_free(history.seen);
}

Test(live, a_metadata_only_informer_holds_no_data)
{
    struct history history = {0};
    struct kube_informer *informer;
    struct kube_object *object;

    create("small", "large");
    informer = follow(&history, true);
    cr_assert(wait_until(is_synced, &history, 60000));
    object = kube_informer_get(informer, ns, "small");
    cr_assert_not_null(object);
    cr_assert_null(json_get(kube_object_json(object), "data"));
    cr_assert_null(json_get(kube_object_json(object), "metadata", "managedFields"));
    kube_informer_free(informer);
    map_free(history.seen);
}

/* --- the server goes and comes
 * -------------------------------------------------------------------- */

static void on_child(void *userdata, struct child_result *result)
{
    struct answer *answer = userdata;

    answer->done = true;
    if (result->exit_status != 0)
        error_set(&answer->err, -EIO, "exit status %d: %s", result->exit_status,
                  buf_string(&result->err));
}

static void restart_server(struct answer *answer)
{
    const char *const argv[] = {"/bin/bash", "-c", getenv("RESTART_APISERVER"), NULL};
    const struct child_options options = {
        .argv = argv,
        .env = (const char *const *) environ,
        .stdout_max = 65536,
        .stderr_max = 65536,
        .deadline_ms = 120000,
    };
    struct child *child;

    *answer = (struct answer){0};
    cr_assert_eq(child_start(&loop, &options, on_child, answer, &child, &answer->err), 0, "%s",
                 error_message(&answer->err));
}

Test(live, an_informer_survives_a_restart_of_the_server)
{
    struct counter counter = {0}, storm = {0};
    struct history history = {0};
    struct kube_informer *informer;
    struct answer restarted;

    if (!getenv("RESTART_APISERVER"))
        cr_skip_test("RESTART_APISERVER is not set");
    create_many(&counter);
    wait_counter(&counter);
    informer = follow(&history, false);
    cr_assert(wait_until(is_synced, &history, 60000));
    restart_server(&restarted);
    /* Some of these fail: what counts is that the store tells the truth afterwards. */
    change_some(&storm, "2");
    expect_success(&restarted, "restart");
    cr_assert(wait_until(all_counted, &storm, 120000));
    error_done(&storm.first);
    expect_convergence(&history, informer);
    create("after", "restart");
    expect_convergence(&history, informer);
    cr_assert_gt(history.failures, 0, "the server was not restarted");
    cr_assert_eq(count_connections(), 1, "connections: %u", count_connections());
    kube_informer_free(informer);
    map_free(history.seen);
}

/* --- bad networks --- */

/* From here on the client's way to the server leads through the proxy. */
static void go_through_proxy(void)
{
    struct kube_config *config = load_config();
    const char *port = strrchr(config->server, ':');

    cr_assert_not_null(port);
    proxy_start(&proxy, &loop, (int) strtol(port + 1, NULL, 10));
    free(config->server);
    config->server = xasprintf("https://127.0.0.1:%d", proxy.port);
    connect_with(config);
}

static bool has_failed(void *userdata)
{
    return ((struct history *) userdata)->failures > 0;
}

Test(live, a_peer_that_goes_silent_is_noticed_within_30_s)
{
    struct history history = {0};
    struct kube_informer *informer;
    uint64_t begin;

    go_through_proxy();
    create("quiet", "1");
    informer = follow(&history, false);
    cr_assert(wait_until(is_synced, &history, 60000));
    proxy.stalled = true;
    begin = clock_monotonic_ms();
    cr_assert(wait_until(has_failed, &history, 30000), "nothing noticed");
    cr_log_info("noticed after %llu ms", (unsigned long long) (clock_monotonic_ms() - begin));
    proxy.stalled = false;
    create("loud", "2");
    expect_convergence(&history, informer);
    kube_informer_free(informer);
    map_free(history.seen);
}

Test(live, a_quiet_but_living_peer_is_left_alone)
{
    struct history history = {0};
    struct kube_informer *informer;

    go_through_proxy();
    informer = follow(&history, false);
    cr_assert(wait_until(is_synced, &history, 60000));
    cr_assert_not(wait_until(has_failed, &history, 25000));
    cr_assert_eq(proxy.accepted, 1);
    kube_informer_free(informer);
    map_free(history.seen);
}

static void on_cut(void *userdata)
{
    ++*(unsigned *) userdata;
    proxy_cut(&proxy);
}

Test(live, connections_that_are_cut_lose_no_change)
{
    struct counter counter = {0}, storm = {0};
    struct history history = {0};
    unsigned cuts = 0;
    struct kube_informer *informer;
    struct loop_timer *timer = loop_timer_new(&loop, on_cut, &cuts);

    go_through_proxy();
    create_many(&counter);
    wait_counter(&counter);
    informer = follow(&history, false);
    cr_assert(wait_until(is_synced, &history, 60000));
    for (unsigned round = 0; round < 5; round++) {
        _cleanup_free_ char *value = xasprintf("round %u", round);

        loop_timer_start(timer, 20 + clock_random_below(150));
        change_some(&storm, value);
        cr_assert(wait_until(all_counted, &storm, 60000));
    }
    error_done(&storm.first);
    loop_timer_free(timer);
    cr_assert_gt(cuts, 0);
    expect_convergence(&history, informer);
    kube_informer_free(informer);
    map_free(history.seen);
}

/* --- who the server is --- */

/* Asks for the namespace with this configuration; the answer is the caller's. */
static void ask_with(struct kube_config *config, struct answer *answer)
{
    *answer = (struct answer){0};
    connect_with(config);
    kube_get(client, &namespaces, NULL, ns, NULL, on_answer, answer);
    wait_answer(answer);
}

Test(live, a_server_with_a_certificate_of_another_authority_is_refused)
{
    struct kube_config *config = load_config();
    struct answer answer;

    /* A certificate, but not the authority's. */
    credential_done(&config->ca);
    config->ca.data = xmemdup(config->certificate.data, config->certificate.len);
    config->ca.len = config->certificate.len;
    ask_with(config, &answer);
    cr_assert_eq(answer.err.code, -EKEYREJECTED, "%s", error_message(&answer.err));
    cr_assert(kube_error_is_transport(&answer.err));
    answer_done(&answer);
}

Test(live, verification_can_be_switched_off)
{
    struct kube_config *config = load_config();
    struct answer answer;

    credential_done(&config->ca);
    config->insecure = true;
    ask_with(config, &answer);
    cr_assert_eq(answer.err.code, 0, "%s", error_message(&answer.err));
    answer_done(&answer);
}

Test(live, a_certificate_must_carry_the_tls_server_name)
{
    struct kube_config *config = load_config();
    struct answer answer;

    config->tls_server_name = xstrdup("localhost");
    ask_with(config, &answer);
    cr_assert_eq(answer.err.code, 0, "%s", error_message(&answer.err));
    answer_done(&answer);
    config = load_config();
    config->tls_server_name = xstrdup("elsewhere.example");
    ask_with(config, &answer);
    cr_assert_eq(answer.err.code, -EKEYREJECTED, "%s", error_message(&answer.err));
    answer_done(&answer);
}

Test(live, a_token_that_is_wrong_is_unauthorized)
{
    struct kube_config *config = load_config();
    struct answer answer;

    credential_done(&config->certificate);
    credential_done(&config->key);
    config->token.data = xstrdup("wrong");
    config->token.len = strlen("wrong");
    ask_with(config, &answer);
    cr_assert(kube_error_is_unauthorized(&answer.err), "%s", error_message(&answer.err));
    answer_done(&answer);
}

/* --- a resource goes and comes --- */

static cJSON *definition(const char *group)
{
    _cleanup_free_ char *text = xasprintf(
        "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","
        "\"metadata\":{\"name\":\"things.%s\"},\"spec\":{\"group\":\"%s\",\"scope\":\"Cluster\","
        "\"names\":{\"plural\":\"things\",\"singular\":\"thing\",\"kind\":\"Thing\"},"
        "\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":"
        "{\"openAPIV3Schema\":{\"type\":\"object\"}}}]}}",
        group, group);

    return cJSON_Parse(text);
}

static bool was_missing(void *userdata)
{
    return kube_informer_resource_was_missing(userdata);
}

static bool informer_is_synced(void *userdata)
{
    return kube_informer_synced(userdata);
}

Test(live, a_resource_that_is_missing_is_waited_for)
{
    _cleanup_free_ char *group = xasprintf("%s.test", ns);
    _cleanup_free_ char *name = xasprintf("things.%s", group);
    const struct kube_resource things = {group, "v1", "things", "Thing", false};
    const struct kube_informer_options options = {.resource = &things};
    struct kube_informer *informer = kube_informer_new(client, &options);
    _cleanup_json_ cJSON *body = definition(group);
    struct answer answer = {0};

    kube_informer_start(informer);
    cr_assert(wait_until(was_missing, informer, 30000));
    cr_assert_not(kube_informer_synced(informer));
    cr_assert_not(kube_informer_connected(informer));
    kube_create(client, &crds, NULL, body, &writer, on_answer, &answer);
    expect_success(&answer, "create the definition");
    answer_done(&answer);
    cr_assert(wait_until(informer_is_synced, informer, 60000));
    cr_assert(kube_informer_connected(informer));
    kube_informer_free(informer);
    kube_delete(client, &crds, NULL, name, NULL, on_answer, &answer);
    expect_success(&answer, "delete the definition");
    answer_done(&answer);
}
