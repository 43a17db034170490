// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/client.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/kube/scripted_server.h"

static const struct kube_resource configmaps = {"", "v1", "configmaps", "ConfigMap", true};
static const struct kube_resource profiles = {"apparmor.io", "v1alpha1", "apparmorprofiles",
                                              "AppArmorProfile", false};

struct answer {
    unsigned calls;
    struct kube_object *object;
    struct error err;
};

static struct answer answer;

static void on_answer(void *userdata, struct kube_object *object, const struct error *err)
{
    struct answer *into = userdata;

    into->calls++;
    kube_object_unref(into->object);
    into->object = kube_object_ref(object);
    error_copy(&into->err, err);
}

static void forget_answer(void)
{
    kube_object_unref(TAKE_PTR(answer.object));
    error_done(&answer.err);
    answer.calls = 0;
}

static void open_client(void)
{
    server_start();
    server_no_jitter();
    server_connect(NULL);
}

static void close_client(void)
{
    forget_answer();
    server_stop();
}

TestSuite(client, .init = open_client, .fini = close_client, .timeout = 60);

#define WAIT_ANSWER() RUN_UNTIL(answer.calls > 0)

static struct kube_request *get(const char *name)
{
    return kube_get(client, &configmaps, "ns", name, NULL, on_answer, &answer);
}

static void expect_request(const struct exchange *exchange, const char *method, const char *target)
{
    cr_assert_str_eq(exchange->method, method);
    cr_assert_str_eq(exchange->target, target);
}

/* --- what is sent --------------------------------------------------------------------------------
 */

Test(client, a_get_names_the_object_and_carries_the_token)
{
    struct exchange *exchange;

    get("a");
    cr_assert_eq(answer.calls, 0, "the callback must not run inside the call");
    exchange = server_wait();
    expect_request(exchange, "GET", "/api/v1/namespaces/ns/configmaps/a");
    cr_assert_not_null(strstr(exchange->head, "\r\nAuthorization: Bearer secret\r\n"));
    cr_assert_not_null(strstr(exchange->head, "\r\nAccept: application/json\r\n"));
    cr_assert_not_null(strstr(exchange->head, "\r\nAccept-Encoding: gzip\r\n"));
    server_reply(exchange, 200, "{\"metadata\":{\"name\":\"a\"}}");
    WAIT_ANSWER();
    cr_assert_eq(answer.err.code, 0);
    cr_assert_str_eq(kube_object_name(answer.object), "a");
}

Test(client, a_get_may_be_served_from_the_watch_cache)
{
    struct exchange *exchange;

    kube_get(client, &profiles, NULL, "p", "17", on_answer, &answer);
    exchange = server_wait();
    expect_request(exchange, "GET",
                   "/apis/apparmor.io/v1alpha1/apparmorprofiles/p?resourceVersion=17");
    server_reply(exchange, 200, "{}");
    WAIT_ANSWER();
}

Test(client, writes_carry_their_options_and_types)
{
    const struct kube_write_options options = {"some manager", true, true};
    _cleanup_json_ cJSON *body = cJSON_Parse("{\"a\":1}");
    struct exchange *exchange;

    kube_create(client, &configmaps, "ns", body, &options, on_answer, &answer);
    exchange = server_wait();
    expect_request(exchange, "POST",
                   "/api/v1/namespaces/ns/configmaps?fieldManager=some%20manager&force=true&"
                   "dryRun=All");
    cr_assert_not_null(strstr(exchange->head, "\r\nContent-Type: application/json\r\n"));
    cr_assert_str_eq(exchange->body, "{\"a\":1}");
    server_reply(exchange, 201, "{}");
    WAIT_ANSWER();
    forget_answer();

    kube_patch(client, &profiles, NULL, "p", "status", KUBE_PATCH_APPLY, body, &options, on_answer,
               &answer);
    exchange = server_wait();
    cr_assert_str_eq(exchange->method, "PATCH");
    cr_assert_not_null(strstr(exchange->target, "/apparmorprofiles/p/status?"));
    cr_assert_not_null(
        strstr(exchange->head, "\r\nContent-Type: application/apply-patch+yaml\r\n"));
    server_reply(exchange, 200, "{}");
    WAIT_ANSWER();
    forget_answer();

    kube_patch(client, &profiles, NULL, "p", NULL, KUBE_PATCH_MERGE, body, NULL, on_answer,
               &answer);
    exchange = server_wait();
    cr_assert_not_null(
        strstr(exchange->head, "\r\nContent-Type: application/merge-patch+json\r\n"));
    server_reply(exchange, 200, "{}");
    WAIT_ANSWER();
    forget_answer();

    kube_delete(client, &profiles, NULL, "p", "u-1", on_answer, &answer);
    exchange = server_wait();
    expect_request(exchange, "DELETE", "/apis/apparmor.io/v1alpha1/apparmorprofiles/p");
    cr_assert_not_null(strstr(exchange->body, "\"preconditions\":{\"uid\":\"u-1\"}"));
    server_reply(exchange, 200, "{\"kind\":\"Status\",\"status\":\"Success\"}");
    WAIT_ANSWER();
    cr_assert_eq(answer.err.code, 0);
}

