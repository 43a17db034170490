// SPDX-License-Identifier: Apache-2.0
/*
 * Tokens, certificates and authorities that are replaced while a client of a real API server works.
 * Takes KUBECONFIG, a kubectl in the PATH or as KUBECTL, openssl, and CONTROLPLANE_PKI, the folder
 * of the server's own keys, which it reads again when they change.
 */
#include <fcntl.h>

#include "lib/base/fs.h"
#include "tests/live/follower.h"
#include "tests/live/tcp_proxy.h"

static struct tcp_proxy proxy;
static struct kube_client *robot; /* whose credentials change */
static char *folder;

static void close_all(void)
{
    clock_set_source(NULL);
    kube_client_free(TAKE_PTR(robot));
    if (proxy.loop)
        proxy_stop(&proxy);
    live_close();
}

/* A shell command; its first line. `$folder`, `$pki` and `$kubectl` are set. */
_printf_(1, 2) static char *shell(const char *format, ...)
{
    const char *pki = getenv("CONTROLPLANE_PKI");
    _cleanup_command_ struct command command = {0};
    _cleanup_free_ char *words = NULL, *text = NULL;
    va_list args;

    va_start(args, format);
    words = xvasprintf(format, args);
    va_end(args);
    text =
        xasprintf("set -euo pipefail; folder='%s' pki='%s' ns='%s' kubectl=${KUBECTL:-kubectl}\n%s",
                  folder, pki ? pki : "", ns, words);
    command_run(&command, text);
    return xstrndup(command.out, strcspn(command.out, "\n"));
}

static void open_all(void)
{
    const char *top = getenv("TMPDIR");

    if (!getenv("KUBECONFIG") || !getenv("CONTROLPLANE_PKI"))
        cr_skip_test("KUBECONFIG or CONTROLPLANE_PKI is not set");
    live_open();
    folder = xasprintf("%s/rotation-live-XXXXXX", top ? top : P_tmpdir);
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    if (folder)
        free(shell("rm -r \"$folder\""));
    free(TAKE_PTR(folder));
    close_all();
}

TestSuite(rotation, .init = open_all, .fini = remove_folder, .timeout = 180);

