// SPDX-License-Identifier: Apache-2.0
#include "controller/reviews.h"

#include <string.h>

#include "controller/resources.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/map.h"
#include "lib/kube/workqueue.h"

/* A status that says what the text is worth is worth a moment. */
#define HOLD_MS 1500
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000
#define PAUSE_FACTOR 3
#define PAUSE_MAX_MS 5000

enum { SUBJECT_SIZE = POLICY_REVISION_SIZE + 2 };

enum turn { TURN_SOON, TURN_LATER, TURNS };

/* One queue, and what it is at. */
struct line {
    struct reviews *reviews;
    struct kube_workqueue *queue;
    bool pauses;
    /* Under way, at most one. */
    struct kube_work *work;
    char *profile;
    uint64_t began_ms;
    char subject[SUBJECT_SIZE];
    struct kube_request *request;
    struct validation *validation;
    struct loop_timer *pause;
};

struct reviews {
    struct reviews_options options;
    struct map *records; /* of struct record */
    struct line lines[TURNS];
    size_t pending;
};

/* Of one profile. */
struct record {
    char *uid;
    /* The opinion that is held, and of what: "" none. */
    char subject[SUBJECT_SIZE];
    enum opinion_result result;
    char *reason, *message, *checked_with;
    cJSON *warnings;
    /* What is asked for: "" nothing. */
    char wanted[DIGEST_HEX_SIZE];
    uint64_t since_ms;
};

static void record_forget(struct record *record)
{
    free(record->reason);
    free(record->message);
    free(record->checked_with);
    cJSON_Delete(record->warnings);
    record->reason = record->message = record->checked_with = NULL;
    record->warnings = NULL;
    record->result = OPINION_NONE;
    record->subject[0] = '\0';
}

static void record_free(void *value)
{
    struct record *record = value;

    record_forget(record);
    free(record->uid);
    free(record);
}

static void record_keep(struct record *record, const char *subject, const struct opinion *opinion)
{
    record_forget(record);
    memcpy(record->subject, subject, SUBJECT_SIZE);
    record->result = opinion->result;
    record->reason = xstrdup(opinion->reason);
    record->message = xstrdup(opinion->message);
    record->checked_with = xstrdup(opinion->checked_with);
    record->warnings = opinion->warnings ? cJSON_Duplicate(opinion->warnings, true) : NULL;
}

static void stop_wanting(struct reviews *reviews, struct record *record)
{
    if (!*record->wanted)
        return;
    record->wanted[0] = '\0';
    reviews->pending--;
}

/* --- what an opinion is about ---------------------------------------------------------- */

static void subject_of(const char *revision, bool attachment, char ret[static SUBJECT_SIZE])
{
    memset(ret, 0, SUBJECT_SIZE);
    memcpy(ret, revision, strnlen(revision, POLICY_REVISION_SIZE - 1));
    ret[strlen(ret)] = attachment ? '+' : '-';
}

/* "" while there is no compiler. */
static void key_of(const struct reviews *reviews, const char *subject,
                   char ret[static DIGEST_HEX_SIZE])
{
    const char *id = validator_id(reviews->options.validator);
    const struct digest_part parts[] = {{id, id ? strlen(id) : 0}, {subject, strlen(subject)}};

    ret[0] = '\0';
    if (!id)
        return;
    digest_hex(DIGEST_SHA256, parts, ARRAY_SIZE(parts), ret);
    ret[FEATURES_ID_SIZE - 1] = '\0';
}

/* --- one review ------------------------------------------------------------------------ */

static void line_done(struct line *line, enum kube_outcome outcome)
{
    struct kube_work *work = TAKE_PTR(line->work);

    free(TAKE_PTR(line->profile));
    line->request = NULL;
    line->validation = NULL;
    kube_work_done(work, (struct kube_result){.outcome = outcome});
}

static void on_paused(void *userdata)
{
    line_done(userdata, KUBE_DONE);
}

static void line_rest(struct line *line)
{
    uint64_t ms = (clock_monotonic_ms() - line->began_ms) * PAUSE_FACTOR;

    line->validation = NULL;
    if (line->pauses)
        loop_timer_start(line->pause, ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : ms);
    else
        line_done(line, KUBE_DONE);
}

