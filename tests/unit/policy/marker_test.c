// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/marker.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"

#define TEXT "profile a { }\n"

enum { FILE_MAX_SIZE = 65536 };

static struct marker_profile sample_profiles[] = {
    {.name = (char *) "a", .sha1 = "0123456789012345678901234567890123456789"},
    {.name = (char *) "a//h \"q\" \xc3\xa9"},
};

static struct marker sample(void)
{
    struct marker marker = {
        .object = (char *) "deny-write",
        .uid = (char *) "u-1",
        .generation = 3,
        .created_ms = 1709294400123,
        .revision = "00112233445566778899aabbccddeeff",
        .target = "ffeeddccbbaa99887766554433221100",
        .build = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        .mode = POLICY_COMPLAIN,
        .allow_host_attachment = true,
        .adopt = true,
        .profiles = sample_profiles,
        .count = ARRAY_SIZE(sample_profiles),
    };

    alloc_init();
    marker.selector = cJSON_CreateObject();
    json_add_string(json_add_object(marker.selector, "matchLabels"), "zone", "a");
    marker_set_text(&marker, TEXT, strlen(TEXT));
    return marker;
}

static void write_file(const struct marker *marker, struct buf *out)
{
    cr_assert_eq(marker_write(marker, out), 0);
    cr_assert_eq(buf_add_string(out, TEXT), 0);
}

Test(marker, what_is_written_is_read_back)
{
    struct marker marker = sample();
    _cleanup_json_ _unused_ cJSON *selector = marker.selector;
    _cleanup_buf_ struct buf file = BUF_INIT(FILE_MAX_SIZE);
    _cleanup_(marker_freep) struct marker *back = NULL;
    _cleanup_error_ struct error err = {0};
    size_t offset = 0;

    write_file(&marker, &file);
    cr_assert_eq(marker_parse(file.data, file.len, &back, &offset, &err), 0, "%s",
                 error_message(&err));
    cr_assert_str_eq(file.data + offset, TEXT);
    cr_assert_str_eq(back->object, marker.object);
    cr_assert_str_eq(back->uid, marker.uid);
    cr_assert_eq(back->generation, marker.generation);
    cr_assert_eq(back->created_ms, marker.created_ms);
    cr_assert_str_eq(back->revision, marker.revision);
    cr_assert_str_eq(back->build, marker.build);
    cr_assert_str_eq(back->target, marker.target);
    cr_assert_eq(back->mode, marker.mode);
    cr_assert(json_equal(back->selector, marker.selector));
    cr_assert(back->allow_host_attachment);
    cr_assert(back->adopt);
    cr_assert_eq(back->count, marker.count);
    for (size_t i = 0; i < back->count; i++) {
        cr_assert_str_eq(back->profiles[i].name, marker.profiles[i].name);
        cr_assert_str_eq(back->profiles[i].sha1, marker.profiles[i].sha1);
        cr_assert_str_eq(back->profiles[i].sha256, "");
    }
    cr_assert(marker_text_matches(back, TEXT, strlen(TEXT)));
    cr_assert_not(marker_text_matches(back, TEXT, strlen(TEXT) - 1));
}

Test(marker, the_least_record_is_read_back)
{
    struct marker marker = {.object = (char *) "a", .revision = "00112233445566778899aabbccddeeff"};
    _cleanup_buf_ struct buf file = BUF_INIT(FILE_MAX_SIZE);
    _cleanup_(marker_freep) struct marker *back = NULL;
    size_t offset = 0;

    alloc_init();
    write_file(&marker, &file);
    cr_assert_eq(marker_parse(file.data, file.len, &back, &offset, NULL), 0);
    cr_assert_str_eq(back->uid, "");
    cr_assert_str_eq(back->build, "");
    cr_assert_eq(back->mode, POLICY_MODE_UNSET);
    cr_assert_null(back->selector);
    cr_assert_not(back->allow_host_attachment);
    cr_assert_not(back->adopt);
    cr_assert_eq(back->count, 0);
    cr_assert_not(marker_text_matches(back, TEXT, strlen(TEXT)));
}

Test(marker, the_head_is_comment_to_the_compiler)
{
    struct marker marker = sample();
    _cleanup_json_ _unused_ cJSON *selector = marker.selector;
    _cleanup_buf_ struct buf file = BUF_INIT(FILE_MAX_SIZE);

    cr_assert_eq(marker_write(&marker, &file), 0);
    for (const char *line = buf_string(&file); *line; line = strchr(line, '\n') + 1) {
        cr_assert_eq(strncmp(line, "# ", 2), 0, "%s", line);
        cr_assert_not_null(strchr(line, '\n'));
    }
}

/* A crash while writing leaves a shorter file: it must not pass for one of ours with less in it. */
Test(marker, a_truncated_head_is_foreign)
{
    struct marker marker = sample();
    _cleanup_json_ _unused_ cJSON *selector = marker.selector;
    _cleanup_buf_ struct buf head = BUF_INIT(FILE_MAX_SIZE);

    cr_assert_eq(marker_write(&marker, &head), 0);
    for (size_t len = 0; len < head.len; len++) {
        _cleanup_(marker_freep) struct marker *back = NULL;
        size_t offset;

        cr_assert_eq(marker_parse(head.data, len, &back, &offset, NULL), -EBADMSG, "%zu", len);
    }
}

