// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/builder.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/loop.h"

#define FEATURES "/usr/share/apparmor-features/features"

static uv_loop_t loop;
static unsigned observed;
static struct builder *builder;
static char finished[16]; /* the first letters of what has ended, in that order */

static void count(void *userdata, bool success, double seconds)
{
    (void) userdata;
    cr_assert(success && seconds >= 0);
    observed++;
}

static void setup(void)
{
    struct builder_options options = {.compiler = {.features = FEATURES}, .parallel = 1};

    alloc_init();
    uv_loop_init(&loop);
    observed = 0;
    options.observe = count;
    builder = builder_new(&loop, &options);
    cr_assert_not_null(builder_compiler(builder));
}

static void teardown(void)
{
    builder_free(builder);
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(builder, .init = setup, .fini = teardown, .timeout = 60);

static struct policy_profile *profile_of(const char *name, char *text)
{
    struct policy_profile *profile = xcalloc(1, sizeof(*profile));

    profile->name = xstrdup(name);
    profile->uid = xstrdup("");
    profile->text = text;
    profile->text_len = strlen(text);
    return profile;
}

static struct policy_profile *quick(const char *name)
{
    return profile_of(name, xasprintf("profile %s { file, }", name));
}

/* Keeps the parser busy for longer than any test lasts. */
static struct policy_profile *endless(const char *name)
{
    struct buf text = BUF_INIT(256 * 1024);

    buf_addf(&text, "profile %s {\n", name);
    for (int i = 0; i < 300; i++)
        buf_addf(&text, "/**%d**a**%d**{b,c}** rw,\n", i, i + 1);
    buf_add_string(&text, "}\n");
    return profile_of(name, buf_take(&text));
}

/* Needs more than a share of BUDGET, and less than all of it. */
static struct policy_profile *large(const char *name)
{
    struct buf text = BUF_INIT(256 * 1024);

    buf_addf(&text, "profile %s {\n", name);
    for (int i = 0; i < 1000; i++)
        buf_addf(&text, "/srv/app%d/** rw,\n", i);
    buf_add_string(&text, "}\n");
    return profile_of(name, buf_take(&text));
}

static void ended(void *userdata, struct compiled *compiled, _unused_ const struct error *err)
{
    const struct policy_profile *profile = userdata;
    size_t len = strlen(finished);

    cr_assert_not_null(compiled);
    compiled_free(compiled);
    finished[len] = profile->name[0];
    finished[len + 1] = '\0';
    uv_stop(&loop);
}

static void run_until(const char *expected)
{
    while (strlen(finished) < strlen(expected))
        uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(finished, expected);
}

Test(builder, builds_in_order_of_arrival_and_repairs_before_what_is_new)
{
    _cleanup_(policy_profile_freep) struct policy_profile *a = quick("a"), *b = quick("b"),
                                                          *r = quick("r"), *s = quick("s");

    builder_start(builder, a, false, ended, a);
    builder_start(builder, b, false, ended, b);
    builder_start(builder, r, true, ended, r);
    builder_start(builder, s, true, ended, s);
    while (strlen(finished) < 4)
        uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_lt(strchr(finished, 'r'), strchr(finished, 'b'));
    cr_assert_lt(strchr(finished, 's'), strchr(finished, 'b'));
    cr_assert_lt(strchr(finished, 'a'), strchr(finished, 'b'));
    cr_assert_eq(observed, 4);
}

Test(builder, a_text_that_takes_for_ever_keeps_no_repair_waiting)
{
    _cleanup_(policy_profile_freep) struct policy_profile *e = endless("e"), *n = quick("n"),
                                                          *r = quick("r");
    struct build *first;

    first = builder_start(builder, e, false, ended, e);
    builder_start(builder, n, false, ended, n);
    builder_start(builder, r, true, ended, r);
    run_until("r");
    /* What is new waits for its place until that is free. */
    build_cancel(first);
    run_until("rn");
}

Test(builder, what_is_cancelled_is_not_heard_of)
{
    _cleanup_(policy_profile_freep) struct policy_profile *e = endless("e"), *n = quick("n"),
                                                          *m = quick("m");
    struct build *waiting;

    build_cancel(builder_start(builder, e, false, ended, e));
    waiting = builder_start(builder, n, false, ended, n);
    builder_start(builder, m, false, ended, m);
    build_cancel(waiting);
    run_until("m");
}

/* --- memory --- */

#define MIB ((size_t) 1024 * 1024)
/* Of which repairs have 48 to themselves, and each of two others 72. */
#define BUDGET (192 * MIB)

static size_t most_together, most_of_one; /* of the limits of compilers that were seen */
static unsigned most_at_once;
static pid_t largest; /* which has most_of_one */
static char errors[512];

static size_t limit_of(unsigned pid)
{
    _cleanup_free_ char *path = xasprintf("/proc/%u/limits", pid);
    FILE *file = fopen(path, "re");
    char line[256];
    size_t limit = 0;

    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, "Max address space", strlen("Max address space")) == 0)
            limit = strtoull(line + strlen("Max address space"), NULL, 10);
    if (file)
        fclose(file);
    return limit;
}

/* Those of all compilers that run now. One that has ended and is not reaped counts, too; the one
 * that is held ready sees no policy and has no limit. */
