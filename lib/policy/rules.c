// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/rules.h"

#include <errno.h>
#include <string.h>

#include "lib/policy/statement.h"

enum { BLOCKS_MAX = 64 };

struct walk {
    struct text_scan scan;
    enum policy_mode modes[BLOCKS_MAX]; /* of each open block; UNSET: outside of profiles */
    size_t blocks;
    size_t profiles; /* open ones */
    bool profile[BLOCKS_MAX];
    size_t counted; /* up to here the lines are */
    unsigned line;
    policy_rule_fn fn;
    void *userdata;
};

bool policy_rule_is(const struct policy_rule *rule, const char *word)
{
    return rule->word_len == strlen(word) && memcmp(rule->word, word, rule->word_len) == 0;
}

static unsigned line_at(struct walk *walk, size_t place)
{
    for (; walk->counted < place; walk->counted++)
        walk->line += walk->scan.text[walk->counted] == '\n';
    return walk->line;
}

static enum policy_mode mode_of(const struct walk *walk, const struct flag_list *flags)
{
    struct text_scan scan = walk->scan;
    enum policy_mode mode = POLICY_ENFORCE;
    struct span word;

    scan.at = flags->inside.start;
    while (flags->present && span_next_word(&scan, flags->inside.end, &word))
        for (enum policy_mode m = POLICY_ENFORCE; m <= POLICY_UNCONFINED; m++)
            if (span_is(&scan, word, policy_mode_kernel_name(m)))
                mode = m;
    return mode;
}

static enum policy_mode current_mode(const struct walk *walk)
{
    return walk->blocks > 0 ? walk->modes[walk->blocks - 1] : POLICY_MODE_UNSET;
}

static int open_block(struct walk *walk, const struct statement *statement)
{
    bool profile = statement->kind == STATEMENT_HEADER;
    enum policy_mode mode = profile ? mode_of(walk, &statement->flags) : current_mode(walk);

    if (walk->blocks == BLOCKS_MAX)
        return -EBADMSG;
    walk->modes[walk->blocks] = mode;
    walk->profile[walk->blocks++] = profile;
    walk->profiles += profile;
    return 0;
}

static int close_block(struct walk *walk)
{
    if (walk->blocks == 0)
        return -EBADMSG;
    walk->profiles -= walk->profile[--walk->blocks];
    return 0;
}

static bool is_qualifier(const struct text_scan *scan, struct span word)
{
    static const char *const words[] = {"allow", "audit", "deny", "owner", "other", "quiet"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (span_is(scan, word, words[i]))
            return true;
    return false;
}

/* `priority=3` of 4.1 and later. */
static bool skip_priority(struct text_scan *scan, struct span word)
{
    if (!span_is(scan, word, "priority") || text_peek(scan, 0) != '=')
        return false;
    scan->at++;
    while (text_is_word(text_peek(scan, 0)) || text_peek(scan, 0) == '-' ||
           text_peek(scan, 0) == '+')
        scan->at++;
    return true;
}

/* What stands before a rule's own word holds for all rules of a block, too. */
static void tell_rule(struct walk *walk, const struct statement *statement)
{
    struct text_scan scan = walk->scan;
    struct policy_rule rule = {.line = line_at(walk, statement->start), .mode = current_mode(walk)};
    struct span word;

    scan.at = statement->start;
    for (;;) {
        word.start = scan.at;
        text_skip_word(&scan);
        word.end = scan.at;
        if (!is_qualifier(&scan, word) && !skip_priority(&scan, word))
            break;
        rule.deny = rule.deny || span_is(&scan, word, "deny");
        rule.audit = rule.audit || span_is(&scan, word, "audit");
        text_skip_space(&scan);
    }
    rule.word = scan.text + word.start;
    rule.word_len = word.end - word.start;
    walk->fn(walk->userdata, &rule);
}

static int step(struct walk *walk)
{
    struct statement statement;

    if (statement_read(&walk->scan, walk->profiles > 0, &statement))
        return -EBADMSG;
    switch (statement.kind) {
    case STATEMENT_CLOSE:
        return close_block(walk);
    case STATEMENT_INCLUDE:
        return statement_skip_include(&walk->scan) ? 0 : -EBADMSG;
    case STATEMENT_RULE:
        if (walk->profiles > 0)
            tell_rule(walk, &statement);
        break;
    case STATEMENT_HEADER:
    case STATEMENT_CONDITION:
    case STATEMENT_ASSIGNMENT:
        break;
    }
    return statement.opens ? open_block(walk, &statement) : 0;
}

int policy_rules_each(const char *text, size_t len, policy_rule_fn fn, void *userdata)
{
    struct walk walk = {
        .scan = {.text = text, .len = len},
        .line = 1,
        .fn = fn,
        .userdata = userdata,
    };

    for (text_skip_space(&walk.scan); !text_at_end(&walk.scan); text_skip_space(&walk.scan)) {
        int r = step(&walk);
        if (r < 0)
            return r;
    }
    return walk.blocks > 0 ? -EBADMSG : 0;
}
