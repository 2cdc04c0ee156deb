/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * --commands: one command a line on stdin, one line of JSON on stdout for each, when it is done;
 * the report is one line too, and the last. A line that says {"event":"ready"} comes when all
 * sessions have settled. The end of stdin ends the run. RANGE is `all`, a session's number, or
 * FIRST-LAST.
 *
 *   mark NAME              a window begins: figures count from here
 *   window                 it ends; its figures follow when late answers have had their time
 *   echo RANGE [SECONDS]   Echo-Request on the connections of these sessions; who was answered
 *   sli RANGE              Set-Link-Info; an `echo` after it shows that the connection lives
 *   clear RANGE [SECONDS]  Call-Clear-Request; who got a Call-Disconnect-Notify
 *   status                 how many sessions are up
 *   quit                   close the links, report, end
 */
#ifndef CLIENT_COMMANDS_H
#define CLIENT_COMMANDS_H

#include <stdbool.h>

#include "tests/client/client.h"

#define COMMAND_NAME_MAX 32

enum command_kind {
	COMMAND_MARK,
	COMMAND_WINDOW,
	COMMAND_ECHO,
	COMMAND_SLI,
	COMMAND_CLEAR,
	COMMAND_STATUS,
	COMMAND_QUIT,
	COMMAND_MAX
};

struct command {
	enum command_kind kind;
	char name[COMMAND_NAME_MAX];
	unsigned first, last; /* sessions, both included */
	unsigned seconds;
};

/* A line without its end. False if it is no command, or names a session that is not there. Pure. */
bool command_parse(const char *line, unsigned n_sessions, struct command *out);
const char *command_name(enum command_kind kind);

struct commands;

struct commands *commands_new(struct client *c); /* NULL with errno */
void commands_free(struct commands *m);          /* NULL is fine */
void commands_ready(struct commands *m);         /* all sessions have settled; NULL is fine */

#endif
