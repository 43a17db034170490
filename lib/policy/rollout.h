// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/policy/profile.h"

/*
 * Progressive rollout (docs/rollout.md): which nodes have a new text already. Nodes choose
 * themselves: the controller publishes one number in the object's metadata, and a node has the new
 * text when the hash of its name is not above it.
 */

/* The annotation of an AppArmorProfile that holds what the controller has published. */
#define POLICY_ROLLOUT_ANNOTATION "apparmor.io/rollout"
/* metadata.namespace is a DNS label. */
#define POLICY_ROLLOUT_NAMESPACE_MAX 63

struct policy_rollout {
    char revision[POLICY_REVISION_SIZE]; /* that is rolled out */
    /* The last that was rolled out to all, which the others keep; "": none is known; the same as
     * `revision`: this one. */
    char previous[POLICY_REVISION_SIZE];
    unsigned percent; /* 1 to 100; for people: what counts is the threshold */
    uint64_t threshold;
    char ns[POLICY_ROLLOUT_NAMESPACE_MAX + 1]; /* of the ControllerRevisions */
};

/* Of the annotation's value; -EINVAL names the field. */
_must_check_ int policy_rollout_parse(const char *text, struct policy_rollout *ret,
                                      struct error *err);
/* The annotation's value; the caller frees it. */
char *policy_rollout_print(const struct policy_rollout *rollout);
bool policy_rollout_equal(const struct policy_rollout *a, const struct policy_rollout *b);

/*
 * The place of a node in the order in which it gets a revision: uniform, the same everywhere, and
 * another order for each revision, so that not always the same nodes come first.
 */
uint64_t policy_rollout_hash(const char *node, const char *revision);
/* How many of `nodes` that percentage is: rounded up, and at least one. */
size_t policy_rollout_count(unsigned percent, size_t nodes);
/*
 * The name of the ControllerRevision that keeps a revision's text; the caller frees it. Of a
 * re-created object it is another.
 */
char *policy_rollout_kept_name(const char *profile, const char *uid, const char *revision);

enum policy_choice {
    POLICY_CHOICE_SPEC,     /* the text of the spec */
    POLICY_CHOICE_HELD,     /* what the node has */
    POLICY_CHOICE_PREVIOUS, /* the text of `published->previous` */
    POLICY_CHOICE_WAIT,     /* nothing, until the controller says something */
};

struct policy_rollout_question {
    const char *node;
    bool progressive;                       /* spec.rollout.strategy */
    bool first;                             /* the spec has never been another: generation 1 */
    const char *spec_revision;              /* of the spec's text */
    const char *held_revision;              /* that the node has of this very object; "": none */
    const struct policy_rollout *published; /* NULL: nothing */
};

/*
 * What a node is to have. What was published of another revision than the spec's says nothing about
 * it, so that it counts as 0 %. A node that has the spec's text keeps it: no node goes back within
 * a rollout.
 */
enum policy_choice policy_rollout_choose(const struct policy_rollout_question *question);
