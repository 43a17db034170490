// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/cleanup.h"
#include "lib/kube/client.h"

/*
 * Reads objects of one kind whole. One that comes alone is read at once. When many are wanted one
 * after the other, the first few are, and the others wait for a moment: if they then are a good
 * part of all that there are, one LIST takes the place of their GETs, which spares node and server
 * most of the work.
 */
struct fetches;
struct fetch;

struct fetches_options {
    struct kube_client *client;
    const struct kube_resource *resource; /* cluster-scoped; a static table */
    size_t (*total)(void *userdata);      /* objects that there are */
    void *userdata;
};

struct fetches *fetches_new(const struct fetches_options *options);
/* All that was wanted has been answered or cancelled. */
void fetches_free(struct fetches *fetches);
DEFINE_CLEANUP(struct fetches *, fetches_free)

struct fetch_what {
    const char *name;
    /* Of the object as it has been seen: it is read as it was then or later. "0": as the server has
     * it at hand; NULL: as it is now, whatever that costs. */
    const char *version;
};

/* `fn` as of kube_get(), from the loop, unless it is cancelled. */
struct fetch *fetches_add(struct fetches *fetches, const struct fetch_what *what,
                          kube_response_fn fn, void *userdata);
/* NULL is accepted; not from after the callback. */
void fetch_cancel(struct fetch *fetch);
