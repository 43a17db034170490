// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/json.h"
#include "lib/base/loop.h"
#include "lib/base/map.h"

/* How long an answer holds: so long may somebody read on whose right was taken away. */
#define ALLOWED_MS 60000
#define REFUSED_MS 10000
/* Of no answer: less would let one user make a flood. */
#define FAILED_MS 1000
/* Shorter than Prometheus waits for an answer. */
#define ASK_MS 5000
/* Remembered tokens, of users and of nobody. */
#define USERS_MAX 64
#define STRANGERS_MAX 256
/* Tokens that are not known as a user's: so many at once, then one each REFILL_MS. */
#define BURST 10
#define REFILL_MS 500
/* Requests that wait for an answer. */
#define WAITERS_MAX 128
#define TOKEN_MAX 8192
#define USER_MAX 256

#define SCHEME "Bearer "

struct waiter {
    STAILQ_ENTRY(waiter) link;
    kube_access_fn fn;
    void *userdata;
};

/* A token, by its digest: the token itself is forgotten when it has been asked about. */
struct visitor {
    struct kube_access *access;
    bool asking;
    bool user; /* the last answer to "whose is it?" was somebody */
    /* The last answer. */
    unsigned http_status;
    char *why;
    uint64_t until_ms;
    /* While asking. */
    struct kube_request *request;
    struct loop_timer *deadline;
    STAILQ_HEAD(, waiter) waiters;
};

struct kube_access {
    struct kube_access_options options;
    char *path;
    struct map *visitors; /* owns; the one that was asked about longest ago is first */
    size_t users, waiters;
    unsigned tokens; /* of the rate limit */
    uint64_t refilled_ms;
    bool failing;
};

static const struct kube_resource token_reviews = {"authentication.k8s.io", "v1", "tokenreviews",
                                                   "TokenReview", false};
static const struct kube_resource access_reviews = {"authorization.k8s.io", "v1",
                                                    "subjectaccessreviews", "SubjectAccessReview",
                                                    false};

/* --- answers ------------------------------------------------------------------------------ */

static void stop_asking(struct visitor *visitor)
{
    kube_request_cancel(visitor->request);
    visitor->request = NULL;
    loop_timer_free(visitor->deadline);
    visitor->deadline = NULL;
    visitor->asking = false;
}

/* Nothing of the visitor is used after the last one: a callback may free the access. */
static void answer_all(struct visitor *visitor)
{
    STAILQ_HEAD(, waiter) waiters = STAILQ_HEAD_INITIALIZER(waiters);
    _cleanup_free_ char *why = xstrdup(visitor->why);
    unsigned http_status = visitor->http_status;
    struct waiter *waiter;

    STAILQ_CONCAT(&waiters, &visitor->waiters);
    STAILQ_FOREACH(waiter, &waiters, link)
    visitor->access->waiters--;
    while ((waiter = STAILQ_FIRST(&waiters))) {
        STAILQ_REMOVE_HEAD(&waiters, link);
        waiter->fn(waiter->userdata, http_status, why);
        free(waiter);
    }
}

/* Users make room for users, and the others for one another. */
static void make_room(struct kube_access *access, bool user)
{
    size_t position = 0, count = user ? access->users : map_size(access->visitors) - access->users;
    const char *key;
    void *value;

    if (count < (user ? USERS_MAX : STRANGERS_MAX))
        return;
    while (map_next(access->visitors, &position, &key, &value)) {
        const struct visitor *visitor = value;

        if (visitor->user == user && !visitor->asking) {
            map_remove(access->visitors, key);
            return;
        }
    }
}

static void visitor_set_user(struct visitor *visitor, bool user)
{
    if (user == visitor->user)
        return;
    if (user) {
        make_room(visitor->access, true);
        visitor->access->users++;
    } else {
        visitor->access->users--;
    }
    visitor->user = user;
}

/* Takes `why`. */
static void visitor_settle(struct visitor *visitor, unsigned http_status, char *why,
                           uint64_t holds_ms)
{
    stop_asking(visitor);
    free(visitor->why);
    visitor->why = why;
    visitor->http_status = http_status;
    visitor->until_ms = clock_monotonic_ms() + holds_ms;
    answer_all(visitor);
}

