// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/includes.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/cleanup.h"

/*
 * The compiler's scanner (parser/parser_lex.l) knows comments and includes in its initial state
 * only. Elsewhere, as in `/a px -> # include "/b"`, a '#' is part of a word, and the include after
 * it is real. So this reader keeps track of whether the scanner is *surely* in that state, and
 * where it is not sure takes a comment for one only when it could do no harm as text.
 */
struct scan {
    const char *text;
    size_t len;
    size_t at;
    unsigned line;
    unsigned depth; /* of parentheses */
    bool sure;      /* the scanner is in its initial state */
    bool back;      /* ... will be, once the parentheses are closed */
    bool lost;      /* a comment may have held a parenthesis that counts: never sure again */
    bool assigning; /* values of a variable, to the end of the line */
    bool doubtful;  /* ... with a comment, or what older compilers take for more values */
    bool none;      /* no include may be there at all */
    struct error *err;
};

#define REASON "ForbiddenInclude"
#define REMEDY \
    "write include <abstractions/...>, include <tunables/...> or abi <abi/...>, or copy the rules"

/* Folders below the base that distributions ship includes in. */
static const char *const ROOTS[] = {"abstractions", "tunables",  "local",
                                    "apache2.d",    "php-fpm.d", "samba"};
static const char *const ABI_ROOTS[] = {"abi"};

/* Words of the language that leave the scanner in its initial state. */
static const char *const PLAIN_WORDS[] = {"allow",  "audit",    "capability", "complain",
                                          "deny",   "else",     "file",       "kill",
                                          "link",   "other",    "owner",      "pivot_root",
                                          "prompt", "priority", "quiet",      "subset"};

#define forbid(scan, ...) error_set_reason((scan)->err, -EPERM, REASON, __VA_ARGS__)

/* --- characters --- */

/* 0 past the end: no character of policy, as NUL is refused before. */
static char peek(const struct scan *scan, size_t ahead)
{
    return scan->len - scan->at > ahead ? scan->text[scan->at + ahead] : '\0';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
    return is_blank(c) || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(char c)
{
    return is_letter(c) || is_digit(c) || c == '_';
}

/* ID_CHARS of the scanner. */
static bool is_id(char c)
{
    return c != '\0' && !is_space(c) && c != '"' && c != '!' && c != ',';
}

static bool is_escape(const struct scan *scan)
{
    return peek(scan, 0) == '\\' && peek(scan, 1) != '\0' && strchr(" \t\"!,#()", peek(scan, 1));
}

static bool has_prefix(const struct scan *scan, const char *prefix)
{
    size_t len = strlen(prefix);

    return scan->len - scan->at >= len && memcmp(scan->text + scan->at, prefix, len) == 0;
}

static void skip_blanks(struct scan *scan)
{
    while (is_blank(peek(scan, 0)))
        scan->at++;
}

/* Stops at the line's end. */
static void skip_line(struct scan *scan)
{
    while (scan->at < scan->len && peek(scan, 0) != '\n')
        scan->at++;
}

/*
 * A word that hangs on to another token is part of it, unless the token is one that ends by itself,
 * as the number in `priority=1include "/a"`.
 */
static bool hangs(const struct scan *scan)
{
    size_t before = scan->at;

    while (before > 0 && is_digit(scan->text[before - 1]))
        before--;
    if (before == 0)
        return false;

    char c = scan->text[before - 1];
    if (before < scan->at && (c == '+' || c == '-'))
        return false;
    return !is_space(c) && !strchr("{}()=,\"<>!#", c);
}

/* --- includes --- */

/* Letters, digits and a few signs, no "..", nothing that the compiler would expand. */
static bool path_plain(const char *path, size_t len)
{
    size_t part = 0;

    for (size_t i = 0; i < len; i++) {
        if (path[i] == '/') {
            if (i == part)
                return false;
            part = i + 1;
        } else if (path[i] == '.' ? i == part : !is_word(path[i]) && !strchr("-+@", path[i])) {
            return false;
        }
    }
    return true;
}

/* The folder itself stands for all files in it. */
static bool path_allowed(const char *path, size_t len, const char *const *roots, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t root = strlen(roots[i]);
        if (len >= root && memcmp(path, roots[i], root) == 0 && (len == root || path[root] == '/'))
            return path_plain(path, len);
    }
    return false;
}