static char *in_folder(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

/* By way of the proxy, with these files as credentials; NULL: the administrator's. */
static void connect_with(const char *token, const char *certificate, const char *key,
                         const char *authority)
{
    struct kube_config *config = proxy_config(&proxy);
    _cleanup_error_ struct error err = {0};

    if (token || certificate) {
        credential_done(&config->certificate);
        credential_done(&config->key);
    }
    if (authority) {
        credential_done(&config->ca);
        config->ca.path = in_folder(authority);
    }
    config->token.path = token ? in_folder(token) : NULL;
    if (certificate) {
        config->certificate.path = in_folder(certificate);
        config->key.path = in_folder(key);
    }
    cr_assert_eq(credentials_refresh(config, true, &err), 0, "%s", error_message(&err));
    robot = live_client_of(config);
}

static const struct kube_resource reviews = {"authentication.k8s.io", "v1", "selfsubjectreviews",
                                             "SelfSubjectReview", false};

/* Whom the server takes us for; NULL with `ret_err` filled when it does not say. */
static char *who_am_i(bool credential, struct error *ret_err)
{
    _cleanup_json_ cJSON *body =
        cJSON_Parse("{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}");
    _cleanup_answer_ struct answer answer = {0};
    const cJSON *user;

    kube_create(robot, &reviews, NULL, body, NULL, on_answer, &answer);
    LIVE_UNTIL(answer.done, LIVE_WAIT_MS);
    error_copy(ret_err, &answer.err);
    if (answer.err.code != 0)
        return NULL;
    user = json_get(kube_object_json(answer.object), "status", "userInfo");
    if (!credential)
        return xstrdup(json_string(user, "username"));
    return json_print(json_get(user, "extra", "authentication.kubernetes.io/credential-id"));
}

/* --- tokens -----------------------------------------------------------------------------------
 */

/* Tokens a and b of a ServiceAccount, each of which lives as long as a Secret does; a is in use. */
static void make_tokens(void)
{
    free(shell("$kubectl create serviceaccount robot -n $ns\n"
               "$kubectl create rolebinding robot -n $ns --clusterrole=admin "
               "--serviceaccount=$ns:robot\n"
               "for name in a b; do\n"
               "  $kubectl create secret generic $name -n $ns\n"
               "  uid=$($kubectl get secret $name -n $ns -o 'jsonpath={.metadata.uid}')\n"
               "  $kubectl create token robot -n $ns --bound-object-kind=Secret "
               "--bound-object-name=$name --bound-object-uid=$uid >$folder/$name\n"
               "done >/dev/null; cp $folder/a $folder/token"));
}

static void replace_token(void)
{
    free(shell("cp $folder/b $folder/token.new; mv $folder/token.new $folder/token"));
}

static void revoke_first(void)
{
    free(shell("$kubectl delete secret a -n $ns"));
}

/* The server remembers for some seconds that a token was good. */
Test(rotation, a_token_that_was_replaced_and_revoked_fails_nobody)
{
    _cleanup_error_ struct error err = {0};
    _cleanup_free_ char *before = NULL;
    struct follower follower;
    struct tally tally = {0};
    uint64_t begin = clock_monotonic_ms();
    unsigned asked = 0;
    bool same = true;

    make_tokens();
    make_maps(5);
    connect_with("token", NULL, NULL, NULL);
    follow(&follower, robot);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    before = who_am_i(true, &err);
    cr_assert_not_null(before, "%s", error_message(&err));
    replace_token();
    revoke_first();
    while (same) {
        _cleanup_free_ char *now = who_am_i(true, &err);

        cr_assert_not_null(now, "%s", error_message(&err));
        asked++;
        same = strcmp(now, before) == 0;
        /* Before the minute after which the file is read in any case. */
        cr_assert_lt(clock_monotonic_ms() - begin, 45000, "the old token is still good");
    }
    printf("# the new token was in use %.1f s later, after %u requests, none refused\n",
           (double) (clock_monotonic_ms() - begin) / 1000, asked);
    proxy_cut(&proxy);
    LIVE_UNTIL(follower.failures > 0, LIVE_WAIT_MS);
    change_maps(&tally, 5, 1);
    expect_all(&tally);
    expect_convergence(&follower);
    follower_stop(&follower);
}

Test(rotation, an_informer_without_a_good_token_goes_on_when_it_gets_one)
{
    _cleanup_error_ struct error err = {0};
    struct follower follower;
    struct tally tally = {0};
    bool refused = false;

    make_tokens();
    make_maps(5);
    connect_with("token", NULL, NULL, NULL);
    follow(&follower, robot);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    revoke_first();
    for (uint64_t begin = clock_monotonic_ms(); !refused;) {
        _cleanup_free_ char *now = who_am_i(true, &err);

        refused = kube_error_is_unauthorized(&err);
        cr_assert(now || refused, "%s", error_message(&err));
        cr_assert_lt(clock_monotonic_ms() - begin, 45000, "the token is still good");
    }
    proxy_cut(&proxy);
    LIVE_UNTIL(kube_error_is_unauthorized(&follower.last), LIVE_WAIT_MS);
    change_maps(&tally, 5, 1);
    TALLY_UNTIL_DONE(&tally);
    error_done(&tally.first);
    cr_assert_eq(kube_informer_size(follower.informer), 5, "nobody said that anything went");
    replace_token();
    expect_convergence(&follower);
    follower_stop(&follower);
}

/* --- client certificates ----------------------------------------------------------------------
 */

/* $folder/client.pem and client.key for an administrator of that name. */
static void make_client_certificate(const char *name)
{
    free(shell("cd $folder\n"
               "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
               "-subj '/O=system:masters/CN=%s' -keyout new.key -out new.csr 2>/dev/null\n"
               "openssl x509 -req -in new.csr -CA $pki/ca.crt -CAkey $pki/ca.key -days 1 "
               "-set_serial $RANDOM -out new.pem 2>/dev/null\n"
               "mv new.key client.key; mv new.pem client.pem",
               name));
}

static uint64_t skipped_ms;

static uint64_t later(void *userdata)
{
    (void) userdata;
    return uv_hrtime() / 1000000 + skipped_ms;
}

static int64_t realtime(void *userdata)
{
    uv_timeval64_t now;

    (void) userdata;
    uv_gettimeofday(&now);
    return now.tv_sec * 1000 + now.tv_usec / 1000;
}

static uint64_t any_random(void *userdata)
{
    uint64_t bits;

    (void) userdata;
    cr_assert_eq(uv_random(NULL, NULL, &bits, sizeof(bits), 0, NULL), 0);
    return bits;
}

/* Files are read each minute: this is the next one. */
static void skip_a_minute(void)
{
    static const struct clock_source source = {later, realtime, any_random, NULL};

    skipped_ms += 61000;
    clock_set_source(&source);
}

Test(rotation, a_program_that_only_watches_moves_to_a_connection_with_the_new_certificate)
{
    _cleanup_error_ struct error err = {0};
    _cleanup_free_ char *before = NULL, *after = NULL;
    struct follower follower;
    struct tally tally = {0};

    make_maps(5);
    make_client_certificate("live-a");
    connect_with(NULL, "client.pem", "client.key", NULL);
    follow(&follower, robot);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    before = who_am_i(false, &err);
    cr_assert_str_eq(before, "live-a");
    make_client_certificate("live-b");
    skip_a_minute();
    LIVE_UNTIL(proxy.accepted == 2, 25000);
    LIVE_UNTIL(proxy.open == 1, LIVE_WAIT_MS);
    change_maps(&tally, 5, 1);
    expect_all(&tally);
    expect_convergence(&follower);
    cr_assert_eq(follower.failures, 0, "%s", error_message(&follower.last));
    after = who_am_i(false, &err);
    cr_assert_str_eq(after, "live-b");
    cr_assert_eq(proxy.accepted, 2);
    cr_assert_eq(proxy.open, 1);
    follower_stop(&follower);
}

/* --- the server's certificate -----------------------------------------------------------------
 */

/* Whose the certificate is that a new connection gets. */
static void wait_for_issuer(const char *issuer)
{
    free(shell("for i in $(seq 300); do\n"
               "  issuer=$(openssl s_client -connect 127.0.0.1:%d </dev/null 2>/dev/null |"
               " openssl x509 -noout -issuer)\n"
               "  case $issuer in *%s*) exit 0 ;; esac\n"
               "  sleep 0.1\n"
               "done; exit 1",
               proxy.server_port, issuer));
}

static void restore_server(void)
{
    if (!folder)
        return;
    free(shell(
        "[ ! -e $folder/server.key.old ] || { cat $folder/server.crt.old >$pki/apiserver.crt\n"
        "cat $folder/server.key.old >$pki/apiserver.key; }"));
    if (proxy.server_port)
        wait_for_issuer("rig-ca");
}

Test(rotation, a_server_of_another_authority_is_trusted_when_that_is_in_the_file,
     .fini = restore_server)
{
    struct follower follower;
    struct tally tally = {0};

    free(shell(
        "cd $folder; cp $pki/ca.crt ca.pem; cp $pki/apiserver.crt server.crt.old\n"
        "cp $pki/apiserver.key server.key.old\n"
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 "
        "-subj /CN=other-ca -keyout other.key -out other.pem 2>/dev/null\n"
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
        "-subj /CN=kube-apiserver -keyout server.key -out server.csr 2>/dev/null\n"
        "openssl x509 -req -in server.csr -CA other.pem -CAkey other.key -days 1 -set_serial 1 "
        "-extfile <(echo subjectAltName=IP:127.0.0.1,DNS:localhost) -out server.crt "
        "2>/dev/null"));
    make_maps(5);
    connect_with(NULL, NULL, NULL, "ca.pem");
    follow(&follower, robot);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    free(shell("cat $folder/server.crt >$pki/apiserver.crt\n"
               "cat $folder/server.key >$pki/apiserver.key"));
    wait_for_issuer("other-ca");
    cr_assert_eq(follower.failures, 0, "%s", error_message(&follower.last));
    proxy_cut(&proxy);
    LIVE_UNTIL(follower.last.code == -EKEYREJECTED, LIVE_WAIT_MS);
    cr_assert_not(kube_informer_connected(follower.informer));
    free(shell("cat $folder/other.pem >>$folder/ca.pem"));
    LIVE_UNTIL(kube_informer_connected(follower.informer), LIVE_WAIT_MS);
    restore_server();
    change_maps(&tally, 5, 1);
    expect_all(&tally);
    expect_convergence(&follower);
    follower_stop(&follower);
}
