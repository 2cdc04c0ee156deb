/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command line.
 */
#include "tests/client/options.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/client/packet.h"

#define EXIT_USAGE 2

static const char usage[] =
    "usage: pptp-client --server IP --user NAME --password WORD [OPTION]...\n"
    "       pptp-client --server IP --silent N [--hold SECONDS] [--source IP[-IP]]\n"
    "\n"
    "  --sessions N          so many sessions; %d in NAME and WORD becomes the session's number\n"
    "  --source IP[-IP]      local addresses, used in turn      --source-port N\n"
    "  --call-id N           own call id of the first session   --calls N   calls a connection\n"
    "  --style linux|windows --bytewise      control messages in segments of one byte\n"
    "  --parallel N          set-ups at once                    --timeout SECONDS  a step\n"
    "  --hold SECONDS        how long to stay when all are up   --redial    when lost\n"
    "  --ping IP             ICMP echo through the tunnel       --udp IP:PORT  to an echo server\n"
    "  --count N --size BYTES --rate PPS --max-loss N\n"
    "  --no-mppe --pap-only  what the server must refuse\n"
    "  --echo-interval S --lcp-echo S\n"
    "  --gre-reorder P --gre-duplicate P --gre-loss P --gre-corrupt P --gre-corrupt-extra P\n"
    "                        per cent of the GRE packets sent; --gre-receive: received ones too\n"
    "  --strict              receive as Linux' pptp.c and ppp_mppe.c do: nothing is put right\n"
    "  --missing-window N    strict, and deaf at a number N or more ahead (old pptp-linux: 300)\n"
    "  --commands            read commands on stdin; commands.h lists them\n"
    "  --keylog FILE         keys of all calls, for key-check\n"
    "  --attack KIND         200 bad packets beside the traffic: ";

static const char *const attack_names[ATTACK_MAX] = {
    [ATTACK_NONE] = "none",
    [ATTACK_FOREIGN_CALL] = "foreign-call",
    [ATTACK_BAD_HEADER] = "bad-header",
    [ATTACK_SPOOF_SOURCE] = "spoof-source",
    [ATTACK_SPOOF_OUTER] = "spoof-outer",
    [ATTACK_TRUNCATED] = "truncated",
    [ATTACK_RANDOM_GRE] = "random-gre",
    [ATTACK_RANDOM_PPP] = "random-ppp",
    [ATTACK_RESET_REQUEST] = "reset-request",
    [ATTACK_MPPE_COUNT] = "mppe-count",
    [ATTACK_CLEAR_IP] = "clear-ip",
    [ATTACK_RANDOM_CONTROL] = "random-control",
    [ATTACK_OVERSIZE_CONTROL] = "oversize-control",
};

const char *
attack_name(enum attack a)
{
	return attack_names[a];
}

bool
attack_on_control(enum attack a)
{
	return a == ATTACK_RANDOM_CONTROL || a == ATTACK_OVERSIZE_CONTROL;
}

enum kind {
	TEXT,
	FLAG,
	UINT,
	UINT64,
	NUMBER,
	PERCENT,
	ADDRESS,
	RANGE,
	TARGET,
	STYLE,
	ATTACK,
	HELP
};

struct row {
	const char *name;
	enum kind kind;
	size_t at;
	uint64_t min, max;
};

#define AT(member) offsetof(struct options, member)

