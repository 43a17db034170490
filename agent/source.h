// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/policy/marker.h"
#include "lib/policy/profile.h"

/*
 * Where the desired AppArmorProfiles come from: a cluster (agent/source_cluster.h) or a folder
 * (agent/source_folder.h). An implementation embeds `struct source` and fills in its table.
 */
struct source;

enum source_presence {
    SOURCE_PRESENT,
    SOURCE_DELETED, /* somebody meant to delete it: its removal is authorised */
    SOURCE_UNKNOWN, /* not seen, but that is no proof of a deletion */
    SOURCE_ASKING,  /* being found out; `changed` will follow */
};

struct source_meta {
    const char *uid; /* "" without a cluster */
    int64_t generation;
    bool deleting;
    /* Another text means another content of the spec. */
    const char *version;
    /* `held` is of this content, but of another text than this node is to have by now. */
    bool outgrown;
};

/*
 * `profile` passes to the callee; `version` is of its content, which may be newer than what lookup
 * has told. -ENOENT when the object is gone; -EINVAL when it is not valid; -EAGAIN when
 * this node is to have nothing of it yet: `changed` will follow.
 */
typedef void (*source_fetch_fn)(void *userdata, struct policy_profile *profile, const char *version,
                                const struct error *err);
struct source_fetch;

struct source_listener {
    /* The object appeared, changed or went. */
    void (*changed)(void *userdata, const char *name);
    /* Labels of the node may select other objects; or absence has become proof of deletion. */
    void (*all_changed)(void *userdata);
    void *userdata;
};

struct source_ops {
    void (*start)(struct source *source);
    void (*free)(struct source *source);
    /* Everything there is has been seen once. */
    bool (*synced)(const struct source *source);
    /*
     * `held` is the record of the policy that this node holds under that name, or NULL. The strings
     * of `ret` (filled in for SOURCE_PRESENT) live until the loop goes on.
     */
    enum source_presence (*lookup)(struct source *source, const char *name,
                                   const struct marker *held, struct source_meta *ret);
    /* This node has nothing of the object any more. */
    void (*forget)(struct source *source, const char *name);
    /*
     * Calls `fn` from the loop, never from inside. `newest`: what lookup has told may be old, and
     * what is fetched must not be. `held`: the record of what this node holds, which comes without
     * its text if that is what it is to keep; NULL: the text is wanted whatever it is.
     */
    struct source_fetch *(*fetch)(struct source *source, const char *name,
                                  const struct marker *held, bool newest, source_fetch_fn fn,
                                  void *userdata);
    void (*cancel)(struct source *source, struct source_fetch *fetch);
    /* JSON object, borrowed. */
    const cJSON *(*node_labels)(struct source *source);
};

struct source {
    const struct source_ops *ops;
    struct source_listener listener;
};

static inline void source_free(struct source *source)
{
    if (source)
        source->ops->free(source);
}
DEFINE_CLEANUP(struct source *, source_free)

static inline void source_start(struct source *source, const struct source_listener *listener)
{
    source->listener = *listener;
    source->ops->start(source);
}
