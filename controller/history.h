// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/strv.h"
#include "lib/kube/client.h"
#include "lib/kube/informer.h"

/*
 * The texts that an AppArmorProfile has had: a ControllerRevision (apps/v1) for each, owned by the
 * profile, so that the garbage collector takes them along, named by policy_rollout_kept_name(). The
 * server sees to it that what one holds never changes. Only their metadata are followed: texts go
 * into them and are read by agents and people.
 */
struct history;

/* The annotation of a ControllerRevision of ours that gives the order. */
#define HISTORY_NUMBER "apparmor.io/revision-number"
/* Of each profile; those that a rollout needs stay in any case. */
#define HISTORY_MAX 10

struct history_options {
    struct kube_client *client;
    const char *ns; /* where they are kept */
    const struct kube_informer *profiles;
    /* What is kept of the profile has changed. */
    void (*changed)(void *userdata, const char *profile);
    /* Asked right before each write. */
    bool (*may_write)(void *userdata);
    void *userdata;
};

/* All of the options are borrowed. */
struct history *history_new(const struct history_options *options);
/* Cancels what is under way; before the client goes. */
void history_free(struct history *history);
DEFINE_CLEANUP(struct history *, history_free)

/*
 * Sees to it that the text of the profile's present revision is kept, as its newest, and that not
 * too much is. Cheap when there is nothing to do.
 */
void history_keep(struct history *history, const struct kube_object *profile);
/* Revisions of that very object, the newest first; none before all are known. */
void history_list(const struct history *history, const struct kube_object *profile,
                  struct strv *ret);
/* Where they are kept. */
const char *history_namespace(const struct history *history);
