/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * "Are we safe?": one judgement of the pair from what the agent of one gateway says, for the
 * terminal, the status page and the metrics. Pure.
 *
 * safe: one gateway serves, and the other one could go on with every session. at-risk: somebody
 * serves, but a failure now would end sessions, or leave nobody to serve. down: nobody serves, as
 * far as this gateway knows.
 */
#ifndef HAGENT_SAFETY_H
#define HAGENT_SAFETY_H

#include <jansson.h>

enum safety_level {
	SAFETY_SAFE,
	SAFETY_AT_RISK,
	SAFETY_DOWN
};

const char *safety_level_name(enum safety_level l); /* "safe", "at-risk", "down" */

/*
 * status: what the agent's `status` answers, with the files' state as "set" where that is known.
 * Returns {"level":"safe","headline":"gw1 serves 812 sessions, gw2 holds a current copy",
 * "problems":[{"node","severity","code","text","advice"}, ...]}, the worst first; severity is
 * "hard", "soft" or "note". New reference.
 */
json_t *safety_judge(const json_t *status);
/* Without an agent: pptpd is what its own `status` answers, NULL = it does not answer either. */
json_t *safety_without_agent(const char *node, const json_t *pptpd);
enum safety_level safety_level_of(const json_t *judgement); /* SAFETY_DOWN for anything odd */

#endif
