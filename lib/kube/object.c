// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/object.h"

#include <assert.h>

#include "lib/base/alloc.h"
#include "lib/kube/object_internal.h"

static const cJSON *metadata_of(const struct kube_object *object)
{
    return cJSON_GetObjectItemCaseSensitive(kube_object_json(object), "metadata");
}

static const char *string_or_empty(const cJSON *json, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);

    return cJSON_IsString(value) ? value->valuestring : "";
}

static void find_names(struct kube_object *object)
{
    const cJSON *metadata = metadata_of(object);

    object->name = string_or_empty(metadata, "name");
    object->ns = string_or_empty(metadata, "namespace");
    object->uid = string_or_empty(metadata, "uid");
    object->resource_version = string_or_empty(metadata, "resourceVersion");
}

struct kube_object *kube_object_new(cJSON *json)
{
    struct kube_object *object = xcalloc(1, sizeof(*object));

    assert(cJSON_IsObject(json));
    object->refs = 1;
    object->json = json;
    find_names(object);
    return object;
}

struct kube_object *kube_object_ref(struct kube_object *object)
{
    if (object)
        object->refs++;
    return object;
}

static void free_tree(struct kube_object *object)
{
    if (object->tree_is_block)
        free(object->json);
    else
        json_free(object->json);
    object->json = NULL;
}

void kube_object_unref(struct kube_object *object)
{
    if (!object)
        return;
    assert(object->refs > 0);
    object->refs--;
    if (object->refs == 1 && object->store && object->json)
        store_note_loose(object->store, object);
    if (object->refs > 0)
        return;
    assert(!object->store);
    free_tree(object);
    free(object->packed);
    free(object);
}

static void make_tree(struct kube_object *object)
{
    object->json = packed_tree(object->packed);
    object->tree_is_block = true;
    if (object->store && object->refs == 1)
        store_note_loose(object->store, object);
}

void object_pack(struct kube_object *object)
{
    if (!object->packed) {
        object->packed = packed_new(object->json);
        free_tree(object);
        object->json = packed_tree(object->packed);
        object->tree_is_block = true;
        find_names(object);
    }
    free_tree(object);
}

const cJSON *kube_object_json(const struct kube_object *object)
{
    /* To its readers, an object has its tree at all times. */
    if (!object->json)
        make_tree((struct kube_object *) object);
    return object->json;
}

const char *kube_object_name(const struct kube_object *object)
{
    return object->name;
}

const char *kube_object_namespace(const struct kube_object *object)
{
    return object->ns;
}

const char *kube_object_uid(const struct kube_object *object)
{
    return object->uid;
}

const char *kube_object_resource_version(const struct kube_object *object)
{
    return object->resource_version;
}

int64_t kube_object_generation(const struct kube_object *object)
{
    return json_int(cJSON_GetObjectItemCaseSensitive(metadata_of(object), "generation"), 0);
}

bool kube_object_deleting(const struct kube_object *object)
{
    return string_or_empty(metadata_of(object), "deletionTimestamp")[0] != '\0';
}

const char *kube_object_label(const struct kube_object *object, const char *key)
{
    return json_string(metadata_of(object), "labels", key);
}

const char *kube_object_annotation(const struct kube_object *object, const char *key)
{
    return json_string(metadata_of(object), "annotations", key);
}
