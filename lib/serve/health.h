// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/metrics.h"
#include "lib/serve/serve.h"

/*
 * The routes that every program serves: /healthz (the loop turns), /readyz (all
 * checks pass; the body lists them, one `[+]name ok` or `[-]name: why` a line
 * as Kubernetes' own components do) and /metrics.
 */
struct health_check {
    const char *name;
    /* NULL: fine; else why not. Borrowed until the next call. */
    const char *(*check)(void *userdata);
    void *userdata;
};

struct health;

/* Checks are copied; `metrics` is borrowed. */
struct health *health_new(struct metrics *metrics, const struct health_check *checks, size_t count);
void health_free(struct health *health);
DEFINE_CLEANUP(struct health *, health_free)

/* Called before each rendering of /metrics, for values that are cheaper to read than to keep. */
typedef void (*health_collect_fn)(void *userdata);
void health_set_collect(struct health *health, health_collect_fn collect, void *userdata);

/*
 * Who may read /metrics: without it, everybody. `authorization` is that header ("" when there is
 * none), borrowed for the call. `verdict` is to come once, at once or later: 200, or the status of
 * the refusal and why.
 */
typedef void (*health_verdict_fn)(void *userdata, unsigned http_status, const char *why);
typedef void (*health_authorise_fn)(void *userdata, const char *authorization,
                                    health_verdict_fn verdict, void *verdict_userdata);
void health_set_authoriser(struct health *health, health_authorise_fn authorise, void *userdata);

/* In this order. */
enum { HEALTH_LIVE, HEALTH_READY, HEALTH_METRICS, HEALTH_ROUTES };
void health_routes(struct health *health, struct server_route ret[static HEALTH_ROUTES]);
