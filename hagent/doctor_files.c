/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The doctor's checks of files: those that are rendered, keys, secrets, the daemon's own, and the
 * room on the disks. No check says a secret, or anything from which one could be told.
 */
#include <errno.h>
#include <ftw.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hagent/doctor.h"
#include "hagent/facts.h"
#include "hagent/pubkey.h"
#include "pptpd/conf/secrets.h"

#define DISK_FEW (16 * 1024) /* KiB */
#define DISK_LOW (64 * 1024)

/* `FILE:LINE: text` of a parser's first message becomes what was seen, and the line to change. */
static void
say_message(struct doctor_answer *a, const char *message, const char *fallback)
{
	char file[192], text[256];
	unsigned line = 0;

	doctor_say(a, DOCTOR_PROBLEM, "%.*s", (int)strcspn(message, "\n"), message);
	if (sscanf(message, "%191[^:]:%u: %255[^\n]", file, &line, text) == 3)
		doctor_edit(a, file, line, "%s", text);
	else
		doctor_edit(a, fallback, 0, "%.*s", (int)strcspn(message, "\n"), message);
}

void
doctor_files_cluster(const struct doctor *d, struct doctor_answer *a)
{
	char *path = hagent_path(d->h, HAGENT_CLUSTER);

	if (!d->cluster)
		say_message(a, d->cluster_error ? d->cluster_error : "out of memory", path);
	else if (!d->us) {
		doctor_say(a, DOCTOR_PROBLEM, "%s has no node %s: it names %s and %s", path,
		    d->h->node, d->cluster->nodes[0].name, d->cluster->nodes[1].name);
		doctor_mend(a, "hostnamectl set-hostname %s", d->cluster->nodes[0].name);
	} else {
		doctor_say(a, DOCTOR_OK, "%s is right: %s and %s, %zu apis", path,
		    d->cluster->nodes[0].name, d->cluster->nodes[1].name, d->cluster->n_apis);
	}
	free(path);
}

/* ---- rendered files ---- */

struct rendered {
	const char *path, *reload; /* what reads it anew; NULL = nothing has to */
};

/* The number of the first line that differs, from 1. */
static unsigned
first_difference(const char *a, const char *b)
{
	unsigned line = 1;

	for (; *a && *a == *b; a++, b++)
		line += *a == '\n';
	return line;
}

/* True if the file is as it should be; else it is named, and so is what mends it. */
static bool
is_rendered(const struct doctor *d, struct doctor_answer *a, const struct rendered *r)
{
	char *want = doctor_rendered(d, r->path), *have = hagent_read(d->h, r->path);
	bool same = want && have && strcmp(want, have) == 0;

	if (!want)
		doctor_also(
		    a, DOCTOR_UNKNOWN, "%s cannot be rendered: %s", r->path, strerror(errno));
	else if (!have)
		doctor_also(a, DOCTOR_PROBLEM, "%s%s is missing", d->h->root, r->path);
	else if (!same)
		doctor_also(a, DOCTOR_PROBLEM, "%s%s is not as rendered from line %u on",
		    d->h->root, r->path, first_difference(have, want));
	free(want);
	free(have);
	if (same)
		return true;
	if (!*a->command)
		doctor_mend(a, "%s render", d->self);
	if (r->reload && !strstr(a->command, r->reload))
		doctor_mend_also(a, "systemctl %s", r->reload);
	return false;
}

void
doctor_files_rendered(const struct doctor *d, struct doctor_answer *a)
{
	static const struct rendered files[] = {{HAGENT_GUARD, "reload pptp-ha-guard"},
	    {HAGENT_GATEWAY, "reload pptp-ha-firewall"}, {HAGENT_SYSCTL, "reload pptp-ha-sysctl"},
	    {HAGENT_CONNTRACKD, "restart conntrackd"}};
	bool all = true;

	a->verdict = DOCTOR_OK;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		all &= is_rendered(d, a, &files[i]);
	if (all)
		doctor_say(a, DOCTOR_OK,
		    "guard.nft, gateway.nft, sysctl.conf and conntrackd.conf are as rendered");
}

