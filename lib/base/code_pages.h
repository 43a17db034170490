// SPDX-License-Identifier: Apache-2.0
#pragma once

/*
 * Takes the pages of code and constants, the program's and its libraries', out of the process's
 * memory. They stay in the system's cache of files, and each comes back when it is used: what only
 * the start has needed does not. Nothing is done while a debugger is attached, whose breakpoints
 * are changes of such pages. (So are the probes that tracers put into libraries for all programs,
 * of which nothing tells: they end here.)
 */
void code_pages_forget(void);
