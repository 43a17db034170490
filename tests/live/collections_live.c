// SPDX-License-Identifier: Apache-2.0
/*
 * Large collections, and collections that go as a whole, on a real API server. Takes KUBECONFIG.
 */
#include "tests/live/follower.h"
#include "tests/live/tcp_proxy.h"

static struct tcp_proxy proxy;
static struct kube_client *through; /* the proxy */

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
    live_close();
}

TestSuite(collections, .init = open_all, .fini = close_all, .timeout = 900);

/* --- many -------------------------------------------------------------------------------------
 */

#define WANTED 20000
/* As many as this machine makes in that time; LIVE_MAKING_S is another, in seconds. */
#define MAKING_MS 40000

/* The next one is made when one is done. */
struct maker {
    unsigned next, made;
    uint64_t begin;
};

static void on_made(void *userdata, struct kube_object *object, const struct error *err);

static uint64_t making_ms(void)
{
    const char *text = getenv("LIVE_MAKING_S");

    return text ? strtoull(text, NULL, 10) * 1000 : MAKING_MS;
}

static bool may_make(const struct maker *maker)
{
    return maker->next < WANTED && clock_monotonic_ms() - maker->begin < making_ms();
}

static void make_next(struct maker *maker)
{
    _cleanup_free_ char *name = xasprintf("map-%05u", maker->next++);
    _cleanup_json_ cJSON *body = live_configmap(name, "0");

    kube_create(client, &live_configmaps, ns, body, &live_writer, on_made, maker);
}

static void on_made(void *userdata, struct kube_object *object, const struct error *err)
{
    struct maker *maker = userdata;

    (void) object;
    cr_assert_eq(err->code, 0, "%s", error_message(err));
    maker->made++;
    if (may_make(maker))
        make_next(maker);
}

static unsigned make_many(void)
{
    struct maker maker = {.begin = clock_monotonic_ms()};

    for (unsigned i = 0; i < 60; i++)
        make_next(&maker);
    LIVE_UNTIL(maker.made == maker.next && !may_make(&maker), making_ms() + 60000);
    printf("# %u objects were made in %.1f s%s\n", maker.made,
           (double) (clock_monotonic_ms() - maker.begin) / 1000,
           maker.made < WANTED ? ", as many as there was time for" : "");
    return maker.made;
}

/* Changes end to end while `*stop` is not set. */
struct changer {
    unsigned next, count, pending, changes;
    bool stop;
};

static void change_next(struct changer *changer);

static void on_changed(void *userdata, struct kube_object *object, const struct error *err)
{
    struct changer *changer = userdata;

    (void) object;
    (void) err; /* deleted already, perhaps */
    changer->pending--;
    changer->changes++;
    if (!changer->stop)
        change_next(changer);
}

static void change_next(struct changer *changer)
{
    _cleanup_free_ char *name = xasprintf("map-%05u", changer->next % changer->count);
    _cleanup_free_ char *value = xasprintf("%u", changer->next);
    _cleanup_json_ cJSON *body = live_configmap(name, value);

    changer->next += 7919;
    changer->pending++;
    if (changer->next % 10 == 0)
        kube_delete(client, &live_configmaps, ns, name, NULL, on_changed, changer);
    else
        kube_patch(client, &live_configmaps, ns, name, NULL, KUBE_PATCH_MERGE, body, &live_writer,
                   on_changed, changer);
}

/* Those that nobody touches, which must be in each list of any version. */
static size_t count_untouched(const struct listing *listing, const struct map *touched)
{
    size_t position = 0, untouched = 0;
    const char *key;
    void *value;

    while (map_next(listing->items, &position, &key, &value))
        untouched += !map_has(touched, key);
    return untouched;
}

Test(collections, many_objects_are_listed_in_pages_while_they_change)
{
    const struct kube_informer_options what = {
        .resource = &live_configmaps,
        .ns = ns,
        .field_selector = NOT_THE_ROOT_CA,
    };
    _cleanup_(map_freep) struct map *touched = map_new(NULL);
    _cleanup_listing_ struct listing before = {0}, during = {0};
    struct changer changer = {.count = make_many()};
    struct follower follower;
    uint64_t begin;

    list_all(&before, client, &what);
    cr_assert_eq(map_size(before.items), changer.count);
    for (unsigned i = 0; i < 16; i++)
        change_next(&changer);
    begin = clock_monotonic_ms();
    follow(&follower, through);
    list_start_all(&during, through, &what, 100);
    LIVE_UNTIL(during.done && follower.synced, 120000);
    printf("# listed in pages of 100, and followed, in %.1f s, while %u were changed\n",
           (double) (clock_monotonic_ms() - begin) / 1000, changer.changes);
    cr_assert_gt(changer.changes, 0);
    changer.stop = true;
    LIVE_UNTIL(changer.pending == 0, LIVE_WAIT_MS);
    expect_convergence(&follower);
    cr_assert_eq(follower.failures, 0, "%s", error_message(&follower.last));

    cr_assert_eq(during.err.code, 0, "%s", error_message(&during.err));
    for (unsigned i = 0, at = 0; i < changer.changes + 16; i++, at += 7919) {
        _cleanup_free_ char *key = xasprintf("%s/map-%05u", ns, at % changer.count);

        map_set(touched, key, NULL);
    }
    cr_assert_eq(count_untouched(&during, touched), count_untouched(&before, touched));
    cr_assert_leq(map_size(during.items), map_size(before.items));
    follower_stop(&follower);
}

