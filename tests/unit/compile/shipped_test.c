// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/shipped.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/compile/flatten.h"
#include "tests/unit/scratch.h"

#ifndef PARSER
#define PARSER "apparmor_parser"
#define POLICY "/etc/apparmor.d"
#endif
#define FEATURES "/usr/share/apparmor-features/features"
#define TEXT_MAX (4 * 1024 * 1024)

TestSuite(shipped, .init = scratch_make, .fini = scratch_remove, .timeout = 120);

/* --- beside the parser --- */

/* Words, each after one blank, and the ends of lines that mean something; NULL where no clean text
 * comes of it. */
static char *words_of(const struct buf *text)
{
    _cleanup_buf_ struct buf clean = BUF_INIT(TEXT_MAX);
    struct buf out = BUF_INIT(TEXT_MAX);

    if (flatten_clean(buf_string(text), text->len, &clean, NULL) < 0)
        return NULL;
    char *rest = clean.data;
    for (char *line; (line = strsep(&rest, "\n"));) {
        bool ends = strpbrk(line, "#=");
        for (char *word; (word = strsep(&line, " \t\r"));)
            if (*word)
                cr_assert_eq(buf_addf(&out, " %s", word), 0);
        if (ends)
            cr_assert_eq(buf_add_char(&out, '\n'), 0);
    }
    return out.data ? buf_take(&out) : xstrdup("");
}

static char *ours(const char *base, const char *text, size_t len)
{
    _cleanup_(shipped_freep) struct shipped *shipped = shipped_new(base);
    _cleanup_buf_ struct buf out = BUF_INIT(TEXT_MAX), again = BUF_INIT(TEXT_MAX);

    if (shipped_expand(shipped, text, len, &out) < 0)
        return NULL;
    cr_assert_eq(shipped_expand(shipped, text, len, &again), 0);
    cr_assert_eq(again.len, out.len);
    cr_assert_eq(memcmp(again.data, out.data, out.len), 0, "from memory it is the same");
    return words_of(&out);
}

/* NULL: the parser refuses it. */
static char *parsers(const char *base, const char *file)
{
    _cleanup_free_ char *command =
        xasprintf(PARSER " --config-file /dev/null --base %s --features-file " FEATURES
                         " --quiet --preprocess %s 2>/dev/null",
                  base, file);
    _cleanup_buf_ struct buf out = BUF_INIT(TEXT_MAX);
    char chunk[65536];
    FILE *pipe = popen(command, "r");

    cr_assert_not_null(pipe);
    for (size_t count; (count = fread(chunk, 1, sizeof(chunk), pipe)) > 0;)
        cr_assert_eq(buf_add(&out, chunk, count), 0);
    return pclose(pipe) == 0 ? words_of(&out) : NULL;
}

struct tally {
    unsigned same, left;
    unsigned lenient; /* what the parser refuses here is refused when it compiles */
};

static void compare(const char *base, const char *file, struct tally *tally)
{
    _cleanup_buf_ struct buf text = BUF_INIT(TEXT_MAX);

    cr_assert_eq(fs_read(AT_FDCWD, file, &text, NULL), 0);
    _cleanup_free_ char *expected = parsers(base, file);
    _cleanup_free_ char *found = ours(base, buf_string(&text), text.len);
    tally->lenient += found && !expected;
    if (!expected)
        return;
    if (found)
        cr_assert_str_eq(found, expected, "%s:\n%s", file, buf_string(&text));
    tally->same += found != NULL;
    tally->left += found == NULL;
}

Test(shipped, what_debian_ships_comes_out_as_from_the_parser)
{
    struct tally tally = {0};
    DIR *folder = opendir(POLICY);
    const struct dirent *entry;

    cr_assert_not_null(folder);
    while ((entry = readdir(folder))) {
        _cleanup_free_ char *file = xasprintf("%s/%s", POLICY, entry->d_name);
        struct stat st;
        if (entry->d_name[0] != '.' && stat(file, &st) == 0 && S_ISREG(st.st_mode))
            compare(POLICY, file, &tally);
    }
    closedir(folder);
    cr_log_info("%u by ourselves, %u left to the parser", tally.same, tally.left);
    cr_assert_eq(tally.lenient, 0);
    cr_assert_gt(tally.same, 20);
    cr_assert_lt(tally.left, tally.same / 10);
}

