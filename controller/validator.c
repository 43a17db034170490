// SPDX-License-Identifier: Apache-2.0
#include "controller/validator.h"

#include <assert.h>
#include <string.h>

#include "controller/controller_metrics.h"
#include "controller/verdicts.h"
#include "lib/base/alloc.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/map.h"

/* Questions at a time: more are not answered within any webhook's time. */
#define JOBS_MAX 64
/* Verdicts in memory, of a kilobyte or two each. */
#define VERDICTS_MAX 2000
/* Of a parser's run for a request that waits; else it is the compiler's own, as agents have it. */
#define URGENT_DEADLINE_MS 20000

struct kernels {
    struct features *items[VALIDATOR_KERNELS_MAX];
    size_t count;
};

/* One content, and who wants to know of it. */
struct job {
    struct validator *validator;
    char *key;
    struct policy_profile *profile;
    struct kernels kernels;
    struct check *check;
    struct validation *first;
};

struct validation {
    struct validator *validator;
    struct job *job; /* NULL: there is none any more, and the timer brings the answer */
    struct validation *next;
    validation_fn fn;
    void *userdata;
    struct loop_timer *timer;
    const char *answer; /* reason, for the timer; NULL: of the cache */
    char *key;
    bool forget;
};

struct validator {
    uv_loop_t *loop;
    struct validator_options options;
    struct builder *builder;
    struct kernels kernels;
    char id[DIGEST_HEX_SIZE];
    struct map *jobs; /* key → struct job, not owned */
    struct verdicts *verdicts;
};

/* --- kernels ------------------------------------------------------------------------- */

static void kernels_done(struct kernels *kernels)
{
    for (size_t i = 0; i < kernels->count; i++)
        features_unref(kernels->items[i]);
    *kernels = (struct kernels){0};
}

static struct kernels kernels_copy(const struct kernels *kernels)
{
    struct kernels copy = *kernels;

    for (size_t i = 0; i < copy.count; i++)
        features_ref(copy.items[i]);
    return copy;
}

static int by_id(const void *a, const void *b)
{
    const struct features *const *one = a, *const *other = b;

    return strcmp(features_id(*one), features_id(*other));
}

void validator_set_features(struct validator *validator, struct features *const *features,
                            size_t count)
{
    _cleanup_free_ struct features **sorted = xcalloc(count + 1, sizeof(*sorted));
    struct kernels kernels = {0};

    if (count > 0)
        memcpy(sorted, features, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), by_id);
    while (kernels.count < count && kernels.count < VALIDATOR_KERNELS_MAX) {
        kernels.items[kernels.count] = features_ref(sorted[kernels.count]);
        kernels.count++;
    }
    kernels_done(&validator->kernels);
    validator->kernels = kernels;
}

const char *validator_id(struct validator *validator)
{
    const struct compiler *compiler = builder_compiler(validator->builder);
    struct digest_part parts[VALIDATOR_KERNELS_MAX + 1];
    const struct kernels *kernels = &validator->kernels;

    if (!compiler)
        return NULL;
    parts[0] = (struct digest_part){compiler_id(compiler), strlen(compiler_id(compiler))};
    for (size_t i = 0; i < kernels->count; i++)
        parts[i + 1] = (struct digest_part){features_id(kernels->items[i]), FEATURES_ID_SIZE - 1};
    return digest_hex(DIGEST_SHA256, parts, kernels->count + 1, validator->id);
}

/* NULL while there is no compiler. The caller frees it. */
static char *key_of(struct validator *validator, const struct policy_profile *profile)
{
    const char *id = validator_id(validator);

    return id ? xasprintf("%s %s %d", id, profile->revision, profile->allow_host_attachment) : NULL;
}

/* --- the end of a question ----------------------------------------------------------- */

static void validation_free(struct validation *validation)
{
    loop_timer_free(validation->timer);
    free(validation->key);
    free(validation);
}

static void job_free(struct job *job)
{
    (void) map_take(job->validator->jobs, job->key);
    check_cancel(job->check);
    kernels_done(&job->kernels);
    policy_profile_free(job->profile);
    free(job->key);
    free(job);
}

/* A job that nobody waits for ends. */
static void leave_job(struct validation *validation)
{
    struct job *job = validation->job;
    struct validation **place = job ? &job->first : NULL;

    if (!job)
        return;
    while (*place != validation)
        place = &(*place)->next;
    *place = validation->next;
    validation->job = NULL;
    if (!job->first)
        job_free(job);
}

void validation_cancel(struct validation *validation)
{
    if (!validation)
        return;
    leave_job(validation);
    validation_free(validation);
}

static void answer(struct validation *validation, const struct verdict *verdict)
{
    validation->fn(validation->userdata, verdict);
    validation_free(validation);
}

/* Of the cache. */
static void answer_and_forget(struct validation *validation, const struct verdict *verdict)
{
    struct verdicts *verdicts = validation->validator->verdicts;
    _cleanup_free_ char *forgotten = validation->forget ? TAKE_PTR(validation->key) : NULL;

    answer(validation, verdict);
    if (forgotten)
        verdicts_remove(verdicts, forgotten);
}

static void answer_undecided(struct validation *validation, const char *reason)
{
    static const struct {
        const char *reason, *message;
    } messages[] = {
        {"Busy", "too many policies wait to be compiled: try again"},
        {"TimedOut", "the policy could not be compiled in time: try again, or simplify its rules"},
        {"CompilerUnavailable", "the controller has no compiler: see its log"},
    };
    const char *message = "";

    for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
        if (strcmp(messages[i].reason, reason) == 0)
            message = messages[i].message;
    _cleanup_(verdict_freep) struct verdict *verdict = verdict_undecided(reason, message);
    answer(validation, verdict);
}

