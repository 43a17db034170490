// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/cleanup.h"
#include "lib/base/metrics.h"
#include "lib/kube/client.h"

/*
 * Which replica of the controller does the work: the holder of one Lease. The others follow the
 * cluster, too, so that whoever takes over knows it already.
 */
struct election;

#define ELECTION_LEASE "apparmor-controller"

struct election_options {
    struct kube_client *client;
    const char *ns;       /* of the Lease; NULL: no election, this process leads */
    const char *pod_name; /* what the Lease shows, with a random number; NULL: the host's name */
    struct metrics *metrics;
    void (*began)(void *userdata);
    /* It leads no longer: stop at once. Not after election_stop(). */
    void (*ended)(void *userdata);
    void *userdata;
};

/* The strings are copied. -EINVAL for a namespace that cannot be one. */
_must_check_ int election_new(const struct election_options *options, struct election **ret,
                              struct error *err);
/* Gives nothing back: others wait until the Lease has expired. */
void election_free(struct election *election);
DEFINE_CLEANUP(struct election *, election_free)

/* Without an election, began() comes from inside this; else from the loop. */
void election_start(struct election *election);
/* By the clock: false before another may lead, and once it is to stop. */
bool election_leads(const struct election *election);
/* Gives the Lease back, if it is held, when the work has ended; `done` comes once. */
void election_stop(struct election *election, void (*done)(void *userdata), void *userdata);
