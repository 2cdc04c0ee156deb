/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Health: from facts to a list of problems, from the worst of them and the peer's state to whether
 * this gateway must not be MASTER. Pure; facts.h collects the facts.
 *
 * A hard fault means that we cannot serve: yield, unless the peer is known to be as bad and we are
 * the senior of the two. A soft fault means that we serve, but badly or not for long: yield only to
 * a healthy standby that we hear and that holds our sessions, and only so often. A note is for
 * people: moving would not help.
 */
#ifndef HAGENT_HEALTH_H
#define HAGENT_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEALTH_PROBLEMS 20
#define HEALTH_UNKNOWN  (-1)

enum health_fault {
	HEALTH_FINE,
	HEALTH_NOTE,
	HEALTH_SOFT,
	HEALTH_HARD
};
const char *health_fault_name(enum health_fault f); /* "fine", "note", "soft", "hard" */
/* HEALTH_HARD for a name that is none: who cannot say how he is, is not well. */
enum health_fault health_fault_of(const char *name);

enum health_process {
	HEALTH_NEVER, /* not seen since the agent began */
	HEALTH_ALIVE,
	HEALTH_GONE
};

struct health_facts {
	/* pptpd's control socket */
	unsigned pptpd_failures; /* in a row */
	const char *pptpd_error; /* of the last failure */
	int tun, gre; /* pppha0 exists; raw GRE sockets open here. HEALTH_UNKNOWN = not asked */
	bool wan, lan, sync; /* up and with a carrier */
	const char *wan_if, *lan_if, *sync_if;
	bool lan_address_gone; /* we serve, and somebody has removed it */
	int ip_forward;
	int64_t files_free, pptpd_files_free; /* descriptors to spare: system, the daemon */
	int64_t memory_free_kib, disk_free_kib;
	enum health_process keepalived, conntrackd, sshd;
	bool journal_failing;
	bool peer_heard;
	const char *deep;    /* what the deep check finds; NULL = nothing is wrong */
	bool deep_dead;      /* and that is proof: see deep.h */
	const char *replica; /* what is wrong with the copy of the sessions; NULL = nothing */
};

struct health_problem {
	enum health_fault fault;
	const char *code; /* "pptpd-silent", stable */
	char text[160];
	const char *advice;
};

struct health {
	enum health_fault fault; /* the worst */
	bool links_only;         /* it is hard, and all that is hard is a link that is down */
	struct health_problem problems[HEALTH_PROBLEMS];
	size_t n;
};

/* failures: how many in a row make a fault. */
void health_judge(const struct health_facts *f, unsigned failures, struct health *out);

struct health_view {
	enum health_fault ours;
	bool active; /* we serve, or are about to */
	bool peer_fresh;
	bool peer_standby;
	bool peer_in_step; /* it could continue our sessions */
	enum health_fault peers;
	bool senior; /* of two that are equally bad, we are to stay */
	unsigned moves, moves_max;
};

/* Whether this gateway must step down, or stay down. */
bool health_must_yield(const struct health_view *v);

#endif
