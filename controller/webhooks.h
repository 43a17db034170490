// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/validator.h"
#include "lib/base/metrics.h"
#include "lib/base/strv.h"
#include "lib/base/trimmer.h"
#include "lib/kube/client.h"

/*
 * The admission webhooks of this replica, with their server and its certificate. All replicas serve
 * them: an API server calls any of those behind the Service.
 */
struct webhooks;

/* Names of deploy/components/webhooks. */
#define WEBHOOKS_SERVICE "apparmor-controller"
#define WEBHOOKS_CONFIGURATION "apparmor-operator"
#define WEBHOOKS_SECRET "apparmor-webhooks"

struct webhooks_options {
    struct kube_client *client;
    struct validator *validator;
    struct metrics *metrics;
    struct trimmer *trimmer;
    const char *listen_address; /* as in serve.h */
    uint16_t listen_port;
    const char *ns;     /* of Service and Secret */
    const char *secret; /* that holds the certificate */
    /* Besides the Service's: names and addresses by which API servers call this program. */
    const struct strv *hosts;
    /* Not held to levels. */
    const struct strv *exempt_namespaces, *exempt_users, *exempt_runtime_classes;
    /* What AppArmorProfiles there are is known. */
    bool (*synced)(void *userdata);
    void *userdata;
};

/* What the options point to is borrowed. */
struct webhooks *webhooks_new(const struct webhooks_options *options);
/* Before validator and client. */
void webhooks_free(struct webhooks *webhooks);
DEFINE_CLEANUP(struct webhooks *, webhooks_free)
/* Serving begins when there is a certificate. */
void webhooks_start(struct webhooks *webhooks);
/* NULL: they are served; else why not. Of the form that health.h asks for. */
const char *webhooks_check(void *webhooks);

/* An AppArmorProfile is new or has changed; is gone. */
void webhooks_profile_seen(struct webhooks *webhooks, const struct kube_object *profile);
void webhooks_profile_gone(struct webhooks *webhooks, const char *profile);
