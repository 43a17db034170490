// SPDX-License-Identifier: Apache-2.0
#include "agent/pacer.h"

/* What one `kubectl apply` sends comes closer together than this. */
#define QUIET_MS 60
#define QUIET_MAX_MS 3000
#define INTERVAL_MS 200
#define BURST_MIN_MS 3000
#define BURST_MAX_MS 60000
#define BURST_GROWTH 8

void pacer_changed(struct pacer *pacer, uint64_t now_ms)
{
    if (!pacer->since_ms)
        pacer->since_ms = now_ms ? now_ms : 1;
    pacer->changed_ms = now_ms;
}

/* How long a pause says that what comes together has come. */
static uint64_t quiet_after(uint64_t pace_ms)
{
    uint64_t quiet_ms = 2 * pace_ms;

    if (quiet_ms > QUIET_MAX_MS)
        return QUIET_MAX_MS;
    return quiet_ms > QUIET_MS ? quiet_ms : QUIET_MS;
}

static uint64_t burst_of(const struct pacer *pacer)
{
    return pacer->burst_ms ? pacer->burst_ms : BURST_MIN_MS;
}

uint64_t pacer_due(const struct pacer *pacer, uint64_t pace_ms)
{
    uint64_t quiet_ms = pacer->changed_ms + quiet_after(pace_ms);
    uint64_t limit_ms = pacer->since_ms + burst_of(pacer);
    uint64_t due_ms = quiet_ms < limit_ms ? quiet_ms : limit_ms;

    if (!pacer->since_ms)
        return UINT64_MAX;
    if (pacer->flushed_ms && due_ms < pacer->flushed_ms + INTERVAL_MS)
        return pacer->flushed_ms + INTERVAL_MS;
    return due_ms;
}

void pacer_flushed(struct pacer *pacer, uint64_t now_ms, uint64_t pace_ms)
{
    uint64_t next_ms = burst_of(pacer) * BURST_GROWTH;

    if (pacer->since_ms && now_ms < pacer->changed_ms + quiet_after(pace_ms))
        pacer->burst_ms = next_ms < BURST_MAX_MS ? next_ms : BURST_MAX_MS;
    else
        pacer->burst_ms = 0;
    pacer->since_ms = 0;
    pacer->flushed_ms = now_ms;
}
