// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/health.h"

#include "tests/unit/serve/fixture.h"

static const struct metric_spec specs[] = {
    {.name = "test_answers", .help = "Answers.", .type = METRIC_GAUGE},
};

static const char *check(void *userdata)
{
    return *(const char **) userdata;
}

static void collect(void *userdata)
{
    metrics_set(userdata, 0, 42, NULL);
}

static void expect(struct fixture *fixture, const char *path, long status, const char *text)
{
    CURL *curl = client_new(fixture);
    _cleanup_reply_ struct reply reply = {0};

    client_do(fixture, curl, path, &reply);
    curl_easy_cleanup(curl);
    CHECK(reply.status == status, "%s: %ld", path, reply.status);
    CHECK(strstr(buf_string(&reply.body), text), "%s: %s", path, buf_string(&reply.body));
}

static void client_ready(struct fixture *fixture)
{
    expect(fixture, "/healthz", 200, "ok");
    expect(fixture, "/readyz", 200, "[+]profiles ok\n[+]nodes ok\nready\n");
    expect(fixture, "/metrics", 200, "test_answers 42");
}

static void client_unready(struct fixture *fixture)
{
    expect(fixture, "/healthz", 200, "ok");
    expect(fixture, "/readyz", 503, "[+]profiles ok\n[-]nodes: no answer yet\nnot ready\n");
}

Test(health, routes_tell_liveness_readiness_and_metrics)
{
    struct fixture fixture;
    const char *profiles = NULL, *nodes = NULL;
    const struct health_check checks[] = {{"profiles", check, &profiles}, {"nodes", check, &nodes}};
    struct metrics *metrics = metrics_new(specs, 1);
    struct health *health;
    struct server_route routes[HEALTH_ROUTES];
    const struct server_options options = {.address = "127.0.0.1"};

    fixture_init(&fixture);
    health = health_new(metrics, checks, ARRAY_SIZE(checks));
    health_set_collect(health, collect, metrics);
    health_routes(health, routes);
    fixture_start(&fixture, &options, routes, HEALTH_ROUTES);
    fixture_run(&fixture, client_ready);
    nodes = "no answer yet";
    fixture_run(&fixture, client_unready);
    fixture_done(&fixture);
    health_free(health);
    metrics_free(metrics);
}
