// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/exec.h"

#include <errno.h>
#include <sys/stat.h>

#include "tests/unit/kube/scripted_server.h"

static const struct kube_resource configmaps = {"", "v1", "configmaps", "ConfigMap", true};

/* --- time that the test moves ------------------------------------------------------------------
 */

static uint64_t ahead_ms;

static uint64_t test_monotonic(void *userdata)
{
    return server_monotonic(userdata) + ahead_ms;
}

static int64_t test_realtime(void *userdata)
{
    return server_realtime(userdata) + (int64_t) ahead_ms;
}

static const struct clock_source test_clock = {
    .monotonic_ms = test_monotonic,
    .realtime_ms = test_realtime,
    .random = server_random,
};

/* --- a plugin: a shell script in a folder of the test -------------------------------------------
 */

static char folder[] = "exec-test-XXXXXX";
static int dir = -1;

#define V1 "client.authentication.k8s.io/v1"

static void write_file(const char *name, const char *text, mode_t mode)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(fs_write_atomic(dir, name, text, strlen(text), mode, &err), 0, "%s",
                 error_message(&err));
}

/* Each run leaves a line in the file "runs"; the n-th prints token "t-<n>" unless the script says
 * otherwise. */
static void write_plugin(const char *script)
{
    _cleanup_free_ char *text =
        xasprintf("#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho >>runs\nn=$(wc -l <runs)\n%s\n",
                  script);

    write_file("plugin", text, 0755);
}

#define PRINT(status) \
    "echo '{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"status\":{" status "}}'"
#define PRINT_TOKEN PRINT("\"token\":\"t-'$n'\"")

static size_t runs(void)
{
    _cleanup_buf_ struct buf text = BUF_INIT(4096);

    if (fs_read(dir, "runs", &text, NULL) < 0)
        return 0;
    return text.len;
}

static void connect_with(const char *more, const struct kube_client_options *options)
{
    _cleanup_free_ char *user =
        xasprintf("exec: {apiVersion: " V1 ", command: ./%s/plugin, interactiveMode: Never%s}",
                  folder, more);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(kube_client_new(&server.loop, server_config(user), options, &client, &err), 0,
                 "%s", error_message(&err));
}

static void connect_plainly(void)
{
    connect_with("", NULL);
}

static void open_plugin(void)
{
    server_start();
    clock_set_source(&test_clock);
    cr_assert_not_null(mkdtemp(folder));
    dir = open(folder, O_DIRECTORY | O_CLOEXEC);
    write_plugin(PRINT_TOKEN);
}

static void close_plugin(void)
{
    server_stop();
    unlinkat(dir, "plugin", 0);
    unlinkat(dir, "runs", 0);
    unlinkat(dir, "seen", 0);
    close(dir);
    rmdir(folder);
}

TestSuite(exec, .init = open_plugin, .fini = close_plugin, .timeout = 60);

/* --- requests ------------------------------------------------------------------------------------
 */

struct answer {
    unsigned calls;
    struct error err;
};

static struct answer answer;

static void on_answer(void *userdata, struct kube_object *object, const struct error *err)
{
    struct answer *into = userdata;

    (void) object;
    into->calls++;
    error_copy(&into->err, err);
}

static struct kube_request *get(void)
{
    return kube_get(client, &configmaps, "ns", "a", NULL, on_answer, &answer);
}

static void reply_to_token(const char *token, int status)
{
    _cleanup_free_ char *line = xasprintf("\r\nAuthorization: Bearer %s\r\n", token);
    struct exchange *exchange = server_wait();

    cr_assert_not_null(strstr(exchange->head, line), "no %s in %s", token, exchange->head);
    server_reply(exchange, status, "{}");
}

#define WAIT_ANSWERS(count) RUN_UNTIL(answer.calls == (count))

static void expect_failure(int code, const char *words)
{
    WAIT_ANSWERS(1);
    cr_assert_eq(answer.err.code, code, "%d: %s", answer.err.code, error_message(&answer.err));
    cr_assert_not_null(strstr(error_message(&answer.err), words), "%s", error_message(&answer.err));
    error_done(&answer.err);
    answer.calls = 0;
}

