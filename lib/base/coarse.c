// SPDX-License-Identifier: Apache-2.0
#include "lib/base/coarse.h"

uint64_t coarse_floor(uint64_t number)
{
    uint64_t step = 1;

    if (number == 0)
        return 0;
    while (number / step >= 10)
        step *= 10;
    if (number / step >= 5)
        return 5 * step;
    return number / step >= 2 ? 2 * step : step;
}
