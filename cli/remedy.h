// SPDX-License-Identifier: Apache-2.0
#pragma once

/*
 * What to do about a reason that the agents or the controller give, in one sentence; NULL when
 * nothing is known that helps, or nothing need be done.
 */
const char *remedy_of(const char *reason);
