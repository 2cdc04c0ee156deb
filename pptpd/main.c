/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pptpd: a PPTP server of one monitor and one engine (pptpd/priv/priv.h). This file reads the
 * command line and hands over.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "pptpd/conf/settings.h"
#include "pptpd/engine/engine.h"
#include "pptpd/priv/priv.h"

enum action {
	ACTION_RUN,
	ACTION_CHECK,
	ACTION_PRINT,
};

static const char usage[] =
    "usage: pptpd [options]\n"
    "  -c, --conf FILE     configuration (default /etc/pptpd.conf)\n"
    "      --node NAME     name of this node in logs and answers (default: the host's name)\n"
    "      --root DIR      prefix of every path, also of those inside files\n"
    "      --role ROLE     active or standby: overrides `role` of the configuration\n"
    "      --user USER     run the engine as USER (default pptp-ha, else nobody)\n"
    "  -n, --check         check the configuration and exit\n"
    "  -p, --print         print what the configuration was understood as and exit\n"
    "  -d, --debug         log debug messages\n"
    "  -V, --version       print the version and exit\n"
    "  -h, --help          print this and exit\n";

static const struct option long_options[] = {
    {"conf", required_argument, NULL, 'c'},
    {"node", required_argument, NULL, 'N'},
    {"root", required_argument, NULL, 'R'},
    {"role", required_argument, NULL, 'r'},
    {"user", required_argument, NULL, 'u'},
    {"check", no_argument, NULL, 'n'},
    {"print", no_argument, NULL, 'p'},
    {"debug", no_argument, NULL, 'd'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int
run_engine(const char *node)
{
	char name[80];

	snprintf(name, sizeof name, "pptpd[%s]", node);
	log_init(name, -1, false);
	return engine_run();
}

/* Two files on one stream: the comment tells where the second begins. */
static void
print(const struct monitor_options *o, const struct settings *s)
{
	char *text = NULL;
	size_t len = 0;
	FILE *options = open_memstream(&text, &len);

	if (options == NULL)
		return;
	printf("# %s\n", o->conf_file);
	settings_print(s, stdout, options);
	fclose(options);
	printf("\n# %s\n%s", s->option_file, text);
	free(text);
}

static int
check(const struct monitor_options *o, enum action action)
{
	struct priv_files files = {0};
	struct settings *s = monitor_load_settings(o, &files);

	priv_files_fini(&files);
	if (s == NULL)
		return 1;
	if (action == ACTION_PRINT)
		print(o, s);
	settings_free(s);
	return 0;
}

static bool
role_ok(const char *role)
{
	return role == NULL || strcmp(role, "active") == 0 || strcmp(role, "standby") == 0;
}

int
main(int argc, char **argv)
{
	struct monitor_options o = {.root = "", .conf_file = "/etc/pptpd.conf"};
	enum action action = ACTION_RUN;
	static char host[64];
	char name[80];
	int c;

	if (argc == 3 && strcmp(argv[1], "engine") == 0)
		return run_engine(argv[2]);
	(void)gethostname(host, sizeof host - 1);
	host[strcspn(host, ".")] = '\0';
	o.node = host;
	while ((c = getopt_long(argc, argv, "c:npdVh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			o.conf_file = optarg;
			break;
		case 'N':
			o.node = optarg;
			break;
		case 'R':
			o.root = strcmp(optarg, "/") == 0 ? "" : optarg;
			break;
		case 'r':
			o.role = optarg;
			break;
		case 'u':
			o.user = optarg;
			break;
		case 'n':
			action = ACTION_CHECK;
			break;
		case 'p':
			action = ACTION_PRINT;
			break;
		case 'd':
			o.debug = true;
			break;
		case 'V':
			puts("pptpd " PHA_VERSION);
			return 0;
		default:
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (optind < argc || !role_ok(o.role)) {
		fprintf(stderr, "pptpd: --role: got \"%s\", want active or standby\n%s",
		    optind < argc ? argv[optind] : o.role, usage);
		return 2;
	}
	snprintf(name, sizeof name, "pptpd[%s]", o.node);
	log_init(name, -1, o.debug);
	return action == ACTION_RUN ? monitor_run(&o) : check(&o, action);
}
