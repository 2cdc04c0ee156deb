/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cluster.conf into struct cluster: the table of directives, the checked conversions, and the walk
 * that joins the outline's lines with libconfuse's values. What the values must be to each other
 * is cluster_check.c.
 */
#include "hagent/cluster.h"

#include <confuse.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "hagent/cluster_check.h"
#include "hagent/cluster_drill.h"

enum type {
	UINT,
	IPV4,
	ADDRESS,
	NETWORK,
	NETWORKS,
	NAME,
	INTERFACE,
	YESNO,
	PEER_LOSS,
	COMMAND,
	PROTOCOL,
	RANGE,
	WEB,
	PORTS,
	FILES,
	DRILL,
	SCHEDULE,
	BLACKOUTS,
	AFTER_FAILURE,
	LINK,
	ACCOUNT
};

struct row {
	const char *section; /* "" = top level */
	const char *name;
	enum type type;
	size_t offset;        /* in struct cluster; in the node's or api's own struct for those */
	const char *fallback; /* NULL = must be given */
	unsigned min, max;    /* UINT */
};

#define OPTIONAL     "" /* nothing is a value of its own */
#define AT(member)   offsetof(struct cluster, member)
#define NODE(member) offsetof(struct cluster_node, member)
#define API(member)  offsetof(struct cluster_api, member)
#define PLAN(member) offsetof(struct drill_plan, member)

