// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/lease.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"
#include "lib/kube/lease_record.h"

#define DURATION_S 15
#define RENEW_DEADLINE_MS 10000
#define RETRY_PERIOD_MS 2000
/* How often a release starts again because the Lease changed under it. */
#define RELEASE_ATTEMPTS 3

enum lease_state { LEASE_IDLE, LEASE_CANDIDATE, LEASE_LEADER, LEASE_RELEASING, LEASE_OVER };

struct kube_lease {
    struct kube_client *client;
    struct kube_lease_options options; /* the strings are the lease's own */
    enum lease_state state;

    struct lease_record record; /* as last read; holder is NULL until then */
    uint64_t observed_at;       /* since when the record is as it is, by our clock */
    uint64_t sent_at;           /* the write that is under way began */
    uint64_t renewed_at;        /* the last write that succeeded began */
    bool wrote;                 /* some write was sent, and may have succeeded unheard */
    bool reread;                /* this attempt has met another record than it thought */
    unsigned release_attempts;

    struct kube_request *request;
    struct loop_timer *next, *limit, *deadline;

    /* What the owner is to be told when the state is settled. */
    bool tell_acquired, tell_lost, tell_observed;
    struct error why_lost, failure;
    struct error last_failure; /* since the last success */
    unsigned telling;
    bool freed;
    void (*released)(void *userdata, const struct error *err);
    void *released_userdata;
};

static void send_get(struct kube_lease *lease);

/* --- what the owner hears ------------------------------------------------------------------- */

static void lease_destroy(struct kube_lease *lease)
{
    lease_record_done(&lease->record);
    error_done(&lease->why_lost);
    error_done(&lease->failure);
    error_done(&lease->last_failure);
    free((char *) lease->options.ns);
    free((char *) lease->options.name);
    free((char *) lease->options.identity);
    free((char *) lease->options.field_manager);
    free(lease);
}

static bool is_running(const struct kube_lease *lease)
{
    return !lease->freed && lease->state < LEASE_RELEASING;
}

/* The last thing that any event does: each callback may free the lease, or release it, after which
 * there is nothing more to say. */
static void tell(struct kube_lease *lease)
{
    const struct kube_lease_options *options = &lease->options;
    _cleanup_error_ struct error failure = {0}, why_lost = {0};

    error_move(&failure, &lease->failure);
    error_move(&why_lost, &lease->why_lost);
    lease->telling++;
    if (lease->tell_lost) {
        lease->tell_lost = false;
        options->lost(options->userdata, &why_lost);
    }
    if (failure.code != 0 && options->failed && is_running(lease))
        options->failed(options->userdata, &failure);
    if (lease->tell_observed && options->observed && is_running(lease))
        options->observed(options->userdata, kube_lease_holder(lease));
    lease->tell_observed = false;
    if (lease->tell_acquired && is_running(lease)) {
        lease->tell_acquired = false;
        options->acquired(options->userdata);
    }
    lease->telling--;
    if (lease->freed && lease->telling == 0)
        lease_destroy(lease);
}

/* --- the record ------------------------------------------------------------------------------ */

static int observe(struct kube_lease *lease, struct kube_object *object, struct error *err)
{
    _cleanup_lease_record_ struct lease_record record = {0};
    struct lease_record old = lease->record;
    int r = lease_record_decode(kube_object_json(object), &record, err);

    if (r < 0) {
        error_wrap(err, "Lease %s/%s", lease->options.ns, lease->options.name);
        return r;
    }
    if (!old.holder || !lease_record_equal(&old, &record))
        lease->observed_at = clock_monotonic_ms();
    if (!old.holder || strcmp(old.holder, record.holder) != 0)
        lease->tell_observed = true;
    lease->record = record;
    record = old;
    return 0;
}

static bool is_ours(const struct kube_lease *lease)
{
    return lease->record.holder && strcmp(lease->record.holder, lease->options.identity) == 0;
}

static bool is_expired(const struct kube_lease *lease)
{
    int64_t duration = lease->record.duration_s;

    if (duration == 0)
        duration = lease->options.duration_s;
    return clock_monotonic_ms() - lease->observed_at >= (uint64_t) duration * 1000;
}

static bool is_past_deadline(const struct kube_lease *lease, uint64_t since)
{
    return clock_monotonic_ms() - since >= lease->options.renew_deadline_ms;
}

/* --- the end of an attempt -------------------------------------------------------------------- */

/* The leader keeps its pace; candidates spread out, so that they do not all ask at once. */
static void schedule(struct kube_lease *lease)
{
    uint64_t period = lease->options.retry_period_ms;

    loop_timer_stop(lease->limit);
    if (lease->state == LEASE_CANDIDATE)
        period += clock_random_below(period * 6 / 5);
    loop_timer_start(lease->next, period);
}

