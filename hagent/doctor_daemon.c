/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The doctor's checks of the programs of a gateway.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hagent/doctor.h"
#include "hagent/facts.h"

#define FILES_BESIDES 256 /* what a process opens besides two descriptors a session */
#define ROOM_WARNING  90  /* percent */

void
doctor_daemon_agent(const struct doctor *d, struct doctor_answer *a)
{
	const json_t *problems = json_object_get(d->agent, "problems"),
		     *first = json_array_get(problems, 0);
	const char *verdict = doctor_text(d->agent, "verdict");

	if (!d->agent) {
		doctor_say(a, DOCTOR_PROBLEM, "it does not answer: %s; nothing moves with the role",
		    d->agent_error);
		doctor_mend(a, "systemctl restart hagent");
	} else if (strcmp(verdict, "unfit") == 0) {
		doctor_say(a, DOCTOR_PROBLEM, "it says that this gateway must not serve now: %s",
		    first ? doctor_text(first, "text") : "its hold is in `hagent status`");
		doctor_mend(a, "%s status", d->self);
	} else if (first) {
		/* What it finds has a check of its own here, or is for people to look at. */
		doctor_say(a, DOCTOR_WARNING, "%zu problems, such as: %s",
		    json_array_size(problems), doctor_text(first, "text"));
		doctor_mend(a, "%s status", d->self);
	} else {
		doctor_say(a, DOCTOR_OK, "%s, epoch %lld, up for %lld s, finds nothing wrong",
		    doctor_text(d->agent, "role"), doctor_number(d->agent, "epoch"),
		    doctor_number(d->agent, "uptime_ms") / 1000);
	}
}

void
doctor_daemon_pptpd(const struct doctor *d, struct doctor_answer *a)
{
	const char *role = doctor_text(d->pptpd, "role");

	if (!d->pptpd) {
		doctor_say(a, DOCTOR_PROBLEM, "it does not answer: %s", d->pptpd_error);
		doctor_mend(a, "systemctl restart pptpd");
	} else if (d->holds_wan && !doctor_is(d->pptpd, "listening")) {
		doctor_say(a, DOCTOR_PROBLEM, "it is %s and does not listen", role);
		doctor_mend(a, "systemctl restart hagent");
	} else {
		doctor_say(a, DOCTOR_OK, "%s, %lld sessions, %lld workers, up for %lld s", role,
		    doctor_number(d->pptpd, "sessions"), doctor_number(d->pptpd, "workers"),
		    doctor_number(d->pptpd, "uptime_ms") / 1000);
	}
}

void
doctor_daemon_deep(const struct doctor *d, struct doctor_answer *a)
{
	const json_t *deep = json_object_get(d->agent, "deep");
	const char *state = doctor_text(deep, "state");

	if (!d->agent) {
		doctor_say(
		    a, DOCTOR_UNKNOWN, "the agent, which runs the deep check, does not answer");
	} else if (!deep || json_is_null(deep) || !*state) {
		doctor_say(a, DOCTOR_OK, "the deep check is not run here now");
	} else if (doctor_is(deep, "ok")) {
		doctor_say(a, DOCTOR_OK, "%lld probes by %lld workers, %lld failures",
		    doctor_number(deep, "probes"), doctor_number(deep, "workers"),
		    doctor_number(deep, "failures"));
	} else {
		bool dead = strcmp(state, "dead") == 0;

		doctor_say(a,
		    !d->holds_wan ? DOCTOR_OK
		    : dead        ? DOCTOR_PROBLEM
				  : DOCTOR_WARNING,
		    "%s: %s", state, doctor_text(deep, "text"));
		if (d->holds_wan)
			doctor_mend(a, "systemctl restart pptpd");
	}
}

