// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/json.h"

/*
 * An API object: an immutable, reference-counted cJSON tree. Whoever keeps one
 * takes a reference. What the accessors return lives as long as that; of an
 * object that is only borrowed, until control returns to the loop.
 */
struct kube_object;

/* Takes ownership of `json`, which must be a JSON object. */
struct kube_object *kube_object_new(cJSON *json);
struct kube_object *kube_object_ref(struct kube_object *object);
void kube_object_unref(struct kube_object *object);
DEFINE_CLEANUP(struct kube_object *, kube_object_unref)

const cJSON *kube_object_json(const struct kube_object *object);
/* "" when the object lacks the field. */
const char *kube_object_name(const struct kube_object *object);
const char *kube_object_namespace(const struct kube_object *object);
const char *kube_object_uid(const struct kube_object *object);
const char *kube_object_resource_version(const struct kube_object *object);
/* metadata.generation, 0 when absent (Nodes have none). */
int64_t kube_object_generation(const struct kube_object *object);
/* metadata.deletionTimestamp is set. */
bool kube_object_deleting(const struct kube_object *object);
/* NULL when absent. */
const char *kube_object_label(const struct kube_object *object, const char *key);
const char *kube_object_annotation(const struct kube_object *object, const char *key);
