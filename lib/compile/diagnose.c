// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/diagnose.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/utf8.h"

#define MESSAGE_MAX 1000
#define ELLIPSIS "…"

static const char ERROR_PREFIX[] = "AppArmor parser error";
static const char PROGRAM_PREFIX[] = "apparmor_parser: ";
static const char AT_LINE[] = " at line ";

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_word(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c >= 0x80;
}

/* Whether `data` has the word with nothing of a word before and after it. */
static bool contains(const void *data, size_t size, const char *word, size_t len)
{
    const char *start = data, *end = start + size;

    for (const char *at = start; (at = memmem(at, (size_t) (end - at), word, len)); at++)
        if ((at == start || !is_word((unsigned char) at[-1])) &&
            (at + len == end || !is_word((unsigned char) at[len])))
            return true;
    return false;
}

/* The parser joins the names of children: "parent//kid". */
static bool is_known(const struct diagnose_options *options, const char *word, size_t len)
{
    if (contains(options->text, options->text_len, word, len) ||
        contains(options->parser, options->parser_len, word, len))
        return true;
    const char *joint = memmem(word, len, "//", 2);
    size_t first = joint ? (size_t) (joint - word) : 0;
    return first > 0 && len > first + 2 && is_known(options, word, first) &&
           is_known(options, joint + 2, len - first - 2);
}

/* One word with the punctuation around it. */
static void add_word(const struct diagnose_options *options, struct buf *out, const char *word,
                     size_t len)
{
    static const char punctuation[] = "'\"`()[],.:;";
    size_t file = strlen(options->file), first = 0, last = len;

    while (first < last && strchr(punctuation, word[first]))
        first++;
    while (last > first && strchr(punctuation, word[last - 1]))
        last--;

    buf_add(out, word, first);
    if (last - first == file && memcmp(word + first, options->file, file) == 0)
        buf_add_string(out, "spec.policy");
    else if (first == last || (utf8_valid(word + first, last - first) &&
                               is_known(options, word + first, last - first)))
        buf_add(out, word + first, last - first);
    else
        buf_add_string(out, ELLIPSIS);
    buf_add(out, word + last, len - last);
}

static void add_words(const struct diagnose_options *options, struct buf *out, const char *text)
{
    for (bool more = false; *text; more = true) {
        text += strspn(text, " \t\r\v\f");
        size_t len = strcspn(text, " \t\r\v\f");
        if (len == 0)
            break;
        if (more)
            buf_add_char(out, ' ');
        add_word(options, out, text, len);
        text += len;
    }
}

/* The number at "…3: message"; NULL when the text goes on in another way. */
static const char *read_line_number(const char *text, unsigned long *ret)
{
    char *end;

    if (*text < '0' || *text > '9')
        return NULL;
    unsigned long number = strtoul(text, &end, 10);
    if (*end != ':')
        return NULL;
    *ret = number;
    return end + 1 + strspn(end + 1, " ");
}

/* Whether `path` (up to `len`) is below the includes folder and a plain name; gives the part below
 * it. */
static const char *shipped_include(const struct diagnose_options *options, const char *path,
                                   size_t *len)
{
    size_t base = strlen(options->includes);

    while (base > 1 && options->includes[base - 1] == '/')
        base--;
    if (*len <= base + 1 || memcmp(path, options->includes, base) != 0 || path[base] != '/' ||
        memmem(path, *len, "..", 2))
        return NULL;
    *len -= base + 1;
    for (size_t i = base + 1; i < base + 1 + *len; i++)
        if (!is_word((unsigned char) path[i]) && !strchr("/.-+@", path[i]))
            return NULL;
    return path + base + 1;
}

/*
 * "AppArmor parser error for FILE in profile PLACE at line N: text", or without " in profile PLACE"
 * when that is FILE. False when it points anywhere else.
 */
static bool add_pointed(const struct diagnose_options *options, struct buf *out, const char *line)
{
    static const char *const joints[] = {" in profile ", " in "};
    unsigned long number;

    line += strlen(ERROR_PREFIX);
    if (!starts_with(line, " for ") || !starts_with(line + 5, options->file))
        return false;
    const char *place = line + 5;
    const char *rest = place + strlen(options->file);
    for (size_t i = 0; i < ARRAY_SIZE(joints); i++)
        if (starts_with(rest, joints[i])) {
            place = rest + strlen(joints[i]);
            break;
        }
    const char *at = strstr(place, AT_LINE);
    const char *text = at ? read_line_number(at + strlen(AT_LINE), &number) : NULL;
    if (!text)
        return false;

    size_t len = (size_t) (at - place);
    if (len != strlen(options->file) || memcmp(place, options->file, len) != 0) {
        const char *include = shipped_include(options, place, &len);
        if (!include)
            return false;
        buf_addf(out, "%.*s, ", (int) len, include);
    }
    buf_addf(out, "line %lu: ", number);
    add_words(options, out, text);
    return true;
}

/* Where the policy first uses the variable of "Found reference to variable NAME, …". */
static unsigned line_of_variable(const struct diagnose_options *options, const char *line)
{
    static const char prefix[] = "Found reference to variable ";

    if (!starts_with(line, prefix))
        return 0;
    const char *name = line + strlen(prefix);
    _cleanup_free_ char *use = xasprintf("@{%.*s}", (int) strcspn(name, ", "), name);
    const char *found = memmem(options->text, options->text_len, use, strlen(use));
    unsigned number = 1;
    for (const char *c = options->text; found && c < found; c++)
        number += *c == '\n';
    return found ? number : 0;
}

static void add_unpointed(const struct diagnose_options *options, struct buf *out, const char *line)
{
    unsigned number = line_of_variable(options, line);

    if (number)
        buf_addf(out, "line %u: ", number);
    add_words(options, out, line);
}

static void join(struct buf *messages, const struct buf *message)
{
    if (message->len == 0 || messages->len + message->len + 2 > MESSAGE_MAX)
        return;
    if (messages->len)
        buf_add_string(messages, "; ");
    buf_add(messages, message->data, message->len);
}

static void diagnose_line(const struct diagnose_options *options, const char *line,
                          struct buf *pointed, struct buf *unpointed)
{
    _cleanup_buf_ struct buf message = BUF_INIT(MESSAGE_MAX);

    const char *program = strstr(line, PROGRAM_PREFIX);
    if (program && !memchr(line, ' ', (size_t) (program - line)))
        line = program + strlen(PROGRAM_PREFIX);
    if (starts_with(line, "Warning") || starts_with(line, "Cache"))
        return;
    if (starts_with(line, ERROR_PREFIX)) {
        if (add_pointed(options, &message, line))
            join(pointed, &message);
        return;
    }
    add_unpointed(options, &message, line);
    join(unpointed, &message);
}

char *diagnose(const struct diagnose_options *options, const char *output)
{
    struct buf pointed = BUF_INIT(MESSAGE_MAX), unpointed = BUF_INIT(MESSAGE_MAX);

    while (*output) {
        size_t len = strcspn(output, "\n");
        _cleanup_free_ char *line = xstrndup(output, len);
        diagnose_line(options, line, &pointed, &unpointed);
        output += len + (output[len] == '\n');
    }
    if (pointed.len == 0) {
        buf_done(&pointed);
        pointed = unpointed;
        unpointed = BUF_INIT(0);
    }
    buf_done(&unpointed);
    if (pointed.len == 0)
        buf_add_string(&pointed, "apparmor_parser refuses the policy and does not say why");
    return buf_take(&pointed);
}
