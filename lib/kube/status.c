// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/status.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/kube/client.h"

#define REASON_VERSION_TOO_LARGE "ResourceVersionTooLarge"
/* Of a body that is no Status, enough to recognise a proxy's error page. */
#define EXCERPT_MAX 200

/* HTTP status, reason of metav1.StatusReason, errno. */
static const struct status_kind {
    int http_status;
    const char *reason;
    int code;
} status_kinds[] = {
    {400, "BadRequest", -EINVAL},
    {401, "Unauthorized", -EACCES},
    {403, "Forbidden", -EPERM},
    {404, "NotFound", -ENOENT},
    {405, "MethodNotAllowed", -EOPNOTSUPP},
    {406, "NotAcceptable", -EOPNOTSUPP},
    {409, "Conflict", -EAGAIN},
    {410, "Gone", -ESTALE},
    {413, "RequestEntityTooLarge", -E2BIG},
    {415, "UnsupportedMediaType", -EOPNOTSUPP},
    {422, "Invalid", -EINVAL},
    {429, "TooManyRequests", -EBUSY},
    {500, "InternalError", -EREMOTEIO},
    {503, "ServiceUnavailable", -EBUSY},
    {504, "Timeout", -ETIMEDOUT},
};

static const struct status_kind *find_kind(int http_status)
{
    for (size_t i = 0; i < ARRAY_SIZE(status_kinds); i++)
        if (status_kinds[i].http_status == http_status)
            return &status_kinds[i];
    return NULL;
}

int status_errno(int http_status)
{
    const struct status_kind *kind = find_kind(http_status);

    if (kind)
        return kind->code;
    return http_status >= 400 && http_status < 500 ? -EINVAL : -EREMOTEIO;
}

bool status_is(const cJSON *json)
{
    const char *kind = json_string(json, "kind");
    const char *version = json_string(json, "apiVersion");

    return kind && version && strcmp(kind, "Status") == 0 && strcmp(version, "v1") == 0;
}

static bool has_cause(const cJSON *status, const char *reason)
{
    const cJSON *cause, *causes = json_get(status, "details", "causes");

    cJSON_ArrayForEach(cause, causes)
    {
        const char *text = json_string(cause, "reason");

        if (text && strcmp(text, reason) == 0)
            return true;
    }
    return false;
}

static const char *reason_of(const cJSON *status, int http_status)
{
    const char *reason = json_string(status, "reason");
    const struct status_kind *kind = find_kind(http_status);

    /* A Timeout that only a list from another version cures. */
    if (has_cause(status, REASON_VERSION_TOO_LARGE))
        return REASON_VERSION_TOO_LARGE;
    if (reason && reason[0])
        return reason;
    return kind ? kind->reason : "Unknown";
}

static int fill(const cJSON *status, int http_status, struct error *err)
{
    const char *message = json_string(status, "message");
    int code = status_errno(http_status);

    if (message && message[0])
        error_set_reason(err, code, reason_of(status, http_status), "%s", message);
    else
        error_set_reason(err, code, reason_of(status, http_status),
                         "the API server answered HTTP status %d without a message", http_status);
    if (err)
        err->http_status = http_status;
    return code;
}

int status_decode_json(const cJSON *status, struct error *err)
{
    int64_t http_status = json_int(json_get(status, "code"), 500);

    if (http_status < 100 || http_status > 999)
        http_status = 500;
    return fill(status, (int) http_status, err);
}

/* The start of a text that is not meant for us, made fit for one line of a log. */
static char *excerpt(const char *body, size_t len)
{
    char *text = xstrndup(body ? body : "", len < EXCERPT_MAX ? len : EXCERPT_MAX);

    for (char *c = text; *c; c++)
        if ((unsigned char) *c < ' ' || (unsigned char) *c >= 0x7f)
            *c = ' ';
    return text;
}

int status_decode(int http_status, const char *body, size_t len, struct error *err)
{
    _cleanup_json_ cJSON *json = NULL;
    _cleanup_free_ char *text = NULL;
    int code;

    if (len > 0 && json_parse(body, len, &json, NULL) == 0 && status_is(json))
        return fill(json, http_status, err);
    text = excerpt(body, len);
    code = error_set_reason(err, status_errno(http_status), reason_of(NULL, http_status),
                            "HTTP status %d%s%s", http_status, text[0] ? ": " : "", text);
    if (err)
        err->http_status = http_status;
    return code;
}

bool status_is_version_too_large(const struct error *err)
{
    return err->reason && strcmp(err->reason, REASON_VERSION_TOO_LARGE) == 0;
}

/* A reason decides where there is one: 409 is Conflict as well as AlreadyExists. */
static bool is_reason(const struct error *err, const char *reason)
{
    return err && err->http_status != 0 && err->reason && strcmp(err->reason, reason) == 0;
}

bool kube_error_is_not_found(const struct error *err)
{
    return err && err->http_status == 404;
}

bool kube_error_is_conflict(const struct error *err)
{
    return is_reason(err, "Conflict");
}

bool kube_error_is_already_exists(const struct error *err)
{
    return is_reason(err, "AlreadyExists");
}

bool kube_error_is_gone(const struct error *err)
{
    return err && (err->http_status == 410 || is_reason(err, "Expired") || is_reason(err, "Gone"));
}

bool kube_error_is_forbidden(const struct error *err)
{
    return err && err->http_status == 403;
}

bool kube_error_is_unauthorized(const struct error *err)
{
    return err && err->http_status == 401;
}

bool kube_error_is_throttled(const struct error *err)
{
    return err && err->http_status == 429;
}

bool kube_error_is_invalid(const struct error *err)
{
    return err && err->http_status == 422;
}

bool kube_error_is_transport(const struct error *err)
{
    return err && err->code != 0 && err->http_status == 0 && err->reason &&
           strcmp(err->reason, KUBE_REASON_UNREACHABLE) == 0;
}
