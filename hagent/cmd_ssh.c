/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent ssh: the remote shell that rsync is given. Takes what rsync passes, `[-l USER] NODE
 * WORDS`, runs the words on the peer over the first path that answers, joins the three streams and
 * passes the exit status on. 255, as usual with remote shells, means that we failed, not the
 * command.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hagent/dial.h"

#define EXEC_TIMEOUT_MS 5000
#define IDLE_MS         30000
#define COMMAND_MAX     1024
#define FAILED          255

/* The words as one command line. -1 if it is too long. */
static int
join(char *command, size_t size, int argc, char **argv)
{
	size_t at = 0;

	for (int i = 0; i < argc; i++) {
		int n = snprintf(command + at, size - at, "%s%s", i ? " " : "", argv[i]);

		at += (size_t)n;
		if (at >= size)
			return -1;
	}
	return 0;
}

static int
run(const struct dial *d, const char *command)
{
	struct ssh_error e;
	struct ssh *s = dial_connect(d, &e);
	struct ssh_channel *c = s ? ssh_exec(s, command, EXEC_TIMEOUT_MS, &e) : NULL;
	int status = c ? ssh_pump(c, 0, 1, 2, IDLE_MS, &e) : -1;

	if (status < 0) {
		hagent_fail("%s: %s", dial_code(&e), e.text);
		status = FAILED;
	}
	ssh_channel_free(c);
	ssh_free(s);
	return status;
}

int
cmd_ssh(const struct hagent *h, int argc, char **argv)
{
	const char *user = NULL;
	char command[COMMAND_MAX];
	struct dial d;
	struct ssh_error e;
	int at = 1, status = FAILED;

	if (argc > 3 && strcmp(argv[1], "-l") == 0) {
		user = argv[2];
		at = 3;
	}
	if (argc < at + 2 || argv[at][0] == '-')
		return HAGENT_USAGE;
	if (join(command, sizeof(command), argc - at - 1, argv + at + 1) < 0)
		return hagent_usage("the command is too long");
	signal(SIGPIPE, SIG_IGN);
	if (dial_init(&d, h, user, &e) < 0)
		hagent_fail("%s", e.text);
	else if (strcmp(argv[at], d.them->name) != 0)
		hagent_fail("got \"%s\", want %s: there is no other peer", argv[at], d.them->name);
	else
		status = run(&d, command);
	dial_fini(&d);
	return status;
}
