// SPDX-License-Identifier: Apache-2.0
/*
 * Ways to a real API server and through its door: credential plugins and proxies. Takes KUBECONFIG,
 * a kubectl in the PATH, whose directory the plugin's PATH has, too, and CONTROLPLANE_PKI, the
 * folder of the server's certificates.
 */
#include <fcntl.h>
#include <sys/queue.h>

#include "lib/base/fs.h"
#include "lib/kube/credentials.h"
#include "lib/kube/informer.h"
#include "tests/live/proxy.h"

static char *folder;
static struct kube_config *admin; /* what KUBECONFIG says */
static struct proxy proxy;
static struct kube_client *other; /* of the test */
static char *server_url;          /* of the test's kubeconfig; NULL: KUBECONFIG's */

static void open_folder(void)
{
    const struct kube_config_source source = {0};
    const char *top = getenv("TMPDIR");
    _cleanup_error_ struct error err = {0};

    live_open();
    folder = xasprintf("%s/credentials-live-XXXXXX", top ? top : P_tmpdir);
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(kube_config_load(&source, &admin, &err), 0, "%s", error_message(&err));
    proxy_start(&proxy);
}

static void close_folder(void)
{
    _cleanup_free_ char *command = xasprintf("rm -r '%s'", folder);
    _cleanup_command_ struct command removed = {0};

    /* What is left to do needs no proxy. */
    unsetenv("HTTPS_PROXY");
    kube_client_free(TAKE_PTR(other));
    proxy_stop(&proxy);
    command_run(&removed, command);
    free(TAKE_PTR(folder));
    free(TAKE_PTR(server_url));
    kube_config_free(TAKE_PTR(admin));
    live_close();
}

TestSuite(credentials, .init = open_folder, .fini = close_folder, .timeout = 300);

static char *write_file(const char *name, const char *text, mode_t mode)
{
    char *path = xasprintf("%s/%s", folder, name);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, text, strlen(text), mode, &err), 0, "%s",
                 error_message(&err));
    return path;
}

/* A kubeconfig for the same server with another user, and more about the cluster. */
static void connect_as(const char *user, const char *cluster)
{
    _cleanup_free_ char *ca = xstrndup(admin->ca.data, admin->ca.len), *ca_path = NULL,
                        *text = NULL, *path = NULL;
    struct kube_config_source source = {0};
    struct kube_config *config;
    _cleanup_error_ struct error err = {0};

    ca_path = write_file("ca.pem", ca, 0600);
    text = xasprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                     "clusters: [{name: c, cluster: {server: '%s', certificate-authority: ca.pem"
                     "%s}}]\nusers: [{name: u, user: {%s}}]\n"
                     "contexts: [{name: c, context: {cluster: c, user: u}}]\n",
                     server_url ? server_url : admin->server, cluster, user);
    path = write_file("kubeconfig", text, 0600);
    source.kubeconfig = path;
    cr_assert_eq(kube_config_load(&source, &config, &err), 0, "%s", error_message(&err));
    cr_assert_eq(kube_client_new(&loop, config, NULL, &other, &err), 0, "%s", error_message(&err));
}

static void get_map(struct answer *answer)
{
    answer_done(answer);
    kube_get(other, &live_configmaps, ns, "kube-root-ca.crt", NULL, on_answer, answer);
    LIVE_UNTIL(answer->done, LIVE_WAIT_MS);
}

/* --- plugins ---------------------------------------------------------------------------------- */

Test(credentials, a_plugin_gives_a_client_certificate)
{
    _cleanup_json_ cJSON *credential =
        cJSON_Parse("{\"apiVersion\":\"client.authentication.k8s.io/v1\","
                    "\"kind\":\"ExecCredential\",\"status\":{}}");
    _cleanup_free_ char *certificate = NULL, *key = NULL, *text = NULL, *path = NULL;
    _cleanup_answer_ struct answer answer = {0};
    cJSON *status = cJSON_GetObjectItem(credential, "status");

    if (!admin->certificate.data)
        cr_skip_test("KUBECONFIG has no client certificate");
    certificate = xstrndup(admin->certificate.data, admin->certificate.len);
    key = xstrndup(admin->key.data, admin->key.len);
    json_add_string(status, "clientCertificateData", certificate);
    json_add_string(status, "clientKeyData", key);
    text = json_print(credential);
    path = write_file("credential.json", text, 0600);
    free(text);
    text = xasprintf("exec: {apiVersion: client.authentication.k8s.io/v1, command: cat, "
                     "args: ['%s'], interactiveMode: IfAvailable}",
                     path);
    connect_as(text, "");
    kube_get(other, &live_namespaces, NULL, ns, NULL, on_answer, &answer);
    expect_success(&answer, "read the namespace");
}

