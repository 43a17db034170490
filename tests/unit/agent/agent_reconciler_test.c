// SPDX-License-Identifier: Apache-2.0
#include "agent/agent_reconciler.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/agent_metrics.h"
#include "agent/ownership.h"
#include "agent/round.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "tests/unit/agent/run_loop.h"

/*
 * What a real cluster and a real kernel cannot be made to do on demand: a kernel that loses a
 * profile and takes no other, is stuck or unreadable, a source that knows nothing yet. The kernel
 * is a folder that looks like securityfs, shows no digests and never follows what is loaded;
 * compiler and files are the real ones.
 */
#define FEATURES "/usr/share/apparmor-features/features"
#define OBJECT "web"
#define TEXT "profile web { file, }\n"

static char root[] = "/tmp/agent_reconciler_test.XXXXXX";
static struct host host;
static struct agent_reconciler *reconciler;
static bool label_there;
static char *proc, *parser;

/* --- folders --- */

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", root, name);
}

static void put(const char *name, const char *text)
{
    _cleanup_free_ char *path = path_of(name);
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, NULL), 0);
}

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void remove_tree(const char *name)
{
    _cleanup_free_ char *path = path_of(name);

    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void kernel_has(const char *name, bool there)
{
    _cleanup_free_ char *folder = xasprintf("fs/policy/profiles/%s.1", name);
    _cleanup_free_ char *name_file = xasprintf("%s/name", folder);
    _cleanup_free_ char *mode_file = xasprintf("%s/mode", folder);

    remove_tree(folder);
    if (there) {
        put(name_file, name);
        put(mode_file, "enforce\n");
    }
    if (reconciler)
        agent_reconciler_kernel_changed(reconciler);
}

/* --- a source that says what it is told to --- */

struct source_fetch {
    struct loop_timer *timer;
    bool newest;
    source_fetch_fn fn;
    void *userdata;
};

static struct test_source {
    struct source source;
    bool synced;
    enum source_presence presence;
    int64_t generation, newest;
    const char *text;
    int fetch_error; /* 0: none */
    size_t fetches;
    cJSON *labels;
} source;

static bool source_synced(_unused_ const struct source *unused)
{
    return source.synced;
}

static enum source_presence source_lookup(_unused_ struct source *unused, _unused_ const char *name,
                                          _unused_ const struct marker *held,
                                          struct source_meta *ret)
{
    static char version[32];

    if (!source.synced)
        return SOURCE_UNKNOWN;
    snprintf(version, sizeof(version), "u/%d", (int) source.generation);
    *ret = (struct source_meta){.uid = "u", .generation = source.generation, .version = version};
    return source.presence;
}

static void source_forget(_unused_ struct source *unused, _unused_ const char *name)
{
}

static struct policy_profile *wanted_profile(void)
{
    _cleanup_json_ cJSON *object = cJSON_CreateObject();
    _cleanup_error_ struct error err = {0};
    struct policy_profile *profile = NULL;
    cJSON *metadata, *spec;

    json_add_string(object, "apiVersion", POLICY_API_VERSION);
    json_add_string(object, "kind", "AppArmorProfile");
    metadata = json_add_object(object, "metadata");
    json_add_string(metadata, "name", OBJECT);
    json_add_string(metadata, "uid", "u");
    json_add_int(metadata, "generation", source.generation);
    spec = json_add_object(object, "spec");
    json_add_string(spec, "policy", source.text);
    cr_assert_eq(policy_profile_parse(object, &profile, &err), 0, "%s", error_message(&err));
    return profile;
}

static void on_fetch(void *userdata)
{
    struct source_fetch *fetch = userdata;
    _cleanup_free_ char *version = NULL;
    _cleanup_error_ struct error err = {0};

    source.fetches++;
    if (fetch->newest)
        source.generation = source.newest;
    version = xasprintf("u/%d", (int) source.generation);
    if (source.fetch_error)
        error_set(&err, source.fetch_error, "told to fail");

    fetch->fn(fetch->userdata, source.fetch_error ? NULL : wanted_profile(), version, &err);
    loop_timer_free(fetch->timer);
    free(fetch);
}

static struct source_fetch *source_fetch(_unused_ struct source *unused, _unused_ const char *name,
                                         _unused_ const struct marker *held, bool newest,
                                         source_fetch_fn fn, void *userdata)
{
    struct source_fetch *fetch = xcalloc(1, sizeof(*fetch));

    fetch->newest = newest;

    fetch->fn = fn;
    fetch->userdata = userdata;
    fetch->timer = loop_timer_new(&loop, on_fetch, fetch);
    loop_timer_start(fetch->timer, 0);
    return fetch;
}

static void source_cancel(_unused_ struct source *unused, struct source_fetch *fetch)
{
    loop_timer_free(fetch->timer);
    free(fetch);
}

static const cJSON *source_labels(_unused_ struct source *unused)
{
    return source.labels;
}

static const struct source_ops source_ops = {
    .synced = source_synced,
    .lookup = source_lookup,
    .forget = source_forget,
    .fetch = source_fetch,
    .cancel = source_cancel,
    .node_labels = source_labels,
};

/* --- the node --- */

static void on_changed(_unused_ void *userdata)
{
}

static bool is_label_gone(_unused_ void *userdata, _unused_ const char *object)
{
    return true;
}

static bool is_label_there(_unused_ void *userdata, _unused_ const char *object)
{
    return label_there;
}

static void start_kernel(uint64_t write_deadline_ms)
{
    _cleanup_free_ char *fs = path_of("fs");
    _cleanup_free_ char *module = path_of("enabled");
    struct kernel_options options = {.apparmorfs = fs,
                                     .module = module,
                                     .write_deadline_ms = write_deadline_ms};
    _cleanup_error_ struct error err = {0};

    put("enabled", "Y\n");
    put("fs/.replace", "");
    put("fs/.remove", "");
    put("fs/.load", "");
    put("fs/features/policy/set_load", "yes");
    put("fs/policy/profiles/.keep", "");
    cr_assert_eq(kernel_new(&loop, &options, &host.kernel, &err), 0, "%s", error_message(&err));
}

static void start_host(uint64_t write_deadline_ms)
{
    struct builder_options builder = {
        .compiler = {.features = FEATURES, .parser = parser},
        .parallel = 1,
    };

    start_kernel(write_deadline_ms);
    host.loop = &loop;
    host.node_name = "node";
    host.loaded = loaded_new(host.kernel);
    host.files = files_new(root);
    host.records = records_new();
    host.metrics = metrics_new(agent_metric_specs, AGENT_METRICS);
    host.builder = builder_new(&loop, &builder);
}

static void start(void)
{
    struct agent_reconciler_options options = {
        .host = &host,
        .source = &source.source,
        .proc = proc,
        .changed = on_changed,
        .label_gone = is_label_gone,
        .label_there = is_label_there,
    };

    reconciler = agent_reconciler_new(&options);
    cr_assert_eq(agent_reconciler_start(reconciler, NULL), 0);
}

static void stop_node(void)
{
    kernel_free(host.kernel);
    agent_reconciler_free(reconciler);
    reconciler = NULL;
    builder_free(host.builder);
    records_free(host.records);
    loaded_free(host.loaded);
    files_free(host.files);
    metrics_free(host.metrics);
    host = (struct host){0};
}

static void put_task(const char *label)
{
    put("proc/42/task/42/attr/apparmor/current", label);
    put("proc/42/task/42/attr/apparmor/exec", "");
    put("proc/42/task/42/comm", "sleep\n");
    put("proc/42/task/42/stat", "42 (sleep) S 1\n");
}

static void setup(void)
{
    alloc_init();
    signal(SIGPIPE, SIG_IGN); /* as the program does; a FIFO may lose its reader */
    clock_set_source(&test_clock);
    cr_assert(mkdtemp(root));
    uv_loop_init(&loop);
    put("proc/2/comm", "kthreadd\n");
    put_task("unconfined\n");
    proc = path_of("proc");
    source.source.ops = &source_ops;
    source.labels = cJSON_CreateObject();
    source.generation = 1;
    source.text = TEXT;
    start_host(0);
}

static void teardown(void)
{
    stop_node();
    remove_tree("");
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
    cJSON_Delete(source.labels);
    free(proc);
    free(parser);
}

TestSuite(agent_reconciler, .init = setup, .fini = teardown, .timeout = 60);

/* --- what a test does --- */

static struct record *record(void)
{
    return records_get(host.records, OBJECT);
}

static bool idle(void)
{
    return agent_reconciler_idle(reconciler);
}

static bool reason_is(const char *reason)
{
    return record() && record()->state.reason && strcmp(record()->state.reason, reason) == 0;
}

static bool is_loaded(void)
{
    return record() && record()->state.phase == PROFILE_LOADED;
}

/* The file of an earlier run, whose policy the kernel has. */
static void put_file(void)
{
    _cleanup_(policy_profile_freep) struct policy_profile *profile = wanted_profile();
    _cleanup_(marker_freep) struct marker *marker = xcalloc(1, sizeof(*marker));
    _cleanup_error_ struct error err = {0};

    marker->object = xstrdup(OBJECT);
    marker->uid = xstrdup("u");
    marker->generation = profile->generation;
    memcpy(marker->revision, profile->revision, sizeof(marker->revision));
    ownership_build(builder_compiler_id(host.builder), profile->revision, marker->build);
    marker->profiles = xcalloc(1, sizeof(*marker->profiles));
    marker->profiles[0].name = xstrdup(OBJECT);
    memset(marker->profiles[0].sha1, 'a', 40);
    memset(marker->profiles[0].sha256, 'a', 64);
    marker->count = 1;
    marker_set_text(marker, profile->text, profile->text_len);
    cr_assert_eq(files_write(host.files, marker, profile->text, profile->text_len, &err), 0, "%s",
                 error_message(&err));
}

static void sync_source(enum source_presence presence)
{
    source.synced = true;
    source.presence = presence;
    agent_reconciler_changed(reconciler, OBJECT);
    agent_reconciler_all_changed(reconciler);
}

static void start_loaded(void)
{
    put_file();
    kernel_has(OBJECT, true);
    label_there = true;
    start();
    sync_source(SOURCE_PRESENT);
    RUN_UNTIL(is_loaded() && idle());
    cr_assert(record()->labelled);
    cr_assert_eq(metrics_value(host.metrics, METRIC_COMPILE_SECONDS, NULL), 0);
}

static void look(void)
{
    agent_reconciler_changed(reconciler, OBJECT);
}

static void look_again(void)
{
    look();
    RUN_UNTIL(idle());
}

/* --- what is decided before anything is published --- */

/* It could be leaving, and its label gone. */
Test(agent_reconciler, before_the_source_knows_nothing_is_decided_and_no_label_claimed)
{
    put_file();
    kernel_has(OBJECT, true);
    put_task("web (enforce)\n");
    start();
    RUN_UNTIL(is_loaded() && idle());
    cr_assert_not(record()->labelled);
    cr_assert_not(agent_reconciler_decided(reconciler));

    sync_source(SOURCE_ASKING);
    RUN_UNTIL(idle());
    cr_assert_not(agent_reconciler_decided(reconciler));
    cr_assert_not(record()->labelled);

    sync_source(SOURCE_DELETED);
    RUN_UNTIL(reason_is(REASON_IN_USE) && idle());
    cr_assert(agent_reconciler_decided(reconciler));
    cr_assert_not(record()->labelled);
}

Test(agent_reconciler, an_orphan_keeps_its_label)
{
    put_file();
    kernel_has(OBJECT, true);
    start();
    sync_source(SOURCE_UNKNOWN);
    RUN_UNTIL(reason_is(REASON_ORPHANED) && idle());
    cr_assert(record()->labelled);
    cr_assert(agent_reconciler_decided(reconciler));
}

Test(agent_reconciler, a_kernel_that_cannot_be_read_takes_no_label)
{
    put_file();
    kernel_has(OBJECT, true);
    put("fs/policy/profiles/odd.1/name", "odd\n");
    put("fs/policy/profiles/odd.1/mode", "unheard-of\n");
    label_there = true;
    start();
    sync_source(SOURCE_PRESENT);
    RUN_UNTIL(reason_is(REASON_KERNEL_ERROR));
    cr_assert(agent_reconciler_decided(reconciler));
    cr_assert(record()->labelled);

    remove_tree("fs/policy/profiles/odd.1");
    RUN_UNTIL(is_loaded());
    cr_assert(record()->labelled);
}

/* The cache that a watch begins with may be behind. */
Test(agent_reconciler, policy_does_not_go_back_in_time)
{
    source.generation = 3;
    put_file();
    kernel_has(OBJECT, true);
    source.generation = 2;
    source.newest = 3;
    start();
    sync_source(SOURCE_PRESENT);
    RUN_UNTIL(is_loaded() && record()->judged && idle());
    cr_assert_eq(record()->state.generation, 3);
    cr_assert_eq(record()->marker->generation, 3);
}

/* --- a kernel that has lost what the label promises --- */

Test(agent_reconciler, the_label_goes_when_the_kernel_has_lost_it_and_repair_fails_for_a_minute)
{
    start_loaded();
    kernel_has(OBJECT, false);
    RUN_UNTIL(reason_is(REASON_VERIFY_FAILED));
    cr_assert(record()->labelled);
    ahead_ms += 30000;
    look_again();
    cr_assert(record()->labelled);
    ahead_ms += 30000;
    look_again();
    cr_assert_not(record()->labelled);

    kernel_has(OBJECT, true);
    RUN_UNTIL(is_loaded() && idle());
    cr_assert(record()->labelled);
}

/* Each profile's mode is read back, whatever its digest says. */
Test(agent_reconciler, another_mode_than_was_loaded_is_told)
{
    start_loaded();
    put("fs/policy/profiles/web.1/mode", "complain\n");
    source.text = "profile web { /changed r, }\n";
    source.generation = 2;
    look();
    RUN_UNTIL(reason_is(REASON_VERIFY_FAILED));
    cr_assert_not_null(strstr(record()->state.message, "mode"), "%s", record()->state.message);
}

Test(agent_reconciler, what_comes_back_within_the_minute_begins_a_new_one)
{
    start_loaded();
    kernel_has(OBJECT, false);
    RUN_UNTIL(reason_is(REASON_VERIFY_FAILED));
    ahead_ms += 40000;
    kernel_has(OBJECT, true);
    RUN_UNTIL(is_loaded() && idle());
    kernel_has(OBJECT, false);
    RUN_UNTIL(reason_is(REASON_VERIFY_FAILED));
    ahead_ms += 40000;
    look_again();
    cr_assert(record()->labelled);
}

/* Its file is gone, too, so that only the object is left, and that does not compile. */
Test(agent_reconciler, a_label_without_anything_behind_it_goes_after_a_minute)
{
    label_there = true;
    source.text = "profile web { nonsense }\n";
    start();
    sync_source(SOURCE_PRESENT);
    RUN_UNTIL(reason_is("CompileError") && idle());
    cr_assert(record()->labelled);
    ahead_ms += 60000;
    look_again();
    cr_assert_not(record()->labelled);
}

Test(agent_reconciler, a_failed_update_keeps_the_label_for_as_long_as_the_old_one_is_loaded)
{
    start_loaded();
    source.generation = 2;
    source.text = "profile web { nonsense }\n";
    look();
    RUN_UNTIL(reason_is("CompileError") && idle());
    ahead_ms += 3600000;
    look_again();
    cr_assert(record()->labelled);
    cr_assert_eq(record()->state.generation, 2);
}

static double loads(void)
{
    return metrics_value(host.metrics, METRIC_LOADS, (const char *const[]){RESULT_SUCCESS});
}

/* A server that does not answer, a spec that is none, a rollout that has not begun. */
static void lose_while_fetch_fails(int code)
{
    start_loaded();
    source.generation = 2;
    source.fetch_error = code;
    look();
    RUN_UNTIL(record()->state.phase != PROFILE_LOADED);
    cr_assert_eq(loads(), 0);
    kernel_has(OBJECT, false);
    RUN_UNTIL(loads() > 0); /* out of its own file */
    cr_assert(record()->labelled);
    /* What could not be read is not forgotten. */
    kernel_has(OBJECT, true);
    source.fetch_error = 0;
    source.text = "profile web { capability, }\n";
    source.fetches = 0;
    RUN_UNTIL(source.fetches > 0);
}

Test(agent_reconciler, what_is_lost_comes_back_though_the_object_cannot_be_read)
{
    lose_while_fetch_fails(-EIO);
}

Test(agent_reconciler, what_is_lost_comes_back_though_the_object_is_invalid)
{
    lose_while_fetch_fails(-EINVAL);
}

Test(agent_reconciler, what_is_lost_comes_back_though_the_rollout_waits)
{
    lose_while_fetch_fails(-EAGAIN);
}

Test(agent_reconciler, what_is_lost_while_the_kernel_cannot_be_read_comes_back_when_it_can)
{
    _cleanup_free_ char *folder = path_of("fs/policy/profiles"), *away = path_of("fs/away");

    start_loaded();
    cr_assert_eq(rename(folder, away), 0);
    agent_reconciler_kernel_changed(reconciler);
    RUN_UNTIL(reason_is(REASON_KERNEL_ERROR));
    cr_assert_eq(loads(), 0);
    /* Nothing tells of it. */
    cr_assert_eq(mkdir(folder, 0755), 0);
    RUN_UNTIL(loads() > 0);
}

/* Nobody asks whether it is to come back. */
Test(agent_reconciler, what_does_not_select_the_node_does_not_come_back)
{
    start_loaded();
    record()->marker->selector = cJSON_CreateObject();
    json_add_string(json_add_object(record()->marker->selector, "matchLabels"), "no", "such");
    source.generation = 2;
    source.fetch_error = -EIO;
    look();
    RUN_UNTIL(reason_is(REASON_FETCH_FAILED));
    kernel_has(OBJECT, false);
    source.fetches = 0;
    RUN_UNTIL(source.fetches > 2);
    cr_assert_eq(loads(), 0);
}

/* --- a kernel that is stuck --- */

static void make_fifo(void)
{
    _cleanup_free_ char *replace = path_of("fs/.replace");

    unlink(replace);
    cr_assert_eq(mkfifo(replace, 0600), 0);
}

/* Opening a FIFO for writing waits for its reader, as a load waits for the policy lock. */
static int let_loads_end(void)
{
    _cleanup_free_ char *replace = path_of("fs/.replace");
    int reader = open(replace, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    cr_assert_geq(reader, 0);
    return reader;
}

static bool has_file(void)
{
    _cleanup_free_ char *path = path_of("etc/apparmor.d/apparmor.io.web.profile");

    return access(path, F_OK) == 0;
}

/* By the load of an object that is new. */
static void start_stuck(void)
{
    stop_node();
    start_host(100);
    make_fifo();
    start();
    sync_source(SOURCE_PRESENT);
    RUN_UNTIL(reason_is("KernelStuck"));
}

Test(agent_reconciler, a_stuck_kernel_is_told_and_what_it_may_still_load_stays_ours)
{
    _cleanup_close_ int reader = -1;

    start_stuck();
    cr_assert_not(record()->labelled);
    cr_assert(has_file(), "a load that is stuck may still happen");

    /* It does happen. */
    kernel_has(OBJECT, true);
    reader = let_loads_end();
    RUN_UNTIL(is_loaded());
    cr_assert(record()->labelled);
}

/* It is deleted while nobody knows whether it is going to be loaded. */
Test(agent_reconciler, what_a_stuck_kernel_may_still_load_stays_ours_when_it_is_deleted)
{
    _cleanup_close_ int reader = -1;

    start_stuck();
    source.presence = SOURCE_DELETED;
    look();
    RUN_UNTIL(record()->state.phase == PROFILE_DRAINING && reason_is("KernelStuck"));
    cr_assert(has_file(), "it may be in the kernel any moment");

    /* It is loaded, and removed as what is ours. */
    kernel_has(OBJECT, true);
    reader = let_loads_end();
    RUN_UNTIL(reason_is(REASON_REMOVING));
    cr_assert(has_file());
    kernel_has(OBJECT, false);
    RUN_UNTIL(!has_file());
}

/* --- a file that goes --- */

static void lose_file(const char *name)
{
    remove_tree("etc/apparmor.d/apparmor.io.web.profile");
    agent_reconciler_file_changed(reconciler, name);
}

/* Each time costs the API server an answer and the node a load. */
Test(agent_reconciler, a_file_that_somebody_takes_away_each_time_is_put_back_so_often)
{
    start_loaded();
    for (int i = 0; i < REPAIRS_MAX; i++) {
        lose_file(OBJECT);
        RUN_UNTIL(has_file() && idle());
        cr_assert(is_loaded());
    }
    source.fetches = 0;
    lose_file(OBJECT);
    RUN_UNTIL(reason_is(REASON_CONTESTED) && !reconciler->rounds);
    cr_assert_not(has_file());
    cr_assert_eq(source.fetches, 0);
    cr_assert(record()->labelled);
    ahead_ms += REPAIRS_WINDOW_MS;
    look();
    RUN_UNTIL(has_file() && idle());
    cr_assert_not(reason_is(REASON_CONTESTED));
}

Test(agent_reconciler, when_any_file_may_have_gone_each_is_looked_at)
{
    start_loaded();
    lose_file(NULL);
    RUN_UNTIL(has_file() && idle());
}

/* --- a removal under way --- */

Test(agent_reconciler, what_is_selected_again_while_it_is_removed_is_not_called_loaded)
{
    _cleanup_free_ char *path = path_of("fs/.remove");
    _cleanup_close_ int reader = -1;

    start_loaded();
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    source.presence = SOURCE_DELETED;
    look();
    RUN_UNTIL(drain_is_removing(reconciler->drain, OBJECT));
    source.presence = SOURCE_PRESENT;
    look();
    RUN_UNTIL(!reconciler->rounds && kube_workqueue_depth(reconciler->queue) == 0);
    cr_assert(drain_is_removing(reconciler->drain, OBJECT));
    cr_assert_eq(record()->state.phase, PROFILE_DRAINING);
    cr_assert_not(record()->labelled);

    kernel_has(OBJECT, false);
    reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    cr_assert_geq(reader, 0);
    RUN_UNTIL(reason_is(REASON_VERIFY_FAILED));
    cr_assert_not(record()->labelled);
}

static bool message_has(const char *text)
{
    return record()->state.message && strstr(record()->state.message, text);
}

/* Each change would be a write to the API server, as long as the process lives. */
Test(agent_reconciler, who_uses_a_draining_profile_is_told_once_a_minute)
{
    _cleanup_strv_ struct strv names = {0};

    start_loaded();
    put_task("web (enforce)\n");
    source.presence = SOURCE_DELETED;
    look();
    RUN_UNTIL(message_has("1 tasks in all"));
    put("proc/42/task/43/attr/apparmor/current", "web (enforce)\n");
    put("proc/42/task/43/stat", "43 (sleep) S 1\n");
    /* Comes after it, so that once it is dealt with the other has been looked at. */
    strv_add(&names, "another");
    drain_set(reconciler->drain, "another", &names, false);
    RUN_UNTIL(drain_settled(reconciler->drain) && idle());
    cr_assert(message_has("1 tasks in all"));
    ahead_ms += 60001;
    drain_wake(reconciler->drain);
    RUN_UNTIL(message_has("2 tasks in all"));
}

/* --- a compiler that comes later --- */

static void install_parser(void)
{
    _cleanup_buf_ struct buf program = BUF_INIT(64 * 1024 * 1024);

    cr_assert_eq(fs_read(AT_FDCWD, "/sbin/apparmor_parser", &program, NULL), 0);
    cr_assert_eq(chmod(root, 0755), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, parser, program.data, program.len, 0755, NULL), 0);
}

Test(agent_reconciler, a_compiler_that_is_installed_later_is_found)
{
    stop_node();
    parser = path_of("apparmor_parser");
    start_host(0);
    kernel_has("else", true);
    start();
    sync_source(SOURCE_PRESENT);
    RUN_UNTIL(reason_is("CompilerUnavailable"));
    cr_assert_null(builder_compiler(host.builder));

    install_parser();
    ahead_ms += 10000;
    look();
    /* Compiled; this kernel does not take it. */
    RUN_UNTIL(reason_is(REASON_VERIFY_FAILED));
    cr_assert_not_null(builder_compiler(host.builder));
}

/* --- what is wanted no more --- */

/* Takes a compiler a minute and more. */
static char *endless_text(void)
{
    struct buf text = BUF_INIT(65536);

    buf_add_string(&text, "profile web {\n");
    for (int i = 0; i < 300; i++)
        buf_addf(&text, "/**%d**a**%d**{b,c}** rw,\n", i, i + 1);
    buf_add_string(&text, "}\n");
    return buf_take(&text);
}

static bool is_compiling(void)
{
    return reconciler->rounds && reconciler->rounds->install &&
           install_progress(reconciler->rounds->install) == INSTALL_COMPILES;
}

Test(agent_reconciler, a_deletion_does_not_wait_for_the_compiler)
{
    _cleanup_free_ char *text = endless_text();

    source.text = text;
    start();
    sync_source(SOURCE_PRESENT);
    RUN_UNTIL(is_compiling());
    sync_source(SOURCE_DELETED);
    RUN_UNTIL(!record() && idle());
    cr_assert_eq(metrics_value(host.metrics, METRIC_COMPILE_SECONDS, NULL), 0);
}

Test(agent_reconciler, a_revision_under_way_is_compiled_to_its_end)
{
    start();
    sync_source(SOURCE_PRESENT);
    RUN_UNTIL(is_compiling());
    source.generation = 2;
    look();
    cr_assert(is_compiling(), "else one who edits faster than the node compiles gets nothing");
    RUN_UNTIL(idle());
}
