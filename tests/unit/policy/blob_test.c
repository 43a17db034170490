// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/blob.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/strv.h"
#include "tests/unit/policy/blob_writer.h"
#include "tests/unit/policy/parser.h"

enum { SMALL = 1024 * 1024 };

static struct blob *decode(const struct buf *data)
{
    _cleanup_error_ struct error err = {0};
    struct blob *blob = NULL;

    cr_assert_eq(blob_decode(data->data, data->len, &blob, &err), 0, "%s", error_message(&err));
    return blob;
}

static void refused(const struct buf *data, const char *message)
{
    _cleanup_error_ struct error err = {0};
    struct blob *blob = NULL;

    cr_expect_eq(blob_decode(data->data, data->len, &blob, &err), -EBADMSG, "%s", message);
    cr_expect_null(blob);
    cr_expect_not_null(strstr(error_message(&err), message), "'%s' is not in: %s", message,
                       error_message(&err));
}

/* --- what compilers write --- */

struct expectation {
    const char *name;
    enum policy_mode mode;
    bool child, hat, attaches;
    const char *attachment;
};

struct compile_case {
    const char *text;
    struct expectation profiles[4]; /* sorted by name, as the compiler does */
};

static const struct compile_case CASES[] = {
    {"profile a { /x r, }", {{.name = "a", .mode = POLICY_ENFORCE}}},
    {"profile a flags=(complain) { }", {{.name = "a", .mode = POLICY_COMPLAIN}}},
    {"profile a flags=(kill) { profile b { } }",
     {{.name = "a", .mode = POLICY_KILL}, {.name = "a//b", .mode = POLICY_ENFORCE, .child = true}}},
    {"profile a flags=(unconfined,attach_disconnected) { }",
     {{.name = "a", .mode = POLICY_UNCONFINED}}},
    {"profile a { hat h flags=(complain) { } ^i { } profile /bin/k { } }",
     {{.name = "a", .mode = POLICY_ENFORCE},
      {.name = "a///bin/k", .mode = POLICY_ENFORCE, .child = true},
      {.name = "a//h", .mode = POLICY_COMPLAIN, .child = true, .hat = true},
      {.name = "a//i", .mode = POLICY_ENFORCE, .child = true, .hat = true}}},
    {"profile a /usr/bin/y { }", {{.name = "a", .mode = POLICY_ENFORCE, .attaches = true}}},
    {"profile a /usr/bin/{y,z}* { /x r, profile b { } }",
     {{.name = "a", .mode = POLICY_ENFORCE, .attaches = true},
      {.name = "a//b", .mode = POLICY_ENFORCE, .child = true}}},
    {"/usr/bin/z { }",
     {{.name = "/usr/bin/z",
       .mode = POLICY_ENFORCE,
       .attaches = true,
       .attachment = "/usr/bin/z"}}},
    {"profile \"/a path\" { hat h { } }",
     {{.name = "/a path", .mode = POLICY_ENFORCE, .attaches = true, .attachment = "/a path"},
      {.name = "/a path//h", .mode = POLICY_ENFORCE, .child = true, .hat = true}}},
    {"profile /usr/bin/* { }",
     {{.name = "/usr/bin/*",
       .mode = POLICY_ENFORCE,
       .attaches = true,
       .attachment = "/usr/bin/*"}}},
    {"profile {/usr,}/bin/foo { }",
     {{.name = "{/usr,}/bin/foo", .mode = POLICY_ENFORCE, .attaches = true}}},
    {"profile a xattrs=(user.foo=\"bar\") { }",
     {{.name = "a", .mode = POLICY_ENFORCE, .attaches = true}}},
    {"@{V}=/b /c\nprofile a @{V}/d { }", {{.name = "a", .mode = POLICY_ENFORCE, .attaches = true}}},
    {"@{V}=b c\nprofile @{V} { }", {{.name = "{b,c}", .mode = POLICY_ENFORCE, .attaches = true}}},
    {"profile \xc3\xbc { } profile \"a \\\"b\" { }",
     {{.name = "a \"b", .mode = POLICY_ENFORCE}, {.name = "\xc3\xbc", .mode = POLICY_ENFORCE}}},
    {"profile a { /x px -> b, /y rPx -> :ns:c, change_profile -> &d, change_profile /z -> e,\n"
     "  capability chown, set rlimit nofile <= 9, network inet stream, deny /w w,\n"
     "  signal send peer=b, ptrace read, dbus, unix, mount /a -> /b, owner /o rw, }",
     {{.name = "a", .mode = POLICY_ENFORCE}}},
    {"profile a { } profile a//b { }",
     {{.name = "a", .mode = POLICY_ENFORCE},
      {.name = "a//b", .mode = POLICY_ENFORCE, .child = true}}},
};