static void look_at_limits(void)
{
    _cleanup_free_ char *path = xasprintf("/proc/self/task/%d/children", getpid());
    FILE *file = fopen(path, "re");
    size_t together = 0;
    unsigned pid, at_once = 0;

    cr_assert_not_null(file);
    while (fscanf(file, "%u", &pid) == 1) {
        size_t limit = limit_of(pid);
        together += limit;
        at_once += limit > 0;
        if (limit > most_of_one) {
            most_of_one = limit;
            largest = (pid_t) pid;
        }
    }
    fclose(file);
    most_together = MAX(most_together, together);
    most_at_once = MAX(most_at_once, at_once);
    cr_assert_leq(together, BUDGET, "%zu MiB", together / MIB);
}

static void ended_somehow(void *userdata, struct compiled *compiled, const struct error *err)
{
    const struct policy_profile *profile = userdata;
    size_t len = strlen(finished);

    if (!compiled)
        snprintf(errors + strlen(errors), sizeof(errors) - strlen(errors), "%s: %s: %s\n",
                 profile->name, error_reason(err, ""), error_message(err));
    compiled_free(compiled);
    finished[len] = profile->name[0];
    finished[len + 1] = '\0';
}

static void run_until_count(size_t count_ended)
{
    while (strlen(finished) < count_ended) {
        uv_run(&loop, UV_RUN_ONCE);
        look_at_limits();
    }
}

static void setup_budget(void)
{
    struct builder_options options = {
        .compiler = {.features = FEATURES, .memory_max = BUDGET},
        .parallel = 2,
    };

    alloc_init();
    uv_loop_init(&loop);
    builder = builder_new(&loop, &options);
    cr_assert_not_null(builder_compiler(builder));
}

TestSuite(builder_memory, .init = setup_budget, .fini = teardown, .timeout = 60);

Test(builder_memory, hogs_never_have_more_than_the_budget_together_and_go_last)
{
    _cleanup_(policy_profile_freep) struct policy_profile *e = endless("e"), *f = endless("f"),
                                                          *n = quick("n");

    builder_start(builder, e, false, ended_somehow, e);
    builder_start(builder, f, false, ended_somehow, f);
    builder_start(builder, n, false, ended_somehow, n);
    run_until_count(3);
    cr_assert_eq(finished[0], 'n', "%s", finished);
    /* They did run at once, and each alone after that. */
    cr_assert_eq(most_at_once, 2);
    cr_assert_eq(most_together, 144 * MIB, "%zu MiB", most_together / MIB);
    cr_assert_eq(most_of_one, 144 * MIB, "%zu MiB", most_of_one / MIB);
    cr_assert_not_null(strstr(errors, "e: CompileResources: the compiler needs more than 144 MiB"),
                       "%s", errors);
    cr_assert_not_null(strstr(errors, "f: CompileResources: the compiler needs more than 144 MiB"),
                       "%s", errors);
}

Test(builder_memory, what_needs_more_than_its_share_gets_it)
{
    _cleanup_(policy_profile_freep) struct policy_profile *l = large("l"), *m = large("m");

    builder_start(builder, l, false, ended_somehow, l);
    builder_start(builder, m, true, ended_somehow, m);
    run_until_count(2);
    cr_assert_str_empty(errors);
    cr_assert_eq(most_of_one, 144 * MIB, "%zu MiB", most_of_one / MIB);
}

/* False when it has ended by then. */
static bool stop_largest(void)
{
    siginfo_t info = {0};

    return kill(largest, SIGSTOP) == 0 &&
           waitid(P_PID, (id_t) largest, &info, WSTOPPED | WEXITED | WNOWAIT) == 0 &&
           info.si_code == CLD_STOPPED;
}

/* Does not wait for events, the next of which may be its end. */
static pid_t stop_one_with(size_t limit)
{
    do {
        most_of_one = 0;
        uv_run(&loop, UV_RUN_NOWAIT);
        look_at_limits();
    } while (most_of_one < limit || !stop_largest());
    cr_assert_eq(most_of_one, limit);
    return largest;
}

Test(builder_memory, a_repair_does_not_wait_for_one_that_has_the_memory)
{
    _cleanup_(policy_profile_freep) struct policy_profile *e = endless("e"), *n = quick("n"),
                                                          *r = quick("r");

    builder_start(builder, e, false, ended_somehow, e);
    pid_t stopped = stop_one_with(144 * MIB);
    builder_start(builder, n, false, ended_somehow, n);
    builder_start(builder, r, true, ended_somehow, r);
    run_until_count(1);
    cr_assert_eq(kill(stopped, SIGCONT), 0);
    run_until_count(3);
    cr_assert_str_eq(finished, "ren");
    cr_assert_eq(most_together, BUDGET);
}

Test(builder_memory, what_waits_for_all_of_it_is_not_overtaken)
{
    _cleanup_(policy_profile_freep) struct policy_profile *e = endless("e"), *l = large("l"),
                                                          *n = quick("n");
    struct build *waits, *late;

    builder_start(builder, e, false, ended_somehow, e);
    pid_t stopped = stop_one_with(72 * MIB);
    waits = builder_start(builder, l, false, ended_somehow, l);
    while (build_is_waiting(waits))
        uv_run(&loop, UV_RUN_ONCE);
    while (!build_is_waiting(waits))
        uv_run(&loop, UV_RUN_ONCE);
    /* For this there is a share. */
    late = builder_start(builder, n, false, ended_somehow, n);
    for (int i = 0; i < 5; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert(build_is_waiting(late));
    cr_assert_eq(kill(stopped, SIGCONT), 0);
    run_until_count(3);
    cr_assert_str_eq(finished, "lne");
}
