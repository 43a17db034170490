// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Who owns a profile name on one node. Pure: the same claims give the same owner, in whatever order
 * they are listed.
 */

/* What the node's kernel has of the name from elsewhere; nothing while an object's file holds it.
 */
enum owner_foreign {
    OWNER_FOREIGN_NONE,
    OWNER_FOREIGN_PLAIN,     /* who asks to adopt it may have it */
    OWNER_FOREIGN_PROTECTED, /* a container runtime's or the distribution's: nobody may */
};

/*
 * `attachment` is what the kernel shows as such of a profile from elsewhere, which is its name when
 * it has none. One that attaches to programs confines the host's, and its name says nothing about
 * who needs it: only what is entered by name alone can be adopted, and of that not what container
 * runtimes and other programs load for their own use. NULL: not known. Never NONE.
 */
enum owner_foreign owner_classify(const char *name, const char *attachment);
/* Profiles that container runtimes and the like load for their own use, under names without a
 * version: containerd's and nerdctl's, cri-dockerd's, CRI-O's. */
#define OWNER_RUNTIMES 3
extern const char *const owner_runtimes[OWNER_RUNTIMES];
/* One of them. */
bool owner_is_runtimes(const char *name);

struct owner_claim {
    const char *object; /* metadata.name */
    const char *uid;
    int64_t created_ms;
    bool selects; /* the object selects this node */
    bool deleting;
    bool incumbent; /* its file on this node holds the name now */
    bool adopts;    /* spec.adopt */
};

/*
 * Index of the owner, or -1 when no claim may hold the name: the incumbent
 * while it selects the node and is not being deleted; else the oldest by
 * (created_ms, uid) that selects the node and is not being deleted; else the
 * incumbent, which drains. What is there from elsewhere goes only to one that
 * adopts, and without an incumbent.
 */
ptrdiff_t owner_decide(const struct owner_claim *claims, size_t count, enum owner_foreign foreign);

/* What a node says of an object that declares a name of another's, and, of what it says, which that
 * is: NULL when it says something else. The caller frees both. */
char *owner_conflict_text(const char *name, const char *object);
char *owner_conflict_object(const char *text);