static void lose(struct kube_lease *lease)
{
    kube_request_cancel(TAKE_PTR(lease->request));
    loop_timer_stop(lease->deadline);
    lease->state = LEASE_CANDIDATE;
    lease->tell_lost = true;
    schedule(lease);
}

static void lose_to_time(struct kube_lease *lease)
{
    const struct error *last = &lease->last_failure;

    error_set(&lease->why_lost, -ETIMEDOUT, "Lease %s/%s was not renewed for %" PRIu64 " ms%s%s",
              lease->options.ns, lease->options.name, clock_monotonic_ms() - lease->renewed_at,
              last->code ? ": " : "", last->code ? error_message(last) : "");
    lose(lease);
}

static void lose_to_other(struct kube_lease *lease)
{
    error_set(&lease->why_lost, -EBUSY, "Lease %s/%s is held by \"%s\"", lease->options.ns,
              lease->options.name, lease->record.holder);
    lose(lease);
}

/* `err` is moved to the owner. */
static void attempt_failed(struct kube_lease *lease, struct error *err)
{
    error_copy(&lease->last_failure, err);
    error_move(&lease->failure, err);
    if (lease->state == LEASE_LEADER && is_past_deadline(lease, lease->renewed_at))
        lose_to_time(lease);
    else
        schedule(lease);
    tell(lease);
}

static void attempt_over(struct kube_lease *lease)
{
    schedule(lease);
    tell(lease);
}

static void release_over(struct kube_lease *lease, const struct error *err)
{
    void (*done)(void *userdata, const struct error *err) = lease->released;

    lease->state = LEASE_OVER;
    loop_timer_stop(lease->limit);
    loop_timer_stop(lease->next);
    kube_request_cancel(TAKE_PTR(lease->request));
    if (done)
        done(lease->released_userdata, err);
}

/* --- writing -----------------------------------------------------------------------------------
 */

static void on_renewed(struct kube_lease *lease)
{
    uint64_t age = clock_monotonic_ms() - lease->sent_at;

    lease->renewed_at = lease->sent_at;
    error_done(&lease->last_failure);
    if (lease->state == LEASE_CANDIDATE)
        lease->tell_acquired = true;
    lease->state = LEASE_LEADER;
    loop_timer_start(lease->deadline, lease->options.renew_deadline_ms - age);
    attempt_over(lease);
}

static void on_written(void *userdata, struct kube_object *object, const struct error *err)
{
    struct kube_lease *lease = userdata;
    _cleanup_error_ struct error failure = {0};

    lease->request = NULL;
    if (kube_error_is_conflict(err) || kube_error_is_already_exists(err) ||
        kube_error_is_not_found(err)) {
        if (!lease->reread) {
            lease->reread = true;
            send_get(lease);
        } else {
            attempt_over(lease);
        }
        return;
    }
    error_copy(&failure, err);
    if (failure.code == 0 && observe(lease, object, &failure) == 0) {
        if (!is_ours(lease))
            error_set(&failure, -EPROTO, "Lease %s/%s was written, but its holder is \"%s\"",
                      lease->options.ns, lease->options.name, lease->record.holder);
        else if (is_past_deadline(lease, lease->sent_at))
            error_set(&failure, -ETIMEDOUT, "the answer about Lease %s/%s came too late",
                      lease->options.ns, lease->options.name);
    }
    if (failure.code != 0)
        attempt_failed(lease, &failure);
    else
        on_renewed(lease);
}

static void send_write(struct kube_lease *lease, bool create)
{
    const struct kube_lease_options *options = &lease->options;
    const struct kube_write_options write = {.field_manager = options->field_manager};
    _cleanup_free_ char *now = lease_time(clock_realtime_ms());
    bool renewal = is_ours(lease) && !create;
    struct lease_record record = {
        .holder = (char *) options->identity,
        .acquired_at = renewal ? lease->record.acquired_at : now,
        .renewed_at = now,
        .duration_s = options->duration_s,
        .transitions = create ? 0 : lease->record.transitions,
        .resource_version = create ? NULL : lease->record.resource_version,
    };
    _cleanup_json_ cJSON *body = NULL;

    if (!renewal && !create && record.transitions < INT32_MAX)
        record.transitions++;
    body = lease_record_encode(&record, options->ns, options->name);
    lease->wrote = true;
    lease->sent_at = clock_monotonic_ms();
    if (create)
        lease->request =
            kube_create(lease->client, &kube_leases, options->ns, body, &write, on_written, lease);
    else
        lease->request = kube_patch(lease->client, &kube_leases, options->ns, options->name, NULL,
                                    KUBE_PATCH_MERGE, body, &write, on_written, lease);
}

