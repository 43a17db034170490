// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "lib/base/json.h"
#include "lib/base/map.h"

/*
 * What is wrong, each with what to do about it. Problems of many objects that are alike are one, so
 * that a cluster of thousands of nodes has a list that a person can read.
 */
struct problems;

struct problems *problems_new(void);
void problems_free(struct problems *problems);
DEFINE_CLEANUP(struct problems *, problems_free)

struct problem {
    bool warning;        /* to be known, but nothing is broken */
    const char *kind;    /* "AppArmorProfile", "Node" … */
    const char *name;    /* of the object; NULL: it is about none */
    const char *reason;  /* CamelCase word or NULL; problems alike in kind and reason join */
    const char *message; /* of several that join the first is kept */
    const char *remedy;  /* NULL: as remedy_of(reason) */
    bool alone;          /* never joins: the messages differ in what matters */
};

void problems_add(struct problems *problems, const struct problem *problem);
/* The list for -o json: severity, kind, names, reason, message, remedy. Errors come first. */
cJSON *problems_json(const struct problems *problems);
/* Whether one of them is an error. */
bool problems_has_error(const cJSON *json);
/* At most `max` problems, and `names` names of each. */
void problems_print(const cJSON *json, FILE *stream, bool colour, size_t max, size_t names);
