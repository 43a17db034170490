// SPDX-License-Identifier: Apache-2.0
/*
 * What the benchmark of lib/kube runs: `kube_bench follow` keeps a store of all AppArmorNodes and
 * reports what the first list took, then what --updates updates took, until SIGTERM; `kube_bench
 * apply` makes one server-side apply after the other. The programs of tests/bench/clientgo do the
 * same with client-go.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "lib/base/options.h"
#include "lib/kube/client.h"
#include "lib/kube/config.h"
#include "lib/kube/informer.h"

#define BODY_MAX (1024 * 1024)

static const struct kube_resource apparmornodes = {"apparmor.io", "v1alpha1", "apparmornodes",
                                                   "AppArmorNode", false};

static bool project;
static unsigned updates_wanted, apply_count, warm_up;
static char *body_path, *version;

static int64_t wall_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static int64_t cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void report(const char *phase, unsigned events, int64_t cpu, int64_t begin)
{
    printf("{\"phase\":\"%s\",\"events\":%u,\"cpu_us\":%" PRId64 ",\"wall_us\":%" PRId64 "}\n",
           phase, events, cpu, wall_us() - begin);
    fflush(stdout);
}

static struct kube_client *open_client(uv_loop_t *loop)
{
    const struct kube_config_source source = {0};
    const struct kube_client_options options = {.user_agent = "kube-bench"};
    _cleanup_error_ struct error err = {0};
    _cleanup_(kube_config_freep) struct kube_config *config = NULL;
    struct kube_client *client = NULL;

    if (kube_config_load(&source, &config, &err) < 0 ||
        kube_client_new(loop, config, &options, &client, &err) < 0)
        fprintf(stderr, "kube_bench: %s\n", error_message(&err));
    else
        (void) TAKE_PTR(config);
    return client;
}

/* --- follow --------------------------------------------------------------------------------- */

static void move(cJSON *from, cJSON *to, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cJSON *value = cJSON_DetachItemFromObjectCaseSensitive(from, keys[i]);

        if (value)
            json_add(to, keys[i], value);
    }
}

/* Keeps what a roll-up of AppArmorProfiles needs, as project() of the program with client-go. */
static cJSON *keep_rollup(void *userdata, cJSON *object)
{
    static const char *const in_metadata[] = {"name", "uid", "resourceVersion"};
    static const char *const in_status[] = {"apparmor"};
    static const char *const in_profile[] = {"name",  "generation", "revision",
                                             "state", "reason",     "message"};
    cJSON *kept = cJSON_CreateObject(), *metadata = json_add_object(kept, "metadata");
    cJSON *status = json_add_object(kept, "status"), *profiles, *profile;
    cJSON *old_status = cJSON_GetObjectItemCaseSensitive(object, "status");

    (void) userdata;
    move(cJSON_GetObjectItemCaseSensitive(object, "metadata"), metadata, in_metadata,
         ARRAY_SIZE(in_metadata));
    move(old_status, status, in_status, ARRAY_SIZE(in_status));
    profiles = json_add_array(status, "profiles");
    cJSON_ArrayForEach(profile, cJSON_GetObjectItemCaseSensitive(old_status, "profiles"))
    {
        cJSON *entry = cJSON_CreateObject();

        move(profile, entry, in_profile, ARRAY_SIZE(in_profile));
        json_append(profiles, entry);
    }
    json_free(object);
    return kept;
}

struct follower {
    unsigned added, updated;
    int64_t began, cpu; /* of the phase */
    uv_loop_t *loop;
    bool failed;
};

static void on_added(void *userdata, struct kube_object *object)
{
    struct follower *follower = userdata;

    (void) object;
    follower->added++;
}

static void on_updated(void *userdata, struct kube_object *old, struct kube_object *object)
{
    struct follower *follower = userdata;

    (void) old;
    (void) object;
    follower->updated++;
    if (follower->updated == 1) {
        follower->began = wall_us();
        follower->cpu = cpu_us();
    } else if (follower->updated == updates_wanted) {
        report("burst", follower->updated, cpu_us() - follower->cpu, follower->began);
    }
}

static void on_synced(void *userdata)
{
    struct follower *follower = userdata;

    report("list", follower->added, cpu_us(), follower->began);
}

static void on_failed(void *userdata, const struct error *err)
{
    struct follower *follower = userdata;

    /* What was measured with a failure in it is no measurement. */
    fprintf(stderr, "kube_bench: %s\n", error_message(err));
    follower->failed = true;
    uv_stop(follower->loop);
}

static void on_signal(void *userdata, int signal)
{
    (void) signal;
    uv_stop(userdata);
}

static int follow(uv_loop_t *loop, struct kube_client *client)
{
    struct follower follower = {.loop = loop, .began = wall_us()};
    const struct kube_handler handler = {
        .added = on_added,
        .updated = on_updated,
        .synced = on_synced,
        .failed = on_failed,
        .userdata = &follower,
    };
    const struct kube_informer_options options = {
        .resource = &apparmornodes,
        .project = project ? keep_rollup : NULL,
    };
    struct loop_signals *signals = loop_signals_new(loop, on_signal, loop);
    struct kube_informer *informer = kube_informer_new(client, &options);

    kube_informer_add_handler(informer, &handler);
    kube_informer_start(informer);
    uv_run(loop, UV_RUN_DEFAULT);
    kube_informer_free(informer);
    loop_signals_free(signals);
    return follower.failed ? -EIO : 0;
}

