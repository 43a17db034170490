// SPDX-License-Identifier: Apache-2.0
/*
 * lib/kube against a real API server, with the rights of an administrator: objects, collections,
 * and who the server is. Takes KUBECONFIG.
 */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sched.h>
#include <sys/mount.h>

#include "lib/base/fs.h"
#include "lib/kube/credentials.h"
#include "tests/live/follower.h"

static struct kube_client *other; /* of the test */

static void close_all(void)
{
    kube_client_free(TAKE_PTR(other));
    live_close();
}

TestSuite(kube, .init = live_open, .fini = close_all, .timeout = 300);

/* --- single objects --------------------------------------------------------------------------- */

static const char *value_of(const struct kube_object *object)
{
    const char *value = json_string(kube_object_json(object), "data", "value");

    return value ? value : "(none)";
}

static void create(const char *name, const char *value)
{
    struct tally tally = {0};

    make_map(&tally, name, value);
    expect_all(&tally);
}

Test(kube, an_object_is_created_read_patched_applied_and_deleted)
{
    const struct kube_write_options apply = {.field_manager = "live-test", .force = true};
    _cleanup_json_ cJSON *patch = NULL, *applied = live_configmap("one", "applied");
    struct answer answer = {0};
    char *uid;

    create("one", "created");
    kube_get(client, &live_configmaps, ns, "one", NULL, on_answer, &answer);
    expect_success(&answer, "get");
    cr_assert_str_eq(value_of(answer.object), "created");
    uid = xstrdup(kube_object_uid(answer.object));
    answer_done(&answer);

    patch = cJSON_Parse("{\"data\":{\"value\":\"patched\"}}");
    kube_patch(client, &live_configmaps, ns, "one", NULL, KUBE_PATCH_MERGE, patch, &live_writer,
               on_answer, &answer);
    expect_success(&answer, "merge patch");
    cr_assert_str_eq(value_of(answer.object), "patched");
    answer_done(&answer);

    kube_patch(client, &live_configmaps, ns, "one", NULL, KUBE_PATCH_APPLY, applied, &apply,
               on_answer, &answer);
    expect_success(&answer, "apply");
    cr_assert_str_eq(value_of(answer.object), "applied");
    answer_done(&answer);

    kube_delete(client, &live_configmaps, ns, "one", "00000000-0000-0000-0000-000000000000",
                on_answer, &answer);
    LIVE_UNTIL(answer.done, LIVE_WAIT_MS);
    cr_assert(kube_error_is_conflict(&answer.err), "another uid: %s", error_message(&answer.err));
    answer_done(&answer);

    kube_delete(client, &live_configmaps, ns, "one", uid, on_answer, &answer);
    expect_success(&answer, "delete");
    answer_done(&answer);
    free(uid);
    kube_get(client, &live_configmaps, ns, "one", "0", on_answer, &answer);
    LIVE_UNTIL(answer.done, LIVE_WAIT_MS);
    cr_assert(kube_error_is_not_found(&answer.err), "%s", error_message(&answer.err));
    cr_assert_eq(answer.err.code, -ENOENT);
    cr_assert_str_eq(answer.err.reason, "NotFound");
    answer_done(&answer);
}

Test(kube, what_the_server_refuses_comes_with_its_reason)
{
    _cleanup_json_ cJSON *bad = live_configmap("Not A Name", "x"),
                         *body = live_configmap("twice", "x");
    struct answer answer = {0};

    create("twice", "x");
    kube_create(client, &live_configmaps, ns, body, &live_writer, on_answer, &answer);
    LIVE_UNTIL(answer.done, LIVE_WAIT_MS);
    cr_assert(kube_error_is_already_exists(&answer.err), "%s", error_message(&answer.err));
    cr_assert_not(kube_error_is_conflict(&answer.err));
    answer_done(&answer);
    kube_create(client, &live_configmaps, ns, bad, &live_writer, on_answer, &answer);
    LIVE_UNTIL(answer.done, LIVE_WAIT_MS);
    cr_assert(kube_error_is_invalid(&answer.err), "%s", error_message(&answer.err));
    cr_assert(strstr(answer.err.message, "metadata.name"), "%s", answer.err.message);
    answer_done(&answer);
    kube_get(client, &live_configmaps, ns, "../../../namespaces", NULL, on_answer, &answer);
    LIVE_UNTIL(answer.done, LIVE_WAIT_MS);
    cr_assert_eq(answer.err.code, -EINVAL);
    cr_assert_eq(answer.err.http_status, 0);
    answer_done(&answer);
}

/* --- collections ------------------------------------------------------------------------------ */

#define MAPS 300

Test(kube, an_informer_converges_while_objects_change_over_one_connection)
{
    struct follower follower;

    make_maps(MAPS);
    follow(&follower, client);
    for (unsigned round = 1; round <= 3 || !follower.synced; round++) {
        struct tally tally = {0};

        change_maps(&tally, MAPS, round);
        TALLY_UNTIL_DONE(&tally);
        error_done(&tally.first);
    }
    expect_convergence(&follower);
    cr_assert_eq(follower.failures, 0, "%s", error_message(&follower.last));
    cr_assert_eq(count_connections(), 1, "connections: %u", count_connections());
    follower_stop(&follower);
}

