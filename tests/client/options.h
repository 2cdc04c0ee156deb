/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the command line asks for.
 */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "pptpd/ppp/ppp.h"
#include "tests/client/faults.h"

enum attack {
	ATTACK_NONE,
	ATTACK_FOREIGN_CALL,  /* call ids that are not ours */
	ATTACK_BAD_HEADER,    /* GRE headers with one thing wrong */
	ATTACK_SPOOF_SOURCE,  /* encrypted, but from an inner address that is not ours */
	ATTACK_SPOOF_OUTER,   /* our call id, another outer source */
	ATTACK_TRUNCATED,     /* packets cut off anywhere */
	ATTACK_RANDOM_GRE,    /* IP protocol 47 and noise */
	ATTACK_RANDOM_PPP,    /* sound GRE, noise inside, some of it under known protocol numbers */
	ATTACK_RESET_REQUEST, /* CCP Reset-Requests */
	ATTACK_MPPE_COUNT,    /* forged coherency counts */
	ATTACK_CLEAR_IP,      /* IP without encryption */
	ATTACK_RANDOM_CONTROL,   /* noise on the first control connection, which is to be dropped */
	ATTACK_OVERSIZE_CONTROL, /* a message longer than any type is */
	ATTACK_MAX
};

struct options {
	uint32_t server;                    /* host order, like every address here */
	uint32_t source_first, source_last; /* 0 = whatever the route says */
	uint16_t source_port;               /* 0 = any */
	const char *user, *password;        /* %d = the session's number */
	unsigned sessions, calls, parallel;
	int call_id; /* first session's; -1 = by chance */
	enum ppp_style style;
	unsigned hold_s, timeout_s, echo_interval_s, lcp_echo_s;
	uint32_t ping_ip, udp_ip; /* 0 = none */
	uint16_t udp_port;
	uint64_t count; /* packets a stream; 0 = as long as the run lasts */
	unsigned size;  /* payload bytes behind ICMP or UDP header */
	double rate;    /* packets per second and stream */
	uint64_t max_loss;
	unsigned missing_window; /* 0 = any jump is taken */
	const char *keylog;      /* file, NULL = none */
	bool strict, commands;
	bool redial, no_mppe, pap_only, bytewise, per_session, faults_receive, debug;
	struct fault_rates faults;
	enum attack attack;
	unsigned silent; /* connections that say nothing, instead of all the rest */
};

/* Exits with 2 and says why if the command line is not sound. */
void options_parse(struct options *o, int argc, char **argv);
const char *attack_name(enum attack a);
bool attack_on_control(enum attack a); /* the attacked connection's end is what is wanted */

#endif
