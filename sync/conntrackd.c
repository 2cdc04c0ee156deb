/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Driving conntrackd: see conntrackd.h.
 */
#include "sync/conntrackd.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

void
conntrackd_argv(
    enum conntrackd_request request, const char *conf, const char *argv[static CONNTRACKD_ARGS])
{
	static const char *const words[] = {
	    [CONNTRACKD_COMMIT] = "-c",
	    [CONNTRACKD_FLUSH] = "-f",
	    [CONNTRACKD_RESYNC] = "-R",
	    [CONNTRACKD_SEND] = "-B",
	    [CONNTRACKD_EXPIRE] = "-t",
	    [CONNTRACKD_REQUEST] = "-n",
	    [CONNTRACKD_STATS] = "-s",
	};

	argv[0] = CONNTRACKD_PROGRAM;
	argv[1] = "-C";
	argv[2] = conf;
	argv[3] = words[request];
	argv[4] = NULL;
}

/* The number before or behind the first `label` from *text on; moves *text behind it. */
static bool
figure(const char **text, const char *label, bool before, uint64_t *out)
{
	const char *at = *text ? strstr(*text, label) : NULL;
	const char *s = at;

	if (!at)
		return false;
	if (before) {
		while (s > *text && s[-1] == ' ')
			s--;
		while (s > *text && isdigit((unsigned char)s[-1]))
			s--;
	} else {
		s += strlen(label);
		s += strspn(s, " \t");
	}
	if (!isdigit((unsigned char)*s))
		return false;
	*out = 0;
	for (; isdigit((unsigned char)*s); s++)
		*out = *out * 10 + (uint64_t)(*s - '0');
	*text = at + strlen(label);
	return before || *s != '\0'; /* the text ends inside the number */
}

/* One cache, up to its failures of creation. */
static bool
cache(const char **text, const char *title, uint64_t *active, uint64_t *failed)
{
	*text = *text ? strstr(*text, title) : NULL;
	return figure(text, "current active connections:", false, active) &&
	       figure(text, "failed:", false, failed);
}

int
conntrackd_parse_stats(const char *text, struct conntrackd_stats *out)
{
	struct conntrackd_stats s;

	if (cache(&text, "cache internal:", &s.internal, &s.internal_failed) &&
	    cache(&text, "cache external:", &s.external, &s.external_failed) &&
	    figure(&text, " Error send", true, &s.send_errors) &&
	    figure(&text, " Lost msgs", true, &s.lost)) {
		*out = s;
		return 0;
	}
	errno = EBADMSG;
	return -1;
}
