// SPDX-License-Identifier: Apache-2.0
#include "agent/loaded.h"

#include <string.h>

#include "agent/records.h"
#include "lib/base/alloc.h"

struct loaded {
    const struct kernel *kernel;
    struct map *profiles; /* struct kernel_profile by full name */
    bool stale;
};

struct loaded *loaded_new(const struct kernel *kernel)
{
    struct loaded *loaded = xcalloc(1, sizeof(*loaded));

    loaded->kernel = kernel;
    loaded->profiles = map_new(NULL);
    loaded->stale = true;
    return loaded;
}

void loaded_free(struct loaded *loaded)
{
    if (!loaded)
        return;
    map_free(loaded->profiles);
    free(loaded);
}

void loaded_invalidate(struct loaded *loaded)
{
    loaded->stale = true;
}

int loaded_refresh(struct loaded *loaded, struct error *err)
{
    struct map *profiles;
    int r;

    if (!loaded->stale)
        return 0;
    r = kernel_read(loaded->kernel, &profiles, err);
    if (r < 0)
        return r;
    map_free(loaded->profiles);
    loaded->profiles = profiles;
    loaded->stale = false;
    return 0;
}

bool loaded_has(const struct loaded *loaded, const char *name)
{
    return map_has(loaded->profiles, name);
}

static bool content_matches(const struct kernel_profile *kernel, const struct marker_profile *own)
{
    if (!kernel)
        return false;
    if (!kernel->digest[0])
        return true; /* this kernel shows no digests: its names are all there is to compare */
    return strcmp(kernel->digest, kernel->digest_type == DIGEST_SHA1 ? own->sha1 : own->sha256) ==
           0;
}

bool loaded_matches(const struct loaded *loaded, const struct marker *marker)
{
    for (size_t i = 0; i < marker->count; i++) {
        const struct marker_profile *own = &marker->profiles[i];

        if (!marker_is_leftover(own) && !content_matches(map_get(loaded->profiles, own->name), own))
            return false;
    }
    return true;
}

bool loaded_present(const struct loaded *loaded, const struct marker *marker)
{
    for (size_t i = 0; i < marker->count; i++)
        if (!marker_is_leftover(&marker->profiles[i]) &&
            !map_has(loaded->profiles, marker->profiles[i].name))
            return false;
    return true;
}

const char *loaded_mode_mismatch(const struct loaded *loaded, const struct blob *blob)
{
    for (size_t i = 0; i < blob->count; i++) {
        const struct kernel_profile *kernel = map_get(loaded->profiles, blob->profiles[i].name);

        if (!kernel || kernel->mode != blob->profiles[i].mode)
            return blob->profiles[i].name;
    }
    return NULL;
}

enum policy_mode loaded_names(const struct loaded *loaded, const struct marker *marker,
                              struct strv *ret_names)
{
    enum policy_mode mode = POLICY_MODE_UNSET;

    for (size_t i = 0; i < marker->count; i++) {
        const struct marker_profile *own = &marker->profiles[i];
        const struct kernel_profile *kernel = map_get(loaded->profiles, own->name);

        if (!kernel || marker_is_leftover(own))
            continue;
        mode = mode == POLICY_MODE_UNSET || mode == kernel->mode ? kernel->mode : POLICY_MIXED;
        if (!strstr(own->name, "//"))
            strv_add(ret_names, own->name);
    }
    return mode;
}
