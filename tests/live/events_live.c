// SPDX-License-Identifier: Apache-2.0
/*
 * Events on a real API server, as `kubectl describe` shows them. Takes KUBECONFIG, a kubectl in the
 * PATH or as KUBECTL, and RESTART_APISERVER, a shell command that returns when the server is ready.
 */
#include "lib/kube/events.h"
#include "tests/live/live.h"

static struct kube_recorder *recorder;
static struct error failure;
static unsigned failures;

static void on_failed(void *userdata, const struct error *err)
{
    (void) userdata;
    failures++;
    error_copy(&failure, err);
}

static void open_recorder(void)
{
    const struct kube_recorder_options options = {
        .component = "live-test",
        .failed = on_failed,
    };

    live_open();
    recorder = kube_recorder_new(client, &options);
}

static void close_recorder(void)
{
    kube_recorder_free(TAKE_PTR(recorder));
    error_done(&failure);
    live_close();
}

TestSuite(events, .init = open_recorder, .fini = close_recorder, .timeout = 300);

#define WAIT_WRITTEN()                                                        \
    do {                                                                      \
        LIVE_UNTIL(kube_recorder_stats(recorder).waiting == 0, LIVE_WAIT_MS); \
        cr_assert_eq(failures, 0, "%s", error_message(&failure));             \
    } while (0)

static bool kubectl(struct command *command, const char *words)
{
    const char *program = getenv("KUBECTL");
    _cleanup_free_ char *text = xasprintf("%s %s", program ? program : "kubectl", words);
    _cleanup_command_ struct command found = {0};
    _cleanup_free_ char *probe = xasprintf("command -v %s", program ? program : "kubectl");

    command_start(&found, probe);
    LIVE_UNTIL(found.done, LIVE_WAIT_MS);
    if (found.status != 0)
        cr_skip_test("kubectl is neither in the PATH nor in KUBECTL");
    command_run(command, text);
    return true;
}

/* The lines of `kubectl describe` under "Events:", with single spaces. */
static bool describes(const char *what, const char *name, const char *wanted)
{
    _cleanup_command_ struct command command = {0};
    _cleanup_free_ char *words =
        xasprintf("describe %s %s -n %s | sed -n '/^Events:/,$p' | tr -s ' '", what, name, ns);

    kubectl(&command, words);
    if (!strstr(command.out, wanted))
        cr_log_error("no \"%s\" in:\n%s", wanted, command.out);
    return strstr(command.out, wanted) != NULL;
}

static void make_configmap(const char *name, struct answer *answer)
{
    _cleanup_json_ cJSON *body = live_object("v1", "ConfigMap", name);

    kube_create(client, &live_configmaps, ns, body, &live_writer, on_answer, answer);
    expect_success(answer, "create a ConfigMap");
}

Test(events, describe_shows_them_with_their_count)
{
    _cleanup_answer_ struct answer made = {0};
    char api_version[KUBE_API_VERSION_MAX];
    struct kube_reference about;

    make_configmap("told", &made);
    about = kube_reference_to(made.object, &live_configmaps, api_version);
    for (unsigned i = 0; i < 7; i++)
        kube_recorder_event(recorder, &about, KUBE_EVENT_WARNING, "Refused", "it was refused");
    kube_recorder_event(recorder, &about, KUBE_EVENT_NORMAL, "Accepted", "then it was not");
    WAIT_WRITTEN();
    cr_assert_eq(kube_recorder_stats(recorder).created, 2);
    cr_assert_eq(kube_recorder_stats(recorder).updated, 1, "six more are one write");
    cr_assert(describes("configmap", "told", " Warning Refused "));
    cr_assert(describes("configmap", "told", "(x7 over "));
    cr_assert(describes("configmap", "told", " live-test it was refused\n"));
    cr_assert(describes("configmap", "told", " Normal Accepted "));
}

Test(events, describe_shows_those_of_a_cluster_scoped_object)
{
    static const struct kube_resource classes = {"storage.k8s.io", "v1", "storageclasses",
                                                 "StorageClass", false};
    _cleanup_answer_ struct answer made = {0}, removed = {0};
    _cleanup_json_ cJSON *body = live_object("storage.k8s.io/v1", "StorageClass", ns);
    char api_version[KUBE_API_VERSION_MAX];
    struct kube_reference about;

    json_add_string(body, "provisioner", "example.org/none");
    kube_create(client, &classes, NULL, body, &live_writer, on_answer, &made);
    expect_success(&made, "create a StorageClass");
    about = kube_reference_to(made.object, &classes, api_version);
    for (unsigned i = 0; i < 3; i++) {
        kube_recorder_event(recorder, &about, KUBE_EVENT_NORMAL, "Seen", "three times");
        WAIT_WRITTEN();
    }
    cr_assert(describes("storageclass", ns, "(x3 over "));
    cr_assert(describes("storageclass", ns, " live-test three times\n"));
    kube_delete(client, &classes, NULL, ns, NULL, on_answer, &removed);
    expect_success(&removed, "delete the StorageClass");
}

Test(events, many_similar_ones_stay_few)
{
    _cleanup_answer_ struct answer made = {0};
    char api_version[KUBE_API_VERSION_MAX];
    struct kube_reference about;
    struct kube_recorder_stats stats;

    make_configmap("stormed", &made);
    about = kube_reference_to(made.object, &live_configmaps, api_version);
    for (unsigned i = 0; i < 1000; i++)
        kube_recorder_event(recorder, &about, KUBE_EVENT_WARNING, "Denied", "path %u", i);
    WAIT_WRITTEN();
    stats = kube_recorder_stats(recorder);
    cr_assert_eq(stats.created, 10, "nine and what the others became");
    cr_assert_leq(stats.updated, 15);
    cr_assert(describes("configmap", "stormed", "(combined from similar events): path 999\n"));
    cr_assert(describes("configmap", "stormed", "(x991 over "));
}

Test(events, what_happens_while_the_server_restarts_is_written_afterwards)
{
    _cleanup_answer_ struct answer made = {0};
    _cleanup_command_ struct command restart = {0};
    char api_version[KUBE_API_VERSION_MAX];
    struct kube_reference about;

    if (!getenv("RESTART_APISERVER"))
        cr_skip_test("RESTART_APISERVER is not set");
    make_configmap("later", &made);
    about = kube_reference_to(made.object, &live_configmaps, api_version);
    command_start(&restart, getenv("RESTART_APISERVER"));
    /* Some before the server is gone, some while it is; fewer than the spam limit. */
    for (uint64_t begin = clock_monotonic_ms(), next = 0; !restart.done;) {
        if (clock_monotonic_ms() - begin >= next && next < 4000) {
            kube_recorder_event(recorder, &about, KUBE_EVENT_NORMAL, "Turning", "still there");
            next += 250;
        }
        uv_run(&loop, UV_RUN_ONCE);
    }
    cr_assert_eq(restart.status, 0);
    kube_recorder_event(recorder, &about, KUBE_EVENT_NORMAL, "Restarted", "and back");
    WAIT_WRITTEN();
    cr_assert(describes("configmap", "later", " Normal Turning "));
    cr_assert(describes("configmap", "later", " live-test and back\n"));
}
