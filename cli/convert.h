// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/input.h"
#include "lib/base/map.h"
#include "lib/policy/mode.h"

/*
 * AppArmorProfiles out of what else holds profiles. Each is made from text of others: what cannot
 * be made into one that the API takes is an error that names the place.
 */
struct convert {
    bool keep_attachments; /* and let the policy attach to the host's programs */
    enum policy_mode mode; /* spec.mode; POLICY_MODE_UNSET: as the source says */
    struct map *names;     /* metadata.name of what was made before */
    cJSON *made;           /* AppArmorProfiles, in their order */
    struct strv notes;     /* what was changed on the way, and what was passed over */
    struct strv problems;
};

void convert_init(struct convert *convert);
void convert_done(struct convert *convert);

/* A whole file, of whatever kind. */
void convert_input(struct convert *convert, const struct input *input);

/* --- parts ---------------------------------------------------------------------------------- */

/*
 * A valid metadata.name, not used yet, of something called `text`: what a name cannot have becomes
 * '-', and what is too long ends in a digest. The caller frees it.
 */
char *convert_name(struct convert *convert, const char *text);

/*
 * Policy text: without attachments, and with plain names in place of paths. `place` is where it
 * stands, for messages, `name` what it may be called if it does not say.
 */
void convert_policy(struct convert *convert, const char *place, const char *name, const char *text);

/* An AppArmorProfile of the Security Profiles Operator. */
void convert_spo(struct convert *convert, const struct input_object *object);
/* The policy text that spec.abstract stands for; -EINVAL names the field. */
_must_check_ int convert_abstract(const char *name, const cJSON *spec, struct buf *out,
                                  struct error *err);

/* "FILE: …" */
_printf_(3, 4) void convert_note(struct convert *convert, const char *place, const char *format,
                                 ...);
_printf_(3, 4) void convert_problem(struct convert *convert, const char *place, const char *format,
                                    ...);