static enum opinion_result result_of(const struct verdict *verdict)
{
    switch (verdict->result) {
    case VERDICT_ACCEPTED:
        return OPINION_ACCEPTED;
    case VERDICT_REFUSED:
        return verdict->everywhere ? OPINION_REFUSED : OPINION_PARTLY_REFUSED;
    case VERDICT_UNDECIDED:
        break;
    }
    return OPINION_UNDECIDED;
}

static cJSON *warnings_json(const struct policy_warnings *warnings)
{
    cJSON *array = cJSON_CreateArray();

    for (size_t i = 0; i < warnings->len; i++) {
        cJSON *item = cJSON_CreateObject();

        json_add_string(item, "reason", warnings->items[i].reason);
        json_add_string(item, "message", warnings->items[i].message);
        json_append(array, item);
    }
    return array;
}

/* Another compiler, or another time, may decide. */
static bool is_for_later(const struct verdict *verdict)
{
    return verdict->result == VERDICT_UNDECIDED &&
           (strcmp(verdict->reason, "CompilerUnavailable") == 0 ||
            strcmp(verdict->reason, "Busy") == 0);
}

static void on_verdict(void *userdata, const struct verdict *verdict)
{
    struct line *line = userdata;
    struct reviews *reviews = line->reviews;
    struct record *record = map_get(reviews->records, line->profile);
    _cleanup_json_ cJSON *warnings = warnings_json(&verdict->warnings);
    char key[DIGEST_HEX_SIZE];
    struct opinion opinion = {
        .result = result_of(verdict),
        .reason = verdict->result == VERDICT_REFUSED ? verdict->reason : "",
        .message = verdict->message,
        .checked_with = key,
        .warnings = warnings,
    };

    line->validation = NULL;
    key_of(reviews, line->subject, key);
    if (!*key || is_for_later(verdict)) {
        line_done(line, KUBE_RETRY);
        return;
    }
    if (record) {
        record_keep(record, line->subject, &opinion);
        stop_wanting(reviews, record);
        reviews->options.decided(reviews->options.userdata, line->profile);
    }
    line_rest(line);
}

static void on_read(void *userdata, struct kube_object *object, const struct error *err)
{
    static const struct validation_options options = {0};
    struct line *line = userdata;
    struct policy_profile *profile = NULL;

    line->request = NULL;
    if (err->code && !kube_error_is_not_found(err)) {
        log_warn("cannot read a policy to check it; will try again", "profile", line->profile,
                 "err", error_message(err));
        line_done(line, KUBE_RETRY);
        return;
    }
    /* Gone, or invalid as its status says: nobody asks any more, until somebody does again. */
    if (err->code || policy_profile_parse(kube_object_json(object), &profile, NULL) < 0) {
        struct record *record = map_get(line->reviews->records, line->profile);

        if (record)
            stop_wanting(line->reviews, record);
        line_done(line, KUBE_DONE);
        return;
    }
    subject_of(profile->revision, profile->allow_host_attachment, line->subject);
    line->validation =
        validator_check(line->reviews->options.validator, profile, &options, on_verdict, line);
}

static void review(void *userdata, const char *profile, struct kube_work *work)
{
    struct line *line = userdata;
    const struct reviews_options *options = &line->reviews->options;
    const struct kube_object *object = kube_informer_get(options->profiles, NULL, profile);
    const struct record *record = map_get(line->reviews->records, profile);

    if (!object || !record || !*record->wanted) {
        kube_work_done(work, (struct kube_result){.outcome = KUBE_DONE});
        return;
    }
    line->work = work;
    line->profile = xstrdup(profile);
    line->began_ms = clock_monotonic_ms();
    line->request = kube_get(options->client, &resource_profiles, NULL, profile,
                             kube_object_resource_version(object), on_read, line);
}

/* --- questions ------------------------------------------------------------------------- */

static struct record *record_get(struct reviews *reviews, const char *profile, const char *uid)
{
    struct record *record = map_get(reviews->records, profile);

    if (record && strcmp(record->uid, uid) == 0)
        return record;
    reviews_forget(reviews, profile);
    record = xcalloc(1, sizeof(*record));
    record->uid = xstrdup(uid);
    map_set(reviews->records, profile, record);
    return record;
}

