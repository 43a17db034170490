// SPDX-License-Identifier: Apache-2.0
#include "controller/validator.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/loop.h"

#define FEATURES "/usr/share/apparmor-features/features"

static uv_loop_t loop;
static struct validator *validator;

static void open_with(const char *parser)
{
    const struct validator_options options = {
        .compiler = {.features = FEATURES, .parser = parser},
    };

    alloc_init();
    uv_loop_init(&loop);
    validator = validator_new(&loop, &options);
}

static void setup(void)
{
    open_with(NULL);
}

static void teardown(void)
{
    validator_free(validator);
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(validator, .init = setup, .fini = teardown, .timeout = 60);

static struct policy_profile *profile_of(const char *text)
{
    struct policy_profile *profile = xcalloc(1, sizeof(*profile));

    profile->name = xstrdup("p");
    profile->text = xstrdup(text);
    profile->text_len = strlen(text);
    policy_revision(text, strlen(text), POLICY_MODE_UNSET, profile->revision);
    return profile;
}

struct answer {
    unsigned calls;
    enum verdict_result result;
    char reason[32];
    unsigned line;
};

static void record(void *userdata, const struct verdict *verdict)
{
    struct answer *answer = userdata;

    answer->calls++;
    answer->result = verdict->result;
    answer->line = verdict->line;
    snprintf(answer->reason, sizeof(answer->reason), "%s", verdict->reason);
}

static struct validation *ask(const char *text, struct answer *answer)
{
    const struct validation_options options = {.urgent = true};

    *answer = (struct answer){0};
    return validator_check(validator, profile_of(text), &options, record, answer);
}

static void turn(void)
{
    uv_run(&loop, UV_RUN_DEFAULT);
}

static const char good[] = "profile p { /a r, }", bad[] = "profile p {\n rubbish\n}\n";

Test(validator, answers_from_the_loop_and_remembers)
{
    struct answer first, second, other;

    ask(good, &first);
    cr_assert_eq(validator_depth(validator), 1);
    cr_assert_eq(first.calls, 0);
    turn();
    cr_assert_eq(first.calls, 1);
    cr_assert_eq(first.result, VERDICT_ACCEPTED);
    ask(good, &second);
    cr_assert_eq(validator_depth(validator), 0, "nothing is compiled twice");
    cr_assert_eq(second.calls, 0);
    turn();
    cr_assert_eq(second.calls, 1);
    cr_assert_eq(second.result, VERDICT_ACCEPTED);
    ask(bad, &other);
    turn();
    cr_assert_eq(other.result, VERDICT_REFUSED);
    cr_assert_eq(other.line, 3, "the parser notices at the brace");
    ask(bad, &other);
    cr_assert_eq(validator_depth(validator), 0, "refusals are remembered, too");
    turn();
    cr_assert_eq(other.result, VERDICT_REFUSED);
}

Test(validator, equal_questions_are_one)
{
    struct answer answers[3];
    struct validation *middle;

    ask(good, &answers[0]);
    middle = ask(good, &answers[1]);
    ask(good, &answers[2]);
    cr_assert_eq(validator_depth(validator), 1);
    validation_cancel(middle);
    turn();
    cr_assert_eq(answers[0].calls + answers[2].calls, 2);
    cr_assert_eq(answers[1].calls, 0);
}

Test(validator, what_is_allowed_is_part_of_the_question)
{
    const struct validation_options options = {0};
    struct policy_profile *allowed = profile_of("profile p /usr/bin/p { /a r, }");
    struct answer refused, accepted = {0};

    allowed->allow_host_attachment = true;
    ask("profile p /usr/bin/p { /a r, }", &refused);
    validator_check(validator, allowed, &options, record, &accepted);
    cr_assert_eq(validator_depth(validator), 2);
    turn();
    cr_assert_str_eq(refused.reason, "HostAttachment");
    cr_assert_eq(accepted.result, VERDICT_ACCEPTED);
}

Test(validator, cancelled_questions_end)
{
    struct answer answer, cached;
    struct validation *validation = ask(good, &answer);

    validation_cancel(validation);
    cr_assert_eq(validator_depth(validator), 0);
    turn();
    cr_assert_eq(answer.calls, 0);
    ask(good, &cached);
    turn();
    validation_cancel(ask(good, &cached));
    turn();
    cr_assert_eq(cached.calls, 0);
}

Test(validator, a_deadline_ends_the_wait_and_the_work)
{
    const struct validation_options options = {.deadline_ms = 1};
    struct answer answer = {0};

    validator_check(validator, profile_of(good), &options, record, &answer);
    while (answer.calls == 0)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert_str_eq(answer.reason, "TimedOut");
    cr_assert_eq(answer.result, VERDICT_UNDECIDED);
    cr_assert_eq(validator_depth(validator), 0);
    turn();
    cr_assert_eq(answer.calls, 1);
}

Test(validator, more_questions_than_it_can_answer_are_turned_away)
{
    enum { MANY = 80 };
    struct answer answers[MANY];
    struct validation *validations[MANY];
    size_t busy = 0;

    for (size_t i = 0; i < MANY; i++) {
        _cleanup_free_ char *text = xasprintf("profile p%zu { /a r, }", i);
        validations[i] = ask(text, &answers[i]);
    }
    cr_assert_eq(validator_depth(validator), 64);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_run(&loop, UV_RUN_NOWAIT);
    for (size_t i = 0; i < MANY; i++) {
        if (answers[i].calls > 0 && strcmp(answers[i].reason, "Busy") == 0)
            busy++;
        else if (answers[i].calls == 0)
            validation_cancel(validations[i]);
    }
    cr_assert_eq(busy, MANY - 64);
    turn();
}

Test(validator, other_kernels_are_another_question)
{
    /* More than libapparmor reads: nothing compiles for that. */
    static char unreadable[9000];
    struct features *kernel = NULL;
    struct answer answer;
    _cleanup_free_ char *before = xstrdup(validator_id(validator));

    memset(unreadable, 'x', sizeof(unreadable));
    cr_assert_eq(features_new(unreadable, sizeof(unreadable), &kernel, NULL), 0);
    ask(good, &answer);
    turn();
    validator_set_features(validator, &kernel, 1);
    cr_assert_str_neq(validator_id(validator), before);
    ask(good, &answer);
    turn();
    cr_assert_eq(answer.result, VERDICT_REFUSED, "for that kernel it does not compile");
    validator_set_features(validator, NULL, 0);
    cr_assert_str_eq(validator_id(validator), before);
    ask(good, &answer);
    cr_assert_eq(validator_depth(validator), 0, "what was known is still known");
    turn();
    cr_assert_eq(answer.result, VERDICT_ACCEPTED);
    features_unref(kernel);
}

Test(validator, without_a_compiler_nothing_is_decided)
{
    struct answer answer;

    teardown();
    open_with("/no/parser");
    cr_assert_null(validator_id(validator));
    ask(good, &answer);
    turn();
    cr_assert_eq(answer.result, VERDICT_UNDECIDED);
    cr_assert_str_eq(answer.reason, "CompilerUnavailable");
}