#define RECORD(fields) "# apparmor.io: {\"version\":1,\"name\":\"a\",\"uid\":\"\"," fields "}\n"
#define COUNTS "\"generation\":1,\"createdMs\":2"
#define REVISION "\"revision\":\"00112233445566778899aabbccddeeff\""
#define REST COUNTS "," REVISION ",\"profiles\":[]"

Test(marker, the_plain_form_is_accepted)
{
    static const char *const files[] = {
        RECORD(REST),
        "# any comment\n#\n" RECORD(REST),
        RECORD(REST ",\"laterField\":{}"),
        RECORD(REST ",\"mode\":\"Kill\",\"nodeSelector\":{}"),
    };

    alloc_init();
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_(marker_freep) struct marker *back = NULL;
        _cleanup_error_ struct error err = {0};
        size_t offset;

        cr_expect_eq(marker_parse(files[i], strlen(files[i]), &back, &offset, &err), 0, "%s: %s",
                     files[i], error_message(&err));
        cr_expect_eq(offset, strlen(files[i]));
    }
}

Test(marker, anything_else_is_foreign)
{
    static const char *const files[] = {
        "",
        "profile a { }\n",
        "profile a { }\n" RECORD(REST),
        "#include <tunables/global>\n" RECORD(REST),
        "\n" RECORD(REST),
        " " RECORD(REST),
        "# apparmor.io: \n",
        "# apparmor.io: []\n",
        "# apparmor.io: {\n",
        "# apparmor.io: {} {}\n",
        "# apparmor.io: {\"version\":2,\"name\":\"a\",\"uid\":\"\"," REST "}\n",
        "# apparmor.io: {\"version\":1,\"name\":\"A\",\"uid\":\"\"," REST "}\n",
        "# apparmor.io: {\"version\":1,\"name\":\"a\"," REST "}\n",
        RECORD(COUNTS "," REVISION),
        RECORD(COUNTS ",\"profiles\":[]"),
        RECORD(REVISION ",\"profiles\":[]"),
        RECORD("\"generation\":-1,\"createdMs\":2," REVISION ",\"profiles\":[]"),
        RECORD("\"generation\":\"1\",\"createdMs\":2," REVISION ",\"profiles\":[]"),
        RECORD(COUNTS ",\"revision\":\"0011\",\"profiles\":[]"),
        RECORD(COUNTS "," REVISION ",\"profiles\":[{}]"),
        RECORD(COUNTS "," REVISION ",\"profiles\":[{\"name\":\"\"}]"),
        RECORD(COUNTS "," REVISION ",\"profiles\":[{\"name\":\"a\",\"sha1\":\"xyz\"}]"),
        RECORD(COUNTS "," REVISION ",\"profiles\":{}"),
        RECORD(REST ",\"mode\":\"kill\""),
        RECORD(REST ",\"mode\":1"),
        RECORD(REST ",\"nodeSelector\":{\"x\":1}"),
        RECORD(REST ",\"nodeSelector\":null"),
        RECORD(REST ",\"allowHostAttachment\":1"),
        RECORD(REST ",\"adopt\":1"),
        RECORD(REST ",\"build\":\"00\""),
        RECORD(REST ",\"text\":7"),
    };

    alloc_init();
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_error_ struct error err = {0};
        struct marker *back = NULL;
        size_t offset = 77;

        cr_expect_eq(marker_parse(files[i], strlen(files[i]), &back, &offset, &err), -EBADMSG, "%s",
                     files[i]);
        cr_expect_null(back);
        cr_expect_eq(offset, 77);
        cr_expect_neq(error_message(&err)[0], '\0');
    }
}

Test(marker, files_are_told_by_name)
{
    static const char *const foreign[] = {"",
                                          "usr.sbin.nscd",
                                          "apparmor.io..profile",
                                          "apparmor.io.agent", /* its own profile */
                                          "apparmor.io.a.profile~",
                                          "apparmor.io.A.profile",
                                          ".apparmor.io.a.profile.tmp",
                                          "apparmor.io.profile",
                                          "apparmor.io.a.profile.dpkg-old"};
    _cleanup_free_ char *file = marker_file_name("deny.write-2");

    cr_assert_str_eq(file, "apparmor.io.deny.write-2.profile");
    _cleanup_free_ char *object = marker_object_of_file(file);
    cr_assert_str_eq(object, "deny.write-2");
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
        cr_expect_null(marker_object_of_file(foreign[i]), "%s", foreign[i]);
}

Test(marker, a_full_buffer_is_an_error)
{
    struct marker marker = sample();
    _cleanup_json_ _unused_ cJSON *selector = marker.selector;
    _cleanup_buf_ struct buf out = BUF_INIT(100);

    cr_assert_eq(marker_write(&marker, &out), -EFBIG);
}

Test(marker, a_record_under_another_head_is_read)
{
    struct marker marker = sample();
    _cleanup_json_ _unused_ cJSON *selector = marker.selector;
    _cleanup_buf_ struct buf out = BUF_INIT(100000);
    _cleanup_(marker_freep) struct marker *back = NULL;
    size_t offset;

    cr_assert_eq(buf_add_string(&out, "# Something else.\n"), 0);
    cr_assert_eq(marker_write_record(&marker, &out), 0);
    cr_assert_eq(marker_parse(buf_string(&out), out.len, &back, &offset, NULL), 0);
    cr_assert_eq(offset, out.len);
    cr_assert_str_eq(back->object, marker.object);
    cr_assert_str_eq(back->revision, marker.revision);
}