Test(exec, many_requests_take_one_run)
{
    connect_plainly();
    for (unsigned i = 0; i < 5; i++)
        get();
    cr_assert_eq(answer.calls, 0);
    for (unsigned i = 0; i < 5; i++)
        reply_to_token("t-1", 200);
    WAIT_ANSWERS(5);
    get();
    reply_to_token("t-1", 200);
    WAIT_ANSWERS(6);
    cr_assert_eq(answer.err.code, 0, "%s", error_message(&answer.err));
    cr_assert_eq(runs(), 1);
}

Test(exec, what_has_expired_is_fetched_again)
{
    write_plugin(PRINT("\"token\":\"t-'$n'\",\"expirationTimestamp\":\"2023-11-14T22:13:30Z\""));
    connect_plainly();
    get();
    reply_to_token("t-1", 200);
    ahead_ms = 9999;
    get();
    reply_to_token("t-1", 200);
    ahead_ms = 10000;
    get();
    reply_to_token("t-2", 200);
    WAIT_ANSWERS(3);
}

Test(exec, what_the_server_refuses_is_fetched_again_once)
{
    connect_plainly();
    get();
    reply_to_token("t-1", 200);
    WAIT_ANSWERS(1);
    ahead_ms = 60000;
    get();
    reply_to_token("t-1", 401);
    reply_to_token("t-2", 401);
    WAIT_ANSWERS(2);
    cr_assert(kube_error_is_unauthorized(&answer.err), "%s", error_message(&answer.err));
    error_done(&answer.err);
    cr_assert_eq(runs(), 2);
}

Test(exec, requests_that_are_refused_together_take_one_run)
{
    struct exchange *exchanges[3];

    connect_plainly();
    get();
    reply_to_token("t-1", 200);
    WAIT_ANSWERS(1);
    ahead_ms = 60000;
    for (unsigned i = 0; i < 3; i++)
        get();
    for (unsigned i = 0; i < 3; i++)
        exchanges[i] = server_wait();
    server_reply(exchanges[0], 401, "{}");
    reply_to_token("t-2", 200);
    server_reply(exchanges[1], 401, "{}");
    server_reply(exchanges[2], 401, "{}");
    reply_to_token("t-2", 200);
    reply_to_token("t-2", 200);
    WAIT_ANSWERS(4);
    cr_assert_eq(answer.err.code, 0, "%s", error_message(&answer.err));
    cr_assert_eq(runs(), 2);
}

/* --- failures ------------------------------------------------------------------------------------
 */

Test(exec, a_plugin_that_fails_is_quoted_and_tried_again_with_the_next_request)
{
    write_plugin("echo log in first >&2; exit 3");
    connect_plainly();
    get();
    expect_failure(-EIO, "it failed with exit status 3: log in first");
    cr_assert(TAILQ_EMPTY(&server.unseen), "nothing is sent without the credential");
    write_plugin(PRINT_TOKEN);
    get();
    reply_to_token("t-2", 200);
    WAIT_ANSWERS(1);
    cr_assert_eq(answer.err.code, 0);
}

Test(exec, a_plugin_that_is_not_there_comes_with_its_install_hint)
{
    unlinkat(dir, "plugin", 0);
    connect_with(", installHint: Get it from example.org.", NULL);
    get();
    expect_failure(-ENOENT, "there is no such program. Get it from example.org.");
}

static void connect_by_name(void)
{
    static const char user[] =
        "exec: {apiVersion: " V1 ", command: plugin, interactiveMode: Never}";
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(kube_client_new(&server.loop, server_config(user), NULL, &client, &err), 0, "%s",
                 error_message(&err));
}

Test(exec, a_plugin_without_a_folder_is_found_by_the_path)
{
    _cleanup_free_ char *top = realpath(folder, NULL);
    _cleanup_free_ char *path = xasprintf("/nowhere::%s:%s", top, getenv("PATH"));

    setenv("PATH", path, 1);
    connect_by_name();
    get();
    reply_to_token("t-1", 200);
    WAIT_ANSWERS(1);
}

Test(exec, what_lies_where_one_stands_is_no_plugin)
{
    _cleanup_free_ char *path = xasprintf(":.:%s:%s", folder, getenv("PATH"));

    setenv("PATH", path, 1);
    connect_by_name();
    get();
    expect_failure(-ENOENT, "there is no such program in the PATH");
    cr_assert_eq(runs(), 0);
}

Test(exec, a_plugin_that_prints_something_else_is_refused)
{
    write_plugin("echo hello");
    connect_plainly();
    get();
    expect_failure(-EBADMSG, "what it prints is no JSON");
}

