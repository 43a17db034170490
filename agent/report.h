// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/host.h"

/*
 * Changes of an object's state, told once: in its record (for status and table), in the metric
 * apparmor_profile_loaded, and as one line of the log per transition.
 */
void report_state(const struct host *host, struct record *record, enum profile_phase phase,
                  const char *reason, const char *message);
/* The object has left this node. */
void report_gone(const struct host *host, const struct record *record);
