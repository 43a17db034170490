// SPDX-License-Identifier: Apache-2.0
/*
 * Leader election against a real API server. Takes KUBECONFIG, and for its absence STOP_APISERVER
 * and START_APISERVER, shell commands that return when that is done; and KUBE_SCHEDULER, the
 * command of a kube-scheduler, which stands for the same Lease with client-go's election.
 */
#include <signal.h>
#include <sys/wait.h>

#include "lib/kube/lease.h"
#include "tests/live/live.h"

/* A fifth of the usual times. */
#define DURATION_S 3
#define RENEW_DEADLINE_MS 2000
#define RETRY_PERIOD_MS 400
/* From the expiry, or the release, to the attempt of a candidate, and some for a busy machine. */
#define NEXT_ATTEMPT_MS (RETRY_PERIOD_MS * 11 / 5 + 3000)

static unsigned leaders; /* at this moment, of this process */

struct candidate {
    struct kube_client *client;
    struct kube_lease *lease;
    unsigned acquired, lost, failed;
    bool leads, released;
    uint64_t acquired_at, lost_at;
    struct error why;
};

static void on_acquired(void *userdata)
{
    struct candidate *candidate = userdata;

    candidate->acquired++;
    candidate->acquired_at = clock_monotonic_ms();
    candidate->leads = true;
    leaders++;
    cr_assert_eq(leaders, 1, "two lead at once");
}

static void resign(struct candidate *candidate)
{
    leaders -= candidate->leads;
    candidate->leads = false;
}

static void on_lost(void *userdata, const struct error *err)
{
    struct candidate *candidate = userdata;

    candidate->lost++;
    candidate->lost_at = clock_monotonic_ms();
    resign(candidate);
    error_copy(&candidate->why, err);
}

static void on_failed(void *userdata, const struct error *err)
{
    struct candidate *candidate = userdata;

    candidate->failed++;
    cr_log_info("%s: %s", kube_lease_identity(candidate->lease), error_message(err));
}

static void on_released(void *userdata, const struct error *err)
{
    struct candidate *candidate = userdata;

    candidate->released = true;
    cr_assert_eq(err->code, 0, "release: %s", error_message(err));
}

static void stand(struct candidate *candidate, const char *identity)
{
    const struct kube_lease_options options = {
        .ns = ns,
        .name = "election",
        .identity = identity,
        .duration_s = DURATION_S,
        .renew_deadline_ms = RENEW_DEADLINE_MS,
        .retry_period_ms = RETRY_PERIOD_MS,
        .acquired = on_acquired,
        .lost = on_lost,
        .failed = on_failed,
        .userdata = candidate,
    };
    _cleanup_error_ struct error err = {0};

    candidate->client = live_client();
    cr_assert_eq(kube_lease_new(candidate->client, &options, &candidate->lease, &err), 0, "%s",
                 error_message(&err));
    kube_lease_start(candidate->lease);
}

static void retire(struct candidate *candidate)
{
    resign(candidate);
    kube_lease_free(TAKE_PTR(candidate->lease));
    kube_client_free(TAKE_PTR(candidate->client));
    error_done(&candidate->why);
}

TestSuite(lease, .init = live_open, .fini = live_close, .timeout = 300);

static void expect_lease(const char *holder, int64_t duration, int64_t transitions)
{
    _cleanup_answer_ struct answer answer = {0};
    const cJSON *json;
    const char *was;

    kube_get(client, &kube_leases, ns, "election", NULL, on_answer, &answer);
    expect_success(&answer, "read the Lease");
    json = kube_object_json(answer.object);
    was = json_string(json, "spec", "holderIdentity");
    cr_assert_str_eq(was ? was : "", holder);
    cr_assert_eq(json_int(json_get(json, "spec", "leaseDurationSeconds"), -1), duration);
    cr_assert_eq(json_int(json_get(json, "spec", "leaseTransitions"), -1), transitions);
    cr_assert_not_null(json_string(json, "spec", "renewTime"));
}

