// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "cli/commands.h"

static const char bash[] =
    "# bash completion for kubectl-apparmor; for \"kubectl apparmor\", kubectl's own completion\n"
    "# finds the program kubectl_complete-apparmor, which is installed beside it.\n"
    "_kubectl_apparmor() {\n"
    "    local line files=\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r line; do\n"
    "        case $line in\n"
    "        :0) files=1 ;;\n"
    "        :*) ;;\n"
    "        *) COMPREPLY+=(\"${line%%$'\\t'*}\") ;;\n"
    "        esac\n"
    "    done < <(kubectl-apparmor __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "    [ -z \"$files\" ] || compopt -o default 2>/dev/null || true\n"
    "}\n"
    "complete -F _kubectl_apparmor kubectl-apparmor\n";

static const char zsh[] =
    "#compdef kubectl-apparmor\n"
    "# zsh completion for kubectl-apparmor; for \"kubectl apparmor\", kubectl's own completion\n"
    "# finds the program kubectl_complete-apparmor, which is installed beside it.\n"
    "_kubectl_apparmor() {\n"
    "    local line files=\n"
    "    local -a found\n"
    "    while IFS= read -r line; do\n"
    "        case $line in\n"
    "        :0) files=1 ;;\n"
    "        :*) ;;\n"
    "        *) found+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
    "        esac\n"
    "    done < <(kubectl-apparmor __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
    "    _describe -t values value found\n"
    "    [ -z \"$files\" ] || _files\n"
    "}\n"
    "compdef _kubectl_apparmor kubectl-apparmor\n";

static const char fish[] =
    "# fish completion for kubectl-apparmor; for \"kubectl apparmor\", kubectl's own completion\n"
    "# finds the program kubectl_complete-apparmor, which is installed beside it.\n"
    "function __kubectl_apparmor\n"
    "    set -l words (commandline -opc) (commandline -ct)\n"
    "    set -l found (kubectl-apparmor __complete $words[2..-1] 2>/dev/null)\n"
    "    string match -v -- ':*' $found\n"
    "    contains -- ':0' $found; and __fish_complete_path (commandline -ct)\n"
    "end\n"
    "complete -c kubectl-apparmor -f -a '(__kubectl_apparmor)'\n";

static int run(struct cli *cli, struct error *err)
{
    static const struct {
        const char *shell, *script;
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    const char *shell = cli->operands.items[0];

    for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
        if (strcmp(shells[i].shell, shell) == 0) {
            fputs(shells[i].script, cli->out);
            return CLI_OK;
        }
    }
    error_set(err, -EINVAL, "there is no completion for \"%s\": bash, zsh or fish", shell);
    return CLI_FAILED;
}

const struct command command_completion = {
    .name = "completion",
    .usage = "bash | zsh | fish",
    .summary = "Prints the shell's completion: source <(kubectl apparmor completion bash).",
    .details = "It completes the program's own name, kubectl-apparmor. \"kubectl apparmor\" is "
               "completed by kubectl's\ncompletion, with kubectl_complete-apparmor in the PATH.",
    .least = 1,
    .most = 1,
    .what = "shell",
    .run = run,
};