/* --- a namespace ------------------------------------------------------------------------------ */

Test(collections, a_namespace_that_goes_takes_its_objects_along_and_may_come_back)
{
    _cleanup_free_ char *own = xasprintf("%s-own", ns), *tests = ns;
    struct answer answer = {0};
    _cleanup_json_ cJSON *body = live_object("v1", "Namespace", own);
    struct follower follower;

    kube_create(client, &live_namespaces, NULL, body, &live_writer, on_answer, &answer);
    expect_success(&answer, own);
    answer_done(&answer);
    ns = own;
    make_maps(100);
    follow(&follower, client);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    kube_delete(client, &live_namespaces, NULL, own, NULL, on_answer, &answer);
    expect_success(&answer, "delete the namespace");
    answer_done(&answer);
    LIVE_UNTIL(kube_informer_size(follower.informer) == 0, LIVE_WAIT_MS);
    cr_assert_eq(follower.deleted[KUBE_DELETED], 100);
    expect_convergence(&follower);
    for (bool gone = false; !gone; answer_done(&answer)) {
        kube_get(client, &live_namespaces, NULL, own, NULL, on_answer, &answer);
        LIVE_UNTIL(answer.done, LIVE_WAIT_MS);
        gone = kube_error_is_not_found(&answer.err);
    }
    cr_assert_eq(follower.failures, 0, "%s", error_message(&follower.last));
    kube_create(client, &live_namespaces, NULL, body, &live_writer, on_answer, &answer);
    expect_success(&answer, own);
    answer_done(&answer);
    make_maps(20);
    LIVE_UNTIL(follower.added == 120, LIVE_WAIT_MS);
    expect_convergence(&follower);
    follower_stop(&follower);
    kube_delete(client, &live_namespaces, NULL, own, NULL, on_answer, &answer);
    expect_success(&answer, "delete the namespace");
    answer_done(&answer);
    ns = TAKE_PTR(tests);
}

/* --- a resource -------------------------------------------------------------------------------
 */

static const struct kube_resource definitions = {"apiextensions.k8s.io", "v1",
                                                 "customresourcedefinitions",
                                                 "CustomResourceDefinition", false};
static struct kube_resource things = {NULL, "v1", "things", "Thing", false};
static char *group, *definition_name;

static void make_definition(void)
{
    _cleanup_free_ char *text = NULL;
    _cleanup_json_ cJSON *body = NULL;
    _cleanup_answer_ struct answer answer = {0};

    if (!group) {
        group = xasprintf("%s.test", ns);
        definition_name = xasprintf("things.%s", group);
        things.group = group;
    }
    text = xasprintf(
        "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","
        "\"metadata\":{\"name\":\"%s\"},\"spec\":{\"group\":\"%s\",\"scope\":\"Cluster\","
        "\"names\":{\"plural\":\"things\",\"singular\":\"thing\",\"kind\":\"Thing\"},"
        "\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":"
        "{\"openAPIV3Schema\":{\"type\":\"object\","
        "\"x-kubernetes-preserve-unknown-fields\":true}}}]}}",
        definition_name, group);
    body = cJSON_Parse(text);
    kube_create(client, &definitions, NULL, body, &live_writer, on_answer, &answer);
    expect_success(&answer, definition_name);
}

/* Deletes it and returns when it is gone. */
static void remove_definition(void)
{
    struct answer answer = {0};

    kube_delete(client, &definitions, NULL, definition_name, NULL, on_answer, &answer);
    expect_success(&answer, "delete the definition");
    answer_done(&answer);
    for (bool gone = false; !gone; answer_done(&answer)) {
        kube_get(client, &definitions, NULL, definition_name, NULL, on_answer, &answer);
        LIVE_UNTIL(answer.done, LIVE_WAIT_MS);
        gone = kube_error_is_not_found(&answer.err);
    }
}

static void make_thing(const char *name, cJSON *spec)
{
    _cleanup_free_ char *version = xasprintf("%s/v1", group);
    _cleanup_json_ cJSON *body = live_object(version, "Thing", name);
    uint64_t begin = clock_monotonic_ms();
    bool made = false;

    if (spec)
        json_add(body, "spec", spec);
    while (!made) {
        _cleanup_answer_ struct answer answer = {0};

        kube_create(client, &things, NULL, body, &live_writer, on_answer, &answer);
        LIVE_UNTIL(answer.done, LIVE_WAIT_MS);
        made = answer.err.code == 0;
        /* A new resource is served a moment after its definition was accepted. */
        cr_assert(made || kube_error_is_not_found(&answer.err), "%s", error_message(&answer.err));
        cr_assert_lt(clock_monotonic_ms() - begin, LIVE_WAIT_MS);
    }
}

