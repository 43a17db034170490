// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

/*
 * The largest of 0, 1, 2, 5, 10, 20, 50, … that is not above the number. For what grows all the
 * time and each change of which is a write: a million is reached in twenty of them.
 */
uint64_t coarse_floor(uint64_t number);