void
doctor_files_keepalived_conf(const struct doctor *d, struct doctor_answer *a)
{
	static const struct rendered file = {HAGENT_KEEPALIVED, "reload keepalived"};

	a->verdict = DOCTOR_OK;
	if (is_rendered(d, a, &file))
		doctor_say(a, DOCTOR_OK, "it is as rendered");
}

void
doctor_files_forced_command(const struct doctor *d, struct doctor_answer *a)
{
	static const struct rendered sshd = {HAGENT_SSHD, "reload pptp-ha-sshd"},
				     keys = {HAGENT_AUTHORIZED, NULL};
	char *peer = hagent_read(d->h, HAGENT_PEER_ID);

	a->verdict = DOCTOR_OK;
	/* Both, whatever the first one says. */
	bool good = is_rendered(d, a, &sshd);
	if (is_rendered(d, a, &keys) && good)
		doctor_say(a, DOCTOR_OK,
		    "sshd_config and authorized_keys are as rendered, the "
		    "command is hagent serve");
	if (!peer) {
		doctor_also(
		    a, DOCTOR_PROBLEM, "the peer's key was never imported: it cannot come in");
		doctor_mend(a, "%s keys import /tmp/peer-id.pub /tmp/peer-host.pub && %s render",
		    d->self, d->self);
	}
	free(peer);
}

void
doctor_files_known_hosts(const struct doctor *d, struct doctor_answer *a)
{
	static const struct rendered file = {HAGENT_KNOWN_HOSTS, NULL};

	a->verdict = DOCTOR_OK;
	if (is_rendered(d, a, &file))
		doctor_say(a, DOCTOR_OK, "it is as rendered");
}

/* ---- keys and secrets ---- */

/* A private key: there, ours or the pair user's, and nobody else's. */
static void
look_at_key(
    const struct doctor *d, struct doctor_answer *a, const char *path, const struct passwd *user)
{
	char *full = hagent_path(d->h, path);
	struct stat st;

	if (stat(full, &st) < 0) {
		doctor_also(a, DOCTOR_PROBLEM, "%s: %s", full, strerror(errno));
		doctor_mend(a, "%s keys init", d->self);
	} else if ((st.st_mode & 077) != 0 || (user && st.st_uid != user->pw_uid)) {
		doctor_also(a, DOCTOR_PROBLEM, "%s has mode %03o and owner %u, want 600 and %s",
		    full, (unsigned)(st.st_mode & 0777), (unsigned)st.st_uid, HAGENT_USER);
		if (!*a->command)
			doctor_mend(a, "chmod 600 %s", full);
		else
			doctor_mend_also(a, "chmod 600 %s", full);
		if (user && st.st_uid != user->pw_uid)
			doctor_mend_also(a, "chown %s: %s", HAGENT_USER, full);
	}
	free(full);
}

void
doctor_files_keys(const struct doctor *d, struct doctor_answer *a)
{
	const struct passwd *user = getpwnam(HAGENT_USER);

	a->verdict = DOCTOR_OK;
	if (!user) {
		doctor_also(a, DOCTOR_PROBLEM, "there is no user %s", HAGENT_USER);
		doctor_mend(a, "%s keys init", d->self);
	}
	look_at_key(d, a, HAGENT_ID, user);
	look_at_key(d, a, HAGENT_HOST_KEY, user);
	if (a->verdict == DOCTOR_OK)
		doctor_say(a, DOCTOR_OK, "both private keys are %s's alone", HAGENT_USER);
}

void
doctor_files_secrets_mode(const struct doctor *d, struct doctor_answer *a)
{
	char *path = hagent_path(d->h, d->settings->secrets_file);
	struct stat st;

	if (stat(path, &st) < 0) {
		doctor_say(a, DOCTOR_PROBLEM, "%s: %s: nobody can log in", path, strerror(errno));
		doctor_mend(a, "install -m 600 /dev/null %s", path);
	} else if ((st.st_mode & 077) != 0 || st.st_uid != 0) {
		doctor_say(a, DOCTOR_PROBLEM, "%s has mode %03o and owner %u, want 600 and root",
		    path, (unsigned)(st.st_mode & 0777), (unsigned)st.st_uid);
		doctor_mend(a, "chmod 600 %s", path);
		if (st.st_uid != 0)
			doctor_mend_also(a, "chown root: %s", path);
	} else {
		doctor_say(a, DOCTOR_OK, "%s has mode %03o and is root's", path,
		    (unsigned)(st.st_mode & 0777));
	}
	free(path);
}

