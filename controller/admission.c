// SPDX-License-Identifier: Apache-2.0
#include "controller/admission.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "controller/controller_metrics.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"

/*
 * An API server takes 3 MiB of a request, and asks about the object as it was and as it will be.
 */
#define BODY_MAX ((size_t) 8 * 1024 * 1024)
#define BODIES_MAX ((size_t) 64 * 1024 * 1024)
/* An API server waits for 30 s at the most. */
#define TIMEOUT_S 30
#define CONNECTIONS_MAX 512
/* Calls that wait hold a connection each. */
#define WAITING_MAX 64
/* Of all calls that have no answer yet. */
#define VALUES_MAX (2 * ADMISSION_VALUES_MAX)

#define OUTCOME_ALLOWED "allowed"
#define OUTCOME_WARNED "warned"
#define OUTCOME_PATCHED "patched"
#define OUTCOME_DENIED "denied"
#define OUTCOME_ERROR "error"

struct route {
    struct admission *admission;
    struct admission_webhook webhook; /* strings are the caller's */
};

struct admission_call {
    LIST_ENTRY(admission_call) link; /* of those that wait */
    const struct route *route;
    struct server_request *request;
    struct admission_review review;
    struct loop_timer *timer;
    uint64_t began_ns;
    unsigned attempts;
};

struct admission {
    uv_loop_t *loop;
    struct admission_options options;
    struct route *routes;
    size_t count;
    struct server *server;
    LIST_HEAD(, admission_call) waiting;
    size_t waiting_count;
    size_t values; /* in memory for calls */
};

/* --- one call --------------------------------------------------------------------- */

static void count(const struct route *route, uint64_t began_ns, const char *outcome)
{
    struct metrics *metrics = route->admission->options.metrics;
    const char *const labels[] = {route->webhook.name, outcome};

    trimmer_worked(route->admission->options.trimmer);
    metrics_add(metrics, METRIC_ADMISSION_REQUESTS, 1, labels);
    metrics_observe(metrics, METRIC_ADMISSION_SECONDS, (double) (uv_hrtime() - began_ns) / 1e9,
                    (const char *const[]){route->webhook.name});
}

static void call_stop_waiting(struct admission_call *call)
{
    if (!call->timer)
        return;
    LIST_REMOVE(call, link);
    call->route->admission->waiting_count--;
    loop_timer_free(TAKE_PTR(call->timer));
}

static void call_free(struct admission_call *call)
{
    call_stop_waiting(call);
    call->route->admission->values -= call->review.values;
    admission_review_done(&call->review);
    free(call);
}

static const char *outcome_of(const struct admission_answer *answer)
{
    if (answer->refusal)
        return OUTCOME_DENIED;
    if (answer->patch)
        return OUTCOME_PATCHED;
    return answer->warnings.len > 0 || answer->violations ? OUTCOME_WARNED : OUTCOME_ALLOWED;
}

const struct admission_review *admission_call_review(const struct admission_call *call)
{
    return &call->review;
}

unsigned admission_call_attempts(const struct admission_call *call)
{
    return call->attempts;
}

void admission_call_answer(struct admission_call *call, struct admission_answer *answer)
{
    _cleanup_free_ char *text = admission_answer_print(answer, call->review.uid);

    count(call->route, call->began_ns, outcome_of(answer));
    server_respond(call->request, 200, "application/json", text, strlen(text));
    admission_answer_done(answer);
    call_free(call);
}

void admission_call_fail(struct admission_call *call, const char *why)
{
    count(call->route, call->began_ns, OUTCOME_ERROR);
    server_respond_text(call->request, 503, why);
    call_free(call);
}

static void call_handle(struct admission_call *call)
{
    const struct admission_webhook *webhook = &call->route->webhook;

    webhook->handle(webhook->userdata, webhook->variant, call);
}

static void call_again(void *userdata)
{
    struct admission_call *call = userdata;

    call_stop_waiting(call);
    call->attempts++;
    call_handle(call);
}

bool admission_call_again(struct admission_call *call, uint64_t after_ms)
{
    struct admission *admission = call->route->admission;

    if (admission->waiting_count >= WAITING_MAX)
        return false;
    admission->waiting_count++;
    LIST_INSERT_HEAD(&admission->waiting, call, link);
    call->timer = loop_timer_new(admission->loop, call_again, call);
    loop_timer_start(call->timer, after_ms);
    return true;
}

/* --- requests ----------------------------------------------------------------------- */

static void refuse_request(const struct route *route, uint64_t began_ns,
                           struct server_request *request, unsigned status, const char *text)
{
    count(route, began_ns, OUTCOME_ERROR);
    server_respond_text(request, status, text);
}

static void handle(void *userdata, struct server_request *request, const char *body, size_t len)
{
    const struct route *route = userdata;
    _cleanup_error_ struct error err = {0};
    uint64_t began_ns = uv_hrtime();
    struct admission_review review;
    struct admission_call *call;

    if (strcmp(server_request_media_type(request), "application/json") != 0) {
        refuse_request(route, began_ns, request, 415, "send an AdmissionReview as JSON");
        return;
    }
    if (admission_review_parse(body, len, &review, &err) < 0) {
        refuse_request(route, began_ns, request, 400, error_message(&err));
        return;
    }
    if (route->admission->values + review.values > VALUES_MAX) {
        admission_review_done(&review);
        refuse_request(route, began_ns, request, 503, "too much is asked at once: try again");
        return;
    }
    route->admission->values += review.values;
    call = xcalloc(1, sizeof(*call));
    call->route = route;
    call->request = request;
    call->review = review;
    call->began_ns = began_ns;
    call_handle(call);
}

/* --- life ------------------------------------------------------------------------------ */

struct admission *admission_new(uv_loop_t *loop, const struct admission_options *options,
                                const struct admission_webhook *webhooks, size_t count)
{
    struct admission *admission = xcalloc(1, sizeof(*admission));

    admission->loop = loop;
    admission->options = *options;
    admission->routes = xcalloc(count, sizeof(*admission->routes));
    admission->count = count;
    LIST_INIT(&admission->waiting);
    for (size_t i = 0; i < count; i++)
        admission->routes[i] = (struct route){admission, webhooks[i]};
    return admission;
}

void admission_free(struct admission *admission)
{
    struct admission_call *call;

    if (!admission)
        return;
    while ((call = LIST_FIRST(&admission->waiting)))
        admission_call_fail(call, "this replica ends");
    server_free(admission->server);
    free(admission->routes);
    free(admission);
}

static int listen_with(struct admission *admission, const struct server_identity *identity,
                       struct error *err)
{
    const struct server_options options = {
        .address = admission->options.listen_address,
        .port = admission->options.listen_port,
        .identity = identity,
        .body_max = BODY_MAX,
        .bodies_max = BODIES_MAX,
        .timeout_s = TIMEOUT_S,
        .connections_max = CONNECTIONS_MAX,
        .displace = true,
    };
    _cleanup_free_ struct server_route *routes = xcalloc(admission->count, sizeof(*routes));

    for (size_t i = 0; i < admission->count; i++)
        routes[i] = (struct server_route){"POST", admission->routes[i].webhook.path, handle,
                                          &admission->routes[i]};
    return server_new(admission->loop, &options, routes, admission->count, &admission->server, err);
}

int admission_set_identity(struct admission *admission, const struct server_identity *identity,
                           struct error *err)
{
    if (admission->server)
        return server_set_identity(admission->server, identity, err);
    return listen_with(admission, identity, err);
}

uint16_t admission_port(const struct admission *admission)
{
    return admission->server ? server_port(admission->server) : 0;
}