static const struct row rows[] = {
    {"", "format", UINT, AT(format), NULL, 1, 1},
    {"", "client-networks", NETWORKS, AT(clients), NULL, 0, 0},
    {"", "not-bogon", NETWORKS, AT(not_bogons), OPTIONAL, 0, 0},
    {"pair", "name", NAME, AT(pair.name), "pptp-ha", 0, 0},
    {"pair", "vrrp-id", UINT, AT(pair.vrrp_id), "51", 1, 255},
    {"pair", "advert-interval-ms", UINT, AT(pair.advert_interval_ms), "100", 10, 40950},
    {"pair", "priority", UINT, AT(pair.priority), "250", 2, 252}, /* + 2, see agent_split.c */
    {"pair", "garp-repeat", UINT, AT(pair.garp_repeat), "3", 1, 50},
    {"pair", "garp-refresh-s", UINT, AT(pair.garp_refresh_s), "10", 0, 3600},
    {"node", "wan-address", IPV4, NODE(wan), NULL, 0, 0},
    {"node", "lan-address", IPV4, NODE(lan), NULL, 0, 0},
    {"node", "sync-address", IPV4, NODE(sync), NULL, 0, 0},
    {"node", "wan-interface", INTERFACE, NODE(wan_if), NULL, 0, 0},
    {"node", "lan-interface", INTERFACE, NODE(lan_if), NULL, 0, 0},
    {"node", "sync-interface", INTERFACE, NODE(sync_if), NULL, 0, 0},
    {"vip", "wan", ADDRESS, AT(vip_wan), NULL, 0, 0},
    {"vip", "lan", ADDRESS, AT(vip_lan), NULL, 0, 0},
    {"tunnel", "network", NETWORK, AT(tunnel.network), NULL, 0, 0},
    {"tunnel", "local", IPV4, AT(tunnel.local), NULL, 0, 0},
    {"tunnel", "mtu", UINT, AT(tunnel.mtu), "1400", 576, 1500},
    {"sync", "network", NETWORK, AT(sync.network), NULL, 0, 0},
    {"sync", "ssh-port", UINT, AT(sync.ssh_port), "2222", 1024, 65535},
    {"sync", "conntrackd-port", UINT, AT(sync.conntrackd_port), "3780", 1, 65535},
    {"sync", "files", FILES, AT(sync.files), OPTIONAL, 0, 0},
    {"api", "address", IPV4, API(address), NULL, 0, 0},
    {"api", "protocol", PROTOCOL, API(protocol), NULL, 0, 0},
    {"api", "ports", PORTS, API(ports), OPTIONAL, 0, 0},
    {"nat", "tunnel-to-wan", YESNO, AT(nat.tunnel_to_wan), "no", 0, 0},
    {"nat", "tunnel-to-lan", YESNO, AT(nat.tunnel_to_lan), "no", 0, 0},
    {"nat", "lan-to-wan", YESNO, AT(nat.lan_to_wan), "no", 0, 0},
    {"nat", "ports", RANGE, AT(nat.ports), "20000-60000", 0, 0},
    {"limits", "sessions", UINT, AT(limits.sessions), "1000", 1, 65535},
    {"limits", "connections-per-minute", UINT, AT(limits.connections_per_minute), "120", 1,
	1000000},
    {"limits", "connection-burst", UINT, AT(limits.connection_burst), "60", 1, 1000000},
    {"limits", "ban-seconds", UINT, AT(limits.ban_seconds), "0", 0, 86400},
    {"health", "pptpd-timeout-ms", UINT, AT(health.pptpd_timeout_ms), "300", 10, 60000},
    {"health", "failures", UINT, AT(health.failures), "2", 1, 100},
    {"health", "moves-per-10-minutes", UINT, AT(health.moves_per_10_minutes), "2", 0, 100},
    {"health", "hold-down-s", UINT, AT(health.hold_down_s), "10", 0, 600},
    {"health", "hold-down-max-s", UINT, AT(health.hold_down_max_s), "300", 0, 600},
    {"health", "ride-out-s", UINT, AT(health.ride_out_s), "10", 0, 600},
    {"health", "deep-check", YESNO, AT(health.deep_check), "yes", 0, 0},
    {"health", "deep-check-timeout-ms", UINT, AT(health.deep_check_timeout_ms), "3000", 1000,
	60000},
    {"split", "peer-loss", PEER_LOSS, AT(split.peer_loss), "continue", 0, 0},
    {"split", "fence-command", COMMAND, AT(split.fence_command), OPTIONAL, 0, 0},
    {"split", "fence-timeout-ms", UINT, AT(split.fence_timeout_ms), "5000", 100, 60000},
    {"timeouts", "copy-ms", UINT, AT(timeouts.copy_ms), "1000", 10, 60000},
    {"timeouts", "epoch-ms", UINT, AT(timeouts.epoch_ms), "500", 10, 60000},
    {"timeouts", "promote-ms", UINT, AT(timeouts.promote_ms), "1000", 10, 60000},
    {"timeouts", "commit-ms", UINT, AT(timeouts.commit_ms), "100", 10, 60000},
    {"timeouts", "gate-ms", UINT, AT(timeouts.gate_ms), "500", 10, 60000},
    {"timeouts", "announce-ms", UINT, AT(timeouts.announce_ms), "500", 10, 60000},
    {"timeouts", "pull-ms", UINT, AT(timeouts.pull_ms), "10000", 10, 600000},
    {"timeouts", "yield-ms", UINT, AT(timeouts.yield_ms), "2000", 10, 60000},
    {"timeouts", "demote-ms", UINT, AT(timeouts.demote_ms), "1000", 10, 60000},
    {"timeouts", "resync-ms", UINT, AT(timeouts.resync_ms), "1000", 10, 60000},
    {"timeouts", "check-ms", UINT, AT(timeouts.check_ms), "3000", 10, 60000},
    {"timeouts", "prepare-ms", UINT, AT(timeouts.prepare_ms), "2000", 10, 60000},
    {"timeouts", "handover-ms", UINT, AT(timeouts.handover_ms), "1500", 10, 60000},
    {"timeouts", "address-ms", UINT, AT(timeouts.address_ms), "3000", 10, 60000},
    {"drill", "kind", DRILL, PLAN(kind), "planned", 0, 0},
    {"drill", "schedule", SCHEDULE, PLAN(schedule), OPTIONAL, 0, 0},
    {"drill", "blackout", BLACKOUTS, PLAN(blackout), OPTIONAL, 0, 0},
    {"drill", "fail-back", YESNO, PLAN(fail_back), "no", 0, 0},
    {"drill", "after-failure", AFTER_FAILURE, PLAN(after_failure), "stop", 0, 0},
    {"drill", "link", LINK, PLAN(link), "wan", 0, 0},
    {"drill", "outage-s", UINT, PLAN(outage_s), "6", 3, 60},
    {"drill", "before-s", UINT, PLAN(before_s), "3", 1, 60},
    {"drill", "after-s", UINT, PLAN(after_s), "5", 1, 60},
    {"drill", "max-sessions", UINT, PLAN(max_sessions), "65535", 0, 65535},
    {"drill", "max-lost", UINT, PLAN(max_lost), "0", 0, 65535},
    {"drill", "max-gap-ms", UINT, PLAN(max_gap_ms), "2000", 1, 60000},
    {"drill", "max-detection-ms", UINT, PLAN(max_detection_ms), "1000", 1, 60000},
    {"drill", "witness-command", COMMAND, PLAN(witness_command), OPTIONAL, 0, 0},
    {"drill", "account", ACCOUNT, PLAN(account), OPTIONAL, 0, 0},
    {"drill", "load-sessions", UINT, PLAN(load_sessions), "20", 1, 1000},
    {"management", "networks", NETWORKS, AT(management.networks), OPTIONAL, 0, 0},
    {"management", "tcp-ports", PORTS, AT(management.tcp_ports), OPTIONAL, 0, 0},
    {"management", "web-address", WEB, AT(management.web), "127.0.0.1:9723", 0, 0},
    {"management", "web-token-file", COMMAND, AT(management.web_token_file), OPTIONAL, 0, 0},
    {"management", "web-certificate", COMMAND, AT(management.web_certificate), OPTIONAL, 0, 0},
    {"management", "web-key", COMMAND, AT(management.web_key), OPTIONAL, 0, 0},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct section {
	const char *name;
	bool titled, required;
} sections[] = {
    {"pair", false, false},
    {"node", true, true},
    {"vip", false, true},
    {"tunnel", false, true},
    {"sync", false, true},
    {"api", true, false},
    {"nat", false, false},
    {"limits", false, false},
    {"health", false, false},
    {"split", false, false},
    {"timeouts", false, false},
    {"drill", true, false},
    {"management", false, false},
};
#define N_SECTIONS (sizeof(sections) / sizeof(sections[0]))

struct reading {
	struct cluster *c;
	const char *file;
	struct conf_errors *e;
	struct outline outline;
};

static bool
is_list(const struct row *row)
{
	return row->type == NETWORKS || row->type == PORTS || row->type == FILES ||
	       row->type == BLACKOUTS;
}

static const char *
want(const struct row *row)
{
	static _Thread_local char bounds[32];
	static const char *const texts[] = {
	    [IPV4] = "an IPv4 address",
	    [ADDRESS] = "an address with its prefix such as 198.51.100.10/24",
	    [NETWORK] = "a network such as 192.168.1.0/24",
	    [NETWORKS] = "at most 64 networks such as 192.168.1.0/24",
	    [NAME] = "1..31 letters, digits, - or _",
	    [INTERFACE] = "an interface name of 1..15 characters",
	    [YESNO] = "yes or no",
	    [PEER_LOSS] = "continue or fence",
	    [COMMAND] = "an absolute path of at most 127 letters, digits, -, _, . and /",
	    [PROTOCOL] = "tcp, udp or icmp",
	    [RANGE] = "a range of ports such as 20000-60000",
	    [WEB] = "127.0.0.1, 0.0.0.0, lan, sync or wan, and a port 1024..65535, such as "
		    "127.0.0.1:9723",
	    [PORTS] = "at most 64 ports 1..65535 or ranges such as 8000-8010",
	    [DRILL] = "planned, crash, link, daemon or load",
	    [SCHEDULE] = CALENDAR_WANT,
	    [BLACKOUTS] = "at most 8 windows such as Mon..Fri 08:00-18:00 or 12-20..01-06",
	    [AFTER_FAILURE] = "stop or continue",
	    [LINK] = "wan or lan",
	    [ACCOUNT] = "a name of chap-secrets, 1..63 characters",
	    [FILES] = "at most 16 absolute paths of at most 127 letters, digits, -, _, . and /",
	};

	if (row->type != UINT)
		return texts[row->type];
	if (row->min == row->max)
		snprintf(bounds, sizeof(bounds), "%u", row->min);
	else
		snprintf(bounds, sizeof(bounds), "%u..%u", row->min, row->max);
	return bounds;
}

/* address/prefix; host bits are legal only where `host` says so. */
static int
parse_net(const char *s, bool host, struct cluster_net *out)
{
	char address[sizeof("255.255.255.255")];
	const char *slash = strchr(s, '/');
	struct cluster_net net;

	if (!slash || (size_t)(slash - s) >= sizeof(address))
		return -1;
	memcpy(address, s, (size_t)(slash - s));
	address[slash - s] = '\0';
	if (conf_parse_ipv4(address, &net.address) < 0 ||
	    conf_parse_uint(slash + 1, 0, 32, &net.prefix) < 0)
		return -1;
	if (!host && cluster_net_of(net).address != net.address)
		return -1;
	*out = net;
	return 0;
}

static int
parse_range(const char *s, struct cluster_range *out)
{
	char first[6];
	size_t len = strcspn(s, "-");
	unsigned a, b;

	if (len >= sizeof(first))
		return -1;
	memcpy(first, s, len);
	first[len] = '\0';
	if (conf_parse_uint(first, 1, 65535, &a) < 0)
		return -1;
	b = a;
	if (s[len] == '-' && conf_parse_uint(s + len + 1, a, 65535, &b) < 0)
		return -1;
	*out = (struct cluster_range){(uint16_t)a, (uint16_t)b};
	return 0;
}

static int
parse_name(const char *s, const char *chars, size_t max, char out[static CLUSTER_NAME_MAX])
{
	size_t len = strlen(s);

	if (len == 0 || len > max || s[strspn(s, chars)] != '\0')
		return -1;
	memcpy(out, s, len + 1);
	return 0;
}

#define LETTERS_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* No empty, "." or ".." component, so that one file has one spelling. */
static int
parse_path(const char *s, char out[static CLUSTER_PATH_MAX])
{
	size_t len = strlen(s);

	if (*s != '/' || len >= CLUSTER_PATH_MAX || s[strspn(s, LETTERS_DIGITS "-_./")] != '\0')
		return -1;
	for (const char *part = s; *part == '/'; part += strcspn(part, "/")) {
		size_t n = strcspn(++part, "/");

		if (n == 0 || strspn(part, ".") == n)
			return -1;
	}
	memcpy(out, s, len + 1);
	return 0;
}

static int
parse_word(const char *s, const char *const *words, unsigned *out)
{
	for (unsigned i = 0; words[i]; i++) {
		if (strcmp(s, words[i]) == 0) {
			*out = i;
			return 0;
		}
	}
	return -1;
}

static int
parse_web(const char *s, struct cluster_web *out)
{
	static const char *const words[] = {"lan", "sync", "wan", NULL};
	char place[sizeof("255.255.255.255")];
	size_t len = strcspn(s, ":");
	struct cluster_web web = {.where = CLUSTER_WEB_ADDRESS};
	unsigned port;

	if (len >= sizeof(place) || s[len] != ':' ||
	    conf_parse_uint(s + len + 1, 1024, 65535, &port) < 0)
		return -1;
	memcpy(place, s, len);
	place[len] = '\0';
	web.port = (uint16_t)port;
	if (parse_word(place, words, &web.where) < 0 &&
	    (conf_parse_ipv4(place, &web.address) < 0 ||
		(web.address != 0 && web.address >> 24 != 127)))
		return -1;
	*out = web;
	return 0;
}

/* The conversion of one value, or of one element of a list. */
static int
parse_value(const struct row *row, const char *s, void *out)
{
	struct cluster_nets *nets = out;
	struct cluster_ports *ports = out;
	struct cluster_files *files = out;
	unsigned word;

	switch (row->type) {
	case UINT:
		return conf_parse_uint(s, row->min, row->max, out);
	case IPV4:
		return conf_parse_ipv4(s, out);
	case ADDRESS:
		return parse_net(s, true, out);
	case NETWORK:
		return parse_net(s, false, out);
	case NETWORKS:
		return nets->n < CLUSTER_NETS && parse_net(s, false, &nets->v[nets->n]) == 0
			   ? (nets->n++, 0)
			   : -1;
	case NAME:
		return parse_name(s, LETTERS_DIGITS "-_", CLUSTER_NAME_MAX - 1, out);
	case INTERFACE:
		return parse_name(s, LETTERS_DIGITS "-_.", 15, out);
	case YESNO:
		if (parse_word(s, (const char *const[]){"no", "yes", NULL}, &word) < 0)
			return -1;
		*(bool *)out = word == 1;
		return 0;
	case PEER_LOSS:
		return parse_word(s, (const char *const[]){"continue", "fence", NULL}, out);
	case COMMAND:
		return parse_path(s, out);
	case PROTOCOL:
		return parse_word(s, (const char *const[]){"tcp", "udp", "icmp", NULL}, out);
	case RANGE:
		return parse_range(s, out);
	case WEB:
		return parse_web(s, out);
	case PORTS:
		return ports->n < CLUSTER_PORTS && parse_range(s, &ports->v[ports->n]) == 0
			   ? (ports->n++, 0)
			   : -1;
	case FILES:
		return files->n < CLUSTER_FILES && parse_path(s, files->v[files->n]) == 0
			   ? (files->n++, 0)
			   : -1;
	case DRILL:
		return cluster_parse_kind(s, out);
	case SCHEDULE:
		return cluster_parse_schedule(s, out);
	case BLACKOUTS:
		return cluster_parse_blackout(s, out);
	case AFTER_FAILURE:
		return parse_word(s, (const char *const[]){"stop", "continue", NULL}, out);
	case LINK:
		return parse_word(s, (const char *const[]){"wan", "lan", NULL}, out);
	case ACCOUNT:
		return cluster_parse_account(s, out);
	}
	return -1;
}

/* All directives of one section, cfg, into base. line: of the section, 0 at the top. */
static void
read_rows(struct reading *r, cfg_t *cfg, const char *section, const char *title, unsigned line,
    char *base)
{
	for (const struct row *row = rows; row < rows + N_ROWS; row++) {
		if (strcmp(row->section, section) != 0)
			continue;
		unsigned n = cfg ? cfg_size(cfg, row->name) : 0;
		const struct outline_entry *at =
		    outline_find(&r->outline, section, title, row->name);

		if (n == 0 && at) {
			conf_error(r->e, r->file, at->line, "%s: got an empty list, want %s",
			    row->name, want(row));
		} else if (n == 0 && !row->fallback) {
			conf_error(
			    r->e, r->file, line, "%s: got nothing, want %s", row->name, want(row));
		} else if (n == 0 && *row->fallback) {
			parse_value(row, row->fallback, base + row->offset);
		}
		for (unsigned i = 0; i < n; i++) {
			const char *value = cfg_getnstr(cfg, row->name, i);

			if (parse_value(row, value, base + row->offset) < 0) {
				conf_error(r->e, r->file, at ? at->line : line,
				    "%s: got \"%s\", want %s", row->name,
				    log_quote(value, strlen(value)), want(row));
			}
		}
	}
}

static const struct section *
find_section(const char *name)
{
	for (size_t i = 0; i < N_SECTIONS; i++) {
		if (strcmp(sections[i].name, name) == 0)
			return &sections[i];
	}
	return NULL;
}

/* Where a section's values go, or NULL when there is no room or the title is no name. */
static char *
section_base(struct reading *r, const char *name, const char *title, unsigned line)
{
	struct cluster *c = r->c;
	char checked[CLUSTER_NAME_MAX];

	if (!find_section(name)->titled)
		return (char *)c;
	if (parse_name(title, LETTERS_DIGITS "-_", CLUSTER_NAME_MAX - 1, checked) < 0) {
		conf_error(r->e, r->file, line,
		    "%s: got \"%s\", want 1..31 letters, digits, - or _", name,
		    log_quote(title, strlen(title)));
		return NULL;
	}
	if (strcmp(name, "node") == 0) {
		if (c->n_nodes == CLUSTER_NODES)
			return NULL; /* the check counts them in the outline */
		struct cluster_node *node = &c->nodes[c->n_nodes++];
		node->line = line;
		memcpy(node->name, checked, sizeof(checked));
		return (char *)node;
	}
	if (strcmp(name, "drill") == 0) {
		if (c->n_drills == CLUSTER_DRILLS || drill_kind_of(title) >= 0) {
			conf_error(r->e, r->file, line,
			    "drill: got \"%s\", want at most %d, not called as a kind is", title,
			    CLUSTER_DRILLS);
			return NULL;
		}
		struct drill_plan *plan = &c->drills[c->n_drills++];
		plan->line = line;
		memcpy(plan->name, checked, sizeof(checked));
		return (char *)plan;
	}
	if (c->n_apis == CLUSTER_APIS) {
		conf_error(
		    r->e, r->file, line, "api: got \"%s\", want at most %d", title, CLUSTER_APIS);
		return NULL;
	}
	struct cluster_api *api = &c->apis[c->n_apis++];
	api->line = line;
	memcpy(api->name, checked, sizeof(checked));
	return (char *)api;
}

/* Interfaces are looked for later, when the text is gone. */
static void
note_interface_lines(struct reading *r, struct cluster_node *node)
{
	static const char *const names[] = {"wan-interface", "lan-interface", "sync-interface"};

	for (size_t i = 0; i < 3; i++) {
		const struct outline_entry *at =
		    outline_find(&r->outline, "node", node->name, names[i]);

		node->if_lines[i] = at ? at->line : node->line;
	}
}

static void
read_sections(struct reading *r, cfg_t *cfg, const struct section *section)
{
	unsigned n = cfg_size(cfg, section->name);

	if (n == 0 && section->required) {
		conf_error(r->e, r->file, 0, "%s: got nothing, want a section \"%s%s {}\"",
		    section->name, section->name, section->titled ? " NAME" : "");
	} else if (n == 0 && !section->titled) {
		read_rows(r, NULL, section->name, "", 0, (char *)r->c);
	}
	for (unsigned i = 0; i < n; i++) {
		cfg_t *sub = cfg_getnsec(cfg, section->name, i);
		const char *title = section->titled ? cfg_title(sub) : "";
		const struct outline_entry *at =
		    outline_find(&r->outline, section->name, title, "");
		unsigned line = at ? at->line : 0;
		char *base = section_base(r, section->name, title, line);

		if (base)
			read_rows(r, sub, section->name, title, line, base);
		if (base && strcmp(section->name, "node") == 0)
			note_interface_lines(r, (struct cluster_node *)(void *)base);
	}
}

static const struct row *
find_row(const char *section, const char *name)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		if (strcmp(rows[i].section, section) == 0 && strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	return NULL;
}

/*
 * A name that the table lacks. False: a section that libconfuse cannot pass over or read, so that
 * the values are not worth a look.
 */
static bool
check_known(struct reading *r, const struct outline_entry *entry)
{
	const struct section *section = find_section(entry->section);

	if (entry->name[0] && *entry->section && !section)
		return true; /* its section was named already */
	if (entry->name[0]) {
		if (!find_row(entry->section, entry->name))
			conf_error(r->e, r->file, entry->line,
			    "%s: got \"%s\", want a directive of %s",
			    *entry->section ? entry->section : "cluster.conf", entry->name,
			    *entry->section ? "this section" : "the top level");
	} else if (!section) {
		conf_error(r->e, r->file, entry->line,
		    "cluster.conf: got \"%s\", want a known section", entry->section);
		return false;
	} else if (section->titled != (entry->title[0] != '\0')) {
		conf_error(r->e, r->file, entry->line, "%s: got \"%s {\", want \"%s%s {\"",
		    section->name, entry->title, section->name, section->titled ? " NAME" : "");
		return false;
	}
	return true;
}

/* What stands twice: libconfuse would keep the last one. False: a section does. */
static bool
check_duplicates(struct reading *r)
{
	const struct outline *o = &r->outline;
	bool good = true;

	for (size_t i = 1; i < o->n; i++) {
		const struct outline_entry *b = &o->v[i];

		for (size_t k = 0; k < i; k++) {
			const struct outline_entry *a = &o->v[k];

			if (strcmp(a->section, b->section) != 0 ||
			    strcmp(a->title, b->title) != 0 || strcmp(a->name, b->name) != 0)
				continue;
			conf_error(r->e, r->file, b->line,
			    "%s: got it again, want it once (line %u has it)",
			    *b->name ? b->name : b->section, a->line);
			good &= *b->name != '\0';
			break;
		}
	}
	return good;
}

/* libconfuse's callback has no user pointer; its lexer is global as it is. */
static _Thread_local char confuse_said[128];

static void
on_confuse_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	(void)cfg;
	vsnprintf(confuse_said, sizeof(confuse_said), fmt, ap);
}

