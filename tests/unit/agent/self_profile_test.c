// SPDX-License-Identifier: Apache-2.0
#include "agent/self_profile.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "lib/compile/compile.h"
#include "lib/policy/blob_name.h"

#define FEATURES "/usr/share/apparmor-features/features"

static void init(void)
{
    alloc_init();
}

TestSuite(self_profile, .init = init, .timeout = 60);

/* Tests run at the top of the source tree. */
Test(self_profile, the_program_has_the_file)
{
    _cleanup_buf_ struct buf text = BUF_INIT(100000);

    cr_assert_eq(fs_read(AT_FDCWD, "deploy/apparmor-agent.profile", &text, NULL), 0);
    cr_assert_str_eq(self_profile_shipped(), buf_string(&text));
}

static void record(void *userdata, struct compiled *compiled, const struct error *err)
{
    cr_assert_eq(err->code, 0, "%s", error_message(err));
    *(struct compiled **) userdata = compiled;
}

/* As the agent itself compiles it. */
static struct compiled *compile(const struct self_places *places)
{
    const struct compiler_options options = {.features = FEATURES};
    _cleanup_buf_ struct buf text = BUF_INIT(100000);
    _cleanup_error_ struct error err = {0};
    struct compiler *compiler = NULL;
    struct compiled *compiled = NULL;
    uv_loop_t loop;

    cr_assert_eq(self_profile_text(places, &text, &err), 0, "%s", error_message(&err));
    const struct policy_profile profile = {
        .name = (char *) (uintptr_t) "agent",
        .text = text.data,
        .text_len = text.len,
    };
    uv_loop_init(&loop);
    cr_assert_eq(compiler_new(&loop, &options, &compiler, &err), 0, "%s", error_message(&err));
    compiler_run(compiler, &profile, false, record, &compiled);
    uv_run(&loop, UV_RUN_DEFAULT);
    compiler_free(compiler);
    loop_drain(&loop);
    uv_loop_close(&loop);
    cr_assert_not_null(compiled);
    return compiled;
}

Test(self_profile, compiles_to_the_two_profiles_that_are_meant)
{
    const struct self_places places = {0};
    _cleanup_(compiled_freep) struct compiled *compiled = compile(&places);
    const struct blob *blob = compiled->blob;

    cr_assert_eq(blob->count, 2);
    cr_assert_eq(blob_mode(blob), POLICY_ENFORCE);
    for (size_t i = 0; i < blob->count; i++) {
        const char *name = blob->profiles[i].name;
        cr_expect(strcmp(name, SELF_PROFILE) == 0 || strcmp(name, SELF_PARSER_PROFILE) == 0, "%s",
                  name);
        cr_expect(blob_name_reserved(name));
        cr_expect_not(blob->profiles[i].attaches);
    }
}

Test(self_profile, takes_places_of_any_name)
{
    struct self_places places = {0};

    strv_add(&places.host, "/a host/");
    strv_add(&places.apparmorfs, "/fs");
    strv_add(&places.includes, "/includes");
    strv_add(&places.parser, "/usr/local/parsers (all)/apparmor_parser");
    strv_add(&places.proc, "/host/proc");
    strv_add(&places.config, "/etc/agent/kubeconfig");
    strv_add(&places.config, "/my manifests/{,**}");
    _cleanup_(compiled_freep) struct compiled *compiled = compile(&places);
    cr_assert_eq(compiled->blob->count, 2);
    cr_assert_not_null(strstr(compiled->text, "@{host} += \"/a host/\"\n"));
    cr_assert_not_null(strstr(compiled->text, "@{config} += \"/my manifests/{,**}\"\n"));
    self_places_done(&places);
}

Test(self_profile, a_text_that_is_too_long_is_an_error)
{
    const struct self_places places = {0};
    _cleanup_buf_ struct buf text = BUF_INIT(1000);

    cr_assert_eq(self_profile_text(&places, &text, NULL), -EFBIG);
}
