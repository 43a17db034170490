// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <uv.h>

#include "controller/admission_review.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/metrics.h"
#include "lib/base/trimmer.h"
#include "lib/serve/serve.h"

/*
 * The server of admission webhooks: HTTPS, from the moment that there is a certificate. Reviews are
 * read here, answered by the webhooks, at once or later, and counted.
 */
struct admission;
struct admission_call;

/* One path. What it is called with lives until it answers; `review` is the API server's question.
 */
struct admission_webhook {
    const char *path; /* "/…" */
    const char *name; /* in metrics */
    void (*handle)(void *userdata, int variant, struct admission_call *call);
    void *userdata;
    int variant;
};

struct admission_options {
    const char *listen_address; /* as in serve.h */
    uint16_t listen_port;
    struct metrics *metrics; /* borrowed, as what follows */
    struct trimmer *trimmer;
};

struct admission *admission_new(uv_loop_t *loop, const struct admission_options *options,
                                const struct admission_webhook *webhooks, size_t count);
/* Calls that wait are answered with an error. The webhooks must have answered theirs. */
void admission_free(struct admission *admission);
DEFINE_CLEANUP(struct admission *, admission_free)

/* Begins to listen with the first certificate; the next ones are served to new connections. */
_must_check_ int admission_set_identity(struct admission *admission,
                                        const struct server_identity *identity, struct error *err);
/* 0 before it listens. */
uint16_t admission_port(const struct admission *admission);

/* --- for webhooks --------------------------------------------------------------------------- */

const struct admission_review *admission_call_review(const struct admission_call *call);
/* How often the webhook has been called with it before. */
unsigned admission_call_attempts(const struct admission_call *call);
/* Takes what is in the answer; the call is over. */
void admission_call_answer(struct admission_call *call, struct admission_answer *answer);
/* No answer can be given: the webhook's failurePolicy decides. The call is over. */
void admission_call_fail(struct admission_call *call, const char *why);
/*
 * The webhook is called again after that time, as what it rests on may be on its way. False when
 * too many wait: answer now.
 */
bool admission_call_again(struct admission_call *call, uint64_t after_ms);
