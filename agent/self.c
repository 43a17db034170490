// SPDX-License-Identifier: Apache-2.0
#include "agent/self.h"

#include <errno.h>
#include <string.h>
#include <sys/apparmor.h>
#include <sys/prctl.h>

#include "agent/host.h"
#include "agent/kernel.h"
#include "agent/loaded.h"
#include "agent/ownership.h"
#include "agent/self_load.h"
#include "agent/self_places.h"
#include "agent/self_profile.h"
#include "agent/self_record.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/compile/compile.h"
#include "lib/compile/syscalls.h"

/* Of each run of the compiler, and of the kernel's answer: a probe waits for the agent's start. */
#define DEADLINE_MS 20000
#define TEXT_MAX (256 * 1024)
/* The record's; no object's record is in a file of that name. */
#define RECORD_NAME "agent"

int self_restrict_calls(struct error *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_set_errno(err, -errno, "cannot give up new privileges");
    int r = syscalls_restrict_agent();
    return r < 0 ? error_set_errno(err, r, "cannot filter system calls") : 0;
}

/* --- what the kernel holds --- */

static bool is_loaded(const struct self_options *options, struct kernel *kernel,
                      const struct policy_profile *profile)
{
    _cleanup_(loaded_freep) struct loaded *loaded = loaded_new(kernel);
    _cleanup_(marker_freep) struct marker *record = NULL;
    _cleanup_strv_ struct strv names = {0};
    _cleanup_error_ struct error err = {0};

    loaded_only(loaded, SELF_PROFILE);
    int r = self_record_read(options->host_root, &record, &err);
    if (r == 0) {
        ownership_names(record, &names);
        r = loaded_refresh(loaded, &names, &err);
    }
    if (r < 0) {
        log_debug("the agent's own profile is not known to be loaded", "err", error_message(&err));
        return false;
    }
    return strcmp(record->revision, profile->revision) == 0 && loaded_matches(loaded, record);
}

/* --- compiling --- */

struct outcome {
    struct compiled *compiled;
    struct error err;
};

static void on_compiled(void *userdata, struct compiled *compiled, const struct error *err)
{
    struct outcome *outcome = userdata;

    outcome->compiled = compiled;
    error_copy(&outcome->err, err);
}

static bool is_ours(const char *name)
{
    return strcmp(name, SELF_PROFILE) == 0 || strcmp(name, SELF_PARSER_PROFILE) == 0;
}

/* What is about to be loaded is what was meant. */
static int check_blob(const struct blob *blob, struct error *err)
{
    bool good = blob->count == 2 && blob_mode(blob) == POLICY_ENFORCE;

    for (size_t i = 0; good && i < blob->count; i++)
        good = is_ours(blob->profiles[i].name);
    return good ? 0 : error_set(err, -EINVAL, "the compiler has made something else of it");
}

static int compile(uv_loop_t *loop, const struct self_options *options, const struct kernel *kernel,
                   const struct policy_profile *profile, struct compiled **ret, struct error *err)
{
    _cleanup_free_ char *cache = host_cache_path(options->host_root);
    const struct compiler_options compiler_options = {
        .parser = options->parser,
        .includes = options->includes,
        .features = kernel_features_path(kernel),
        .deadline_ms = DEADLINE_MS,
        .cache = cache,
    };
    _cleanup_(compiler_freep) struct compiler *compiler = NULL;
    struct outcome outcome = {0};

    int r = compiler_new(loop, &compiler_options, &compiler, err);
    if (r < 0)
        return r;
    compiler_run(compiler, profile, false, on_compiled, &outcome);
    uv_run(loop, UV_RUN_DEFAULT);
    if (outcome.compiled)
        compiled_keep(compiler, outcome.compiled);
    r = outcome.compiled ? check_blob(outcome.compiled->blob, err) : error_move(err, &outcome.err);
    if (r < 0)
        compiled_free(outcome.compiled);
    else
        *ret = outcome.compiled;
    return r;
}

/* --- loading --- */

