// SPDX-License-Identifier: Apache-2.0
#include "agent/source_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/manifests.h"
#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"

#define FILE_SIZE_MAX (8 * 1024 * 1024)
/* An editor's save is several events. */
#define SETTLE_MS 50

struct folder {
    struct source source;
    uv_loop_t *loop;
    char *path;
    cJSON *labels;
    struct loop_watch *watch;
    struct loop_timer *timer;
    struct map *manifests; /* by object name */
    struct map *mistakes;  /* message by file name */
    bool synced;
    /* Something declares objects that have not been seen since the start: absence proves nothing.
     */
    bool incomplete;
    bool purging;
};

struct source_fetch {
    struct folder *folder;
    char *name;
    struct loop_timer *timer;
    source_fetch_fn fn;
    void *userdata;
};

static struct folder *of(const struct source *source)
{
    return container_of(source, struct folder, source);
}

/* --- reading the folder -------------------------------------------------------------------- */

static bool is_manifest(const char *name)
{
    return name[0] != '.' && (text_ends_with(name, ".yaml") || text_ends_with(name, ".yml") ||
                              text_ends_with(name, ".json"));
}

static int list_files(const struct folder *folder, struct strv *ret, struct error *err)
{
    const struct dirent *entry;
    DIR *dir = opendir(folder->path);

    if (!dir)
        return error_set_errno(err, -errno, "cannot read the folder %s", folder->path);
    while ((entry = readdir(dir)))
        if (is_manifest(entry->d_name))
            strv_add(ret, entry->d_name);
    closedir(dir);
    strv_sort(ret);
    return 0;
}

static int read_file(const struct folder *folder, const char *file, struct map *manifests,
                     struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder->path, file);
    _cleanup_buf_ struct buf text = BUF_INIT(FILE_SIZE_MAX);
    int r = fs_read(AT_FDCWD, path, &text, err);

    return r < 0 ? r : manifests_parse(file, buf_string(&text), text.len, manifests, err);
}

/* What a file declared when it was last in order. */
static bool keep_previous(struct folder *folder, const char *file, struct map *manifests)
{
    const char *name;
    size_t position = 0;
    void *value;
    bool any = false;

    while (map_next(folder->manifests, &position, &name, &value)) {
        struct manifest *manifest = value;
        _cleanup_free_ char *key = xstrdup(name);

        if (strcmp(manifest->file, file) != 0)
            continue;
        any = true;
        if (!map_has(manifests, key))
            map_set(manifests, key, map_take(folder->manifests, key));
    }
    return any;
}

static void note_mistake(const struct folder *folder, const char *file, const char *message,
                         struct map *mistakes)
{
    const char *known = map_get(folder->mistakes, file);

    if (!known || strcmp(known, message) != 0)
        log_error("manifest not valid", "file", file, "err", message);
    map_set(mistakes, file, xstrdup(message));
}

static void merge(const struct folder *folder, const char *file, struct map *from, struct map *to,
                  struct map *mistakes)
{
    const char *name;
    size_t position = 0;

    while (map_next(from, &position, &name, NULL)) {
        const struct manifest *first = map_get(to, name);
        _cleanup_free_ char *key = xstrdup(name);

        if (first) {
            _cleanup_free_ char *message =
                xasprintf("AppArmorProfile %s is also declared in %s, which is used", name,
                          first->file);
            note_mistake(folder, file, message, mistakes);
        } else {
            map_set(to, key, map_take(from, key));
        }
    }
}

static int scan(struct folder *folder, struct map *manifests, struct map *mistakes,
                struct error *err)
{
    _cleanup_strv_ struct strv files = {0};
    int r = list_files(folder, &files, err);

    if (r < 0)
        return r;
    folder->incomplete = false;
    for (size_t i = 0; i < files.len; i++) {
        const char *file = files.items[i];
        _cleanup_(map_freep) struct map *found = manifests_new();
        _cleanup_error_ struct error mistake = {0};

        if (read_file(folder, file, found, &mistake) == 0) {
            merge(folder, file, found, manifests, mistakes);
            continue;
        }
        note_mistake(folder, file, error_message(&mistake), mistakes);
        if (!keep_previous(folder, file, manifests))
            folder->incomplete = true;
    }
    return 0;
}

static void tell(struct folder *folder, const char *name)
{
    folder->source.listener.changed(folder->source.listener.userdata, name);
}

/* Names whose manifest is another than before. */
static void differences(const struct map *before, const struct map *after,
                        const struct map *versions, struct strv *ret)
{
    const char *name;
    void *value;
    size_t position = 0;

    while (map_next(after, &position, &name, &value)) {
        const char *old = map_get(versions, name);

        if (!old || strcmp(old, ((struct manifest *) value)->version) != 0)
            strv_add(ret, name);
    }
    position = 0;
    while (map_next(before, &position, &name, NULL))
        if (!map_has(after, name))
            strv_add(ret, name);
}

static struct map *versions_of(const struct map *manifests)
{
    struct map *versions = map_new(free);
    const char *name;
    void *value;
    size_t position = 0;

    while (map_next(manifests, &position, &name, &value))
        map_set(versions, name, xstrdup(((struct manifest *) value)->version));
    return versions;
}