static const struct row rows[] = {
    {"server", ADDRESS, AT(server), 0, 0},
    {"user", TEXT, AT(user), 0, 0},
    {"password", TEXT, AT(password), 0, 0},
    {"sessions", UINT, AT(sessions), 1, 30000},
    {"source", RANGE, 0, 0, 0},
    {"source-port", UINT, AT(source_port), 1, 65535},
    {"call-id", UINT, AT(call_id), 1, 65535},
    {"calls", UINT, AT(calls), 1, 1000},
    {"style", STYLE, 0, 0, 0},
    {"parallel", UINT, AT(parallel), 1, 30000},
    {"hold", UINT, AT(hold_s), 0, 1000000},
    {"timeout", UINT, AT(timeout_s), 1, 3600},
    {"ping", ADDRESS, AT(ping_ip), 0, 0},
    {"udp", TARGET, 0, 0, 0},
    {"count", UINT64, AT(count), 0, 1000000000000},
    {"size", UINT, AT(size), PACKET_PROBE_LEN, 1472},
    {"rate", NUMBER, AT(rate), 0, 100000},
    {"max-loss", UINT64, AT(max_loss), 0, UINT64_MAX},
    {"strict", FLAG, AT(strict), 0, 0},
    {"missing-window", UINT, AT(missing_window), 2, 1000000},
    {"commands", FLAG, AT(commands), 0, 0},
    {"keylog", TEXT, AT(keylog), 0, 0},
    {"redial", FLAG, AT(redial), 0, 0},
    {"no-mppe", FLAG, AT(no_mppe), 0, 0},
    {"pap-only", FLAG, AT(pap_only), 0, 0},
    {"bytewise", FLAG, AT(bytewise), 0, 0},
    {"echo-interval", UINT, AT(echo_interval_s), 0, 3600},
    {"lcp-echo", UINT, AT(lcp_echo_s), 0, 3600},
    {"per-session", FLAG, AT(per_session), 0, 0},
    {"gre-reorder", PERCENT, AT(faults.reorder), 0, 100},
    {"gre-duplicate", PERCENT, AT(faults.duplicate), 0, 100},
    {"gre-loss", PERCENT, AT(faults.loss), 0, 100},
    {"gre-corrupt", PERCENT, AT(faults.corrupt), 0, 100},
    {"gre-corrupt-extra", PERCENT, AT(faults.corrupt_extra), 0, 100},
    {"gre-receive", FLAG, AT(faults_receive), 0, 0},
    {"attack", ATTACK, 0, 0, 0},
    {"silent", UINT, AT(silent), 1, 60000},
    {"debug", FLAG, AT(debug), 0, 0},
    {"help", HELP, 0, 0, 0},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static void
fail(const char *name, const char *got, const char *want)
{
	errx(EXIT_USAGE, "--%s: got \"%s\", want %s", name, got, want);
}

static uint32_t
address(const char *name, const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		fail(name, text, "an IPv4 address");
	return ntohl(a.s_addr);
}

static uint64_t
integer(const struct row *row, const char *text)
{
	char want[64], *end;
	uint64_t v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || text[0] == '-' || v < row->min ||
	    v > row->max) {
		snprintf(want, sizeof(want), "%ju..%ju", (uintmax_t)row->min, (uintmax_t)row->max);
		fail(row->name, text, want);
	}
	return v;
}

static double
number(const struct row *row, const char *text)
{
	char want[64], *end;
	double v = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(v) || v < 0 || v > (double)row->max) {
		snprintf(want, sizeof(want), "a number up to %ju", (uintmax_t)row->max);
		fail(row->name, text, want);
	}
	return v;
}

static void
set_range(struct options *o, const char *text)
{
	char first[INET_ADDRSTRLEN];
	const char *dash = strchr(text, '-');
	size_t len = dash != NULL ? (size_t)(dash - text) : strlen(text);

	if (len >= sizeof(first))
		fail("source", text, "IP or IP-IP");
	memcpy(first, text, len);
	first[len] = '\0';
	o->source_first = address("source", first);
	o->source_last = dash != NULL ? address("source", dash + 1) : o->source_first;
	if (o->source_last < o->source_first)
		fail("source", text, "IP-IP in ascending order");
}

static void
set_target(struct options *o, const char *text)
{
	static const struct row port = {"udp", UINT, 0, 1, 65535};
	char ip[INET_ADDRSTRLEN];
	const char *colon = strchr(text, ':');

	if (colon == NULL || (size_t)(colon - text) >= sizeof(ip))
		fail("udp", text, "IP:PORT");
	memcpy(ip, text, (size_t)(colon - text));
	ip[colon - text] = '\0';
	o->udp_ip = address("udp", ip);
	o->udp_port = (uint16_t)integer(&port, colon + 1);
}

