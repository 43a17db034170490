// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/includes.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "tests/unit/policy/parser.h"

static int check(const char *text, struct error *err)
{
    size_t len = strlen(text);
    _cleanup_free_ char *exact = xmemdup(text, len ? len : 1);

    return policy_includes_check(exact, len, err);
}

static void expect_all(const char *const *texts, size_t count, int outcome)
{
    for (size_t i = 0; i < count; i++) {
        _cleanup_error_ struct error err = {0};

        cr_expect_eq(check(texts[i], &err), outcome, "%s: %s", texts[i], error_message(&err));
        if (outcome < 0) {
            cr_expect_str_eq(error_reason(&err, ""), "ForbiddenInclude");
            cr_expect_eq(strncmp(error_message(&err), "line ", 5), 0, "%s", error_message(&err));
        }
    }
}

Test(includes, shipped_files_may_be_included)
{
    static const char *const texts[] = {
        "",
        "include <tunables/global>\nprofile a { include <abstractions/base> }\n",
        "#include <tunables/global>\n",
        "#include<tunables/global>\n",
        "\t#include  <tunables/global>  # rest\n",
        "include if exists <local/usr.sbin.x>\n",
        "#include if exists <local/usr.sbin.x>\n",
        "include <abstractions/apache2.d>\n",
        "include <abstractions/ubuntu-browsers.d/java>\n",
        "include if exists <php-fpm.d>\n",
        "abi <abi/3.0>,\n",
        "abi <abi/3.0>, include <tunables/global>\n",
        "profile a flags=(complain) {\n  # include more\n  include <abstractions/base>\n}\n",
        "profile a { /x r,include <abstractions/base>\n}",
    };

    expect_all(texts, ARRAY_SIZE(texts), 0);
}

Test(includes, what_only_looks_like_one_is_none)
{
    static const char *const texts[] = {
        "profile a { /usr/include/** r, }",
        "profile a { /usr/include r, /usr/x.include w, /{include,abi}/ r, }",
        "profile a { \"/an include dir/\" r, \"/x/#include \" r, }",
        "profile a { /x r, # include \"/etc/shadow\"\n }",
        "# include \"/etc/shadow\"\nprofile a { }",
        "## #include \"/etc/shadow\"\nprofile a { }",
        "profile a /x/#include { }",
        "@{include} = /x\n@{abi} = /y\nprofile a { @{include}/ r, @{abi}/ r, }",
        "profile includes { } profile abi.x { } profile /x/abi { }",
        "profile a { /x\\ include r, }",
        "profile a { capability chown, # capabilities include these\n }",
        "profile a { signal (send,receive) peer=b, # we include \"all\"\n }",
        "@{X} = a b # the usual ones\nprofile a { }",
        "@{X} += a\n# include \"/x\"\nprofile a { }",
        "profile a xattrs=(user.x=\"y\") { # include \"x\"\n }",
        "profile a { mount fstype=proc -> /proc/,\n # include \"x\"\n }",
        "if defined @{X} {\n # the rest (of it)\n}\n",
    };

    expect_all(texts, ARRAY_SIZE(texts), 0);
}

#define BAD "include \"/etc/shadow\""

