// SPDX-License-Identifier: Apache-2.0
#include "controller/tally.h"

#include <assert.h>

#include "controller/reasons.h"
#include "lib/base/alloc.h"

static const char *const state_names[NODE_STATES] = {
    [NODE_UNCOUNTED] = "uncounted", [NODE_AGENTLESS] = "agentless", [NODE_DISABLED] = "disabled",
    [NODE_LOST] = "lost",           [NODE_LOADED] = "loaded",       [NODE_OUTDATED] = "outdated",
    [NODE_PENDING] = "pending",     [NODE_FAILED] = "failed",
};

const char *node_state_name(enum node_state state)
{
    return state_names[state];
}

bool share_equal(const struct share *a, const struct share *b)
{
    return a->state == b->state && a->report == b->report;
}

static void variant_free(void *value)
{
    struct tally_variant *variant = value;

    strv_done(&variant->names);
    free(variant->mode);
    free(variant);
}

void tally_init(struct tally *tally)
{
    *tally = (struct tally){
        .variants = map_new(variant_free),
        .failed = map_new(NULL),
        .waiting = map_new(NULL),
    };
}

void tally_done(struct tally *tally)
{
    map_free(tally->variants);
    map_free(tally->failed);
    map_free(tally->waiting);
    *tally = (struct tally){0};
}

/* Reports hold no control characters. */
static char *variant_key(const struct report *report)
{
    _cleanup_free_ char *names = strv_join(&report->names, "\n");

    return xasprintf("%s\n\n%s", report->mode, names);
}

static void variant_add(struct map *variants, const struct report *report)
{
    _cleanup_free_ char *key = variant_key(report);
    struct tally_variant *variant = map_get(variants, key);

    if (!variant) {
        variant = xcalloc(1, sizeof(*variant));
        variant->mode = xstrdup(report->mode);
        strv_copy(&variant->names, &report->names);
        map_set(variants, key, variant);
    }
    variant->count++;
}

static void variant_remove(struct map *variants, const struct report *report)
{
    _cleanup_free_ char *key = variant_key(report);
    struct tally_variant *variant = map_get(variants, key);

    assert(variant && variant->count > 0);
    if (--variant->count == 0)
        map_remove(variants, key);
}

void tally_add(struct tally *tally, const char *node, const struct share *share)
{
    if (share->state != NODE_UNCOUNTED)
        tally->counts[share->state]++;
    switch (share->state) {
    case NODE_LOADED:
        variant_add(tally->variants, share->report);
        break;
    case NODE_FAILED:
        map_set(tally->failed, node, (void *) share->report);
        if (reason_is_invalid(share->report->reason))
            tally->invalid++;
        break;
    case NODE_OUTDATED:
    case NODE_PENDING:
        map_set(tally->waiting, node, (void *) share->report);
        break;
    default:
        break;
    }
}

void tally_remove(struct tally *tally, const char *node, const struct share *share)
{
    if (share->state != NODE_UNCOUNTED) {
        assert(tally->counts[share->state] > 0);
        tally->counts[share->state]--;
    }
    switch (share->state) {
    case NODE_LOADED:
        variant_remove(tally->variants, share->report);
        break;
    case NODE_FAILED:
        map_remove(tally->failed, node);
        if (reason_is_invalid(share->report->reason))
            tally->invalid--;
        break;
    case NODE_OUTDATED:
    case NODE_PENDING:
        map_remove(tally->waiting, node);
        break;
    default:
        break;
    }
}

size_t tally_selected(const struct tally *tally)
{
    return tally->counts[NODE_LOADED] + tally->counts[NODE_FAILED] + tally_waiting(tally);
}

size_t tally_waiting(const struct tally *tally)
{
    return tally->counts[NODE_OUTDATED] + tally->counts[NODE_PENDING];
}
