// SPDX-License-Identifier: Apache-2.0
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/utf8.h"

bool term_has_colour(FILE *stream)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fileno(stream)) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static size_t put_escape(FILE *stream, unsigned char c)
{
    if (c == '\n' || c == '\t') {
        if (stream)
            fputs(c == '\n' ? "\\n" : "\\t", stream);
        return 2;
    }
    if (stream)
        fprintf(stream, "\\x%02x", c);
    return 4;
}

static size_t put(FILE *stream, const char *text)
{
    size_t width = 0;

    for (size_t left = strlen(text); left > 0;) {
        size_t len = utf8_visible(text, left);

        if (len > 0 && stream)
            fwrite(text, 1, len, stream);
        width += len > 0 ? 1 : put_escape(stream, (unsigned char) *text);
        len = len > 0 ? len : 1;
        text += len;
        left -= len;
    }
    return width;
}

void term_put(FILE *stream, const char *text)
{
    put(stream, text);
}

size_t term_width(const char *text)
{
    return put(NULL, text);
}

void term_put_coloured(FILE *stream, bool on, enum colour colour, const char *text)
{
    static const char *const codes[COLOUR_COUNT] = {
        [COLOUR_NONE] = "",  [COLOUR_BOLD] = "1",   [COLOUR_FAINT] = "2",
        [COLOUR_RED] = "31", [COLOUR_GREEN] = "32", [COLOUR_YELLOW] = "33",
    };

    on = on && colour != COLOUR_NONE;
    if (on)
        fprintf(stream, "\x1b[%sm", codes[colour]);
    term_put(stream, text);
    if (on)
        fputs("\x1b[0m", stream);
}
