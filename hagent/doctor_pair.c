/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The doctor's checks of the pair: what the other gateway answers over SSH, asked anew and not by
 * way of the agent, and whether both have the same: time, version, files, sessions, connections.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hagent/doctor.h"
#include "hagent/dial.h"
#include "sync/conntrackd.h"

#define CLOCK_WARNING_MS 500
#define CLOCK_PROBLEM_MS 5000
#define LAG_WARNING_MS   1000
#define CONNTRACKD_MS    1500 /* it says it is alive once a second */

/* Takes in the public keys of the node `of` again, on the other one; where: "" = here. */
static void
mend_keys(struct doctor_answer *a, const char *where, const char *of, const char *self)
{
	doctor_mend_at(a, where,
	    "scp %s:%s.pub /tmp/peer-id.pub && scp %s:%s.pub /tmp/peer-host.pub && %s keys import "
	    "/tmp/peer-id.pub /tmp/peer-host.pub && %s render",
	    of, HAGENT_ID, of, HAGENT_HOST_KEY, self, self);
}

static bool
is_fault(const struct doctor_path *p, const char *code)
{
	return strcmp(p->fault, code) == 0;
}

/* The path that answered, with the shortest round; NULL = none. */
static const struct doctor_path *
best_path(const struct doctor *d)
{
	const struct doctor_path *best = NULL;

	for (size_t i = 0; i < DOCTOR_PATHS; i++) {
		const struct doctor_path *p = &d->paths[i];

		if (p->hello && (!best || p->round_ms < best->round_ms))
			best = p;
	}
	return best;
}

void
doctor_pair_paths(const struct doctor *d, struct doctor_answer *a)
{
	const char *const ifs[] = {d->us->sync_if, d->us->lan_if, d->us->wan_if};
	unsigned silent = 0, refused = 0;
	size_t first = 0;

	doctor_say(a, DOCTOR_OK, "%s", "");
	for (size_t i = 0; i < DOCTOR_PATHS; i++) {
		const struct doctor_path *p = &d->paths[i];

		if (!is_fault(p, "unreachable") && !is_fault(p, "late")) {
			doctor_also(a, DOCTOR_OK, "%s: answers", dial_path_names[i]);
			continue;
		}
		if (silent++ == 0)
			first = i;
		refused += strstr(p->text, "refused") != NULL;
		doctor_also(a, DOCTOR_PROBLEM, "%s: %s", dial_path_names[i], p->text);
	}
	if (silent == 0)
		return;
	if (refused == silent)
		doctor_mend_at(a, d->them->name, "systemctl restart pptp-ha-sshd");
	else if (silent == DOCTOR_PATHS)
		doctor_mend_at(a, d->them->name, "systemctl start pptp-ha.target");
	else
		doctor_mend_at(a, d->them->name, "ip link set dev %s up", ifs[first]);
}

void
doctor_pair_host_key(const struct doctor *d, struct doctor_answer *a)
{
	unsigned wrong = 0, known = 0;

	for (size_t i = 0; i < DOCTOR_PATHS; i++) {
		wrong += is_fault(&d->paths[i], "wrong-host-key");
		known += d->paths[i].reached || is_fault(&d->paths[i], "key-refused");
	}
	if (wrong > 0) {
		doctor_say(a, DOCTOR_PROBLEM,
		    "%s shows a host key on %u of %d paths that is not the one in known_hosts",
		    d->them->name, wrong, DOCTOR_PATHS);
		mend_keys(a, "", d->them->name, d->self);
	} else if (known > 0) {
		doctor_say(a, DOCTOR_OK, "it has, on %u of %d paths", known, DOCTOR_PATHS);
	} else {
		doctor_say(a, DOCTOR_UNKNOWN, "%s answers on no path", d->them->name);
	}
}

