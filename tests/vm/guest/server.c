// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include "../channel/frame.h"
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    /* How long the host side must be seen closed before the client counts as gone. The state comes
     * through another queue than the data: a new client's first frames may be read while the
     * departure of its predecessor is still being told. */
    HANGUP_CONFIRM_MS = 300,
    READ_SIZE = 16 * 1024,
};

enum session_state { SESSION_NONE, SESSION_OPEN, SESSION_RUNNING, SESSION_EXITED };

struct session {
    enum session_state state;
    uint64_t id;
    struct frame_open open;
    char *arguments;
    size_t arguments_size;
    struct command command;
    int exit_status;
    /* Bytes that the streams held when the command exited: what is written later, by processes that
     * it left behind, is nobody's. */
    size_t output_left, error_output_left;
    uint8_t input[FRAME_INPUT_WINDOW];
    size_t input_size;
    bool input_ended;
    uint32_t credit;
};

struct server {
    int port;
    /* The port by edges: polled by level, a closed host side would be an event without end. */
    int port_events;
    long long hangup_since; /* 0: connected as far as is known */
    struct frame_reader reader;
    uint8_t wire[FRAME_WIRE_MAX];
    size_t wire_start, wire_end;
    bool error_output_first; /* so that neither stream starves the other */
    struct session session;
};

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Output towards the host. */

static bool wire_busy(const struct server *server)
{
    return server->wire_start < server->wire_end;
}

static void wire_flush(struct server *server)
{
    while (wire_busy(server)) {
        ssize_t size = write(server->port, server->wire + server->wire_start,
                             server->wire_end - server->wire_start);
        if (size <= 0) {
            return;
        }
        server->wire_start += (size_t) size;
    }
}

/* Only while the wire is free. */
static void wire_put(struct server *server, enum frame_type type, const void *data, size_t size)
{
    server->wire_start = 0;
    server->wire_end = frame_write(server->wire, type, server->session.id, data, size);
    wire_flush(server);
}

/* An answer that cannot wait for the wire: what an ended session had left on it is dropped. */
static void wire_replace(struct server *server, enum frame_type type, const void *data, size_t size)
{
    server->wire_end = 0;
    server->wire_start = 0;
    wire_put(server, type, data, size);
}

/* Sessions. */

static void session_clear(struct session *session)
{
    free(session->arguments);
    session->arguments = NULL;
    session->arguments_size = 0;
    session->input_size = 0;
    session->input_ended = false;
    session->credit = 0;
    session->output_left = 0;
    session->error_output_left = 0;
    session->state = SESSION_NONE;
}

/* The client is gone: so is its command. Its exit is collected when the next one starts, as a
 * process in an uninterruptible call must not hold up the channel. */
static void session_abandon(struct server *server)
{
    struct session *session = &server->session;
    if (session->state == SESSION_RUNNING) {
        command_signal(&session->command, SIGKILL);
    }
    if (session->state == SESSION_RUNNING || session->state == SESSION_EXITED) {
        command_done(&session->command);
    }
    session_clear(session);
    server->wire_start = server->wire_end = 0;
}

static void session_refuse(struct server *server, const char *text)
{
    wire_replace(server, FRAME_REFUSED, text, strlen(text));
    session_clear(&server->session);
}

static void session_open(struct server *server, const struct frame *frame)
{
    session_abandon(server);
    struct session *session = &server->session;
    session->id = frame->session;
    if (frame->size != sizeof(session->open)) {
        session_refuse(server, "the client speaks another version of the channel's protocol");
        return;
    }
    memcpy(&session->open, frame->data, sizeof(session->open));
    session->state = SESSION_OPEN;
}

static void session_add_arguments(struct server *server, const struct frame *frame)
{
    struct session *session = &server->session;
    if (session->arguments_size + frame->size > FRAME_ARGUMENTS_MAX) {
        session_refuse(server, "the arguments are too long");
        return;
    }
    char *grown = realloc(session->arguments, session->arguments_size + frame->size);
    if (grown == NULL) {
        session_refuse(server, "the guest is out of memory");
        return;
    }
    session->arguments = grown;
    memcpy(grown + session->arguments_size, frame->data, frame->size);
    session->arguments_size += frame->size;
}

/* Splits the NUL-terminated arguments; NULL when there is none, or the last is not terminated. */
static char **split_arguments(char *text, size_t size)
{
    if (size == 0 || text[size - 1] != '\0') {
        return NULL;
    }
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += text[i] == '\0';
    }
    char **argv = calloc(count + 1, sizeof(*argv));
    for (size_t i = 0, start = 0; argv != NULL && i < count; i++) {
        argv[i] = text + start;
        start += strlen(argv[i]) + 1;
    }
    return argv;
}

