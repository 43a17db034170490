// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "controller/kernels.h"
#include "controller/liveness.h"
#include "controller/nodes.h"
#include "lib/base/metrics.h"
#include "lib/kube/client.h"
#include "lib/kube/informer.h"
#include "lib/serve/health.h"

/*
 * What the controller follows: AppArmorProfiles, AppArmorNodes, Nodes, the agents' pods and
 * ConfigMaps with kernel features, each with an informer that keeps of the objects what is needed
 * and feeds the index, or liveness.
 */
struct sources;

enum { SOURCES = 5 };

struct sources_options {
    struct kube_client *client;
    struct node_index *index;
    struct liveness *liveness;
    struct kernels *kernels;
    const char *agent_namespace; /* where the agents' pods and the ConfigMaps are */
    struct metrics *metrics;
    /* An AppArmorProfile is new or has changed; the index knows. */
    void (*profile_seen)(void *userdata, struct kube_object *profile);
    void (*profile_gone)(void *userdata, const char *profile);
    /* An AppArmorNode is new or has changed. */
    void (*report_seen)(void *userdata, const char *node);
    /* All are complete. Before that, counts would tell of nodes that are merely not read yet.
     */
    void (*synced)(void *userdata);
    void *userdata;
};

/* All of the options are borrowed. */
/* Of the agents' pods, in their namespace. */
#define SOURCES_AGENT_LABEL "app.kubernetes.io/name"
#define SOURCES_AGENT "apparmor-agent"
#define SOURCES_READY "ready"

struct sources *sources_new(const struct sources_options *options);
/* Before the client and the index. */
void sources_free(struct sources *sources);
DEFINE_CLEANUP(struct sources *, sources_free)
void sources_start(struct sources *sources);

bool sources_synced(const struct sources *sources);
/* The AppArmorProfiles, as profile_project() leaves them. */
const struct kube_informer *sources_profiles(const struct sources *sources);
/*
 * The AppArmorNodes: names and versions, and SOURCES_UNCONFINED at the top for their
 * status.unconfined where that is not empty. What else they say is in the index.
 */
const struct kube_informer *sources_reports(const struct sources *sources);
#define SOURCES_UNCONFINED "unconfined"
/* … and the uid of the Node that owns it, where it has one. */
#define SOURCES_OWNER "owner"
/* Names, labels, versions and SOURCES_READY where it is true; the ConfigMaps with kernel features.
 */
const struct kube_informer *sources_nodes(const struct sources *sources);
const struct kube_informer *sources_features(const struct sources *sources);
/* One check for each: whether what is known is complete and current. */
void sources_checks(struct sources *sources, struct health_check ret[static SOURCES]);
