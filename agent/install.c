// SPDX-License-Identifier: Apache-2.0
#include "agent/install.h"

#include <errno.h>
#include <string.h>

#include "agent/agent_metrics.h"
#include "agent/foreign_file.h"
#include "agent/ownership.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define OLD_TEXT_MAX (16 * 1024 * 1024)

struct install {
    const struct host *host;
    struct record *record;
    const struct policy_profile *profile;
    install_fn fn;
    void *userdata;

    struct build *build;
    struct compiled *compiled;
    struct marker *old_marker; /* what the load replaces, for the case that it fails */
    struct buf old_text;
    struct strv adopted; /* names that were there from elsewhere */
    uint64_t load_started_ms;
};

static void install_free(struct install *install)
{
    compiled_free(install->compiled);
    marker_free(install->old_marker);
    buf_done(&install->old_text);
    strv_done(&install->adopted);
    free(install);
}

static void end(struct install *install, enum install_stage stage, const struct error *err)
{
    const struct compiler *compiler =
        install->compiled ? builder_compiler(install->host->builder) : NULL;

    install->fn(install->userdata, stage, err);
    if (compiler)
        compiled_keep(compiler, install->compiled);
    install_free(install);
}

/* Names that other files hold and this policy now has: they are handed over. */
static void take_over(struct install *install)
{
    const struct host *host = install->host;
    const struct marker *marker = install->record->marker;

    for (size_t i = 0; i < marker->count; i++) {
        const char *name = marker->profiles[i].name;
        _cleanup_error_ struct error err = {0};
        struct record *other;

        if (marker_is_leftover(&marker->profiles[i]))
            continue;
        other = records_holder(host->records, name, install->record);
        if (!other)
            continue;
        /* Should its object come back, what it has left is not the whole. */
        if (!marker_is_leftover(marker_find(other->marker, name)))
            other->marker->build[0] = '\0';
        marker_drop(other->marker, name);
        if (files_rewrite(host->files, other->marker, &err) < 0)
            log_warn("cannot record that a profile has changed hands", "profile", other->name,
                     "name", name, "err", error_message(&err));
    }
}

static void roll_back(struct install *install)
{
    const struct host *host = install->host;
    struct record *record = install->record;
    _cleanup_error_ struct error err = {0};
    int r;

    if (install->old_marker)
        r = files_write(host->files, install->old_marker, buf_string(&install->old_text),
                        install->old_text.len, &err);
    else
        r = files_remove(host->files, record->name, &err);
    if (r < 0)
        log_warn("cannot put the previous file back", "profile", record->name, "err",
                 error_message(&err));
    record_set_marker(record, TAKE_PTR(install->old_marker));
}

static void blob_names(const struct blob *blob, struct strv *ret)
{
    for (size_t i = 0; i < blob->count; i++)
        strv_add(ret, blob->profiles[i].name);
}

static int verify(const struct install *install, struct error *err)
{
    struct loaded *loaded = install->host->loaded;
    _cleanup_strv_ struct strv names = {0};
    const char *name;

    blob_names(install->compiled->blob, &names);
    int r = loaded_refresh(loaded, &names, err);

    if (r < 0)
        return r;
    name = loaded_mode_mismatch(loaded, install->compiled->blob);
    if (name)
        return error_set_reason(err, -EIO, REASON_VERIFY_FAILED,
                                "profile %s is not in the kernel in the mode that was loaded",
                                name);
    if (!loaded_matches(loaded, install->record->marker))
        return error_set_reason(err, -EIO, REASON_VERIFY_FAILED,
                                "the kernel reads back another content than was loaded");
    return 0;
}

static void observe_load(const struct install *install, bool success)
{
    struct metrics *metrics = install->host->metrics;
    const char *values[] = {success ? RESULT_SUCCESS : RESULT_FAILURE};
    double seconds = (double) (clock_monotonic_ms() - install->load_started_ms) / 1000;

    metrics_add(metrics, METRIC_LOADS, 1, values);
    metrics_observe(metrics, METRIC_LOAD_SECONDS, seconds, NULL);
}

