// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/owner.h"

#include <string.h>

static int compare_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static bool older(const struct owner_claim *a, const struct owner_claim *b)
{
    if (a->created_ms != b->created_ms)
        return a->created_ms < b->created_ms;

    int order = compare_text(a->uid, b->uid);
    if (order == 0) /* without a cluster no object has a uid */
        order = compare_text(a->object, b->object);
    return order < 0;
}

static bool may_own(const struct owner_claim *claim)
{
    return claim->selects && !claim->deleting;
}

/* Lower is better. */
static int rank(const struct owner_claim *claim)
{
    if (may_own(claim))
        return claim->incumbent ? 0 : 1;
    return claim->incumbent ? 2 : 3;
}

ptrdiff_t owner_decide(const struct owner_claim *claims, size_t count)
{
    ptrdiff_t best = -1;

    for (size_t i = 0; i < count; i++) {
        int own = rank(&claims[i]);
        if (own == 3)
            continue;
        if (best >= 0) {
            int other = rank(&claims[best]);
            if (own > other || (own == other && !older(&claims[i], &claims[best])))
                continue;
        }
        best = (ptrdiff_t) i;
    }
    return best;
}