Test(exec, a_plugin_without_end_of_output_is_stopped)
{
    write_plugin("exec yes");
    connect_plainly();
    get();
    expect_failure(-EFBIG, "it printed more than");
}

Test(exec, a_request_waits_for_the_plugin_no_longer_than_its_deadline)
{
    const struct kube_client_options options = {.request_timeout_ms = 200};

    write_plugin("exec sleep 1000");
    connect_with("", &options);
    get();
    expect_failure(-ETIMEDOUT, "the credential plugin has not answered in time");
}

Test(exec, a_request_that_is_cancelled_meanwhile_is_not_sent)
{
    connect_plainly();
    kube_request_cancel(get());
    get();
    reply_to_token("t-1", 200);
    WAIT_ANSWERS(1);
    cr_assert(TAILQ_EMPTY(&server.unseen));
}

static void free_client(void *userdata, struct kube_object *object, const struct error *err)
{
    on_answer(userdata, object, err);
    kube_client_free(TAKE_PTR(client));
}

Test(exec, the_client_may_be_freed_when_the_plugin_has_failed)
{
    write_plugin("exit 1");
    connect_plainly();
    kube_get(client, &configmaps, "ns", "a", NULL, free_client, &answer);
    get();
    WAIT_ANSWERS(1);
    cr_assert_null(client);
    error_done(&answer.err);
}

/* --- what the plugin is told ---------------------------------------------------------------------
 */

Test(exec, a_plugin_gets_its_arguments_environment_and_cluster)
{
    _cleanup_buf_ struct buf seen = BUF_INIT(65536);
    _cleanup_json_ cJSON *info = NULL;
    const char *line;

    setenv("HIDDEN", "by the kubeconfig", 1);
    setenv("KEPT", "from outside", 1);
    write_plugin(
        "{ echo \"$1|$2|$HIDDEN|$KEPT\"; echo \"$KUBERNETES_EXEC_INFO\"; } >seen\n" PRINT_TOKEN);
    connect_with(", args: [one, two words], env: [{name: HIDDEN, value: set}],"
                 " provideClusterInfo: true",
                 NULL);
    get();
    reply_to_token("t-1", 200);
    WAIT_ANSWERS(1);
    cr_assert_eq(fs_read(dir, "seen", &seen, NULL), 0);
    line = strchr(buf_string(&seen), '\n') + 1;
    cr_assert_eq(strncmp(buf_string(&seen), "one|two words|set|from outside\n", 31), 0, "%s",
                 buf_string(&seen));
    info = cJSON_Parse(line);
    cr_assert_str_eq(json_string(info, "apiVersion"), V1);
    cr_assert_str_eq(json_string(info, "kind"), "ExecCredential");
    cr_assert_not(json_bool(json_get(info, "spec", "interactive"), true));
    cr_assert_eq(strncmp(json_string(info, "spec", "cluster", "server"), "http://127.0.0.1:", 17),
                 0);
}

Test(exec, a_plugin_that_does_not_ask_is_not_told_of_the_cluster)
{
    _cleanup_buf_ struct buf seen = BUF_INIT(65536);

    write_plugin("echo \"$KUBERNETES_EXEC_INFO\" >seen\n" PRINT_TOKEN);
    connect_plainly();
    get();
    reply_to_token("t-1", 200);
    WAIT_ANSWERS(1);
    cr_assert_eq(fs_read(dir, "seen", &seen, NULL), 0);
    cr_assert_null(strstr(buf_string(&seen), "cluster"));
}

Test(exec, a_token_in_the_kubeconfig_wins)
{
    _cleanup_free_ char *user = xasprintf("token: own, exec: {apiVersion: " V1
                                          ", command: ./%s/plugin, interactiveMode: Never}",
                                          folder);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(kube_client_new(&server.loop, server_config(user), NULL, &client, &err), 0);
    get();
    reply_to_token("own", 200);
    WAIT_ANSWERS(1);
    cr_assert_eq(runs(), 0);
}

/* --- the formats ---------------------------------------------------------------------------------
 */

TestSuite(exec_format, .init = alloc_init);