/* A plugin that asks the cluster for a token of a ServiceAccount, by kubectl. */
static void write_token_plugin(void)
{
    _cleanup_free_ char *text =
        xasprintf("#!/bin/bash\nset -e\necho >>'%s/runs'\n"
                  "token=$(kubectl create token robot -n %s)\n"
                  "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"kind\":"
                  "\"ExecCredential\",\"status\":{\"token\":\"'$token'\"}}'\n",
                  folder, ns);

    free(write_file("plugin", text, 0700));
}

static size_t count_runs(void)
{
    _cleanup_free_ char *path = xasprintf("%s/runs", folder);
    _cleanup_buf_ struct buf text = BUF_INIT(65536);

    return fs_read(AT_FDCWD, path, &text, NULL) < 0 ? 0 : text.len;
}

static void make_robot(void)
{
    static const struct kube_resource accounts = {"", "v1", "serviceaccounts", "ServiceAccount",
                                                  true};
    _cleanup_json_ cJSON *body = live_object("v1", "ServiceAccount", "robot");
    _cleanup_answer_ struct answer removed = {0}, made = {0};

    kube_delete(client, &accounts, ns, "robot", NULL, on_answer, &removed);
    LIVE_UNTIL(removed.done, LIVE_WAIT_MS);
    kube_create(client, &accounts, ns, body, &live_writer, on_answer, &made);
    expect_success(&made, "create the ServiceAccount");
}

Test(credentials, a_plugin_gives_a_token_and_another_when_that_is_revoked)
{
    _cleanup_answer_ struct answer answer = {0};
    _cleanup_free_ char *user = xasprintf("system:serviceaccount:%s:robot", ns);
    _cleanup_command_ struct command found = {0};

    command_start(&found, "command -v kubectl");
    LIVE_UNTIL(found.done, LIVE_WAIT_MS);
    if (found.status != 0)
        cr_skip_test("there is no kubectl in the PATH");
    write_token_plugin();
    make_robot();
    /* Relative to the kubeconfig. */
    connect_as("exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./plugin}", "");
    get_map(&answer);
    cr_assert(kube_error_is_forbidden(&answer.err), "%s", error_message(&answer.err));
    cr_assert_not_null(strstr(answer.err.message, user), "%s", answer.err.message);
    get_map(&answer);
    cr_assert_eq(count_runs(), 1);

    /* Its tokens die with it; the server remembers them for some seconds. */
    make_robot();
    for (uint64_t begin = clock_monotonic_ms(); count_runs() == 1;) {
        cr_assert_lt(clock_monotonic_ms() - begin, LIVE_WAIT_MS, "never refused");
        get_map(&answer);
    }
    cr_assert(kube_error_is_forbidden(&answer.err), "%s", error_message(&answer.err));
    cr_assert_not_null(strstr(answer.err.message, user), "%s", answer.err.message);
    cr_assert_eq(count_runs(), 2);
}

/* --- proxies ---------------------------------------------------------------------------------- */

static char *admin_user(void)
{
    _cleanup_free_ char *certificate = xstrndup(admin->certificate.data, admin->certificate.len);
    _cleanup_free_ char *key = xstrndup(admin->key.data, admin->key.len);

    free(write_file("client.pem", certificate, 0600));
    free(write_file("key.pem", key, 0600));
    return xstrdup("client-certificate: client.pem, client-key: key.pem");
}