/* --- texts of chance --- */

static unsigned state = 1;

static unsigned pick(unsigned count)
{
    state = state * 1103515245 + 12345;
    return (state >> 16) % count;
}

static const char *pick_word(const char *const *words, size_t count)
{
    return words[pick((unsigned) count)];
}

static const char *directive(void)
{
    static const char *const directives[] = {
        "include <abstractions/a>",           "#include <abstractions/b>",
        "include if exists <abstractions/c>", "include if exists <abstractions/none>",
        "include <abstractions/d>",           "#include <abstractions/d/10>",
        "include <abstractions/d/2>",         "include  <local/e>",
        "#include if exists <local/f>",       "include <abstractions/a> /more r,",
    };

    return pick_word(directives, ARRAY_SIZE(directives));
}

static const char *rule(void)
{
    static const char *const rules[] = {
        "/r%u r,",
        "/r%u rw, # include <abstractions/a>",
        "\"/r %u\" r,",
        "network inet tcp,",
        "mount options=(ro, bind) /r%u -> /x{a,b}/,",
        "signal (send) peer=\"x\",",
        "capability chown, # no include \"here",
        "/r%u{a,b}* mrwk,",
        "change_profile -> x%u,",
        "deny /r%u w,",
        "abi <abi/3.0>,",
        "unix (send) type=stream peer=(addr=\"@a%u\"),",
        "audit deny /r%u w, /s%u r, #include <local/e>",
    };

    static const char *const odd[] = {
        "/r%u\n#include <local/e>\n r,",
        "/r%u px ->\n # b\n x,",
        "deny { /r%u r, }",
        "if not defined $x { /r%u r, }",
    };

    return pick(20) ? pick_word(rules, ARRAY_SIZE(rules)) : pick_word(odd, ARRAY_SIZE(odd));
}

static void add_rules(struct buf *out, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (pick(3) == 0)
            buf_addf(out, "  %s\n", directive());
        else
            buf_addf(out, rule(), pick(9), pick(9));
        if (pick(8) == 0)
            buf_add_string(out, "\n # include <abstractions/a> (\"\n");
        buf_add_char(out, pick(6) ? '\n' : ' ');
    }
}

static void add_profile(struct buf *out, const char *kind, unsigned number, unsigned depth)
{
    static const char *const flags[] = {"", " flags=(complain)", " (attach_disconnected)"};

    buf_addf(out, "%s%u%s {%s", kind, number, pick_word(flags, ARRAY_SIZE(flags)),
             pick(2) ? "\n" : "");
    add_rules(out, pick(6));
    for (unsigned i = 0; depth < 2 && i < pick(3); i++) {
        static const char *const kinds[] = {"profile p", "^h", "hat g"};
        add_profile(out, pick_word(kinds, ARRAY_SIZE(kinds)), 10 * number + i, depth + 1);
        add_rules(out, pick(3));
    }
    buf_addf(out, "}%s", pick(2) ? "\n" : " # end\n");
}

static void make_shipped(void)
{
    scratch_put("abi/3.0", "", 0644);
    scratch_put("tunables/t", "@{T}=1 2\n@{T}+=3\n", 0644);
    scratch_put("abstractions/a", "# A\n  include <abstractions/b>\n  /a r, # x\n  @{T}/a r,\n",
                0644);
    scratch_put("abstractions/b", "  /b r,\n  #include if exists <local/e>\n", 0644);
    scratch_put("abstractions/c", "  deny /c w,\n  include <abstractions/c>\n", 0644);
    scratch_put("abstractions/d/10", "  /d10 r,", 0644);
    scratch_put("abstractions/d/2", "  include <abstractions/d/10>\n  /d2 r,\n", 0644);
    scratch_put("abstractions/d/x.local", "  /dx r,\n", 0644);
    scratch_put("local/e", "# nothing\n", 0644);
    scratch_put("local/f", "  include <abstractions/d>\n  include <abstractions/b>\n", 0644);
}

