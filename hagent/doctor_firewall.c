/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The doctor's checks of the firewall. What stands in the kernel is compared with what the rendered
 * rules become: they are loaded in a network namespace of the check's own, so that nft writes both
 * in the same way, and nothing is touched.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firewall/fw.h"
#include "hagent/doctor.h"

#define LIST_OURS "nft -s -t list table inet pptp_ha 2>/dev/null"

/* Writes the listing of our table to a file. */
static int
list_ours(int fd)
{
	int status;
	char *text = doctor_output(LIST_OURS, &status);
	size_t len = strlen(text);
	bool good = write(fd, text, len) == (ssize_t)len;

	free(text);
	return good ? 0 : 1;
}

/* From the second half on this process is in a network namespace of its own. */
int
doctor_collect_rules(const struct doctor *d, int have, int want)
{
	char *guard = doctor_rendered(d, HAGENT_GUARD),
	     *gateway = doctor_rendered(d, HAGENT_GATEWAY);
	int failed = list_ours(have);

	if (!guard || !gateway || unshare(CLONE_NEWNET) < 0 ||
	    doctor_feed("nft -f - 2>/dev/null", guard) != 0 ||
	    doctor_feed("nft -f - 2>/dev/null", gateway) != 0)
		failed = 1;
	else
		failed |= list_ours(want);
	free(guard);
	free(gateway);
	return failed;
}

static bool
is_guard(const char *chain, const char *line)
{
	return strcmp(chain, "guard") == 0 || strcmp(chain, "guard_icmp") == 0;
}

static bool
is_untracked(const char *chain, const char *line)
{
	return strstr(line, "notrack") && strncmp(chain, "raw_", 4) == 0;
}

static bool
is_clamp(const char *chain, const char *line)
{
	return strstr(line, "maxseg") != NULL;
}

/* What is left for `rules`. */
static bool
is_other(const char *chain, const char *line)
{
	return !is_guard(chain, line) && !is_untracked(chain, line) && !is_clamp(chain, line);
}

/*
 * The lines of our table that `counts` accepts, against those that are wanted. `needs` is a chain
 * that must be there at all. Says what differs; true if nothing does.
 */
static bool
compare(const struct doctor *d, struct doctor_answer *a, const char *needs,
    bool (*counts)(const char *chain, const char *line), const char *means)
{
	char said[256], chain[64];
	unsigned n;

	snprintf(chain, sizeof(chain), "\tchain %s {", needs);
	if (!strstr(d->rules, chain)) {
		doctor_say(a, DOCTOR_PROBLEM, "%s: there is no chain %s of table inet pptp_ha",
		    means, needs);
		return false;
	}
	if (!*d->wanted_rules) {
		doctor_say(a, DOCTOR_UNKNOWN,
		    "what cluster.conf wants cannot be told: "
		    "no network namespace of one's own, or nft takes "
		    "no rendered rules");
		return false;
	}
	n = doctor_compare_rules(d->wanted_rules, d->rules, counts, said, sizeof(said));
	if (n > 0)
		doctor_say(a, DOCTOR_PROBLEM, "%s: %u rules differ, %s", means, n, said);
	return n == 0;
}

/* Loads what is missing, in the right order. */
static void
mend_rules(const struct doctor *d, struct doctor_answer *a)
{
	if (a->verdict != DOCTOR_PROBLEM)
		return;
	if (strstr(d->rules, "\tset hold_calls {"))
		doctor_mend(a, "%s firewall apply", d->self);
	else
		doctor_mend(a, "%s guard load && %s firewall apply", d->self, d->self);
}

void
doctor_firewall_guard(const struct doctor *d, struct doctor_answer *a)
{
	if (compare(d, a, "guard", is_guard, "the kernel may end live sessions"))
		doctor_say(a, DOCTOR_OK, "it stands, as rendered");
	else if (a->verdict == DOCTOR_PROBLEM)
		doctor_mend(a, "%s guard load", d->self);
}

void
doctor_firewall_rules(const struct doctor *d, struct doctor_answer *a)
{
	if (compare(d, a, "forward", is_other, "not the rendered rules"))
		doctor_say(a, DOCTOR_OK, "every chain is as rendered");
	mend_rules(d, a);
}

void
doctor_firewall_untracked(const struct doctor *d, struct doctor_answer *a)
{
	if (compare(d, a, "raw_pre", is_untracked,
		"PPTP is tracked, and tracked flows do not survive a failover"))
		doctor_say(a, DOCTOR_OK,
		    "TCP/1723 and GRE of %s, VRRP and the sync link are not tracked",
		    conf_ipv4(d->cluster->vip_wan.address));
	mend_rules(d, a);
}