static void visitor_free(void *value)
{
    struct visitor *visitor = value;

    stop_asking(visitor);
    visitor_set_user(visitor, false);
    free(visitor->why);
    visitor->why = xstrdup("this program is ending");
    visitor->http_status = 503;
    answer_all(visitor);
    free(visitor->why);
    free(visitor);
}

static void note_success(struct kube_access *access)
{
    access->failing = false;
}

static void visitor_fail(struct visitor *visitor, const struct error *err)
{
    struct kube_access *access = visitor->access;

    if (!access->failing && access->options.failed)
        access->options.failed(access->options.userdata, err);
    access->failing = true;
    visitor_settle(visitor, 503,
                   xasprintf("the API server could not be asked who you are and what you may do: "
                             "%s",
                             error_message(err)),
                   FAILED_MS);
}

static void on_deadline(void *userdata)
{
    _cleanup_error_ struct error err = {0};

    error_set(&err, -ETIMEDOUT, "it gave no answer within %d s", ASK_MS / 1000);
    visitor_fail(userdata, &err);
}

/* Also what the server says when we may not ask. */
static void visitor_fail_review(struct visitor *visitor, const struct kube_resource *resource,
                                const struct error *failure)
{
    _cleanup_error_ struct error err = {0};

    error_copy(&err, failure);
    if (kube_error_is_forbidden(&err))
        error_wrap(&err,
                   "this program may not create %s: bind the ClusterRole "
                   "apparmor-metrics-auth to its service account",
                   resource->plural);
    visitor_fail(visitor, &err);
}

/* --- what the user may do ------------------------------------------------------------------ */

static void on_access(void *userdata, struct kube_object *object, const struct error *err)
{
    struct visitor *visitor = userdata;
    const cJSON *status;
    const char *user;

    visitor->request = NULL;
    if (err->code) {
        visitor_fail_review(visitor, &access_reviews, err);
        return;
    }
    note_success(visitor->access);
    status = json_get(kube_object_json(object), "status");
    if (json_bool(json_get(status, "allowed"), false)) {
        visitor_settle(visitor, 200, xstrdup(""), ALLOWED_MS);
        return;
    }
    user = json_string(kube_object_json(object), "spec", "user");
    visitor_settle(visitor, 403,
                   xasprintf("%.*s may not get the nonResourceURL %s: bind the ClusterRole "
                             "apparmor-metrics-reader to that user",
                             USER_MAX, user ? user : "the token's owner", visitor->access->path),
                   REFUSED_MS);
}

static void copy_field(const cJSON *from, const char *key, cJSON *to)
{
    const cJSON *value = json_get(from, key);

    if (value)
        json_add(to, key, cJSON_Duplicate(value, true));
}

static void ask_access(struct visitor *visitor, const cJSON *user)
{
    _cleanup_json_ cJSON *review = cJSON_CreateObject();
    cJSON *spec, *attributes;

    json_add_string(review, "apiVersion", "authorization.k8s.io/v1");
    json_add_string(review, "kind", access_reviews.kind);
    spec = json_add_object(review, "spec");
    json_add_string(spec, "user", json_string(user, "username"));
    copy_field(user, "uid", spec);
    copy_field(user, "groups", spec);
    copy_field(user, "extra", spec);
    attributes = json_add_object(spec, "nonResourceAttributes");
    json_add_string(attributes, "path", visitor->access->path);
    json_add_string(attributes, "verb", "get");
    visitor->request = kube_create(visitor->access->options.client, &access_reviews, NULL, review,
                                   NULL, on_access, visitor);
}

/* --- whose token it is ---------------------------------------------------------------------- */

static void on_token(void *userdata, struct kube_object *object, const struct error *err)
{
    struct visitor *visitor = userdata;
    const cJSON *status, *user;
    const char *name;

    visitor->request = NULL;
    if (err->code) {
        visitor_fail_review(visitor, &token_reviews, err);
        return;
    }
    status = json_get(kube_object_json(object), "status");
    user = json_get(status, "user");
    name = json_string(user, "username");
    visitor_set_user(visitor, json_bool(json_get(status, "authenticated"), false) && name && *name);
    if (visitor->user) {
        ask_access(visitor, user);
        return;
    }
    note_success(visitor->access);
    visitor_settle(visitor, 401, xstrdup("the API server does not take your token for valid"),
                   REFUSED_MS);
}

