// SPDX-License-Identifier: Apache-2.0
// Runs a command in a test guest over a free exec channel and exits with its status.
#include "../channel/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
    STATUS_LOST = 255,    /* the channel failed: nothing is known of the command */
    STATUS_TIMEOUT = 124, /* as of timeout(1) */
    CONNECT_MS = 60 * 1000,
    BUSY_RETRY_MS = 50,
    /* From SIGTERM to SIGKILL, and from that to giving up on the answer. */
    KILL_GRACE_MS = 2000,
};

/* What happens when the deadline passes. */
enum stage { STAGE_CONNECTING, STAGE_RUNNING, STAGE_TERMINATING, STAGE_KILLING };

struct client {
    const char *directory;
    bool with_input;
    bool terminal;
    long long timeout_ms; /* 0: none */
    long long connect_ms;

    int socket;
    int signals;
    uint64_t session;
    enum stage stage;
    long long deadline; /* 0: none */
    bool signalled;
    bool input_open;
    size_t window; /* input that may be sent before more credit comes */
    struct frame_reader reader;
    uint8_t received[32 * 1024];
    const uint8_t *received_next, *received_end;
    struct frame output; /* being written to output_fd */
    int output_fd;
};

static struct termios terminal_before;
static bool terminal_changed;

static void terminal_restore(void)
{
    if (terminal_changed) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_before);
        terminal_changed = false;
    }
}

_Noreturn static void finish(int status)
{
    terminal_restore();
    exit(status);
}

__attribute__((format(printf, 1, 2))) _Noreturn static void fail(const char *format, ...)
{
    terminal_restore();
    va_list arguments;
    va_start(arguments, format);
    fputs("vm exec: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(STATUS_LOST);
}

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* The channel. */

/* The lock is held for as long as this process lives: QEMU's sockets take one client at a time. */
static bool lock_channel(int number)
{
    char name[32];
    snprintf(name, sizeof(name), "exec.%d.lock", number);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail("%s: %s", name, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        return true;
    }
    close(fd);
    return false;
}

static int connect_channel(int number)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "exec.%d", number);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
        fail("%s: %s: is the VM running? See its log", address.sun_path, strerror(errno));
    }
    return fd;
}

/* Connects to the first channel that nobody uses; -1 when all are busy. */
static int connect_free_channel(void)
{
    char name[32] = "exec.0";
    if (access(name, F_OK) < 0) {
        fail("the VM is not running: start it with: vm up NAME");
    }
    for (int number = 0; access(name, F_OK) == 0; number++) {
        if (lock_channel(number)) {
            return connect_channel(number);
        }
        snprintf(name, sizeof(name), "exec.%d", number + 1);
    }
    return -1;
}

static void client_connect(struct client *client)
{
    /* Relative names: a socket's path has at most 108 bytes, a checkout's may have more. */
    if (chdir(client->directory) < 0) {
        fail("%s: %s", client->directory, strerror(errno));
    }
    client->deadline = now_ms() + client->connect_ms;
    while ((client->socket = connect_free_channel()) < 0) {
        if (now_ms() >= client->deadline) {
            fail("every channel of the VM is busy: end a command, or start the VM with more "
                 "--channels");
        }
        poll(NULL, 0, BUSY_RETRY_MS);
    }
}

static void client_send(struct client *client, enum frame_type type, const void *data, size_t size)
{
    uint8_t wire[FRAME_WIRE_MAX];
    size_t left = frame_write(wire, type, client->session, data, size);
    for (const uint8_t *next = wire; left > 0;) {
        ssize_t sent = send(client->socket, next, left, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            fail("the VM is gone (%s)", strerror(errno));
        }
        next += sent > 0 ? sent : 0;
        left -= sent > 0 ? (size_t) sent : 0;
    }
}

static struct frame_window window_now(void)
{
    struct winsize size = {0};
    struct frame_window window;
    ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
    frame_put_u16(window.rows, size.ws_row);
    frame_put_u16(window.columns, size.ws_col);
    return window;
}

static void send_arguments(struct client *client, char **argv)
{
    size_t total = 0;
    for (; *argv != NULL; argv++) {
        size_t left = strlen(*argv) + 1;
        total += left;
        if (total > FRAME_ARGUMENTS_MAX) {
            fail("the arguments are longer than %d bytes: send them as input", FRAME_ARGUMENTS_MAX);
        }
        for (const char *next = *argv; left > 0;) {
            size_t size = left < FRAME_PAYLOAD_MAX ? left : FRAME_PAYLOAD_MAX;
            client_send(client, FRAME_ARGUMENTS, next, size);
            next += size;
            left -= size;
        }
    }
}