Test(lease, one_of_two_leads_and_a_release_makes_the_other_the_leader_at_once)
{
    struct candidate a = {0}, b = {0};
    uint64_t released_at;

    stand(&a, "a");
    LIVE_UNTIL(a.acquired == 1, LIVE_WAIT_MS);
    expect_lease("a", DURATION_S, 0);
    stand(&b, "b");
    /* Longer than the Lease lasts: that it stays is what renewals do. */
    LIVE_UNTIL(clock_monotonic_ms() - a.acquired_at > (DURATION_S + 2) * 1000, LIVE_WAIT_MS);
    cr_assert_eq(b.acquired, 0);
    cr_assert_eq(a.lost, 0);
    cr_assert_str_eq(kube_lease_holder(b.lease), "a");

    resign(&a);
    kube_lease_release(a.lease, on_released, &a);
    LIVE_UNTIL(a.released, LIVE_WAIT_MS);
    released_at = clock_monotonic_ms();
    LIVE_UNTIL(b.acquired == 1, LIVE_WAIT_MS);
    cr_assert_lt(b.acquired_at - released_at, NEXT_ATTEMPT_MS, "it took %llu ms",
                 (unsigned long long) (b.acquired_at - released_at));
    expect_lease("b", DURATION_S, 1);
    cr_assert_eq(a.lost, 0);
    retire(&a);

    resign(&b);
    kube_lease_release(b.lease, on_released, &b);
    LIVE_UNTIL(b.released, LIVE_WAIT_MS);
    expect_lease("", 1, 1);
    retire(&b);
}

/* In another process, which leads until it is killed; a byte tells that it does. Its loop is a new
 * one, as it must not touch what this process has open. */
static void lead_until_killed(int tell)
{
    struct candidate a = {0};

    uv_loop_init(&loop);
    stand(&a, "killed");
    while (a.acquired == 0)
        uv_run(&loop, UV_RUN_ONCE);
    if (write(tell, "l", 1) != 1)
        _exit(1);
    uv_run(&loop, UV_RUN_DEFAULT);
    _exit(1);
}

Test(lease, a_leader_that_is_killed_is_followed_after_the_expiry)
{
    struct candidate b = {0};
    uint64_t killed_at, took;
    int ends[2];
    char byte;
    pid_t pid;

    cr_assert_eq(pipe(ends), 0);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        lead_until_killed(ends[1]);
    cr_assert_eq(read(ends[0], &byte, 1), 1);
    stand(&b, "b");
    LIVE_UNTIL(strcmp(kube_lease_holder(b.lease), "killed") == 0, LIVE_WAIT_MS);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    killed_at = clock_monotonic_ms();
    LIVE_UNTIL(b.acquired == 1, LIVE_WAIT_MS);
    took = b.acquired_at - killed_at;
    cr_log_info("the other leads %llu ms after the kill", (unsigned long long) took);
    /* Its last renewal was a retry period ago at most when it was in order. */
    cr_assert_geq(took, DURATION_S * 1000 - RETRY_PERIOD_MS - 500, "%llu ms",
                  (unsigned long long) took);
    cr_assert_lt(took, DURATION_S * 1000 + NEXT_ATTEMPT_MS, "%llu ms", (unsigned long long) took);
    expect_lease("b", DURATION_S, 1);
    retire(&b);
    close(ends[0]);
    close(ends[1]);
}

Test(lease, without_a_server_the_leader_has_lost_before_another_could_lead)
{
    struct candidate a = {0}, b = {0};
    _cleanup_command_ struct command stop = {0}, start = {0};
    uint64_t stopped_at;

    if (!getenv("STOP_APISERVER") || !getenv("START_APISERVER"))
        cr_skip_test("STOP_APISERVER and START_APISERVER are not set");
    stand(&a, "a");
    LIVE_UNTIL(a.acquired == 1, LIVE_WAIT_MS);
    stand(&b, "b");
    LIVE_UNTIL(strcmp(kube_lease_holder(b.lease), "a") == 0, LIVE_WAIT_MS);
    command_run(&stop, getenv("STOP_APISERVER"));
    stopped_at = clock_monotonic_ms();
    LIVE_UNTIL(a.lost == 1, LIVE_WAIT_MS);
    cr_log_info("lost %lld ms after the server was gone: %s", (long long) (a.lost_at - stopped_at),
                error_message(&a.why));
    cr_assert_eq(a.why.code, -ETIMEDOUT);
    cr_assert_lt((int64_t) (a.lost_at - stopped_at), DURATION_S * 1000,
                 "another could lead by then");
    cr_assert_gt(a.failed, 0);
    cr_assert_not(kube_lease_is_leader(a.lease));
    /* Longer than the Lease lasts: the other still may not lead without the server's word. */
    LIVE_UNTIL(clock_monotonic_ms() - a.lost_at > DURATION_S * 1000, LIVE_WAIT_MS);
    cr_assert_eq(b.acquired, 0);
    command_run(&start, getenv("START_APISERVER"));
    LIVE_UNTIL(a.acquired + b.acquired == 2, LIVE_WAIT_MS);
    cr_assert_eq(leaders, 1);
    retire(&a);
    retire(&b);
}

