// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/serve/health.h"

/*
 * Where a program tells about itself: probes and metrics at one address, or metrics at another, and
 * there over HTTPS to those alone who are let. A token is never taken without encryption.
 */
struct endpoints;

/* As the flags of these names have them; NULL is as "", and `metrics_auth` then "auto". */
struct endpoints_flags {
    const char *listen;
    const char *metrics_listen;
    const char *metrics_auth;
    const char *metrics_tls;
};

#define ENDPOINTS_LISTEN_HELP                                                                     \
    "Serves /healthz and /readyz, and /metrics unless it has a place of its own; an empty value " \
    "turns it off."
/* Rows of a program's table of options, for what `flags` has of these names. */
#define ENDPOINTS_METRICS_OPTIONS(flags)                                                         \
    {.name = "metrics-listen",                                                                   \
     .type = OPTION_STRING,                                                                      \
     .target = &(flags).metrics_listen,                                                          \
     .argument = "ADDRESS:PORT",                                                                 \
     .help = "Serves /metrics here, and not where the probes are; see --metrics-auth."},         \
        {.name = "metrics-auth",                                                                 \
         .type = OPTION_STRING,                                                                  \
         .target = &(flags).metrics_auth,                                                        \
         .argument = "HOW",                                                                      \
         .default_text = "auto",                                                                 \
         .help = "Who may read /metrics. kubernetes: over HTTPS, whoever sends a bearer token "  \
                 "for which the API server says (TokenReview, SubjectAccessReview) that its "    \
                 "owner may get the nonResourceURL /metrics; goes with --metrics-listen. none: " \
                 "everybody. auto: none on a loopback address, kubernetes elsewhere; without "   \
                 "--metrics-listen, /metrics is served on loopback alone."},                     \
    {                                                                                            \
        .name = "metrics-tls", .type = OPTION_STRING, .target = &(flags).metrics_tls,            \
        .argument = "DIR",                                                                       \
        .help = "Folder with tls.crt and tls.key for --metrics-listen, as a Secret that is "     \
                "mounted has; they are read again when they change. Without it, a certificate "  \
                "that nobody can verify is made at the start."                                   \
    }

/* -EINVAL names the flag. `*ret_authorises` (may be NULL): endpoints_new() needs an authoriser. */
_must_check_ int endpoints_check(const struct endpoints_flags *flags, bool *ret_authorises,
                                 struct error *err);

/* `health` is borrowed; `authorise` is asked only when endpoints_check() says so. */
_must_check_ int endpoints_new(uv_loop_t *loop, struct health *health,
                               const struct endpoints_flags *flags, health_authorise_fn authorise,
                               void *userdata, struct endpoints **ret, struct error *err);
/* Before the health and the authoriser, which then still has to answer. */
void endpoints_free(struct endpoints *endpoints);
DEFINE_CLEANUP(struct endpoints *, endpoints_free)
/* 0: it is not served. */
uint16_t endpoints_port(const struct endpoints *endpoints);
uint16_t endpoints_metrics_port(const struct endpoints *endpoints);
