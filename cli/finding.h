// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/base/json.h"

/* What a check of files has found, with the place in the file. */
struct finding {
    bool warning;
    char *file;
    size_t line, column; /* of the file, from 1; 0: not known */
    size_t policy_line;  /* of spec.policy; 0: it is not about a line, or the file is policy */
    char *object;        /* the AppArmorProfile, or NULL */
    char *reason;        /* CamelCase word */
    char *message;
    char *source;          /* the line that it is about, without its indentation; or NULL */
    size_t mark, mark_len; /* bytes of `source` that a caret shows */
};

struct findings {
    struct finding *items;
    size_t len;
};

void findings_done(struct findings *findings);
#define _cleanup_findings_ _cleanup_(findings_done)

/* A new one, all NULL and 0, for the caller to fill with owned strings. */
struct finding *findings_add(struct findings *findings);
size_t findings_count(const struct findings *findings, bool warnings);

/* "file:9:5: error: message [Reason]", the object, and the line with a caret below. */
void findings_print(const struct findings *findings, FILE *stream, bool colour);
cJSON *findings_json(const struct findings *findings);
