// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/json.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/kube/client.h"

/*
 * Which AppArmor profiles the pods of this node name: in appArmorProfile of pod and containers, or
 * in the legacy annotation container.apparmor.security.beta.kubernetes.io/<container>
 * (https://kubernetes.io/docs/tutorials/security/apparmor/).
 */

/* Field selector of the node's pods that have not ended; the caller frees it. */
char *pods_selector(const char *node);

/* Adds the names that a pod gives to `users`, a map from name to "namespace/pod" (malloc'ed). */
void pods_collect(const cJSON *pod, struct map *users);
/* A pod that names one of the profiles, a child of one, or a stack with one; else NULL. */
const char *pods_user(const struct map *users, const struct strv *names);

/* `users` passes to the callee, NULL on failure. */
typedef void (*pods_fn)(void *userdata, struct map *users, const struct error *err);
struct pods_list;

/* A consistent list of the node's pods that have not ended. */
struct pods_list *pods_list(struct kube_client *client, const char *node, pods_fn fn,
                            void *userdata);
/* NULL is accepted; not from after the callback. */
void pods_list_cancel(struct pods_list *list);
