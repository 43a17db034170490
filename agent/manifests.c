// SPDX-License-Identifier: Apache-2.0
#include "agent/manifests.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/digest.h"
#include "lib/base/yaml.h"
#include "lib/policy/profile.h"

void manifest_free(struct manifest *manifest)
{
    if (!manifest)
        return;
    cJSON_Delete(manifest->json);
    free(manifest->file);
    free(manifest->version);
    free(manifest);
}

static void free_value(void *value)
{
    manifest_free(value);
}

struct map *manifests_new(void)
{
    return map_new(free_value);
}

static bool is_kind(const cJSON *object, const char *api_group, const char *kind)
{
    const char *version = json_string(object, "apiVersion");
    const char *actual = json_string(object, "kind");

    return version && actual && strcmp(actual, kind) == 0 &&
           strncmp(version, api_group, strlen(api_group)) == 0;
}

static struct manifest *manifest_new(const char *file, const cJSON *object)
{
    struct manifest *manifest = xcalloc(1, sizeof(*manifest));
    _cleanup_free_ char *text = json_print(object);
    char digest[DIGEST_HEX_SIZE];

    manifest->json = cJSON_Duplicate(object, true);
    manifest->file = xstrdup(file);
    manifest->version = xstrdup(digest_sha256(text, strlen(text), digest));
    return manifest;
}

static int add_object(const char *file, const cJSON *object, struct map *manifests,
                      struct error *err)
{
    _cleanup_(policy_profile_freep) struct policy_profile *profile = NULL;
    const char *name = json_string(object, "metadata", "name");
    int r = policy_profile_parse(object, &profile, err);

    if (r < 0)
        return error_wrap(err, "AppArmorProfile %s", name ? name : "without a name");
    if (map_has(manifests, profile->name))
        return error_set(err, -EEXIST, "AppArmorProfile %s is declared twice in this file",
                         profile->name);
    map_set(manifests, profile->name, manifest_new(file, object));
    return 0;
}

static int add_document(const char *file, const cJSON *document, struct map *manifests,
                        struct error *err)
{
    const cJSON *item;
    int r;

    if (!cJSON_IsObject(document))
        return error_set(err, -EINVAL, "not an object with apiVersion, kind and metadata");
    if (is_kind(document, POLICY_GROUP "/", "AppArmorProfile"))
        return add_object(file, document, manifests, err);
    if (!is_kind(document, "v1", "List") &&
        !is_kind(document, POLICY_GROUP "/", "AppArmorProfileList"))
        return 0;
    cJSON_ArrayForEach(item, json_get(document, "items"))
    {
        r = add_document(file, item, manifests, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void move_all(struct map *from, struct map *to)
{
    const char *name;
    size_t position = 0;

    while (map_next(from, &position, &name, NULL)) {
        _cleanup_free_ char *key = xstrdup(name);

        map_set(to, key, map_take(from, key));
    }
}

int manifests_parse(const char *file, const char *text, size_t len, struct map *manifests,
                    struct error *err)
{
    _cleanup_(map_freep) struct map *found = manifests_new();
    _cleanup_json_ cJSON *documents = NULL;
    const cJSON *document;
    unsigned number = 0;
    int r = yaml_parse(text, len, &documents, err);

    if (r < 0)
        return error_wrap(err, "%s", file);
    cJSON_ArrayForEach(document, documents)
    {
        number++;
        r = add_document(file, document, found, err);
        if (r < 0)
            return error_wrap(err, "%s: document %u", file, number);
    }
    move_all(found, manifests);
    return 0;
}
