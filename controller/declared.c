// SPDX-License-Identifier: Apache-2.0
#include "controller/declared.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/map.h"

/* An object. */
struct declaration {
    struct strv profiles;
    bool loaded, everywhere;
};

struct declared {
    struct map *objects;  /* of struct declaration, by name */
    struct map *profiles; /* of struct strv with names of objects, by profile */
};

static void free_declaration(void *value)
{
    struct declaration *declaration = value;

    strv_done(&declaration->profiles);
    free(declaration);
}

static void free_names(void *value)
{
    strv_done(value);
    free(value);
}

struct declared *declared_new(void)
{
    struct declared *declared = xcalloc(1, sizeof(*declared));

    declared->objects = map_new(free_declaration);
    declared->profiles = map_new(free_names);
    return declared;
}

void declared_free(struct declared *declared)
{
    if (!declared)
        return;
    map_free(declared->objects);
    map_free(declared->profiles);
    free(declared);
}

static void link_profile(struct declared *declared, const char *profile, const char *object)
{
    struct strv *names = map_get(declared->profiles, profile);

    if (!names) {
        names = xcalloc(1, sizeof(*names));
        map_set(declared->profiles, profile, names);
    }
    if (!strv_contains(names, object))
        strv_add(names, object);
}

static void unlink_profile(struct declared *declared, const char *profile, const char *object)
{
    struct strv *names = map_get(declared->profiles, profile);
    struct strv left = {0};

    if (!names)
        return;
    for (size_t i = 0; i < names->len; i++)
        if (strcmp(names->items[i], object) != 0)
            strv_add(&left, names->items[i]);
    strv_done(names);
    *names = left;
    if (left.len == 0)
        map_remove(declared->profiles, profile);
}

void declared_remove(struct declared *declared, const char *object)
{
    struct declaration *declaration = map_take(declared->objects, object);

    if (!declaration)
        return;
    for (size_t i = 0; i < declaration->profiles.len; i++)
        unlink_profile(declared, declaration->profiles.items[i], object);
    free_declaration(declaration);
}

static struct declaration *read_declaration(const cJSON *object, const char *name)
{
    struct declaration *declaration = xcalloc(1, sizeof(*declaration));
    const cJSON *nodes = json_get(object, "status", "nodes"), *item;

    declaration->loaded =
        json_int(json_get(nodes, "loaded"), 0) > 0 || json_int(json_get(nodes, "outdated"), 0) > 0;
    declaration->everywhere = !cJSON_IsObject(json_get(object, "spec", "nodeSelector"));
    cJSON_ArrayForEach(item, json_get(object, "status", "profileNames"))
    {
        if (cJSON_IsString(item))
            strv_add(&declaration->profiles, item->valuestring);
    }
    if (declaration->profiles.len == 0)
        strv_add(&declaration->profiles, name);
    return declaration;
}

void declared_set(struct declared *declared, const cJSON *object)
{
    const char *name = json_string(object, "metadata", "name");
    struct declaration *declaration;

    if (!name)
        return;
    declared_remove(declared, name);
    if (json_string(object, "metadata", "deletionTimestamp"))
        return;
    declaration = read_declaration(object, name);
    map_set(declared->objects, name, declaration);
    for (size_t i = 0; i < declaration->profiles.len; i++)
        link_profile(declared, declaration->profiles.items[i], name);
}

bool declared_find(const struct declared *declared, const char *profile, struct strv *objects)
{
    const struct strv *names = map_get(declared->profiles, profile);
    bool loaded = false;

    if (!names)
        return false;
    for (size_t i = 0; i < names->len; i++) {
        const struct declaration *declaration = map_get(declared->objects, names->items[i]);

        loaded = loaded || declaration->loaded;
        if (objects)
            strv_add(objects, names->items[i]);
    }
    return loaded;
}

bool declared_has(const struct declared *declared, const char *profile)
{
    return map_has(declared->profiles, profile);
}

const struct strv *declared_by(const struct declared *declared, const char *object)
{
    const struct declaration *declaration = map_get(declared->objects, object);

    return declaration ? &declaration->profiles : NULL;
}

bool declared_everywhere(const struct declared *declared, const char *object)
{
    const struct declaration *declaration = map_get(declared->objects, object);

    return declaration && declaration->everywhere;
}