/* Each of these makes one compiler or another open the file, or is too like one that does. */
Test(includes, what_could_read_another_file_is_refused)
{
    static const char *const texts[] = {
        BAD,
        "#" BAD "\n",
        "#include/etc/shadow\n",
        "#includes all\n",
        "#include\n\"/etc/shadow\"\n",
        "include /etc/shadow\n",
        "include </etc/shadow>\n",
        "include <../shadow>\n",
        "include <abstractions/../../shadow>\n",
        "include <abstractions/./base>\n",
        "include <abstractions//base>\n",
        "include <abstractions/\\056\\056/\\056\\056/shadow>\n",
        "include <\"abstractions/base\">\n",
        "include < abstractions/base>\n",
        "include <abstractions/@{x}>\n",
        "include <abstractionsx/base>\n",
        "include <usr.sbin.nscd>\n",
        "include <abstractions/base\n>\n",
        "include <abstractions/base",
        "include abstractions/base\n",
        "include if exists \"/etc/shadow\"\n",
        "#include if exists </etc/shadow>\n",
        "include\n<abstractions/base>\n",
        "include <abstractions/base>" BAD,
        "#include <abstractions/base> " BAD "\n",
        "abi \"/etc/shadow\",",
        "abi /etc/shadow,",
        "abi </etc/shadow>,",
        "abi\n\"/etc/shadow\",",
        "abi <abstractions/base>,",
        "abi <abi/3.0> " BAD ",",
        "profile a { capability\n" BAD "\n}",
        "profile a { /x r," BAD " }",
        "profile a flags=(complain)" BAD " { }",
        "profile a xattrs=(b=c)" BAD " { }",
        "profile \"a\"" BAD " { }",
        "profile a {" BAD " }",
        "profile # " BAD " { }",
        "profile a { ^# " BAD " { } }",
        "profile a { hat # " BAD " { } }",
        "profile a { /x#b " BAD " }",
        "profile a { /x,#b " BAD " }",
        "profile a { /x\\# " BAD " }",
        "profile a { /x\\ # " BAD " }",
        "profile a { priority=1" BAD " }",
        "profile a { + /x{" BAD " }",
        "profile a { /x px -> # " BAD "\n }",
        "profile a { /x px ->\n# " BAD "\n }",
        "profile a { link /x -> #b, " BAD " }",
        "profile a { set rlimit profile a," BAD " }",
        "profile a { signal set=(hup,\n#), " BAD "\n }",
        "profile a { signal set=(\\), #x) , " BAD "\n }",
        "profile a { signal peer=#, " BAD "\n }",
        "profile a { mount x\\\"y\" , " BAD " \"\n }",
        "profile a { @{X}# " BAD "\n }",
        "profile a { :# " BAD "\n }",
        "profile a { &# " BAD "\n }",
        "profile a { \"/x\\\" # \" r, " BAD "\n }",
        "profile a { \"/x\n# \" r, " BAD "\n }",
        "@{X} = a # b \\\n " BAD "\n",
        "@{X} = a\n" BAD "\n",
        "@{X}+a{" BAD "\n",
        "$Xlink#" BAD "\n",
        "hat=(a)" BAD "\n",
        "profile=1," BAD "\n",
        "alias /x -> # " BAD "\n,",
        "\x0b" BAD,
        "if $X { # " BAD "\n}",
    };

    expect_all(texts, ARRAY_SIZE(texts), -EPERM);
}

Test(includes, the_message_names_the_line_and_the_remedy)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(check("# one\nprofile a {\n  /x r,\n  include \"/y\"\n}\n", &err), -EPERM);
    cr_assert_eq(strncmp(error_message(&err), "line 4: include ", 16), 0, "%s",
                 error_message(&err));
    cr_assert_not_null(strstr(error_message(&err), "<abstractions/...>"));
    cr_assert_null(strstr(error_message(&err), "/y"));
}

Test(includes, a_nul_is_refused)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(policy_includes_check("a\0b", 3, &err), -EPERM);
}

static size_t files_checked;

static int check_file(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    _cleanup_buf_ struct buf text = BUF_INIT(1024 * 1024);
    _cleanup_error_ struct error err = {0};

    (void) info;
    (void) walk;
    if (type != FTW_F || strstr(path, "/abi/"))
        return 0;
    cr_assert_eq(fs_read(AT_FDCWD, path, &text, &err), 0, "%s", error_message(&err));
    cr_expect_eq(policy_includes_check(buf_string(&text), text.len, &err), 0, "%s: %s", path,
                 error_message(&err));
    files_checked++;
    return 0;
}

Test(includes, all_policy_of_the_distribution_passes)
{
    if (access("/etc/apparmor.d/abstractions", R_OK) != 0)
        cr_skip_test("needs the package apparmor\n");
    cr_assert_eq(nftw("/etc/apparmor.d", check_file, 16, FTW_PHYS), 0);
    nftw("/usr/share/apparmor/extra-profiles", check_file, 16, FTW_PHYS);
    cr_assert_gt(files_checked, 50);
}

/*
 * The compiler itself tells whether it opened the file: with --preprocess it shows its content.
 */
Test(includes, the_compiler_opens_what_is_refused)
{
    static const char *const forms[] = {
        "include \"%s\"\n",
        "#include \"%s\"\n",
        "#include%s\n",
        "include <../../..%s>\n",
        "include <abstractions/../../..%s>\n",
        "include <abstractions/\\056\\056/\\056\\056/..%s>\n",
        "profile a { capability\ninclude \"%s\"\n}\n",
        "profile a { /x,#b include \"%s\"\n}\n",
        "profile # include \"%s\"\n",
        "$Xlink#include \"%s\"\n",
        "profile a { &# include \"%s\"\n}\n",
        "alias /x -> # include \"%s\"\n",
    };
    char path[64];

    SKIP_WITHOUT_PARSER();
    _cleanup_close_ int fd = parser_memfd("secret", "# the secret\n", 13);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(1024 * 1024);
        char text[512];

        snprintf(text, sizeof(text), forms[i], path);
        (void) parser_run("-p", text, strlen(text), &out);
        cr_expect_not_null(strstr(buf_string(&out), "# the secret"), "%s: %s", text,
                           buf_string(&out));
        cr_expect_eq(check(text, NULL), -EPERM, "%s", text);
    }
}
