// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/request.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/kube/status.h"

/* Below the 100 streams that an API server allows on a connection, to leave room for watches. */
#define ACTIVE_MAX 64
#define ATTEMPTS_MAX 10
#define ERROR_BODY_MAX (64 * 1024)
/* Between attempts to connect for a read. */
#define RECONNECT_BASE_MS UINT64_C(100)
#define RECONNECT_ATTEMPTS 4

static void attempt(struct kube_request *request);

/* --- life --------------------------------------------------------------------------------- */

struct kube_request *request_new(struct kube_client *client, const struct request_hooks *hooks,
                                 void *hook_state)
{
    struct kube_request *request = xcalloc(1, sizeof(*request));

    request->client = client;
    request->hooks = hooks;
    request->hook_state = hook_state;
    request->method = "GET";
    request->accept = "application/json";
    request->timeout_ms = client->request_timeout_ms;
    request->state = REQUEST_OVER;
    buf_init(&request->error_body, ERROR_BODY_MAX);
    buf_init(&request->answer, client->response_max);
    TAILQ_INSERT_TAIL(&client->requests, request, link);
    return request;
}

/* Gives up its place in whatever it waits for. */
static void leave_state(struct kube_request *request)
{
    struct kube_client *client = request->client;
    enum request_state state = request->state;

    request->state = REQUEST_OVER;
    if (state == REQUEST_QUEUED)
        TAILQ_REMOVE(&client->queue, request, queue_link);
    if (request->timer)
        loop_timer_stop(request->timer);
    if (state != REQUEST_ACTIVE)
        return;
    transfer_cancel(TAKE_PTR(request->transfer));
    client->active--;
    client_open_gate(client);
}

void request_detach(struct kube_request *request)
{
    if (!request->client)
        return;
    leave_state(request);
    TAILQ_REMOVE(&request->client->requests, request, link);
    request->client = NULL;
}

void request_free(struct kube_request *request)
{
    if (!request)
        return;
    request_detach(request);
    if (request->hooks->free_state)
        request->hooks->free_state(request->hook_state);
    loop_timer_free(request->timer);
    free(request->target);
    free(request->body);
    error_done(&request->failure);
    buf_done(&request->error_body);
    buf_done(&request->answer);
    free(request);
}

void kube_request_cancel(struct kube_request *request)
{
    if (!request)
        return;
    request_detach(request);
    request->cancelled = true;
    if (request->busy == 0)
        request_free(request);
}

/* --- the queue ------------------------------------------------------------------------------ */

static void on_gate(void *userdata)
{
    client_open_gate(userdata);
}

/* Takes a token, or arms the gate for when there is one. */
static bool take_token(struct kube_client *client)
{
    uint64_t now = clock_monotonic_ms();

    if (client->qps <= 0)
        return true;
    client->tokens += (double) (now - client->refilled_at) * client->qps / 1000;
    client->refilled_at = now;
    if (client->tokens > client->burst)
        client->tokens = client->burst;
    if (client->tokens < 1) {
        if (!client->gate)
            client->gate = loop_timer_new(client->loop, on_gate, client);
        loop_timer_start(client->gate, (uint64_t) ((1 - client->tokens) * 1000 / client->qps) + 1);
        return false;
    }
    client->tokens -= 1;
    return true;
}

void client_open_gate(struct kube_client *client)
{
    struct kube_request *request;

    while (client->active < ACTIVE_MAX && (request = TAILQ_FIRST(&client->queue)) &&
           take_token(client)) {
        TAILQ_REMOVE(&client->queue, request, queue_link);
        attempt(request);
    }
}

static void enqueue(struct kube_request *request)
{
    request->state = REQUEST_QUEUED;
    TAILQ_INSERT_TAIL(&request->client->queue, request, queue_link);
    client_open_gate(request->client);
}

static void on_wait_over(void *userdata)
{
    struct kube_request *request = userdata;

    if (request->failure.code != 0 || !request->target) {
        request->state = REQUEST_OVER;
        request->hooks->done(request, &request->failure);
        return;
    }
    enqueue(request);
}

static void wait_ms(struct kube_request *request, uint64_t ms)
{
    request->state = REQUEST_WAITING;
    if (!request->timer)
        request->timer = loop_timer_new(request->client->loop, on_wait_over, request);
    loop_timer_start(request->timer, ms);
}

void request_submit(struct kube_request *request)
{
    request->deadline = clock_monotonic_ms() + request->timeout_ms;
    if (request->failure.code != 0 || !request->target)
        wait_ms(request, 0);
    else
        enqueue(request);
}

void request_again(struct kube_request *request, char *target)
{
    free(request->target);
    request->target = target;
    request->attempts = 0;
    request_submit(request);
}

void client_observe(const struct kube_client *client, const char *verb, int http_status,
                    uint64_t began_ms)
{
    if (client->observe)
        client->observe(client->userdata, verb, http_status,
                        (double) (clock_monotonic_ms() - began_ms) / 1000);
}

/* --- single objects --------------------------------------------------------------------------- */

