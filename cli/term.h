// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Text for terminals. What comes from the cluster was written by others, and file names in denials
 * by whoever attacks: control characters never get through.
 */
enum colour {
    COLOUR_NONE,
    COLOUR_BOLD,
    COLOUR_FAINT,
    COLOUR_RED,
    COLOUR_GREEN,
    COLOUR_YELLOW,
    COLOUR_COUNT,
};

/* A terminal that shows colours, whose user wants them (https://no-color.org). */
bool term_has_colour(FILE *stream);

/* With control characters as \n, \t or \x1b, bytes that are not UTF-8 likewise. */
void term_put(FILE *stream, const char *text);
/* In a colour when `on`. */
void term_put_coloured(FILE *stream, bool on, enum colour colour, const char *text);
/* Characters that term_put() would print. */
size_t term_width(const char *text);