void
doctor_pair_login(const struct doctor *d, struct doctor_answer *a)
{
	unsigned good = 0, silent = 0;

	doctor_say(a, DOCTOR_OK, "%s", "");
	for (size_t i = 0; i < DOCTOR_PATHS; i++) {
		const struct doctor_path *p = &d->paths[i];

		good += p->hello != NULL;
		silent += is_fault(p, "unreachable") || is_fault(p, "late") ||
			  is_fault(p, "wrong-host-key");
		if (is_fault(p, "key-refused")) {
			doctor_say(a, DOCTOR_PROBLEM, "%s does not take our key: %s", d->them->name,
			    p->text);
			mend_keys(a, d->them->name, d->us->name, "hagent");
			return;
		}
		if (is_fault(p, "internal")) {
			doctor_say(a, DOCTOR_PROBLEM, "our own key or known_hosts: %s", p->text);
			doctor_mend(a, "%s keys init && %s render", d->self, d->self);
			return;
		}
	}
	if (good > 0) {
		doctor_say(a, DOCTOR_OK, "it answers through hagent serve on %u of %d paths", good,
		    DOCTOR_PATHS);
	} else if (silent == DOCTOR_PATHS) {
		doctor_say(a, DOCTOR_UNKNOWN, "%s cannot be reached", d->them->name);
	} else {
		doctor_say(a, DOCTOR_PROBLEM, "%s lets us in, but no agent answers behind it: %s",
		    d->them->name, *d->paths[0].text ? d->paths[0].text : "nothing was said");
		doctor_mend_at(
		    a, d->them->name, "hagent render && systemctl restart pptp-ha-sshd hagent");
	}
}

/* Which service sets the clock here. */
static const char *
clock_service(void)
{
	if (access("/usr/sbin/chronyd", X_OK) == 0)
		return "chronyc makestep";
	if (access("/usr/sbin/ntpd", X_OK) == 0)
		return "systemctl restart ntpsec";
	return "systemctl restart systemd-timesyncd";
}

void
doctor_pair_clock(const struct doctor *d, struct doctor_answer *a)
{
	const struct doctor_path *p = best_path(d);

	if (!p || !p->clock) {
		doctor_say(a, DOCTOR_UNKNOWN, "%s does not say its time", d->them->name);
		return;
	}
	double off = p->ahead_ms < 0 ? -p->ahead_ms : p->ahead_ms;
	doctor_say(a,
	    off > CLOCK_PROBLEM_MS   ? DOCTOR_PROBLEM
	    : off > CLOCK_WARNING_MS ? DOCTOR_WARNING
				     : DOCTOR_OK,
	    "%s is %.0f ms %s (measured within %.0f ms)", d->them->name, off,
	    p->ahead_ms < 0 ? "behind" : "ahead", p->round_ms / 2 + 1);
	if (a->verdict == DOCTOR_OK)
		return;
	doctor_also(a, a->verdict, "journals and logs of both do not fit together");
	char where[96];
	snprintf(where, sizeof(where), "%s and %s", d->us->name, d->them->name);
	doctor_mend_at(a, where, "%s", clock_service());
}

void
doctor_pair_roles(const struct doctor *d, struct doctor_answer *a)
{
	const struct doctor_path *p = best_path(d);
	const char *role = doctor_text(p ? p->hello : NULL, "role");
	bool serves = doctor_is(p ? p->hello : NULL, "serves") || strcmp(role, "active") == 0;

	if (!p) {
		doctor_say(a, DOCTOR_UNKNOWN, "%s does not answer; this gateway %s", d->them->name,
		    d->holds_wan ? "serves" : "stands by");
	} else if (d->holds_wan && serves) {
		doctor_say(a, DOCTOR_PROBLEM,
		    "both serve: %s is %s, and the virtual address is here", d->them->name, role);
		doctor_mend_at(a, d->them->name, "systemctl restart keepalived");
	} else if (!d->holds_wan && !serves) {
		doctor_say(a, DOCTOR_PROBLEM, "nobody serves: %s is %s, and so are we",
		    d->them->name, role);
		doctor_mend(a, "systemctl restart keepalived");
	} else {
		doctor_say(a, DOCTOR_OK, "%s serves, %s stands by",
		    d->holds_wan ? d->us->name : d->them->name,
		    d->holds_wan ? d->them->name : d->us->name);
	}
}