Test(client, an_eviction_names_its_pod_and_can_be_refused)
{
    struct exchange *exchange;

    kube_evict(client, "shop", "web-1", "u-1", on_answer, &answer);
    exchange = server_wait();
    expect_request(exchange, "POST", "/api/v1/namespaces/shop/pods/web-1/eviction");
    cr_assert_str_eq(exchange->body,
                     "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{"
                     "\"namespace\":\"shop\",\"name\":\"web-1\"},\"deleteOptions\":{"
                     "\"preconditions\":{\"uid\":\"u-1\"}}}");
    server_reply(exchange, 429,
                 "{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"TooManyRequests\","
                 "\"message\":\"Cannot evict pod\",\"code\":429}");
    WAIT_ANSWER();
    cr_assert(kube_error_is_throttled(&answer.err));
    forget_answer();
    kube_evict(client, "shop", "web-1", NULL, on_answer, &answer);
    exchange = server_wait();
    cr_assert_null(strstr(exchange->body, "preconditions"));
    server_reply(exchange, 201, "{\"kind\":\"Status\",\"status\":\"Success\"}");
    WAIT_ANSWER();
    cr_assert_eq(answer.err.code, 0);
}

Test(client, a_request_that_cannot_be_made_fails_from_the_loop)
{
    get("..");
    cr_assert_eq(answer.calls, 0);
    WAIT_ANSWER();
    cr_assert_eq(answer.err.code, -EINVAL);
    cr_assert_null(answer.object);
    cr_assert_eq(server.connections, 0);
    forget_answer();
    kube_get(client, &configmaps, NULL, "a", NULL, on_answer, &answer);
    WAIT_ANSWER();
    cr_assert_eq(answer.err.code, -EINVAL);
}

/* --- what comes back
 * ------------------------------------------------------------------------------- */

Test(client, a_refusal_carries_the_reason_of_its_status)
{
    get("a");
    server_reply(server_wait(), 404,
                 "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":"
                 "\"configmaps \\\"a\\\" not found\",\"reason\":\"NotFound\",\"code\":404}");
    WAIT_ANSWER();
    cr_assert_null(answer.object);
    cr_assert(kube_error_is_not_found(&answer.err));
    cr_assert_not(kube_error_is_transport(&answer.err));
    cr_assert_str_eq(answer.err.reason, "NotFound");
    cr_assert_str_eq(answer.err.message, "configmaps \"a\" not found");
}

Test(client, an_answer_that_is_no_json_is_an_error)
{
    get("a");
    server_reply(server_wait(), 200, "{\"metadata\":");
    WAIT_ANSWER();
    cr_assert_lt(answer.err.code, 0);
    forget_answer();
    get("a");
    server_reply(server_wait(), 200, "[1]");
    WAIT_ANSWER();
    cr_assert_eq(answer.err.code, -EBADMSG);
}

Test(client, a_page_that_is_no_kubernetes_answer_is_an_error)
{
    static const char page[] = "<html>log in</html>";
    struct exchange *exchange;

    get("a");
    exchange = server_wait();
    server_sendf(exchange,
                 "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %zu\r\n"
                 "\r\n%s",
                 strlen(page), page);
    WAIT_ANSWER();
    cr_assert_eq(answer.err.code, -EBADMSG);
    cr_assert_not_null(strstr(answer.err.message, "text/html"));
}

