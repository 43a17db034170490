// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/pattern.h"

#include <errno.h>
#include <string.h>

#include "lib/audit/access.h"
#include "lib/base/alloc.h"
#include "lib/base/utf8.h"

/* One part of a path, between slashes. */
struct part {
    const char *text;
    size_t len;
};

/* --- characters ------------------------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/*
 * What the compiler reads as something else than itself, also within quotes. Quotes and backslashes
 * are numbers: the compiler's scanner finds the end of a quoted name before it looks at escapes.
 */
static void add_literal(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr("\\\"", text[i]))
            buf_addf(out, "\\%03o", (unsigned) text[i]);
        else
            buf_addf(out, strchr("*?[]{}^", text[i]) ? "\\%c" : "%c", text[i]);
    }
}

/* "\x0a": a byte that is no text was there, or somebody wrote just that. */
static bool has_escape(const char *text)
{
    for (const char *at = strstr(text, "\\x"); at; at = strstr(at + 1, "\\x"))
        if (is_hex(at[2]) && is_hex(at[3]))
            return true;
    return false;
}

static bool is_cut(const char *text)
{
    static const char mark[] = "…";
    size_t len = strlen(text), mark_len = sizeof(mark) - 1;

    return len + 8 >= AUDIT_TEXT_MAX && strcmp(text + len - mark_len, mark) == 0;
}

static int check(const char *text, struct error *err)
{
    if (*text == '\0')
        return error_set(err, -EINVAL, "the name is empty");
    if (is_cut(text))
        return error_set(err, -EINVAL, "only the first %d bytes of the name are known",
                         AUDIT_TEXT_MAX);
    if (has_escape(text))
        return error_set(err, -EINVAL, "the name has bytes that are no text");
    for (size_t left = strlen(text), len; left > 0; text += len, left -= len) {
        len = utf8_visible(text, left);
        if (len == 0)
            return error_set(err, -EINVAL, "the name has characters that nobody sees");
    }
    return 0;
}

int audit_pattern_text(const char *text, struct buf *out, struct error *err)
{
    int r = check(text, err);

    if (r == 0)
        add_literal(out, text, strlen(text));
    return r;
}

bool audit_pattern_has_keyword(const char *text)
{
    static const char *const words[] = {"abi", "include", "profile", "hat"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strstr(text, words[i]))
            return true;
    return false;
}

void audit_pattern_quote(const char *pattern, struct buf *out)
{
    bool plain = (*pattern == '/' || *pattern == '@' || is_letter(*pattern)) &&
                 !audit_pattern_has_keyword(pattern);

    for (const char *c = pattern; plain && *c; c++)
        plain = is_letter(*c) || is_digit(*c) || strchr("/_.-+@{}*[]", *c);
    buf_addf(out, plain ? "%s" : "\"%s\"", pattern);
}

/* --- parts of paths ------------------------------------------------------------------------- */

static bool is_word(const struct part *part, const char *word)
{
    return part->len == strlen(word) && memcmp(part->text, word, part->len) == 0;
}

static size_t count_leading(const struct part *part, size_t from, bool (*is)(char c))
{
    size_t count = 0;

    while (from + count < part->len && is(part->text[from + count]))
        count++;
    return count;
}

static bool is_number(const struct part *part)
{
    return part->len > 0 && count_leading(part, 0, is_digit) == part->len;
}

static bool is_hex_or_dash(char c)
{
    return is_hex(c) || c == '-';
}

/* A container's id, a pod's uid, a digest: twelve or more of 0-9a-f, digits among them. */
static bool is_id(const struct part *part)
{
    bool digit = false;

    for (size_t i = 0; i < part->len; i++)
        digit = digit || is_digit(part->text[i]);
    return digit && part->len >= 12 && count_leading(part, 0, is_hex_or_dash) == part->len &&
           is_hex(part->text[0]);
}

/* "python3.11", "perl-5.36.0" */
static size_t version_at(const struct part *part)
{
    size_t name = count_leading(part, 0, is_letter), at = name;
    bool dots = false;

    at += at < part->len && part->text[at] == '-';
    if (name == 0 || at >= part->len || !is_digit(part->text[at]))
        return 0;
    for (size_t i = at; i < part->len; i++) {
        if (!is_digit(part->text[i]) && part->text[i] != '.')
            return 0;
        dots = dots || part->text[i] == '.';
    }
    return dots ? at : 0;
}

/* "libc.so.6" → up to ".so"; 0: no library with a version. */
static size_t library_at(const struct part *part)
{
    for (size_t i = 1; i + 4 < part->len; i++)
        if (memcmp(part->text + i, ".so.", 4) == 0 && is_digit(part->text[i + 4]))
            return i + 3;
    return 0;
}

/* Where names hold nothing that changes with each start, numbers are part of the name. */
static bool has_fixed_names(const char *path)
{
    static const char *const folders[] = {"/etc/", "/dev/", "/proc/", "/sys/"};

    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        if (strncmp(path, folders[i], strlen(folders[i])) == 0)
            return strncmp(path, "/dev/shm/", 9) != 0;
    return false;
}

