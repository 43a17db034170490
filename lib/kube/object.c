// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/object.h"

#include <assert.h>

#include "lib/base/alloc.h"

struct kube_object {
    unsigned refs;
    cJSON *json;
    /* Looked up at each comparison and in each key. */
    const cJSON *metadata;
};

struct kube_object *kube_object_new(cJSON *json)
{
    struct kube_object *object = xcalloc(1, sizeof(*object));

    assert(cJSON_IsObject(json));
    object->refs = 1;
    object->json = json;
    object->metadata = cJSON_GetObjectItemCaseSensitive(json, "metadata");
    return object;
}

struct kube_object *kube_object_ref(struct kube_object *object)
{
    if (object)
        object->refs++;
    return object;
}

void kube_object_unref(struct kube_object *object)
{
    if (!object)
        return;
    assert(object->refs > 0);
    if (--object->refs > 0)
        return;
    json_free(object->json);
    free(object);
}

const cJSON *kube_object_json(const struct kube_object *object)
{
    return object->json;
}

static const char *metadata_string(const struct kube_object *object, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object->metadata, key);

    return cJSON_IsString(value) ? value->valuestring : "";
}

const char *kube_object_name(const struct kube_object *object)
{
    return metadata_string(object, "name");
}

const char *kube_object_namespace(const struct kube_object *object)
{
    return metadata_string(object, "namespace");
}

const char *kube_object_uid(const struct kube_object *object)
{
    return metadata_string(object, "uid");
}

const char *kube_object_resource_version(const struct kube_object *object)
{
    return metadata_string(object, "resourceVersion");
}

int64_t kube_object_generation(const struct kube_object *object)
{
    return json_int(cJSON_GetObjectItemCaseSensitive(object->metadata, "generation"), 0);
}

bool kube_object_deleting(const struct kube_object *object)
{
    return metadata_string(object, "deletionTimestamp")[0] != '\0';
}

const char *kube_object_label(const struct kube_object *object, const char *key)
{
    return json_string(object->metadata, "labels", key);
}

const char *kube_object_annotation(const struct kube_object *object, const char *key)
{
    return json_string(object->metadata, "annotations", key);
}
