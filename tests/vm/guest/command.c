// SPDX-License-Identifier: Apache-2.0
#include "command.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child's ends of the standard streams. */
struct child_streams {
    int input;
    int output;
    int error_output;
};

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void streams_done(struct child_streams *streams)
{
    if (streams->error_output == streams->output) {
        streams->error_output = -1;
    }
    if (streams->output == streams->input) {
        streams->output = -1;
    }
    close_fd(&streams->input);
    close_fd(&streams->output);
    close_fd(&streams->error_output);
}

void command_close_input(struct command *command)
{
    if (command->input != command->output) {
        close_fd(&command->input);
    }
    command->input = -1;
}

void command_done(struct command *command)
{
    command_close_input(command);
    close_fd(&command->output);
    close_fd(&command->error_output);
    close_fd(&command->pidfd);
}

static int set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return -errno;
    }
    return 0;
}

/* A pipe of which the server's end does not block, and the child's end does. */
static int stream_pipe(int *ret_read, int *ret_write, bool server_reads)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -errno;
    }
    *ret_read = ends[0];
    *ret_write = ends[1];
    return set_nonblocking(server_reads ? ends[0] : ends[1]);
}

static int open_pipes(bool with_input, struct command *command, struct child_streams *streams)
{
    int result = 0;
    if (with_input) {
        result = stream_pipe(&streams->input, &command->input, false);
    } else {
        streams->input = open("/dev/null", O_RDONLY | O_CLOEXEC);
        result = streams->input < 0 ? -errno : 0;
    }
    if (result == 0) {
        result = stream_pipe(&command->output, &streams->output, true);
    }
    if (result == 0) {
        result = stream_pipe(&command->error_output, &streams->error_output, true);
    }
    return result;
}

static int open_terminal(const struct frame_window *window, struct command *command,
                         struct child_streams *streams)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (master < 0) {
        return -errno;
    }
    command->input = master;
    command->output = master;
    command_set_window(command, window);

    char path[64];
    if (grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, path, sizeof(path)) != 0) {
        return -errno;
    }
    int slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) {
        return -errno;
    }
    *streams = (struct child_streams){slave, slave, slave};
    return 0;
}

static void child_reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

_Noreturn static void child_run(char **argv, const struct child_streams *streams, bool terminal)
{
    child_reset_signals();
    setsid();
    if (terminal) {
        ioctl(streams->input, TIOCSCTTY, 0);
    }
    if (dup2(streams->input, STDIN_FILENO) < 0 || dup2(streams->output, STDOUT_FILENO) < 0 ||
        dup2(streams->error_output, STDERR_FILENO) < 0 || chdir("/") < 0) {
        _exit(126);
    }
    execvp(argv[0], argv);
    int code = errno;
    fprintf(stderr, "%s: %s\n", argv[0], strerror(code));
    fflush(stderr);
    _exit(code == ENOENT ? 127 : 126);
}

static int start_child(char **argv, bool terminal, const struct child_streams *streams,
                       struct command *command)
{
    command->pid = fork();
    if (command->pid < 0) {
        return -errno;
    }
    if (command->pid == 0) {
        child_run(argv, streams, terminal);
    }
    command->pidfd = (int) syscall(SYS_pidfd_open, command->pid, 0);
    return command->pidfd < 0 ? -errno : 0;
}

int command_start(char **argv, const struct frame_open *open_request, struct command *ret_command)
{
    struct command command = {
        .pid = -1, .pidfd = -1, .input = -1, .output = -1, .error_output = -1};
    struct child_streams streams = {-1, -1, -1};

    int result = open_request->terminal ? open_terminal(&open_request->window, &command, &streams)
                                        : open_pipes(open_request->input, &command, &streams);
    if (result == 0) {
        result = start_child(argv, open_request->terminal, &streams, &command);
    }
    streams_done(&streams);
    if (result < 0) {
        command_done(&command);
        return result;
    }
    *ret_command = command;
    return 0;
}

int command_collect(const struct command *command, int *ret_status)
{
    int status;
    pid_t pid = waitpid(command->pid, &status, WNOHANG);
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        return -EAGAIN;
    }
    *ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return 0;
}

void command_set_window(const struct command *command, const struct frame_window *window)
{
    struct winsize size = {
        .ws_row = (unsigned short) frame_get_u16(window->rows),
        .ws_col = (unsigned short) frame_get_u16(window->columns),
    };
    if (command->output >= 0 && size.ws_row > 0) {
        ioctl(command->output, TIOCSWINSZ, &size);
    }
}

/* Reads state and session of a process from /proc/PID/stat; false when it is gone. */
static bool read_session(const char *pid, char *ret_state, pid_t *ret_session)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t size = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (size <= 0) {
        return false;
    }
    text[size] = '\0';
    /* The program's name is in parentheses and may hold anything, parentheses too. */
    const char *rest = strrchr(text, ')');
    return rest != NULL && sscanf(rest + 1, " %c %*d %*d %d", ret_state, ret_session) == 2;
}

/* Kills what runs in the session and returns how many processes that were. */
static int kill_session_once(pid_t session)
{
    int killed = 0;
    DIR *proc = opendir("/proc");
    if (proc == NULL) {
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        char state;
        pid_t found;
        if (isdigit((unsigned char) entry->d_name[0]) &&
            read_session(entry->d_name, &state, &found) && found == session && state != 'Z') {
            killed += kill((pid_t) strtol(entry->d_name, NULL, 10), SIGKILL) == 0;
        }
    }
    closedir(proc);
    return killed;
}

void command_signal(const struct command *command, int signal_number)
{
    if (signal_number != SIGKILL) {
        kill(-command->pid, signal_number);
        return;
    }
    /* A process may have forked between its place in the listing and its death; one in an
     * uninterruptible call stays, so the passes are bounded. */
    kill(-command->pid, SIGKILL);
    for (int pass = 0; pass < 5 && kill_session_once(command->pid) > 0; pass++) {
    }
}
