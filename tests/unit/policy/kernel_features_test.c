// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/kernel_features.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/warnings.h"
#include "tests/unit/policy/parser.h"

TestSuite(kernel_features, .init = alloc_init, .timeout = 60);

static const char text[] = "signal {mask {hup int\n}\n}\n"
                           "namespaces {mask {userns_create\n}\npivot_root {no\n}\n}\n"
                           "ipc {posix_mqueue {create\n}\n}\n"
                           "capability {0xffffff\n}\n";

static bool have(const char *path)
{
    return kernel_features_have(text, strlen(text), path);
}

Test(kernel_features, are_found_by_their_paths)
{
    cr_assert(have("signal"));
    cr_assert(have("signal/mask"));
    cr_assert(have("signal/mask/hup"));
    cr_assert(have("signal/mask/int"));
    cr_assert(have("namespaces/mask/userns_create"));
    cr_assert(have("ipc/posix_mqueue"));
    cr_assert(have("capability/0xffffff"));
    cr_assert_not(have("mask"));
    cr_assert_not(have("hup"));
    cr_assert_not(have("signal/hup"));
    cr_assert_not(have("signal/mask/hup/int"));
    cr_assert_not(have("signa"));
    cr_assert_not(have("signals"));
    cr_assert_not(have("ipc/create"));
    cr_assert_not(have("signal/mask/userns_create"));
    cr_assert_not(have(""));
    cr_assert_not(have("signal/"));
}

Test(kernel_features, of_damaged_texts_are_no_harm)
{
    static const char *const texts[] = {"", "{", "}", "a {", "a { b", "a } b", "{ a }", "}}}}{{{{"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        (void) kernel_features_have(texts[i], strlen(texts[i]), "a/b/c");
    cr_assert(kernel_features_have("a {", 3, "a"));
    cr_assert_not(kernel_features_have("a } b {", 7, "b"));
}

static struct policy_rule rule_of(const char *word)
{
    return (struct policy_rule){.word = word, .word_len = strlen(word)};
}

Test(kernel_features, enforce_what_every_kernel_does)
{
    static const char *const words[] = {"", "capability", "rlimit", "change_profile", "file"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        struct policy_rule rule = rule_of(words[i]);
        cr_assert(kernel_features_enforce("", 0, &rule), "%s", words[i]);
    }
}

/* --- as the compiler sees it --- */

/* A rule of each kind that every supported compiler knows, and features with and without it. */
static const struct {
    const char *rule, *kind, *features;
} kinds[] = {
    {"signal,", "signal", "signal {mask {hup int\n}\n}\n"},
    {"ptrace,", "ptrace", "ptrace {mask {read trace\n}\n}\n"},
    {"mount,", "mount", "mount {mask {mount umount pivot_root\n}\n}\n"},
    {"umount,", "umount", "mount {mask {mount umount pivot_root\n}\n}\n"},
    {"pivot_root,", "pivot_root", "mount {mask {mount umount pivot_root\n}\n}\n"},
    {"dbus,", "dbus", "dbus {mask {acquire send receive\n}\n}\n"},
    {"network inet stream,", "network", "network_v8 {af_mask {unspec unix inet\n}\n}\n"},
    {"network inet stream,", "network", "network {af_mask {unspec unix inet\n}\n}\n"},
};
static const char base[] =
    "caps {mask {chown\n}\n}\nfile {mask {read write exec append\n}\n}\n"
    "domain {change_profile {yes\n}\n}\npolicy {versions {v7 {yes\n}\n}\n}\n";

/* Whether the rule makes a difference to what the compiler makes for these features. */
static bool makes_a_difference(const char *rule, const char *features)
{
    _cleanup_free_ char *with = xasprintf("profile p { /a r, %s }", rule);
    static const char without[] = "profile p { /a r, }";
    _cleanup_buf_ struct buf a = BUF_INIT(PARSER_OUTPUT_MAX), b = BUF_INIT(PARSER_OUTPUT_MAX);

    cr_assert_eq(parser_run_with(features, "-S", with, strlen(with), &a), 0, "%s", rule);
    cr_assert_eq(parser_run_with(features, "-S", without, strlen(without), &b), 0);
    return a.len != b.len || memcmp(buf_string(&a), buf_string(&b), a.len) != 0;
}

Test(kernel_features, enforce_what_the_compiler_gives_the_kernel)
{
    SKIP_WITHOUT_PARSER();
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct policy_rule rule = rule_of(kinds[i].kind);
        _cleanup_free_ char *full = xasprintf("%s%s", base, kinds[i].features);

        cr_assert(kernel_features_enforce(full, strlen(full), &rule), "%s", kinds[i].rule);
        cr_assert_not(kernel_features_enforce(base, strlen(base), &rule), "%s", kinds[i].rule);
        cr_assert(makes_a_difference(kinds[i].rule, full), "%s", kinds[i].rule);
        cr_assert_not(makes_a_difference(kinds[i].rule, base), "%s", kinds[i].rule);
    }
}
