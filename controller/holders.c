// SPDX-License-Identifier: Apache-2.0
#include "controller/holders.h"

#include <string.h>

/* Reasons of the agents (agent/profile_state.h). */
#define REASON_IN_USE "InUse"
#define REASON_ORPHANED "Orphaned"

struct search {
    struct holders *holders;
    const struct liveness *liveness;
    uint64_t now_ms;
};

/* Keeps the first by name, in order. */
static void list_add(struct holder_list *list, const struct node_view *node)
{
    size_t kept = list->count < HOLDERS_NAMED_MAX ? list->count : HOLDERS_NAMED_MAX, at = kept;

    list->count++;
    while (at > 0 && strcmp(list->first[at - 1].node, node->name) > 0)
        at--;
    if (at == HOLDERS_NAMED_MAX)
        return;
    if (kept == HOLDERS_NAMED_MAX)
        kept--;
    memmove(&list->first[at + 1], &list->first[at], (kept - at) * sizeof(list->first[0]));
    list->first[at] = (struct holder){.node = node->name, .report = node->report};
}

static struct holder_list *list_of(struct holders *holders, const struct report *report)
{
    if (report->state == REPORT_DRAINING && strcmp(report->reason, REASON_IN_USE) == 0)
        return &holders->in_use;
    if (report->state == REPORT_LOADED && strcmp(report->reason, REASON_ORPHANED) == 0)
        return &holders->orphaned;
    return &holders->unloading;
}

static void look_at(void *userdata, const struct node_view *node)
{
    const struct search *search = userdata;
    struct holders *holders = search->holders;
    struct holder_list *list;
    uint64_t lost_ms = UINT64_MAX;

    if (!node->report && node->state != NODE_PENDING)
        return;
    if (liveness_lost(search->liveness, node->name, search->now_ms, &lost_ms)) {
        if (node->report)
            list_add(&holders->lost, node);
        return;
    }
    if (!node->report) {
        holders->silent++;
        return;
    }
    list = list_of(holders, node->report);
    list_add(list, node);
    if (list != &holders->orphaned && lost_ms < holders->lost_ms)
        holders->lost_ms = lost_ms;
}

void holders_find(struct holders *holders, const struct node_index *index,
                  const struct liveness *liveness, const char *profile, uint64_t now_ms)
{
    struct search search = {.holders = holders, .liveness = liveness, .now_ms = now_ms};

    *holders = (struct holders){.lost_ms = UINT64_MAX};
    node_index_each(index, profile, look_at, &search);
}

size_t holders_waited_for(const struct holders *holders)
{
    return holders->in_use.count + holders->unloading.count;
}