static void
set_style(struct options *o, const char *text)
{
	if (strcmp(text, "linux") == 0)
		o->style = PPP_STYLE_LINUX;
	else if (strcmp(text, "windows") == 0)
		o->style = PPP_STYLE_WINDOWS;
	else
		fail("style", text, "linux or windows");
}

static void
set_attack(struct options *o, const char *text)
{
	for (int i = ATTACK_NONE + 1; i < ATTACK_MAX; i++)
		if (strcmp(text, attack_names[i]) == 0)
			o->attack = (enum attack)i;
	if (o->attack == ATTACK_NONE)
		fail("attack", text, "one of those that --help lists");
}

static void
help(void)
{
	fputs(usage, stdout);
	for (int i = ATTACK_NONE + 1; i < ATTACK_MAX; i++)
		printf("%s%s", attack_names[i], i + 1 < ATTACK_MAX ? " " : "\n");
	puts("  --per-session         a member for each session in the report\n"
	     "The report is JSON on stdout. Exit 0: every session came up, proved the server, was\n"
	     "encrypted, and lost no more than --max-loss packets in all.");
	exit(0);
}

static void
set(struct options *o, const struct row *row, const char *text)
{
	char *at = (char *)o + row->at;

	switch (row->kind) {
	case TEXT:
		*(const char **)(void *)at = text;
		break;
	case FLAG:
		*(bool *)at = true;
		break;
	case UINT:
		if (row->at == AT(source_port))
			o->source_port = (uint16_t)integer(row, text);
		else
			*(unsigned *)(void *)at = (unsigned)integer(row, text);
		break;
	case UINT64:
		*(uint64_t *)(void *)at = integer(row, text);
		break;
	case NUMBER:
	case PERCENT:
		*(double *)(void *)at = number(row, text);
		break;
	case ADDRESS:
		*(uint32_t *)(void *)at = address(row->name, text);
		break;
	case RANGE:
		set_range(o, text);
		break;
	case TARGET:
		set_target(o, text);
		break;
	case STYLE:
		set_style(o, text);
		break;
	case ATTACK:
		set_attack(o, text);
		break;
	case HELP:
		help();
	}
}

static void
check(const struct options *o)
{
	if (o->server == 0)
		errx(EXIT_USAGE, "--server is missing; --help lists all options");
	if (o->silent == 0 && (o->user == NULL || o->password == NULL))
		errx(EXIT_USAGE, "--user and --password are missing");
	if (o->rate <= 0)
		errx(EXIT_USAGE, "--rate: want more than 0");
	if (o->calls > o->sessions)
		errx(EXIT_USAGE, "--calls %u: want at most --sessions (%u)", o->calls, o->sessions);
	if (attack_on_control(o->attack) && o->sessions <= o->calls)
		errx(EXIT_USAGE, "--attack %s: want a second connection; say --sessions 2",
		    attack_name(o->attack));
}

void
options_parse(struct options *o, int argc, char **argv)
{
	struct option longs[N_ROWS + 1] = {0};
	int at;

	*o = (struct options){.sessions = 1,
	    .calls = 1,
	    .parallel = 50,
	    .call_id = -1,
	    .timeout_s = 30,
	    .size = 56,
	    .rate = 10};
	for (size_t i = 0; i < N_ROWS; i++) {
		longs[i].name = rows[i].name;
		longs[i].has_arg =
		    rows[i].kind == FLAG || rows[i].kind == HELP ? no_argument : required_argument;
	}
	while (getopt_long(argc, argv, "", longs, &at) == 0)
		set(o, &rows[at], optarg);
	if (optind < argc)
		errx(EXIT_USAGE, "got \"%s\", want options only; --help lists them", argv[optind]);
	o->strict = o->strict || o->missing_window != 0;
	check(o);
}
