// SPDX-License-Identifier: Apache-2.0
/*
 * Much at once on the one connection: large objects go up as patches, and come down as their
 * answers, as events of several watches and in lists, while requests are given up half-way. No
 * stream may wait for ever for its turn.
 */
#include "lib/kube/informer.h"
#include "tests/live/live.h"

#define OBJECTS 4
#define PATCHES 600
#define TEXT_LEN 60000
#define SEEN_WITHIN_MS 15000

static unsigned sent, answered, failed, got;
static unsigned seen[2][OBJECTS]; /* by watch and object: the newest number */

static unsigned number_of(struct kube_object *object)
{
    const char *text = kube_object_annotation(object, "example.org/number");

    return text ? (unsigned) strtoul(text, NULL, 10) : 0;
}

static void note(unsigned *numbers, struct kube_object *object)
{
    const char *name = kube_object_name(object);

    if (strncmp(name, "large-", 6) == 0)
        numbers[atoi(name + 6)] = number_of(object);
}

static void on_added(void *userdata, struct kube_object *object)
{
    note(userdata, object);
}

static void on_updated(void *userdata, struct kube_object *old, struct kube_object *object)
{
    (void) old;
    note(userdata, object);
}

static void on_patched(void *userdata, struct kube_object *object, const struct error *err)
{
    (void) userdata;
    (void) object;
    answered++;
    if (err->code == 0)
        return;
    failed++;
    cr_log_error("%s", error_message(err));
}

static void on_got(void *userdata, struct kube_object *object, const struct error *err)
{
    (void) userdata;
    (void) object;
    (void) err;
    got++;
}

/* Does not compress, so that it is large on the wire, too. */
static char *noise(void)
{
    static const char digits[] = "0123456789abcdef";
    char *text = xcalloc(1, TEXT_LEN + 1);

    for (size_t i = 0; i < TEXT_LEN; i++)
        text[i] = digits[clock_random() % 16];
    return text;
}

static void patch_one(unsigned object, unsigned number)
{
    _cleanup_json_ cJSON *body = cJSON_CreateObject();
    _cleanup_free_ char *name = xasprintf("large-%u", object), *text = noise(),
                        *count = xasprintf("%u", number);
    cJSON *metadata = json_add_object(body, "metadata");

    json_add_string(json_add_object(metadata, "annotations"), "example.org/number", count);
    json_add_string(json_add_object(body, "data"), "noise", text);
    kube_patch(client, &live_configmaps, ns, name, NULL, KUBE_PATCH_MERGE, body, &live_writer,
               on_patched, NULL);
    sent++;
}

static void make_objects(void)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        _cleanup_free_ char *name = xasprintf("large-%u", i);
        _cleanup_json_ cJSON *body = live_object("v1", "ConfigMap", name);
        _cleanup_answer_ struct answer answer = {0};

        kube_create(client, &live_configmaps, ns, body, &live_writer, on_answer, &answer);
        expect_success(&answer, "create a ConfigMap");
    }
}

static bool all_seen(const unsigned *newest)
{
    for (unsigned i = 0; i < OBJECTS; i++)
        if (seen[0][i] != newest[i] || seen[1][i] != newest[i])
            return false;
    return true;
}

/* Some answers are wanted no more as soon as they were asked for, some once they are on their way.
 */
static void ask_and_give_up(void)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        _cleanup_free_ char *name = xasprintf("large-%u", i);
        unsigned before = got;
        struct kube_request *request =
            kube_get(client, &live_configmaps, ns, name, NULL, on_got, NULL);

        for (unsigned turns = (unsigned) (clock_random() % 6); turns > 0 && got == before; turns--)
            uv_run(&loop, UV_RUN_NOWAIT);
        if (got == before)
            kube_request_cancel(request);
    }
}

TestSuite(traffic, .init = live_open, .fini = live_close, .timeout = 400);

Test(traffic, no_stream_starves)
{
    const struct kube_informer_options ways[] = {
        {.resource = &live_configmaps, .ns = ns},
        {.resource = &live_configmaps, .ns = ns, .metadata_only = true},
    };
    struct kube_informer *informers[2];
    unsigned newest[OBJECTS] = {0};

    make_objects();
    for (unsigned i = 0; i < 2; i++) {
        const struct kube_handler handler = {.added = on_added,
                                             .updated = on_updated,
                                             .userdata = seen[i]};

        informers[i] = kube_informer_new(client, &ways[i]);
        kube_informer_add_handler(informers[i], &handler);
        kube_informer_start(informers[i]);
    }
    LIVE_UNTIL(kube_informer_synced(informers[0]) && kube_informer_synced(informers[1]),
               LIVE_WAIT_MS);
    for (unsigned round = 1; sent < PATCHES; round++) {
        for (unsigned i = 0; i < OBJECTS; i++) {
            newest[i] = round;
            patch_one(i, round);
        }
        if (round % 3 == 0)
            ask_and_give_up();
        LIVE_UNTIL(answered == sent, SEEN_WITHIN_MS);
        LIVE_UNTIL(all_seen(newest), SEEN_WITHIN_MS);
    }
    cr_assert_eq(failed, 0);
    kube_informer_free(informers[0]);
    kube_informer_free(informers[1]);
}
