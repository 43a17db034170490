// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/builder.h"

#include <criterion/criterion.h>
#include <string.h>

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
