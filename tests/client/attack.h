/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bad packets sent beside the regular traffic of the first session, a few at a time. None of them
 * may harm that session, but for those on the control connection, which must end it and only it.
 */
#ifndef CLIENT_ATTACK_H
#define CLIENT_ATTACK_H

#include "tests/client/client.h"

#define ATTACK_PACKETS 200

struct attack_state {
	struct client *client;
	struct timer timer;
	unsigned sent;
	bool done;
	uint64_t answers_before, answers_at_end; /* of the first session's streams */
};

struct attack_state *attack_start(struct client *c);
void attack_free(struct attack_state *a);

#endif
