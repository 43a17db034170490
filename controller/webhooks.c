// SPDX-License-Identifier: Apache-2.0
#include "controller/webhooks.h"

#include <stdlib.h>

#include "controller/admission.h"
#include "controller/certificates.h"
#include "controller/declared.h"
#include "controller/profile_users.h"
#include "controller/webhook_pods.h"
#include "controller/webhook_profiles.h"
#include "controller/webhook_scheduling.h"
#include "lib/base/alloc.h"

#define PATHS (WEBHOOK_PODS_PATHS + WEBHOOK_SCHEDULING_PATHS + WEBHOOK_PROFILES_PATHS)

struct webhooks {
    struct webhooks_options options;
    struct strv hosts;
    struct declared *declared;
    struct webhook_pods *pods;
    struct webhook_scheduling_options scheduling;
    struct profile_users *users;
    struct webhook_profiles *profiles;
    struct admission *admission;
    struct certificates *certificates;
};

static bool synced(void *userdata)
{
    const struct webhooks *webhooks = userdata;

    return webhooks->options.synced(webhooks->options.userdata);
}

static int serve(void *userdata, const struct server_identity *identity, struct error *err)
{
    struct webhooks *webhooks = userdata;

    return admission_set_identity(webhooks->admission, identity, err);
}

/* API servers call a Service by <name>.<namespace>.svc. */
static void add_hosts(struct webhooks *webhooks)
{
    const struct webhooks_options *options = &webhooks->options;

    strv_take(&webhooks->hosts, xasprintf("%s.%s.svc", WEBHOOKS_SERVICE, options->ns));
    for (size_t i = 0; i < options->hosts->len; i++)
        strv_add(&webhooks->hosts, options->hosts->items[i]);
}

static void create_handlers(struct webhooks *webhooks)
{
    const struct webhooks_options *options = &webhooks->options;
    const struct webhook_pods_options pods = {
        .declared = webhooks->declared,
        .exempt = {options->exempt_namespaces, options->exempt_users,
                   options->exempt_runtime_classes},
        .synced = synced,
        .userdata = webhooks,
    };

    struct webhook_profiles_options profiles = {
        .validator = options->validator,
        .declared = webhooks->declared,
    };

    webhooks->users = profiles.users = profile_users_new(options->client);
    webhooks->profiles = webhook_profiles_new(&profiles);
    webhooks->pods = webhook_pods_new(&pods);
    webhooks->scheduling = (struct webhook_scheduling_options){
        .declared = webhooks->declared,
        .synced = synced,
        .userdata = webhooks,
    };
}

static void create_server(struct webhooks *webhooks)
{
    const struct webhooks_options *options = &webhooks->options;
    const struct admission_options admission = {
        .listen_address = options->listen_address,
        .listen_port = options->listen_port,
        .metrics = options->metrics,
        .trimmer = options->trimmer,
    };
    const struct certificates_options certificates = {
        .client = options->client,
        .ns = options->ns,
        .secret = options->secret,
        .configuration = WEBHOOKS_CONFIGURATION,
        .hosts = &webhooks->hosts,
        .metrics = options->metrics,
        .serve = serve,
        .userdata = webhooks,
    };
    struct admission_webhook paths[PATHS];

    webhook_pods_paths(webhooks->pods, paths);
    webhook_scheduling_paths(&webhooks->scheduling, paths + WEBHOOK_PODS_PATHS);
    webhook_profiles_paths(webhooks->profiles,
                           paths + WEBHOOK_PODS_PATHS + WEBHOOK_SCHEDULING_PATHS);
    webhooks->admission =
        admission_new(kube_client_loop(options->client), &admission, paths, PATHS);
    webhooks->certificates = certificates_new(&certificates);
}

struct webhooks *webhooks_new(const struct webhooks_options *options)
{
    struct webhooks *webhooks = xcalloc(1, sizeof(*webhooks));

    webhooks->options = *options;
    webhooks->declared = declared_new();
    add_hosts(webhooks);
    create_handlers(webhooks);
    create_server(webhooks);
    return webhooks;
}

void webhooks_free(struct webhooks *webhooks)
{
    if (!webhooks)
        return;
    certificates_free(webhooks->certificates);
    webhook_profiles_free(webhooks->profiles);
    profile_users_free(webhooks->users);
    admission_free(webhooks->admission);
    webhook_pods_free(webhooks->pods);
    declared_free(webhooks->declared);
    strv_done(&webhooks->hosts);
    free(webhooks);
}

void webhooks_start(struct webhooks *webhooks)
{
    certificates_start(webhooks->certificates);
}

const char *webhooks_check(void *userdata)
{
    const struct webhooks *webhooks = userdata;

    return certificates_check(webhooks->certificates);
}

void webhooks_profile_seen(struct webhooks *webhooks, const struct kube_object *profile)
{
    declared_set(webhooks->declared, kube_object_json(profile));
}

void webhooks_profile_gone(struct webhooks *webhooks, const char *profile)
{
    declared_remove(webhooks->declared, profile);
}