/* libconfuse's description of one section, "" = the top, from our tables; it copies all of it. */
static void
describe(const char *section, cfg_opt_t opts[static N_ROWS + 1])
{
	size_t n = 0;

	for (const struct row *row = rows; row < rows + N_ROWS; row++) {
		if (strcmp(row->section, section) != 0)
			continue;
		opts[n++] = is_list(row) ? (cfg_opt_t)CFG_STR_LIST(row->name, NULL, CFGF_NODEFAULT)
					 : (cfg_opt_t)CFG_STR(row->name, NULL, CFGF_NODEFAULT);
	}
	opts[n] = (cfg_opt_t)CFG_END();
}

static cfg_t *
parse_values(struct reading *r)
{
	cfg_opt_t subs[N_SECTIONS][N_ROWS + 1], opts[N_ROWS + N_SECTIONS + 1];
	size_t n = 0;

	describe("", opts);
	while (opts[n].name)
		n++;
	for (size_t i = 0; i < N_SECTIONS; i++) {
		describe(sections[i].name, subs[i]);
		opts[n++] = (cfg_opt_t)CFG_SEC(
		    sections[i].name, subs[i], CFGF_MULTI | (sections[i].titled ? CFGF_TITLE : 0));
	}
	opts[n] = (cfg_opt_t)CFG_END();

	cfg_t *cfg = cfg_init(opts, CFGF_IGNORE_UNKNOWN); /* check_known() names them */
	if (!cfg)
		return NULL;
	cfg_set_error_function(cfg, on_confuse_error);
	confuse_said[0] = '\0';
	if (cfg_parse_buf(cfg, r->outline.clean) != CFG_SUCCESS) {
		conf_error(r->e, r->file, (unsigned)cfg->line, "syntax: %s",
		    confuse_said[0] ? confuse_said : "libconfuse cannot read it");
		cfg_free(cfg);
		return NULL;
	}
	return cfg;
}

