// SPDX-License-Identifier: Apache-2.0
#include "cli/convert.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/digest.h"
#include "lib/policy/profile.h"

#define DIGEST_SHOWN 6

void convert_init(struct convert *convert)
{
    *convert = (struct convert){.names = map_new(NULL), .made = cJSON_CreateArray()};
}

void convert_done(struct convert *convert)
{
    map_free(convert->names);
    json_free(convert->made);
    strv_done(&convert->notes);
    strv_done(&convert->problems);
}

static void add(struct strv *list, const char *place, const char *format, va_list args)
{
    _cleanup_free_ char *text = xvasprintf(format, args);

    strv_take(list, xasprintf("%s: %s", place, text));
}

void convert_note(struct convert *convert, const char *place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(&convert->notes, place, format, args);
    va_end(args);
}

void convert_problem(struct convert *convert, const char *place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(&convert->problems, place, format, args);
    va_end(args);
}

/* --- names ---------------------------------------------------------------------------------- */

static bool is_valid(const char *name)
{
    return policy_name_check(name, NULL) == 0;
}

/* Lower case, and one '-' for each run of what a name cannot have; dots only between letters. */
static void add_plain(struct buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char) *text;
        char last = out->len > 0 ? out->data[out->len - 1] : '.';

        if (c < 0x80 && isalnum(c))
            buf_add_char(out, (char) tolower(c));
        else if (c == '.' && last != '.' && last != '-')
            buf_add_char(out, '.');
        else if (last != '.' && last != '-')
            buf_add_char(out, '-');
    }
    while (out->len > 0 && strchr(".-", out->data[out->len - 1]))
        out->data[--out->len] = '\0';
}

/* Cut to `max` characters, ending in a letter or digit. */
static void cut(struct buf *name, size_t max)
{
    while (name->len > max || (name->len > 0 && strchr(".-", name->data[name->len - 1])))
        name->data[--name->len] = '\0';
}

static void shorten(struct buf *name, const char *text)
{
    char digest[DIGEST_HEX_SIZE];

    digest_sha256(text, strlen(text), digest);
    cut(name, POLICY_NAME_MAX - DIGEST_SHOWN - 1);
    buf_addf(name, "-%.*s", DIGEST_SHOWN, digest);
}

char *convert_name(struct convert *convert, const char *text)
{
    struct buf name = BUF_INIT(SIZE_MAX / 2);
    char *chosen;

    add_plain(&name, text);
    if (name.len == 0)
        buf_add_string(&name, "profile");
    if (name.len > POLICY_NAME_MAX)
        shorten(&name, text);
    chosen = buf_take(&name);
    for (unsigned i = 2; map_has(convert->names, chosen) || !is_valid(chosen); i++) {
        buf_add_string(&name, chosen);
        cut(&name, POLICY_NAME_MAX - 5);
        buf_addf(&name, "-%u", i);
        free(chosen);
        chosen = buf_take(&name);
    }
    map_set(convert->names, chosen, NULL);
    return chosen;
}
