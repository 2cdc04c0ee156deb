/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The key log: what is needed to decrypt a capture of this run, and to know which calls were live
 * in it. One line of JSON an event. `call`: keys are known; `end`: the call is over, and who ended
 * it. Times are seconds since 1970, addresses the client's. It lays open all traffic: the file is
 * the owner's alone, and only tests write one.
 */
#ifndef CLIENT_KEYLOG_H
#define CLIENT_KEYLOG_H

#include <stdbool.h>
#include <stdint.h>

struct client;
struct session;

int keylog_open(struct client *c, const char *path); /* 0, or -1 with errno */
void keylog_close(struct client *c);
/* Start keys, as the client sees them. Nothing happens without --keylog. */
void keylog_call(
    struct session *s, const uint8_t send_key[static 16], const uint8_t recv_key[static 16]);
/* Said as soon as either end begins to close; only the first time counts. */
void keylog_end(struct session *s, bool by_client, const char *reason);

#endif
