// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/kube/credentials.h"

/* --- files of the test ---------------------------------------------------------------------------
 */

static char *folder;
static struct kube_config *config;
static struct error err;

static char *in_folder(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static void write_file(const char *name, const char *text)
{
    _cleanup_free_ char *path = in_folder(name);

    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, NULL), 0);
}

static void open_folder(void)
{
    char cwd[4096];
    char template[] = "config-test-XXXXXX";

    alloc_init();
    cr_assert_not_null(mkdtemp(template));
    cr_assert_not_null(getcwd(cwd, sizeof(cwd)));
    folder = xasprintf("%s/%s", cwd, template);
    unsetenv("KUBECONFIG");
    unsetenv("KUBERNETES_SERVICE_HOST");
    unsetenv("KUBERNETES_SERVICE_PORT");
    setenv("HOME", folder, 1);
}

static void close_folder(void)
{
    const char *const argv[] = {"rm", "-r", folder, NULL};
    pid_t pid = fork();

    if (pid == 0) {
        execvp(argv[0], (char *const *) argv);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    kube_config_free(TAKE_PTR(config));
    error_done(&err);
    free(TAKE_PTR(folder));
    clock_set_source(NULL);
}

TestSuite(config, .init = open_folder, .fini = close_folder, .timeout = 60);

static int load(const char *text, const char *context)
{
    _cleanup_free_ char *path = in_folder("kubeconfig");
    const struct kube_config_source source = {.kubeconfig = path, .context = context};

    kube_config_free(TAKE_PTR(config));
    write_file("kubeconfig", text);
    return kube_config_load(&source, &config, &err);
}

static int load_default(void)
{
    const struct kube_config_source source = {.root = folder};

    kube_config_free(TAKE_PTR(config));
    return kube_config_load(&source, &config, &err);
}

#define expect_success(call)                                            \
    do {                                                                \
        int result_ = (call);                                           \
        cr_assert_eq(result_, 0, "%s: %s", #call, error_message(&err)); \
    } while (0)

static void expect_failure(const char *text, int code, const char *word)
{
    int r = load(text, NULL);

    cr_assert_lt(r, 0, "accepted:\n%s", text);
    cr_assert_eq(r, err.code);
    if (code)
        cr_assert_eq(r, code, "%d: %s", r, error_message(&err));
    cr_assert_null(config);
    cr_assert_not_null(strstr(error_message(&err), word), "\"%s\" lacks \"%s\"",
                       error_message(&err), word);
}

/* A kubeconfig of one context with these members of its cluster and user (YAML flow style). */
static char *simple(const char *cluster, const char *user)
{
    return xasprintf("{apiVersion: v1, kind: Config, current-context: x,\n"
                     " clusters: [{name: k, cluster: {%s}}],\n"
                     " users: [{name: u, user: {%s}}],\n"
                     " contexts: [{name: x, context: {cluster: k, user: u}}]}\n",
                     cluster, user);
}

static int load_simple(const char *cluster, const char *user)
{
    _cleanup_free_ char *text = simple(cluster, user);

    return load(text, NULL);
}

static void expect_simple_failure(const char *cluster, const char *user, int code, const char *word)
{
    _cleanup_free_ char *text = simple(cluster, user);

    expect_failure(text, code, word);
}

#define SERVER "server: 'https://10.0.0.1:6443'"

/* --- one file ------------------------------------------------------------------------------------
 */

static const char two_contexts[] = "apiVersion: v1\n"
                                   "kind: Config\n"
                                   "current-context: first\n"
                                   "preferences: {}\n"
                                   "clusters:\n"
                                   "- name: a\n"
                                   "  cluster:\n"
                                   "    server: https://a.example:6443/\n"
                                   "    tls-server-name: kubernetes\n"
                                   "    certificate-authority-data: Q0EgdGV4dA==\n"
                                   "- name: b\n"
                                   "  cluster:\n"
                                   "    server: https://b.example/prefix\n"
                                   "    insecure-skip-tls-verify: true\n"
                                   "    proxy-url: http://proxy:3128\n"
                                   "users:\n"
                                   "- name: one\n"
                                   "  user: {token: abc}\n"
                                   "- name: two\n"
                                   "  user: {username: me, password: pass word}\n"
                                   "contexts:\n"
                                   "- name: first\n"
                                   "  context: {cluster: a, user: one}\n"
                                   "- name: second\n"
                                   "  context: {cluster: b, user: two, namespace: there}\n"
                                   "- name: anonymous\n"
                                   "  context: {cluster: b}\n";

Test(config, the_current_context_is_taken)
{
    _cleanup_free_ char *path = in_folder("kubeconfig"), *authorization = NULL;

    expect_success(load(two_contexts, NULL));
    cr_assert_str_eq(kube_config_server(config), "https://a.example:6443");
    cr_assert_str_eq(kube_config_namespace(config), "default");
    cr_assert_str_eq(kube_config_origin(config), path);
    cr_assert_str_eq(config->tls_server_name, "kubernetes");
    cr_assert_eq(config->ca.len, 7);
    cr_assert_str_eq(config->ca.data, "CA text");
    cr_assert_not(config->insecure);
    authorization = credentials_authorization(config);
    cr_assert_str_eq(authorization, "Bearer abc");
}

Test(config, another_context_is_taken_by_name)
{
    _cleanup_free_ char *authorization = NULL;

    expect_success(load(two_contexts, "second"));
    cr_assert_str_eq(kube_config_server(config), "https://b.example/prefix");
    cr_assert_str_eq(kube_config_namespace(config), "there");
    cr_assert_str_eq(config->proxy_url, "http://proxy:3128");
    cr_assert(config->insecure);
    authorization = credentials_authorization(config);
    cr_assert_str_eq(authorization, "Basic bWU6cGFzcyB3b3Jk");
    expect_success(load(two_contexts, "anonymous"));
    cr_assert_null(credentials_authorization(config));
}

Test(config, json_is_a_kubeconfig_too)
{
    expect_success(load("{\"apiVersion\":\"v1\",\"kind\":\"Config\",\"current-context\":\"x\","
                        "\"clusters\":[{\"name\":\"k\",\"cluster\":{\"server\":\"http://[::1]:80\"}"
                        "}],\"contexts\":[{\"name\":\"x\",\"context\":{\"cluster\":\"k\"}}]}",
                        NULL));
    cr_assert_str_eq(kube_config_server(config), "http://[::1]:80");
}

Test(config, files_are_found_beside_the_kubeconfig)
{
    write_file("ca.pem", "the CA");
    write_file("crt.pem", "the certificate");
    write_file("key.pem", "the key");
    expect_success(load_simple(SERVER ", certificate-authority: ca.pem",
                               "client-certificate: crt.pem, client-key: key.pem"));
    cr_assert_str_eq(config->ca.data, "the CA");
    cr_assert_str_eq(config->certificate.data, "the certificate");
    cr_assert_str_eq(config->key.data, "the key");
}

Test(config, inline_data_wins_over_a_file)
{
    expect_success(
        load_simple(SERVER ", certificate-authority: missing.pem, certificate-authority-data: QQ==",
                    "client-certificate-data: Qg==, client-key-data: Qw=="));
    cr_assert_str_eq(config->ca.data, "A");
    cr_assert_str_eq(config->certificate.data, "B");
    cr_assert_str_eq(config->key.data, "C");
}

Test(config, what_is_wrong_is_named)
{
    _cleanup_free_ char *path = in_folder("kubeconfig");

    expect_failure("current-context: [", 0, path);
    expect_failure("- a\n", -EINVAL, "mapping");
    expect_failure("text\n", -EINVAL, "mapping");
    expect_failure("", -ENOENT, "current-context");
    expect_failure("{kind: Pod}", -EINVAL, "Pod");
    expect_failure("a: 1\n---\nb: 2\n", -EINVAL, "document");
    expect_failure("{clusters: {a: b}}", -EINVAL, "clusters");
    expect_failure("{users: [{user: {}}]}", -EINVAL, "no name");
    expect_failure("{users: [{name: [], user: {}}]}", -EINVAL, "no name");
    expect_failure("{users: [{name: u}]}", -EINVAL, "\"u\"");
    expect_failure("{users: [1]}", -EINVAL, "users");
    expect_failure("{current-context: x}", -ENOENT, "\"x\"");
    expect_failure("{current-context: x, contexts: [{name: y, context: {}}]}", -ENOENT, "\"y\"");
    expect_failure("{current-context: x, contexts: [{name: x, context: {}}]}", -EINVAL, "cluster");
    expect_failure("{current-context: x, contexts: [{name: x, context: {cluster: k}}]}", -ENOENT,
                   "\"k\"");
    expect_failure("{current-context: x, contexts: [{name: x, context: {cluster: k, user: u}}], "
                   "clusters: [{name: k, cluster: {" SERVER "}}]}",
                   -ENOENT, "\"u\"");
}

Test(config, a_bad_cluster_or_user_is_named)
{
    expect_simple_failure("", "", -EINVAL, "server");
    expect_simple_failure("server: 10.0.0.1", "", -EINVAL, "10.0.0.1");
    expect_simple_failure("server: 'ftp://x'", "", -EINVAL, "ftp://x");
    expect_simple_failure("server: 'https://'", "", -EINVAL, "URL");
    expect_simple_failure("server: 'https:///path'", "", -EINVAL, "URL");
    expect_simple_failure("server: 'https://a b'", "", -EINVAL, "a b");
    expect_simple_failure("server: 'https://u:p@a'", "", -EINVAL, "@");
    expect_simple_failure("server: [1]", "", -EINVAL, "server");
    expect_simple_failure(SERVER ", certificate-authority: missing.pem", "", -ENOENT,
                          "missing.pem");
    expect_simple_failure(SERVER ", certificate-authority-data: '%%%%'", "", -EINVAL, "base64");
    expect_simple_failure(SERVER ", certificate-authority-data: 'QUJ'", "", -EINVAL, "base64");
    expect_simple_failure(SERVER ", certificate-authority-data: '===='", "", -EINVAL, "base64");
    expect_simple_failure(SERVER
                          ", certificate-authority-data: QQ==, insecure-skip-tls-verify: true",
                          "", -EINVAL, "exclude");
    expect_simple_failure(SERVER, "client-certificate-data: QQ==", -EINVAL, "key");
    expect_simple_failure(SERVER, "client-key-data: QQ==", -EINVAL, "key");
    expect_simple_failure(SERVER, "token: \"a\\nb\"", -EINVAL, "token");
    expect_simple_failure(SERVER, "tokenFile: missing", -ENOENT, "missing");
    expect_simple_failure(SERVER, "exec: {command: aws}", -EINVAL, "apiVersion");
    expect_simple_failure(SERVER ", proxy-url: 'proxy:3128'", "", -EINVAL, "proxy:3128");
    expect_simple_failure(SERVER, "auth-provider: {name: gcp}", -ENOTSUP, "auth-provider");
}

Test(config, no_secret_is_told_in_an_error)
{
    expect_simple_failure(SERVER, "token: \"hunter2\\n\"", -EINVAL, "token");
    cr_assert_null(strstr(error_message(&err), "hunter2"));
}

/* --- several files
 * -------------------------------------------------------------------------------- */

Test(config, of_several_files_the_first_to_name_something_wins)
{
    _cleanup_free_ char *list = xasprintf("%s/one:%s/missing::%s/two", folder, folder, folder);
    _cleanup_free_ char *origin = in_folder("two"), *authorization = NULL;

    write_file("one", "{current-context: x, clusters: [{name: k, cluster: {server: 'https://one'}}]"
                      ", users: [{name: u, user: {token: one}}]}");
    write_file("two", "{current-context: y, clusters: [{name: k, cluster: {server: 'https://two'}}]"
                      ", users: [{name: u, user: {token: two}}]"
                      ", contexts: [{name: x, context: {cluster: k, user: u, namespace: n}}]}");
    setenv("KUBECONFIG", list, 1);
    expect_success(load_default());
    cr_assert_str_eq(kube_config_server(config), "https://one");
    cr_assert_str_eq(kube_config_namespace(config), "n");
    cr_assert_str_eq(kube_config_origin(config), origin);
    authorization = credentials_authorization(config);
    cr_assert_str_eq(authorization, "Bearer one");
}

Test(config, relative_paths_belong_to_their_own_file)
{
    _cleanup_free_ char *deep = in_folder("deep");
    _cleanup_free_ char *list = xasprintf("%s/one:%s/deep/two", folder, folder);

    cr_assert_eq(fs_mkdirs(deep, 0700, NULL), 0);
    write_file("one", "{current-context: x, contexts: [{name: x, context: {cluster: k}}]}");
    write_file("deep/two", "{clusters: [{name: k, cluster: {server: 'https://two', "
                           "certificate-authority: ca}}]}");
    write_file("deep/ca", "deep CA");
    setenv("KUBECONFIG", list, 1);
    expect_success(load_default());
    cr_assert_str_eq(config->ca.data, "deep CA");
}

Test(config, a_bad_file_among_several_is_named)
{
    _cleanup_free_ char *list = xasprintf("%s/one:%s/two", folder, folder);

    write_file("one", two_contexts);
    write_file("two", "{");
    setenv("KUBECONFIG", list, 1);
    cr_assert_lt(load_default(), 0);
    cr_assert_not_null(strstr(error_message(&err), "/two"), "%s", error_message(&err));
    setenv("KUBECONFIG", "/nowhere/a:/nowhere/b", 1);
    cr_assert_eq(load_default(), -ENOENT);
    cr_assert_not_null(strstr(error_message(&err), "/nowhere/a"), "%s", error_message(&err));
}

Test(config, the_home_directory_comes_last)
{
    _cleanup_free_ char *dot_kube = in_folder(".kube");

    cr_assert_eq(load_default(), -ENOENT);
    cr_assert_not_null(strstr(error_message(&err), ".kube/config"), "%s", error_message(&err));
    cr_assert_eq(fs_mkdirs(dot_kube, 0700, NULL), 0);
    write_file(".kube/config", two_contexts);
    expect_success(load_default());
    unsetenv("HOME");
    cr_assert_eq(load_default(), -ENOENT);
    cr_assert_not_null(strstr(error_message(&err), "KUBECONFIG"), "%s", error_message(&err));
}

/* --- in a pod
 * -------------------------------------------------------------------------------------- */

#define MOUNT "var/run/secrets/kubernetes.io/serviceaccount"

static void mount_service_account(void)
{
    _cleanup_free_ char *path = in_folder(MOUNT);

    cr_assert_eq(fs_mkdirs(path, 0700, NULL), 0);
    write_file(MOUNT "/token", "old\n");
    write_file(MOUNT "/ca.crt", "the CA");
    write_file(MOUNT "/namespace", "home\n");
    setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
}

Test(config, a_pod_uses_its_service_account)
{
    _cleanup_free_ char *authorization = NULL;

    mount_service_account();
    expect_success(load_default());
    cr_assert_str_eq(kube_config_server(config), "https://10.96.0.1:443");
    cr_assert_str_eq(kube_config_origin(config), "in-cluster");
    cr_assert_str_eq(kube_config_namespace(config), "home");
    cr_assert_str_eq(config->ca.data, "the CA");
    authorization = credentials_authorization(config);
    cr_assert_str_eq(authorization, "Bearer old");
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    expect_success(load_default());
    cr_assert_str_eq(kube_config_server(config), "https://[fd00::1]:443");
}

Test(config, a_pod_without_a_token_is_told)
{
    setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    cr_assert_eq(load_default(), -ENOENT);
    cr_assert_not_null(strstr(error_message(&err), "token"), "%s", error_message(&err));
}

static uint64_t now_ms = 1000000;

static uint64_t fake_monotonic(void *userdata)
{
    (void) userdata;
    return now_ms;
}

static const struct clock_source fake_clock = {.monotonic_ms = fake_monotonic};

static const char *token_after_refresh(bool force, bool *ret_changed)
{
    static char text[64];
    unsigned before = config->generation;
    char *authorization;
    int r = credentials_refresh(config, force, &err);

    cr_assert_eq(r, 0, "%s", error_message(&err));
    cr_assert_eq(config->tls_generation, 1, "only the token was replaced");
    *ret_changed = config->generation != before;
    authorization = credentials_authorization(config);
    snprintf(text, sizeof(text), "%s", authorization);
    free(authorization);
    return text;
}

Test(config, a_token_file_is_read_again_each_minute_or_when_told)
{
    bool changed;

    clock_set_source(&fake_clock);
    mount_service_account();
    expect_success(load_default());
    write_file(MOUNT "/token", "new");
    now_ms += 59999;
    cr_assert_str_eq(token_after_refresh(false, &changed), "Bearer old");
    cr_assert_not(changed);
    now_ms += 1;
    cr_assert_str_eq(token_after_refresh(false, &changed), "Bearer new");
    cr_assert(changed);
    write_file(MOUNT "/token", "newer");
    cr_assert_str_eq(token_after_refresh(true, &changed), "Bearer newer");
    cr_assert(changed);
    cr_assert_str_eq(token_after_refresh(true, &changed), "Bearer newer");
    cr_assert_not(changed);
}

Test(config, a_token_file_that_goes_leaves_the_last_token)
{
    _cleanup_free_ char *path = in_folder(MOUNT "/token"), *authorization = NULL;

    mount_service_account();
    expect_success(load_default());
    write_file(MOUNT "/token", "");
    cr_assert_eq(credentials_refresh(config, true, &err), -ENODATA);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(credentials_refresh(config, true, &err), -ENOENT);
    authorization = credentials_authorization(config);
    cr_assert_str_eq(authorization, "Bearer old");
}

/* --- what a process that confines itself must go on reading --- */

Test(config, tells_the_files_that_it_is_made_of)
{
    _cleanup_strv_ struct strv files = {0};
    _cleanup_free_ char *kubeconfig = in_folder("kubeconfig"), *token = in_folder("token");

    write_file("token", "secret");
    expect_success(load_simple(SERVER, "tokenFile: token"));
    kube_config_files(config, &files);
    cr_assert_eq(files.len, 2);
    cr_assert(strv_contains(&files, kubeconfig));
    cr_assert(strv_contains(&files, token));
    cr_assert_not(kube_config_runs_program(config));
}

Test(config, tells_each_kubeconfig_of_a_list)
{
    _cleanup_strv_ struct strv files = {0};
    _cleanup_free_ char *one = in_folder("one"), *two = in_folder("two"), *none = in_folder("none");
    _cleanup_free_ char *text = simple(SERVER, "token: x");
    _cleanup_free_ char *list = xasprintf("%s:%s:%s", one, none, two);

    write_file("one", text);
    write_file("two", "{apiVersion: v1, kind: Config}");
    setenv("KUBECONFIG", list, 1);
    expect_success(load_default());
    kube_config_files(config, &files);
    cr_assert_eq(files.len, 2);
    cr_assert(strv_contains(&files, one));
    cr_assert(strv_contains(&files, two));
}

Test(config, tells_that_a_program_is_run)
{
    expect_success(load_simple(SERVER, "exec: {apiVersion: client.authentication.k8s.io/v1, "
                                       "command: /bin/true, interactiveMode: Never}"));
    cr_assert(kube_config_runs_program(config));
}