static void expect_profile(const struct blob_profile *got, const struct expectation *want,
                           const char *text)
{
    cr_expect_str_eq(got->name, want->name, "%s", text);
    cr_expect_eq(got->mode, want->mode, "%s: %s is %s", text, want->name,
                 policy_mode_name(got->mode));
    cr_expect_eq(got->child, want->child, "%s: %s", text, want->name);
    cr_expect_eq(got->hat, want->hat, "%s: %s", text, want->name);
    cr_expect_eq(got->attaches, want->attaches, "%s: %s", text, want->name);
    cr_expect_eq(got->attachment != NULL, want->attachment != NULL, "%s: %s", text, want->name);
    if (got->attachment && want->attachment)
        cr_expect_str_eq(got->attachment, want->attachment, "%s", text);
}

Test(blob, says_of_each_profile_what_the_text_says)
{
    SKIP_WITHOUT_PARSER();
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        _cleanup_buf_ struct buf data = BUF_INIT(PARSER_OUTPUT_MAX);
        const struct compile_case *c = &CASES[i];
        size_t count = 0;

        cr_assert_eq(parser_run("-S", c->text, strlen(c->text), &data), 0, "%s", c->text);
        _cleanup_(blob_freep) struct blob *blob = decode(&data);
        while (count < ARRAY_SIZE(c->profiles) && c->profiles[count].name)
            count++;
        cr_assert_eq(blob->count, count, "%s: %zu", c->text, blob->count);
        for (size_t k = 0; k < count; k++)
            expect_profile(&blob->profiles[k], &c->profiles[k], c->text);
    }
}

Test(blob, records_follow_one_another_to_the_end)
{
    static const char text[] = "profile a { hat h { } } /b { } profile c flags=(kill) { }";
    _cleanup_buf_ struct buf data = BUF_INIT(PARSER_OUTPUT_MAX);
    size_t at = 0;

    SKIP_WITHOUT_PARSER();
    cr_assert_eq(parser_run("-S", text, strlen(text), &data), 0);
    _cleanup_(blob_freep) struct blob *blob = decode(&data);
    for (size_t i = 0; i < blob->count; i++) {
        cr_assert_eq(blob->profiles[i].offset, at);
        at += blob->profiles[i].len;
    }
    cr_assert_eq(at, data.len);
}

struct refusal {
    const char *text;
    const char *message;
};

static const struct refusal REFUSALS[] = {
    {"profile a { profile b { } } profile a//b { }", "profile 'a//b' is defined twice"},
    {"profile a//b { }", "'a//b' is a child of 'a', which is not defined"},
    {"profile :ns:a { }", "namespace"},
    {":ns:/bin/a { }", "namespace"},
    {"profile \"a\\n\" { }", "control characters"},
    {"profile \"a\\377\" { }", "not UTF-8"},
    {"profile \" a\" { }", "blank"},
    {"profile unconfined { }", "unconfined"},
    {"profile a { hat null-x { } }", "null-"},
    {"profile a//&b { }", "stack"},
    {"@{X}=a\n", "no profile"},
};