static void connect_through(const char *cluster)
{
    _cleanup_free_ char *user = NULL;

    if (!admin->certificate.data)
        cr_skip_test("KUBECONFIG has no client certificate");
    user = admin_user();
    connect_as(user, cluster);
}

static void expect_map(void)
{
    _cleanup_answer_ struct answer answer = {0};

    kube_get(other, &live_namespaces, NULL, ns, NULL, on_answer, &answer);
    expect_success(&answer, "read the namespace");
}

Test(credentials, requests_go_through_the_proxy_of_the_kubeconfig)
{
    _cleanup_free_ char *cluster =
        xasprintf(", proxy-url: 'http://user:word@127.0.0.1:%d'", proxy.port);

    /* NO_PROXY is about the environment's proxy. */
    setenv("NO_PROXY", "127.0.0.1", 1);
    connect_through(cluster);
    expect_map();
    expect_map();
    cr_assert_eq(proxy.tunnels, 1, "one connection, as without a proxy");
    cr_assert_not_null(strstr(admin->server, proxy.target), "%s", proxy.target);
    cr_assert_str_eq(proxy.authorization, "Basic dXNlcjp3b3Jk");
}

/* The name is for TLS alone: the proxy is asked for the address. */
Test(credentials, a_server_of_another_name_is_reached_through_the_proxy)
{
    _cleanup_free_ char *cluster =
        xasprintf(", tls-server-name: kubernetes.default.svc, proxy-url: 'http://127.0.0.1:%d'",
                  proxy.port);

    connect_through(cluster);
    expect_map();
    cr_assert_eq(proxy.tunnels, 1);
    cr_assert_not_null(strstr(admin->server, proxy.target), "%s", proxy.target);
}

/* The name is the proxy's to resolve: here it is none. */
static void use_name_of_server(void)
{
    server_url = xasprintf("https://kubernetes.default.svc%s", strrchr(admin->server, ':'));
}

Test(credentials, a_socks_proxy_is_given_name_and_password_and_resolves_the_server)
{
    _cleanup_free_ char *cluster =
        xasprintf(", proxy-url: 'socks5://user:word@127.0.0.1:%d'", proxy.port);

    proxy.kind = PROXY_SOCKS;
    use_name_of_server();
    connect_through(cluster);
    expect_map();
    expect_map();
    cr_assert_eq(proxy.tunnels, 1, "one connection, as without a proxy");
    cr_assert_not_null(strstr(server_url, proxy.target), "%s", proxy.target);
    cr_assert_str_eq(proxy.authorization, "user:word");
}

Test(credentials, a_socks_proxy_may_ask_for_no_password)
{
    _cleanup_free_ char *cluster = xasprintf(", proxy-url: 'socks5://127.0.0.1:%d'", proxy.port);

    proxy.kind = PROXY_SOCKS;
    connect_through(cluster);
    expect_map();
    cr_assert_eq(proxy.tunnels, 1);
    cr_assert_null(proxy.authorization);
}

Test(credentials, a_socks_proxy_that_refuses_is_a_failure)
{
    _cleanup_free_ char *cluster = xasprintf(", proxy-url: 'socks5://127.0.0.1:%d'", proxy.port);
    _cleanup_answer_ struct answer answer = {0};

    proxy.kind = PROXY_SOCKS;
    proxy.refuse = true;
    connect_through(cluster);
    get_map(&answer);
    cr_assert(kube_error_is_transport(&answer.err), "%s", error_message(&answer.err));
    cr_assert_not_null(strcasestr(answer.err.message, "socks"), "%s", answer.err.message);
    cr_assert_gt(proxy.refused, 0);
}

/* A certificate of the control plane's, by the name of its files. */
static void speak_tls(const char *name)
{
    const char *pki = getenv("CONTROLPLANE_PKI");
    _cleanup_free_ char *certificate = NULL, *key = NULL;

    if (!pki)
        cr_skip_test("CONTROLPLANE_PKI is not set");
    certificate = xasprintf("%s/%s.crt", pki, name);
    key = xasprintf("%s/%s.key", pki, name);
    proxy_speak_tls(&proxy, certificate, key);
}

