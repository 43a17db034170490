// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/workqueue.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"

/* The order of what happens, as words; and the work that is under way, by key. */
static uv_loop_t loop;
static struct kube_workqueue *queue;
static struct buf story;
static struct kube_work *under_way[26];
static unsigned runs[26];
static uint64_t times[64];
static size_t time_count;
static bool hold; /* work ends when the test says so, not at once */
static struct kube_result result;

static void finish(char key)
{
    struct kube_work *work = TAKE_PTR(under_way[key - 'a']);

    cr_assert_not_null(work);
    kube_work_done(work, result);
}

static void reconcile(void *userdata, const char *key, struct kube_work *work)
{
    cr_assert_eq(userdata, &story);
    buf_addf(&story, "%s ", key);
    if (time_count < ARRAY_SIZE(times))
        times[time_count++] = clock_monotonic_ms();
    runs[key[0] - 'a']++;
    cr_assert_null(under_way[key[0] - 'a'], "two workers on one key");
    under_way[key[0] - 'a'] = work;
    if (!hold)
        finish(key[0]);
}

static void open_queue(const struct kube_workqueue_options *given)
{
    struct kube_workqueue_options options = given ? *given : (struct kube_workqueue_options){0};

    options.reconcile = reconcile;
    options.userdata = &story;
    queue = kube_workqueue_new(&loop, &options);
}

static void set_up(void)
{
    alloc_init();
    uv_loop_init(&loop);
    story = BUF_INIT(100000);
}