Test(blob, refuses_what_would_harm_the_kernel_or_others)
{
    SKIP_WITHOUT_PARSER();
    for (size_t i = 0; i < ARRAY_SIZE(REFUSALS); i++) {
        _cleanup_buf_ struct buf data = BUF_INIT(PARSER_OUTPUT_MAX);

        cr_assert_eq(parser_run("-S", REFUSALS[i].text, strlen(REFUSALS[i].text), &data), 0, "%s",
                     REFUSALS[i].text);
        refused(&data, REFUSALS[i].message);
    }
}

static const enum policy_mode MODES[] = {POLICY_ENFORCE, POLICY_COMPLAIN, POLICY_KILL,
                                         POLICY_UNCONFINED};

static void compile_in_mode(enum policy_mode mode, struct buf *out)
{
    const char *word = policy_mode_kernel_name(mode);
    _cleanup_free_ char *text =
        xasprintf("profile a flags=(%s) { /x r, profile b flags=(%s) { /y r, }\n"
                  "  hat h flags=(%s) { /z r, } }",
                  word, word, word);

    cr_assert_eq(parser_run("-S", text, strlen(text), out), 0);
}

Test(blob, setting_a_mode_gives_what_the_compiler_would)
{
    SKIP_WITHOUT_PARSER();
    for (size_t from = 0; from < ARRAY_SIZE(MODES); from++) {
        for (size_t to = 0; to < ARRAY_SIZE(MODES); to++) {
            _cleanup_buf_ struct buf data = BUF_INIT(SMALL), wanted = BUF_INIT(SMALL);

            compile_in_mode(MODES[from], &data);
            compile_in_mode(MODES[to], &wanted);
            _cleanup_(blob_freep) struct blob *blob = decode(&data);
            cr_assert_eq(blob_mode(blob), MODES[from]);
            blob_set_mode(data.data, blob, MODES[to]);
            cr_assert_eq(blob_mode(blob), MODES[to]);
            if (from != to &&
                (parser_compiles_apart(MODES[from]) || parser_compiles_apart(MODES[to])))
                continue;
            cr_assert_eq(data.len, wanted.len);
            cr_assert_eq(memcmp(data.data, wanted.data, data.len), 0, "%zu to %zu", from, to);
        }
    }
}

Test(blob, unset_changes_no_mode_and_mixed_is_told)
{
    static const char text[] = "profile a { profile b flags=(complain) { } }";
    _cleanup_buf_ struct buf data = BUF_INIT(SMALL);

    SKIP_WITHOUT_PARSER();
    cr_assert_eq(parser_run("-S", text, strlen(text), &data), 0);
    _cleanup_(blob_freep) struct blob *blob = decode(&data);
    _cleanup_free_ char *before = xmemdup(data.data, data.len);
    cr_assert_eq(blob_mode(blob), POLICY_MIXED);
    blob_set_mode(data.data, blob, POLICY_MODE_UNSET);
    cr_assert_eq(memcmp(before, data.data, data.len), 0);
    cr_assert_eq(blob_mode(blob), POLICY_MIXED);
}

Test(blob, the_digest_covers_version_and_record)
{
    static const char text[] = "profile a { /x r, } profile b { /y r, }";
    static const char alone[] = "profile b { /y r, }";
    _cleanup_buf_ struct buf both = BUF_INIT(SMALL), one = BUF_INIT(SMALL);
    char digest[DIGEST_HEX_SIZE], wanted[DIGEST_HEX_SIZE];

    SKIP_WITHOUT_PARSER();
    cr_assert_eq(parser_run("-S", text, strlen(text), &both), 0);
    cr_assert_eq(parser_run("-S", alone, strlen(alone), &one), 0);
    _cleanup_(blob_freep) struct blob *blob = decode(&both);
    /* 12 bytes of "version", then the word and, without a gap, the record. */
    struct digest_part part = {one.data + 12, one.len - 12};
    for (enum digest_type type = DIGEST_SHA1; type <= DIGEST_SHA256; type++) {
        digest_hex(type, &part, 1, wanted);
        cr_assert_str_eq(blob_profile_digest(both.data, &blob->profiles[1], type, digest), wanted);
        cr_assert_str_neq(blob_profile_digest(both.data, &blob->profiles[0], type, digest), wanted);
    }
}

