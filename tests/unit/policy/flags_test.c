// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/flags.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/strv.h"
#include "lib/policy/blob.h"
#include "tests/unit/policy/parser.h"

static const enum policy_mode MODES[] = {POLICY_ENFORCE, POLICY_COMPLAIN, POLICY_KILL,
                                         POLICY_UNCONFINED};

static int rewrite(const char *text, enum policy_mode mode, struct buf *out, struct error *err)
{
    size_t len = strlen(text);
    _cleanup_free_ char *exact = xmemdup(text, len ? len : 1);

    return policy_flags_rewrite(exact, len, mode, out, err);
}

struct rewrite_case {
    const char *text, *complain, *enforce;
};

static const struct rewrite_case CASES[] = {
    {"profile a { }", "profile a flags=(complain) { }", "profile a { }"},
    {"profile a flags=(complain) { }", "profile a flags=(complain) { }", "profile a { }"},
    {"profile a flags=(kill){ }", "profile a flags=(complain){ }", "profile a { }"},
    {"profile a flags=( enforce ) { }", "profile a flags=( complain ) { }", "profile a { }"},
    {"profile a flags=(complain,audit, complain) { }", "profile a flags=(complain,audit) { }",
     "profile a flags=(audit) { }"},
    {"profile a flags=(kill, \"kill\",audit) { }", "profile a flags=(complain, audit) { }",
     "profile a flags=(audit) { }"},
    {"profile a flags=(attach_disconnected) { }",
     "profile a flags=(complain,attach_disconnected) { }",
     "profile a flags=(attach_disconnected) { }"},
    {"profile a flags=(audit, complain) { }", "profile a flags=(audit, complain) { }",
     "profile a flags=(audit) { }"},
    {"profile a flags=(unconfined  audit) { }", "profile a flags=(complain  audit) { }",
     "profile a flags=(audit) { }"},
    {"profile a flags = (kill,audit) { }", "profile a flags = (complain,audit) { }",
     "profile a flags = (audit) { }"},
    {"profile a (complain) { }", "profile a (complain) { }", "profile a { }"},
    {"profile a (audit) { }", "profile a (complain,audit) { }", "profile a (audit) { }"},
    {"/bin/a {\n}\n", "/bin/a flags=(complain) {\n}\n", "/bin/a {\n}\n"},
    {"profile a /bin/{b,c} xattrs=(user.x=\"{(\" y=(z)) flags=(kill) { }",
     "profile a /bin/{b,c} xattrs=(user.x=\"{(\" y=(z)) flags=(complain) { }",
     "profile a /bin/{b,c} xattrs=(user.x=\"{(\" y=(z)) { }"},
    {"profile \"a { # \\\" b\" { }", "profile \"a { # \\\" b\" flags=(complain) { }",
     "profile \"a { # \\\" b\" { }"},
    {"profile a # flags=(kill) {\n{ }", "profile a # flags=(kill) {\nflags=(complain) { }",
     "profile a # flags=(kill) {\n{ }"},
    {"profile a { hat h { } ^i flags=(kill) { } ^\"j k\" { } profile /l (kill) { } }",
     "profile a flags=(complain) { hat h flags=(complain) { } ^i flags=(complain) { } "
     "^\"j k\" flags=(complain) { } profile /l (complain) { } }",
     "profile a { hat h { } ^i { } ^\"j k\" { } profile /l { } }"},
    {"# profile x {\n@{X} = {a,b} \"{\" \\\n  } # {\nprofile a { /{x,y} r, \"/z{\" w, }",
     "# profile x {\n@{X} = {a,b} \"{\" \\\n  } # {\nprofile a flags=(complain) { /{x,y} r, "
     "\"/z{\" w, }",
     "# profile x {\n@{X} = {a,b} \"{\" \\\n  } # {\nprofile a { /{x,y} r, \"/z{\" w, }"},
    {"profile a { audit deny { /x r, } owner { /y w, } /z px -> profile, }",
     "profile a flags=(complain) { audit deny { /x r, } owner { /y w, } /z px -> profile, }",
     "profile a { audit deny { /x r, } owner { /y w, } /z px -> profile, }"},
    {"profile a { if defined @{X} { /x r, } else { /y r, } hat h { } }",
     "profile a flags=(complain) { if defined @{X} { /x r, } else { /y r, } "
     "hat h flags=(complain) { } }",
     "profile a { if defined @{X} { /x r, } else { /y r, } hat h { } }"},
    {"profile a /x flags=(attach_disconnected, complain,audit) { }",
     "profile a /x flags=(attach_disconnected, complain,audit) { }",
     "profile a /x flags=(attach_disconnected, audit) { }"},
    {"profile a flags = ( unconfined , audit ) { }", "profile a flags = ( complain , audit ) { }",
     "profile a flags = ( audit ) { }"},
    {"profile a /x xattrs=(user.a=b) { }", "profile a /x xattrs=(user.a=b) flags=(complain) { }",
     "profile a /x xattrs=(user.a=b) { }"},
    {"/x{,y} {\n}\n\"/a b\" {\n}\nprofile c{,d} {}",
     "/x{,y} flags=(complain) {\n}\n\"/a b\" flags=(complain) {\n}\n"
     "profile c{,d} flags=(complain) {}",
     "/x{,y} {\n}\n\"/a b\" {\n}\nprofile c{,d} {}"},
    {"", "", ""},
    {"# only a comment", "# only a comment", "# only a comment"},
};

