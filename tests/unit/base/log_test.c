// SPDX-License-Identifier: Apache-2.0
#include "lib/base/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/alloc.h"
#include "lib/base/json.h"
#include "lib/base/utf8.h"

static int captured_fd;

static void capture(void)
{
    alloc_init();
    captured_fd = memfd_create("log", MFD_CLOEXEC);
    cr_assert_geq(captured_fd, 0);
    dup2(captured_fd, STDERR_FILENO);
}

/* What was logged since the last call. */
static char *captured(void)
{
    static off_t from;
    off_t end = lseek(captured_fd, 0, SEEK_END);
    char *text = xcalloc(1, (size_t) (end - from) + 1);

    cr_assert_eq(pread(captured_fd, text, (size_t) (end - from), from), end - from);
    from = end;
    return text;
}

static cJSON *captured_json(void)
{
    _cleanup_free_ char *line = captured();
    cJSON *json;

    cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1, "one line: %s", line);
    cr_assert_eq(json_parse(line, strlen(line), &json, NULL), 0, "%s", line);
    return json;
}

Test(log, is_one_json_object_a_line, .init = capture)
{
    log_info("profile loaded", "profile", "deny-write", "node", "n1", "none", NULL);
    _cleanup_json_ cJSON *json = captured_json();

    cr_assert_str_eq(json->child->string, "time");
    cr_assert_str_eq(json->child->next->string, "level");
    cr_assert_str_eq(json->child->next->next->string, "msg");
    cr_assert_str_eq(json_string(json, "level"), "info");
    cr_assert_str_eq(json_string(json, "msg"), "profile loaded");
    cr_assert_str_eq(json_string(json, "profile"), "deny-write");
    cr_assert_null(json_get(json, "none"));
}

Test(log, every_byte_makes_valid_json, .init = capture)
{
    for (int first = 1; first < 256; first++) {
        const char text[] = {'a', (char) first, '"', '\\', (char) 0xe2, 'z', '\0'};
        log_error(text, "key", text);
        _cleanup_free_ char *line = captured();
        _cleanup_json_ cJSON *json = NULL;
        cr_assert(utf8_valid(line, strlen(line)));
        cr_assert_eq(json_parse(line, strlen(line), &json, NULL), 0, "%s", line);
        for (const char *c = line; *c && c[1]; c++)
            cr_assert((unsigned char) *c >= 0x20 && *c != 0x7f, "byte %d", first);
        if (first < 0x80)
            cr_assert_eq(json_string(json, "key")[1], (char) first);
    }
}

Test(log, no_terminal_control_gets_out_as_text, .init = capture)
{
    log_set_format(LOG_FORMAT_TEXT);
    log_warn("title\033]0;x\007", "key", "\033[2J", "c1",
             "\xc2\x9b"
             "2J");
    _cleanup_free_ char *line = captured();
    cr_assert_null(strchr(line, '\033'));
    cr_assert_null(strchr(line, '\007'));
    cr_assert_null(strstr(line, "\xc2\x9b"));
    cr_assert_not_null(strstr(line, "key=\"\\u001b[2J\""));
}

Test(log, text_quotes_only_where_needed, .init = capture)
{
    log_set_format(LOG_FORMAT_TEXT);
    log_warn("two words", "a", "plain-1", "b", "with space", "c", "", "d", "x=y");
    _cleanup_free_ char *line = captured();
    cr_assert_not_null(strstr(line, "warn  two words a=plain-1 b=\"with space\" c=\"\" d=\"x=y\""),
                       "%s", line);
}

Test(log, long_values_are_cut_between_characters, .init = capture)
{
    _cleanup_free_ char *text = xcalloc(1, 9002);

    text[0] = 'x';
    for (size_t i = 1; i < 9001; i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    log_info("m", "key", text);
    _cleanup_json_ cJSON *json = captured_json();
    const char *value = json_string(json, "key");
    cr_assert_leq(strlen(value), 4096 + 3);
    cr_assert_geq(strlen(value), 4090);
    cr_assert_eq(memcmp(value, text, strlen(value) - 3), 0);
    cr_assert_str_eq(value + strlen(value) - 3, "…");
}

Test(log, below_the_level_nothing_is_written, .init = capture)
{
    enum log_level level;

    log_debug("no");
    _cleanup_free_ char *none = captured();
    cr_assert_str_eq(none, "");
    cr_assert_eq(log_level_parse("debug", &level), 0);
    log_set_level(level);
    cr_assert(log_enabled(LOG_DEBUG));
    log_debug("yes");
    _cleanup_json_ cJSON *json = captured_json();
    cr_assert_str_eq(json_string(json, "level"), "debug");
    cr_assert_eq(log_level_parse("verbose", &level), -EINVAL);
}

Test(log, flags_set_level_and_format, .init = capture)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(log_configure("warn", "text", &err), 0);
    log_info("no");
    log_warn("yes");
    _cleanup_free_ char *text = captured();
    cr_assert_not_null(strstr(text, "warn  yes"), "%s", text);
    cr_assert_null(strstr(text, "no"));

    cr_assert_eq(log_configure("debug", "json", &err), 0);
    log_debug("now");
    _cleanup_json_ cJSON *json = captured_json();
    cr_assert_str_eq(json_string(json, "msg"), "now");

    cr_assert_eq(log_configure("info", "auto", &err), 0);
    cr_assert(!log_enabled(LOG_DEBUG));
}

Test(log, flags_that_are_not_valid_name_themselves_and_set_nothing, .init = capture)
{
    static const struct {
        const char *level, *format, *message;
    } wrong[] = {
        {"verbose", "json", "--log-level takes debug, info, warn or error, not \"verbose\""},
        {"", "json", "--log-level takes debug, info, warn or error, not \"\""},
        {"debug", "xml", "--log-format takes auto, json or text, not \"xml\""},
        {"debug", "", "--log-format takes auto, json or text, not \"\""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_error_ struct error err = {0};

        cr_assert_eq(log_configure(wrong[i].level, wrong[i].format, &err), -EINVAL);
        cr_assert_str_eq(error_message(&err), wrong[i].message);
        cr_assert(!log_enabled(LOG_DEBUG));
    }
}

Test(log, leaves_errno_alone, .init = capture)
{
    close(STDERR_FILENO);
    errno = ENOTTY + 1;
    log_error("x");
    cr_assert_eq(errno, ENOTTY + 1);
}
