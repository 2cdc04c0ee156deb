/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent doctor: one table of checks, each of which looks at one thing that can be wrong with a
 * gateway, and says what it saw, with numbers, and the one command (or the one line of a file) that
 * mends it. No check changes anything. Each runs in a process of its own and all at the same time,
 * so one that hangs or crashes costs its own answer and no other; what several need is gathered
 * before. Nothing here needs the agent or the daemon to run.
 */
#ifndef HAGENT_DOCTOR_H
#define HAGENT_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hagent/hagent.h"
#include "pptpd/conf/settings.h"

#define DOCTOR_CHECK_MS 15000 /* of one check */
#define DOCTOR_PATHS    3

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_WARNING, /* it works, but something is not as it should be */
	DOCTOR_PROBLEM, /* clients are refused, lost or slow by it, or a failover would lose them */
	DOCTOR_UNKNOWN, /* it could not be looked at */
	DOCTOR_N_VERDICTS
};

struct doctor_answer {
	enum doctor_verdict verdict;
	char seen[768];     /* what was found, a sentence without its full stop */
	char where[96];     /* of the remedy: "" = here, else the node or host where it is to run */
	char command[1536]; /* one shell command; "" = none */
	/* Instead of a command: the line of a file to change; line 0: to add. "" = none. */
	char file[192];
	unsigned line;
	char change[256];
};

/* What a path to the peer said: who answers there, and its hello. */
struct doctor_path {
	char fault[24]; /* dial_code(), "fine" */
	char text[256];
	json_t *hello;       /* the peer's, or NULL */
	double ahead_ms;     /* the peer's clock minus ours */
	double round_ms;     /* how long the question took */
	bool clock, reached; /* ahead_ms holds; somebody answers there */
};

struct doctor {
	const struct hagent *h;
	char self[512]; /* how hagent is called for this node: "hagent --node gw1 --root /r" */
	struct cluster *cluster; /* NULL: cluster_error says why */
	const struct cluster_node *us, *them;
	char *cluster_error;       /* lines `file:line: …` */
	struct settings *settings; /* of the daemon's files as far as they are right; never NULL */
	char *settings_error;      /* NULL = none */
	json_t *agent, *pptpd;     /* data of their `status`, or NULL */
	char agent_error[64], pptpd_error[64];
	bool holds_wan, holds_lan; /* the virtual addresses are here */
	struct doctor_path paths[DOCTOR_PATHS];
	/* Our table as nft lists it, and as cluster.conf wants it; "" = it could not be told. */
	char *rules, *wanted_rules;
};

typedef void doctor_fn(const struct doctor *d, struct doctor_answer *a);

struct doctor_check {
	const char *theme, *name;
	const char *looks; /* at what, for people */
	doctor_fn *run;
	bool bare; /* runs also where cluster.conf cannot be read */
};

extern const struct doctor_check doctor_checks[];
extern const size_t doctor_n_checks;

/*
 * Gathers what checks share. theme: NULL = all. Returns {"node","role","checks":[{"theme","name",
 * "verdict","seen","remedy":{"where","command"}|{"file","line","change"}|null,"ms"}],"ok":n,
 * "warning":n,"problem":n,"unknown":n}; NULL on ENOMEM. progress, if any, is called after each
 * check that is done.
 */
json_t *doctor_examine(const struct hagent *h, const char *theme,
    void (*progress)(unsigned done, unsigned of, void *arg), void *arg);
bool doctor_is_theme(const char *name);
const char *doctor_verdict_name(enum doctor_verdict v);

/* ---- what the checks say; the last word on the verdict stands ---- */

#define DOCTOR_PRINTF(n) __attribute__((format(printf, n, n + 1)))
void doctor_say(struct doctor_answer *a, enum doctor_verdict v, const char *fmt, ...)
    DOCTOR_PRINTF(3);
/* Adds to what was seen, behind "; ", and raises the verdict if v is worse. */
void doctor_also(struct doctor_answer *a, enum doctor_verdict v, const char *fmt, ...)
    DOCTOR_PRINTF(3);
/* The remedy: a command here, or elsewhere. */
void doctor_mend(struct doctor_answer *a, const char *fmt, ...) DOCTOR_PRINTF(2);
void doctor_mend_at(struct doctor_answer *a, const char *where, const char *fmt, ...)
    DOCTOR_PRINTF(3);
/* Adds to the command, behind " && ". */
void doctor_mend_also(struct doctor_answer *a, const char *fmt, ...) DOCTOR_PRINTF(2);
void doctor_edit(struct doctor_answer *a, const char *file, unsigned line, const char *fmt, ...)
    DOCTOR_PRINTF(4);

/* ---- helpers of several themes ---- */

/* A rendered file as cluster.conf wants it, malloc'd; NULL with errno. */
char *doctor_rendered(const struct doctor *d, const char *path);
/* Runs a shell command and reads what it prints (not its stderr), malloc'd; *status its exit status
 * or -1. */
char *doctor_output(const char *command, int *status);
/* The same, as JSON; NULL if it is none. New reference. */
json_t *doctor_output_json(const char *command);
/* The text on the command's standard input; its exit status, or -1. Its output goes nowhere. */
int doctor_feed(const char *command, const char *text);
/* A number from /proc/sys/KEY (slashes); false if it cannot be read. *may: it can be written. */
bool doctor_sysctl(const char *key, long long *value, bool *may);
/* Writes both rulesets to the two files; for a process of its own. 0, or 1. */
int doctor_collect_rules(const struct doctor *d, int have, int want);
/* The first line whose first word is that, counted from 1; 0 = none. */
unsigned doctor_line_of(const char *text, const char *word);
/* A network of "10.8.0.0/24" or "10.8.0.1". */
bool doctor_parse_net(const char *text, struct cluster_net *net);
const char *doctor_text(const json_t *o, const char *name); /* "" = none */
long long doctor_number(const json_t *o, const char *name);
bool doctor_is(const json_t *o, const char *name);
int64_t doctor_now_ms(void); /* monotonic */

