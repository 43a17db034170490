// SPDX-License-Identifier: Apache-2.0
#include "lib/base/text.h"

#include <string.h>

bool text_ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}
