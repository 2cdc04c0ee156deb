/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Users and capabilities. The order in sandbox_become() matters: the bounding set needs
 * CAP_SETPCAP, which goes with the user id, and a change of credentials clears the parent-death
 * signal. That signal comes from the dying monitor, which may send it because it keeps CAP_KILL.
 */
#include "pptpd/priv/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "pptpd/priv/priv.h"

#define ARENAS_MAX 4

static const cap_value_t monitor_caps[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_KILL};
#define N_MONITOR_CAPS (int)(sizeof(monitor_caps) / sizeof(monitor_caps[0]))

/* Other bounding capabilities than the n to keep go. */
static int
cut_bounding_set(const cap_value_t *keep, int n)
{
	for (cap_value_t c = 0; cap_get_bound(c) >= 0; c++) {
		bool kept = false;

		for (int i = 0; i < n; i++)
			kept = kept || keep[i] == c;
		if (!kept && cap_get_bound(c) > 0 && cap_drop_bound(c) < 0)
			return -1;
	}
	return 0;
}

/* Permitted and effective become exactly these; inheritable and ambient become empty. */
static int
set_caps(const cap_value_t *caps, int n)
{
	cap_t state = cap_init();
	int rc = -1;

	if (state == NULL)
		return -1;
	if ((n == 0 || (cap_set_flag(state, CAP_PERMITTED, n, caps, CAP_SET) == 0 &&
			   cap_set_flag(state, CAP_EFFECTIVE, n, caps, CAP_SET) == 0)) &&
	    cap_set_proc(state) == 0)
		rc = 0;
	cap_free(state);
	return rc == 0 ? cap_reset_ambient() : -1;
}

static int
forbid_dumps(void)
{
#ifdef PHA_SANITIZE
	return 0; /* the leak checker attaches to its own process */
#else
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

int
sandbox_become(const char *user, uid_t uid, gid_t gid, pid_t parent)
{
	if (uid == 0 || gid == 0) {
		errno = EPERM;
		return -1;
	}
	if (initgroups(user, gid) < 0 || setresgid(gid, gid, gid) < 0 ||
	    cut_bounding_set(NULL, 0) < 0 || setresuid(uid, uid, uid) < 0 ||
	    set_caps(NULL, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -1;
	if (getppid() != parent) { /* it died before the line above */
		errno = ESRCH;
		return -1;
	}
	return 0;
}

int
sandbox_monitor(void)
{
	if (cut_bounding_set(monitor_caps, N_MONITOR_CAPS) < 0 ||
	    set_caps(monitor_caps, N_MONITOR_CAPS) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return forbid_dumps();
}

static bool
is_powerless(void)
{
	cap_t state = cap_get_proc(), empty = cap_init();
	bool none = state != NULL && empty != NULL && cap_compare(state, empty) == 0;

	cap_free(state);
	cap_free(empty);
	return none && geteuid() != 0 && getuid() != 0;
}

int
sandbox_engine(void)
{
	if (!is_powerless()) {
		errno = EPERM;
		return -1;
	}
	/* A fixed number, or the allocator would count processors in a file once threads run. */
	mallopt(M_ARENA_MAX, ARENAS_MAX);
	prctl(PR_SET_NAME, "pptpd", 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || forbid_dumps() < 0)
		return -1;
	return sandbox_filter();
}
