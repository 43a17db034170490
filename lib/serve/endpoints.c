// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/endpoints.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/serve/address.h"
#include "lib/serve/certificate.h"

/* Of a certificate that lives as long as the process: nobody looks at the dates of one that cannot
 * be verified, but clocks differ. */
#define CERTIFICATE_BEFORE_MS ((int64_t) 24 * 3600 * 1000)
#define CERTIFICATE_AFTER_MS ((int64_t) 10 * 365 * 24 * 3600 * 1000)
/* Prometheus needs one, perhaps two. */
#define METRICS_CONNECTIONS 32

struct place {
    bool wanted;
    char *address; /* NULL: all interfaces */
    uint16_t port;
};

static void place_done(struct place *place)
{
    free(place->address);
}

struct endpoints {
    struct server *probes, *metrics; /* NULL: not served, metrics perhaps with the probes */
};

/* --- what the flags say ---------------------------------------------------------------- */

static int read_place(const char *flag, const char *text, struct place *ret, struct error *err)
{
    if (!text || !*text)
        return 0;
    if (address_parse(text, &ret->address, &ret->port, err) < 0)
        return error_wrap(err, "%s", flag);
    ret->wanted = true;
    return 0;
}

static bool is_loopback(const struct place *place)
{
    return place->address &&
           (strncmp(place->address, "127.", 4) == 0 || strcmp(place->address, "::1") == 0);
}

enum audience { AUDIENCE_NOBODY, AUDIENCE_EVERYBODY, AUDIENCE_AUTHORISED };

struct plan {
    struct place probes, metrics;
    enum audience audience;
};

static void plan_done(struct plan *plan)
{
    place_done(&plan->probes);
    place_done(&plan->metrics);
}
#define _cleanup_plan_ _cleanup_(plan_done)

static int read_audience(const char *auth, struct plan *plan, struct error *err)
{
    const struct place *place = plan->metrics.wanted ? &plan->metrics : &plan->probes;

    if (strcmp(auth, "none") == 0) {
        plan->audience = AUDIENCE_EVERYBODY;
    } else if (strcmp(auth, "kubernetes") == 0) {
        if (!plan->metrics.wanted)
            return error_set(err, -EINVAL,
                             "--metrics-auth=kubernetes goes with --metrics-listen: where the "
                             "probes are, tokens would travel without encryption");
        plan->audience = AUDIENCE_AUTHORISED;
    } else if (strcmp(auth, "auto") == 0) {
        plan->audience = is_loopback(place)     ? AUDIENCE_EVERYBODY
                         : plan->metrics.wanted ? AUDIENCE_AUTHORISED
                                                : AUDIENCE_NOBODY;
    } else {
        return error_set(err, -EINVAL, "--metrics-auth takes auto, kubernetes or none, not \"%s\"",
                         auth);
    }
    return 0;
}

static int read_plan(const struct endpoints_flags *flags, struct plan *ret, struct error *err)
{
    int r = read_place("--listen", flags->listen, &ret->probes, err);

    if (r == 0)
        r = read_place("--metrics-listen", flags->metrics_listen, &ret->metrics, err);
    if (r == 0)
        r = read_audience(flags->metrics_auth && *flags->metrics_auth ? flags->metrics_auth
                                                                      : "auto",
                          ret, err);
    if (r == 0 && flags->metrics_tls && *flags->metrics_tls && !ret->metrics.wanted)
        return error_set(err, -EINVAL, "--metrics-tls goes with --metrics-listen");
    return r;
}

int endpoints_check(const struct endpoints_flags *flags, bool *ret_authorises, struct error *err)
{
    _cleanup_plan_ struct plan plan = {0};
    int r = read_plan(flags, &plan, err);

    if (r == 0 && ret_authorises)
        *ret_authorises = plan.audience == AUDIENCE_AUTHORISED;
    return r;
}

/* --- the servers ----------------------------------------------------------------------- */