static void follow_things(struct follower *follower)
{
    const struct kube_informer_options options = {.resource = &things};

    follower_start(follower, through, &options);
}

static void close_definition(void)
{
    if (!group)
        return;
    remove_definition();
    free(group);
    free(definition_name);
}

Test(collections, a_resource_that_is_missing_is_waited_for, .fini = close_definition)
{
    struct follower follower;

    group = xasprintf("%s.test", ns);
    definition_name = xasprintf("things.%s", group);
    things.group = group;
    follow_things(&follower);
    LIVE_UNTIL(kube_informer_resource_was_missing(follower.informer), LIVE_WAIT_MS);
    cr_assert_not(follower.synced);
    cr_assert_not(kube_informer_connected(follower.informer));
    make_definition();
    make_thing("a", NULL);
    LIVE_UNTIL(follower.synced && follower.added == 1, LIVE_WAIT_MS);
    cr_assert(kube_informer_connected(follower.informer));
    expect_convergence(&follower);
    follower_stop(&follower);
}

/* The server deletes the objects of a definition that goes, one by one: a watch sees each of them.
 */
Test(collections, who_watches_a_resource_that_goes_sees_its_objects_deleted,
     .fini = close_definition)
{
    struct follower follower;

    make_definition();
    make_thing("a", NULL);
    make_thing("b", NULL);
    follow_things(&follower);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    remove_definition();
    LIVE_UNTIL(kube_informer_size(follower.informer) == 0, LIVE_WAIT_MS);
    LIVE_UNTIL(follower.saw_missing, LIVE_WAIT_MS);
    cr_assert_eq(follower.deleted[KUBE_DELETED], 2);
    make_definition();
    make_thing("c", NULL);
    LIVE_UNTIL(follower.added == 3, LIVE_WAIT_MS);
    cr_assert_eq(follower.deleted[KUBE_DELETED_MISSED] + follower.deleted[KUBE_DELETED_RESOURCE],
                 0);
    expect_convergence(&follower);
    follower_stop(&follower);
}

/* Who was not connected meanwhile, but saw that it was gone, knows that the objects went with it.
 */
Test(collections, who_finds_a_resource_gone_and_back_is_told_so, .fini = close_definition)
{
    struct follower follower;

    make_definition();
    make_thing("a", NULL);
    make_thing("b", NULL);
    follow_things(&follower);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    proxy_set_mode(&proxy, PROXY_REFUSE);
    LIVE_UNTIL(follower.failures > 0, LIVE_WAIT_MS);
    remove_definition();
    proxy_set_mode(&proxy, PROXY_FORWARD);
    LIVE_UNTIL(follower.saw_missing, LIVE_WAIT_MS);
    cr_assert_eq(kube_informer_size(follower.informer), 2, "nobody said that they are gone");
    make_definition();
    make_thing("b", NULL);
    LIVE_UNTIL(follower.deleted[KUBE_DELETED_RESOURCE] == 2, LIVE_WAIT_MS);
    cr_assert_eq(follower.deleted[KUBE_DELETED] + follower.deleted[KUBE_DELETED_MISSED], 0);
    expect_convergence(&follower);
    follower_stop(&follower);
}

/* Who never saw the 404 cannot tell it from objects that were deleted. */
Test(collections, who_missed_that_a_resource_was_gone_is_told_of_missed_deletions,
     .fini = close_definition)
{
    struct follower follower;

    make_definition();
    make_thing("a", NULL);
    follow_things(&follower);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    proxy_set_mode(&proxy, PROXY_REFUSE);
    LIVE_UNTIL(follower.failures > 0, LIVE_WAIT_MS);
    remove_definition();
    make_definition();
    make_thing("b", NULL);
    proxy_set_mode(&proxy, PROXY_FORWARD);
    LIVE_UNTIL(follower.added == 2 && kube_informer_size(follower.informer) == 1, LIVE_WAIT_MS);
    printf("# told as: deleted %zu, missed %zu, with the resource %zu\n",
           follower.deleted[KUBE_DELETED], follower.deleted[KUBE_DELETED_MISSED],
           follower.deleted[KUBE_DELETED_RESOURCE]);
    cr_assert_not(follower.saw_missing);
    expect_convergence(&follower);
    follower_stop(&follower);
}

/* One object that no client needs to understand does not hide the others. */
Test(collections, an_object_that_is_nested_without_measure_hides_no_other, .fini = close_definition)
{
    cJSON *spec = cJSON_CreateObject();
    struct follower follower;

    for (unsigned i = 0; i < 600; i++) {
        cJSON *outer = cJSON_CreateObject();

        json_add(outer, "a", spec);
        spec = outer;
    }
    make_definition();
    make_thing("a", NULL);
    follow_things(&follower);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    make_thing("deep", spec);
    make_thing("b", NULL);
    LIVE_UNTIL(follower.added == 2, LIVE_WAIT_MS);
    cr_assert_str_eq(follower.last.reason, "ObjectTooLarge");
    follower_stop(&follower);
    follow_things(&follower);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    cr_assert_eq(follower.added, 2);
    cr_assert_str_eq(follower.last.reason, "ObjectTooLarge");
    follower_stop(&follower);
}
