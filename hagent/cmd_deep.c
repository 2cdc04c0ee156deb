/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent deep-check: the process of the deep check, which `hagent run` starts with a socket as
 * standard input. It keeps the right to open raw sockets and nothing else, and dies with the agent.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/deep_run.h"
#include "hagent/hagent.h"

static bool
is_channel(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

static int
keep_raw_only(void)
{
	static const cap_value_t raw[] = {CAP_NET_RAW};
	cap_t state = cap_init();
	int rc = state != NULL && cap_set_flag(state, CAP_PERMITTED, 1, raw, CAP_SET) == 0 &&
			 cap_set_flag(state, CAP_EFFECTIVE, 1, raw, CAP_SET) == 0 &&
			 cap_set_proc(state) == 0
		     ? 0
		     : -1;

	cap_free(state);
	return rc;
}

static int
become(const char *user)
{
	const struct passwd *p = getpwnam(user);

	if (p == NULL)
		return hagent_fail("no user %s", user), -1;
	if (prctl(PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L) < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(p->pw_gid, p->pw_gid, p->pw_gid) < 0 ||
	    setresuid(p->pw_uid, p->pw_uid, p->pw_uid) < 0 || keep_raw_only() < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0 ||
	    prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L) < 0)
		return hagent_fail("becoming %s: %s", user, strerror(errno)), -1;
	return 0;
}

int
cmd_deep(const struct hagent *h, int argc, char **argv)
{
	const char *user = HAGENT_USER;
	char name[64];

	if (argc == 3 && strcmp(argv[1], "--user") == 0)
		user = argv[2];
	else if (argc != 1)
		return HAGENT_USAGE;
	if (!is_channel(STDIN_FILENO))
		return hagent_fail("deep-check: the agent starts it, nobody else can");
	snprintf(name, sizeof(name), "hagent-deep[%s]", h->node);
	log_init(name, -1, false);
	if (become(user) < 0)
		return HAGENT_FAIL;
	signal(SIGPIPE, SIG_IGN);
	return deep_run(STDIN_FILENO) == 0 ? HAGENT_OK : HAGENT_FAIL;
}
