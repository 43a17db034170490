// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/builder.h"

#include <errno.h>
#include <string.h>
#include <sys/param.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"
#include "lib/base/memory_limit.h"

/* How often a missing compiler is looked for, at most. */
#define COMPILER_RETRY_MS 10000

/* The time between two that somebody or something applies one by one. */
#define FOLLOWS_MS 2000

#define MIB ((size_t) 1024 * 1024)
#define BUDGET_MAX (512 * MIB)
/* What the program itself may need of its container. */
#define RESERVE (128 * MIB)
/* Twice what common policies need with what they include; the parser's libraries count, too. */
#define SHARE_MIN (64 * MIB)

struct build {
    struct builder *builder;
    struct build *next;
    const struct policy_profile *profile;
    compile_fn fn;
    void *userdata;
    bool urgent;
    struct compile_options options;
    struct compilation *compilation; /* NULL while it waits */
    bool aside;                      /* it runs with the memory that repairs have */
    size_t memory;                   /* that it runs with; while it waits: that was not enough */
    uint64_t started_ms;
};

struct builder {
    uv_loop_t *loop;
    struct builder_options options;
    struct compiler *compiler;
    struct error unavailable;
    uint64_t looked_ms;
    struct build *first;  /* waiting */
    size_t memory, taken; /* for all together, but the one that is aside */
    size_t share;         /* of one that is not known to need more */
    size_t memory_aside;
    bool aside_taken;
    uint64_t began_ms; /* the last */
    uint64_t pace_ms;
    struct loop_timer *kick;
};

static void look_for_compiler(struct builder *builder)
{
    uint64_t now = clock_monotonic_ms();

    if (builder->compiler || (builder->looked_ms && now - builder->looked_ms < COMPILER_RETRY_MS))
        return;
    builder->looked_ms = now;
    (void) !compiler_new(builder->loop, &builder->options.compiler, &builder->compiler,
                         &builder->unavailable);
}

const struct compiler *builder_compiler(struct builder *builder)
{
    look_for_compiler(builder);
    return builder->compiler;
}

const char *builder_compiler_id(struct builder *builder)
{
    const struct compiler *compiler = builder_compiler(builder);

    return compiler ? compiler_id(compiler) : "";
}

/* --- whose turn it is --- */

/* What its share was too little for runs with all, and so alone. */
static size_t needs(const struct builder *builder, const struct build *build)
{
    return build->memory < builder->share ? builder->share : builder->memory;
}

static bool may_go_aside(const struct builder *builder, const struct build *build)
{
    return build->urgent && build->memory == 0 && !builder->aside_taken;
}

/* The first that finds a place. One that has to wait is overtaken by nothing but what goes aside,
 * so that it gets all of the memory some time. */
static struct build *take_next(struct builder *builder)
{
    size_t left = builder->memory - builder->taken;

    for (struct build **place = &builder->first; *place; place = &(*place)->next) {
        struct build *build = *place;
        size_t memory = needs(builder, build);

        build->aside = memory > left;
        if (!build->aside || may_go_aside(builder, build)) {
            build->memory = build->aside ? builder->memory_aside : memory;
            *place = build->next;
            return build;
        }
        left = 0;
    }
    return NULL;
}

static void take_place(struct build *build)
{
    if (build->aside)
        build->builder->aside_taken = true;
    else
        build->builder->taken += build->memory;
}

static void enqueue(struct build *build)
{
    struct build **place = &build->builder->first;

    while (*place && !(build->urgent && !(*place)->urgent))
        place = &(*place)->next;
    build->next = *place;
    *place = build;
    loop_timer_start(build->builder->kick, 0);
}

static void leave_place(struct build *build)
{
    struct builder *builder = build->builder;

    if (build->aside)
        builder->aside_taken = false;
    else
        builder->taken -= build->memory;
    build->compilation = NULL;
    loop_timer_start(builder->kick, 0);
}

/* --- running --- */

static void observe(struct builder *builder, const struct build *build, bool success)
{
    uint64_t took_ms = clock_monotonic_ms() - build->started_ms;

    builder->pace_ms = builder->pace_ms ? (3 * builder->pace_ms + took_ms) / 4 : took_ms;
    if (builder->options.observe)
        builder->options.observe(builder->options.userdata, success, (double) took_ms / 1000);
}

static bool wants_more_memory(const struct build *build, const struct error *err)
{
    return err->code == -ENOMEM && strcmp(error_reason(err, ""), "CompileResources") == 0 &&
           build->memory < build->builder->memory;
}