static void tear_down(void)
{
    kube_workqueue_free(TAKE_PTR(queue));
    buf_done(&story);
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(workqueue, .init = set_up, .fini = tear_down, .timeout = 30);

static void on_tick(void *userdata)
{
    (void) userdata;
}

/* UV_RUN_ONCE runs what is due and then waits for the next timer, however late that is. */
static void turn(void)
{
    struct loop_timer *tick = loop_timer_new(&loop, on_tick, NULL);

    loop_timer_start(tick, 2);
    uv_run(&loop, UV_RUN_ONCE);
    loop_timer_free(tick);
}

/* Until nothing waits, not even a delay: the loop has no other handles. */
static void run(void)
{
    uv_run(&loop, UV_RUN_DEFAULT);
}

Test(workqueue, keys_are_served_in_order_of_arrival_and_wait_once)
{
    open_queue(NULL);
    kube_workqueue_add(queue, "b");
    kube_workqueue_add(queue, "a");
    kube_workqueue_add(queue, "b");
    kube_workqueue_add(queue, "c");
    cr_assert_eq(kube_workqueue_depth(queue), 3);
    cr_assert_str_eq(buf_string(&story), "", "nothing runs inside the call");
    run();
    cr_assert_str_eq(buf_string(&story), "b a c ");
    cr_assert_eq(kube_workqueue_depth(queue), 0);
}

Test(workqueue, a_key_added_while_worked_on_runs_once_more)
{
    hold = true;
    open_queue(NULL);
    kube_workqueue_add(queue, "a");
    run();
    kube_workqueue_add(queue, "a");
    kube_workqueue_add(queue, "a");
    run();
    cr_assert_eq(runs[0], 1);
    finish('a');
    run();
    cr_assert_eq(runs[0], 2);
    finish('a');
    run();
    cr_assert_eq(runs[0], 2);
    cr_assert_eq(kube_workqueue_depth(queue), 0);
}

Test(workqueue, no_more_keys_are_worked_on_than_allowed)
{
    hold = true;
    open_queue(&(struct kube_workqueue_options){.max_active = 2});
    for (const char *const *key = (const char *const[]){"a", "b", "c", NULL}; *key; key++)
        kube_workqueue_add(queue, *key);
    run();
    cr_assert_str_eq(buf_string(&story), "a b ");
    cr_assert_eq(kube_workqueue_depth(queue), 3);
    finish('b');
    run();
    cr_assert_str_eq(buf_string(&story), "a b c ");
    finish('a');
    finish('c');
    run();
    cr_assert_eq(kube_workqueue_depth(queue), 0);
}

Test(workqueue, a_key_that_runs_again_goes_to_the_end_of_the_line)
{
    hold = true;
    open_queue(NULL);
    kube_workqueue_add(queue, "a");
    kube_workqueue_add(queue, "b");
    run();
    kube_workqueue_add(queue, "a");
    finish('a');
    run();
    cr_assert_str_eq(buf_string(&story), "a b ");
    finish('b');
    run();
    cr_assert_str_eq(buf_string(&story), "a b a ");
    finish('a');
}

/* --- back-off
 * ------------------------------------------------------------------------------------- */

static unsigned failures_left;

static void fail_some(void *userdata, const char *key, struct kube_work *work)
{
    (void) userdata;
    (void) key;
    if (time_count < ARRAY_SIZE(times))
        times[time_count++] = clock_monotonic_ms();
    if (failures_left > 0) {
        failures_left--;
        kube_work_done(work, (struct kube_result){.outcome = KUBE_RETRY});
    } else {
        kube_work_done(work, (struct kube_result){.outcome = KUBE_DONE});
    }
}

static void expect_gap(size_t index, uint64_t at_least)
{
    /* Timers and clock round to milliseconds on their own. */
    cr_assert_geq(times[index + 1] - times[index] + 1, at_least, "%zu: %llu ms", index,
                  (unsigned long long) (times[index + 1] - times[index]));
}

Test(workqueue, failures_back_off_exponentially_up_to_a_limit_and_success_forgets)
{
    const struct kube_workqueue_options options = {.base_delay_ms = 10,
                                                   .max_delay_ms = 40,
                                                   .reconcile = fail_some};

    queue = kube_workqueue_new(&loop, &options);
    failures_left = 4;
    kube_workqueue_add(queue, "a");
    run();
    cr_assert_eq(time_count, 5);
    expect_gap(0, 10);
    expect_gap(1, 20);
    expect_gap(2, 40);
    expect_gap(3, 40);
    cr_assert_lt(times[4] - times[3], 80, "the limit holds");

    time_count = 0;
    failures_left = 1;
    kube_workqueue_add(queue, "a");
    run();
    cr_assert_eq(time_count, 2);
    expect_gap(0, 10);
    cr_assert_lt(times[1] - times[0], 40, "the success was forgotten");
}

Test(workqueue, one_keys_back_off_does_not_hold_another)
{
    hold = true;
    open_queue(&(struct kube_workqueue_options){.base_delay_ms = 60000});
    kube_workqueue_add(queue, "a");
    while (runs[0] == 0)
        turn();
    result.outcome = KUBE_RETRY;
    finish('a');
    kube_workqueue_add(queue, "b");
    while (runs[1] == 0)
        turn();
    cr_assert_eq(runs[0], 1);
    cr_assert_eq(kube_workqueue_depth(queue), 1, "one in delay does not count");
}

Test(workqueue, a_key_in_back_off_runs_at_once_when_added)
{
    hold = true;
    open_queue(&(struct kube_workqueue_options){.base_delay_ms = 60000});
    result.outcome = KUBE_RETRY;
    kube_workqueue_add(queue, "a");
    while (runs[0] == 0)
        turn();
    finish('a');
    kube_workqueue_add(queue, "a");
    while (runs[0] == 1)
        turn();
}

/* --- delays
 * --------------------------------------------------------------------------------------- */

Test(workqueue, the_earliest_of_several_delays_wins)
{
    uint64_t begin = clock_monotonic_ms();

    open_queue(NULL);
    kube_workqueue_add_after(queue, "a", 60000);
    kube_workqueue_add_after(queue, "a", 20);
    kube_workqueue_add_after(queue, "a", 5000);
    kube_workqueue_add_after(queue, "b", 40);
    run();
    cr_assert_str_eq(buf_string(&story), "a b ");
    cr_assert_geq(times[0] - begin + 1, 20);
    cr_assert_geq(times[1] - begin + 1, 40);
    cr_assert_lt(times[1] - begin, 5000);
}

static void requeue_once(void *userdata, const char *key, struct kube_work *work)
{
    (void) userdata;
    (void) key;
    times[time_count++] = clock_monotonic_ms();
    kube_work_done(work, time_count == 1
                             ? (struct kube_result){.outcome = KUBE_REQUEUE_AFTER, .after_ms = 20}
                             : (struct kube_result){.outcome = KUBE_DONE});
}

Test(workqueue, work_may_ask_to_be_done_again_later)
{
    const struct kube_workqueue_options options = {.reconcile = requeue_once};

    queue = kube_workqueue_new(&loop, &options);
    kube_workqueue_add(queue, "a");
    run();
    cr_assert_eq(time_count, 2);
    expect_gap(0, 20);
}

/* --- others on the loop
 * ---------------------------------------------------------------------------- */

static bool other_ran;

static unsigned spins;

static void spin(void *userdata, const char *key, struct kube_work *work)
{
    uint64_t begin = clock_monotonic_ms();

    (void) userdata;
    while (clock_monotonic_ms() - begin < 1)
        ;
    /* It would go on for ever, but for the other's turn. */
    if (!other_ran && ++spins < 2000)
        kube_workqueue_add(queue, key);
    kube_work_done(work, (struct kube_result){.outcome = KUBE_DONE});
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void) status;
    (void) events;
    other_ran = true;
    uv_close((uv_handle_t *) poll, NULL);
}

Test(workqueue, a_line_without_end_leaves_the_loop_its_turns)
{
    const struct kube_workqueue_options options = {.reconcile = spin};
    uv_poll_t poll;
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    uv_poll_init(&loop, &poll, ends[0]);
    queue = kube_workqueue_new(&loop, &options);
    kube_workqueue_add(queue, "a");
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_poll_start(&poll, UV_READABLE, on_readable);
    run();
    cr_assert(other_ran);
    cr_assert_lt(spins, 100, "the descriptor was readable all the time");
    close(ends[0]);
    close(ends[1]);
}

static void free_queue(void *userdata, const char *key, struct kube_work *work)
{
    (void) userdata;
    (void) key;
    (void) work;
    runs[0]++;
    kube_workqueue_free(TAKE_PTR(queue));
}

Test(workqueue, it_may_be_freed_while_it_works)
{
    const struct kube_workqueue_options options = {.reconcile = free_queue};

    queue = kube_workqueue_new(&loop, &options);
    kube_workqueue_add(queue, "a");
    kube_workqueue_add(queue, "b");
    kube_workqueue_add_after(queue, "c", 10);
    run();
    cr_assert_eq(runs[0], 1);
}