/* --- all profiles that the distribution ships --- */

static void list_files(const char *folder, struct strv *out)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        _cleanup_free_ char *path = xasprintf("%s/%s", folder, entry->d_name);
        struct stat stat_buf;

        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "README") != 0 &&
            stat(path, &stat_buf) == 0 && S_ISREG(stat_buf.st_mode))
            strv_add(out, path);
    }
    if (dir)
        closedir(dir);
}

/* `apparmor_parser -N` gives a name a line; variables in names are not expanded there. */
static void expect_names(const struct blob *blob, const struct buf *names, const char *file)
{
    _cleanup_strv_ struct strv wanted = {0}, got = {0};
    _cleanup_free_ char *copy = xstrdup(buf_string(names));

    for (char *rest = copy, *line; (line = strsep(&rest, "\n"));) {
        if (*line)
            strv_add(&wanted, line);
    }
    for (size_t i = 0; i < blob->count; i++)
        strv_add(&got, blob->profiles[i].name);
    strv_sort(&wanted);
    strv_sort(&got);
    cr_expect(strv_equal(&wanted, &got), "%s", file);
}

static void decode_folder(const char *folder)
{
    _cleanup_strv_ struct strv files = {0};
    _cleanup_buf_ struct buf data = BUF_INIT(PARSER_OUTPUT_MAX), names = BUF_INIT(SMALL);
    size_t compiled = 0;

    list_files(folder, &files);
    for (size_t i = 0; i < files.len; i++) {
        _cleanup_(blob_freep) struct blob *blob = NULL;
        _cleanup_error_ struct error err = {0};

        if (parser_run_file("-S", files.items[i], &data) != 0 || data.len == 0)
            continue; /* the compiler refuses it, or has nothing to say */
        cr_expect_eq(blob_decode(data.data, data.len, &blob, &err), 0, "%s: %s", files.items[i],
                     error_message(&err));
        cr_assert_eq(parser_run_file("-N", files.items[i], &names), 0);
        if (blob)
            expect_names(blob, &names, files.items[i]);
        compiled++;
    }
    cr_expect_geq(compiled, files.len * 9 / 10, "%s: %zu of %zu", folder, compiled, files.len);
}

Test(blob, decodes_the_profiles_of_the_distribution)
{
    SKIP_WITHOUT_PARSER();
    decode_folder(PARSER_BASE);
}

Test(blob, decodes_the_extra_profiles_of_the_distribution)
{
    SKIP_WITHOUT_PARSER();
    if (access("/usr/share/apparmor/extra-profiles", R_OK) != 0)
        cr_skip_test("needs the package apparmor-profiles\n");
    decode_folder("/usr/share/apparmor/extra-profiles");
}

/* --- what no compiler would write --- */

Test(blob, the_least_record_passes)
{
    _cleanup_buf_ struct buf data = BUF_INIT(SMALL);

    put_profile(&data, "a");
    put_profile(&data, "a//b");
    _cleanup_(blob_freep) struct blob *blob = decode(&data);
    cr_assert_eq(blob->count, 2);
    cr_assert(blob->profiles[1].child);
    cr_assert_not(blob->profiles[0].attaches);
}