/* --- giving back -------------------------------------------------------------------------------
 */

static void on_released(void *userdata, struct kube_object *object, const struct error *err)
{
    struct kube_lease *lease = userdata;

    (void) object;
    lease->request = NULL;
    if (kube_error_is_conflict(err) && ++lease->release_attempts < RELEASE_ATTEMPTS)
        send_get(lease);
    else
        release_over(lease, err);
}

static void send_release(struct kube_lease *lease)
{
    const struct kube_lease_options *options = &lease->options;
    const struct kube_write_options write = {.field_manager = options->field_manager};
    _cleanup_free_ char *now = lease_time(clock_realtime_ms());
    char nobody[] = "";
    struct lease_record record = {
        .holder = nobody,
        .acquired_at = now,
        .renewed_at = now,
        .duration_s = 1,
        .transitions = lease->record.transitions,
        .resource_version = lease->record.resource_version,
    };
    _cleanup_json_ cJSON *body = lease_record_encode(&record, options->ns, options->name);

    lease->request = kube_patch(lease->client, &kube_leases, options->ns, options->name, NULL,
                                KUBE_PATCH_MERGE, body, &write, on_released, lease);
}

static void release_read(struct kube_lease *lease, struct kube_object *object,
                         const struct error *err)
{
    static const struct error success;
    _cleanup_error_ struct error failure = {0};

    if (kube_error_is_not_found(err)) {
        release_over(lease, &success);
        return;
    }
    error_copy(&failure, err);
    if (failure.code == 0 && observe(lease, object, &failure) == 0 && is_ours(lease))
        send_release(lease);
    else
        release_over(lease, &failure);
}

/* --- reading ------------------------------------------------------------------------------------
 */

static void decide(struct kube_lease *lease)
{
    bool held_by_other = lease->record.holder[0] && !is_ours(lease);

    if (held_by_other && lease->state == LEASE_LEADER) {
        lose_to_other(lease);
        tell(lease);
    } else if (held_by_other && !is_expired(lease)) {
        attempt_over(lease);
    } else {
        send_write(lease, false);
    }
}

static void on_read(void *userdata, struct kube_object *object, const struct error *err)
{
    struct kube_lease *lease = userdata;
    _cleanup_error_ struct error failure = {0};

    lease->request = NULL;
    if (lease->state == LEASE_RELEASING) {
        release_read(lease, object, err);
        return;
    }
    if (kube_error_is_not_found(err)) {
        send_write(lease, true);
        return;
    }
    error_copy(&failure, err);
    if (failure.code == 0 && observe(lease, object, &failure) == 0)
        decide(lease);
    else
        attempt_failed(lease, &failure);
}

/* A consistent read: the watch cache may lie behind. */
static void send_get(struct kube_lease *lease)
{
    lease->request = kube_get(lease->client, &kube_leases, lease->options.ns, lease->options.name,
                              NULL, on_read, lease);
}

/* --- time ----------------------------------------------------------------------------------------
 */

static void on_next(void *userdata)
{
    static const struct error success;
    struct kube_lease *lease = userdata;

    if (lease->state == LEASE_RELEASING) {
        release_over(lease, &success);
        return;
    }
    if (lease->state == LEASE_LEADER && is_past_deadline(lease, lease->renewed_at)) {
        lose_to_time(lease);
        tell(lease);
        return;
    }
    lease->reread = false;
    loop_timer_start(lease->limit, lease->options.renew_deadline_ms / 2);
    /* The leader knows what it wrote; when somebody else wrote since, the server says so. */
    if (lease->state == LEASE_LEADER)
        send_write(lease, false);
    else
        send_get(lease);
}

static void on_limit(void *userdata)
{
    struct kube_lease *lease = userdata;
    _cleanup_error_ struct error err = {0};

    kube_request_cancel(TAKE_PTR(lease->request));
    error_set_reason(&err, -ETIMEDOUT, KUBE_REASON_UNREACHABLE,
                     "Lease %s/%s: the server has not answered within %" PRIu64 " ms",
                     lease->options.ns, lease->options.name, lease->options.renew_deadline_ms / 2);
    if (lease->state == LEASE_RELEASING)
        release_over(lease, &err);
    else
        attempt_failed(lease, &err);
}

static void on_deadline(void *userdata)
{
    struct kube_lease *lease = userdata;
    uint64_t age = clock_monotonic_ms() - lease->renewed_at;

    if (age < lease->options.renew_deadline_ms) {
        loop_timer_start(lease->deadline, lease->options.renew_deadline_ms - age);
        return;
    }
    lose_to_time(lease);
    tell(lease);
}

