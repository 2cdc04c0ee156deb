/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent: the agent of a gateway and its operator's command line. This file is the table of its
 * subcommands and the reading of the options that all of them share.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/hagent.h"

static const struct command commands[] = {
    {"check-config", "", "read cluster.conf and say what is wrong with it", cmd_check_config},
    {"render", "[-n | --check]",
	"write all files that cluster.conf decides; -n: check cluster.conf only; --check: show "
	"what "
	"differs",
	cmd_render},
    {"keys", "init | show | import ID.pub HOST.pub",
	"make this gateway's keys; take in the public ones of the peer", cmd_keys},
    {"guard", "load | unload | hold on|off [calls|unknown] | status",
	"the rules that keep the kernel from ending live sessions", cmd_guard},
    {"firewall", "apply [--force] | remove | gate open|shut | status", "the gateway's rules",
	cmd_firewall},
    {"pptpd", "status|sessions|promote|demote|kick|reload [NAME=VALUE ...]",
	"ask the daemon; prints its answer as JSON", cmd_pptpd},
    {"sync", "prepare | push [--force] | pull | offer JSON | install | status [--json]",
	"the files that both gateways must have alike", cmd_sync},
    {"ssh", "[-l USER] NODE WORDS...", "rsync's remote shell to the peer", cmd_ssh},
    {"serve", "", "what the pair's sshd runs for the peer", cmd_serve},
    {"run", "[--conntrackd PROGRAM] [--keepalived-pids DIR] [--user USER] [--no-link]",
	"the agent, in the foreground", cmd_run},
    {"check", "", "keepalived's track_script: asks the agent whether this gateway may be MASTER",
	cmd_check},
    {"notify", "INSTANCE|GROUP NAME STATE [PRIORITY]",
	"tell the agent what keepalived's notify script is told", cmd_notify},
    {"journal", "[--limit N] [--json]", "the last transitions, step by step, and the slowest step",
	cmd_journal},
    {"log", "[--follow] [--since WHEN] [--limit N] [--of NODE] [--json]",
	"what both gateways have logged, in one order of time", cmd_log},
    {"link", "[--user USER]", "the standing connections to the peer; hagent run starts it",
	cmd_link},
    {"deep-check", "[--user USER]",
	"sessions through our own daemon, in a process of its own; hagent run starts it", cmd_deep},
    {"web", "[--user USER]", "the status page, its API and the metrics, for who may only look",
	cmd_web},
    {"status", "[--json | --watch]", "are we safe? The pair in words, and what is wrong",
	cmd_status},
    {"doctor", "[--json] [network | kernel | firewall | files | pair | daemon]",
	"look at everything that can be wrong, and say what mends it; changes nothing", cmd_doctor},
    {"switchover", "[--force]", "move sessions and addresses to the other gateway", cmd_switchover},
    {"maintenance", "on [--force] | off", "stay away from serving while the other gateway can",
	cmd_maintenance},
    {"drill",
	"run [--force] [--json] [--no-wait] [--scheduled] [--abort-at PART] NAME | list [--json] | "
	"show [--json] [--html] [ID] | abort | watch SECONDS | "
	"guard ID KIND wan|lan SECONDS PID | drive ID NAME [--scheduled] [--force]",
	"a failover on purpose: run one, past ones, one report", cmd_drill},
    {"leave", "pptpd | hagent | keepalived",
	"what a unit runs before its daemon stops: move away if it may be", cmd_leave},
    {"sessions", "[--json]", "who is connected", cmd_sessions},
    {"probe",
	"[SERVER] [--user NAME] [--password-file FILE] [--ping ADDRESS] [--http URL] [--ca FILE] "
	"[--insecure] [--all] [--for TIME] [--interval TIME] [--watch] [--every TIME] [--no-mtu] "
	"[--mtu N] [--port N] [--source ADDRESS] [--timeout TIME] [--json]",
	"be a PPTP client of a server, and say how far it goes and why not further", cmd_probe},
    {"kick", "USER | ADDRESS", "end the sessions of a user or of a tunnel address", cmd_kick},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
usage(FILE *out)
{
	fputs("usage: hagent [--node NAME] [--root DIR] COMMAND ...\n", out);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %s %s\n        %s\n", commands[i].name, commands[i].arguments,
		    commands[i].help);
	fputs("options, before or after the command:\n"
	      "  --node NAME  the node of cluster.conf that this gateway is (default: the host's "
	      "name)\n"
	      "  --root DIR   stands before every absolute path\n"
	      "  --help, --version\n",
	    out);
}

/*
 * `--name VALUE` or `--name=VALUE` at argv[*i]: true, with the value, and *i on the last word used.
 * *value is NULL when it is missing.
 */
static bool
option(const char *name, int argc, char **argv, int *i, const char **value)
{
	size_t len = strlen(name);

	if (strncmp(argv[*i], name, len) != 0)
		return false;
	if (argv[*i][len] == '=') {
		*value = argv[*i] + len + 1;
		return true;
	}
	if (argv[*i][len] != '\0')
		return false;
	*value = *i + 1 < argc ? argv[++*i] : NULL;
	return true;
}

/* Takes the common options out of argv. Returns the words left, or -1 after a message. */
static int
take_options(struct hagent *h, int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		const char *value = "";

		if (option("--node", argc, argv, &i, &value)) {
			h->node = value;
		} else if (option("--root", argc, argv, &i, &value)) {
			h->root = value;
		} else {
			argv[n++] = argv[i];
		}
		if (!value) {
			hagent_usage("%s: got no value, want one", argv[i]);
			return -1;
		}
	}
	argv[n] = NULL;
	return n;
}

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	char host[256] = "", root[4096];
	struct hagent h = {.node = host, .root = ""};
	const struct command *command;
	int n = take_options(&h, argc, argv);

	if (n < 0)
		return HAGENT_USAGE;
	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	if ((size_t)snprintf(root, sizeof(root), "%s", h.root) >= sizeof(root))
		return hagent_usage("--root: got a path that is too long");
	for (size_t len = strlen(root); len > 0 && root[len - 1] == '/'; len--)
		root[len - 1] = '\0';
	h.root = root;
	log_init("hagent", -1, false);

	for (int i = 0; i < n; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			usage(stdout);
			return HAGENT_OK;
		}
	}
	if (n > 0 && strcmp(argv[0], "--version") == 0) {
		puts("hagent " PHA_VERSION);
		return HAGENT_OK;
	}
	if (n == 0) {
		usage(stderr);
		return HAGENT_USAGE;
	}
	command = find_command(argv[0]);
	if (!command)
		return hagent_usage("got \"%s\", want a command that --help names", argv[0]);
	int status = command->run(&h, n, argv);
	if (status == HAGENT_USAGE)
		fprintf(stderr, "usage: hagent %s %s\n", command->name, command->arguments);
	return status;
}
