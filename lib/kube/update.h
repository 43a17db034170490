// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/kube/client.h"

/*
 * Changes an object by what it is: reads it, lets the program decide on a patch, and writes that
 * with the resourceVersion that it rests on. When another was faster (409) it reads and asks again.
 * What only sets a field needs none of this: a merge patch or an apply without a resourceVersion
 * cannot conflict. A counter, a list, or a claim that only one may have, does.
 */
struct kube_update_options {
    const struct kube_resource *resource;
    const char *ns; /* NULL: cluster-scoped */
    const char *name;
    const char *subresource;   /* NULL, or what is written, such as "status" */
    const char *field_manager; /* NULL: the server's default */
    /* What an informer holds of it: the first attempt rests on this and does without a read. */
    struct kube_object *known;
    /*
     * Decides. `*ret_patch`, a merge patch (RFC 7386) that the update takes, is NULL when there is
     * nothing to do. A negative errno with `err` ends the update with that. Called once for each
     * attempt, from the loop; looks at nothing but the object, which is borrowed, and what it
     * finds does not count before `done`.
     */
    int (*change)(void *userdata, struct kube_object *object, cJSON **ret_patch, struct error *err);
    /* The object as it was written, or as it was found when there was nothing to do. */
    kube_response_fn done;
    void *userdata;
};

/* So many writes, and then the conflict is `done`'s error. */
#define KUBE_UPDATE_ATTEMPTS 5

/*
 * The strings are copied. Each read and each write has the client's deadline. A write whose answer
 * is lost is an error and not made again: it may have had its effect. kube_request_cancel() ends
 * it, from change(), too; what is on its way then may still arrive.
 */
struct kube_request *kube_update(struct kube_client *client,
                                 const struct kube_update_options *options);