Test(flags, each_case)
{
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        _cleanup_buf_ struct buf complain = BUF_INIT(4096), enforce = BUF_INIT(4096),
                                 unset = BUF_INIT(4096);
        _cleanup_error_ struct error err = {0};

        cr_expect_eq(rewrite(CASES[i].text, POLICY_COMPLAIN, &complain, &err), 0, "%s: %s",
                     CASES[i].text, error_message(&err));
        cr_expect_str_eq(buf_string(&complain), CASES[i].complain);
        cr_expect_eq(rewrite(CASES[i].text, POLICY_ENFORCE, &enforce, &err), 0, "%s: %s",
                     CASES[i].text, error_message(&err));
        cr_expect_str_eq(buf_string(&enforce), CASES[i].enforce);
        cr_expect_eq(rewrite(CASES[i].text, POLICY_MODE_UNSET, &unset, &err), 0);
        cr_expect_str_eq(buf_string(&unset), CASES[i].text);
    }
}

Test(flags, rules_stay_as_they_are)
{
    static const char *const rules[] = {
        "@{A}=x {y,z}\n@{B} += \\\n  q\n",
        "$c = true\n",
        "@{A}/{a,b}/** rw,\n\"/a {\" r,\n/a,b r,\n",
        "owner {\n/x r,\n}\naudit deny {\n/y r,\n}\n",
        "if $c {\n/x r,\n} else {\n/y r,\n}\n",
        "mount options=(rw, bind) /a{b,c} -> /d,\ndbus (send) bus=session peer=(name=x),\n",
        "# profile x {\n/x r, # profile y {\n",
        "change_profile -> @{A}//{b,c},\n/x px -> y,\n",
        "signal (send) peer={a,b},\nnetwork (read, write) inet,\n",
        "deny /{a,b} w,\nfile,\nset rlimit nofile <= 3,\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        _cleanup_free_ char *text = xasprintf("profile p {\n%s}\n# end", rules[i]);
        _cleanup_free_ char *expected =
            xasprintf("profile p flags=(complain) {\n%s}\n# end", rules[i]);
        _cleanup_buf_ struct buf out = BUF_INIT(4096);
        _cleanup_error_ struct error err = {0};

        cr_expect_eq(rewrite(text, POLICY_COMPLAIN, &out, &err), 0, "%s: %s", text,
                     error_message(&err));
        cr_expect_str_eq(buf_string(&out), expected);
    }
}

