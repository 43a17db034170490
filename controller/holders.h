// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controller/liveness.h"
#include "controller/nodes.h"

/*
 * The nodes that a deletion has to do with: who still has the profile, and whether to wait for it.
 * Any entry of status.profiles counts, whatever it says: an agent that is done with an object drops
 * its entry.
 */

/* Of each list so many are kept, the first by name. */
#define HOLDERS_NAMED_MAX 3

struct holder {
    const char *node;
    const struct report *report; /* or NULL */
};

struct holder_list {
    size_t count; /* of all */
    struct holder first[HOLDERS_NAMED_MAX];
};

struct holders {
    struct holder_list in_use;    /* waits until processes and pods are gone */
    struct holder_list unloading; /* has an entry, and does not say that it is in use */
    struct holder_list lost;      /* has an entry, and cannot be waited for */
    /*
     * Keeps it without its object: the agent has found that nobody meant to delete it, as the whole
     * resource goes (a removed CustomResourceDefinition). To wait for it would be to wait for ever.
     */
    struct holder_list orphaned;
    /* Selected, live, and without an entry: done with it, or not aware of it yet. */
    size_t silent;
    uint64_t lost_ms; /* when the next of the waited for is lost; UINT64_MAX: never */
};

/* What is found is borrowed from the index until its next change. O(nodes). */
void holders_find(struct holders *holders, const struct node_index *index,
                  const struct liveness *liveness, const char *profile, uint64_t now_ms);
/* Nodes to wait for. */
size_t holders_waited_for(const struct holders *holders);