static void client_start(struct client *client, char **argv)
{
    if (getrandom(&client->session, sizeof(client->session), 0) != sizeof(client->session)) {
        fail("no random session number: %s", strerror(errno));
    }
    struct frame_open open_request = {
        .terminal = client->terminal,
        .input = client->with_input,
        .window = window_now(),
    };
    client_send(client, FRAME_OPEN, &open_request, sizeof(open_request));
    send_arguments(client, argv);
    client_send(client, FRAME_START, NULL, 0);
}

/* Events. */

static void send_signal(struct client *client, int number)
{
    uint8_t byte = (uint8_t) number;
    client_send(client, FRAME_SIGNAL, &byte, 1);
}

/* The first signal is the command's to handle; the second ends this client, and so the command. */
static void client_signal(struct client *client)
{
    struct signalfd_siginfo info;
    if (read(client->signals, &info, sizeof(info)) != sizeof(info)) {
        return;
    }
    int number = (int) info.ssi_signo;
    if (number == SIGWINCH) {
        struct frame_window window = window_now();
        client_send(client, FRAME_WINDOW, &window, sizeof(window));
        return;
    }
    if (client->signalled || client->stage == STAGE_CONNECTING) {
        finish(128 + number);
    }
    client->signalled = true;
    send_signal(client, number);
}

static void client_deadline(struct client *client)
{
    client->deadline = now_ms() + KILL_GRACE_MS;
    switch (client->stage) {
    case STAGE_CONNECTING:
        fail("the guest did not answer within %lld s: see its log", client->connect_ms / 1000);
    case STAGE_RUNNING:
        fprintf(stderr, "vm exec: timeout after %lld s\n", client->timeout_ms / 1000);
        client->stage = STAGE_TERMINATING;
        send_signal(client, SIGTERM);
        break;
    case STAGE_TERMINATING:
        client->stage = STAGE_KILLING;
        send_signal(client, SIGKILL);
        break;
    case STAGE_KILLING:
        finish(STATUS_TIMEOUT);
    }
}

static void client_started(struct client *client)
{
    client->stage = STAGE_RUNNING;
    client->deadline = client->timeout_ms > 0 ? now_ms() + client->timeout_ms : 0;
    client->input_open = client->with_input;
    client->window = FRAME_INPUT_WINDOW;
}

static void client_exited(const struct client *client, const struct frame *frame)
{
    bool timed_out = client->stage == STAGE_TERMINATING || client->stage == STAGE_KILLING;
    finish(timed_out ? STATUS_TIMEOUT : frame->data[0]);
}

static void client_frame(struct client *client, const struct frame *frame)
{
    if (frame->type == FRAME_BOOT && client->stage != STAGE_CONNECTING) {
        fail("the guest has restarted");
    }
    if (frame->session != client->session) {
        return; /* left over from an earlier client */
    }
    switch (frame->type) {
    case FRAME_STARTED:
        client_started(client);
        break;
    case FRAME_OUTPUT:
    case FRAME_ERROR_OUTPUT:
        client->output = *frame;
        client->output_fd = frame->type == FRAME_OUTPUT ? STDOUT_FILENO : STDERR_FILENO;
        break;
    case FRAME_CREDIT:
        client->window += frame->size == 4 ? frame_get_u32(frame->data) : 0;
        break;
    case FRAME_EXIT:
        if (frame->size == 1) {
            client_exited(client, frame);
        }
        break;
    case FRAME_REFUSED:
        fail("refused by the guest: %.*s", (int) frame->size, (const char *) frame->data);
    default:
        break;
    }
}

/* Handles received frames up to one that must be written out first. */
static void client_frames(struct client *client)
{
    struct frame frame;
    while (client->output.size == 0 && frame_reader_next(&client->reader, &client->received_next,
                                                         client->received_end, &frame)) {
        client_frame(client, &frame);
    }
}

static void client_receive(struct client *client)
{
    ssize_t size = recv(client->socket, client->received, sizeof(client->received), 0);
    if (size <= 0) {
        fail("the VM is gone: see its log");
    }
    client->received_next = client->received;
    client->received_end = client->received + size;
}

/* A piece that a writable pipe takes without blocking, so that signals and deadlines work while the
 * reader dawdles. The descriptor's own flags are shared with others and stay as they are. */
static void client_write_output(struct client *client)
{
    enum { PIECE = 4096 };
    size_t want = client->output.size < PIECE ? client->output.size : PIECE;
    ssize_t size = write(client->output_fd, client->output.data, want);
    if (size < 0 && errno != EINTR && errno != EAGAIN) {
        finish(128 + SIGPIPE);
    }
    client->output.data += size > 0 ? size : 0;
    client->output.size -= size > 0 ? (size_t) size : 0;
}

