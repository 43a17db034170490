// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/json.h"
#include "lib/base/strv.h"
#include "lib/serve/certificate.h"

/*
 * The Secret that all replicas serve their webhooks with, and what is to become of it. A new
 * certificate comes in two steps, so that no API server meets one that it does not trust: it is
 * laid beside the one in use, its authority joins the trusted; once all webhook configurations have
 * that, it takes the other's place. The authority before it stays trusted until the next time,
 * since replicas hear of the change one after the other.
 *
 * A Secret with a certificate and without the annotation is somebody else's, such as
 * cert-manager's, and is used as it is.
 */
#define CERTIFICATE_GENERATED "apparmor.io/generated-certificate"
/* Annotated with "true", it is renewed at once. */
#define CERTIFICATE_ROTATE "apparmor.io/rotate-certificate"

/* Decoded PEM texts; NULL when absent. */
struct certificate_secret {
    bool foreign;
    bool rotate;
    char *previous_authority;
    struct certificate current, next;
};

void certificate_secret_read(struct certificate_secret *ret, const cJSON *secret);
void certificate_secret_done(struct certificate_secret *secret);
#define _cleanup_certificate_secret_ _cleanup_(certificate_secret_done)
/* All authorities that are or will be in use, oldest first; NULL when there is none. The caller
 * frees it. */
char *certificate_secret_bundle(const struct certificate_secret *secret);

enum certificate_step {
    CERTIFICATE_KEEP,
    CERTIFICATE_BEGIN,   /* with a new one: there is none that can be used */
    CERTIFICATE_STAGE,   /* a new one beside the one in use */
    CERTIFICATE_PROMOTE, /* which takes its place */
};

struct certificate_situation {
    const struct strv *hosts; /* that it must name */
    int64_t now_ms;           /* since the epoch */
    bool trusted;             /* the bundle is in force */
};

/* `*ret_due_ms`: when the next one is due, since the epoch; INT64_MAX: not by time. */
enum certificate_step certificate_plan(const struct certificate_secret *secret,
                                       const struct certificate_situation *situation,
                                       int64_t *ret_due_ms);
/* A merge patch of the Secret; `made` is the new one for BEGIN and STAGE. */
cJSON *certificate_secret_patch(const struct certificate_secret *secret, enum certificate_step step,
                                const struct certificate *made);
