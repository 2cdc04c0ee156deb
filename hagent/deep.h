/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The deep check: is what clients send decrypted and answered? One PPTP session through each worker
 * of the daemon's data plane, from this gateway to the virtual address (common/loopback.h), pings
 * the server's end of its tunnel. Here is what the check reports and what follows from it, pure;
 * deep_run.h keeps the sessions in a process of its own, agent_deep.c starts it and acts.
 *
 * No answer is no proof. A gateway that is only busy must not move, since the other one would be as
 * busy and would have a takeover to do besides. So a worker is taken for dead only if, for as long,
 * it has not brought a single packet of anybody both ways; and only time counts in which the check
 * itself ran: a machine that stalls as a whole convicts nobody.
 */
#ifndef HAGENT_DEEP_H
#define HAGENT_DEEP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loopback.h"

#define DEEP_PING_MS   1000  /* one in so long, */
#define DEEP_AGAIN_MS  200   /* and in so long while an answer is overdue */
#define DEEP_TICK_MS   100   /* more than two of them at once are not counted as silence */
#define DEEP_REPORT_MS 250   /* how often a report goes out */
#define DEEP_STALE_MS  2000  /* a report older than this says nothing */
#define DEEP_SETUP_MS  10000 /* a session must be up within so long, or again up */

/* Of one session. */
struct deep_session {
	bool up, was_up;
	bool through; /* not up: it came as far as GRE, so the control connection is fine */
	/* Since the last answer; not up: since it should be. */
	uint32_t silent_ms;
	uint32_t rtt_us;   /* of the last answer, 0 = none yet */
	uint32_t failures; /* set-ups that failed, and sessions that were lost */
	uint64_t answers;
	char step[8], why[24]; /* of the last failure: pptp_step_name(), pptp_why_name() */
};

struct deep_report {
	size_t n;
	struct deep_session v[LOOPBACK_SESSIONS];
};

/* One line of JSON, malloc'd; NULL: out of memory. */
char *deep_report_text(const struct deep_report *r);
/* -1 with EBADMSG. */
int deep_report_parse(const char *text, size_t len, struct deep_report *out);

/* What the daemon's counters tell of a worker: zeroed = nothing was seen yet. */
struct deep_work {
	uint64_t decrypted, encrypted;
	uint64_t decrypted_ms, encrypted_ms; /* when they last grew; 0 = never */
};
void deep_work_see(struct deep_work *w, uint64_t decrypted, uint64_t encrypted, uint64_t now_ms);

enum deep_verdict {
	DEEP_OFF,      /* this gateway does not serve, or it is not wanted */
	DEEP_STARTING, /* not all sessions are up yet, or there is no fresh report */
	DEEP_FINE,
	DEEP_UNSURE, /* no answers, but clients' packets pass: busy, or the check's own trouble */
	DEEP_DEAD,   /* a worker neither answers nor works */
};
const char *deep_verdict_name(enum deep_verdict v); /* "off" */

struct deep_view {
	const struct deep_report *report;
	const struct deep_work *work; /* [report->n] */
	uint64_t now_ms;
	uint64_t login_ms;   /* when a client was last seen to log in, 0 = never */
	unsigned timeout_ms; /* deep-check-timeout-ms */
};

struct deep_finding {
	enum deep_verdict verdict;
	unsigned worker; /* of the worst */
	char text[160];  /* in words; "" = nothing is wrong */
};
void deep_judge(const struct deep_view *v, struct deep_finding *out);

#endif
