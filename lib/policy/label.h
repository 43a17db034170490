// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

/*
 * Labels of tasks as in /proc/<pid>/attr/current: "p (enforce)", "a//&:ns:b//kid (mixed)",
 * "unconfined". A line break at the end is no part of them.
 */

/*
 * Whether a label has `name` as one of its profiles or as a parent of one: children, hats and null
 * profiles are "name//…". When in doubt it has.
 */
bool policy_label_uses(const char *label, const char *name);
/* Whether one of them is a null profile of `name`: what the kernel made up for a task in complain
 * mode. */
bool policy_label_learnt(const char *label, const char *name);
/* No profile restricts the task: there is none, or all of them are in the mode unconfined. */
bool policy_label_is_unconfined(const char *label);
/* Some of its profiles, or all, let through what they do not allow: "(complain)" or "(mixed)". */
bool policy_label_may_complain(const char *label);
