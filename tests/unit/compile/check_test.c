// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/check.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/loop.h"

#define FEATURES "/usr/share/apparmor-features/features"

static uv_loop_t loop;
static struct builder *builder;

static void setup(void)
{
    const struct builder_options options = {.compiler = {.features = FEATURES}, .parallel = 1};

    alloc_init();
    uv_loop_init(&loop);
    builder = builder_new(&loop, &options);
}

static void teardown(void)
{
    builder_free(builder);
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(check, .init = setup, .fini = teardown, .timeout = 60);

static struct policy_profile profile_of(const char *text)
{
    return (struct policy_profile){
        .name = (char *) (uintptr_t) "p",
        .text = (char *) (uintptr_t) text,
        .text_len = strlen(text),
    };
}

static void keep(void *userdata, struct verdict *verdict)
{
    struct verdict **place = userdata;

    cr_assert_null(*place, "called once");
    *place = verdict;
}

static struct verdict *check_with(const struct check_options *options,
                                  const struct policy_profile *profile)
{
    struct verdict *verdict = NULL;

    check_start(options, profile, keep, &verdict);
    cr_assert_null(verdict, "never from inside");
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_not_null(verdict);
    return verdict;
}

static struct verdict *check(const char *text)
{
    const struct check_options options = {.builder = builder};
    struct policy_profile profile = profile_of(text);

    return check_with(&options, &profile);
}

Test(check, accepts_what_compiles_and_names_its_profiles)
{
    _cleanup_(verdict_freep) struct verdict *verdict =
        check("profile web { profile kid { /k r, } }\nprofile api flags=(complain) { /a r, }\n");

    cr_assert_eq(verdict->result, VERDICT_ACCEPTED, "%s", verdict->message);
    cr_assert_eq(verdict->names.len, 2);
    cr_assert_str_eq(verdict->names.items[0], "api");
    cr_assert_str_eq(verdict->names.items[1], "web");
    cr_assert_eq(verdict->mode, POLICY_MIXED);
    cr_assert_str_eq(verdict->message, "");
    cr_assert_eq(verdict->warnings.len, 0);
}

Test(check, refuses_with_the_line_its_text_and_a_caret)
{
    _cleanup_(verdict_freep) struct verdict *verdict =
        check("profile web {\n  /a r,\n\t /b bogus,\n}\n");

    cr_assert_eq(verdict->result, VERDICT_REFUSED);
    cr_assert(verdict->everywhere);
    cr_assert_str_eq(verdict->reason, "CompileError");
    cr_assert_eq(strncmp(verdict->message, "line 3: ", 8), 0, "%s", verdict->message);
    cr_assert_eq(verdict->line, 3);
    cr_assert_str_eq(verdict->excerpt, "    3 | \t /b bogus,\n      | \t ^");
}

Test(check, refuses_includes_and_attachments_for_their_reasons)
{
    _cleanup_(verdict_freep) struct verdict *include =
                                                check("include \"/etc/shadow\"\nprofile p { }"),
                                            *attached = check("profile p /usr/bin/p { /a r, }");

    cr_assert_str_eq(include->reason, "ForbiddenInclude");
    cr_assert_eq(include->line, 1);
    cr_assert_str_eq(attached->reason, "HostAttachment");
}

Test(check, warns_of_attachments_that_are_allowed)
{
    const struct check_options options = {.builder = builder};
    struct policy_profile profile = profile_of("profile p /usr/bin/p { /a r, }");

    profile.allow_host_attachment = true;
    _cleanup_(verdict_freep) struct verdict *verdict = check_with(&options, &profile);
    cr_assert_eq(verdict->result, VERDICT_ACCEPTED, "%s", verdict->message);
    cr_assert_eq(verdict->warnings.len, 1);
    cr_assert_str_eq(verdict->warnings.items[0].reason, POLICY_WARNING_ATTACHMENT);
}

/* --- several kernels --- */

static struct features *features_of(const char *text)
{
    struct features *features = NULL;

    cr_assert_eq(features_new(text, strlen(text), &features, NULL), 0);
    return features;
}

/* More than libapparmor reads: nothing compiles for that. */
static struct features *unreadable(void)
{
    static char text[9000];

    memset(text, 'x', sizeof(text) - 1);
    return features_of(text);
}

Test(check, one_kernel_that_refuses_is_told_from_all)
{
    struct features *kernels[2] = {NULL, unreadable()};
    struct policy_profile good = profile_of("profile p { /a r, }"), bad = profile_of("profile {");
    struct check_options options = {.builder = builder, .features = kernels, .feature_count = 2};

    cr_assert_eq(features_read(FEATURES, &kernels[0], NULL), 0);
    _cleanup_(verdict_freep) struct verdict *some = check_with(&options, &good);
    _cleanup_(verdict_freep) struct verdict *all = check_with(&options, &bad);
    cr_assert_eq(some->result, VERDICT_REFUSED);
    cr_assert_not(some->everywhere);
    _cleanup_free_ char *id = xasprintf("features %.8s)", features_id(kernels[1]));
    cr_assert_not_null(strstr(some->message, id), "%s", some->message);
    cr_assert_eq(all->result, VERDICT_REFUSED);
    cr_assert(all->everywhere);
    features_unref(kernels[0]);
    features_unref(kernels[1]);
}

Test(check, leaves_undecided_what_takes_too_long)
{
    const struct check_options options = {.builder = builder, .deadline_ms = 1};
    struct policy_profile profile = profile_of("profile p { include <abstractions/base> }");
    _cleanup_(verdict_freep) struct verdict *verdict = check_with(&options, &profile);

    cr_assert_eq(verdict->result, VERDICT_UNDECIDED);
    cr_assert_str_eq(verdict->reason, "CompileTimeout");
}

Test(check, cancelled_never_answers)
{
    const struct check_options options = {.builder = builder};
    struct policy_profile profile = profile_of("profile p { /a r, }");
    struct verdict *verdict = NULL;
    struct check *waiting = check_start(&options, &profile, keep, &verdict);

    check_cancel(waiting);
    struct check *running = check_start(&options, &profile, keep, &verdict);
    uv_run(&loop, UV_RUN_ONCE);
    check_cancel(running);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_null(verdict);
}

/* --- excerpts --- */

static void assert_excerpt(const char *text, unsigned line, const char *expected)
{
    _cleanup_free_ char *excerpt = verdict_excerpt(text, strlen(text), line);

    cr_assert_str_eq(excerpt, expected);
}

Test(check, excerpts_of_any_line)
{
    assert_excerpt("a\nb", 1, "    1 | a\n      | ^");
    assert_excerpt("a\nb", 2, "    2 | b\n      | ^");
    assert_excerpt("a\n", 2, "    2 | \n      | ^");
    assert_excerpt("a\n  \t\r\nc", 2, "    2 | \n      | ^");
    assert_excerpt("a\nb", 3, "");
    assert_excerpt("a", 0, "");
    assert_excerpt("", 1, "    1 | \n      | ^");
}

Test(check, excerpts_are_bounded_and_stay_valid_text)
{
    char text[1000];

    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "ä", 2);
    _cleanup_free_ char *excerpt = verdict_excerpt(text, 998, 1);
    cr_assert_lt(strlen(excerpt), 300);
    cr_assert_not_null(strstr(excerpt, "ä…\n"));
}

Test(check, lines_of_messages)
{
    cr_assert_eq(verdict_line("line 12: syntax error"), 12);
    cr_assert_eq(verdict_line("line 0: x"), 0);
    cr_assert_eq(verdict_line("line x"), 0);
    cr_assert_eq(verdict_line("line 3 x"), 0);
    cr_assert_eq(verdict_line("line 99999999999999999999: x"), 0);
    cr_assert_eq(verdict_line("the policy"), 0);
}
