// SPDX-License-Identifier: Apache-2.0
#include "agent/census.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "agent/proc.h"
#include "agent/proc_scan.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/coarse.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/map.h"
#include "lib/policy/label.h"

/* Looking takes at most this part of a processor, but is not put off for longer. */
#define SCAN_SHARE 50
#define INTERVAL_MAX_MS 15000
/* Processes that one look tells apart. */
#define SEEN_MAX 4096
#define GROW_MIN 64

struct census {
    uv_loop_t *loop;
    struct census_options options;
    struct loop_timer *timer;
    struct proc_scan *scan;
    uint64_t since; /* when it began: clock ticks from boot */
    uint64_t began_ms, ended_ms;
    bool woken; /* during a look */
};

/* --- on the thread: all processes, and those that something may be let through to ------------ */

struct seen {
    struct sighting sighting;
    const char *label; /* key of `labels` */
};

struct population {
    struct map *labels;
    struct seen *seen;
    size_t seen_count;
    pid_t *alive;
    size_t alive_count, alive_capacity;
    struct buf text;
};

static void population_free(void *value)
{
    struct population *population = value;

    if (!population)
        return;
    map_free(population->labels);
    free(population->seen);
    free(population->alive);
    buf_done(&population->text);
    free(population);
}

static void add_alive(struct population *population, pid_t pid)
{
    if (population->alive_count == population->alive_capacity) {
        population->alive_capacity = population->alive_capacity * 2 + GROW_MIN;
        population->alive = xreallocarray(population->alive, population->alive_capacity,
                                          sizeof(*population->alive));
    }
    population->alive[population->alive_count++] = pid;
}

static const char *label_key(const struct population *population)
{
    const char *text = buf_string(&population->text);
    char *label = map_get(population->labels, text);

    if (!label) {
        label = xstrdup(text);
        map_set(population->labels, text, label);
    }
    return label;
}

static bool visit(void *userdata, int dir, const char *name, pid_t pid)
{
    struct population *population = userdata;
    _cleanup_close_ int task = proc_open(dir, name);
    struct proc_stat stat;

    add_alive(population, pid);
    if (task < 0 || population->seen_count == SEEN_MAX ||
        proc_read_attr(task, PROC_ATTR_CURRENT, &population->text) < 0 ||
        !policy_label_may_complain(buf_string(&population->text)) ||
        proc_read_stat(task, &stat) < 0)
        return false;
    if (!population->seen)
        population->seen = xcalloc(SEEN_MAX, sizeof(*population->seen));
    population->seen[population->seen_count++] = (struct seen){
        .sighting = {.pid = pid, .start = stat.start},
        .label = label_key(population),
    };
    return false;
}

static int by_pid(const void *a, const void *b)
{
    pid_t one = *(const pid_t *) a, other = *(const pid_t *) b;

    return one < other ? -1 : one > other;
}

static int by_seen_pid(const void *a, const void *b)
{
    return by_pid(&((const struct seen *) a)->sighting.pid,
                  &((const struct seen *) b)->sighting.pid);
}

static int population_read(const char *proc, void **ret, struct error *err)
{
    const char *path = proc ? proc : "/proc";
    struct population *population = xcalloc(1, sizeof(*population));
    int r = proc_check_whole(path, err);

    population->labels = map_new(free);
    buf_init(&population->text, PROC_TEXT_MAX);
    if (r == 0) {
        r = proc_each(AT_FDCWD, path, visit, population);
        if (r < 0)
            r = error_set_errno(err, r, "cannot read the processes in %s", path);
    }
    if (r < 0) {
        population_free(population);
        return r;
    }
    qsort(population->alive, population->alive_count, sizeof(*population->alive), by_pid);
    if (population->seen_count > 0)
        qsort(population->seen, population->seen_count, sizeof(*population->seen), by_seen_pid);
    *ret = population;
    return 0;
}

static const struct proc_scan_kind population_scan = {.read = population_read,
                                                      .free = population_free};

/* --- on the loop: whose they are ------------------------------------------------------------- */

static bool is_counted(const struct record *record)
{
    return record->state.mode == POLICY_COMPLAIN && *record->state.revision;
}

