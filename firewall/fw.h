/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Atomic changes of our one table, `inet pptp_ha`, through libnftables. hagent owns a struct fw and
 * uses it for loading, for the gate and for the holds; no call touches another table. Each call is
 * one transaction: all of it happens or nothing. A context belongs to the network namespace in
 * which it was made.
 *
 * What stands in the table, and who writes it:
 *
 *   chain guard, sets hold_*, counters guard_*
 *        `hagent guard load|unload|hold`
 *   every other chain, set and counter
 *        `hagent firewall apply|remove`: replaced in place; the elements of sets and the values
 *        of counters survive
 *   set gate
 *        the element `ipv4` present = this gateway forwards: `hagent firewall gate`
 *   set tell_strangers
 *        the element `ipv4` for FW_TELL_TIME after the gate was opened, while it is open: GRE of
 *        unknown calls is answered with ICMP protocol-unreachable, so that clients redial
 *   set calls
 *        the daemon's monitor alone, on both gateways
 *   set banned
 *        an operator, or the rate limit where limits { ban-seconds } says so
 *
 * For the daemon's monitor, which calls libnftables itself (tried with nft 1.0.6, Linux 6.18):
 *
 *   set calls { typeof ip saddr . @th,48,16; size 65535; }
 *        key: client address . bytes 6-7 of the GRE header that it sends, that is the Call ID
 *        that we chose; the number in hex or decimal, host order
 *   add element inet pptp_ha calls { 198.51.100.100 . 0x1234 }
 *        idempotent; several: { 198.51.100.100 . 0x1234, 198.51.100.101 . 7 }
 *   add element inet pptp_ha calls { 198.51.100.100 . 0x1234 }
 *   delete element inet pptp_ha calls { 198.51.100.100 . 0x1234 }
 *        both lines in ONE nft_run_cmd_from_buffer() call (newline or `;` between): one
 *        transaction, so an idempotent delete. Deleting a missing element alone is ENOENT,
 *        and nft 1.0.6 has no `destroy`
 *   flush set inet pptp_ha calls
 *        all gone
 *
 * Before the first `hagent firewall apply` the set is missing: "No such file or directory".
 */
#ifndef FIREWALL_FW_H
#define FIREWALL_FW_H

#include <stdbool.h>

#define FW_TABLE     "inet pptp_ha"
#define FW_TELL_TIME "120s"

/* The templates, embedded at build time: guard.nft.in, gateway.nft.in, sysctl.conf.in. */
extern const char fw_guard_template[];
extern const char fw_gateway_template[];
extern const char fw_sysctl_template[];

enum fw_hold {
	FW_HOLD_CALLS = 1, /* FIN and RST of live control connections are dropped, and RST without a
			      socket (the daemon died): the peer is in step */
	FW_HOLD_UNKNOWN =
	    2, /* RST for segments that no call owns is dropped: sockets may still be missing */
};

struct fw;
struct fw *fw_new(void); /* NULL with errno */
void fw_free(struct fw *f);
/* What nft said about the last failed call: lines, or "" if it said nothing. */
const char *fw_error(const struct fw *f);

/* One transaction. 0, or -1 with errno EINVAL and fw_error(). */
int fw_run(struct fw *f, const char *commands);

bool fw_guard_loaded(struct fw *f);
bool fw_gateway_loaded(struct fw *f);
bool fw_gate_open(struct fw *f);

/*
 * ruleset: a rendered guard.nft. Loading again replaces the rules at once and keeps the holds.
 * Unloading also removes the table; EBUSY while the gateway's rules stand (the guard goes last).
 */
int fw_guard_load(struct fw *f, const char *ruleset);
int fw_guard_unload(struct fw *f);
/* Both are idempotent; ENOENT when the guard is not loaded. which: enum fw_hold, or-ed. */
int fw_hold_set(struct fw *f, unsigned which, bool on);

/*
 * ruleset: a rendered gateway.nft. ENOENT when the guard is not loaded (it comes first). The gate
 * stays as it was; in a new table it is shut. Removing what is not there is success.
 */
int fw_gateway_apply(struct fw *f, const char *ruleset);
int fw_gateway_remove(struct fw *f);
/* Opens or shuts the gate for forwarded traffic; idempotent. ENOENT before fw_gateway_apply(). */
int fw_gate_set(struct fw *f, bool open);

#endif