Test(blob, all_optional_parts_pass_in_their_order)
{
    _cleanup_buf_ struct buf data = BUF_INIT(SMALL);
    struct dfa_spec dfa = DFA_PLAIN;

    put_profile_begin(&data, "a");
    put_string(&data, "attach", "/bin/a");
    put_dfa_blob(&data, &dfa);
    put_u32(&data, NULL, 6);
    put_string(&data, "disconnected", "/d");
    put_string(&data, "disconnected_ipc", "/i");
    put_u32(&data, "kill", 9);
    put_u32(&data, "error", 13);
    put(&data, BLOB_CODE_STRUCT, "flags");
    put_u32(&data, NULL, 0);
    put_u32(&data, NULL, 4);
    put_u32(&data, NULL, 1);
    put(&data, BLOB_CODE_STRUCT_END, NULL);
    put_u32(&data, "path_flags", 4);
    put_words(&data, 4);
    put(&data, BLOB_CODE_STRUCT, "caps64");
    put_words(&data, 4);
    put(&data, BLOB_CODE_STRUCT_END, NULL);
    put(&data, BLOB_CODE_STRUCT, "capsx");
    put_words(&data, 2);
    put(&data, BLOB_CODE_STRUCT_END, NULL);
    put(&data, BLOB_CODE_STRUCT, "xattrs");
    put_array(&data, NULL, 1);
    put_string(&data, NULL, "user.x");
    put(&data, BLOB_CODE_ARRAY_END, NULL);
    put(&data, BLOB_CODE_STRUCT_END, NULL);
    put(&data, BLOB_CODE_STRUCT, "secmark");
    put_array(&data, NULL, 1);
    put(&data, BLOB_CODE_U8, NULL);
    put_number(&data, 1, 1);
    put(&data, BLOB_CODE_U8, NULL);
    put_number(&data, 0, 1);
    put_string(&data, NULL, "label");
    put(&data, BLOB_CODE_ARRAY_END, NULL);
    put(&data, BLOB_CODE_STRUCT_END, NULL);
    put_array(&data, "net_allowed_af", 1);
    for (size_t i = 0; i < 3; i++) {
        put(&data, BLOB_CODE_U16, NULL);
        put_number(&data, 1, 2);
    }
    put(&data, BLOB_CODE_ARRAY_END, NULL);
    put(&data, BLOB_CODE_STRUCT, "policydb");
    put_dfa_blob(&data, &dfa);
    put_u32(&data, "start", 1);
    put(&data, BLOB_CODE_STRUCT_END, NULL);
    put_dfa_blob(&data, &dfa);
    put_u32(&data, "dfa_start", 1);
    put(&data, BLOB_CODE_STRUCT, "data");
    put_string(&data, NULL, "key");
    put_bytes(&data, NULL, "v", 1);
    put(&data, BLOB_CODE_STRUCT_END, NULL);
    put_profile_end(&data);

    _cleanup_(blob_freep) struct blob *blob = decode(&data);
    cr_assert_eq(blob->profiles[0].mode, POLICY_USER);
    cr_assert_str_eq(blob->profiles[0].attachment, "/bin/a");
    cr_assert(blob->profiles[0].attaches);

    /* Cut anywhere, it is refused, without a read past the end. */
    for (size_t len = 0; len < data.len; len++) {
        _cleanup_free_ char *exact = xmemdup(data.data, len + 1);
        struct blob *none = NULL;

        cr_assert_eq(blob_decode(exact, len, &none, NULL), -EBADMSG, "%zu", len);
    }
}

Test(blob, an_attach_string_or_a_disconnected_path_is_no_attachment)
{
    _cleanup_buf_ struct buf data = BUF_INIT(SMALL);

    put_profile_begin(&data, "a");
    put_string(&data, "attach", "/bin/a");
    put_string(&data, "disconnected", "/d");
    put_profile_flags(&data, 0);
    put_profile_end(&data);
    _cleanup_(blob_freep) struct blob *blob = decode(&data);
    cr_assert_not(blob->profiles[0].attaches);
    cr_assert_null(blob->profiles[0].attachment);
}

Test(blob, force_complain_makes_all_complain_until_a_mode_is_set)
{
    _cleanup_buf_ struct buf data = BUF_INIT(SMALL);

    put_profile_begin(&data, "a");
    put_profile_flags(&data, 2);
    put_profile_end(&data);
    data.data[13] |= 0x08; /* bit 0x800 of the version */
    _cleanup_(blob_freep) struct blob *forced = decode(&data);
    cr_assert_eq(blob_mode(forced), POLICY_COMPLAIN);
    blob_set_mode(data.data, forced, POLICY_ENFORCE);
    _cleanup_(blob_freep) struct blob *blob = decode(&data);
    cr_assert_eq(blob_mode(blob), POLICY_ENFORCE);
    cr_assert_eq(data.data[13] & 0x08, 0);
}