Test(client, endless_headers_are_refused)
{
    struct exchange *exchange;
    char filler[1000];

    memset(filler, 'x', sizeof(filler));
    get("a");
    exchange = server_wait();
    server_sendf(exchange, "HTTP/1.1 200 OK\r\n");
    for (unsigned i = 0; i < 100; i++)
        server_sendf(exchange, "X-%u: %.*s\r\n", i, (int) sizeof(filler), filler);
    WAIT_ANSWER();
    cr_assert_eq(answer.err.code, -EMSGSIZE);
    cr_assert(kube_error_is_transport(&answer.err));
}

Test(client, an_answer_beyond_the_ceiling_is_refused)
{
    const struct kube_client_options options = {.response_max = 1000};
    struct exchange *exchange;
    _cleanup_free_ char *body = xasprintf("{\"x\":\"%01000d\"}", 1);

    kube_client_free(TAKE_PTR(client));
    server_connect(&options);
    get("a");
    exchange = server_wait();
    server_sendf(exchange,
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                 "%zu\r\n\r\n%s",
                 strlen(body), body);
    WAIT_ANSWER();
    cr_assert_eq(answer.err.code, -EFBIG);
}

/* --- retries
 * --------------------------------------------------------------------------------------- */

Test(client, retry_after_is_honoured_while_the_deadline_allows)
{
    uint64_t begin = clock_monotonic_ms();

    get("a");
    server_reply_with(server_wait(), 429, "Retry-After: 1\r\n", "{}");
    server_reply_with(server_wait(), 503, "Retry-After: 1\r\n", "{}");
    cr_assert_geq(clock_monotonic_ms() - begin, 1000);
    server_reply(server_wait(), 200, "{}");
    WAIT_ANSWER();
    cr_assert_eq(answer.err.code, 0);
    cr_assert_eq(answer.calls, 1);
}

Test(client, retry_after_beyond_the_deadline_is_the_callers_error)
{
    get("a");
    server_reply_with(server_wait(), 429, "Retry-After: 600\r\n", "{}");
    WAIT_ANSWER();
    cr_assert(kube_error_is_throttled(&answer.err));
}

Test(client, a_conflict_is_the_callers_business)
{
    _cleanup_json_ cJSON *body = cJSON_Parse("{}");

    kube_create(client, &configmaps, "ns", body, NULL, on_answer, &answer);
    server_reply(server_wait(), 409,
                 "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"AlreadyExists\",\"code\":"
                 "409}");
    WAIT_ANSWER();
    cr_assert(kube_error_is_already_exists(&answer.err));
    cr_assert_not(kube_error_is_conflict(&answer.err));
}

Test(client, nobody_listening_is_a_transport_error)
{
    uv_close((uv_handle_t *) &server.listener, NULL);
    uv_run(&server.loop, UV_RUN_NOWAIT);
    get("a");
    WAIT_ANSWER();
    cr_assert(kube_error_is_transport(&answer.err));
    cr_assert_eq(answer.err.code, -ECONNREFUSED);
    cr_assert_not_null(strstr(answer.err.message, "127.0.0.1"));
    uv_tcp_init(&server.loop, &server.listener); /* for the end of the test to close */
}

Test(client, a_broken_connection_is_a_transport_error)
{
    _cleanup_json_ cJSON *body = cJSON_Parse("{}");

    kube_create(client, &configmaps, "ns", body, NULL, on_answer, &answer);
    struct exchange *exchange = server_wait();
    server_sendf(exchange, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                           "100\r\n\r\n{");
    server_cut(exchange);
    WAIT_ANSWER();
    cr_assert(kube_error_is_transport(&answer.err));
}

Test(client, a_read_is_tried_again_when_the_connection_breaks_before_an_answer)
{
    get("a");
    server_reset(server_wait());
    server_cut(server_wait());
    server_reply(server_wait(), 200, "{\"metadata\":{\"name\":\"a\"}}");
    WAIT_ANSWER();
    cr_assert_eq(answer.err.code, 0, "%s", error_message(&answer.err));
    cr_assert_str_eq(kube_object_name(answer.object), "a");
}

