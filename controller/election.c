// SPDX-License-Identifier: Apache-2.0
#include "controller/election.h"

#include <inttypes.h>
#include <stdlib.h>

#include "controller/controller_metrics.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/kube/lease.h"

/*
 * A candidate looks every 1.5 to 3.3 s. It may see the last renewal, and later the expiry, that
 * much late: it leads at most 18.6 s after the leader was killed. With client-go's usual times (15
 * s, 10 s, 2 s) it would be 23.8 s.
 */
#define LEASE_DURATION_S 12
#define RENEW_DEADLINE_MS 8000
#define RETRY_PERIOD_MS 1500

struct election {
    struct election_options options;
    struct kube_lease *lease;     /* NULL: no election */
    void (*done)(void *userdata); /* of election_stop() */
    void *done_userdata;
};

static void show(struct election *election, bool leads)
{
    metrics_set(election->options.metrics, METRIC_LEADER, leads, NULL);
}

static void on_acquired(void *userdata)
{
    struct election *election = userdata;

    log_info("this replica leads", "identity", kube_lease_identity(election->lease));
    show(election, true);
    election->options.began(election->options.userdata);
}

static void on_lost(void *userdata, const struct error *err)
{
    struct election *election = userdata;

    /* First of all. */
    election->options.ended(election->options.userdata);
    show(election, false);
    log_warn("this replica no longer leads", "err", error_message(err));
}

static void on_observed(void *userdata, const char *holder)
{
    (void) userdata;
    log_debug("the Lease has another holder", "holder", holder);
}

static void on_failed(void *userdata, const struct error *err)
{
    struct election *election = userdata;

    metrics_add(election->options.metrics, METRIC_LEASE_FAILURES, 1, NULL);
    log_warn("cannot take or renew the Lease; will try again", "err", error_message(err));
}

int election_new(const struct election_options *options, struct election **ret, struct error *err)
{
    _cleanup_(election_freep) struct election *election = xcalloc(1, sizeof(*election));
    _cleanup_free_ char *identity = NULL;
    struct kube_lease_options lease = {
        .ns = options->ns,
        .name = ELECTION_LEASE,
        .duration_s = LEASE_DURATION_S,
        .renew_deadline_ms = RENEW_DEADLINE_MS,
        .retry_period_ms = RETRY_PERIOD_MS,
        .acquired = on_acquired,
        .lost = on_lost,
        .observed = on_observed,
        .failed = on_failed,
        .userdata = election,
    };
    int r;

    election->options = *options;
    if (options->pod_name && *options->pod_name)
        lease.identity = identity = xasprintf("%s_%016" PRIx64, options->pod_name, clock_random());
    if (options->ns) {
        r = kube_lease_new(options->client, &lease, &election->lease, err);
        if (r < 0)
            return r;
    }
    show(election, false);
    *ret = TAKE_PTR(election);
    return 0;
}

void election_free(struct election *election)
{
    if (!election)
        return;
    kube_lease_free(election->lease);
    free(election);
}

void election_start(struct election *election)
{
    if (election->lease) {
        kube_lease_start(election->lease);
        return;
    }
    log_info("no election: this process does the work, and must be the only one");
    show(election, true);
    election->options.began(election->options.userdata);
}

bool election_leads(const struct election *election)
{
    return !election->done && (!election->lease || kube_lease_is_leader(election->lease));
}

static void on_released(void *userdata, const struct error *err)
{
    struct election *election = userdata;

    if (err->code != 0)
        log_warn("cannot give the Lease back: others wait for its expiry", "err",
                 error_message(err));
    election->done(election->done_userdata);
}

void election_stop(struct election *election, void (*done)(void *userdata), void *userdata)
{
    show(election, false);
    election->done = done;
    election->done_userdata = userdata;
    if (election->lease)
        kube_lease_release(election->lease, on_released, election);
    else
        done(userdata);
}