/* --- apply ---------------------------------------------------------------------------------- */

struct applier {
    struct kube_client *client;
    cJSON *body;
    unsigned done;
    int64_t began;
    int r;
};

static void apply_next(struct applier *applier);

static void on_applied(void *userdata, struct kube_object *object, const struct error *err)
{
    struct applier *applier = userdata;

    (void) object;
    if (err->code != 0) {
        fprintf(stderr, "kube_bench: %s\n", error_message(err));
        applier->r = err->code;
        return;
    }
    if (applier->done >= warm_up)
        printf("%" PRId64 "\n", wall_us() - applier->began);
    if (++applier->done < warm_up + apply_count)
        apply_next(applier);
}

static void apply_next(struct applier *applier)
{
    static const struct kube_write_options options = {.field_manager = "bench", .force = true};
    cJSON *status = cJSON_GetObjectItemCaseSensitive(applier->body, "status");
    _cleanup_free_ char *value = xasprintf("%s-%u", version, applier->done);

    cJSON_ReplaceItemInObjectCaseSensitive(status, "agentVersion", cJSON_CreateString(value));
    applier->began = wall_us();
    kube_patch(applier->client, &apparmornodes, NULL,
               json_string(applier->body, "metadata", "name"), "status", KUBE_PATCH_APPLY,
               applier->body, &options, on_applied, applier);
}

static bool is_applying(const struct applier *applier)
{
    return applier->r == 0 && applier->done < warm_up + apply_count;
}

static int read_body(cJSON **ret)
{
    _cleanup_buf_ struct buf text = BUF_INIT(BODY_MAX);
    _cleanup_error_ struct error err = {0};
    int r = fs_read(AT_FDCWD, body_path, &text, &err);

    if (r == 0)
        r = json_parse(buf_string(&text), text.len, ret, &err);
    if (r < 0)
        fprintf(stderr, "kube_bench: %s: %s\n", body_path, error_message(&err));
    return r;
}

static int apply(uv_loop_t *loop, struct kube_client *client)
{
    struct applier applier = {.client = client};
    int r = read_body(&applier.body);

    if (r < 0)
        return r;
    apply_next(&applier);
    while (is_applying(&applier))
        uv_run(loop, UV_RUN_ONCE);
    json_free(applier.body);
    return applier.r;
}

/* --- program -------------------------------------------------------------------------------- */

static const struct option flags[] = {
    {"updates", OPTION_UINT, &updates_wanted, "COUNT", "updates to report on", NULL, "0"},
    {"project", OPTION_BOOL, &project, NULL, "keep only what a roll-up of AppArmorProfiles needs",
     NULL, NULL},
    {"body", OPTION_STRING, &body_path, "FILE", "the AppArmorNode to apply", NULL, NULL},
    {"agent-version", OPTION_STRING, &version, "TEXT", "start of the agent's version to write",
     NULL, ""},
    {"count", OPTION_UINT, &apply_count, "COUNT", "applies to measure", NULL, "100"},
    {"warm-up", OPTION_UINT, &warm_up, "COUNT", "applies before", NULL, "20"},
};
static const struct options options = {"kube_bench", "follow|apply: the work of the benchmarks",
                                       flags, ARRAY_SIZE(flags)};

static int run(const char *command)
{
    uv_loop_t loop;
    struct kube_client *client;
    int r;

    uv_loop_init(&loop);
    client = open_client(&loop);
    if (!client)
        r = -EINVAL;
    else if (strcmp(command, "follow") == 0)
        r = follow(&loop, client);
    else
        r = apply(&loop, client);
    kube_client_free(client);
    loop_drain(&loop);
    uv_loop_close(&loop);
    return r;
}

int main(int argc, char **argv)
{
    _cleanup_error_ struct error err = {0};
    enum options_outcome outcome;
    int first, r;

    alloc_init();
    r = options_parse(&options, argc, argv, &first, &outcome, &err);
    if (r == 0 && outcome != OPTIONS_RUN) {
        options_print_help(&options, stdout);
        return EXIT_SUCCESS;
    }
    if (r == 0 && (argc - first != 1 ||
                   (strcmp(argv[first], "follow") != 0 && strcmp(argv[first], "apply") != 0)))
        r = error_set(&err, -EINVAL, "one operand is needed: follow or apply");
    if (r == 0 && strcmp(argv[first], "apply") == 0 && !body_path)
        r = error_set(&err, -EINVAL, "apply needs --body");
    if (r < 0) {
        fprintf(stderr, "kube_bench: %s\n", error_message(&err));
        return 2;
    }
    r = run(argv[first]);
    free(body_path);
    free(version);
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