Test(kube, a_metadata_only_informer_holds_no_data)
{
    const struct kube_informer_options options = {
        .resource = &live_configmaps,
        .ns = ns,
        .field_selector = NOT_THE_ROOT_CA,
        .metadata_only = true,
    };
    struct follower follower;
    struct kube_object *object;

    create("small", "large");
    follower_start(&follower, client, &options);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    object = kube_informer_get(follower.informer, ns, "small");
    cr_assert_not_null(object);
    cr_assert_null(json_get(kube_object_json(object), "data"));
    cr_assert_null(json_get(kube_object_json(object), "metadata", "managedFields"));
    follower_stop(&follower);
}

/* What a selector no longer covers is gone for who follows it. */
Test(kube, an_object_that_leaves_the_selection_is_deleted_from_it)
{
    const struct kube_informer_options options = {
        .resource = &live_configmaps,
        .ns = ns,
        .label_selector = "colour in (red,blue)",
    };
    static const char *const patches[] = {
        "{\"metadata\":{\"labels\":{\"colour\":\"red\"}}}",
        "{\"metadata\":{\"labels\":{\"colour\":\"blue\"}}}",
        "{\"metadata\":{\"labels\":{\"colour\":\"green\"}}}",
    };
    struct follower follower;

    create("chameleon", "x");
    follower_start(&follower, client, &options);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    for (size_t i = 0; i < ARRAY_SIZE(patches); i++) {
        _cleanup_json_ cJSON *patch = cJSON_Parse(patches[i]);
        _cleanup_answer_ struct answer answer = {0};

        kube_patch(client, &live_configmaps, ns, "chameleon", NULL, KUBE_PATCH_MERGE, patch,
                   &live_writer, on_answer, &answer);
        expect_success(&answer, "patch");
    }
    LIVE_UNTIL(follower.deleted[KUBE_DELETED] == 1, LIVE_WAIT_MS);
    cr_assert_eq(follower.added, 1);
    cr_assert_eq(follower.updated, 1);
    expect_convergence(&follower);
    follower_stop(&follower);
}

/* --- who the server is ------------------------------------------------------------------------ */

static struct kube_config *load_config(void)
{
    const struct kube_config_source source = {0};
    struct kube_config *config;
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(kube_config_load(&source, &config, &err), 0, "%s", error_message(&err));
    return config;
}

/* Asks for the namespace with this configuration; the answer is the caller's. */
static void ask_with(struct kube_config *config, struct answer *answer)
{
    _cleanup_error_ struct error err = {0};

    *answer = (struct answer){0};
    kube_client_free(TAKE_PTR(other));
    cr_assert_eq(kube_client_new(&loop, config, NULL, &other, &err), 0, "%s", error_message(&err));
    kube_get(other, &live_namespaces, NULL, ns, NULL, on_answer, answer);
    LIVE_UNTIL(answer->done, LIVE_WAIT_MS);
}

Test(kube, a_server_with_a_certificate_of_another_authority_is_refused)
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

/* The name by which libraries look an authority up in a folder. */
static char *hash_name(const struct credential *certificate)
{
    BIO *bio = BIO_new_mem_buf(certificate->data, (int) certificate->len);
    X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    char *name;

    cr_assert_not_null(x509);
    name = xasprintf("/etc/ssl/certs/%08lx.0", X509_subject_name_hash(x509));
    X509_free(x509);
    BIO_free(bio);
    return name;
}

static void write_authority(const char *path, const struct credential *certificate)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, certificate->data, certificate->len, 0600, &err),
                 0, "%s", error_message(&err));
}

/* For this process alone the server's authority is the only one of the system. */
static void make_system_trust(const struct credential *certificate)
{
    _cleanup_free_ char *hashed = NULL;

    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/etc/ssl/certs", "tmpfs", 0, NULL) < 0)
        cr_skip_test("this takes the right to mount a file system");
    hashed = hash_name(certificate);
    write_authority(hashed, certificate);
    write_authority("/etc/ssl/certs/ca-certificates.crt", certificate);
}

Test(kube, authorities_of_the_system_count_only_where_the_cluster_has_none_of_its_own)
{
    struct kube_config *config = load_config();
    struct answer answer;

    make_system_trust(&config->ca);
    credential_done(&config->ca);
    ask_with(config, &answer);
    cr_assert_eq(answer.err.code, 0, "%s", error_message(&answer.err));
    answer_done(&answer);
    config = load_config();
    credential_done(&config->ca);
    config->ca.data = xmemdup(config->certificate.data, config->certificate.len);
    config->ca.len = config->certificate.len;
    ask_with(config, &answer);
    cr_assert_eq(answer.err.code, -EKEYREJECTED, "%s", error_message(&answer.err));
    answer_done(&answer);
}

Test(kube, verification_can_be_switched_off)
{
    struct kube_config *config = load_config();
    struct answer answer;

    credential_done(&config->ca);
    config->insecure = true;
    ask_with(config, &answer);
    cr_assert_eq(answer.err.code, 0, "%s", error_message(&answer.err));
    answer_done(&answer);
}

Test(kube, a_certificate_must_carry_the_tls_server_name)
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

Test(kube, a_token_that_is_wrong_is_unauthorized)
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
