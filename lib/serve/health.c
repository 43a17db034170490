// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/health.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"

#define READY_MAX (64 * 1024)
#define METRICS_MAX (16 * 1024 * 1024)
/* https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct health {
    struct metrics *metrics;
    struct health_check *checks;
    size_t count;
    health_collect_fn collect;
    void *collect_userdata;
    health_authorise_fn authorise;
    void *authorise_userdata;
};

/* One that waits to hear whether its sender may. */
struct health_visit {
    const struct health *health;
    struct server_request *request;
};

struct health *health_new(struct metrics *metrics, const struct health_check *checks, size_t count)
{
    struct health *health = xcalloc(1, sizeof(*health));

    health->metrics = metrics;
    health->count = count;
    if (count > 0)
        health->checks = xmemdup(checks, count * sizeof(*checks));
    return health;
}

void health_free(struct health *health)
{
    if (!health)
        return;
    free(health->checks);
    free(health);
}

void health_set_collect(struct health *health, health_collect_fn collect, void *userdata)
{
    health->collect = collect;
    health->collect_userdata = userdata;
}

void health_set_authoriser(struct health *health, health_authorise_fn authorise, void *userdata)
{
    health->authorise = authorise;
    health->authorise_userdata = userdata;
}

static void health_live(_unused_ void *userdata, struct server_request *request,
                        _unused_ const char *body, _unused_ size_t body_len)
{
    server_respond_text(request, 200, "ok");
}

static void health_ready(void *userdata, struct server_request *request, _unused_ const char *body,
                         _unused_ size_t body_len)
{
    const struct health *health = userdata;
    _cleanup_buf_ struct buf out = BUF_INIT(READY_MAX);
    bool ready = true;

    for (size_t i = 0; i < health->count; i++) {
        const struct health_check *check = &health->checks[i];
        const char *why = check->check(check->userdata);

        ready = ready && !why;
        if (why)
            (void) buf_addf(&out, "[-]%s: %s\n", check->name, why);
        else
            (void) buf_addf(&out, "[+]%s ok\n", check->name);
    }
    (void) buf_add_string(&out, ready ? "ready" : "not ready");
    server_respond_text(request, ready ? 200 : 503, buf_string(&out));
}

static void health_show_metrics(const struct health *health, struct server_request *request)
{
    _cleanup_buf_ struct buf out = BUF_INIT(METRICS_MAX);

    if (health->collect)
        health->collect(health->collect_userdata);
    if (health->metrics && metrics_render(health->metrics, &out) < 0) {
        server_respond_text(request, 500, "the metrics exceed 16 MiB");
        return;
    }
    server_respond(request, 200, METRICS_TYPE, buf_string(&out), out.len);
}

static void health_verdict(void *userdata, unsigned http_status, const char *why)
{
    _cleanup_free_ struct health_visit *visit = userdata;

    if (http_status == 200)
        health_show_metrics(visit->health, visit->request);
    else
        server_respond_text(visit->request, http_status, why);
}

static void health_metrics(void *userdata, struct server_request *request,
                           _unused_ const char *body, _unused_ size_t body_len)
{
    const struct health *health = userdata;
    struct health_visit *visit;

    if (!health->authorise) {
        health_show_metrics(health, request);
        return;
    }
    visit = xcalloc(1, sizeof(*visit));
    *visit = (struct health_visit){health, request};
    health->authorise(health->authorise_userdata, server_request_authorization(request),
                      health_verdict, visit);
}

void health_routes(struct health *health, struct server_route ret[static HEALTH_ROUTES])
{
    ret[HEALTH_LIVE] = (struct server_route){"GET", "/healthz", health_live, health};
    ret[HEALTH_READY] = (struct server_route){"GET", "/readyz", health_ready, health};
    ret[HEALTH_METRICS] = (struct server_route){"GET", "/metrics", health_metrics, health};
}