Test(shipped, texts_of_chance_come_out_as_from_the_parser)
{
    _cleanup_free_ char *file = scratch_path("text");
    struct tally tally = {0};

    make_shipped();
    for (state = 1; state < 250000; state += 1000) {
        unsigned before = state;
        _cleanup_buf_ struct buf text = BUF_INIT(TEXT_MAX);

        buf_addf(&text, "%sinclude <tunables/t>\n", pick(2) ? "#" : "");
        for (unsigned i = 0; i <= pick(3); i++) {
            add_profile(&text, "profile x", i, 0);
            buf_add_string(&text, pick(3) ? "" : "include <tunables/t>\n");
        }
        scratch_put("text", buf_string(&text), 0644);
        compare(scratch, file, &tally);
        state = before;
    }
    cr_log_info("%u by ourselves, %u left to the parser, %u left to the compilation", tally.same,
                tally.left, tally.lenient);
    cr_assert_gt(tally.same, 100, "%u and %u", tally.same, tally.left);
}

/* --- what is left to the parser --- */

static void assert_left(const char *text)
{
    _cleanup_(shipped_freep) struct shipped *shipped = shipped_new(scratch);
    _cleanup_buf_ struct buf out = BUF_INIT(TEXT_MAX);

    cr_assert_eq(shipped_expand(shipped, text, strlen(text), &out), -ENOTSUP, "%s: %s", text,
                 buf_string(&out));
}

static void assert_taken(const char *text, const char *words)
{
    _cleanup_free_ char *found = ours(scratch, text, strlen(text));

    cr_assert_not_null(found, "%s", text);
    cr_assert_str_eq(found, words);
}

#define IN_PROFILE(rule) "profile x {\n  " rule "\n}\n"

Test(shipped, only_what_anybody_may_read_is_read)
{
    _cleanup_free_ char *link = scratch_path("abstractions/link");
    _cleanup_free_ char *folder = scratch_path("abstractions/closed");
    _cleanup_free_ char *fifo = scratch_path("abstractions/fifo");

    scratch_put("abstractions/open", " /open r,\n", 0644);
    scratch_put("abstractions/secret", " /secret r,\n", 0640);
    scratch_put("abstractions/closed/open", " /inside r,\n", 0644);
    scratch_put("secret", " /outside r,\n", 0644);
    scratch_put("abstractions/with/link", "", 0644);
    cr_assert_eq(chmod(folder, 0750), 0);
    cr_assert_eq(symlink("../secret", link), 0);
    cr_assert_eq(mkfifo(fifo, 0644), 0);

    assert_taken(IN_PROFILE("include <abstractions/open>"), " profile x { /open r, }");
    assert_left(IN_PROFILE("include <abstractions/secret>"));
    assert_left(IN_PROFILE("include <abstractions/closed/open>"));
    assert_left(IN_PROFILE("include if exists <abstractions/closed>"));
    assert_left(IN_PROFILE("include <abstractions/link>"));
    assert_left(IN_PROFILE("include <abstractions/fifo>"));
    assert_left(IN_PROFILE("include <abstractions/../secret>"));
    assert_left(IN_PROFILE("include <secret>"));
    assert_left(IN_PROFILE("include \"abstractions/open\""));
    assert_left(IN_PROFILE("include <abstractions/none>"));
    assert_left(IN_PROFILE("include <abstractions>"));
}

Test(shipped, names_that_the_parser_may_pass_over_are_left_to_it)
{
    scratch_put("abstractions/a/one", " /one r,\n", 0644);
    scratch_put("abstractions/a/two.local", " /two r,\n", 0644);
    assert_taken(IN_PROFILE("include <abstractions/a>"), " profile x { /two r, /one r, }");
    scratch_put("abstractions/a/one.dpkg-new", " /new r,\n", 0644);
    assert_left(IN_PROFILE("include <abstractions/a>"));
    scratch_put("abstractions/b/README", "", 0644);
    assert_left(IN_PROFILE("include <abstractions/b>"));
    scratch_put("abstractions/c/folder/f", "", 0644);
    assert_left(IN_PROFILE("include <abstractions/c>"));
}

