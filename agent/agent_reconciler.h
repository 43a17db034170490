// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "agent/drain.h"
#include "agent/host.h"
#include "agent/source.h"

/*
 * Brings kernel and files to what the source wants, one object at a time: the state machine of an
 * AppArmorProfile on this node. It works from what is there, not from what happened, so that events
 * may be lost, merged or repeated.
 */
struct agent_reconciler;

struct agent_reconciler_options {
    const struct host *host;
    struct source *source;
    const char *proc;           /* NULL: /proc */
    struct kube_client *client; /* NULL: no cluster */
    /* Something that status, labels or the table show may have changed. */
    void (*changed)(void *userdata);
    /* As in struct drain_options; NULL without a cluster. */
    bool (*label_gone)(void *userdata, const char *object);
    /* The Node has the object's label now; NULL without a cluster. */
    bool (*label_there)(void *userdata, const char *object);
    void *userdata;
};

struct agent_reconciler *agent_reconciler_new(const struct agent_reconciler_options *options);
void agent_reconciler_free(struct agent_reconciler *reconciler);
DEFINE_CLEANUP(struct agent_reconciler *, agent_reconciler_free)

/* Reads the ownership files and looks at each object of theirs. */
_must_check_ int agent_reconciler_start(struct agent_reconciler *reconciler, struct error *err);

/* The source's events. */
void agent_reconciler_changed(struct agent_reconciler *reconciler, const char *name);
void agent_reconciler_all_changed(struct agent_reconciler *reconciler);
/* The kernel's policy was changed by others. */
void agent_reconciler_kernel_changed(struct agent_reconciler *reconciler);
/* An object's file was made, changed or removed, by us or by others; NULL: any may have been. */
void agent_reconciler_file_changed(struct agent_reconciler *reconciler, const char *name);
/* A file of the folder that is none of ours: what was adopted may be in it, or no more. */
void agent_reconciler_other_file_changed(struct agent_reconciler *reconciler);
/* The Node's labels have changed: a removal that waits for one to go may go on. */
void agent_reconciler_labels_changed(struct agent_reconciler *reconciler);
/* Likewise when a pod of this node has ended or was deleted. */
void agent_reconciler_pod_gone(struct agent_reconciler *reconciler);

/* The source has told everything, and each object has been decided about at least once. */
bool agent_reconciler_decided(const struct agent_reconciler *reconciler);
/* Nothing is under way but what waits for somebody else, or to be tried again. */
bool agent_reconciler_idle(const struct agent_reconciler *reconciler);
