/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A session that may not go on with the keys that it has gets new ones: LCP is negotiated again,
 * with authentication, and everything above it follows (docs/takeover.md, "Re-keying"). From the
 * first moment until then its data-plane halves have no keys at all. Meanwhile it is no member of
 * the replica. What does not succeed within 30 s ends the session.
 *
 * A session of a stale copy has another trouble: nobody knows at which GRE number its client
 * stands. It is looked for by Echo-Requests, each a little further than the one before, from the
 * copy's mark on: those that the client has behind it do no harm, the first one beyond takes it
 * along.
 */
#ifndef ENGINE_REKEY_H
#define ENGINE_REKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct engine;
struct mirror_session;
struct session;

enum rekey_state {
	REKEY_NONE,
	REKEY_QUEUED,  /* its turn to negotiate has not come */
	REKEY_SEEKING, /* its client's GRE number is looked for */
	REKEY_TALKING, /* LCP is being negotiated */
};

/* Part of a session; all zero = REKEY_NONE. */
struct rekey {
	TAILQ_ENTRY(session) entry; /* unless REKEY_NONE */
	enum rekey_state state;
	bool keyed; /* it has its new keys */
	bool stale; /* its copy was; else its keys were closed or used up */
	bool acks;  /* its client acknowledges: an Echo-Reply alone proves nothing */
	bool probed, said;
	uint32_t floor;              /* no acknowledgement is below */
	uint32_t next, top;          /* number of the next probe, of the highest one sent */
	uint32_t at;                 /* said: the number at which the client stands */
	uint32_t nonce;              /* of its probes */
	unsigned round, left;        /* probes of the next round; of this one, not sent yet */
	unsigned probes;             /* in all */
	uint64_t began_ms, round_ms; /* 0 = not yet */
};

struct rekeyer; /* of an engine: all that are being re-keyed */

bool rekey_busy(const struct session *s);
/* It is not to be taken for up, whatever its link says: its new keys are not there. */
bool rekey_unkeyed(const struct session *s);
/* Of this engine, now. */
unsigned rekey_waiting(const struct engine *e);

/* It was taken over, without keys and without a data path. -1 with errno ENOMEM. */
int rekey_adopt(struct session *s, const struct mirror_session *m);
/* It serves here, and no key is left to it. */
void rekey_start(struct session *s);
/* A frame of its client; it stays the link's. */
void rekey_frame(struct session *s, uint16_t protocol, const uint8_t *payload, size_t len);
/* It has new keys; its link is up with them; it has ended. Each is harmless at any time. */
void rekey_keys(struct session *s);
void rekey_up(struct session *s);
void rekey_ended(struct session *s);
/* At the engine's end. */
void rekey_free(struct engine *e);

#endif