void
doctor_pair_versions(const struct doctor *d, struct doctor_answer *a)
{
	const struct doctor_path *p = best_path(d);
	const char *theirs = doctor_text(p ? p->hello : NULL, "version"),
		   *agent = doctor_text(d->agent, "version"),
		   *pptpd = doctor_text(d->pptpd, "version");

	doctor_say(a, DOCTOR_OK, "hagent %s", PHA_VERSION);
	if (*agent && strcmp(agent, PHA_VERSION) != 0) {
		doctor_also(a, DOCTOR_WARNING, "the agent that runs is still %s", agent);
		doctor_mend(a, "systemctl restart hagent");
	}
	if (*pptpd && strcmp(pptpd, PHA_VERSION) != 0) {
		doctor_also(a, DOCTOR_WARNING, "the pptpd that runs is %s", pptpd);
		doctor_mend(a, "systemctl restart pptpd");
	}
	if (*theirs && strcmp(theirs, PHA_VERSION) != 0) {
		doctor_also(a, DOCTOR_WARNING, "%s runs %s", d->them->name, theirs);
		doctor_mend_at(
		    a, d->them->name, "cmake --install build && systemctl restart pptpd hagent");
	}
	if (a->verdict == DOCTOR_OK)
		doctor_say(a, *theirs ? DOCTOR_OK : DOCTOR_UNKNOWN, "%s here%s%s", PHA_VERSION,
		    *theirs ? ", and on " : "; nothing is heard of ", d->them->name);
}

/* ---- what the standby would go on with ---- */

void
doctor_pair_replica(const struct doctor *d, struct doctor_answer *a)
{
	const json_t *r = json_object_get(d->pptpd, "replica");
	const char *state = doctor_text(r, "state");
	long long risk = doctor_number(r, "at_risk"), lag = doctor_number(r, "lag_ms"),
		  sessions = doctor_number(r, "sessions");

	if (!r) {
		doctor_say(a, DOCTOR_UNKNOWN, "pptpd does not answer: %s", d->pptpd_error);
		return;
	}
	if (strcmp(state, "standby") == 0)
		doctor_say(a,
		    doctor_is(r, "in_step") && !doctor_is(r, "stale") ? DOCTOR_OK : DOCTOR_PROBLEM,
		    "the copy here %s: %lld sessions",
		    doctor_is(r, "stale")     ? "is stale"
		    : doctor_is(r, "in_step") ? "is current"
					      : "is not current",
		    sessions);
	else
		doctor_say(a,
		    strcmp(state, "in-sync") == 0 && risk == 0
			? (lag > LAG_WARNING_MS ? DOCTOR_WARNING : DOCTOR_OK)
			: DOCTOR_PROBLEM,
		    "%s: %lld of %lld sessions at risk, %lld ms behind", state, risk, sessions,
		    lag);
	if (a->verdict != DOCTOR_OK && d->holds_wan)
		doctor_mend_at(a, d->them->name, "systemctl restart hagent pptpd");
	else if (a->verdict != DOCTOR_OK)
		doctor_mend(a, "systemctl restart hagent pptpd");
}

