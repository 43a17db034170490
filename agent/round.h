// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent_reconciler.h"
#include "agent/drain.h"
#include "agent/host.h"
#include "agent/install.h"
#include "agent/learnt.h"
#include "agent/source.h"
#include "lib/base/loop.h"
#include "lib/kube/workqueue.h"

/*
 * One round of work on one object, private to the reconciler: what it begins with (round_want.c,
 * round_release.c) and how it ends (round_settle.c). A function that takes the round over ends it,
 * now or from a later callback.
 */
struct agent_reconciler {
    struct agent_reconciler_options options;
    const struct host *host;
    struct kube_workqueue *queue;
    struct drain *drain;
    struct learnt *learnt;
    struct loop_timer *drift_timer;
    uint64_t drift_checked_ms;
    struct round *rounds; /* under way */
    bool decided;
};

struct round {
    struct agent_reconciler *reconciler;
    struct kube_work *work;
    const char *key;
    struct round *next, **place;
    struct source_fetch *fetch;
    struct install *install;
    struct policy_profile *own; /* the policy of our own file, when that is loaded again */
    bool own_is_bad;            /* it cannot be */
    bool judges;                /* its end is a decision: the source has told all it knows */
    bool wanted;                /* the source has the object and it selects this node */
    bool unread;                /* what the source wants cannot be told now */
};

struct round *round_begin(struct agent_reconciler *reconciler, const char *key,
                          struct kube_work *work);
/* Without ending the work: the queue goes, too. */
void round_free(struct round *round);
void round_end(struct round *round, enum kube_outcome outcome, uint64_t after_ms);
void round_done(struct round *round);
void round_retry(struct round *round);
/* After a failure that `err` tells: when that may be another is not the same for all. */
void round_retry_after(struct round *round, const struct error *err);

/* NULL when nothing is known of the object. */
struct record *round_record(const struct round *round);
void round_show(const struct round *round, enum profile_phase phase, const char *reason,
                const char *message);
/* Shows the failure; `reason` is for errors that carry none. The round goes on. */
void round_fail(const struct round *round, const struct error *err, const char *reason);
/* Sets `own_is_bad` when the file was touched since it was last read, and is not as recorded. */
void round_check_file(struct round *round);
/* The label goes when what it promises has been missing for a minute, whatever failed. */
void round_check_lost(const struct round *round);
/* Has all but `except` looked at that may wait for names to change hands. */
void round_wake_others(struct agent_reconciler *reconciler, const struct record *except);

/*
 * The source may say something else of the object now. What is being compiled and wanted no more is
 * given up, which ends the round; what has waited its turn at the compiler makes room for what is
 * newer.
 */
void round_reconsider(struct round *round);

/* These take the round over. */

/* The source has the object. */
void round_want(struct round *round, const struct source_meta *meta);
/* It selects this node: compares what is wanted with files and kernel and does the next thing. */
void round_evaluate(struct round *round);
/* Deleted, or does not select this node (`present`). */
void round_release(struct round *round, bool present);
/* Nothing is known of its object: what is loaded stays loaded. */
void round_hold(struct round *round);
/* The kernel has what the record's marker says. */
void round_settle(struct round *round);
/* What the kernel had and has lost comes back from our own file, which needs no API server. */
void round_restore(struct round *round);

/* Callbacks of the drain. */
bool release_wanted(void *userdata, const char *object, const struct strv *names);
bool release_label_gone(void *userdata, const char *object);
void release_changed(void *userdata, const char *object);
void release_waiting(void *userdata, const char *object, const char *reason, const char *message);
