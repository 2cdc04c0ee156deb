/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the engine keeps of sessions that are up or have ended.
 */
#include "pptpd/engine/engine.h"

const uint32_t engine_setup_limits_ms[SETUP_BUCKETS] = {50, 100, 250, 500, 1000, 2500, 5000, 10000};

void
engine_count_setup(struct engine_stats *st, uint64_t ms)
{
	unsigned i = 0;

	while (i < SETUP_BUCKETS && ms > engine_setup_limits_ms[i])
		i++;
	st->setups[i]++;
	st->setup_ms += ms;
}

void
engine_count_link(struct engine_stats *st, const struct ppp_counters *n)
{
	st->link.rejects_sent += n->rejects_sent;
	st->link.malformed += n->malformed;
	st->link.echo_sent += n->echo_sent;
	st->link.echo_received += n->echo_received;
	st->link.resets_answered += n->resets_answered;
	st->link.unknown += n->unknown;
}
