// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/base/strv.h"

/* Files that people name on the command line: manifests in YAML or JSON, or policy as it is. */
struct input {
    char *name; /* as given; "<stdin>" for "-" */
    struct buf text;
    bool yaml;        /* else policy */
    cJSON *documents; /* of YAML */
};

#define INPUT_SIZE_MAX (16 * 1024 * 1024)

/* `path`: a file, or "-" for standard input. Errors name the file; -EINVAL: it is no YAML, and the
 * message begins with its line. */
_must_check_ int input_read(const char *path, struct input *ret, struct error *err);
/* The same of a text: takes the buffer. */
_must_check_ int input_parse(const char *name, struct buf *text, struct input *ret,
                             struct error *err);
void input_done(struct input *input);
#define _cleanup_input_ _cleanup_(input_done)

/* An object of a manifest, also one within a List. */
struct input_object {
    const struct input *input;
    const cJSON *json;
    size_t document;  /* that it is in */
    struct strv path; /* to it in the document: empty, or "items" and "[3]" */
};

/* Each object, those of Lists one by one. What is given lives for the call. */
void input_each(const struct input *input,
                void (*fn)(void *userdata, const struct input_object *object), void *userdata);
/* The object's apiVersion is of this group (any version), and this is its kind. */
bool input_is(const struct input_object *object, const char *group, const char *kind);