/* At the deadline, or at once where no compiler has to run. */
static void on_timer(void *userdata)
{
    struct validation *validation = userdata;
    const struct verdict *verdict;

    if (validation->job) {
        leave_job(validation);
        answer_undecided(validation, "TimedOut");
        return;
    }
    verdict =
        validation->key ? verdicts_get(validation->validator->verdicts, validation->key) : NULL;
    if (verdict)
        answer_and_forget(validation, verdict);
    else
        answer_undecided(validation, validation->answer ? validation->answer : "Busy");
}

/* --- jobs ---------------------------------------------------------------------------- */

static bool is_lasting(const struct verdict *verdict)
{
    return verdict->result != VERDICT_UNDECIDED ||
           strcmp(verdict->reason, "CompilerUnavailable") != 0;
}

/* Each gets its answer from the loop, as it may cancel others. */
static void on_verdict(void *userdata, struct verdict *verdict)
{
    struct job *job = userdata;
    bool lasting = is_lasting(verdict);
    bool shared = job->first && job->first->next;

    job->check = NULL;
    while (job->first) {
        struct validation *validation = job->first;

        job->first = validation->next;
        validation->job = NULL;
        validation->answer = "CompilerUnavailable";
        validation->forget = validation->forget && !shared;
        if (lasting)
            validation->key = xstrdup(job->key);
        loop_timer_start(validation->timer, 0);
    }
    if (lasting)
        verdicts_put(job->validator->verdicts, job->key, TAKE_PTR(verdict));
    verdict_free(verdict);
    job_free(job);
}

static struct job *job_new(struct validator *validator, const char *key,
                           struct policy_profile *profile, bool urgent)
{
    struct job *job = xcalloc(1, sizeof(*job));

    job->validator = validator;
    job->key = xstrdup(key);
    job->profile = profile;
    job->kernels = kernels_copy(&validator->kernels);
    map_set(validator->jobs, job->key, job);
    const struct check_options options = {
        .builder = validator->builder,
        .features = job->kernels.items,
        .feature_count = job->kernels.count,
        .urgent = urgent,
        .deadline_ms = urgent ? URGENT_DEADLINE_MS : 0,
    };
    job->check = check_start(&options, profile, on_verdict, job);
    return job;
}

static void join_job(struct validation *validation, struct job *job)
{
    validation->job = job;
    validation->next = job->first;
    job->first = validation;
}

/* --- questions ----------------------------------------------------------------------- */

static struct validation *validation_new(struct validator *validator, validation_fn fn,
                                         void *userdata)
{
    struct validation *validation = xcalloc(1, sizeof(*validation));

    validation->validator = validator;
    validation->fn = fn;
    validation->userdata = userdata;
    validation->timer = loop_timer_new(validator->loop, on_timer, validation);
    return validation;
}

struct validation *validator_check(struct validator *validator, struct policy_profile *profile,
                                   const struct validation_options *options, validation_fn fn,
                                   void *userdata)
{
    _cleanup_(policy_profile_freep) struct policy_profile *own = profile;
    struct validation *validation = validation_new(validator, fn, userdata);
    _cleanup_free_ char *key = key_of(validator, profile);
    struct job *job = key ? map_get(validator->jobs, key) : NULL;

    if (!key)
        validation->answer = "CompilerUnavailable";
    else if (verdicts_get(validator->verdicts, key))
        validation->key = TAKE_PTR(key);
    else if (!job && map_size(validator->jobs) >= JOBS_MAX)
        validation->answer = "Busy";
    else if (job)
        join_job(validation, job);
    else {
        join_job(validation, job_new(validator, key, TAKE_PTR(own), options->urgent));
        validation->forget = options->forget;
    }
    if (!validation->job)
        loop_timer_start(validation->timer, 0);
    else if (options->deadline_ms > 0)
        loop_timer_start(validation->timer, options->deadline_ms);
    return validation;
}

size_t validator_depth(const struct validator *validator)
{
    return map_size(validator->jobs);
}

/* --- life ------------------------------------------------------------------------------ */

static void observe(void *userdata, bool success, double seconds)
{
    const struct validator *validator = userdata;
    struct metrics *metrics = validator->options.metrics;

    if (metrics)
        metrics_observe(metrics, METRIC_COMPILE_SECONDS, seconds,
                        (const char *const[]){success ? "accepted" : "failed"});
}

struct validator *validator_new(uv_loop_t *loop, const struct validator_options *options)
{
    struct validator *validator = xcalloc(1, sizeof(*validator));
    const struct builder_options builder = {
        .compiler = options->compiler,
        .parallel = 1,
        .observe = observe,
        .userdata = validator,
    };

    validator->loop = loop;
    validator->options = *options;
    validator->builder = builder_new(loop, &builder);
    /* To look at it and try it takes its time, which there is before anything else runs. */
    if (!builder_compiler(validator->builder))
        log_warn("there is no working apparmor_parser, so policy is not checked before nodes "
                 "compile it");
    validator->jobs = map_new(NULL);
    validator->verdicts = verdicts_new(VERDICTS_MAX);
    return validator;
}

void validator_free(struct validator *validator)
{
    if (!validator)
        return;
    assert(map_size(validator->jobs) == 0);
    map_free(validator->jobs);
    kernels_done(&validator->kernels);
    verdicts_free(validator->verdicts);
    builder_free(validator->builder);
    free(validator);
}