/* ---- pure parts, for their tests ---- */

/* Why an account's password is weak, NULL if it is not; *v is then the verdict. */
const char *doctor_weak_password(const char *name, const char *password, enum doctor_verdict *v);
/*
 * Compares the chains of one ruleset, as nft lists it, with another one's. Only lines that `counts`
 * accepts (chain, line) are looked at. Returns how many lines are missing or too many; the first of
 * them goes to said (size bytes): `chain forward lacks "…"`.
 */
unsigned doctor_compare_rules(const char *want, const char *have,
    bool (*counts)(const char *chain, const char *line), char *said, size_t size);
/* One line of a rendered sysctl.conf: key in slash form and value. False: a comment. */
bool doctor_parse_setting(const char *line, char *key, size_t key_size, char *value, size_t size);

/* ---- the checks, by theme ---- */

#define DOCTOR_CHECKS(X)                                                                           \
	X(network, links, "interfaces are up, with a carrier", false)                              \
	X(network, addresses, "own and virtual addresses are where they belong", false)            \
	X(network, duplicates, "no other host answers ARP for the pair's addresses", false)        \
	X(network, mtu, "interfaces carry a full tunnel packet", false)                            \
	X(network, path_mtu, "so does what lies between the gateways", false)                      \
	X(network, default_route, "there is a way back to the clients", false)                     \
	X(network, pool_overlap, "no other network covers the clients' addresses", false)          \
	X(network, api_routes, "API servers answer, and send the clients' packets back here",      \
	    false)                                                                                 \
	X(network, vrrp, "one gateway, and no stranger, sends VRRP advertisements", false)         \
	X(network, tcp_1723, "TCP port 1723 of the virtual address can be reached", false)         \
	X(network, gre, "GRE reaches the daemon, and comes back", false)                           \
	X(kernel, ip_forward, "the kernel forwards packets", false)                                \
	X(kernel, rp_filter, "the kernel's own source filter is off", false)                       \
	X(kernel, settings, "every other setting of sysctl.conf holds", false)                     \
	X(kernel, conntrack_room, "the connection tracking table is large enough", false)          \
	X(kernel, tun, "tunnel devices can be made", true)                                         \
	X(kernel, features, "the kernel can do what the daemon and the agent need", true)          \
	X(kernel, files, "open files to spare, of the whole system", true)                         \
	X(kernel, memory, "memory to spare", true)                                                 \
	X(firewall, guard, "the guard of live sessions stands", false)                             \
	X(firewall, rules, "the gateway's rules are those of gateway.nft", false)                  \
	X(firewall, untracked, "PPTP is kept from connection tracking", false)                     \
	X(firewall, helper, "no conntrack helper touches PPTP", false)                             \
	X(firewall, mss_clamp, "TCP through the tunnels is told its segment size", false)          \
	X(firewall, gate, "this gateway forwards if it serves, and only then", false)              \
	X(firewall, foreign, "no other table drops what ours let through", false)                  \
	X(files, cluster, "cluster.conf can be read, and names this node", true)                   \
	X(files, rendered, "rendered files are as rendered", false)                                \
	X(files, keepalived_conf, "keepalived.conf is as rendered", false)                         \
	X(files, forced_command, "the peer can start nothing but hagent serve", false)             \
	X(files, known_hosts, "the peer's host key stands as imported", false)                     \
	X(files, keys, "keys are there, and readable by the pair's user alone", false)             \
	X(files, pptpd_conf, "the daemon's files are right, and agree with cluster.conf", false)   \
	X(files, secrets_mode, "the secrets are readable by root alone", true)                     \
	X(files, passwords, "no password is weak", true)                                           \
	X(files, disk, "room on the disks that the pair writes to", true)                          \
	X(pair, paths, "the peer answers on sync, LAN and WAN", false)                             \
	X(pair, host_key, "the peer has the host key that was imported", false)                    \
	X(pair, login, "the peer's sshd takes our key, and runs hagent serve", false)              \
	X(pair, clock, "both clocks say the same", false)                                          \
	X(pair, roles, "one gateway serves, and the other one stands by", false)                   \
	X(pair, versions, "both run the same version", false)                                      \
	X(pair, replica, "the standby holds a current copy of every session", false)               \
	X(pair, file_sync, "the pair's files are alike", false)                                    \
	X(pair, conntrackd, "both conntrackd hear each other, and nothing is lost", false)         \
	X(daemon, agent, "the agent runs, and finds nothing wrong", true)                          \
	X(daemon, pptpd, "the daemon answers", true)                                               \
	X(daemon, deep, "sessions of the agent's own pass through it", true)                       \
	X(daemon, tunnel, "its tunnel device and its GRE sockets are there", false)                \
	X(daemon, descriptors, "its processes may open files enough", false)                       \
	X(daemon, room, "addresses and sessions to spare", false)                                  \
	X(daemon, keepalived, "keepalived runs", true)                                             \
	X(daemon, sshd, "the pair's sshd runs", true)                                              \
	X(daemon, link, "the link to the peer runs", true)                                         \
	X(daemon, maintenance, "this gateway is not in maintenance", true)                         \
	X(daemon, crashes, "no engine of pptpd crashed within the hour", true)

#define DOCTOR_DECLARE(theme, name, looks, bare) doctor_fn doctor_##theme##_##name;
DOCTOR_CHECKS(DOCTOR_DECLARE)

#endif