bool policy_include_is_shipped(const char *path, size_t len)
{
    return path_allowed(path, len, ROOTS, ARRAY_SIZE(ROOTS));
}

static int forbid_path(const struct scan *scan, const char *word)
{
    return forbid(scan,
                  "line %u: %s may name nothing but a shipped file in angle brackets, on the same "
                  "line: " REMEDY " into the policy",
                  scan->line, word);
}

/* At the blanks after the word. */
static int read_path(struct scan *scan, const char *word, const char *const *roots, size_t count)
{
    skip_blanks(scan);
    if (peek(scan, 0) != '<')
        return forbid_path(scan, word);

    size_t start = ++scan->at;
    while (scan->at < scan->len && !strchr(">\n", peek(scan, 0)))
        scan->at++;
    if (peek(scan, 0) != '>' || !path_allowed(scan->text + start, scan->at - start, roots, count))
        return forbid_path(scan, word);
    scan->at++;
    return 0;
}

static void skip_if_exists(struct scan *scan)
{
    struct scan ahead = *scan;

    skip_blanks(&ahead);
    if (!has_prefix(&ahead, "if") || !is_blank(peek(&ahead, 2)))
        return;
    ahead.at += 2;
    skip_blanks(&ahead);
    if (!has_prefix(&ahead, "exists") || !is_blank(peek(&ahead, 6)))
        return;
    scan->at = ahead.at + 6;
}

/* At the word; an include leaves the scanner where it was. */
static int read_include(struct scan *scan, const char *word)
{
    if (scan->none)
        return forbid(scan, "line %u: an include is left in flattened policy", scan->line);
    scan->at += strlen(word);
    skip_if_exists(scan);
    return read_path(scan, word, ROOTS, ARRAY_SIZE(ROOTS));
}

static int read_abi(struct scan *scan)
{
    scan->at += strlen("abi");
    int r = read_path(scan, "abi", ABI_ROOTS, ARRAY_SIZE(ABI_ROOTS));
    if (r < 0)
        return r;
    skip_blanks(scan);
    if (peek(scan, 0) != ',')
        return forbid(scan, "line %u: abi: end the rule with a comma on the same line", scan->line);
    return 0;
}

/* --- tokens --- */

/* What a comment must not hold where it may turn out to be policy. */
static bool line_matters(const struct scan *scan)
{
    static const char *const WORDS[] = {"include", "abi"};

    for (size_t i = scan->at; i < scan->len && scan->text[i] != '\n'; i++) {
        struct scan word = *scan;

        word.at = i;
        if (scan->text[i] == '"')
            return true;
        for (size_t k = 0; k < ARRAY_SIZE(WORDS); k++) {
            if (has_prefix(&word, WORDS[k]) && !is_word(peek(&word, strlen(WORDS[k]))) &&
                !hangs(&word))
                return true;
        }
    }
    return false;
}

static bool line_has_paren(const struct scan *scan)
{
    for (size_t i = scan->at; i < scan->len && scan->text[i] != '\n'; i++) {
        if (scan->text[i] == '(' || scan->text[i] == ')')
            return true;
    }
    return false;
}

static int read_comment(struct scan *scan)
{
    if (has_prefix(scan, "#include")) {
        char after = peek(scan, strlen("#include"));
        if (!is_blank(after) && after != '<')
            return forbid(
                scan,
                "line %u: #include begins an include, whatever follows: write '# include' "
                "for a comment",
                scan->line);
        return read_include(scan, "#include");
    }
    if (!scan->sure) {
        if (line_matters(scan))
            return forbid(scan,
                          "line %u: a comment in the middle of a rule must not hold quotes, "
                          "'include' or 'abi', as the compiler may take it for policy: move it",
                          scan->line);
        if (line_has_paren(scan) && !scan->assigning)
            scan->lost = true;
        scan->doubtful = true;
    }
    skip_line(scan);
    return 0;
}

