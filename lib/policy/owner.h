// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Who owns a profile name on one node (DESIGN §4). Pure: the same claims give
 * the same owner, in whatever order they are listed.
 */
struct owner_claim {
    const char *object; /* metadata.name */
    const char *uid;
    int64_t created_ms;
    bool selects; /* the object selects this node */
    bool deleting;
    bool incumbent; /* its file on this node holds the name now */
};

/*
 * Index of the owner, or -1 when no claim may hold the name: the incumbent
 * while it selects the node and is not being deleted; else the oldest by
 * (created_ms, uid) that selects the node and is not being deleted; else the
 * incumbent, which drains.
 */
ptrdiff_t owner_decide(const struct owner_claim *claims, size_t count);
