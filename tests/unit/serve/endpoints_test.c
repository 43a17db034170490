// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/endpoints.h"

#include "lib/serve/certificate.h"
#include "tests/unit/serve/fixture.h"

static const struct metric_spec specs[] = {
    {.name = "test_answers", .help = "Answers.", .type = METRIC_GAUGE},
};

static void expect_mistake(struct endpoints_flags flags, const char *expected)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(endpoints_check(&flags, NULL, &err), -EINVAL, "%s", expected);
    cr_assert(strstr(error_message(&err), expected), "%s", error_message(&err));
}

static void expect_authorises(struct endpoints_flags flags, bool expected)
{
    _cleanup_error_ struct error err = {0};
    bool authorises = !expected;

    cr_assert_eq(endpoints_check(&flags, &authorises, &err), 0, "%s", error_message(&err));
    cr_assert_eq(authorises, expected);
}

Test(endpoints, mistakes_name_their_flag)
{
    expect_mistake((struct endpoints_flags){.listen = "x"}, "--listen: \"x\"");
    expect_mistake((struct endpoints_flags){.metrics_listen = "x"}, "--metrics-listen: \"x\"");
    expect_mistake((struct endpoints_flags){.metrics_auth = "maybe"}, "not \"maybe\"");
    expect_mistake((struct endpoints_flags){.listen = ":1", .metrics_auth = "kubernetes"},
                   "--metrics-auth=kubernetes goes with --metrics-listen");
    expect_mistake((struct endpoints_flags){.listen = ":1", .metrics_tls = "/tls"},
                   "--metrics-tls goes with --metrics-listen");
}

Test(endpoints, beyond_loopback_who_reads_is_asked_for)
{
    expect_authorises((struct endpoints_flags){.listen = ":1"}, false);
    expect_authorises((struct endpoints_flags){.metrics_listen = ":1"}, true);
    expect_authorises((struct endpoints_flags){.metrics_listen = "10.0.0.1:1"}, true);
    expect_authorises((struct endpoints_flags){.metrics_listen = "127.0.0.1:1"}, false);
    expect_authorises((struct endpoints_flags){.metrics_listen = "[::1]:1"}, false);
    expect_authorises((struct endpoints_flags){.metrics_listen = "127.0.0.1:1",
                                               .metrics_auth = "kubernetes"},
                      true);
    expect_authorises((struct endpoints_flags){.metrics_listen = ":1", .metrics_auth = "none"},
                      false);
}

/* --- what is served ---------------------------------------------------------------------- */

static struct endpoints *endpoints;

/* Decides by what it is sent, and later, as the API server would. */
static health_verdict_fn verdict_of;
static void *verdict_userdata;
static unsigned verdict_status;

static void on_timer(void *userdata)
{
    (void) userdata;
    verdict_of(verdict_userdata, verdict_status, "no token that is any good");
}

static void authorise(void *userdata, const char *authorization, health_verdict_fn verdict,
                      void *userdata_of_verdict)
{
    struct fixture *fixture = userdata;

    fixture->calls++;
    verdict_of = verdict;
    verdict_userdata = userdata_of_verdict;
    verdict_status = strcmp(authorization, "Bearer good") == 0 ? 200 : 401;
    loop_timer_start(fixture->timer, 1);
}

static void run(struct endpoints_flags flags, void (*client)(struct fixture *fixture),
                unsigned calls)
{
    struct metrics *metrics = metrics_new(specs, 1);
    struct health *health = health_new(metrics, NULL, 0);
    _cleanup_error_ struct error err = {0};
    struct fixture fixture;

    fixture_init(&fixture);
    fixture.timer = loop_timer_new(&fixture.loop, on_timer, NULL);
    metrics_set(metrics, 0, 42, NULL);
    cr_assert_eq(endpoints_new(&fixture.loop, health, &flags, authorise, &fixture, &endpoints,
                               &err),
                 0, "%s", error_message(&err));
    fixture_run(&fixture, client);
    cr_assert_eq(fixture.calls, calls);
    endpoints_free(endpoints);
    fixture_done(&fixture);
    health_free(health);
    metrics_free(metrics);
}