Test(shipped, what_is_not_plain_is_left)
{
    scratch_put("abstractions/open", " /open r,\n", 0644);
    scratch_put("abstractions/unfinished", " /open\n", 0644);
    scratch_put("abstractions/closes", " }\n", 0644);
    scratch_put("abstractions/opens", " profile y {\n", 0644);
    scratch_put("abstractions/large", "", 0644);
    assert_left(IN_PROFILE("include <abstractions/unfinished>\n r,"));
    assert_left(IN_PROFILE("include <abstractions/closes>"));
    assert_left(IN_PROFILE("include <abstractions/opens>"));
    assert_left(IN_PROFILE("if defined $x { include <abstractions/open> }"));
    assert_left(IN_PROFILE("deny { include <abstractions/open> }"));
    assert_left(IN_PROFILE("include\n<abstractions/open>"));
    assert_left("include <abstractions/open\n>");
    assert_left("profile x {");
    assert_left("}");
    assert_left(IN_PROFILE("include<abstractions/open>"));
    assert_left("#include <abstractions/open>");
    assert_left("profile x {\n}\n# the end");
    assert_left("profile x {\n}\n@{X}=1");
    assert_left("include");
    assert_left("#include");
    assert_left("include <");
    assert_left("include if");
    assert_left("include if exists");
}

Test(shipped, neither_loops_nor_masses_of_includes_take_long)
{
    _cleanup_buf_ struct buf text = BUF_INIT(TEXT_MAX), deep = BUF_INIT(TEXT_MAX);
    char name[40];

    scratch_put("abstractions/loop", "include <abstractions/back>\n /l r,\n", 0644);
    scratch_put("abstractions/back", "include <abstractions/loop>\n /b r,\n", 0644);
    assert_taken(IN_PROFILE("include <abstractions/loop>"), " profile x { /b r, /l r, }");

    for (unsigned i = 0; i < 5000; i++)
        buf_addf(&text, "profile p%u {\n include <abstractions/loop>\n}\n", i);
    assert_left(buf_string(&text));

    for (unsigned i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "abstractions/n%u", i);
        buf_reset(&deep);
        buf_addf(&deep, "include <abstractions/n%u>\n", i + 1);
        scratch_put(name, buf_string(&deep), 0644);
    }
    scratch_put("abstractions/n40", "", 0644);
    assert_left(IN_PROFILE("include <abstractions/n0>"));

    buf_reset(&deep);
    for (unsigned i = 0; i < 40; i++)
        buf_addf(&deep, "profile p%u {\n", i);
    for (unsigned i = 0; i < 40; i++)
        buf_add_string(&deep, "}\n");
    assert_left(buf_string(&deep));
}

Test(shipped, what_was_read_is_kept_until_it_is_forgotten)
{
    static const char text[] =
        IN_PROFILE("include <abstractions/a>\n  include if exists <local/b>");
    _cleanup_(shipped_freep) struct shipped *shipped = shipped_new(scratch);
    _cleanup_buf_ struct buf first = BUF_INIT(TEXT_MAX), kept = BUF_INIT(TEXT_MAX),
                             fresh = BUF_INIT(TEXT_MAX);

    scratch_put("abstractions/a", " /one r,\n", 0644);
    scratch_put("local/other", "", 0644);
    cr_assert_eq(shipped_expand(shipped, text, strlen(text), &first), 0);
    scratch_put("abstractions/a", " /two r,\n", 0644);
    scratch_put("local/b", " /three r,\n", 0644);
    cr_assert_eq(shipped_expand(shipped, text, strlen(text), &kept), 0);
    cr_assert_str_eq(buf_string(&kept), buf_string(&first));
    shipped_forget(shipped);
    cr_assert_eq(shipped_expand(shipped, text, strlen(text), &fresh), 0);
    cr_assert_not_null(strstr(buf_string(&fresh), "/two r,"));
    cr_assert_not_null(strstr(buf_string(&fresh), "/three r,"));
}

/* Whoever writes policy makes up names without end. */
Test(shipped, what_is_not_there_fills_no_memory)
{
    _cleanup_(shipped_freep) struct shipped *shipped = shipped_new(scratch);
    size_t before = mallinfo2().uordblks;

    scratch_put("local/other", "", 0644);
    for (unsigned i = 0; i < 100; i++) {
        _cleanup_buf_ struct buf text = BUF_INIT(TEXT_MAX), out = BUF_INIT(TEXT_MAX);
        for (unsigned k = 0; k < 1000; k++)
            cr_assert_eq(buf_addf(&text, "include if exists <local/%u/%u>\n", i, k), 0);
        cr_assert_eq(shipped_expand(shipped, text.data, text.len, &out), 0);
    }
    cr_assert_lt(mallinfo2().uordblks, before + 8 * 1024 * 1024);
}