Test(blob, refuses_compressed_empty_and_oversized_data)
{
    struct buf none = {0};
    struct buf compressed = {.data = (char *) "\x01\x03\0\0\x05\0\0\0", .len = 8};
    struct buf zstd = {.data = (char *) "\x28\xb5\x2f\xfd....", .len = 8};
    struct buf large = {.data = xcalloc(1, BLOB_SIZE_MAX + 1), .len = BLOB_SIZE_MAX + 1};

    refused(&none, "no profile");
    refused(&compressed, "compressed");
    refused(&zstd, "compressed");
    refused(&large, "larger");
    free(large.data);
}

static void put_prefixed(struct buf *out, const char *name, const char *value)
{
    put_profile_begin(out, "a");
    put_string(out, name, value);
    put_profile_flags(out, 0);
    put_profile_end(out);
}

Test(blob, refuses_each_oddity_with_its_reason)
{
    _cleanup_buf_ struct buf renames = BUF_INIT(SMALL), unnamed = BUF_INIT(SMALL),
                             trailing = BUF_INIT(SMALL), mode = BUF_INIT(SMALL),
                             version = BUF_INIT(SMALL), second = BUF_INIT(SMALL),
                             unknown = BUF_INIT(SMALL), nul = BUF_INIT(SMALL);

    put_prefixed(&renames, "rename", "b");
    refused(&renames, "renames");
    put_prefixed(&unknown, "identity", "b");
    refused(&unknown, "flags are missing");
    put_profile(&unnamed, "");
    refused(&unnamed, "empty");
    put_profile(&trailing, "a");
    buf_add_char(&trailing, '\0');
    refused(&trailing, "version is missing");
    put_profile_begin(&mode, "a");
    put_profile_flags(&mode, 5);
    put_profile_end(&mode);
    refused(&mode, "mode is unknown");
    put_profile(&version, "a");
    version.data[12] = 10;
    refused(&version, "version is unknown");
    put_profile(&second, "a");
    put_profile(&second, "a");
    refused(&second, "twice");
    put_u32(&nul, "version", VERSION_7);
    put(&nul, BLOB_CODE_STRUCT, "profile");
    put_string_of(&nul, NULL, "a\0b", 3);
    refused(&nul, "NUL");
}

Test(blob, refuses_more_than_a_thousand_profiles)
{
    _cleanup_buf_ struct buf data = BUF_INIT(SMALL);
    char name[16];

    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        put_profile(&data, name);
    }
    _cleanup_(blob_freep) struct blob *blob = decode(&data);
    cr_assert_eq(blob->count, 1000);
    put_profile(&data, "last");
    refused(&data, "more than 1000");
}

/* Each bit of a small blob is flipped in turn: no crash, and what still passes can be patched. */
Test(blob, survives_every_flipped_bit)
{
    _cleanup_buf_ struct buf data = BUF_INIT(SMALL);
    size_t passed = 0;

    put_profile(&data, "a");
    put_profile(&data, "a//b");
    for (size_t bit = 0; bit < data.len * 8; bit++) {
        struct blob *blob = NULL;

        data.data[bit / 8] ^= (char) (1 << (bit % 8));
        if (blob_decode(data.data, data.len, &blob, NULL) == 0) {
            _cleanup_free_ char *copy = xmemdup(data.data, data.len);
            struct blob *again = NULL;

            passed++;
            blob_set_mode(copy, blob, POLICY_KILL);
            cr_assert_eq(blob_decode(copy, data.len, &again, NULL), 0);
            cr_assert_eq(blob_mode(again), POLICY_KILL);
            blob_free(again);
        }
        blob_free(blob);
        data.data[bit / 8] ^= (char) (1 << (bit % 8));
    }
    cr_assert_gt(passed, 0);
}
