// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "../channel/frame.h"

#include <stdbool.h>
#include <sys/types.h>

/* A command that runs for a session: its process and its ends of the standard streams. */
struct command {
    pid_t pid; /* leader of a session and process group of its own */
    int pidfd;
    int input;  /* -1 when closed; with a terminal the same file as output */
    int output; /* -1 at the end */
    int error_output;
};

/*
 * Starts the program of argv (a NULL-terminated vector, PATH is searched). A program that cannot be
 * executed reports so on its standard error and exits 126 or 127, as in a shell.
 * All descriptors of *ret_command are non-blocking. Returns 0 or a negative errno.
 */
int command_start(char **argv, const struct frame_open *open, struct command *ret_command);

/* Collects the exit status, 128 + signal for a killed command. -EAGAIN while it runs. */
int command_collect(const struct command *command, int *ret_status);

void command_set_window(const struct command *command, const struct frame_window *window);

/* Sends a signal to the process group; SIGKILL goes to every process of the session. */
void command_signal(const struct command *command, int signal_number);

void command_close_input(struct command *command);

/* Closes all descriptors; the process is left alone. */
void command_done(struct command *command);