static void tell_adopted(const struct install *install)
{
    const struct host *host = install->host;
    _cleanup_free_ char *file = NULL;

    if (install->adopted.len == 0)
        return;
    file = foreign_file_of(files_folder(host->files), &install->adopted);
    log_info("took over a profile that was there from elsewhere", "profile", install->record->name,
             "name", install->adopted.items[0], "node", host->node_name, "file", file);
    profile_events_adopted(host->events, install->record, install->adopted.items[0], file);
}

static void on_loaded(void *userdata, const struct error *load_err)
{
    struct install *install = userdata;
    _cleanup_error_ struct error err = {0};

    observe_load(install, load_err->code == 0);
    loaded_invalidate(install->host->loaded);
    if (load_err->code) {
        error_copy(&err, load_err);
        /* A load that is stuck may still happen: what it would bring has to remain ours. */
        if (load_err->code != -ETIMEDOUT)
            roll_back(install);
        end(install, INSTALL_LOAD, &err);
        return;
    }
    if (verify(install, &err) < 0) {
        end(install, INSTALL_VERIFY, &err);
        return;
    }
    take_over(install);
    tell_adopted(install);
    end(install, INSTALL_DONE, &err);
}

static int write_file(struct install *install, struct error *err)
{
    const struct host *host = install->host;
    struct record *record = install->record;
    _cleanup_(marker_freep) struct marker *on_disk = NULL;
    _cleanup_(marker_freep) struct marker *marker = NULL;
    char build[DIGEST_HEX_SIZE];
    int r;

    r = files_read(host->files, record->name, &on_disk, &install->old_text, err);
    if (r < 0 && r != -ENOENT)
        return r;
    error_done(err);
    ownership_build(install->compiled->compiler, install->profile->revision, build);
    marker = ownership_marker(install->profile, build, install->compiled, record->marker);
    ownership_adopt_children(marker, host, &install->adopted);
    r = files_write(host->files, marker, install->compiled->text, install->compiled->text_len, err);
    if (r < 0)
        return r;
    record->file_changed = false;
    install->old_marker = TAKE_PTR(record->marker);
    record_set_marker(record, TAKE_PTR(marker));
    return 0;
}

static int claim(struct install *install, struct error *err)
{
    _cleanup_strv_ struct strv names = {0};
    struct record *record = install->record;

    blob_names(install->compiled->blob, &names);
    int r = loaded_refresh(install->host->loaded, &names, err);
    if (r < 0)
        return r;
    if (install->profile == record->spec)
        strv_copy(&record->claims, &names);
    r = ownership_check(install->host, record, &names, err);
    if (r == 0)
        ownership_foreign(install->host, &names, &install->adopted);
    return r;
}

static void on_built(void *userdata, struct compiled *compiled, const struct error *build_err)
{
    struct install *install = userdata;
    _cleanup_error_ struct error err = {0};

    install->build = NULL;
    install->compiled = compiled;
    if (!compiled) {
        error_copy(&err, build_err);
        end(install, INSTALL_COMPILE, &err);
        return;
    }
    if (claim(install, &err) < 0) {
        end(install, INSTALL_CLAIM, &err);
        return;
    }
    if (write_file(install, &err) < 0) {
        end(install, INSTALL_FILE, &err);
        return;
    }
    install->load_started_ms = clock_monotonic_ms();
    kernel_load(install->host->kernel, compiled->data, compiled->len, on_loaded, install);
}

struct install *install_start(const struct host *host, struct record *record,
                              const struct policy_profile *profile, install_fn fn, void *userdata)
{
    struct install *install = xcalloc(1, sizeof(*install));

    install->host = host;
    install->record = record;
    install->profile = profile;
    install->fn = fn;
    install->userdata = userdata;
    buf_init(&install->old_text, OLD_TEXT_MAX);
    install->build =
        builder_start(host->builder, profile, profile != record->spec, on_built, install);
    return install;
}

enum install_progress install_progress(const struct install *install)
{
    if (!install->build)
        return INSTALL_CHANGES;
    return build_is_waiting(install->build) ? INSTALL_WAITS : INSTALL_COMPILES;
}

void install_cancel(struct install *install)
{
    if (!install)
        return;
    build_cancel(install->build);
    install_free(install);
}