void
doctor_daemon_tunnel(const struct doctor *d, struct doctor_answer *a)
{
	json_t *list =
	    doctor_output_json("ip -j link show dev " CLUSTER_TUNNEL_INTERFACE " 2>/dev/null");
	const json_t *row = json_array_get(list, 0);
	long long mtu = doctor_number(row, "mtu");
	int gre = facts_gre_sockets();

	if (!row || gre == 0) {
		doctor_say(a, DOCTOR_PROBLEM, "%s",
		    row ? "nobody has a GRE socket open"
			: "there is no interface " CLUSTER_TUNNEL_INTERFACE);
		doctor_mend(a, "systemctl restart pptpd");
	} else if (mtu < d->cluster->tunnel.mtu) {
		doctor_say(a, DOCTOR_WARNING, "%s has mtu %lld, want %u", CLUSTER_TUNNEL_INTERFACE,
		    mtu, d->cluster->tunnel.mtu);
		doctor_mend(a, "ip link set dev %s mtu %u", CLUSTER_TUNNEL_INTERFACE,
		    d->cluster->tunnel.mtu);
	} else {
		doctor_say(a, DOCTOR_OK, "%s with mtu %lld, %d GRE sockets",
		    CLUSTER_TUNNEL_INTERFACE, mtu, gre);
	}
	json_decref(list);
}

/* ---- descriptors ---- */

/* The limit that holds, and how far the process itself might raise it; -1 = unknown. */
static long long
limit_of(pid_t pid, long long *most)
{
	char path[64], line[256];
	long long limit = -1;
	FILE *f;

	*most = -1;
	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	f = fopen(path, "re");
	while (f && limit < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "Max open files %lld %lld", &limit, most);
	if (f)
		fclose(f);
	return limit;
}

static void
look_at_process(struct doctor_answer *a, pid_t pid, const char *what, long long want)
{
	long long most, limit = limit_of(pid, &most), spare = facts_process_files_free(pid);

	if (limit < 0)
		return;
	if (limit >= want && (spare < 0 || spare >= FILES_BESIDES / 2)) {
		doctor_also(a, DOCTOR_OK, "%s may open %lld, %lld are left", what, limit, spare);
		return;
	}
	doctor_also(a, DOCTOR_PROBLEM, "%s may open %lld files, %lld are left, want %lld", what,
	    limit, spare, want);
	want = limit + FILES_BESIDES > want ? limit + FILES_BESIDES : want;
	most = most > want ? most : want;
	if (*a->command)
		doctor_mend_also(a, "prlimit --pid %d --nofile=%lld:%lld", (int)pid, want, most);
	else
		doctor_mend(a, "prlimit --pid %d --nofile=%lld:%lld", (int)pid, want, most);
}

