// SPDX-License-Identifier: Apache-2.0
#include "cli/checker.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/loop.h"

#define KERNEL_FEATURES "/sys/kernel/security/apparmor/features"
#define DEFAULT_INCLUDES "/etc/apparmor.d"

struct checker {
    uv_loop_t loop;
    char *own_features; /* what the builder compiles for when nothing else is asked */
    struct builder *builder;
    struct features **features;
    size_t feature_count;
    unsigned waiting;
};

struct job {
    struct checker *checker;
    check_fn fn;
    compile_fn compiled;
    void *userdata;
};

/* "3.0", "4.0": the newest of the ABIs that AppArmor ships. */
static char *newest_abi(const char *includes)
{
    _cleanup_free_ char *folder = xasprintf("%s/abi", includes);
    char *newest = NULL;
    double version = 0;
    const struct dirent *entry;
    DIR *dir = opendir(folder);

    while (dir && (entry = readdir(dir))) {
        char *end;
        double found = strtod(entry->d_name, &end);

        if (*end == '\0' && found > version) {
            version = found;
            free(newest);
            newest = xasprintf("%s/%s", folder, entry->d_name);
        }
    }
    if (dir)
        closedir(dir);
    return newest;
}

static int choose_features(struct checker *checker, const struct checker_options *options,
                           struct error *err)
{
    const char *includes = options->includes ? options->includes : DEFAULT_INCLUDES;

    if (options->features && options->features->len > 0)
        checker->own_features = xstrdup(options->features->items[0]);
    else if (access(KERNEL_FEATURES "/file", R_OK) == 0)
        checker->own_features = xstrdup(KERNEL_FEATURES);
    else
        checker->own_features = newest_abi(includes);
    if (!checker->own_features)
        return error_set(err, -ENOENT,
                         "there are no kernel features to compile for, neither of this kernel nor "
                         "in %s/abi: install the package apparmor, or name a file with --features",
                         includes);
    return 0;
}

static int read_features(struct checker *checker, const struct strv *files, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && files && i < files->len; i++) {
        checker->features =
            xreallocarray(checker->features, checker->feature_count + 1, sizeof(struct features *));
        r = features_read(files->items[i], &checker->features[checker->feature_count], err);
        if (r < 0)
            return error_wrap(err, "--features %s", files->items[i]);
        checker->feature_count++;
    }
    return r;
}

int checker_new(const struct checker_options *options, struct checker **ret, struct error *err)
{
    _cleanup_(checker_freep) struct checker *checker = xcalloc(1, sizeof(*checker));
    struct builder_options builder_options = {
        .compiler = {.parser = options->parser, .includes = options->includes},
    };
    int r;

    uv_loop_init(&checker->loop);
    r = choose_features(checker, options, err);
    if (r == 0)
        r = read_features(checker, options->features, err);
    if (r < 0)
        return r;
    builder_options.compiler.features = checker->own_features;
    checker->builder = builder_new(&checker->loop, &builder_options);
    *ret = TAKE_PTR(checker);
    return 0;
}

void checker_free(struct checker *checker)
{
    if (!checker)
        return;
    builder_free(checker->builder);
    for (size_t i = 0; i < checker->feature_count; i++)
        features_unref(checker->features[i]);
    free(checker->features);
    free(checker->own_features);
    loop_drain(&checker->loop);
    uv_loop_close(&checker->loop);
    free(checker);
}

static struct job *begin(struct checker *checker, void *userdata)
{
    struct job *job = xcalloc(1, sizeof(*job));

    job->checker = checker;
    job->userdata = userdata;
    checker->waiting++;
    return job;
}

static void end(struct job *job)
{
    struct checker *checker = job->checker;

    free(job);
    if (--checker->waiting == 0)
        uv_stop(&checker->loop);
}

static void on_verdict(void *userdata, struct verdict *verdict)
{
    struct job *job = userdata;

    job->fn(job->userdata, verdict);
    end(job);
}

static void on_compiled(void *userdata, struct compiled *compiled, const struct error *err)
{
    struct job *job = userdata;

    job->compiled(job->userdata, compiled, err);
    end(job);
}

void checker_start(struct checker *checker, const struct policy_profile *profile, check_fn fn,
                   void *userdata)
{
    const struct check_options options = {
        .builder = checker->builder,
        .features = checker->features,
        .feature_count = checker->feature_count,
    };
    struct job *job = begin(checker, userdata);

    job->fn = fn;
    check_start(&options, profile, on_verdict, job);
}

void checker_compile(struct checker *checker, const struct policy_profile *profile, compile_fn fn,
                     void *userdata)
{
    struct job *job = begin(checker, userdata);

    job->compiled = fn;
    builder_start(checker->builder, profile, false, on_compiled, job);
}

void checker_wait(struct checker *checker)
{
    if (checker->waiting > 0)
        uv_run(&checker->loop, UV_RUN_DEFAULT);
}