Test(exec_format, entries_that_cannot_work_are_refused_by_their_field)
{
    static const struct {
        const char *text;
        int code;
        const char *words;
    } cases[] = {
        {"{}", -EINVAL, "apiVersion is missing"},
        {"{\"apiVersion\":\"client.authentication.k8s.io/v1alpha1\"}", -ENOTSUP, "v1alpha1"},
        {"{\"apiVersion\":\"" V1 "\"}", -EINVAL, "command is missing"},
        {"{\"apiVersion\":\"" V1 "\",\"command\":\"x\"}", -EINVAL, "interactiveMode is missing"},
        {"{\"apiVersion\":\"" V1 "\",\"command\":\"x\",\"interactiveMode\":\"Always\"}", -ENOTSUP,
         "no terminal"},
        {"{\"apiVersion\":\"" V1 "\",\"command\":\"x\",\"interactiveMode\":\"often\"}", -EINVAL,
         "\"often\""},
        {"{\"apiVersion\":\"" V1 "beta1\",\"command\":\"x\",\"args\":\"y\"}", -EINVAL, "args"},
        {"{\"apiVersion\":\"" V1 "beta1\",\"command\":\"x\",\"args\":[1]}", -EINVAL, "args"},
        {"{\"apiVersion\":\"" V1 "beta1\",\"command\":\"x\",\"env\":[{\"name\":\"A\"}]}", -EINVAL,
         "env"},
        {"{\"apiVersion\":\"" V1 "beta1\",\"command\":\"x\"}", 0, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ cJSON *json = cJSON_Parse(cases[i].text);
        _cleanup_(exec_plugin_freep) struct exec_plugin *plugin = NULL;
        _cleanup_error_ struct error err = {0};

        cr_assert_eq(exec_plugin_new(json, "", &plugin, &err), cases[i].code, "%s", cases[i].text);
        if (cases[i].words)
            cr_assert_not_null(strstr(error_message(&err), cases[i].words), "%s",
                               error_message(&err));
    }
}

#define CREDENTIAL(status) \
    "{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"status\":" status "}"
#define PEM "-----BEGIN X-----"

Test(exec_format, answers_that_are_no_credential_are_refused_and_not_quoted)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "no JSON"},
        {"[]", "an object"},
        {"{\"kind\":\"Secret\"}", "ExecCredential"},
        {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"v1\"}", "apiVersion \"v1\""},
        {CREDENTIAL("null"), "no status"},
        {CREDENTIAL("{}"), "neither a token nor"},
        {CREDENTIAL("{\"token\":\"\"}"), "neither a token nor"},
        {CREDENTIAL("{\"token\":\"secret\\nX-Header: 1\"}"), "status.token"},
        {CREDENTIAL("{\"clientCertificateData\":\"" PEM "\"}"), "need each other"},
        {CREDENTIAL("{\"clientKeyData\":\"" PEM "\",\"token\":\"secret\"}"), "need each other"},
        {CREDENTIAL("{\"clientKeyData\":\"secret\",\"clientCertificateData\":\"" PEM "\"}"),
         "must be PEM"},
        {CREDENTIAL("{\"token\":\"secret\",\"expirationTimestamp\":\"soon\"}"),
         "expirationTimestamp"},
        {CREDENTIAL("{\"token\":\"secret\",\"expirationTimestamp\":7}"), "expirationTimestamp"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_exec_credential_ struct exec_credential credential = {0};
        _cleanup_error_ struct error err = {0};

        cr_assert_lt(exec_credential_decode(cases[i].text, strlen(cases[i].text), V1, &credential,
                                            &err),
                     0, "%s", cases[i].text);
        cr_assert_not_null(strstr(error_message(&err), cases[i].words), "%s", error_message(&err));
        cr_assert_null(strstr(error_message(&err), "secret"), "%s", error_message(&err));
        cr_assert_null(credential.token);
    }
}

Test(exec_format, a_whole_answer_is_decoded)
{
    static const char text[] =
        CREDENTIAL("{\"token\":\"t\",\"clientCertificateData\":\"" PEM "\",\"clientKeyData\":\"" PEM
                   "\",\"expirationTimestamp\":\"2023-11-14T22:13:20Z\"}");
    _cleanup_exec_credential_ struct exec_credential credential = {0};

    cr_assert_eq(exec_credential_decode(text, strlen(text), V1, &credential, NULL), 0);
    cr_assert_str_eq(credential.token, "t");
    cr_assert_str_eq(credential.certificate, PEM);
    cr_assert_str_eq(credential.key, PEM);
    cr_assert(credential.expires);
    cr_assert_eq(credential.expires_at_ms, 1700000000000);
}
