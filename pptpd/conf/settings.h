/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the daemon runs by: poptop's pptpd.conf and pppd's options.pptpd, read into one struct. The
 * same code serves start-up, `-n`, `-p`, SIGHUP (build the new, validate all of it, then swap), and
 * the agent that checks files from its peer. It reads text, never files.
 */
#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/conf.h"

/* An ordered set of address ranges, as poptop writes them: 192.168.0.234-238,192.168.0.245 */
struct ip_range {
	uint32_t first, last; /* host order, inclusive */
};
struct ip_list {
	struct ip_range *ranges;
	size_t n;
	uint32_t total; /* addresses in all ranges */
};
/* 0, or -1 with a text of what was wanted in *want. Overlap and reversed ranges are errors. At most
 * 2^20 addresses. */
int ip_list_parse(const char *s, struct ip_list *l, const char **want);
void ip_list_fini(struct ip_list *l);
bool ip_list_has(const struct ip_list *l, uint32_t ip);
uint32_t ip_list_at(const struct ip_list *l, uint32_t i);                /* 0 <= i < total */
bool ip_lists_overlap(const struct ip_list *a, const struct ip_list *b); /* true without memory */
/* *out = l without the n addresses, which are sorted, in l's order; 0 or -1 (memory). */
int ip_list_without(const struct ip_list *l, const uint32_t *ips, size_t n, struct ip_list *out);
void ip_list_print(const struct ip_list *l, FILE *f); /* as ip_list_parse() reads it */

#define SETTINGS_MTU_MAX 2048 /* the data plane carries no more */

struct settings {
	/* pptpd.conf: poptop's directives */
	char *option_file; /* option; default /etc/ppp/options.pptpd */
	bool logwtmp;
	struct ip_list local_ips;  /* localip */
	struct ip_list remote_ips; /* remoteip */
	unsigned connections;      /* default 100 */
	unsigned stimeout_s;       /* half-open time-out, default 10 */
	uint32_t listen;           /* host order, 0 = all */
	bool debug;
	/* pptpd.conf: ours; the name of each is in docs/pptpd.conf.5 */
	char *secrets_file;       /* chap-secrets; default /etc/ppp/chap-secrets */
	unsigned max_per_address; /* connections-per-address: of one client address, default 0 = no
				     cap but `connections` */
	unsigned max_half_open;   /* half-open: default 1024 */
	unsigned echo_interval_s; /* echo-interval: PPTP Echo-Request after that much silence,
				     default 60 */
	unsigned echo_timeout_s;  /* echo-timeout: close that long after it, default 60 */
	unsigned workers;         /* workers: default 0 = one per core, at most 16 */
	unsigned reorder_window;  /* reorder-window: packets, 0..64, default 32 */
	unsigned reorder_timeout_ms; /* reorder-timeout: 1..1000, default 50 */
	unsigned ack_delay_ms;       /* ack-delay: 1..1000, default 100 */
	unsigned receive_window; /* receive-window: announced to the client, 1..65535, default 64 */
	unsigned control_timeout_s; /* control-timeout: a connection without a call, default 60 */
	bool standby;               /* role standby|active, default active */
	/* options.pptpd: pppd's */
	char *name;         /* name: empty = the host's, see settings_default_name() */
	bool use_host_name; /* usehostname: overrides name, which settings_check() then empties */
	bool refuse_pap, refuse_chap, refuse_mschap,
	    refuse_eap;                           /* as written; refused in any case */
	bool require_mschap_v2, require_mppe_128; /* always true: nothing weaker is ever accepted */
	bool proxyarp, ppp_debug;
	uint32_t dns[2], wins[2];
	unsigned n_dns, n_wins;
	unsigned mtu, mru;            /* 128..SETTINGS_MTU_MAX, default 1400 */
	unsigned lcp_echo_interval_s; /* up to 65535, default 0 as pppd */
	unsigned lcp_echo_failure;    /* up to 255 */
	unsigned idle_s, maxconnect_s;
	unsigned lcp_restart_s,
	    lcp_max_configure; /* lcp-restart, lcp-max-configure: default 3, 10 */
	char *ignored; /* options that mean nothing here, joined by ", " for one warning; NULL =
			  none */
};

struct settings *settings_new(void); /* defaults; NULL on ENOMEM */
void settings_free(struct settings *s);
/* pptpd.conf. 0, or -1 if e has errors. */
int settings_parse_main(
    struct settings *s, const char *file, const char *text, struct conf_errors *e);
/* options.pptpd (pppd's quoting and comments; several options on a line). */
int settings_parse_options(
    struct settings *s, const char *file, const char *text, struct conf_errors *e);
/*
 * Cross-checks, after both: localip and remoteip present and disjoint, options that would weaken
 * (require-pap, nomppe, require-mppe-40, noauth …) are errors where they stand, pool smaller than
 * `connections` warns, the one warning for ignored options.
 */
int settings_check(struct settings *s, const char *file, struct conf_errors *e);
/*
 * The server's name where the files give none: the host's, whole, as pppd takes it. After
 * settings_check(). 0, or -1 on ENOMEM.
 */
int settings_default_name(struct settings *s, const char *host);
/*
 * Both files again as text; parsing it gives the same settings (print → parse → print is a
 * fixpoint), but for `ignored`: what means nothing here is not printed. Either file may be NULL.
 */
void settings_print(const struct settings *s, FILE *main_file, FILE *options_file);
/* The first directive that differs and cannot change while the daemon runs; NULL = none. */
const char *settings_needs_restart(const struct settings *old, const struct settings *new);
/* Notes a name for the one warning about what means nothing here; once per name. */
int settings_ignore(struct settings *s, const char *name);

#endif