void
cluster_drill_default(enum drill_kind kind, struct drill_plan *out)
{
	*out = (struct drill_plan){.kind = kind};
	for (const struct row *row = rows; row < rows + N_ROWS; row++) {
		if (strcmp(row->section, "drill") == 0 && *row->fallback &&
		    strcmp(row->name, "kind") != 0)
			parse_value(row, row->fallback, (char *)out + row->offset);
	}
	snprintf(out->name, sizeof(out->name), "%s", drill_kind_name(kind));
}

struct cluster *
cluster_parse(const char *file, const char *text, struct conf_errors *e)
{
	struct reading r = {.c = calloc(1, sizeof(*r.c)), .file = file, .e = e};
	unsigned before = e->errors;
	cfg_t *cfg = NULL;

	if (!r.c)
		return NULL;
	if (outline_read(&r.outline, file, text, e) < 0)
		goto out;
	bool good = true;
	for (size_t i = 0; i < r.outline.n; i++)
		good &= check_known(&r, &r.outline.v[i]);
	good &= check_duplicates(&r);
	if (good && (cfg = parse_values(&r)) != NULL) {
		read_rows(&r, cfg, "", "", 0, (char *)r.c);
		for (size_t i = 0; i < N_SECTIONS; i++)
			read_sections(&r, cfg, &sections[i]);
		cluster_check(r.c, file, &r.outline, e);
	}
out:
	if (cfg)
		cfg_free(cfg);
	outline_fini(&r.outline);
	if (e->errors == before && cfg)
		return r.c;
	cluster_free(r.c);
	return NULL;
}

void
cluster_free(struct cluster *c)
{
	free(c);
}

const struct cluster_node *
cluster_node(const struct cluster *c, const char *name)
{
	for (size_t i = 0; i < c->n_nodes; i++) {
		if (strcmp(c->nodes[i].name, name) == 0)
			return &c->nodes[i];
	}
	return NULL;
}

const struct cluster_node *
cluster_peer(const struct cluster *c, const struct cluster_node *us)
{
	return us == &c->nodes[0] ? &c->nodes[1] : &c->nodes[0];
}

bool
cluster_web_is_local(const struct cluster *c)
{
	const struct cluster_web *w = &c->management.web;

	return w->where == CLUSTER_WEB_ADDRESS && w->address >> 24 == 127;
}

unsigned
cluster_priority(const struct cluster *c, const struct cluster_node *us)
{
	return us == &c->nodes[0] ? c->pair.priority : c->pair.priority - 1;
}