Test(flags, modes_of_newer_compilers_are_replaced)
{
    _cleanup_buf_ struct buf out = BUF_INIT(4096);

    cr_assert_eq(rewrite("profile a flags=(prompt,kill.signal=term) { }\n"
                         "profile b flags=(default_allow) { }\n",
                         POLICY_KILL, &out, NULL),
                 0);
    cr_assert_str_eq(buf_string(&out), "profile a flags=(kill,kill.signal=term) { }\n"
                                       "profile b flags=(kill) { }\n");
}

Test(flags, what_cannot_be_set_or_understood_is_an_error)
{
    static const char *const texts[] = {"profile a {",
                                        "}",
                                        "profile",
                                        "profile a { /x r }",
                                        "profile \"a { }",
                                        "profile a flags=(x { }",
                                        "profile a (x) (y) { }",
                                        "profile a { if x"};
    _cleanup_buf_ struct buf out = BUF_INIT(4096), full = BUF_INIT(20);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(rewrite("profile a { }", POLICY_USER, &out, &err), -EINVAL);
    cr_assert_eq(rewrite("profile a { }", POLICY_MIXED, &out, &err), -EINVAL);
    cr_assert_eq(rewrite("profile a { }", POLICY_COMPLAIN, &full, &err), -EFBIG);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        cr_expect_eq(rewrite(texts[i], POLICY_COMPLAIN, &out, &err), -EBADMSG, "%s", texts[i]);
        cr_expect_not_null(strstr(error_message(&err), "line 1"), "%s", error_message(&err));
    }
}

/* --- against the compiler --- */

static bool any_compiles_apart(const struct blob *blob)
{
    bool apart = false;

    for (size_t i = 0; !apart && i < blob->count; i++)
        apart = parser_compiles_apart(blob->profiles[i].mode);
    return apart;
}

static void expect_same_profiles(const char *name, const struct buf *compiled,
                                 const struct blob *original, enum policy_mode mode)
{
    _cleanup_(blob_freep) struct blob *blob = NULL;

    cr_assert_eq(blob_decode(compiled->data, compiled->len, &blob, NULL), 0, "%s", name);
    cr_expect_eq(blob_mode(blob), mode, "%s in %s", name, policy_mode_name(mode));
    cr_assert_eq(blob->count, original->count, "%s", name);
    for (size_t i = 0; i < blob->count; i++)
        cr_expect_str_eq(blob->profiles[i].name, original->profiles[i].name);
}

/*
 * The compiled text must have the same profiles in the mode. Returns in how many modes it is not
 * what patching the compiled original gives, byte for byte, where a mode is but a word.
 */
static size_t count_different(const char *name, const struct buf *text, size_t modes)
{
    _cleanup_buf_ struct buf original = BUF_INIT(PARSER_OUTPUT_MAX);
    _cleanup_(blob_freep) struct blob *blob = NULL;

    if (parser_run("-S", buf_string(text), text->len, &original) != 0)
        return 0;
    cr_assert_eq(blob_decode(original.data, original.len, &blob, NULL), 0, "%s", name);
    /* No mode of the blob's, and as much of the flags as such a mode. */
    size_t different = 0;
    bool apart = any_compiles_apart(blob) || strstr(buf_string(text), "default_allow");

    for (size_t i = 0; i < modes; i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(PARSER_OUTPUT_MAX),
                                 compiled = BUF_INIT(PARSER_OUTPUT_MAX);
        _cleanup_error_ struct error err = {0};

        cr_expect_eq(policy_flags_rewrite(text->data, text->len, MODES[i], &out, &err), 0, "%s: %s",
                     name, error_message(&err));
        cr_expect_eq(parser_run("-S", buf_string(&out), out.len, &compiled), 0, "%s", name);
        expect_same_profiles(name, &compiled, blob, MODES[i]);
        if (apart || parser_compiles_apart(MODES[i]))
            continue;
        blob_set_mode(original.data, blob, MODES[i]);
        if (compiled.len == original.len && memcmp(compiled.data, original.data, original.len) == 0)
            continue;
        fprintf(stderr, "%s differs in %s\n", name, policy_mode_name(MODES[i]));
        different++;
    }
    return different;
}

