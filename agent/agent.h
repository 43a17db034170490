// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "lib/base/error.h"
#include "lib/base/strv.h"
#include "lib/serve/endpoints.h"

/*
 * The node agent as a whole: wires source, reconciler and publisher for a cluster, or source,
 * reconciler and table for a folder of manifests. Strings are borrowed for the agent's life.
 */
struct agent;

struct agent_options {
    const char *kubeconfig; /* NULL: see kube_config_load() */
    const char *node_name;  /* required with a cluster */
    const char *ns;         /* of the operator; likewise */
    const char *host_root;  /* prefix of etc/apparmor.d */
    const char *apparmorfs; /* NULL: the kernel module's default places, likewise below */
    const char *includes;
    const char *parser;
    const char *proc;
    const char *manifests; /* folder; NULL: a cluster */
    bool once;             /* with manifests: end when everything has been dealt with */
    bool purge;            /* with manifests: what a cluster has put here goes, too */
    struct endpoints_flags endpoints;
    bool must_stay_confined; /* end when the agent's own profile has gone from under it */
    struct strv node_labels; /* with manifests: KEY=VALUE, for nodeSelector */
};

/* Called at most once, from the loop: the agent has come to its end. */
typedef void (*agent_finished_fn)(void *userdata, int exit_status);

_must_check_ int agent_new(uv_loop_t *loop, const struct agent_options *options,
                           agent_finished_fn finished, void *userdata, struct agent **ret,
                           struct error *err);
/* Unloads nothing and changes no label. False when a kernel write is stuck: the loop will not end.
 */
bool agent_free(struct agent *agent);