static void session_start(struct server *server)
{
    struct session *session = &server->session;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    char **argv = split_arguments(session->arguments, session->arguments_size);
    if (argv == NULL) {
        session_refuse(server, "no command");
        return;
    }
    int result = command_start(argv, &session->open, &session->command);
    free(argv);
    if (result < 0) {
        session_refuse(server, strerror(-result));
        return;
    }
    session->state = SESSION_RUNNING;
    wire_replace(server, FRAME_STARTED, NULL, 0);
}

/* Passes on input as far as the command takes it. */
static void session_feed(struct session *session)
{
    size_t taken = 0;
    while (taken < session->input_size && session->command.input >= 0) {
        ssize_t size =
            write(session->command.input, session->input + taken, session->input_size - taken);
        if (size < 0 && errno == EAGAIN) {
            break;
        }
        if (size < 0) {
            command_close_input(&session->command);
            break;
        }
        taken += (size_t) size;
    }
    if (session->command.input < 0) {
        taken = session->input_size;
    }
    memmove(session->input, session->input + taken, session->input_size - taken);
    session->input_size -= taken;
    session->credit += (uint32_t) taken;
    if (session->input_ended && session->input_size == 0) {
        command_close_input(&session->command);
    }
}

static void session_take_input(struct server *server, const struct frame *frame)
{
    struct session *session = &server->session;
    if (frame->size > sizeof(session->input) - session->input_size) {
        command_signal(&session->command, SIGKILL);
        return; /* the client ignores its credit */
    }
    memcpy(session->input + session->input_size, frame->data, frame->size);
    session->input_size += frame->size;
    session_feed(session);
}

static void session_end_input(struct session *session)
{
    static const uint8_t end_of_transmission = 4;
    if (session->open.terminal && session->input_size < sizeof(session->input)) {
        session->input[session->input_size++] = end_of_transmission;
    } else {
        session->input_ended = true;
    }
    session_feed(session);
}

static void session_running_frame(struct server *server, const struct frame *frame)
{
    struct session *session = &server->session;
    switch (frame->type) {
    case FRAME_INPUT:
        session_take_input(server, frame);
        break;
    case FRAME_INPUT_END:
        session_end_input(session);
        break;
    case FRAME_SIGNAL:
        if (frame->size == 1) {
            command_signal(&session->command, frame->data[0]);
        }
        break;
    case FRAME_WINDOW:
        if (frame->size == sizeof(struct frame_window)) {
            command_set_window(&session->command, (const struct frame_window *) frame->data);
        }
        break;
    default:
        break;
    }
}

static void server_frame(struct server *server, const struct frame *frame)
{
    struct session *session = &server->session;
    if (frame->type == FRAME_OPEN) {
        session_open(server, frame);
    } else if (frame->session != session->id) {
        return; /* of an earlier client */
    } else if (session->state == SESSION_OPEN && frame->type == FRAME_ARGUMENTS) {
        session_add_arguments(server, frame);
    } else if (session->state == SESSION_OPEN && frame->type == FRAME_START) {
        session_start(server);
    } else if (session->state == SESSION_RUNNING) {
        session_running_frame(server, frame);
    }
}

/* The port. */

static void server_read_port(struct server *server)
{
    uint8_t buffer[READ_SIZE];
    ssize_t size;
    while ((size = read(server->port, buffer, sizeof(buffer))) > 0) {
        const uint8_t *data = buffer;
        struct frame frame;
        while (frame_reader_next(&server->reader, &data, buffer + size, &frame)) {
            server_frame(server, &frame);
        }
    }
}

static bool port_is_hung_up(const struct server *server)
{
    struct pollfd state = {.fd = server->port, .events = POLLIN};
    return poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) != 0;
}

static void server_check_hangup(struct server *server)
{
    if (!port_is_hung_up(server)) {
        server->hangup_since = 0;
    } else if (server->session.state == SESSION_NONE) {
        server->hangup_since = 0; /* idle: nothing to end */
    } else if (server->hangup_since == 0) {
        server->hangup_since = now_ms();
    } else if (now_ms() - server->hangup_since >= HANGUP_CONFIRM_MS) {
        server->hangup_since = 0;
        session_abandon(server);
    }
}

static void server_port_event(struct server *server)
{
    struct epoll_event event;
    if (epoll_wait(server->port_events, &event, 1, 0) <= 0) {
        return;
    }
    server_read_port(server);
    if (event.events & EPOLLHUP) {
        server_check_hangup(server);
    } else {
        server->hangup_since = 0;
    }
    wire_flush(server);
}

/* The command's streams. */