Test(credentials, a_proxy_that_speaks_tls_shows_a_certificate_of_the_servers_authority)
{
    _cleanup_free_ char *cluster =
        xasprintf(", proxy-url: 'https://user:word@127.0.0.1:%d'", proxy.port);

    speak_tls("apiserver");
    use_name_of_server();
    connect_through(cluster);
    expect_map();
    expect_map();
    cr_assert_eq(proxy.tunnels, 1, "one connection, as without a proxy");
    cr_assert_not_null(strstr(server_url, proxy.target), "%s", proxy.target);
    cr_assert_str_eq(proxy.authorization, "Basic dXNlcjp3b3Jk");
}

Test(credentials, a_proxy_with_a_certificate_of_another_authority_is_refused)
{
    _cleanup_free_ char *cluster = xasprintf(", proxy-url: 'https://127.0.0.1:%d'", proxy.port);
    _cleanup_answer_ struct answer answer = {0};

    speak_tls("etcd");
    connect_through(cluster);
    get_map(&answer);
    cr_assert_eq(answer.err.code, -EKEYREJECTED, "%s", error_message(&answer.err));
    cr_assert_eq(proxy.tunnels, 0);
}

Test(credentials, requests_go_through_the_proxy_of_the_environment)
{
    _cleanup_free_ char *url = xasprintf("http://127.0.0.1:%d", proxy.port);

    setenv("HTTPS_PROXY", url, 1);
    unsetenv("NO_PROXY");
    unsetenv("no_proxy");
    connect_through("");
    expect_map();
    cr_assert_eq(proxy.tunnels, 1);
}

Test(credentials, what_no_proxy_names_is_reached_directly)
{
    _cleanup_free_ char *url = xasprintf("http://127.0.0.1:%d", proxy.port);

    setenv("HTTPS_PROXY", url, 1);
    setenv("NO_PROXY", "example.org,127.0.0.0/8", 1);
    connect_through("");
    expect_map();
    cr_assert_eq(proxy.tunnels, 0);
}

Test(credentials, a_proxy_that_refuses_is_a_failure_with_its_answer)
{
    _cleanup_free_ char *cluster = xasprintf(", proxy-url: 'http://127.0.0.1:%d'", proxy.port);
    _cleanup_answer_ struct answer answer = {0};

    proxy.refuse = true;
    connect_through(cluster);
    get_map(&answer);
    cr_assert(kube_error_is_transport(&answer.err), "%s", error_message(&answer.err));
    cr_assert_eq(answer.err.http_status, 0, "no answer of the API server's");
    cr_assert_not_null(strstr(answer.err.message, "403"), "%s", answer.err.message);
    cr_assert_gt(proxy.refused, 0);
}

static unsigned added;

static void on_added(void *userdata, struct kube_object *object)
{
    (void) userdata;
    added += strncmp(kube_object_name(object), "late", 4) == 0;
}

Test(credentials, an_informer_survives_a_proxy_that_cuts_its_connections)
{
    _cleanup_free_ char *cluster = xasprintf(", proxy-url: 'http://127.0.0.1:%d'", proxy.port);
    const struct kube_informer_options options = {.resource = &live_configmaps, .ns = ns};
    const struct kube_handler handler = {.added = on_added};
    struct kube_informer *informer;

    connect_through(cluster);
    informer = kube_informer_new(other, &options);
    kube_informer_add_handler(informer, &handler);
    kube_informer_start(informer);
    LIVE_UNTIL(kube_informer_synced(informer), LIVE_WAIT_MS);
    for (unsigned i = 0; i < 3; i++) {
        _cleanup_free_ char *name = xasprintf("late-%u", i);
        _cleanup_json_ cJSON *body = live_object("v1", "ConfigMap", name);
        _cleanup_answer_ struct answer made = {0};

        proxy_cut(&proxy);
        kube_create(client, &live_configmaps, ns, body, &live_writer, on_answer, &made);
        expect_success(&made, name);
        LIVE_UNTIL(added == i + 1, LIVE_WAIT_MS);
    }
    cr_assert_geq(proxy.tunnels, 4);
    kube_informer_free(informer);
}
