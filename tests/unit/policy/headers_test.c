// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/headers.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"

struct story {
    const char *text;
    struct buf out;
};

static void tell(struct story *story, const char *before, struct span span)
{
    if (span.end > span.start)
        buf_addf(&story->out, "%s%.*s", before, (int) (span.end - span.start),
                 story->text + span.start);
}

static int on_header(void *userdata, const struct policy_header *header, struct error *err)
{
    struct story *story = userdata;

    (void) err;
    cr_assert_eq(story->text[header->at.brace], '{');
    cr_assert_eq(story->text[header->close], '}');
    tell(story, header->top ? "" : ">", header->at.name);
    tell(story, " at ", header->at.attachment);
    tell(story, " ", header->at.xattrs);
    tell(story, " flags ", header->at.flags.inside);
    buf_add_string(&story->out, ";");
    return 0;
}

static int read_headers(const char *text, struct story *story, struct error *err)
{
    story->text = text;
    buf_init(&story->out, 10000);
    return policy_headers_each(text, strlen(text), on_header, story, err);
}

static void expect(const char *text, const char *expected)
{
    _cleanup_error_ struct error err = {0};
    struct story story;

    cr_assert_eq(read_headers(text, &story, &err), 0, "%s: %s", text, error_message(&err));
    cr_assert_str_eq(buf_string(&story.out), expected);
    buf_done(&story.out);
}

Test(headers, tells_of_every_header)
{
    expect("abi <abi/3.0>,\n@{X}=/a /b\ninclude <tunables/global>\n"
           "profile web /usr/bin/{a,b} xattrs=(a=b) flags=(complain, audit) {\n"
           "  include <abstractions/base>\n  /x r, # profile no {\n"
           "  profile kid { }\n  ^hat { } hat other { }\n}\n",
           "web at /usr/bin/{a,b} xattrs=(a=b) flags complain, audit;>kid;>hat;>other;");
    expect("/usr/bin/x { }\n\"/a b\" (kill) { }", "/usr/bin/x;\"/a b\" flags kill;");
    expect("profile x @{exec} { if defined $y { /a r, } }", "x at @{exec};");
}

Test(headers, passes_over_includes_of_every_form)
{
    expect("#include <a>\ninclude <b>\ninclude if exists <c>\ninclude \"/d e\"\nprofile x {\n"
           "include if exists <local/x>\n}\n",
           "x;");
}

Test(headers, names_the_line_of_what_is_not_understood)
{
    _cleanup_error_ struct error err = {0};
    struct story story;

    cr_assert_eq(read_headers("profile x {\n\n  /a r\n}\n", &story, &err), -EBADMSG);
    cr_assert_str_eq(error_message(&err), "line 4: a rule without its comma");
    buf_done(&story.out);
}