static void compiled(void *userdata, struct compiled *result, const struct error *err)
{
    struct build *build = userdata;
    struct builder *builder = build->builder;

    leave_place(build);
    if (!result && wants_more_memory(build, err)) {
        enqueue(build);
        return;
    }
    if (!result || !result->cached)
        observe(builder, build, result != NULL);
    build->fn(build->userdata, result, err);
    free(build);
}

static void begin(struct builder *builder, struct build *build)
{
    uint64_t before_ms = builder->began_ms;

    take_place(build);
    builder->began_ms = build->started_ms = clock_monotonic_ms();
    build->options.memory_max = build->memory;
    /* What has been followed by another so soon is likely to be again. */
    build->options.more =
        builder->first || (before_ms && build->started_ms - before_ms < FOLLOWS_MS);
    build->compilation =
        compiler_run_with(builder->compiler, build->profile, &build->options, compiled, build);
}

static void refuse(struct builder *builder, struct build *build)
{
    _cleanup_error_ struct error err = {0};

    error_set_reason(&err, -ENOENT, "CompilerUnavailable", "%s",
                     error_message(&builder->unavailable));
    build->fn(build->userdata, NULL, &err);
    free(build);
}

static void kick(void *userdata)
{
    struct builder *builder = userdata;
    struct build *build;

    look_for_compiler(builder);
    while ((build = take_next(builder))) {
        if (builder->compiler)
            begin(builder, build);
        else
            refuse(builder, build);
    }
}

/* --- life --- */

/* Half of a container that is small, as no part of that is enough for anything else. */
static size_t find_budget(void)
{
    uint64_t limit = memory_limit_read("/sys/fs/cgroup");

    if (limit >= BUDGET_MAX + RESERVE)
        return BUDGET_MAX;
    return (size_t) (limit > 2 * RESERVE ? limit - RESERVE : limit / 2);
}

static void divide_memory(struct builder *builder)
{
    struct builder_options *options = &builder->options;
    size_t budget = options->compiler.memory_max;

    builder->memory_aside = MIN(budget / 4, SHARE_MIN);
    builder->memory = budget - builder->memory_aside;
    options->compiler.memory_max = builder->memory;
    size_t most = MAX(builder->memory / SHARE_MIN, 1);
    builder->share = builder->memory / MIN(options->parallel, most);
}

struct builder *builder_new(uv_loop_t *loop, const struct builder_options *options)
{
    struct builder *builder = xcalloc(1, sizeof(*builder));

    builder->loop = loop;
    builder->options = *options;
    if (builder->options.parallel == 0)
        builder->options.parallel = uv_available_parallelism();
    if (builder->options.compiler.memory_max == 0)
        builder->options.compiler.memory_max = find_budget();
    divide_memory(builder);
    builder->kick = loop_timer_new(loop, kick, builder);
    return builder;
}

void builder_free(struct builder *builder)
{
    struct build *build;

    if (!builder)
        return;
    while ((build = builder->first)) {
        builder->first = build->next;
        free(build);
    }
    loop_timer_free(builder->kick);
    compiler_free(builder->compiler);
    error_done(&builder->unavailable);
    free(builder);
}

uint64_t builder_pace_ms(const struct builder *builder)
{
    return builder->pace_ms;
}

struct build *builder_start(struct builder *builder, const struct policy_profile *profile,
                            bool repair, compile_fn fn, void *userdata)
{
    const struct compile_options options = {.flat = repair};

    return builder_start_with(builder, profile, repair, &options, fn, userdata);
}

struct build *builder_start_with(struct builder *builder, const struct policy_profile *profile,
                                 bool urgent, const struct compile_options *options, compile_fn fn,
                                 void *userdata)
{
    struct build *build = xcalloc(1, sizeof(*build));

    build->builder = builder;
    build->profile = profile;
    build->fn = fn;
    build->userdata = userdata;
    build->urgent = urgent;
    build->options = *options;
    enqueue(build);
    return build;
}

bool build_is_waiting(const struct build *build)
{
    return build->compilation == NULL;
}

void build_cancel(struct build *build)
{
    if (!build)
        return;
    if (build->compilation) {
        compilation_cancel(build->compilation);
        leave_place(build);
    } else {
        for (struct build **place = &build->builder->first; *place; place = &(*place)->next) {
            if (*place == build) {
                *place = build->next;
                break;
            }
        }
    }
    free(build);
}