static void client_send_input(struct client *client)
{
    uint8_t buffer[FRAME_PAYLOAD_MAX];
    size_t want = client->window < sizeof(buffer) ? client->window : sizeof(buffer);
    ssize_t size = read(STDIN_FILENO, buffer, want);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (size <= 0) {
        client->input_open = false;
        client_send(client, FRAME_INPUT_END, NULL, 0);
        return;
    }
    client->window -= (size_t) size;
    client_send(client, FRAME_INPUT, buffer, (size_t) size);
}

static int client_poll_timeout(const struct client *client)
{
    if (client->deadline == 0) {
        return -1;
    }
    long long left = client->deadline - now_ms();
    return left <= 0 ? 0 : (int) (left < 60000 ? left : 60000);
}

_Noreturn static void client_run(struct client *client)
{
    for (;;) {
        client_frames(client);
        bool writing = client->output.size > 0;
        bool reading_input = client->input_open && client->window > 0;
        struct pollfd events[] = {
            {.fd = client->signals, .events = POLLIN},
            {.fd = writing ? -1 : client->socket, .events = POLLIN},
            {.fd = writing ? client->output_fd : -1, .events = POLLOUT},
            {.fd = reading_input ? STDIN_FILENO : -1, .events = POLLIN},
        };
        int timeout = client_poll_timeout(client);
        if (poll(events, sizeof(events) / sizeof(events[0]), timeout) < 0 && errno != EINTR) {
            fail("poll: %s", strerror(errno));
        }
        if (timeout >= 0 && now_ms() >= client->deadline) {
            client_deadline(client);
        }
        if (events[0].revents) {
            client_signal(client);
        }
        if (events[1].revents) {
            client_receive(client);
        }
        if (events[2].revents) {
            client_write_output(client);
        }
        if (events[3].revents) {
            client_send_input(client);
        }
    }
}

/* Set-up. */

static void open_signals(struct client *client)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
    sigset_t signals;
    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction before;
        sigaction(numbers[i], NULL, &before);
        /* A signal that the caller has ignored, as nohup and a script's & do, stays ignored. */
        if (before.sa_handler != SIG_IGN) {
            sigaddset(&signals, numbers[i]);
        }
    }
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    client->signals = signalfd(-1, &signals, SFD_CLOEXEC);
    if (client->signals < 0) {
        fail("signalfd: %s", strerror(errno));
    }
}

static void terminal_set_raw(void)
{
    if (tcgetattr(STDIN_FILENO, &terminal_before) < 0) {
        fail("terminal: %s", strerror(errno));
    }
    struct termios raw = terminal_before;
    cfmakeraw(&raw);
    terminal_changed = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

_Noreturn static void usage(void)
{
    fputs(
        "usage: vm-client [-i] [-t] [--timeout S] [--connect-timeout S] DIR -- COMMAND [ARG]...\n",
        stderr);
    exit(STATUS_LOST);
}

static long long parse_seconds(const char *text)
{
    char *end;
    errno = 0;
    double seconds = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(seconds > 0 && seconds < 1e6)) {
        fail("'%s' is not a number of seconds", text);
    }
    return (long long) (seconds * 1000) + 1;
}

static void parse_options(struct client *client, int argc, char **argv)
{
    static const struct option options[] = {
        {"timeout", required_argument, NULL, 'T'},
        {"connect-timeout", required_argument, NULL, 'C'},
        {0},
    };
    for (int option; (option = getopt_long(argc, argv, "+it", options, NULL)) != -1;) {
        switch (option) {
        case 'i':
            client->with_input = true;
            break;
        case 't':
            client->terminal = true;
            client->with_input = true;
            break;
        case 'T':
            client->timeout_ms = parse_seconds(optarg);
            break;
        case 'C':
            client->connect_ms = parse_seconds(optarg);
            break;
        default:
            usage();
        }
    }
}

int main(int argc, char **argv)
{
    static struct client client = {.connect_ms = CONNECT_MS};
    parse_options(&client, argc, argv);
    if (argc - optind < 3 || strcmp(argv[optind + 1], "--") != 0) {
        usage();
    }
    client.directory = argv[optind];
    if (client.terminal && !isatty(STDIN_FILENO)) {
        fail("standard input is not a terminal");
    }
    open_signals(&client);
    client_connect(&client);
    client_start(&client, argv + optind + 2);
    if (client.terminal) {
        terminal_set_raw();
    }
    client_run(&client);
}
