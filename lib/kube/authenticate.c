// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/kube/client.h"
#include "lib/kube/exec.h"
#include "lib/kube/transport_internal.h"

/* How often what is pending is asked whether its time is over. */
#define PATIENCE_MS 500

/* Ends those that are marked. Their callbacks may start or cancel others, so one at a time. */
static void fail_doomed(struct transport *transport, const struct error *err)
{
    struct transfer *transfer;

    transport->settling++;
    do {
        TAILQ_FOREACH(transfer, &transport->pending, link)
        {
            if (transfer->doomed)
                break;
        }
        if (transfer) {
            TAILQ_REMOVE(&transport->pending, transfer, link);
            error_copy(&transfer->failure, err);
            transfer_finish(transfer, CURLE_OK);
        }
    } while (transfer);
    transport->settling--;
    if (transport->freed) {
        /* The last one out. */
        transport_enter(transport);
        transport_leave(transport);
    }
}

static void on_fetched(void *userdata, const struct error *err)
{
    struct transport *transport = userdata;
    struct transfer *transfer;

    if (err->code == 0) {
        /* Even when they have expired already: the server decides. */
        transport_activate_pending(transport, true);
        return;
    }
    TAILQ_FOREACH(transfer, &transport->pending, link)
    {
        transfer->doomed = true;
    }
    fail_doomed(transport, err);
}

static void on_patience(void *userdata)
{
    struct transport *transport = userdata;
    uint64_t now = clock_monotonic_ms();
    _cleanup_error_ struct error err = {0};
    struct transfer *transfer;

    if (TAILQ_EMPTY(&transport->pending))
        return;
    loop_timer_start(transport->patience, PATIENCE_MS);
    TAILQ_FOREACH(transfer, &transport->pending, link)
    {
        transfer->doomed = now >= transfer->deadline;
    }
    if (transport->config->exec && exec_plugin_is_running(transport->config->exec))
        error_set_reason(&err, -ETIMEDOUT, "CredentialPluginFailed",
                         "%s: the credential plugin has not answered in time",
                         kube_config_server(transport->config));
    else
        error_set_reason(&err, -ETIMEDOUT, KUBE_REASON_UNREACHABLE, "%s: no connection in time",
                         kube_config_server(transport->config));
    fail_doomed(transport, &err);
}

void authenticate_wait(struct transport *transport)
{
    if (!transport->patience)
        transport->patience = loop_timer_new(transport->loop, on_patience, transport);
    if (!loop_timer_active(transport->patience))
        loop_timer_start(transport->patience, PATIENCE_MS);
}

bool authenticate(struct transport *transport)
{
    struct exec_plugin *plugin = transport->config->exec;

    if (!plugin || exec_plugin_is_fresh(plugin))
        return true;
    if (exec_plugin_is_running(plugin))
        return false;
    exec_plugin_run(plugin, transport->loop, transport->config, on_fetched, transport);
    return false;
}
