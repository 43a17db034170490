// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/holders.h"
#include "controller/profiles.h"

/*
 * Deletion protection: an AppArmorProfile carries a finalizer (PROFILE_FINALIZER), so that one that
 * is deleted stays, and says where it is in use, until every live node has unloaded it.
 *
 * The finalizer is for people: agents never unload what is in use, object or not. To release it too
 * early hides what still drains; to release it too late holds up whoever deletes.
 */

/* What is remembered of an object that is being deleted; all zero before the first look. */
struct deletion_watch {
    bool seen;
    uint64_t seen_ms; /* of the first look */
    bool silent;      /* then a selected node had said nothing about the object */
};

enum protection_act {
    PROTECTION_NONE,    /* nothing to do with the finalizer */
    PROTECTION_ADD,     /* of an object that is not being deleted */
    PROTECTION_WAIT,    /* for nodes */
    PROTECTION_RELEASE, /* no node is to be waited for */
    PROTECTION_FORCE,   /* the same by PROFILE_FORCE_DELETE, with nodes that would be waited for */
};

struct protection {
    enum protection_act act;
    bool tells;        /* the status may say that the object waits: it is not over in a moment */
    uint64_t again_ms; /* look again after this, changes or not; 0: need not */
};

/*
 * An agent that has just loaded a profile reports it seconds later, and one that has loaded nothing
 * may be about to. A node that has an entry shows by its going that it has heard of the deletion; a
 * node that had none when the deletion was first seen gets this time to say something.
 */
#define PROTECTION_GRACE_MS 5000
/* What is unloaded sooner is not worth a write. */
#define PROTECTION_TELL_MS 2000
/* What no watch tells of: nodes that are lost, and come back. */
#define PROTECTION_AGAIN_MS 10000

/* `holders`: NULL unless the object is being deleted. */
struct protection protection_decide(const struct profile_spec *profile,
                                    const struct holders *holders, struct deletion_watch *watch,
                                    uint64_t now_ms);
/* metadata.finalizers as it shall be, for a merge patch: ours added or taken away, the others as
 * they are. The caller owns it. */
cJSON *protection_finalizers(const cJSON *profile, bool protect);