/* It may have had its effect. */
Test(client, a_write_whose_connection_breaks_is_not_made_twice)
{
    _cleanup_json_ cJSON *body = cJSON_Parse("{}");

    kube_create(client, &configmaps, "ns", body, NULL, on_answer, &answer);
    server_reset(server_wait());
    WAIT_ANSWER();
    cr_assert(kube_error_is_transport(&answer.err), "%s", error_message(&answer.err));
    cr_assert(TAILQ_EMPTY(&server.unseen));
    cr_assert_eq(server.connections, 1);
}

/* Not by libcurl either, which takes that for an idle connection that the server has closed. */
static void break_write_on_used_connection(void (*end)(struct exchange *exchange), bool remove)
{
    _cleanup_json_ cJSON *body = cJSON_Parse("{}");
    struct exchange *exchange;

    get("a");
    exchange = server_wait();
    server_reply(exchange, 200, "{}");
    WAIT_ANSWER();
    forget_answer();
    if (remove)
        kube_delete(client, &configmaps, "ns", "a", NULL, on_answer, &answer);
    else
        kube_create(client, &configmaps, "ns", body, NULL, on_answer, &answer);
    exchange = server_wait();
    cr_assert_eq(server.connections, 1);
    end(exchange);
    WAIT_ANSWER();
    cr_assert(kube_error_is_transport(&answer.err), "%s", error_message(&answer.err));
    cr_assert_not_null(strstr(answer.err.message, "127.0.0.1"), "%s", answer.err.message);
    cr_assert(TAILQ_EMPTY(&server.unseen), "it was made twice");
    LIST_FOREACH(exchange, &server.all, all_link)
    {
        cr_assert_eq(exchange->input.len, 0, "a part of it was sent again");
    }
    forget_answer();
}

Test(client, a_write_whose_used_connection_is_closed_is_not_made_twice)
{
    break_write_on_used_connection(server_cut, false);
}

Test(client, a_write_whose_used_connection_is_reset_is_not_made_twice)
{
    break_write_on_used_connection(server_reset, false);
}

Test(client, a_deletion_whose_used_connection_is_closed_is_not_made_twice)
{
    break_write_on_used_connection(server_cut, true);
}

Test(client, a_write_is_made_on_another_connection_when_the_idle_one_was_closed)
{
    _cleanup_json_ cJSON *body = cJSON_Parse("{}");
    struct exchange *exchange;

    get("a");
    exchange = server_wait();
    server_reply(exchange, 200, "{}");
    WAIT_ANSWER();
    forget_answer();
    server_cut(exchange);
    RUN_UNTIL(server.open == 0);
    kube_create(client, &configmaps, "ns", body, NULL, on_answer, &answer);
    server_reply(server_wait(), 201, "{}");
    WAIT_ANSWER();
    cr_assert_eq(answer.err.code, 0, "%s", error_message(&answer.err));
    cr_assert_eq(server.connections, 2);
}

Test(client, every_request_has_a_deadline)
{
    const struct kube_client_options options = {.request_timeout_ms = 50};

    kube_client_free(TAKE_PTR(client));
    server_connect(&options);
    get("a");
    server_wait();
    WAIT_ANSWER();
    cr_assert_eq(answer.err.code, -ETIMEDOUT);
    cr_assert(kube_error_is_transport(&answer.err));
}

/* A token file, and a client that uses it. */
static char *connect_with_token_file(const char *token)
{
    char *path = xasprintf("%s/token-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : P_tmpdir);
    _cleanup_close_ int fd = mkostemp(path, O_CLOEXEC);
    _cleanup_free_ char *user = xasprintf("tokenFile: '%s'", path);
    _cleanup_error_ struct error err = {0};

    cr_assert_geq(fd, 0);
    cr_assert_eq(fs_write_all(fd, token, strlen(token)), 0);
    kube_client_free(TAKE_PTR(client));
    cr_assert_eq(kube_client_new(&server.loop, server_config(user), NULL, &client, &err), 0);
    return path;
}

static void rewrite(const char *path, const char *token)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, token, strlen(token), 0600, &err), 0);
}

Test(client, a_rotated_token_is_read_when_the_old_one_is_refused)
{
    _cleanup_free_ char *path = connect_with_token_file("old\n");
    struct exchange *exchange;

    get("a");
    exchange = server_wait();
    cr_assert_not_null(strstr(exchange->head, "Bearer old\r\n"));
    rewrite(path, "new\n");
    server_reply(exchange, 401, "{}");
    exchange = server_wait();
    cr_assert_not_null(strstr(exchange->head, "Bearer new\r\n"));
    rewrite(path, "newer\n");
    server_reply(exchange, 401, "{}");
    WAIT_ANSWER();
    cr_assert(kube_error_is_unauthorized(&answer.err), "once is enough");
    unlink(path);
}

