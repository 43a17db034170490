// SPDX-License-Identifier: Apache-2.0
/*
 * Changes that rest on what an object is, by writers that do not know of each other, against a real
 * API server. Takes KUBECONFIG.
 */
#include "lib/kube/update.h"
#include "tests/live/live.h"

TestSuite(update, .init = live_open, .fini = live_close, .timeout = 120);

#define ANNOTATION "live.example/count"
#define INCREMENTS 60

/* Counts one annotation up, one step after the other; what is given up is begun anew. */
struct writer {
    struct kube_client *client;
    unsigned asked, written, given_up;
    struct error failure; /* that is none of a conflict */
};

static unsigned count_in(const struct kube_object *object)
{
    const char *text = kube_object_annotation(object, ANNOTATION);

    return text ? (unsigned) strtoul(text, NULL, 10) : 0;
}

static int count_up(void *userdata, struct kube_object *object, cJSON **ret_patch,
                    struct error *err)
{
    struct writer *writer = userdata;
    _cleanup_free_ char *next = xasprintf("%u", count_in(object) + 1);

    (void) err;
    writer->asked++;
    *ret_patch = cJSON_CreateObject();
    json_add_string(json_add_object(json_add_object(*ret_patch, "metadata"), "annotations"),
                    ANNOTATION, next);
    return 0;
}

static void begin(struct writer *writer);

static void on_written(void *userdata, struct kube_object *object, const struct error *err)
{
    struct writer *writer = userdata;

    (void) object;
    if (err->code == 0)
        writer->written++;
    else if (kube_error_is_conflict(err))
        writer->given_up++;
    else
        error_copy(&writer->failure, err);
    if (writer->written < INCREMENTS && writer->failure.code == 0)
        begin(writer);
}

static void begin(struct writer *writer)
{
    const struct kube_update_options options = {
        .resource = &live_configmaps,
        .ns = ns,
        .name = "counter",
        .field_manager = "live-test",
        .change = count_up,
        .done = on_written,
        .userdata = writer,
    };

    kube_update(writer->client, &options);
}

static void make_counter(void)
{
    _cleanup_json_ cJSON *body = live_object("v1", "ConfigMap", "counter");
    _cleanup_answer_ struct answer answer = {0};

    kube_create(client, &live_configmaps, ns, body, &live_writer, on_answer, &answer);
    expect_success(&answer, "create the counter");
}

static unsigned read_counter(void)
{
    _cleanup_answer_ struct answer answer = {0};

    kube_get(client, &live_configmaps, ns, "counter", NULL, on_answer, &answer);
    expect_success(&answer, "read the counter");
    return count_in(answer.object);
}

Test(update, of_two_who_count_at_once_no_step_is_lost)
{
    struct kube_client *second = live_client();
    struct writer writers[] = {{.client = client}, {.client = second}};
    unsigned asked = 0, written = 0;

    make_counter();
    for (size_t i = 0; i < ARRAY_SIZE(writers); i++)
        begin(&writers[i]);
    for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
        LIVE_UNTIL(writers[i].written == INCREMENTS || writers[i].failure.code != 0, LIVE_WAIT_MS);
        cr_assert_eq(writers[i].failure.code, 0, "%s", error_message(&writers[i].failure));
        asked += writers[i].asked;
        written += writers[i].written;
    }
    printf("# %u steps took %u attempts; %u were begun anew\n", written, asked,
           writers[0].given_up + writers[1].given_up);
    cr_assert_eq(read_counter(), written);
    cr_assert_gt(asked, written, "the two never met");
    kube_client_free(second);
}

/* What is known may be out of date, and the object may be another of the same name by now. */
Test(update, what_rests_on_an_old_copy_is_asked_again)
{
    _cleanup_answer_ struct answer old = {0}, removed = {0};
    struct writer first = {.client = client, .written = INCREMENTS - 1}, second = first;
    struct kube_update_options options = {
        .resource = &live_configmaps,
        .ns = ns,
        .name = "counter",
        .change = count_up,
        .done = on_written,
        .userdata = &first,
    };

    make_counter();
    kube_get(client, &live_configmaps, ns, "counter", NULL, on_answer, &old);
    expect_success(&old, "read the counter");
    options.known = old.object;
    kube_update(client, &options);
    LIVE_UNTIL(first.written == INCREMENTS, LIVE_WAIT_MS);
    cr_assert_eq(first.asked, 1);
    kube_delete(client, &live_configmaps, ns, "counter", NULL, on_answer, &removed);
    expect_success(&removed, "delete the counter");
    make_counter();
    options.userdata = &second;
    kube_update(client, &options);
    LIVE_UNTIL(second.written == INCREMENTS, LIVE_WAIT_MS);
    cr_assert_eq(second.asked, 2);
    cr_assert_eq(read_counter(), 1);
}