int request_collect(struct kube_request *request, const char *data, size_t len, struct error *err)
{
    if (buf_add(&request->answer, data, len) < 0)
        return error_set(err, -EFBIG, "the answer to %s %s is larger than %zu bytes",
                         request->method, request->target, request->answer.max);
    return 0;
}

int request_take_object(struct kube_request *request, struct kube_object **ret, struct error *err)
{
    cJSON *json = NULL;
    int r = json_parse(buf_string(&request->answer), request->answer.len, &json, err);

    if (r < 0) {
        error_wrap(err, "the answer to %s %s", request->method, request->target);
        return r;
    }
    if (!cJSON_IsObject(json)) {
        json_free(json);
        return error_set(err, -EBADMSG, "the answer to %s %s is not a JSON object", request->method,
                         request->target);
    }
    *ret = kube_object_new(json);
    return 0;
}

/* --- one attempt ------------------------------------------------------------------------------ */

static bool is_success(int http_status)
{
    return http_status >= 200 && http_status < 300;
}

static void on_opened(void *userdata, int http_status, const char *content_type)
{
    struct kube_request *request = userdata;

    (void) http_status;
    request->answer_is_json = strncasecmp(content_type, "application/json", 16) == 0;
    if (!request->answer_is_json && is_success(http_status))
        error_set_reason(&request->failure, -EBADMSG, KUBE_REASON_UNREACHABLE,
                         "the answer's type is \"%s\", not application/json: is %s a Kubernetes "
                         "API server?",
                         content_type, request->target);
}

static int on_data(void *userdata, int http_status, const char *data, size_t len, struct error *err)
{
    struct kube_request *request = userdata;
    int r;

    if (!is_success(http_status)) {
        /* What is too long for a Status is no Status. */
        r = buf_add(&request->error_body, data, len);
        (void) r;
        return 0;
    }
    if (request->failure.code != 0)
        return error_move(err, &request->failure);
    request->busy++;
    r = request->hooks->data(request, data, len, err);
    request->busy--;
    if (request->cancelled && request->busy == 0) {
        request_free(request);
        return -ECANCELED;
    }
    return r;
}

/* The connection broke before anything of an answer came. */
static bool is_lost(const struct transfer_result *result)
{
    return result->http_status == 0 && result->err->code == -ECONNRESET;
}

/* Returns the time to wait before the next attempt, or -1. */
static int64_t retry_delay(struct kube_request *request, const struct transfer_result *result)
{
    int status = result->http_status;
    bool is_read = strcmp(request->method, "GET") == 0;

    if (request->attempts >= ATTEMPTS_MAX)
        return -1;
    if (result->new_credentials && !request->reauthenticated) {
        request->reauthenticated = true;
        return 0;
    }
    if ((status == 429 || status >= 500) && result->has_retry_after)
        /* All who were told at once should not come back at once. */
        return (int64_t) (result->retry_after_ms +
                          clock_random_below(result->retry_after_ms / 2 + 1));
    if (result->stale_connection)
        return 0;
    if (is_read && request->attempts < RECONNECT_ATTEMPTS &&
        (result->never_sent || is_lost(result)))
        return (int64_t) clock_random_below(RECONNECT_BASE_MS << request->attempts) + 1;
    return -1;
}

static bool retry(struct kube_request *request, const struct transfer_result *result)
{
    int64_t delay = retry_delay(request, result);

    if (delay < 0 || clock_monotonic_ms() + (uint64_t) delay >= request->deadline)
        return false;
    wait_ms(request, (uint64_t) delay);
    return true;
}

static void on_done(void *userdata, const struct transfer_result *result)
{
    struct kube_request *request = userdata;
    struct kube_client *client = request->client;
    _cleanup_error_ struct error failure = {0};

    request->transfer = NULL;
    request->state = REQUEST_OVER;
    client->active--;
    client_observe(client, request->method, result->http_status, request->began_ms);
    if (!retry(request, result)) {
        if (result->err->code != 0)
            error_copy(&failure, result->err);
        else if (request->failure.code != 0)
            error_move(&failure, &request->failure);
        else if (!is_success(result->http_status))
            status_decode(result->http_status, buf_string(&request->error_body),
                          request->error_body.len, &failure);
    }
    client_open_gate(client);
    if (request->state == REQUEST_OVER)
        request->hooks->done(request, &failure);
}

static void attempt(struct kube_request *request)
{
    uint64_t now = clock_monotonic_ms();
    struct transfer_options options = {
        .method = request->method,
        .target = request->target,
        .accept = request->accept,
        .content_type = request->content_type,
        .body = request->body,
        .body_len = request->body ? strlen(request->body) : 0,
        .opened = on_opened,
        .data = on_data,
        .done = on_done,
        .userdata = request,
    };

    /* One whose time went by in the queue fails in the ordinary way, at once. */
    options.timeout_ms = request->deadline > now ? request->deadline - now : 1;
    request->state = REQUEST_ACTIVE;
    request->began_ms = now;
    request->attempts++;
    request->client->active++;
    buf_reset(&request->error_body);
    buf_reset(&request->answer);
    request->error_body.overflow = false;
    request->transfer = transfer_start(request->client->transport, &options);
}