Test(client, of_several_requests_with_the_old_token_each_gets_the_new_one)
{
    _cleanup_free_ char *path = connect_with_token_file("old\n");
    struct exchange *first, *second;

    get("a");
    first = server_wait();
    get("b");
    second = server_wait();
    rewrite(path, "new\n");
    server_reply(first, 401, "{}");
    first = server_wait();
    cr_assert_not_null(strstr(first->head, "Bearer new\r\n"));
    server_reply(first, 200, "{}");
    /* By now the file holds nothing that is new. */
    server_reply(second, 401, "{}");
    second = server_wait();
    cr_assert_not_null(strstr(second->head, "Bearer new\r\n"));
    server_reply(second, 200, "{}");
    RUN_UNTIL(answer.calls == 2);
    cr_assert_eq(answer.err.code, 0, "%s", error_message(&answer.err));
    unlink(path);
}

Test(client, a_token_that_is_still_the_same_is_not_tried_again)
{
    _cleanup_free_ char *path = connect_with_token_file("old\n");

    get("a");
    server_reply(server_wait(), 401, "{}");
    WAIT_ANSWER();
    cr_assert(kube_error_is_unauthorized(&answer.err));
    unlink(path);
}

/* --- limits
 * --------------------------------------------------------------------------------------- */

Test(client, its_own_rate_is_kept)
{
    const struct kube_client_options options = {.qps = 20, .burst = 2};
    uint64_t begin;

    kube_client_free(TAKE_PTR(client));
    server_connect(&options);
    begin = clock_monotonic_ms();
    for (unsigned i = 0; i < 6; i++)
        get("a");
    for (unsigned i = 0; i < 6; i++)
        server_reply(server_wait(), 200, "{}");
    RUN_UNTIL(answer.calls == 6);
    /* Two at once, four at 50 ms each, with a tolerance for the rounding of timers. */
    cr_assert_geq(clock_monotonic_ms() - begin, 180);
}

/* --- cancelling and freeing
 * ------------------------------------------------------------------------- */

Test(client, a_cancelled_request_is_not_answered)
{
    struct kube_request *waiting = get("a"), *sent = get("b");

    server_wait();
    server_wait();
    kube_request_cancel(waiting);
    kube_request_cancel(sent);
    get("c");
    server_reply(server_wait(), 200, "{\"metadata\":{\"name\":\"c\"}}");
    WAIT_ANSWER();
    cr_assert_eq(answer.calls, 1);
    cr_assert_str_eq(kube_object_name(answer.object), "c");
}

Test(client, a_request_is_cancelled_before_it_is_sent)
{
    kube_request_cancel(get("a"));
    kube_request_cancel(get("..")); /* whose failure is not yet reported */
    kube_request_cancel(NULL);
    uv_run(&server.loop, UV_RUN_NOWAIT);
    cr_assert_eq(answer.calls, 0);
}

static void free_client(void *userdata, struct kube_object *object, const struct error *err)
{
    on_answer(userdata, object, err);
    kube_client_free(TAKE_PTR(client));
}

Test(client, it_may_be_freed_in_a_callback_while_others_wait)
{
    struct exchange *first;

    kube_get(client, &configmaps, "ns", "a", NULL, free_client, &answer);
    first = server_wait();
    get("b");
    server_wait();
    server_reply(first, 200, "{}");
    WAIT_ANSWER();
    cr_assert_null(client);
    cr_assert_eq(answer.calls, 1);
}

/* --- lists
 * ----------------------------------------------------------------------------------------- */

struct listing {
    struct buf names;
    char *version;
    unsigned done;
    struct error err;
    struct kube_request *request;
    bool cancel, free_client;
};

static struct listing listing;

static void on_item(void *userdata, struct kube_object *object)
{
    struct listing *into = userdata;

    buf_addf(&into->names, "%s ", kube_object_name(object));
    if (into->cancel)
        kube_request_cancel(into->request);
    if (into->free_client)
        kube_client_free(TAKE_PTR(client));
}