static int read_string(struct scan *scan)
{
    scan->at++;
    while (scan->at < scan->len && peek(scan, 0) != '"') {
        if (peek(scan, 0) == '\n')
            break;
        scan->at += peek(scan, 0) == '\\' && peek(scan, 1) == '"' ? 2 : 1;
    }
    if (peek(scan, 0) != '"')
        return forbid(scan, "line %u: a quoted name must end on its line: add the closing quote",
                      scan->line);
    scan->at++;
    return 0;
}

static bool assignment_follows(const struct scan *scan, size_t *ret_len)
{
    struct scan ahead = *scan;

    skip_blanks(&ahead);
    if (strchr("+?:", peek(&ahead, 0)) && peek(&ahead, 0) != '\0')
        ahead.at++;
    if (peek(&ahead, 0) != '=')
        return false;
    *ret_len = ahead.at + 1 - scan->at;
    return true;
}

/*
 * A path, label or name, which goes on past parentheses and commas. Only in the initial state is
 * that sure: elsewhere a character at a time is read, so that no word is passed over.
 */
static void read_id(struct scan *scan)
{
    if (!scan->sure) {
        scan->at++;
        return;
    }
    while (scan->at < scan->len) {
        if (is_escape(scan))
            scan->at += 2;
        else if (is_id(peek(scan, 0)) || (peek(scan, 0) == ',' && is_id(peek(scan, 1))))
            scan->at++;
        else
            break;
    }
}

/* What is named right after `profile`, `hat` and '^', on the same line. */
static int read_name(struct scan *scan)
{
    size_t assignment;

    if (!scan->sure)
        return 0;
    if (assignment_follows(scan, &assignment)) { /* then it was no keyword */
        scan->sure = false;
        return 0;
    }
    skip_blanks(scan);
    if (peek(scan, 0) == '"')
        return read_string(scan);
    if (peek(scan, 0) == '#')
        return forbid(scan, "line %u: a comment must not stand before a profile's name: move it",
                      scan->line);
    read_id(scan);
    return 0;
}

/* @{NAME}, @NAME or $NAME, with what hangs on to it or is assigned. */
static void read_variable(struct scan *scan)
{
    size_t assignment;

    if (!scan->sure) {
        scan->at++;
        return;
    }
    bool label = peek(scan, 0) == '@';
    scan->at++;
    bool braces = peek(scan, 0) == '{';
    if (braces)
        scan->at++;
    while (is_word(peek(scan, 0)))
        scan->at++;
    if (braces && peek(scan, 0) == '}')
        scan->at++;
    if (assignment_follows(scan, &assignment)) {
        scan->at += assignment;
        scan->assigning = true;
        scan->doubtful = false;
        scan->sure = false;
    } else if (label && !strchr("=+?:", peek(scan, 0))) {
        read_id(scan);
    } else {
        scan->sure = false;
    }
}

static bool word_is(const struct scan *scan, size_t start, const char *word)
{
    size_t len = strlen(word);

    return scan->at - start == len && memcmp(scan->text + start, word, len) == 0;
}

/* Of a file. */
static bool is_permission(char c)
{
    switch (c | 0x20) {
    case 'r':
    case 'w':
    case 'a':
    case 'l':
    case 'm':
    case 'k':
    case 'x':
    case 'p':
    case 'c':
    case 'i':
    case 'u':
        return true;
    default:
        return false;
    }
}

static bool word_is_plain(const struct scan *scan, size_t start)
{
    size_t len = scan->at - start;

    for (size_t i = 0; i < ARRAY_SIZE(PLAIN_WORDS); i++) {
        if (*PLAIN_WORDS[i] == scan->text[start] && word_is(scan, start, PLAIN_WORDS[i]))
            return true;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_permission(scan->text[start + i]))
            return false;
    }
    return true;
}

