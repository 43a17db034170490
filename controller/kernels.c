// SPDX-License-Identifier: Apache-2.0
#include "controller/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/map.h"

/* What libapparmor reads; a longer text would make each policy fail to compile. */
#define TEXT_MAX 8191

/* Features of one id, reported, described or both. */
struct kernel {
    char id[FEATURES_ID_SIZE];
    size_t nodes;
    bool reported;      /* by a node, at any time */
    uint64_t unused_ms; /* since when no node has it */
    struct features *features;
};

struct kernels {
    struct map *nodes;   /* name → struct kernel, borrowed */
    struct map *kinds;   /* id → struct kernel */
    struct map *damaged; /* names of ConfigMaps */
    void (*changed)(void *userdata);
    void *userdata;
};

static void kernel_free(void *value)
{
    struct kernel *kernel = value;

    features_unref(kernel->features);
    free(kernel);
}

struct kernels *kernels_new(void (*changed)(void *userdata), void *userdata)
{
    struct kernels *kernels = xcalloc(1, sizeof(*kernels));

    kernels->nodes = map_new(NULL);
    kernels->kinds = map_new(kernel_free);
    kernels->damaged = map_new(NULL);
    kernels->changed = changed;
    kernels->userdata = userdata;
    return kernels;
}

void kernels_free(struct kernels *kernels)
{
    if (!kernels)
        return;
    map_free(kernels->nodes);
    map_free(kernels->kinds);
    map_free(kernels->damaged);
    free(kernels);
}

static bool is_id(const char *text)
{
    return strlen(text) == FEATURES_ID_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == FEATURES_ID_SIZE - 1;
}

static struct kernel *kernel_get(struct kernels *kernels, const char *id, uint64_t now_ms)
{
    struct kernel *kernel = map_get(kernels->kinds, id);

    if (!kernel) {
        kernel = xcalloc(1, sizeof(*kernel));
        memcpy(kernel->id, id, FEATURES_ID_SIZE);
        kernel->unused_ms = now_ms;
        map_set(kernels->kinds, id, kernel);
    }
    return kernel;
}

static void kernel_drop(struct kernels *kernels, const struct kernel *kernel)
{
    if (kernel->nodes == 0 && !kernel->features)
        map_remove(kernels->kinds, kernel->id);
}

/* --- nodes --------------------------------------------------------------------------- */

void kernels_set_node(struct kernels *kernels, const char *node, const char *id, uint64_t now_ms)
{
    struct kernel *old = map_get(kernels->nodes, node);
    struct kernel *kernel = id && is_id(id) ? kernel_get(kernels, id, now_ms) : NULL;

    if (old == kernel)
        return;
    if (kernel) {
        bool is_new = !kernel->reported;

        kernel->nodes++;
        kernel->reported = true;
        map_set(kernels->nodes, node, kernel);
        if (is_new && kernel->features)
            kernels->changed(kernels->userdata);
    } else {
        map_remove(kernels->nodes, node);
    }
    if (old && --old->nodes == 0) {
        old->unused_ms = now_ms;
        kernel_drop(kernels, old);
    }
}

/* --- texts --------------------------------------------------------------------------- */

static bool is_of(const char *configmap, const char *text)
{
    char id[FEATURES_ID_SIZE];

    features_id_of(text, strlen(text), id);
    return strcmp(configmap + strlen(FEATURES_PREFIX), id) == 0;
}

static bool is_named(const char *configmap)
{
    return strncmp(configmap, FEATURES_PREFIX, strlen(FEATURES_PREFIX)) == 0 &&
           is_id(configmap + strlen(FEATURES_PREFIX));
}

void kernels_set_text(struct kernels *kernels, const char *configmap, const char *text,
                      uint64_t now_ms)
{
    _cleanup_error_ struct error err = {0};
    struct features *features = NULL;
    struct kernel *kernel;

    kernels_remove_text(kernels, configmap);
    if (!is_named(configmap))
        return;
    if (!text || strlen(text) > TEXT_MAX || !is_of(configmap, text)) {
        log_warn("a ConfigMap does not have the kernel features that it is named after",
                 "configmap", configmap);
        map_set(kernels->damaged, configmap, NULL);
        return;
    }
    if (features_new(text, strlen(text), &features, &err) < 0) {
        log_warn("kernel features are of no use", "configmap", configmap, "err",
                 error_message(&err));
        return;
    }
    kernel = kernel_get(kernels, features_id(features), now_ms);
    kernel->features = features;
    if (kernel->reported)
        kernels->changed(kernels->userdata);
}

void kernels_remove_text(struct kernels *kernels, const char *configmap)
{
    struct kernel *kernel;

    map_remove(kernels->damaged, configmap);
    kernel =
        is_named(configmap) ? map_get(kernels->kinds, configmap + strlen(FEATURES_PREFIX)) : NULL;
    if (!kernel || !kernel->features)
        return;
    features_unref(TAKE_PTR(kernel->features));
    if (kernel->reported)
        kernels->changed(kernels->userdata);
    kernel_drop(kernels, kernel);
}

/* --- what comes of them ---------------------------------------------------------------- */

static int by_nodes(const void *a, const void *b)
{
    const struct kernel *const *one = a, *const *other = b;

    if ((*one)->nodes != (*other)->nodes)
        return (*one)->nodes > (*other)->nodes ? -1 : 1;
    return strcmp((*one)->id, (*other)->id);
}

size_t kernels_list(const struct kernels *kernels, struct features **ret, size_t max)
{
    _cleanup_free_ const struct kernel **kinds =
        xcalloc(map_size(kernels->kinds) + 1, sizeof(*kinds));
    size_t count = 0, position = 0;
    void *value;

    while (map_next(kernels->kinds, &position, NULL, &value)) {
        const struct kernel *kernel = value;

        if (kernel->features && kernel->reported)
            kinds[count++] = kernel;
    }
    qsort(kinds, count, sizeof(*kinds), by_nodes);
    if (count > max)
        count = max;
    for (size_t i = 0; i < count; i++)
        ret[i] = kinds[i]->features;
    return count;
}

void kernels_list_garbage(const struct kernels *kernels, uint64_t now_ms, struct strv *ret)
{
    size_t position = 0;
    const char *name;
    void *value;

    while (map_next(kernels->damaged, &position, &name, NULL))
        strv_add(ret, name);
    position = 0;
    while (map_next(kernels->kinds, &position, NULL, &value)) {
        const struct kernel *kernel = value;

        if (kernel->features && kernel->nodes == 0 &&
            now_ms - kernel->unused_ms >= KERNELS_UNUSED_MS)
            strv_take(ret, xasprintf(FEATURES_PREFIX "%s", kernel->id));
    }
}
