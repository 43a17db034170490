// SPDX-License-Identifier: Apache-2.0
#include "controller/rollout_look.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

struct gathering {
    const struct rollout_sources *sources;
    const char *revision;
    uint64_t now_ms, lost_ms; /* when the first is lost that is not, UINT64_MAX: none */
    struct rollout_node *nodes;
    size_t count;
};

static bool is_selected(enum node_state state)
{
    return state == NODE_LOADED || state == NODE_OUTDATED || state == NODE_PENDING ||
           state == NODE_FAILED;
}

/* What an earlier revision has refused says nothing of this one. */
static bool is_by(const struct violation *violation, const char *revision)
{
    return strcmp(violation->revision, revision) == 0;
}

/* A lost node takes its place in the order when it is back; until then nobody waits for it. */
static void gather(void *userdata, const struct node_view *view)
{
    struct gathering *gathering = userdata;
    uint64_t lost_ms = UINT64_MAX;

    if (!is_selected(view->state) ||
        liveness_lost(gathering->sources->liveness, view->name, gathering->now_ms, &lost_ms))
        return;
    if (lost_ms < gathering->lost_ms)
        gathering->lost_ms = lost_ms;
    struct rollout_node *node = &gathering->nodes[gathering->count++];
    *node = (struct rollout_node){
        .hash = policy_rollout_hash(view->name, gathering->revision),
        .name = view->name,
        .state = view->state,
    };
    if (view->violation && is_by(view->violation, gathering->revision))
        node->denied = view->violation->denied;
    else if (view->violation)
        node->denied_before = view->violation->denied;
}

/* It has come to its end, and nodes are not looked at one by one any more. */
static bool is_over(const struct profile_spec *spec)
{
    struct policy_rollout published;

    return spec->rollout_published &&
           policy_rollout_parse(spec->rollout_published, &published, NULL) == 0 &&
           strcmp(published.revision, spec->revision) == 0 &&
           strcmp(published.previous, spec->revision) == 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

void rollout_look(const struct rollout_sources *sources, const struct rollout_subject *subject,
                  uint64_t now_ms, struct rollout *ret)
{
    const struct profile_spec *spec = subject->spec;
    const struct tally *tally = node_index_tally(sources->index, spec->name);
    struct gathering gathering = {.sources = sources,
                                  .revision = spec->revision,
                                  .now_ms = now_ms,
                                  .lost_ms = UINT64_MAX};
    _cleanup_strv_ struct strv kept = {0};
    struct rollout_question question = {.profile = spec,
                                        .ns = history_namespace(sources->history),
                                        .kept = &kept,
                                        .old = json_get(subject->status, "rollout"),
                                        .updated = tally->counts[NODE_LOADED],
                                        .refused = subject->opinion->result == OPINION_REFUSED,
                                        .awaited = subject->hold_ms > 0,
                                        .now_ms = clock_realtime_ms()};

    if (spec->progressive && !is_over(spec)) {
        history_list(sources->history, subject->profile, &kept);
        gathering.nodes = xcalloc(tally_selected(tally) + 1, sizeof(*gathering.nodes));
        node_index_each(sources->index, spec->name, gather, &gathering);
    }
    question.nodes = gathering.nodes;
    question.count = gathering.count;
    if (gathering.nodes)
        question.lost = tally_selected(tally) + tally->counts[NODE_LOST] - gathering.count;
    rollout_decide(&question, ret);
    if (spec->progressive)
        ret->again_ms = earlier(ret->again_ms, subject->hold_ms);
    if (gathering.lost_ms != UINT64_MAX)
        ret->again_ms = earlier(ret->again_ms, gathering.lost_ms - now_ms + 1);
    free(gathering.nodes);
}