void
doctor_pair_file_sync(const struct doctor *d, struct doctor_answer *a)
{
	char command[768];
	json_t *answer;

	snprintf(command, sizeof(command), "/proc/%d/exe --node %s --root '%s' sync status --json",
	    (int)getpid(), d->h->node, d->h->root);
	answer = doctor_output_json(command);
	const json_t *data = json_object_get(answer, "data"), *last = json_object_get(data, "last");
	long long age_s = doctor_number(json_object_get(data, "peer"), "age_s"),
		  conflicts = doctor_number(data, "conflicts");
	size_t missing = json_array_size(json_object_get(data, "missing"));

	if (!data) {
		doctor_say(a, DOCTOR_UNKNOWN, "their state cannot be read");
	} else if (strcmp(doctor_text(last, "result"), "invalid") == 0) {
		doctor_say(a, DOCTOR_PROBLEM, "a file is wrong: %s", doctor_text(last, "text"));
		doctor_edit(a, doctor_text(last, "text"), 0, "mend it, as the message says");
	} else if (!doctor_is(data, "in_step")) {
		doctor_say(a, DOCTOR_WARNING, "%s",
		    age_s < 0 ? "the peer has never acknowledged any" : "not in step");
		if (missing > 0)
			doctor_also(a, DOCTOR_WARNING, "%zu are not as last time, such as %s",
			    missing,
			    json_string_value(json_array_get(json_object_get(data, "missing"), 0)));
		if (*doctor_text(last, "text"))
			doctor_also(a, DOCTOR_WARNING, "%s", doctor_text(last, "text"));
		doctor_mend(a, "%s sync push", d->self);
	} else {
		doctor_say(a, DOCTOR_OK, "%lld files are in step", doctor_number(data, "files"));
	}
	if (data && conflicts > 0) {
		doctor_also(a, DOCTOR_WARNING, "%lld files that lost are in %s%s", conflicts,
		    d->h->root, HAGENT_CONFLICT);
		if (!*a->command)
			doctor_mend(a, "rm -i %s%s/*", d->h->root, HAGENT_CONFLICT);
	}
	json_decref(answer);
}

/* ---- conntrackd ---- */

/* The packets that came from the other conntrackd so far; -1 = it does not answer. */
static long long
packets_received(const struct doctor *d, struct conntrackd_stats *stats)
{
	const char *at;
	char *command, *text;
	long long n = -1;
	int status;

	if (asprintf(&command, CONNTRACKD_PROGRAM " -C %s%s -s", d->h->root, HAGENT_CONNTRACKD) < 0)
		return -1;
	text = doctor_output(command, &status);
	free(command);
	/* "… 6 Pckts sent   4 Pckts recv" */
	at = status == 0 && conntrackd_parse_stats(text, stats) == 0 ? strstr(text, "Pckts sent")
								     : NULL;
	if (at)
		sscanf(at, "Pckts sent %lld", &n);
	free(text);
	return n;
}

/* It says every second that it lives, so packets must come whatever the clients do. */
void
doctor_pair_conntrackd(const struct doctor *d, struct doctor_answer *a)
{
	struct conntrackd_stats before, now;
	long long first = packets_received(d, &before), last = first;
	int64_t begun = doctor_now_ms();

	if (first < 0) {
		doctor_say(a, DOCTOR_PROBLEM,
		    "conntrackd does not answer: translated connections do not survive a failover");
		doctor_mend(a, "systemctl restart conntrackd");
		return;
	}
	while (last == first && doctor_now_ms() - begun < 2 * CONNTRACKD_MS) {
		usleep(200000);
		last = packets_received(d, &now);
	}
	if (last == first) {
		doctor_say(a, DOCTOR_PROBLEM,
		    "nothing comes from %s's conntrackd: not a packet in %d ms", d->them->name,
		    2 * CONNTRACKD_MS);
		doctor_mend_at(a, d->them->name, "systemctl restart conntrackd");
		return;
	}
	doctor_say(a, DOCTOR_OK, "hears %s; %llu entries told, %llu of the peer's kept",
	    d->them->name, (unsigned long long)now.internal, (unsigned long long)now.external);
	if (now.internal_failed + now.external_failed > 0) {
		doctor_also(a, DOCTOR_WARNING, "%llu found no room",
		    (unsigned long long)(now.internal_failed + now.external_failed));
		doctor_mend(a, "systemctl restart conntrackd");
	}
	if (now.lost > before.lost)
		doctor_also(a, DOCTOR_WARNING, "messages get lost on the way");
}