/* Candidates come, lead, fall, release; whatever happens, on_acquired() finds no other leader. */
Test(lease, there_is_never_more_than_one)
{
    struct candidate candidates[3] = {0};
    unsigned changes = 0;

    for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
        _cleanup_free_ char *name = xasprintf("c%zu", i);

        stand(&candidates[i], name);
    }
    for (unsigned round = 0; round < 6; round++) {
        struct candidate *leader = NULL;

        LIVE_UNTIL(leaders == 1, LIVE_WAIT_MS);
        for (size_t i = 0; i < ARRAY_SIZE(candidates); i++)
            if (candidates[i].leads)
                leader = &candidates[i];
        changes += leader->acquired;
        if (round % 2 == 0) {
            resign(leader);
            kube_lease_release(leader->lease, on_released, leader);
            LIVE_UNTIL(leader->released, LIVE_WAIT_MS);
        }
        retire(leader);
        *leader = (struct candidate){0};
        stand(leader, round % 2 == 0 ? "again" : "anew");
    }
    cr_assert_geq(changes, 6);
    for (size_t i = 0; i < ARRAY_SIZE(candidates); i++)
        retire(&candidates[i]);
}

/* --- beside client-go ----------------------------------------------------------------------------
 */

static struct child *start_scheduler(struct command *command)
{
    _cleanup_free_ char *text =
        xasprintf("exec %s --kubeconfig=\"$KUBECONFIG\" --secure-port=0 --leader-elect=true "
                  "--leader-elect-resource-namespace=%s --leader-elect-resource-name=election "
                  "--leader-elect-lease-duration=%ds --leader-elect-renew-deadline=%dms "
                  "--leader-elect-retry-period=%dms",
                  getenv("KUBE_SCHEDULER"), ns, DURATION_S, RENEW_DEADLINE_MS, RETRY_PERIOD_MS);

    return command_start(command, text);
}

/* Polls until somebody holds the Lease, or nobody. */
static void wait_holder(bool somebody)
{
    uint64_t begin = clock_monotonic_ms();
    bool held = !somebody;

    while (held != somebody) {
        _cleanup_answer_ struct answer answer = {0};
        const char *holder;

        cr_assert_lt(clock_monotonic_ms() - begin, LIVE_WAIT_MS, "the Lease does not change hands");
        kube_get(client, &kube_leases, ns, "election", NULL, on_answer, &answer);
        LIVE_UNTIL(answer.done, LIVE_WAIT_MS);
        holder = answer.object
                     ? json_string(kube_object_json(answer.object), "spec", "holderIdentity")
                     : NULL;
        held = holder && holder[0];
    }
}

/* Turns the loop for longer than the Lease lasts: what holds until then is held by renewals. */
static void outlast_lease(const struct command *scheduler)
{
    uint64_t since = clock_monotonic_ms();

    LIVE_UNTIL(scheduler->done || clock_monotonic_ms() - since > (DURATION_S + 2) * 1000,
               LIVE_WAIT_MS);
    cr_assert_not(scheduler->done, "the scheduler has ended");
}

Test(lease, candidates_of_go_and_of_c_stand_for_the_same_lease)
{
    struct candidate c = {0}, again = {0};
    _cleanup_command_ struct command scheduler = {0};
    struct child *child;
    uint64_t since;

    if (!getenv("KUBE_SCHEDULER"))
        cr_skip_test("KUBE_SCHEDULER is not set");
    child = start_scheduler(&scheduler);
    wait_holder(true);
    stand(&c, "c");
    outlast_lease(&scheduler);
    cr_assert_eq(c.acquired, 0, "Go's renewals keep us waiting");
    child_kill(child);
    LIVE_UNTIL(c.acquired == 1, DURATION_S * 1000 + NEXT_ATTEMPT_MS);

    LIVE_UNTIL(scheduler.done, LIVE_WAIT_MS);
    command_done(&scheduler);
    child = start_scheduler(&scheduler);
    outlast_lease(&scheduler);
    cr_assert_eq(c.lost, 0, "our renewals keep Go waiting");
    resign(&c);
    kube_lease_release(c.lease, on_released, &c);
    LIVE_UNTIL(c.released, LIVE_WAIT_MS);
    wait_holder(true);
    retire(&c);

    /* It releases when it is asked to end; in its first moments it may be ended before it would. */
    outlast_lease(&scheduler);
    cr_assert_eq(kill(child_pid(child), SIGTERM), 0);
    LIVE_UNTIL(scheduler.done, LIVE_WAIT_MS);
    wait_holder(false);
    since = clock_monotonic_ms();
    stand(&again, "again");
    LIVE_UNTIL(again.acquired == 1, LIVE_WAIT_MS);
    cr_assert_lt(again.acquired_at - since, DURATION_S * 1000, "what Go released is free");
    retire(&again);
}