static void expect(struct fixture *fixture, const char *scheme, uint16_t port, const char *path,
                   const char *token, long status, const char *text)
{
    _cleanup_free_ char *url = xasprintf("%s://127.0.0.1:%u%s", scheme, port, path);
    _cleanup_free_ char *header = xasprintf("Authorization: Bearer %s", token);
    struct curl_slist *headers = token ? curl_slist_append(NULL, header) : NULL;
    _cleanup_reply_ struct reply reply = {.headers = BUF_INIT(1 << 16), .body = BUF_INIT(1 << 16)};
    CURL *curl = client_new(fixture);

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, reply_add);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply.body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, reply_add);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &reply.headers);
    reply.result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    CHECK(reply.result == CURLE_OK, "%s: result %d", url, reply.result);
    CHECK(reply.status == status, "%s: %ld", url, reply.status);
    CHECK(strstr(buf_string(&reply.body), text), "%s: %s", url, buf_string(&reply.body));
    CHECK((status == 401) ==
              (strstr(buf_string(&reply.headers), "www-authenticate: Bearer") != NULL),
          "%s: %s", url, buf_string(&reply.headers));
}

static void on_loopback(struct fixture *fixture)
{
    uint16_t port = endpoints_port(endpoints);

    expect(fixture, "http", port, "/healthz", NULL, 200, "ok");
    expect(fixture, "http", port, "/metrics", NULL, 200, "test_answers 42");
}

Test(endpoints, on_loopback_everybody_reads_metrics_where_the_probes_are)
{
    run((struct endpoints_flags){.listen = "127.0.0.1:0"}, on_loopback, 0);
}

static void on_all_interfaces(struct fixture *fixture)
{
    uint16_t port = endpoints_port(endpoints);

    expect(fixture, "http", port, "/readyz", NULL, 200, "ready");
    expect(fixture, "http", port, "/metrics", "good", 403, "--metrics-auth=none");
}

Test(endpoints, elsewhere_nobody_does)
{
    run((struct endpoints_flags){.listen = ":0"}, on_all_interfaces, 0);
}

Test(endpoints, unless_everybody_is_to)
{
    run((struct endpoints_flags){.listen = ":0", .metrics_auth = "none"}, on_loopback, 0);
}

static void apart(struct fixture *fixture)
{
    uint16_t probes = endpoints_port(endpoints), metrics = endpoints_metrics_port(endpoints);

    expect(fixture, "http", probes, "/readyz", NULL, 200, "ready");
    expect(fixture, "http", probes, "/metrics", "good", 404, "not found");
    expect(fixture, "https", metrics, "/readyz", "good", 404, "not found");
    expect(fixture, "https", metrics, "/metrics", NULL, 401, "no token that is any good");
    expect(fixture, "https", metrics, "/metrics", "bad", 401, "no token that is any good");
    expect(fixture, "https", metrics, "/metrics", "good", 200, "test_answers 42");
}

Test(endpoints, a_place_of_their_own_is_encrypted_and_asks_who_reads)
{
    run((struct endpoints_flags){.listen = "127.0.0.1:0", .metrics_listen = ":0"}, apart, 3);
}

static void open_apart(struct fixture *fixture)
{
    expect(fixture, "http", endpoints_metrics_port(endpoints), "/metrics", NULL, 200,
           "test_answers 42");
    CHECK(endpoints_port(endpoints) == 0, "%u", endpoints_port(endpoints));
}

Test(endpoints, or_open_when_everybody_is_to)
{
    run((struct endpoints_flags){.metrics_listen = ":0", .metrics_auth = "none"}, open_apart, 0);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    fclose(file);
}

static struct certificate own;