static void rescan(void *userdata)
{
    struct folder *folder = userdata;
    _cleanup_(map_freep) struct map *manifests = manifests_new();
    _cleanup_(map_freep) struct map *mistakes = map_new(free);
    _cleanup_(map_freep) struct map *versions = versions_of(folder->manifests);
    _cleanup_strv_ struct strv changed = {0};
    _cleanup_error_ struct error err = {0};

    if (scan(folder, manifests, mistakes, &err) < 0) {
        log_error("manifests cannot be read", "err", error_message(&err));
        return;
    }
    differences(versions, manifests, versions, &changed);
    map_free(folder->manifests);
    folder->manifests = TAKE_PTR(manifests);
    map_free(folder->mistakes);
    folder->mistakes = TAKE_PTR(mistakes);
    folder->synced = true;
    for (size_t i = 0; i < changed.len; i++)
        tell(folder, changed.items[i]);
    folder->source.listener.all_changed(folder->source.listener.userdata);
}

/* --- watching it --------------------------------------------------------------------------- */

static void on_event(void *userdata, _unused_ const char *file, _unused_ int status)
{
    const struct folder *folder = userdata;

    loop_timer_start(folder->timer, SETTLE_MS);
}

static int watch_folder(struct folder *folder, struct error *err)
{
    folder->watch = loop_watch_new(folder->loop, folder->path, on_event, folder);
    if (!folder->watch)
        return error_set_errno(err, -errno, "cannot watch the folder %s", folder->path);
    return 0;
}

/* --- the interface ------------------------------------------------------------------------- */

static void start(struct source *source)
{
    loop_timer_start(of(source)->timer, 0);
}

static void folder_free(struct source *source)
{
    struct folder *folder = of(source);

    loop_watch_free(folder->watch);
    loop_timer_free(folder->timer);
    map_free(folder->manifests);
    map_free(folder->mistakes);
    cJSON_Delete(folder->labels);
    free(folder->path);
    free(folder);
}

static bool synced(const struct source *source)
{
    return of(source)->synced;
}

static enum source_presence lookup(struct source *source, const char *name,
                                   const struct marker *held, struct source_meta *ret)
{
    const struct folder *folder = of(source);
    const struct manifest *manifest = map_get(folder->manifests, name);

    if (!manifest) {
        /* What a cluster has put here is not the folder's to remove, unless that is the wish. */
        bool mine = !held || !*held->uid || folder->purging;

        return folder->synced && mine && !folder->incomplete ? SOURCE_DELETED : SOURCE_UNKNOWN;
    }
    *ret = (struct source_meta){.uid = "", .version = manifest->version};
    return SOURCE_PRESENT;
}

static void forget(_unused_ struct source *source, _unused_ const char *name)
{
}

static void fetch_free(struct source_fetch *fetch)
{
    loop_timer_free(fetch->timer);
    free(fetch->name);
    free(fetch);
}

static void on_fetch(void *userdata)
{
    struct source_fetch *fetch = userdata;
    const struct manifest *manifest = map_get(fetch->folder->manifests, fetch->name);
    struct policy_profile *profile = NULL;
    _cleanup_error_ struct error err = {0};

    if (!manifest)
        error_set(&err, -ENOENT, "no file declares it any more");
    else if (policy_profile_parse(manifest->json, &profile, &err) < 0)
        err.code = -EINVAL;
    fetch->fn(fetch->userdata, profile, profile ? manifest->version : NULL, &err);
    fetch_free(fetch);
}

static struct source_fetch *fetch_start(struct source *source, const char *name,
                                        _unused_ const struct marker *held, _unused_ bool newest,
                                        source_fetch_fn fn, void *userdata)
{
    struct source_fetch *fetch = xcalloc(1, sizeof(*fetch));

    fetch->folder = of(source);
    fetch->name = xstrdup(name);
    fetch->fn = fn;
    fetch->userdata = userdata;
    fetch->timer = loop_timer_new(of(source)->loop, on_fetch, fetch);
    loop_timer_start(fetch->timer, 0);
    return fetch;
}

static void cancel(_unused_ struct source *source, struct source_fetch *fetch)
{
    fetch_free(fetch);
}

static const cJSON *node_labels(struct source *source)
{
    return of(source)->labels;
}

static const struct source_ops ops = {
    .start = start,
    .free = folder_free,
    .synced = synced,
    .lookup = lookup,
    .forget = forget,
    .fetch = fetch_start,
    .cancel = cancel,
    .node_labels = node_labels,
};

int source_folder_new(uv_loop_t *loop, const char *path, const cJSON *labels, struct source **ret,
                      struct error *err)
{
    struct folder *folder = xcalloc(1, sizeof(*folder));
    int r;

    folder->source.ops = &ops;
    folder->loop = loop;
    folder->path = xstrdup(path);
    folder->labels = labels ? cJSON_Duplicate(labels, true) : NULL;
    folder->manifests = manifests_new();
    folder->mistakes = map_new(free);
    folder->timer = loop_timer_new(loop, rescan, folder);
    r = watch_folder(folder, err);
    if (r < 0) {
        folder_free(&folder->source);
        return r;
    }
    *ret = &folder->source;
    return 0;
}

void source_folder_purge(struct source *source)
{
    of(source)->purging = true;
}

size_t source_folder_mistakes(const struct source *source)
{
    return map_size(of(source)->mistakes);
}
