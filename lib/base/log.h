// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"

/*
 * One JSON object a line on standard error, or readable text when that is a
 * terminal. Fixed keys first (time, level, msg), then the pairs of the call.
 * Values are escaped and cut at 4 KiB.
 */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
bool log_enabled(enum log_level level);
/* "debug", "info", "warn", "error"; -EINVAL otherwise. */
int log_level_parse(const char *text, enum log_level *ret);

/*
 * Level and format as the flags --log-level and --log-format name them, which all programs have;
 * -EINVAL says which of the two takes what. Nothing is set then.
 */
_must_check_ int log_configure(const char *level_text, const char *format_text, struct error *err);
/* What they take, for the help text. */
#define LOG_LEVEL_HELP "debug, info, warn or error."
#define LOG_FORMAT_HELP "json, text, or auto: text on a terminal."

/* Pairs of (const char *key, const char *value), ended by NULL. A NULL value
 * leaves its pair out. */
void log_event(enum log_level level, const char *message, ...) __attribute__((sentinel));

#define log_debug(...) log_event(LOG_DEBUG, __VA_ARGS__, NULL)
#define log_info(...) log_event(LOG_INFO, __VA_ARGS__, NULL)
#define log_warn(...) log_event(LOG_WARN, __VA_ARGS__, NULL)
#define log_error(...) log_event(LOG_ERROR, __VA_ARGS__, NULL)
