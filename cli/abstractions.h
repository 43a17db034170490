// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/checker.h"
#include "lib/audit/suggest.h"

/*
 * Which of the abstractions that AppArmor ships allow what is suggested. That is not guessed from
 * their text: an abstraction allows an access exactly when a profile with the abstraction compiles
 * to the same bytes with and without the rule for that access.
 */
struct abstraction_choice {
    const char *name;    /* "base"; static */
    const char *profile; /* borrowed from the suggestions */
    size_t *covered;     /* their indexes */
    size_t covered_count;
};

struct abstraction_choices {
    struct abstraction_choice *items;
    size_t len;
};

void abstraction_choices_done(struct abstraction_choices *choices);

/*
 * Few abstractions, each of which allows several of the suggestions; none that `text`, the policy,
 * has already. `exact[i]`: the rules of suggestion i for the very accesses, without
 * generalisation. When the compiler does not work there are no choices.
 */
void abstractions_choose(struct checker *checker, const char *text,
                         const struct audit_suggestions *suggestions, const struct strv *exact,
                         struct abstraction_choices *ret);
