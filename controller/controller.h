// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/strv.h"
#include "lib/serve/endpoints.h"

/*
 * The controller: informers of AppArmorProfiles, AppArmorNodes, Nodes and agents' pods feed the
 * index; while this replica leads, the reconciler writes what the index says; the server shows how
 * that goes.
 */
struct controller;

struct controller_options {
    const char *kubeconfig; /* NULL: as kube_config_load() looks for one */
    struct endpoints_flags endpoints;
    /* Of the Lease by which one of several replicas is chosen; NULL: this is the only one. */
    const char *lease_namespace;
    const char *pod_name; /* NULL: the host's name */
    const char *agent_namespace;
    uint64_t agent_lost_after_ms;  /* see liveness.h */
    uint64_t labels_lost_after_ms; /* see garbage.h */
    uint64_t promotable_after_ms;  /* see promotion.h */
    /* As in struct compiler_options; `features`: compiled for while no node's are known. */
    const char *parser, *includes, *features;
    struct controller_webhooks {
        bool listen; /* false: no webhooks */
        const char *listen_address;
        uint16_t listen_port;
        const char *secret; /* see webhooks.h, like the others */
        const struct strv *hosts, *exempt_namespaces, *exempt_users, *exempt_runtime_classes;
    } webhooks;
};

_must_check_ int controller_new(uv_loop_t *loop, const struct controller_options *options,
                                struct controller **ret, struct error *err);
/* Ends the work and lets another replica lead; `done` comes once, and only controller_free() may
 * follow. */
void controller_stop(struct controller *controller, void (*done)(void *userdata), void *userdata);
/* Ends everything; the loop can be drained then. */
void controller_free(struct controller *controller);
DEFINE_CLEANUP(struct controller *, controller_free)