void
doctor_firewall_mss_clamp(const struct doctor *d, struct doctor_answer *a)
{
	if (compare(d, a, "forward", is_clamp, "large TCP segments get stuck"))
		doctor_say(a, DOCTOR_OK, "segments are held to %u octets, both ways",
		    d->cluster->tunnel.mtu - 40);
	mend_rules(d, a);
}

void
doctor_firewall_gate(const struct doctor *d, struct doctor_answer *a)
{
	struct fw *f = fw_new();
	bool loaded = f && fw_gateway_loaded(f), open = loaded && fw_gate_open(f);
	bool moving = doctor_is(d->agent, "transition_running");

	fw_free(f);
	if (!loaded) {
		doctor_say(
		    a, DOCTOR_PROBLEM, "the gateway's rules are not loaded: there is no gate");
		doctor_mend(a, "%s firewall apply", d->self);
		if (d->holds_wan)
			doctor_mend_also(a, "%s firewall gate open", d->self);
		return;
	}
	doctor_say(a, open == d->holds_wan || moving ? DOCTOR_OK : DOCTOR_PROBLEM,
	    "it is %s, and the virtual addresses are %s", open ? "open" : "shut",
	    d->holds_wan ? "here" : "not here");
	if (a->verdict != DOCTOR_OK)
		doctor_mend(a, "%s firewall gate %s", d->self, d->holds_wan ? "open" : "shut");
}

/* ---- what others put into the kernel ---- */

/* Does an expression of a rule name a conntrack helper: {"ct helper":…} or {"ct":{"key":"helper"}}.
 */
static bool
names_helper(const json_t *o)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_array(o)) {
		json_array_foreach(o, i, value)
		{
			if (names_helper(value))
				return true;
		}
		return false;
	}
	json_object_foreach((json_t *)(uintptr_t)o, key, value)
	{
		if (strcmp(key, "ct helper") == 0 ||
		    (strcmp(key, "key") == 0 && json_is_string(value) &&
			strcmp(json_string_value(value), "helper") == 0) ||
		    names_helper(value))
			return true;
	}
	return false;
}

void
doctor_firewall_helper(const struct doctor *d, struct doctor_answer *a)
{
	json_t *all = doctor_output_json("nft -j -t list ruleset 2>/dev/null"), *row;
	long long automatic = 0;
	bool may;
	size_t i;

	doctor_say(a, all ? DOCTOR_OK : DOCTOR_UNKNOWN,
	    all ? "no rule gives PPTP to a helper" : "nft lists nothing");
	json_array_foreach(json_object_get(all, "nftables"), i, row)
	{
		const json_t *rule = json_object_get(row, "rule");
		const char *family = doctor_text(rule, "family"),
			   *table = doctor_text(rule, "table"), *chain = doctor_text(rule, "chain");

		if (!rule || !names_helper(json_object_get(rule, "expr")))
			continue;
		doctor_say(a, DOCTOR_PROBLEM,
		    "a rule of table %s %s, chain %s, gives connections to a conntrack helper",
		    family, table, chain);
		doctor_mend(a, "nft delete rule %s %s %s handle %lld", family, table, chain,
		    doctor_number(rule, "handle"));
	}
	json_decref(all);
	if (doctor_sysctl("net/netfilter/nf_conntrack_helper", &automatic, &may) && automatic) {
		doctor_say(a, DOCTOR_PROBLEM, "the kernel gives connections to helpers by itself");
		doctor_mend(a, "sysctl -w net.netfilter.nf_conntrack_helper=0");
	}
}

void
doctor_firewall_foreign(const struct doctor *d, struct doctor_answer *a)
{
	json_t *all = doctor_output_json("nft -j -t list ruleset 2>/dev/null"), *row;
	size_t i;

	doctor_say(a, all ? DOCTOR_OK : DOCTOR_UNKNOWN,
	    all ? "no other base chain drops by default" : "nft lists nothing");
	json_array_foreach(json_object_get(all, "nftables"), i, row)
	{
		const json_t *c = json_object_get(row, "chain");
		const char *family = doctor_text(c, "family"), *table = doctor_text(c, "table"),
			   *name = doctor_text(c, "name");

		if (!c || strcmp(doctor_text(c, "policy"), "drop") != 0 ||
		    (strcmp(family, "inet") == 0 && strcmp(table, "pptp_ha") == 0) ||
		    (strcmp(family, "inet") != 0 && strcmp(family, "ip") != 0))
			continue;
		doctor_say(a, DOCTOR_PROBLEM,
		    "table %s %s, chain %s (hook %s), drops whatever it does not name", family,
		    table, name, doctor_text(c, "hook"));
		doctor_mend(a, "nft 'chain %s %s %s { policy accept; }'", family, table, name);
	}
	json_decref(all);
}
