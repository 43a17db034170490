// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/metrics.h"

/*
 * The series of apparmor_violations_total. There is room for a bounded number: when it is full,
 * those that have stood still for an hour go, whose pods are gone more often than not; while there
 * are none of these, what is new is counted as "other".
 */
struct violation_series;

#define VIOLATION_LABELS 6
#define VIOLATION_SERIES_MAX 1000
#define VIOLATION_IDLE_MS 3600000
/* Between two looks for such series. */
#define VIOLATION_LOOK_MS 10000

struct violation_series *violation_series_new(struct metrics *metrics);
void violation_series_free(struct violation_series *series);
DEFINE_CLEANUP(struct violation_series *, violation_series_free)

/* Counts one. `values` are those of the metric's labels. */
void violation_series_add(struct violation_series *series,
                          const char *const values[static VIOLATION_LABELS]);