static void refuse(_unused_ void *userdata, _unused_ const char *authorization,
                   health_verdict_fn verdict, void *verdict_userdata)
{
    verdict(verdict_userdata, 403,
            "metrics are not served without encryption and authentication: give them a place by "
            "--metrics-listen, or let everybody read them by --metrics-auth=none");
}

static int start_probes(uv_loop_t *loop, const struct plan *plan, const struct server_route *routes,
                        struct server **ret, struct error *err)
{
    const struct server_options options = {.address = plan->probes.address,
                                           .port = plan->probes.port};

    if (!plan->probes.wanted)
        return 0;
    if (server_new(loop, &options, routes, plan->metrics.wanted ? HEALTH_METRICS : HEALTH_ROUTES,
                   ret, err) < 0)
        return error_wrap(err, "--listen");
    return 0;
}

/* For whoever does not verify it, what is sent is at least not to be read on the way. */
static int make_identity(struct certificate *ret, struct error *err)
{
    _cleanup_strv_ struct strv hosts = {0};
    int64_t now = clock_realtime_ms();

    strv_add(&hosts, "metrics");
    return certificate_make(&hosts, now - CERTIFICATE_BEFORE_MS, now + CERTIFICATE_AFTER_MS, ret,
                            err);
}

static int start_metrics(uv_loop_t *loop, const struct plan *plan, const char *folder,
                         const struct server_route *route, struct server **ret, struct error *err)
{
    _cleanup_certificate_ struct certificate made = {0};
    _cleanup_free_ char *cert = NULL, *key = NULL;
    struct server_identity identity;
    /* Who opens many connections and says nothing keeps no Prometheus out. */
    struct server_options options = {.address = plan->metrics.address,
                                     .port = plan->metrics.port,
                                     .connections_max = METRICS_CONNECTIONS,
                                     .displace = true};
    int r = 0;

    if (!plan->metrics.wanted)
        return 0;
    if (folder && *folder) {
        options.tls_cert = cert = xasprintf("%s/tls.crt", folder);
        options.tls_key = key = xasprintf("%s/tls.key", folder);
    } else if (plan->audience == AUDIENCE_AUTHORISED) {
        r = make_identity(&made, err);
        identity = (struct server_identity){.cert = made.cert, .key = made.key};
        options.identity = &identity;
    }
    if (r == 0)
        r = server_new(loop, &options, route, 1, ret, err);
    return r < 0 ? error_wrap(err, "--metrics-listen") : 0;
}

int endpoints_new(uv_loop_t *loop, struct health *health, const struct endpoints_flags *flags,
                  health_authorise_fn authorise, void *userdata, struct endpoints **ret,
                  struct error *err)
{
    _cleanup_(endpoints_freep) struct endpoints *endpoints = xcalloc(1, sizeof(*endpoints));
    _cleanup_plan_ struct plan plan = {0};
    struct server_route routes[HEALTH_ROUTES];
    int r = read_plan(flags, &plan, err);

    if (r < 0)
        return r;
    if (plan.audience == AUDIENCE_AUTHORISED)
        health_set_authoriser(health, authorise, userdata);
    else if (plan.audience == AUDIENCE_NOBODY)
        health_set_authoriser(health, refuse, NULL);
    health_routes(health, routes);
    r = start_probes(loop, &plan, routes, &endpoints->probes, err);
    if (r == 0)
        r = start_metrics(loop, &plan, flags->metrics_tls, &routes[HEALTH_METRICS],
                          &endpoints->metrics, err);
    if (r == 0)
        *ret = TAKE_PTR(endpoints);
    return r;
}

void endpoints_free(struct endpoints *endpoints)
{
    if (!endpoints)
        return;
    server_free(endpoints->probes);
    server_free(endpoints->metrics);
    free(endpoints);
}

uint16_t endpoints_port(const struct endpoints *endpoints)
{
    return endpoints->probes ? server_port(endpoints->probes) : 0;
}

uint16_t endpoints_metrics_port(const struct endpoints *endpoints)
{
    return endpoints->metrics ? server_port(endpoints->metrics) : endpoints_port(endpoints);
}
