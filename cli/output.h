// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"
#include "lib/base/json.h"

/* Prints the result as -o json or yaml asks; false when text is wanted, and nothing is printed. */
bool output_print(const struct cli *cli, const cJSON *result);
/* YAML of any size. */
void output_yaml(FILE *stream, const cJSON *json);