static void verified(struct fixture *fixture)
{
    struct curl_blob blob = {own.authority, strlen(own.authority), CURL_BLOB_COPY};
    _cleanup_free_ char *url =
        xasprintf("https://127.0.0.1:%u/metrics", endpoints_metrics_port(endpoints));
    _cleanup_buf_ struct buf body = BUF_INIT(1 << 16);
    CURL *curl = client_new(fixture);
    CURLcode result;

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, reply_add);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    result = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    CHECK(result == CURLE_OK, "result %d", result);
    CHECK(strstr(buf_string(&body), "test_answers 42"), "%s", buf_string(&body));
}

Test(endpoints, with_a_certificate_of_ones_own_it_can_be_verified)
{
    char folder[] = "/tmp/endpoints-test-XXXXXX";
    _cleanup_free_ char *cert = NULL, *key = NULL;
    _cleanup_error_ struct error err = {0};
    _cleanup_strv_ struct strv hosts = {0};
    int64_t now = (int64_t) time(NULL) * 1000;

    alloc_init();
    cr_assert_not_null(mkdtemp(folder));
    cert = xasprintf("%s/tls.crt", folder);
    key = xasprintf("%s/tls.key", folder);
    strv_add(&hosts, "127.0.0.1");
    cr_assert_eq(certificate_make(&hosts, now - 60000, now + 3600000, &own, &err), 0, "%s",
                 error_message(&err));
    write_text(cert, own.cert);
    write_text(key, own.key);
    run((struct endpoints_flags){.metrics_listen = ":0",
                                 .metrics_auth = "none",
                                 .metrics_tls = folder},
        verified, 0);
    unlink(cert);
    unlink(key);
    rmdir(folder);
    certificate_done(&own);
}

Test(endpoints, a_folder_without_a_certificate_is_named)
{
    const struct endpoints_flags flags = {.metrics_listen = ":0", .metrics_tls = "/nowhere"};
    struct health *health;
    _cleanup_error_ struct error err = {0};
    struct endpoints *none = NULL;
    uv_loop_t loop;

    alloc_init();
    health = health_new(NULL, NULL, 0);
    uv_loop_init(&loop);
    cr_assert_lt(endpoints_new(&loop, health, &flags, authorise, NULL, &none, &err), 0);
    cr_assert(strstr(error_message(&err), "--metrics-listen: cannot use the certificate /nowhere"),
              "%s", error_message(&err));
    cr_assert_null(none);
    loop_drain(&loop);
    uv_loop_close(&loop);
    health_free(health);
}

/* The one who waits for a verdict has gone before it comes, and then the program ends. */
static void impatient(struct fixture *fixture)
{
    _cleanup_free_ char *url =
        xasprintf("https://127.0.0.1:%u/metrics", endpoints_metrics_port(endpoints));
    CURL *curl = client_new(fixture);

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 300L);
    (void) curl_easy_perform(curl);
    curl_easy_cleanup(curl);
}

static void authorise_never(void *userdata, const char *authorization, health_verdict_fn verdict,
                            void *userdata_of_verdict)
{
    (void) userdata, (void) authorization;
    verdict_of = verdict;
    verdict_userdata = userdata_of_verdict;
}

Test(endpoints, a_verdict_may_come_when_nobody_waits_for_it)
{
    const struct endpoints_flags flags = {.metrics_listen = "127.0.0.1:0",
                                          .metrics_auth = "kubernetes"};
    struct health *health;
    _cleanup_error_ struct error err = {0};
    struct fixture fixture;

    fixture_init(&fixture);
    health = health_new(NULL, NULL, 0);
    cr_assert_eq(endpoints_new(&fixture.loop, health, &flags, authorise_never, NULL, &endpoints,
                               &err),
                 0, "%s", error_message(&err));
    fixture_run(&fixture, impatient);
    endpoints_free(endpoints);
    if (verdict_of)
        verdict_of(verdict_userdata, 503, "ending");
    fixture_done(&fixture);
    health_free(health);
}