/* `name=(`: the scanner comes back when the list ends. */
static bool list_follows(const struct scan *scan)
{
    struct scan ahead = *scan;

    skip_blanks(&ahead);
    if (peek(&ahead, 0) != '=')
        return false;
    ahead.at++;
    skip_blanks(&ahead);
    return peek(&ahead, 0) == '(';
}

static int read_word(struct scan *scan)
{
    bool part = hangs(scan);
    size_t start = scan->at;

    while (is_word(peek(scan, 0)))
        scan->at++;
    if (part) {
        scan->sure = false;
        return 0;
    }
    if (word_is(scan, start, "include") || word_is(scan, start, "abi")) {
        bool include = word_is(scan, start, "include");
        scan->at = start;
        return include ? read_include(scan, "include") : read_abi(scan);
    }
    if (word_is(scan, start, "profile") || word_is(scan, start, "hat"))
        return read_name(scan);
    if (list_follows(scan)) {
        skip_blanks(scan);
        scan->at++; /* the '=' */
    } else if (!word_is_plain(scan, start)) {
        scan->sure = false;
    }
    return 0;
}

/* Ends an assignment, unless a lone backslash continues it. */
static void read_newline(struct scan *scan)
{
    size_t at = scan->at++;

    scan->line++;
    if (!scan->assigning)
        return;
    bool backslash = at > 0 && scan->text[at - 1] == '\\';
    if (backslash && at > 1 && is_blank(scan->text[at - 2]) && !scan->doubtful)
        return;
    scan->assigning = false;
    scan->sure = !backslash && !scan->lost;
}

static void read_paren(struct scan *scan)
{
    bool open = peek(scan, 0) == '(';

    scan->at++;
    if (scan->assigning)
        return;
    if (open) {
        if (scan->depth++ == 0)
            scan->back = scan->sure;
        scan->sure = false;
    } else if (scan->depth > 0 && --scan->depth == 0) {
        scan->sure = scan->back && !scan->lost;
    }
}

/* A comma that ends a rule brings the scanner back, if it does not end in an error. */
static void read_comma(struct scan *scan)
{
    scan->at++;
    if (scan->depth == 0 && !scan->lost && !is_id(peek(scan, 0)))
        scan->sure = true;
}

static void read_sign(struct scan *scan)
{
    if (!strchr("{}", peek(scan, 0)))
        scan->sure = false;
    scan->at++;
}

static int read_backslash(struct scan *scan)
{
    /* Some states of the scanner take it for an escaped quote and some for the end of a word. */
    if (peek(scan, 1) == '"')
        return forbid(scan,
                      "line %u: an escaped quote stands outside of a name: put the name in "
                      "quotes",
                      scan->line);
    scan->sure = false;
    scan->at += is_escape(scan) ? 2 : 1;
    return 0;
}

static int read_token(struct scan *scan)
{
    char c = peek(scan, 0);

    switch (c) {
    case '\n':
        read_newline(scan);
        return 0;
    case '\\':
        return read_backslash(scan);
    case '#':
        return read_comment(scan);
    case '"':
        return read_string(scan);
    case '(':
    case ')':
        read_paren(scan);
        return 0;
    case ',':
        read_comma(scan);
        return 0;
    case '^':
        scan->at++;
        return read_name(scan);
    case '@':
    case '$':
        read_variable(scan);
        return 0;
    case '/':
    case '&':
        read_id(scan);
        return 0;
    default:
        if (is_letter(c) || c == '_')
            return read_word(scan);
        if (is_space(c))
            scan->at++;
        else
            read_sign(scan);
        return 0;
    }
}

static int check(const char *text, size_t len, bool none, struct error *err)
{
    struct scan scan = {
        .text = text, .len = len, .line = 1, .sure = true, .none = none, .err = err};

    if (memchr(text, '\0', len))
        return forbid(&scan, "the policy holds a NUL byte: remove it");
    while (scan.at < scan.len) {
        int r = read_token(&scan);
        if (r < 0)
            return r;
    }
    return 0;
}

int policy_includes_check(const char *text, size_t len, struct error *err)
{
    return check(text, len, false, err);
}

int policy_includes_none(const char *text, size_t len, struct error *err)
{
    return check(text, len, true, err);
}