/* Sends a piece of a stream and closes it at its end. Returns whether there was something. */
static bool pump_stream(struct server *server, int *fd, size_t *left, enum frame_type type)
{
    struct session *session = &server->session;
    uint8_t buffer[FRAME_PAYLOAD_MAX];
    bool exited = session->state == SESSION_EXITED && !session->open.terminal;
    size_t want = exited && *left < sizeof(buffer) ? *left : sizeof(buffer);
    ssize_t size = *fd < 0 || want == 0 ? 0 : read(*fd, buffer, want);
    if (size > 0) {
        *left -= exited ? (size_t) size : 0;
        wire_put(server, type, buffer, (size_t) size);
        return true;
    }
    if (*fd >= 0 && (size == 0 || errno != EAGAIN)) {
        if (*fd == session->command.input) {
            session->command.input = -1; /* a terminal is one file */
        }
        close(*fd);
        *fd = -1;
    }
    return false;
}

static bool pump_output(struct server *server)
{
    struct session *session = &server->session;
    return pump_stream(server, &session->command.output, &session->output_left, FRAME_OUTPUT);
}

static bool pump_error_output(struct server *server)
{
    struct session *session = &server->session;
    return pump_stream(server, &session->command.error_output, &session->error_output_left,
                       FRAME_ERROR_OUTPUT);
}

static bool pump_either(struct server *server)
{
    server->error_output_first = !server->error_output_first;
    if (server->error_output_first) {
        return pump_error_output(server) || pump_output(server);
    }
    return pump_output(server) || pump_error_output(server);
}

static void put_exit(struct server *server)
{
    uint8_t status = (uint8_t) server->session.exit_status;
    wire_put(server, FRAME_EXIT, &status, 1);
    command_done(&server->session.command);
    session_clear(&server->session);
}

static bool streams_ended(const struct session *session)
{
    return session->command.output < 0 && session->command.error_output < 0;
}

/* Sends all that can be sent. */
static void server_produce(struct server *server)
{
    struct session *session = &server->session;
    while (!wire_busy(server) && session->state >= SESSION_RUNNING) {
        if (session->credit > 0) {
            uint8_t credit[4];
            frame_put_u32(credit, session->credit);
            session->credit = 0;
            wire_put(server, FRAME_CREDIT, credit, sizeof(credit));
        } else if (!pump_either(server)) {
            if (session->state != SESSION_EXITED || !streams_ended(session)) {
                return;
            }
            put_exit(server);
        }
    }
}

static size_t bytes_in(int fd)
{
    int size = 0;
    return fd < 0 || ioctl(fd, FIONREAD, &size) < 0 || size < 0 ? 0 : (size_t) size;
}

static void server_command_exited(struct server *server)
{
    struct session *session = &server->session;
    if (command_collect(&session->command, &session->exit_status) == -EAGAIN) {
        return;
    }
    session->state = SESSION_EXITED;
    session->output_left = bytes_in(session->command.output);
    session->error_output_left = bytes_in(session->command.error_output);
}

/* The loop. */

static void server_wait(struct server *server)
{
    struct session *session = &server->session;
    bool running = session->state == SESSION_RUNNING;
    bool pumping = session->state >= SESSION_RUNNING && !wire_busy(server);
    struct pollfd events[] = {
        {.fd = server->port_events, .events = POLLIN},
        {.fd = running ? session->command.pidfd : -1, .events = POLLIN},
        {.fd = pumping ? session->command.output : -1, .events = POLLIN},
        {.fd = pumping ? session->command.error_output : -1, .events = POLLIN},
        {.fd = running && session->input_size > 0 ? session->command.input : -1, .events = POLLOUT},
    };
    int timeout = server->hangup_since == 0 ? -1 : HANGUP_CONFIRM_MS;
    if (poll(events, sizeof(events) / sizeof(events[0]), timeout) < 0) {
        return;
    }
    if (server->hangup_since != 0) {
        server_check_hangup(server);
    }
    if (events[0].revents) {
        server_port_event(server);
    }
    /* A frame may have ended the session that was polled for; its state tells. */
    if (session->state == SESSION_RUNNING && session->input_size > 0) {
        session_feed(session);
    }
    if (session->state == SESSION_RUNNING && events[1].revents) {
        server_command_exited(server);
    }
}

static int server_open_port(struct server *server, const char *path)
{
    server->port = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    server->port_events = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLET};
    if (server->port < 0 || server->port_events < 0 ||
        epoll_ctl(server->port_events, EPOLL_CTL_ADD, server->port, &event) < 0) {
        return -errno;
    }
    return 0;
}

int server_run(const char *port_path)
{
    struct server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return -ENOMEM;
    }
    signal(SIGPIPE, SIG_IGN);
    int result = server_open_port(server, port_path);
    if (result == 0) {
        wire_put(server, FRAME_BOOT, NULL, 0);
    }
    while (result == 0) {
        server_wait(server);
        server_produce(server);
    }
    free(server);
    return result;
}