static void ask_token(struct visitor *visitor, const char *token)
{
    _cleanup_json_ cJSON *review = cJSON_CreateObject();

    json_add_string(review, "apiVersion", "authentication.k8s.io/v1");
    json_add_string(review, "kind", token_reviews.kind);
    json_add_string(json_add_object(review, "spec"), "token", token);
    visitor->asking = true;
    visitor->deadline =
        loop_timer_new(kube_client_loop(visitor->access->options.client), on_deadline, visitor);
    loop_timer_start(visitor->deadline, ASK_MS);
    visitor->request = kube_create(visitor->access->options.client, &token_reviews, NULL, review,
                                   NULL, on_token, visitor);
}

/* --- visitors ------------------------------------------------------------------------------ */

static bool take_from_limit(struct kube_access *access)
{
    uint64_t now = clock_monotonic_ms(), refills = (now - access->refilled_ms) / REFILL_MS;

    if (refills > 0) {
        access->tokens =
            refills < BURST - access->tokens ? access->tokens + (unsigned) refills : BURST;
        access->refilled_ms += refills * REFILL_MS;
    }
    if (access->tokens == 0)
        return false;
    access->tokens--;
    return true;
}

static struct visitor *visitor_new(struct kube_access *access, const char *key)
{
    struct visitor *visitor = xcalloc(1, sizeof(*visitor));

    make_room(access, false);
    visitor->access = access;
    STAILQ_INIT(&visitor->waiters);
    map_set(access->visitors, key, visitor);
    return visitor;
}

/* To the end of those that may have to make room. */
static void visitor_renew(struct kube_access *access, const char *key)
{
    struct visitor *visitor = map_take(access->visitors, key);

    map_set(access->visitors, key, visitor);
}

static void wait_for(struct visitor *visitor, kube_access_fn fn, void *userdata)
{
    struct waiter *waiter = xcalloc(1, sizeof(*waiter));

    waiter->fn = fn;
    waiter->userdata = userdata;
    STAILQ_INSERT_TAIL(&visitor->waiters, waiter, link);
    visitor->access->waiters++;
}

static void ask_about(struct kube_access *access, const char *token, kube_access_fn fn,
                      void *userdata)
{
    const struct digest_part part = {token, strlen(token)};
    char key[DIGEST_HEX_SIZE];
    struct visitor *visitor;

    digest_hex(DIGEST_SHA256, &part, 1, key);
    visitor = map_get(access->visitors, key);
    if (visitor && !visitor->asking && clock_monotonic_ms() < visitor->until_ms) {
        fn(userdata, visitor->http_status, visitor->why);
        return;
    }
    if (access->waiters >= WAITERS_MAX ||
        (!(visitor && (visitor->asking || visitor->user)) && !take_from_limit(access))) {
        fn(userdata, 429, "too many tokens that are not known are sent; try again in a while");
        return;
    }
    if (!visitor)
        visitor = visitor_new(access, key);
    wait_for(visitor, fn, userdata);
    if (!visitor->asking) {
        visitor_renew(access, key);
        ask_token(visitor, token);
    }
}

void kube_access_ask(struct kube_access *access, const char *authorization, kube_access_fn fn,
                     void *userdata)
{
    const char *token = authorization + strlen(SCHEME);

    if (strncasecmp(authorization, SCHEME, strlen(SCHEME)) != 0)
        fn(userdata, 401, "send a bearer token: Authorization: Bearer TOKEN");
    else if (!*token || strlen(token) > TOKEN_MAX || strpbrk(token, " ,\t"))
        fn(userdata, 401, "what follows Authorization: Bearer is no token");
    else
        ask_about(access, token, fn, userdata);
}

/* --- life --------------------------------------------------------------------------------- */

struct kube_access *kube_access_new(const struct kube_access_options *options)
{
    struct kube_access *access = xcalloc(1, sizeof(*access));

    access->options = *options;
    access->path = xstrdup(options->path);
    access->visitors = map_new(visitor_free);
    access->tokens = BURST;
    access->refilled_ms = clock_monotonic_ms();
    return access;
}

void kube_access_free(struct kube_access *access)
{
    if (!access)
        return;
    map_free(access->visitors);
    free(access->path);
    free(access);
}