/* The worst of all accounts is the one that is told, and how many others there are. */
static void
judge_passwords(struct doctor_answer *a, const char *path, const struct secrets *s)
{
	const struct secret *worst = NULL;
	enum doctor_verdict worst_v = DOCTOR_OK;
	const char *worst_why = NULL;
	unsigned weak = 0;

	for (size_t i = 0; i < secrets_count(s); i++) {
		const struct secret *entry = secrets_at(s, i);
		enum doctor_verdict v;
		const char *why = doctor_weak_password(entry->client, entry->password, &v);

		if (!why)
			continue;
		weak++;
		if (!worst || v > worst_v || (v == worst_v && entry->line < worst->line)) {
			worst = entry;
			worst_v = v;
			worst_why = why;
		}
	}
	if (!worst) {
		doctor_say(a, DOCTOR_OK, "%zu accounts, no weak password", secrets_count(s));
		return;
	}
	doctor_say(a, worst_v, "%u of %zu accounts have a weak password; that of \"%.64s\" %s",
	    weak, secrets_count(s), worst->client, worst_why);
	doctor_edit(a, path, worst->line,
	    "give \"%.64s\" a password of 14 random characters, such as `openssl rand -base64 12` "
	    "makes",
	    worst->client);
}

void
doctor_files_passwords(const struct doctor *d, struct doctor_answer *a)
{
	char *path = hagent_path(d->h, d->settings->secrets_file);
	char *text = hagent_read(d->h, d->settings->secrets_file);
	struct conf_errors e = {0};
	struct secrets *s = text ? secrets_parse(path, text, &e) : NULL;

	if (!s)
		doctor_say(a, DOCTOR_UNKNOWN, "%s: %s", path, strerror(errno));
	else if (e.errors > 0)
		say_message(a, e.text, path);
	else
		judge_passwords(a, path, s);
	secrets_free(s);
	conf_errors_fini(&e);
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	free(path);
}

/* ---- the daemon's files ---- */

static unsigned
line_of(const struct doctor *d, const char *file, const char *word)
{
	char *text = hagent_read(d->h, file);
	unsigned line = text ? doctor_line_of(text, word) : 0;

	free(text);
	return line;
}

/* A list of addresses lies inside a network. */
static bool
lies_inside(const struct ip_list *l, struct cluster_net net)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!cluster_net_has(net, l->ranges[i].first) ||
		    !cluster_net_has(net, l->ranges[i].last))
			return false;
	}
	return true;
}

/* The daemon's files against cluster.conf, whose rules drop what does not fit. */
static bool
agree(const struct doctor *d, struct doctor_answer *a, const char *main_file)
{
	const struct cluster *c = d->cluster;
	const struct settings *s = d->settings;
	const char *net = conf_ipv4(c->tunnel.network.address);
	unsigned bits = c->tunnel.network.prefix;

	if (!lies_inside(&s->remote_ips, c->tunnel.network)) {
		doctor_say(a, DOCTOR_PROBLEM,
		    "remoteip names addresses outside of tunnel { network = %s/%u }: their packets "
		    "are dropped",
		    net, bits);
		doctor_edit(a, main_file, line_of(d, "/etc/pptpd.conf", "remoteip"),
		    "remoteip with addresses inside %s/%u", net, bits);
	} else if (!ip_list_has(&s->local_ips, c->tunnel.local)) {
		doctor_say(a, DOCTOR_PROBLEM, "localip lacks %s, which cluster.conf names as local",
		    conf_ipv4(c->tunnel.local));
		doctor_edit(a, main_file, line_of(d, "/etc/pptpd.conf", "localip"), "localip %s",
		    conf_ipv4(c->tunnel.local));
	} else if (s->listen != 0 && s->listen != c->vip_wan.address) {
		doctor_say(a, DOCTOR_PROBLEM, "listen is %s, want the virtual address %s",
		    conf_ipv4(s->listen), conf_ipv4(c->vip_wan.address));
		doctor_edit(a, main_file, line_of(d, "/etc/pptpd.conf", "listen"), "listen %s",
		    conf_ipv4(c->vip_wan.address));
	} else if (s->mtu > c->tunnel.mtu) {
		doctor_say(a, DOCTOR_WARNING,
		    "mtu is %u, but tunnel { mtu } %u makes the segment size", s->mtu,
		    c->tunnel.mtu);
		doctor_edit(
		    a, s->option_file, line_of(d, s->option_file, "mtu"), "mtu %u", c->tunnel.mtu);
	} else {
		return true;
	}
	return false;
}