/* Runs of four digits and more, such as process ids and dates. */
static void add_with_numbers(struct buf *out, const struct part *part)
{
    for (size_t i = 0; i < part->len;) {
        size_t digits = count_leading(part, i, is_digit);

        if (digits >= 4) {
            buf_add_string(out, "[0-9]*");
            i += digits;
        } else {
            add_literal(out, part->text + i, digits ? digits : 1);
            i += digits ? digits : 1;
        }
    }
}

/* mktemp's "tmp.Ab3dE6gH1k" */
static bool is_temporary(const struct part *part)
{
    return part->len >= 10 && memcmp(part->text, "tmp.", 4) == 0 &&
           !memchr(part->text + 4, '.', part->len - 4);
}

static void add_general(struct buf *out, const struct part *part)
{
    size_t at;

    if (is_number(part)) {
        buf_add_string(out, "[0-9]*");
    } else if (is_id(part)) {
        buf_add_string(out, "[0-9a-f]*");
    } else if (part->len > 3 && memcmp(part->text, "..", 2) == 0 && is_digit(part->text[2])) {
        buf_add_string(out, "..[0-9]*"); /* how kubelets lay out volumes */
    } else if (is_temporary(part)) {
        buf_add_string(out, "tmp.*");
    } else if ((at = library_at(part)) || (at = version_at(part))) {
        add_literal(out, part->text, at);
        buf_add_string(out, is_digit(part->text[at]) ? "[0-9]*" : "*");
    } else {
        add_with_numbers(out, part);
    }
}

/* --- paths ---------------------------------------------------------------------------------- */

struct shaper {
    const struct audit_pattern_options *options;
    const char *path;
    bool general; /* this path's numbers may become patterns */
    bool proc;
    struct buf *out;
};

/* The agent has put these in place of numbers; within other paths they would be somebody's file. */
static bool add_task(const struct shaper *shaper, const struct part *part)
{
    bool task = is_word(part, "@{pid}") || is_word(part, "@{tid}");

    if (!shaper->proc || !task)
        return false;
    if (shaper->options->variables)
        buf_add(shaper->out, part->text, part->len);
    else
        buf_add_string(shaper->out, "[0-9]*");
    return true;
}

static bool is_multiarch(const struct part *part)
{
    return memmem(part->text, part->len, "-linux-gnu", 10) != NULL &&
           part->text[part->len - 1] != '.';
}

static void add_part(const struct shaper *shaper, const struct part *part, bool last)
{
    const struct audit_pattern_options *options = shaper->options;

    if (last && options->wildcard && is_word(part, "*"))
        buf_add_char(shaper->out, '*');
    else if (add_task(shaper, part))
        return;
    else if (options->exact || !shaper->general)
        add_literal(shaper->out, part->text, part->len);
    else if (options->variables && is_multiarch(part) && strstr(shaper->path, "/lib"))
        buf_add_string(shaper->out, "@{multiarch}");
    else
        add_general(shaper->out, part);
}

/* How much of the path's beginning a variable stands for; that is added. */
static size_t add_beginning(const struct shaper *shaper)
{
    static const struct {
        const char *folder, *variable;
        size_t parts; /* that go with it: the user of a home */
    } beginnings[] = {
        {"/proc/", "@{PROC}/", 0}, {"/sys/", "@{sys}/", 0},   {"/run/user/", "@{run}/user/", 1},
        {"/run/", "@{run}/", 0},   {"/root/", "@{HOME}/", 0}, {"/home/", "@{HOME}/", 1},
    };

    for (size_t i = 0; shaper->options->variables && i < ARRAY_SIZE(beginnings); i++) {
        size_t len = strlen(beginnings[i].folder), user;

        if (shaper->options->exact && i > 1)
            break;
        if (strncmp(shaper->path, beginnings[i].folder, len) != 0)
            continue;
        user = strcspn(shaper->path + len, "/");
        /* The home itself, without anything in it, has no variable of its own. */
        if (beginnings[i].parts > 0 && (user == 0 || shaper->path[len + user] != '/'))
            continue;
        if (beginnings[i].parts > 0 && i == 2 && strspn(shaper->path + len, "0123456789") != user)
            continue;
        buf_add_string(shaper->out, beginnings[i].variable);
        if (i == 2)
            buf_add_string(shaper->out, "@{uid}/");
        return len + (beginnings[i].parts > 0 ? user + 1 : 0);
    }
    return 0;
}

int audit_pattern_path(const char *path, const struct audit_pattern_options *options,
                       struct buf *out, struct error *err)
{
    const struct shaper shaper = {
        .options = options,
        .path = path,
        .general = !has_fixed_names(path),
        .proc = strncmp(path, "/proc/", 6) == 0,
        .out = out,
    };
    int r = check(path, err);

    if (r == 0 && path[0] != '/')
        r = error_set(err, -EINVAL,
                      "the path is not one of the container's file system: the profile needs "
                      "flags=(attach_disconnected)");
    if (r < 0)
        return r;
    for (size_t at = add_beginning(&shaper); path[at];) {
        struct part part = {path + at, strcspn(path + at, "/")};

        if (part.len > 0)
            add_part(&shaper, &part, path[at + part.len] == '\0');
        at += part.len;
        if (path[at] == '/') {
            buf_add_char(out, '/');
            at++;
        }
    }
    return 0;
}
