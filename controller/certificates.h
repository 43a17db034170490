// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/metrics.h"
#include "lib/base/strv.h"
#include "lib/kube/client.h"
#include "lib/serve/serve.h"

/*
 * The certificate that webhooks are served with, from a Secret that all replicas share: each of
 * them follows it, serves what is in it, sees to it that API servers trust that, and renews it when
 * it is time. Who is first wins, as a write names the version that it rests on.
 */
struct certificates;

struct certificates_options {
    struct kube_client *client;
    const char *ns, *secret;   /* where it is */
    const char *configuration; /* of webhooks; see trust.h */
    const struct strv *hosts;  /* that clients call the webhooks by */
    struct metrics *metrics;
    /* A certificate is there, or another. */
    int (*serve)(void *userdata, const struct server_identity *identity, struct error *err);
    void *userdata;
};

/* The options are borrowed. */
struct certificates *certificates_new(const struct certificates_options *options);
/* Before the client. */
void certificates_free(struct certificates *certificates);
DEFINE_CLEANUP(struct certificates *, certificates_free)
void certificates_start(struct certificates *certificates);
/* NULL: webhooks are served; else why not. Of the form that health.h asks for. */
const char *certificates_check(void *certificates);