/* Of this very question, or at least of this generation. */
static void adopt(struct record *record, const char *subject, const char *key,
                  const struct profile_spec *spec, const cJSON *status)
{
    const struct opinion opinion = opinion_of(status);

    if (opinion.result == OPINION_NONE)
        return;
    if (strcmp(opinion.checked_with, key) == 0 ||
        json_int(json_get(status, "observedGeneration"), -1) == spec->generation)
        record_keep(record, subject, &opinion);
}

static void want(struct reviews *reviews, struct record *record, const char *profile,
                 const char *key)
{
    enum turn turn = record->result == OPINION_NONE ? TURN_SOON : TURN_LATER;

    if (strcmp(record->wanted, key) == 0)
        return;
    reviews->pending += !*record->wanted;
    memcpy(record->wanted, key, DIGEST_HEX_SIZE);
    record->since_ms = clock_monotonic_ms();
    kube_workqueue_add(reviews->lines[turn].queue, profile);
}

static uint64_t hold_ms(const struct record *record)
{
    uint64_t since = clock_monotonic_ms() - record->since_ms;

    return *record->wanted && record->result == OPINION_NONE && since < HOLD_MS ? HOLD_MS - since
                                                                                : 0;
}

uint64_t reviews_look(struct reviews *reviews, const struct kube_object *profile,
                      const struct profile_spec *spec, const cJSON *status, struct opinion *ret)
{
    struct record *record = record_get(reviews, spec->name, kube_object_uid(profile));
    bool attachment =
        json_bool(json_get(kube_object_json(profile), "spec", "allowHostAttachment"), false);
    char subject[SUBJECT_SIZE], key[DIGEST_HEX_SIZE];

    subject_of(spec->revision, attachment, subject);
    key_of(reviews, subject, key);
    if (strcmp(record->subject, subject) != 0)
        record_forget(record);
    if (record->result == OPINION_NONE)
        adopt(record, subject, key, spec, status);
    if (*key && (record->result == OPINION_NONE || strcmp(record->checked_with, key) != 0))
        want(reviews, record, spec->name, key);
    else
        stop_wanting(reviews, record);
    *ret = (struct opinion){
        .result = record->result,
        .reason = record->reason,
        .message = record->message,
        .checked_with = record->checked_with,
        .warnings = record->warnings,
    };
    return hold_ms(record);
}

void reviews_forget(struct reviews *reviews, const char *profile)
{
    struct record *record = map_get(reviews->records, profile);

    if (!record)
        return;
    stop_wanting(reviews, record);
    map_remove(reviews->records, profile);
}

size_t reviews_pending(const struct reviews *reviews)
{
    return reviews->pending;
}

/* --- life -------------------------------------------------------------------------------- */

static void line_init(struct reviews *reviews, enum turn turn)
{
    struct line *line = &reviews->lines[turn];
    uv_loop_t *loop = kube_client_loop(reviews->options.client);
    const struct kube_workqueue_options queue = {
        .base_delay_ms = RETRY_MIN_MS,
        .max_delay_ms = RETRY_MAX_MS,
        .max_active = 1,
        .reconcile = review,
        .userdata = line,
    };

    line->reviews = reviews;
    line->pauses = turn == TURN_LATER;
    line->queue = kube_workqueue_new(loop, &queue);
    line->pause = loop_timer_new(loop, on_paused, line);
}

static void line_end(struct line *line)
{
    kube_request_cancel(line->request);
    validation_cancel(line->validation);
    kube_workqueue_free(line->queue);
    loop_timer_free(line->pause);
    free(line->profile);
}

struct reviews *reviews_new(const struct reviews_options *options)
{
    struct reviews *reviews = xcalloc(1, sizeof(*reviews));

    reviews->options = *options;
    reviews->records = map_new(record_free);
    for (size_t i = 0; i < TURNS; i++)
        line_init(reviews, (enum turn) i);
    return reviews;
}

void reviews_free(struct reviews *reviews)
{
    if (!reviews)
        return;
    for (size_t i = 0; i < TURNS; i++)
        line_end(&reviews->lines[i]);
    map_free(reviews->records);
    free(reviews);
}
