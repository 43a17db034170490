// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/kube/client.h"

/*
 * kube_list() with what the reflector needs besides: items as trees that nobody else holds, and
 * word of objects that are too large.
 */
struct list_hooks {
    /* Takes ownership. */
    void (*item)(void *userdata, cJSON *object);
    /* One object was dropped; the list goes on. NULL: the whole list fails with the error. */
    void (*oversize)(void *userdata, const struct error *err);
    /* `pages`: those that came before a failure. */
    void (*done)(void *userdata, const char *resource_version, unsigned pages,
                 const struct error *err);
    void *userdata;
};

struct kube_request *list_start(struct kube_client *client, const struct kube_resource *resource,
                                const char *ns, const struct kube_list_options *options,
                                const struct list_hooks *hooks);