void
doctor_files_pptpd_conf(const struct doctor *d, struct doctor_answer *a)
{
	char *main_file = hagent_path(d->h, "/etc/pptpd.conf");

	if (d->settings_error)
		say_message(a, d->settings_error, main_file);
	else if (agree(d, a, main_file))
		doctor_say(a, DOCTOR_OK, "%u addresses for clients inside %s/%u, mtu %u",
		    d->settings->remote_ips.total, conf_ipv4(d->cluster->tunnel.network.address),
		    d->cluster->tunnel.network.prefix, d->settings->mtu);
	free(main_file);
}

/* ---- disks ---- */

/*
 * The largest file of a folder's file system, among those that may be in the way. nftw() gives its
 * callback no argument, so the result is in the process: a check has one of its own.
 */
static _Thread_local struct {
	char path[1024];
	off_t size;
	dev_t device;
} largest;

static int
note_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	if (type == FTW_F && st->st_dev == largest.device &&
	    (off_t)st->st_blocks * 512 > largest.size && strlen(path) < sizeof(largest.path)) {
		snprintf(largest.path, sizeof(largest.path), "%s", path);
		largest.size = (off_t)st->st_blocks * 512;
	}
	return 0;
}

/* Where rubbish gathers: logs, cores, and what was put down in the state folder by hand. */
static void
name_largest(const struct doctor *d, struct doctor_answer *a, const char *folder)
{
	const char *const places[] = {HAGENT_STATE, "/var/log", "/var/crash",
	    "/var/lib/systemd/coredump", "/var/cache/apt/archives", "/tmp"};
	struct stat st;

	if (stat(folder, &st) < 0)
		return;
	largest.device = st.st_dev;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char *full = hagent_path(d->h, places[i]);

		nftw(full, note_file, 16, FTW_PHYS | FTW_MOUNT);
		free(full);
	}
	if (!*largest.path)
		return;
	doctor_also(a, DOCTOR_OK, "the largest file that may go is %s, %lld MiB", largest.path,
	    (long long)(largest.size >> 20));
	if (!strchr(largest.path, '\''))
		doctor_mend(a, "rm -i '%s'", largest.path);
}

void
doctor_files_disk(const struct doctor *d, struct doctor_answer *a)
{
	const char *const folders[] = {HAGENT_STATE, HAGENT_ETC, "/var/log"};
	char *worst = NULL;
	int64_t least = -1;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		char *full = hagent_path(d->h, folders[i]);
		int64_t kib = facts_disk_free_kib(full);

		if (kib >= 0 && (least < 0 || kib < least)) {
			least = kib;
			free(worst);
			worst = full;
		} else {
			free(full);
		}
	}
	if (!worst) {
		doctor_say(
		    a, DOCTOR_PROBLEM, "%s%s: %s", d->h->root, HAGENT_STATE, strerror(errno));
		doctor_mend(a, "systemd-tmpfiles --create");
		return;
	}
	doctor_say(a,
	    least < DISK_FEW   ? DOCTOR_PROBLEM
	    : least < DISK_LOW ? DOCTOR_WARNING
			       : DOCTOR_OK,
	    "%lld MiB left for %s", (long long)least / 1024, worst);
	if (a->verdict != DOCTOR_OK)
		name_largest(d, a, worst);
	free(worst);
}
