// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/kube/client.h"

/*
 * Tells API servers whom to trust: keeps clientConfig.caBundle of every webhook in the
 * ValidatingWebhookConfiguration and the MutatingWebhookConfiguration of one name what it should
 * be. One that cert-manager writes into (annotation cert-manager.io/inject-ca-from) is left alone.
 */
struct trust;

struct trust_options {
    struct kube_client *client;
    const char *configuration;       /* the name of both */
    void (*changed)(void *userdata); /* trust_complete() may have another answer */
    void *userdata;
};

/* The options are borrowed. */
struct trust *trust_new(const struct trust_options *options);
/* Before the client. */
void trust_free(struct trust *trust);
DEFINE_CLEANUP(struct trust *, trust_free)
void trust_start(struct trust *trust);

/* PEM; copied. NULL: nothing is written. */
void trust_set_bundle(struct trust *trust, const char *bundle);
/* All webhooks that there are have it. */
bool trust_complete(const struct trust *trust);