static void on_listed(void *userdata, const char *version, const struct error *err)
{
    struct listing *into = userdata;

    into->done++;
    into->version = xstrdup(version);
    error_copy(&into->err, err);
}

static void list(const struct kube_list_options *options)
{
    listing.names = BUF_INIT(10000);
    listing.request = kube_list(client, &configmaps, NULL, options, on_item, on_listed, &listing);
}

static void forget_listing(void)
{
    buf_done(&listing.names);
    free(listing.version);
    error_done(&listing.err);
}

Test(client, a_list_comes_page_after_page)
{
    const struct kube_list_options options = {
        .label_selector = "a in (b,c)",
        .field_selector = "spec.nodeName=n",
        .min_version = "0",
        .page_size = 2,
    };
    struct exchange *exchange;

    list(&options);
    exchange = server_wait();
    expect_request(exchange, "GET",
                   "/api/v1/configmaps?fieldSelector=spec.nodeName%3Dn&labelSelector=a%20in%20%28b"
                   "%2Cc%29&limit=2&resourceVersion=0&resourceVersionMatch=NotOlderThan");
    server_reply(exchange, 200,
                 "{\"kind\":\"ConfigMapList\",\"metadata\":{\"resourceVersion\":\"9\",\"continue\":"
                 "\"to/ken=\"},\"items\":[{\"metadata\":{\"name\":\"a\"}},{\"metadata\":{\"name\":"
                 "\"b\"}}]}");
    exchange = server_wait();
    expect_request(exchange, "GET",
                   "/api/v1/configmaps?fieldSelector=spec.nodeName%3Dn&labelSelector=a%20in%20%28b"
                   "%2Cc%29&limit=2&continue=to%2Fken%3D");
    server_reply(exchange, 200,
                 "{\"items\":[{\"metadata\":{\"name\":\"c\"}}],\"metadata\":{\"resourceVersion\":"
                 "\"9\"}}");
    RUN_UNTIL(listing.done);
    cr_assert_eq(listing.err.code, 0, "%s", error_message(&listing.err));
    cr_assert_str_eq(buf_string(&listing.names), "a b c ");
    cr_assert_str_eq(listing.version, "9");
    forget_listing();
}

Test(client, a_list_that_is_cut_fails)
{
    struct exchange *exchange;

    list(NULL);
    exchange = server_wait();
    server_begin(exchange);
    server_chunk_text(exchange, "{\"items\":[{\"metadata\":{\"name\":\"a\"}},");
    server_end(exchange);
    RUN_UNTIL(listing.done);
    cr_assert_eq(listing.err.code, -EPIPE);
    cr_assert_null(listing.version);
    forget_listing();
}

Test(client, a_list_with_an_item_that_is_too_large_fails)
{
    const struct kube_client_options options = {.response_max = 100};
    _cleanup_free_ char *body = xasprintf("{\"items\":[{\"x\":\"%0200d\"}],\"metadata\":{}}", 1);

    kube_client_free(TAKE_PTR(client));
    server_connect(&options);
    list(NULL);
    server_reply(server_wait(), 200, body);
    RUN_UNTIL(listing.done);
    cr_assert_eq(listing.err.code, -EFBIG);
    forget_listing();
}

Test(client, a_list_may_be_cancelled_from_an_item)
{
    listing.cancel = true;
    list(NULL);
    server_reply(server_wait(), 200,
                 "{\"items\":[{\"metadata\":{\"name\":\"a\"}},{\"metadata\":{\"name\":\"b\"}}]}");
    RUN_UNTIL(listing.names.len > 0);
    get("z");
    server_reply(server_wait(), 200, "{}");
    WAIT_ANSWER();
    cr_assert_str_eq(buf_string(&listing.names), "a ");
    cr_assert_eq(listing.done, 0);
    forget_listing();
}

Test(client, it_may_be_freed_from_an_item_of_a_list)
{
    listing.free_client = true;
    list(NULL);
    server_reply(server_wait(), 200,
                 "{\"items\":[{\"metadata\":{\"name\":\"a\"}},{\"metadata\":{\"name\":\"b\"}}]}");
    RUN_UNTIL(listing.names.len > 0);
    cr_assert_null(client);
    cr_assert_str_eq(buf_string(&listing.names), "a ");
    cr_assert_eq(listing.done, 0);
    forget_listing();
}