/* --- the public side
 * ------------------------------------------------------------------------------
 */

static char *make_identity(void)
{
    char host[HOST_NAME_MAX + 1] = "";

    if (gethostname(host, sizeof(host) - 1) < 0)
        host[0] = '\0';
    return xasprintf("%s_%016" PRIx64 "%016" PRIx64, host, clock_random(), clock_random());
}

static int check_options(const struct kube_lease_options *options, struct error *err)
{
    const char *where = "leader election";

    if (!options->ns || !options->ns[0] || !options->name || !options->name[0])
        return error_set(err, -EINVAL, "%s: the Lease needs a namespace and a name", where);
    if (options->identity && !options->identity[0])
        return error_set(err, -EINVAL, "%s: the identity must not be empty", where);
    if (options->duration_s > INT32_MAX)
        return error_set(err, -EINVAL, "%s: a duration of %u s is too long", where,
                         options->duration_s);
    if ((uint64_t) options->duration_s * 1000 <= options->renew_deadline_ms)
        return error_set(err, -EINVAL,
                         "%s: the duration (%u s) must be longer than the renew deadline (%" PRIu64
                         " ms)",
                         where, options->duration_s, options->renew_deadline_ms);
    if (options->retry_period_ms * 6 / 5 >= options->renew_deadline_ms)
        return error_set(err, -EINVAL,
                         "%s: 1.2 times the retry period (%" PRIu64
                         " ms) must be shorter than the renew deadline (%" PRIu64 " ms)",
                         where, options->retry_period_ms, options->renew_deadline_ms);
    return 0;
}

int kube_lease_new(struct kube_client *client, const struct kube_lease_options *given,
                   struct kube_lease **ret, struct error *err)
{
    struct kube_lease_options options = *given;
    uv_loop_t *loop = kube_client_loop(client);
    struct kube_lease *lease;
    int r;

    assert(given->acquired && given->lost);
    if (!options.duration_s)
        options.duration_s = DURATION_S;
    if (!options.renew_deadline_ms)
        options.renew_deadline_ms = RENEW_DEADLINE_MS;
    if (!options.retry_period_ms)
        options.retry_period_ms = RETRY_PERIOD_MS;
    r = check_options(&options, err);
    if (r < 0)
        return r;
    options.ns = xstrdup(options.ns);
    options.name = xstrdup(options.name);
    options.identity = options.identity ? xstrdup(options.identity) : make_identity();
    options.field_manager = xstrdup(options.field_manager);
    lease = xcalloc(1, sizeof(*lease));
    lease->client = client;
    lease->options = options;
    lease->next = loop_timer_new(loop, on_next, lease);
    lease->limit = loop_timer_new(loop, on_limit, lease);
    lease->deadline = loop_timer_new(loop, on_deadline, lease);
    *ret = lease;
    return 0;
}

void kube_lease_free(struct kube_lease *lease)
{
    if (!lease)
        return;
    assert(!lease->freed);
    lease->freed = true;
    kube_request_cancel(TAKE_PTR(lease->request));
    loop_timer_free(TAKE_PTR(lease->next));
    loop_timer_free(TAKE_PTR(lease->limit));
    loop_timer_free(TAKE_PTR(lease->deadline));
    if (lease->telling == 0)
        lease_destroy(lease);
}

void kube_lease_start(struct kube_lease *lease)
{
    assert(lease->state == LEASE_IDLE);
    lease->state = LEASE_CANDIDATE;
    loop_timer_start(lease->next, 0);
}

void kube_lease_release(struct kube_lease *lease,
                        void (*done)(void *userdata, const struct error *err), void *userdata)
{
    if (lease->state >= LEASE_RELEASING)
        return;
    lease->state = LEASE_RELEASING;
    lease->released = done;
    lease->released_userdata = userdata;
    lease->tell_acquired = lease->tell_lost = false;
    kube_request_cancel(TAKE_PTR(lease->request));
    loop_timer_stop(lease->next);
    loop_timer_stop(lease->deadline);
    loop_timer_start(lease->limit, lease->options.renew_deadline_ms / 2);
    /* A write that was cancelled may have reached the server: what counts is what it says now. */
    if (lease->wrote)
        send_get(lease);
    else
        loop_timer_start(lease->next, 0);
}

bool kube_lease_is_leader(const struct kube_lease *lease)
{
    return lease->state == LEASE_LEADER && !is_past_deadline(lease, lease->renewed_at);
}

const char *kube_lease_holder(const struct kube_lease *lease)
{
    return lease->record.holder ? lease->record.holder : "";
}

const char *kube_lease_identity(const struct kube_lease *lease)
{
    return lease->options.identity;
}
