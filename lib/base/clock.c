// SPDX-License-Identifier: Apache-2.0
#include "lib/base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "lib/base/cleanup.h"

static uint64_t system_monotonic_ms(void *userdata _unused_)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static int64_t system_realtime_ms(void *userdata _unused_)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t system_random(void *userdata _unused_)
{
    uint64_t value;

    /* Requests of up to 256 bytes are never cut short once the pool is initialised. */
    while (getrandom(&value, sizeof(value), 0) != sizeof(value))
        if (errno != EINTR)
            abort();
    return value;
}

static const struct clock_source system_source = {
    .monotonic_ms = system_monotonic_ms,
    .realtime_ms = system_realtime_ms,
    .random = system_random,
};

static const struct clock_source *source = &system_source;

void clock_set_source(const struct clock_source *new_source)
{
    source = new_source ? new_source : &system_source;
}

uint64_t clock_monotonic_ms(void)
{
    return source->monotonic_ms(source->userdata);
}

int64_t clock_realtime_ms(void)
{
    return source->realtime_ms(source->userdata);
}

uint64_t clock_random(void)
{
    return source->random(source->userdata);
}

uint64_t clock_random_below(uint64_t bound)
{
    /* The high half of the 128-bit product: its bias is below bound / 2^64. */
    return (uint64_t) (((unsigned __int128) clock_random() * bound) >> 64);
}

#define DAY_MS (INT64_C(24) * 3600 * 1000)

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar; a year begins in March here,
 * so that the leap day is its last. */
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

const char *clock_format(int64_t realtime_ms, char buffer[static CLOCK_TIME_SIZE])
{
    /* RFC 3339 has four digits for the year. */
    int64_t first = days_of_date(0, 1, 1) * DAY_MS, last = days_of_date(10000, 1, 1) * DAY_MS - 1;
    int64_t ms = realtime_ms < first ? first : realtime_ms > last ? last : realtime_ms;
    time_t seconds = (time_t) (ms / 1000 - (ms % 1000 < 0));
    struct tm tm;

    gmtime_r(&seconds, &tm);
    snprintf(buffer, CLOCK_TIME_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ",
             (unsigned) (tm.tm_year + 1900) % 10000, (unsigned) (tm.tm_mon + 1) % 100,
             (unsigned) tm.tm_mday % 100, (unsigned) tm.tm_hour % 100, (unsigned) tm.tm_min % 100,
             (unsigned) tm.tm_sec % 100);
    return buffer;
}

/* Reads exactly `count` digits. */
static bool take_digits(const char **text, int count, int64_t *ret)
{
    int64_t value = 0;

    for (int i = 0; i < count; i++) {
        if ((*text)[i] < '0' || (*text)[i] > '9')
            return false;
        value = value * 10 + ((*text)[i] - '0');
    }
    *text += count;
    *ret = value;
    return true;
}

static bool take_char(const char **text, char c, char other)
{
    if (**text != c && **text != other)
        return false;
    (*text)++;
    return true;
}

/* ".5", ".123456789": any number of digits, of which milliseconds count. */
static bool take_fraction(const char **text, int64_t *ret_ms)
{
    int64_t ms = 0, scale = 100;

    *ret_ms = 0;
    if (!take_char(text, '.', '.'))
        return true;
    if (**text < '0' || **text > '9')
        return false;
    for (; **text >= '0' && **text <= '9'; (*text)++, scale /= 10)
        ms += (**text - '0') * scale;
    *ret_ms = ms;
    return true;
}

/* "Z", "+02:00". */
static bool take_offset(const char **text, int64_t *ret_minutes)
{
    int64_t hours, minutes;

    *ret_minutes = 0;
    if (take_char(text, 'Z', 'z'))
        return true;

    int sign = **text == '-' ? -1 : 1;
    if (!take_char(text, '+', '-') || !take_digits(text, 2, &hours) || !take_char(text, ':', ':') ||
        !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return true;
}

static int64_t days_of_month(int64_t year, int64_t month)
{
    return month == 12 ? 31 : days_of_date(year, month + 1, 1) - days_of_date(year, month, 1);
}

int clock_parse(const char *text, int64_t *ret_realtime_ms)
{
    int64_t year, month, day, hour, minute, second, ms, offset;

    if (!text || !take_digits(&text, 4, &year) || !take_char(&text, '-', '-') ||
        !take_digits(&text, 2, &month) || !take_char(&text, '-', '-') ||
        !take_digits(&text, 2, &day) || !take_char(&text, 'T', 't') ||
        !take_digits(&text, 2, &hour) || !take_char(&text, ':', ':') ||
        !take_digits(&text, 2, &minute) || !take_char(&text, ':', ':') ||
        !take_digits(&text, 2, &second) || !take_fraction(&text, &ms) ||
        !take_offset(&text, &offset) || *text)
        return -EINVAL;
    if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) || hour > 23 ||
        minute > 59 || second > 59)
        return -EINVAL;
    *ret_realtime_ms = days_of_date(year, month, day) * DAY_MS +
                       ((hour * 60 + minute - offset) * 60 + second) * 1000 + ms;
    return 0;
}
