// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

bool text_ends_with(const char *text, const char *end);