/* Not vital: without it the next start compiles again. */
static void write_record(const struct self_options *options, const struct policy_profile *profile,
                         const struct compiled *compiled)
{
    _cleanup_(marker_freep) struct marker *marker = ownership_marker(profile, "", compiled, NULL);
    _cleanup_error_ struct error err = {0};

    if (self_record_write(options->host_root, marker, compiled->text, compiled->text_len, &err) < 0)
        log_warn("the agent's own profile has no file on the host: each start compiles it, and "
                 "aa-remove-unknown removes it",
                 "err", error_message(&err));
}

static int load(uv_loop_t *loop, const struct self_options *options, const struct kernel *kernel,
                const struct policy_profile *profile, struct error *err)
{
    _cleanup_(compiled_freep) struct compiled *compiled = NULL;

    int r = compile(loop, options, kernel, profile, &compiled, err);
    if (r == 0)
        r = self_load(options->apparmorfs, compiled->data, compiled->len, DEADLINE_MS, err);
    if (r < 0)
        return r;
    write_record(options, profile, compiled);
    log_info("the agent's own profile is loaded", "profile", SELF_PROFILE);
    return 0;
}

static int make_profile(const struct self_options *options, struct policy_profile *ret,
                        struct error *err)
{
    _cleanup_(self_places_done) struct self_places places = {0};
    _cleanup_buf_ struct buf text = BUF_INIT(TEXT_MAX);

    int r = self_places_find(options, &places, err);
    if (r == 0)
        r = self_profile_text(&places, &text, err);
    if (r < 0)
        return r;
    ret->name = xstrdup(RECORD_NAME);
    ret->uid = xstrdup("");
    ret->text_len = text.len;
    ret->text = buf_take(&text);
    policy_revision(ret->text, ret->text_len, POLICY_MODE_UNSET, ret->revision);
    return 0;
}

/* The kernel holds the profile when this succeeds. */
static int ensure_loaded(uv_loop_t *loop, const struct self_options *options, struct kernel *kernel,
                         struct error *err)
{
    _cleanup_(policy_profile_freep) struct policy_profile *profile = xcalloc(1, sizeof(*profile));

    int r = make_profile(options, profile, err);
    if (r < 0 || is_loaded(options, kernel, profile))
        return r;
    return load(loop, options, kernel, profile, err);
}

/* --- entering --- */

/*
 * The label of the calling thread without its mode; NULL without AppArmor. Container runtimes may
 * themselves have profiles that confine nothing, which what they start has then, too.
 */
static char *own_label(bool *ret_confined)
{
    char *label, *mode;

    *ret_confined = false;
    if (aa_getcon(&label, &mode) < 0)
        return NULL;
    *ret_confined = mode && strcmp(mode, "unconfined") != 0;
    return label;
}

bool self_is_confined(void)
{
    bool confined;
    _cleanup_free_ _unused_ char *label = own_label(&confined);

    return confined;
}

static int enter(struct error *err)
{
    if (aa_change_profile(SELF_PROFILE) < 0)
        return error_set_errno(err, -errno, "cannot enter profile " SELF_PROFILE);

    bool confined;
    _cleanup_free_ char *label = own_label(&confined);
    if (!confined || strcmp(label, SELF_PROFILE) != 0)
        return error_set(err, -EINVAL, "entering profile " SELF_PROFILE " had no effect");
    return 0;
}

static int load_and_enter(uv_loop_t *loop, const struct self_options *options, struct error *err)
{
    const struct kernel_options kernel_options = {.apparmorfs = options->apparmorfs};
    _cleanup_(kernel_freep) struct kernel *kernel = NULL;
    _cleanup_free_ char *label = NULL;
    bool confined;

    int r = kernel_new(loop, &kernel_options, &kernel, err);
    if (r < 0 && strcmp(error_reason(err, ""), "AppArmorDisabled") == 0) {
        error_done(err);
        return 0;
    }
    if (r < 0)
        return r;
    label = own_label(&confined);
    if (confined) {
        log_info("the agent stays under the profile that it was started with", "profile", label);
        return 0;
    }
    r = ensure_loaded(loop, options, kernel, err);
    return r < 0 ? r : enter(err);
}

int self_enter_profile(const struct self_options *options, struct error *err)
{
    uv_loop_t loop;

    uv_loop_init(&loop);
    int r = load_and_enter(&loop, options, err);
    loop_drain(&loop);
    uv_loop_close(&loop);
    return r;
}