static bool is_under(const char *label, const struct strv *names)
{
    for (size_t i = 0; i < names->len; i++)
        if (policy_label_uses(label, names->items[i]))
            return true;
    return false;
}

/* True when what is told of it is another number. */
static bool count(const struct census *census, const struct population *population,
                  struct record *record)
{
    const char *revision = record->state.revision;
    uint64_t before = coarse_floor(sightings_count(&record->sightings, revision));
    _cleanup_free_ struct sighting *seen = xcalloc(population->seen_count + 1, sizeof(*seen));
    struct sightings_look look = {
        .alive = population->alive,
        .alive_count = population->alive_count,
        .seen = seen,
        .since = census->since,
    };

    for (size_t i = 0; i < population->seen_count; i++)
        if (is_under(population->seen[i].label, &record->state.names))
            seen[look.seen_count++] = population->seen[i].sighting;
    sightings_add(&record->sightings, revision, &look);
    return coarse_floor(sightings_count(&record->sightings, revision)) != before;
}

static void count_all(const struct census *census, const struct population *population)
{
    struct record *record;
    bool changed = false;
    size_t position = 0;

    while ((record = records_next(census->options.records, &position))) {
        if (is_counted(record))
            changed |= count(census, population, record);
        else if (record->sightings.items)
            sightings_done(&record->sightings);
    }
    if (changed)
        census->options.changed(census->options.userdata);
}

/* --- when ------------------------------------------------------------------------------------ */

static void on_population(void *userdata, void *result, const struct error *err)
{
    struct census *census = userdata;
    struct population *population = result;

    census->scan = NULL;
    census->ended_ms = clock_monotonic_ms();
    if (population)
        count_all(census, population);
    else
        log_debug("cannot count processes", "err", error_message(err));
    population_free(population);
    if (census->woken)
        census_wake(census);
}

static bool has_any_to_count(const struct census *census)
{
    const struct record *record;
    size_t position = 0;

    while ((record = records_next(census->options.records, &position)))
        if (is_counted(record))
            return true;
    return false;
}

static void look(void *userdata)
{
    struct census *census = userdata;

    census->woken = false;
    census->began_ms = clock_monotonic_ms();
    census->scan = proc_scan_start(census->loop, &population_scan, census->options.proc,
                                   on_population, census);
}

static uint64_t interval_ms(const struct census *census)
{
    uint64_t ms = (census->ended_ms - census->began_ms) * SCAN_SHARE;

    if (ms < CENSUS_INTERVAL_MS)
        return CENSUS_INTERVAL_MS;
    return ms < INTERVAL_MAX_MS ? ms : INTERVAL_MAX_MS;
}

void census_wake(struct census *census)
{
    uint64_t now_ms = clock_monotonic_ms(), due_ms = census->ended_ms + interval_ms(census);

    if (loop_timer_active(census->timer) || !has_any_to_count(census))
        return;
    if (census->scan)
        census->woken = true;
    else if (!census->ended_ms || now_ms >= due_ms)
        look(census);
    else
        loop_timer_start(census->timer, due_ms - now_ms);
}

void census_remind(struct census *census)
{
    if (clock_monotonic_ms() - census->ended_ms >= CENSUS_SELDOM_MS)
        census_wake(census);
}

/* --- the module ------------------------------------------------------------------------------ */

static uint64_t ticks_now(void)
{
    struct timespec now;
    uint64_t per_second = (uint64_t) sysconf(_SC_CLK_TCK);

    (void) clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t) now.tv_sec * per_second +
           (uint64_t) now.tv_nsec * per_second / UINT64_C(1000000000);
}

struct census *census_new(uv_loop_t *loop, const struct census_options *options)
{
    struct census *census = xcalloc(1, sizeof(*census));

    census->loop = loop;
    census->options = *options;
    census->timer = loop_timer_new(loop, look, census);
    census->since = ticks_now();
    return census;
}

void census_free(struct census *census)
{
    if (!census)
        return;
    proc_scan_cancel(census->scan);
    loop_timer_free(census->timer);
    free(census);
}