void
doctor_daemon_descriptors(const struct doctor *d, struct doctor_answer *a)
{
	char *path = hagent_path(d->h, HAGENT_PPTPD_SOCKET), name[96], children[512] = "";
	pid_t pid = facts_socket_owner(path);
	char *rest = children, *word;
	FILE *f;

	free(path);
	if (pid <= 0) {
		doctor_say(a, DOCTOR_UNKNOWN, "pptpd does not run");
		return;
	}
	doctor_say(a, DOCTOR_OK, "%s", "");
	look_at_process(a, pid, "pptpd", 2LL * FILES_BESIDES);
	snprintf(name, sizeof(name), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	f = fopen(name, "re");
	if (f && !fgets(children, sizeof(children), f))
		children[0] = '\0';
	if (f)
		fclose(f);
	while ((word = strsep(&rest, " \n"))) {
		if (*word)
			look_at_process(a, (pid_t)atoi(word), "its engine",
			    2LL * d->cluster->limits.sessions + FILES_BESIDES);
	}
}

void
doctor_daemon_room(const struct doctor *d, struct doctor_answer *a)
{
	const json_t *pool = json_object_get(d->pptpd, "pool");
	long long used = doctor_number(pool, "used"), size = doctor_number(pool, "size");
	long long sessions = doctor_number(d->pptpd, "sessions");
	unsigned most = d->settings->connections;

	if (!d->pptpd || size == 0) {
		doctor_say(a, DOCTOR_UNKNOWN, "pptpd says nothing of its pool");
		return;
	}
	doctor_say(a, DOCTOR_OK, "%lld of %lld addresses, %lld of %u sessions", used, size,
	    sessions, most);
	if (used * 100 >= size * ROOM_WARNING) {
		doctor_also(a, used >= size ? DOCTOR_PROBLEM : DOCTOR_WARNING,
		    "the next clients get no address");
		doctor_edit(a, "/etc/pptpd.conf", 0, "remoteip with more addresses");
	} else if (sessions * 100 >= (long long)most * ROOM_WARNING) {
		doctor_also(a, DOCTOR_WARNING, "the next clients are refused");
		doctor_edit(a, "/etc/pptpd.conf", 0, "connections %u", most * 2);
	}
}

/* ---- programs beside ---- */

static void
look_for(const struct doctor *d, struct doctor_answer *a, const char *pid_file, const char *comm,
    const char *unit, const char *means)
{
	char *path = hagent_path(d->h, pid_file);
	pid_t pid = facts_pid_file(path);

	if (pid > 0 && facts_is_called(pid, comm)) {
		doctor_say(a, DOCTOR_OK, "it runs, pid %d", (int)pid);
	} else {
		doctor_say(a, DOCTOR_PROBLEM, "it does not run (%s): %s",
		    pid > 0 ? "the pid file is of one that died" : "no pid file", means);
		doctor_mend(a, "systemctl restart %s", unit);
	}
	free(path);
}

void
doctor_daemon_keepalived(const struct doctor *d, struct doctor_answer *a)
{
	look_for(
	    d, a, HAGENT_VRRP_PID, "keepalived", "keepalived", "this gateway cannot become MASTER");
}

void
doctor_daemon_sshd(const struct doctor *d, struct doctor_answer *a)
{
	look_for(d, a, HAGENT_SSHD_PID, "sshd", "pptp-ha-sshd", "the peer cannot reach us");
}

void
doctor_daemon_link(const struct doctor *d, struct doctor_answer *a)
{
	const char *link = doctor_text(d->agent, "link");

	if (!d->agent) {
		doctor_say(a, DOCTOR_UNKNOWN, "the agent, which starts it, does not answer");
	} else if (strcmp(link, "running") == 0) {
		doctor_say(a, DOCTOR_OK, "it runs");
	} else {
		doctor_say(a, DOCTOR_PROBLEM, "it is %s", *link ? link : "unknown");
		doctor_mend(a, "systemctl restart hagent");
	}
}

void
doctor_daemon_maintenance(const struct doctor *d, struct doctor_answer *a)
{
	char *path = hagent_path(d->h, HAGENT_MAINTAINED);
	bool on = d->agent ? json_is_integer(json_object_get(d->agent, "maintenance")) : false;
	char *file = d->agent ? NULL : hagent_read(d->h, HAGENT_MAINTAINED);

	if (on || file) {
		doctor_say(a, DOCTOR_WARNING,
		    "it is on: this gateway serves only if the other one cannot");
		doctor_mend(a, "%s maintenance off", d->self);
	} else {
		doctor_say(a, DOCTOR_OK, "it is off");
	}
	free(file);
	free(path);
}

void
doctor_daemon_crashes(const struct doctor *d, struct doctor_answer *a)
{
	const json_t *crashes = json_object_get(d->agent, "crashes");
	size_t n = json_array_size(crashes);
	const json_t *last = json_array_get(crashes, n - 1);

	if (!d->agent) {
		doctor_say(a, DOCTOR_UNKNOWN, "the agent does not answer");
	} else if (n == 0) {
		doctor_say(a, DOCTOR_OK, "none");
	} else {
		doctor_say(a, DOCTOR_WARNING, "%zu crashes, the last one on %s: %s", n,
		    doctor_text(last, "node"), doctor_text(last, "cause"));
		doctor_mend_at(
		    a, doctor_text(last, "node"), "journalctl -u pptpd -p warning --since -1h");
	}
}
