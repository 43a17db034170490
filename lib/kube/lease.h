// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/kube/client.h"

/*
 * Leader election on a Lease, with the rules of client-go's leaderelection package: of the
 * candidates with one Lease at most one leads.
 *
 * A candidate takes a Lease that nobody holds, or whose record it has not seen change for the
 * duration that the record names. It measures that by its own monotonic clock from when it saw the
 * record; the time stamps in the Lease are for people. The leader renews it, and gives up when the
 * last renewal *began* `renew_deadline_ms` ago: as others wait for `duration_s` from a moment that
 * is later than that, no other can lead before this one has been told. Each write names the
 * resource version that it replaces, so that of two that race one is refused.
 */
struct kube_lease;

struct kube_lease_options {
    const char *ns;
    const char *name;
    /* Unique to this process, as two of one identity would both lead. NULL: the host's name and a
     * random number. */
    const char *identity;
    unsigned duration_s;        /* 0: 15; written to the Lease */
    uint64_t renew_deadline_ms; /* 0: 10,000; less than the duration */
    uint64_t retry_period_ms;   /* 0: 2,000; at most five sixths of the renew deadline */
    const char *field_manager;  /* NULL: the server's default */
    /* This process leads. */
    void (*acquired)(void *userdata);
    /*
     * It no longer leads: stop at once what only the leader may do. Comes once for each acquired()
     * that was not ended by kube_lease_release() or kube_lease_free(). `err` says why. Afterwards
     * it is a candidate again; a program that would rather exit does so here.
     */
    void (*lost)(void *userdata, const struct error *err);
    /* Another holds the Lease than before; "" is nobody. May be NULL. */
    void (*observed)(void *userdata, const char *holder);
    /* An attempt failed and will be made again; for logs and metrics. May be NULL. */
    void (*failed)(void *userdata, const struct error *err);
    void *userdata;
};

/* The strings are copied. -EINVAL: a name is missing or the times are at odds. The client must
 * outlive the lease; one that may have many requests waiting delays renewals. */
_must_check_ int kube_lease_new(struct kube_client *client,
                                const struct kube_lease_options *options, struct kube_lease **ret,
                                struct error *err);
/* Gives nothing back: others wait until the Lease has expired. May be called from any callback. */
void kube_lease_free(struct kube_lease *lease);
DEFINE_CLEANUP(struct kube_lease *, kube_lease_free)

/* The callbacks come from the loop, never from inside this. */
void kube_lease_start(struct kube_lease *lease);

/*
 * Gives the Lease back, so that another may lead at once: call it when the leader's work has
 * stopped. `done` is called once, from the loop, within half the renew deadline; an error means
 * that others have to wait for the expiry. A lease that is not held is left alone and `err->code`
 * is 0. The lease does not run any more; only kube_lease_free() may follow.
 */
void kube_lease_release(struct kube_lease *lease,
                        void (*done)(void *userdata, const struct error *err), void *userdata);

/* By the clock, too: false from the renew deadline on, even when lost() has not had its turn, as
 * after the process was stopped for a while. */
bool kube_lease_is_leader(const struct kube_lease *lease);
/* Who holds it by the last answer of the server; "" when nobody or not known. */
const char *kube_lease_holder(const struct kube_lease *lease);
const char *kube_lease_identity(const struct kube_lease *lease);
