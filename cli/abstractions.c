// SPDX-License-Identifier: Apache-2.0
#include "cli/abstractions.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/digest.h"

/* Fewer accesses are better written out than given away with all else that an abstraction has. */
#define COVERED_MIN 3

/* Those made for services; broad ones for desktops are nobody's in a container. */
static const char *const names[] = {
    "base", "nameservice", "openssl", "ssl_certs", "consoles",       "python",
    "perl", "php",         "ruby",    "mysql",     "apache2-common", "web-data",
};
#define NAMES ARRAY_SIZE(names)

/* A text on its way through the compiler. */
struct trial {
    struct policy_profile profile;
    char digest[DIGEST_HEX_SIZE]; /* of what came out; "" when nothing did */
    char *flat;
};

static void trial_done(struct trial *trial)
{
    free(trial->profile.text);
    free(trial->flat);
}

static void on_compiled(void *userdata, struct compiled *compiled, const struct error *err)
{
    struct trial *trial = userdata;

    (void) err;
    if (compiled) {
        digest_sha256(compiled->data, compiled->len, trial->digest);
        trial->flat = TAKE_PTR(compiled->text);
    }
    compiled_free(compiled);
}

static void start(struct checker *checker, struct trial *trial, const char *name,
                  const struct strv *rules)
{
    static char trial_name[] = "trial";
    _cleanup_free_ char *added = strv_join(rules, "\n  ");

    trial->profile = (struct policy_profile){.name = trial_name};
    trial->profile.text = xasprintf("include <tunables/global>\nprofile trial {\n"
                                    "  include <abstractions/%s>\n  %s\n}\n",
                                    name, added);
    trial->profile.text_len = strlen(trial->profile.text);
    checker_compile(checker, &trial->profile, on_compiled, trial);
}

/* --- what need not be tried ----------------------------------------------------------------- */

/*
 * Some part of the rule's path or word stands in the abstraction: without that it hardly allows it,
 * and a compilation is spared. When wrong, an abstraction is not proposed.
 */
static bool may_cover(const char *flat, const struct audit_rule *rule)
{
    const char *text = rule->path ? rule->path : rule->text;
    static const char *const common[] = {"usr", "lib", "etc", "var", "bin", "run"};

    while (*text) {
        size_t len = strcspn(text, "/ ,@{}[]*=().");
        bool usual = len < 3;

        for (size_t i = 0; i < ARRAY_SIZE(common); i++)
            usual = usual || (strlen(common[i]) == len && memcmp(common[i], text, len) == 0);
        if (!usual && memmem(flat, strlen(flat), text, len))
            return true;
        text += len + (text[len] != '\0');
    }
    return rule->path && strstr(rule->path, ".so");
}

static bool is_included(const char *text, const char *name)
{
    _cleanup_free_ char *use = xasprintf("<abstractions/%s>", name);

    return strstr(text, use) != NULL;
}

/* --- trying --------------------------------------------------------------------------------- */

struct trials {
    struct trial base[NAMES];
    struct trial *with; /* [abstraction * suggestions + suggestion] */
    size_t count;       /* of suggestions */
};

static void try_all(struct checker *checker, const char *text,
                    const struct audit_suggestions *suggestions, const struct strv *exact,
                    struct trials *trials)
{
    static const struct strv nothing;

    for (size_t a = 0; a < NAMES; a++)
        if (!is_included(text, names[a]))
            start(checker, &trials->base[a], names[a], &nothing);
    checker_wait(checker);
    for (size_t a = 0; a < NAMES; a++) {
        const char *flat = trials->base[a].flat;

        for (size_t i = 0; flat && i < suggestions->len; i++)
            if (exact[i].len > 0 && may_cover(flat, &suggestions->items[i].rule))
                start(checker, &trials->with[a * trials->count + i], names[a], &exact[i]);
    }
    checker_wait(checker);
}

static bool covers(const struct trials *trials, size_t abstraction, size_t suggestion)
{
    const char *with = trials->with[abstraction * trials->count + suggestion].digest;

    return *with && strcmp(with, trials->base[abstraction].digest) == 0;
}

/* --- choosing ------------------------------------------------------------------------------- */

static bool counts(const struct trials *trials, const struct audit_suggestions *suggestions,
                   const bool *done, const char *profile, size_t abstraction, size_t suggestion)
{
    return !done[suggestion] && covers(trials, abstraction, suggestion) &&
           strcmp(suggestions->items[suggestion].rule.profile, profile) == 0;
}

/* The abstraction that allows most of what is left of a profile's; false when none allows enough.
 */
static bool choose_one(const struct trials *trials, const struct audit_suggestions *suggestions,
                       bool *done, const char *profile, struct abstraction_choices *choices)
{
    size_t best = 0, best_count = 0;
    struct abstraction_choice choice = {.profile = profile};

    for (size_t a = 0; a < NAMES; a++) {
        size_t count = 0;

        for (size_t i = 0; i < trials->count; i++)
            count += counts(trials, suggestions, done, profile, a, i);
        if (count > best_count) {
            best = a;
            best_count = count;
        }
    }
    if (best_count < COVERED_MIN)
        return false;
    choice.name = names[best];
    choice.covered = xcalloc(best_count, sizeof(*choice.covered));
    for (size_t i = 0; i < trials->count; i++)
        if (counts(trials, suggestions, done, profile, best, i))
            choice.covered[choice.covered_count++] = i;
    for (size_t i = 0; i < choice.covered_count; i++)
        done[choice.covered[i]] = true;
    choices->items = xreallocarray(choices->items, choices->len + 1, sizeof(*choices->items));
    choices->items[choices->len++] = choice;
    return true;
}

void abstraction_choices_done(struct abstraction_choices *choices)
{
    for (size_t i = 0; i < choices->len; i++)
        free(choices->items[i].covered);
    free(choices->items);
    *choices = (struct abstraction_choices){0};
}

void abstractions_choose(struct checker *checker, const char *text,
                         const struct audit_suggestions *suggestions, const struct strv *exact,
                         struct abstraction_choices *ret)
{
    _cleanup_free_ bool *done = xcalloc(suggestions->len + 1, sizeof(*done));
    struct trials trials = {.count = suggestions->len};

    *ret = (struct abstraction_choices){0};
    trials.with = xcalloc(NAMES * trials.count + 1, sizeof(*trials.with));
    try_all(checker, text, suggestions, exact, &trials);
    /* Suggestions are sorted by profile. */
    for (size_t i = 0; i < suggestions->len; i++) {
        const char *profile = suggestions->items[i].rule.profile;

        if (i == 0 || strcmp(profile, suggestions->items[i - 1].rule.profile) != 0)
            while (choose_one(&trials, suggestions, done, profile, ret))
                ;
    }
    for (size_t a = 0; a < NAMES; a++)
        trial_done(&trials.base[a]);
    for (size_t i = 0; i < NAMES * trials.count; i++)
        trial_done(&trials.with[i]);
    free(trials.with);
}
