/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What every subcommand gets, and the table's rows. A subcommand is one file cmd_X.c and one row in
 * commands[]. It returns the exit status: HAGENT_OK, HAGENT_FAIL (said on stderr why),
 * HAGENT_USAGE.
 */
#ifndef HAGENT_HAGENT_H
#define HAGENT_HAGENT_H

#include <stddef.h>

#include "hagent/cluster.h"

enum {
	HAGENT_OK = 0,
	HAGENT_FAIL = 1,
	HAGENT_USAGE = 2
};

#define HAGENT_ETC          "/etc/pptp-ha"
#define HAGENT_CLUSTER      HAGENT_ETC "/cluster.conf"
#define HAGENT_GUARD        HAGENT_ETC "/guard.nft"
#define HAGENT_GATEWAY      HAGENT_ETC "/gateway.nft"
#define HAGENT_SYSCTL       HAGENT_ETC "/sysctl.conf"
#define HAGENT_PPTPD_SOCKET "/run/pptp-ha/pptpd.sock"

struct hagent {
	const char *node; /* --node, else the host's name up to its first dot */
	const char *root; /* --root, without a trailing slash; "" = none */
};

struct command {
	const char *name;
	const char *arguments; /* for the usage line */
	const char *help;
	/* argv[0] is the subcommand; --node and --root are gone from argv. */
	int (*run)(const struct hagent *h, int argc, char **argv);
};

int cmd_render(const struct hagent *h, int argc, char **argv);
int cmd_check_config(const struct hagent *h, int argc, char **argv);
int cmd_guard(const struct hagent *h, int argc, char **argv);
int cmd_firewall(const struct hagent *h, int argc, char **argv);
int cmd_pptpd(const struct hagent *h, int argc, char **argv);

/* Root before path, malloc'd; exits on ENOMEM. path is absolute. */
char *hagent_path(const struct hagent *h, const char *path);
/* Says on stderr "hagent: ..." and returns HAGENT_FAIL. */
int hagent_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int hagent_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* HAGENT_USAGE */
/* The file's text below the root, malloc'd, or NULL with errno. */
char *hagent_read(const struct hagent *h, const char *path);
/* Reads and checks cluster.conf; its messages go to stderr. NULL after errors. */
struct cluster *hagent_cluster(const struct hagent *h);

#endif
