// SPDX-License-Identifier: Apache-2.0
#include "agent/loaded.h"

#include <string.h>

#include "agent/kernel_profiles.h"
#include "agent/records.h"
#include "lib/base/alloc.h"

struct loaded {
    struct kernel_profiles *profiles;
};

struct loaded *loaded_new(const struct kernel *kernel)
{
    struct loaded *loaded = xcalloc(1, sizeof(*loaded));
    _cleanup_free_ char *path = kernel_profiles_path(kernel);

    loaded->profiles = kernel_profiles_new(path);
    return loaded;
}

void loaded_free(struct loaded *loaded)
{
    if (!loaded)
        return;
    kernel_profiles_free(loaded->profiles);
    free(loaded);
}

void loaded_only(struct loaded *loaded, const char *name)
{
    kernel_profiles_only(loaded->profiles, name);
}

void loaded_invalidate(struct loaded *loaded)
{
    kernel_profiles_changed(loaded->profiles);
}

int loaded_refresh(struct loaded *loaded, const struct strv *names, struct error *err)
{
    return kernel_profiles_refresh(loaded->profiles, names, err);
}

bool loaded_has(const struct loaded *loaded, const char *name)
{
    return kernel_profiles_get(loaded->profiles, name) != NULL;
}

char *loaded_attachment(const struct loaded *loaded, const char *name)
{
    return kernel_profiles_attachment(loaded->profiles, name);
}

void loaded_children(const struct loaded *loaded, const char *name, struct strv *ret)
{
    kernel_profiles_children(loaded->profiles, name, ret);
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

        if (!marker_is_leftover(own) &&
            !content_matches(kernel_profiles_get(loaded->profiles, own->name), own))
            return false;
    }
    return true;
}

bool loaded_present(const struct loaded *loaded, const struct marker *marker)
{
    for (size_t i = 0; i < marker->count; i++)
        if (!marker_is_leftover(&marker->profiles[i]) &&
            !loaded_has(loaded, marker->profiles[i].name))
            return false;
    return true;
}

const char *loaded_mode_mismatch(const struct loaded *loaded, const struct blob *blob)
{
    for (size_t i = 0; i < blob->count; i++) {
        const struct kernel_profile *kernel =
            kernel_profiles_get(loaded->profiles, blob->profiles[i].name);

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
        const struct kernel_profile *kernel = kernel_profiles_get(loaded->profiles, own->name);

        if (!kernel || marker_is_leftover(own))
            continue;
        mode = mode == POLICY_MODE_UNSET || mode == kernel->mode ? kernel->mode : POLICY_MIXED;
        if (!strstr(own->name, "//"))
            strv_add(ret_names, own->name);
    }
    return mode;
}