static void compare_text(const char *text)
{
    _cleanup_buf_ struct buf copy = BUF_INIT(1024 * 1024), check = BUF_INIT(PARSER_OUTPUT_MAX);

    cr_assert_eq(parser_run("-S", text, strlen(text), &check), 0, "does not compile: %s", text);
    cr_assert_eq(buf_add_string(&copy, text), 0);
    cr_expect_eq(count_different(text, &copy, ARRAY_SIZE(MODES)), 0);
}

Test(flags, the_compiler_agrees_on_written_cases)
{
    static const char *const texts[] = {
        "profile a { /x r,\n  profile b flags=(complain) { }\n  hat h flags=(kill) { }\n ^i { }\n}",
        "/bin/a (audit,complain) { /x px -> a//b, profile b { /y r, } }",
        "profile \"a {\" \"/bin/x {y,#}\" { }",
        "profile a xattrs=(user.x=\"(\" user.y=z) flags=(attach_disconnected,kill) { }",
        "@{X}={a,b} \"{c d,#}\"\nprofile a { /@{X}/x r, }",
        "profile a{b,c} { /x r, }",
        "profile a /x{b,c}{d,#} { /x r, }",
        "profile a { /x rw,/y r,\"/z {a,b}\" r, /v\\ {a,b} r, }",
        "profile a { audit { /x r, /y w, } owner { /z w, } ^h { } }",
        "profile a { mount options=(ro,bind) /{a,b} -> /c, signal (send) set=(hup) peer={b,c},\n"
        "  unix (send) type=stream peer=(label=\"{x,y}\"), dbus send bus=session path=/{a,b}, "
        "ptrace,\n"
        "  set rlimit nofile <= 10, network inet, capability chown, change_profile -> {a,b}, ^h { "
        "} }",
        "alias /a -> \"/b {c,d}\",\nprofile a { /x r, }",
        "profile a # {\n # flags=(kill)\n { # {\n /x r, # }\n }",
        "profile a\nflags=(complain)\n{\n}",
        "@{X}=a\nprofile a { if defined @{X} { /x r, } else { /y r, } hat h { } }",
        "abi <abi/3.0>,\nprofile a { /x r, }",
    };

    SKIP_WITHOUT_PARSER();
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        compare_text(texts[i]);
}

Test(flags, the_compiler_agrees_on_the_profiles_of_the_distribution)
{
    struct dirent *entry;
    size_t compared = 0, different = 0;

    SKIP_WITHOUT_PARSER();
    DIR *dir = opendir(PARSER_BASE);
    cr_assert_not_null(dir);
    while ((entry = readdir(dir))) {
        _cleanup_free_ char *path = xasprintf("%s/%s", PARSER_BASE, entry->d_name);
        _cleanup_buf_ struct buf flat = BUF_INIT(PARSER_OUTPUT_MAX);
        struct stat info;

        if (entry->d_name[0] == '.' || stat(path, &info) != 0 || !S_ISREG(info.st_mode) ||
            info.st_size > 2048)
            continue;
        cr_assert_eq(parser_run_file("-p", path, &flat), 0, "%s", path);
        different += count_different(path, &flat, 2);
        compared++;
    }
    closedir(dir);
    cr_assert_gt(compared, 5);
    /* Parser 4.1 makes other bytes of some large texts each time that it is run. */
    if (parser_major() <= 3)
        cr_assert_eq(different, 0);
    else
        cr_assert_leq(different, compared / 10);
}
