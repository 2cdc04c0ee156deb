/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent run: the agent, in the foreground.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "hagent/agent.h"
#include "sync/conntrackd.h"

int
cmd_run(const struct hagent *h, int argc, char **argv)
{
	char *pids = hagent_path(h, HAGENT_KEEPALIVED_PIDS), name[64];
	struct agent_options o = {
	    .conntrackd = CONNTRACKD_PROGRAM,
	    .keepalived_pids = pids,
	    .user = HAGENT_USER,
	    .link = true,
	};
	struct agent *a;
	int status = HAGENT_FAIL;

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--no-link") == 0) {
			o.link = false;
			continue;
		}
		if (value && strcmp(argv[i], "--conntrackd") == 0)
			o.conntrackd = value;
		else if (value && strcmp(argv[i], "--keepalived-pids") == 0)
			o.keepalived_pids = value;
		else if (value && strcmp(argv[i], "--user") == 0)
			o.user = value;
		else {
			free(pids);
			return hagent_usage(
			    "got \"%s\", want an option of run with its value", argv[i]);
		}
		i++;
	}
	snprintf(name, sizeof(name), "hagent[%s]", h->node);
	log_init(name, -1, false);
	a = calloc(1, sizeof(*a));
	if (a && agent_init(a, h, &o) == 0) {
		loop_run(a->loop);
		status = HAGENT_OK;
	}
	if (a)
		agent_fini(a);
	free(a);
	free(pids);
	return status;
}
