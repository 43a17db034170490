// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/builder.h"

#include <errno.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"

/* How often a missing compiler is looked for, at most. */
#define COMPILER_RETRY_MS 10000

struct build {
    struct builder *builder;
    struct build *next;
    const struct policy_profile *profile;
    compile_fn fn;
    void *userdata;
    bool urgent;
    struct compile_options options;
    struct compilation *compilation; /* NULL while it waits */
    uint64_t started_ms;
};

struct builder {
    uv_loop_t *loop;
    struct builder_options options;
    struct compiler *compiler;
    struct error unavailable;
    uint64_t looked_ms;
    struct build *first; /* waiting */
    unsigned active;
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

/* One that is urgent at least always finds a place. */
static bool has_place(const struct builder *builder)
{
    const struct build *first = builder->first;

    return first && builder->active < builder->options.parallel + (first->urgent ? 1 : 0);
}

static struct build *take_first(struct builder *builder)
{
    struct build *build = builder->first;

    if (build)
        builder->first = build->next;
    return build;
}

static void observe(struct builder *builder, const struct build *build, bool success)
{
    uint64_t took_ms = clock_monotonic_ms() - build->started_ms;

    builder->pace_ms = builder->pace_ms ? (3 * builder->pace_ms + took_ms) / 4 : took_ms;
    if (builder->options.observe)
        builder->options.observe(builder->options.userdata, success, (double) took_ms / 1000);
}

static void compiled(void *userdata, struct compiled *result, const struct error *err)
{
    struct build *build = userdata;
    struct builder *builder = build->builder;

    builder->active--;
    if (!result || !result->cached)
        observe(builder, build, result != NULL);
    loop_timer_start(builder->kick, 0);
    build->fn(build->userdata, result, err);
    free(build);
}

static void begin(struct builder *builder, struct build *build)
{
    build->started_ms = clock_monotonic_ms();
    builder->active++;
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

    look_for_compiler(builder);
    while (has_place(builder)) {
        struct build *build = take_first(builder);

        if (builder->compiler)
            begin(builder, build);
        else
            refuse(builder, build);
    }
}

struct builder *builder_new(uv_loop_t *loop, const struct builder_options *options)
{
    struct builder *builder = xcalloc(1, sizeof(*builder));

    builder->loop = loop;
    builder->options = *options;
    if (builder->options.parallel == 0)
        builder->options.parallel = uv_available_parallelism();
    builder->kick = loop_timer_new(loop, kick, builder);
    return builder;
}

void builder_free(struct builder *builder)
{
    struct build *build;

    if (!builder)
        return;
    while ((build = take_first(builder)))
        free(build);
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
    struct build **place = &builder->first;

    build->builder = builder;
    build->profile = profile;
    build->fn = fn;
    build->userdata = userdata;
    build->urgent = urgent;
    build->options = *options;
    while (*place && !(urgent && !(*place)->urgent))
        place = &(*place)->next;
    build->next = *place;
    *place = build;
    loop_timer_start(builder->kick, 0);
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
        build->builder->active--;
        loop_timer_start(build->builder->kick, 0);
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
