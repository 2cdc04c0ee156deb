/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent probe: a PPTP client that tells how far it comes. Once, or again and again.
 */
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/answer.h"
#include "common/log.h"
#include "hagent/hagent.h"
#include "hagent/probe.h"
#include "hagent/probe_words.h"
#include "hagent/progress.h"
#include "hagent/words.h"

#define SECRET_MAX 512
#define EVERY_S    60
#define ECHO_S     10
#define TICK_MS    300
#define TELL_MS    300

struct run {
	struct loop *loop;
	struct sig sigs[2];
	struct timer again, tick;
	struct progress progress;
	struct probe_options o;
	struct probe_url url;
	struct probe_target targets[PROBE_TARGETS_MAX];
	struct probe *probe;
	struct cluster *cluster;
	const struct hagent *h;
	char password[SECRET_MAX];
	const char *server, *password_file;
	bool json, all, stopping, ok;
	unsigned watch_s; /* 0 = once */
};

/* ---- the command line ---- */

/* "1500ms", "60s", "60", "5m", "1h" in milliseconds; 0: not one. */
static unsigned
duration_ms(const char *text)
{
	static const struct {
		const char *unit;
		unsigned ms;
	} units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60000}, {"h", 3600000}};
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9')
		return 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0)
			return n > INT_MAX / units[i].ms ? 0 : (unsigned)n * units[i].ms;
	return 0;
}

/* The IPv4 address of a name or of numbers; 0 after a message. */
static uint32_t
address_of(const char *option, const char *text)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
	struct sockaddr_in a;
	int error = getaddrinfo(text, NULL, &hints, &list);

	if (error != 0) {
		hagent_usage("%s: got \"%s\", want an IPv4 address or a name that has one: %s",
		    option, text, gai_strerror(error));
		return 0;
	}
	memcpy(&a, list->ai_addr, sizeof(a));
	freeaddrinfo(list);
	return ntohl(a.sin_addr.s_addr);
}

static int
take_duration(const char *option, const char *value, unsigned *ms)
{
	*ms = duration_ms(value);
	if (*ms == 0)
		return hagent_usage(
		    "%s: got \"%s\", want a time as 500ms, 60s, 5m or 1h", option, value);
	return HAGENT_OK;
}

static int
take_address(const char *option, const char *value, uint32_t *out)
{
	*out = address_of(option, value);
	return *out != 0 ? HAGENT_OK : HAGENT_USAGE;
}

static int
take_number(
    const char *option, const char *value, unsigned long min, unsigned long max, uint16_t *out)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end != '\0' || n < min || n > max)
		return hagent_usage("%s: got \"%s\", want %lu..%lu", option, value, min, max);
	*out = (uint16_t)n;
	return HAGENT_OK;
}

static int
take_url(struct run *r, const char *value)
{
	char why[160];

	if (probe_url_parse(&r->url, value, why) < 0)
		return hagent_usage("--http: %s", why);
	r->o.url = &r->url;
	return HAGENT_OK;
}

/* An option with a value. */
static int
take_value(struct run *r, const char *option, const char *value)
{
	unsigned ms;
	int status;

	if (strcmp(option, "--user") == 0)
		r->o.client.user = value;
	else if (strcmp(option, "--password-file") == 0)
		r->password_file = value;
	else if (strcmp(option, "--ca") == 0)
		r->url.ca = value;
	else if (strcmp(option, "--http") == 0)
		return take_url(r, value);
	else if (strcmp(option, "--ping") == 0)
		return take_address(option, value, &r->o.ping);
	else if (strcmp(option, "--source") == 0)
		return take_address(option, value, &r->o.client.source);
	else if (strcmp(option, "--port") == 0)
		return take_number(option, value, 1, UINT16_MAX, &r->o.client.port);
	else if (strcmp(option, "--mtu") == 0)
		return take_number(option, value, 576, 1500, &r->o.client.mtu);
	else if (strcmp(option, "--for") == 0)
		return take_duration(option, value, &r->o.for_ms);
	else if (strcmp(option, "--interval") == 0)
		return take_duration(option, value, &r->o.interval_ms);
	else if (strcmp(option, "--timeout") == 0)
		return take_duration(option, value, &r->o.client.step_timeout_ms);
	else if (strcmp(option, "--every") == 0) {
		status = take_duration(option, value, &ms);
		r->watch_s = ms < 1000 ? 1 : ms / 1000;
		return status;
	} else
		return hagent_usage("got \"%s\", want an option of probe", option);
	return HAGENT_OK;
}

static bool
take_flag(struct run *r, const char *option)
{
	if (strcmp(option, "--json") == 0)
		r->json = true;
	else if (strcmp(option, "--all") == 0)
		r->all = true;
	else if (strcmp(option, "--insecure") == 0)
		r->url.insecure = true;
	else if (strcmp(option, "--no-mtu") == 0)
		r->o.skip_large = true;
	else if (strcmp(option, "--watch") == 0)
		r->watch_s = r->watch_s != 0 ? r->watch_s : EVERY_S;
	else
		return false;
	return true;
}

static int
take_words(struct run *r, int argc, char **argv)
{
	int status;

	for (int i = 1; i < argc; i++) {
		char *equals = strncmp(argv[i], "--", 2) == 0 ? strchr(argv[i], '=') : NULL;

		if (take_flag(r, argv[i]))
			continue;
		if (strncmp(argv[i], "--", 2) != 0 && r->server == NULL) {
			r->server = argv[i];
			continue;
		}
		if (strncmp(argv[i], "--", 2) != 0)
			return hagent_usage(
			    "got \"%s\" and \"%s\", want one server", r->server, argv[i]);
		if (equals != NULL)
			*equals = '\0';
		else if (i + 1 == argc)
			return hagent_usage("%s: got no value, want one", argv[i]);
		status = take_value(r, argv[i], equals != NULL ? equals + 1 : argv[i + 1]);
		i += equals == NULL;
		if (status != HAGENT_OK)
			return status;
	}
	return HAGENT_OK;
}

/* ---- what is not on the command line ---- */

/* From the file, $PPTP_PASSWORD, or the terminal: never from the command line, which all can see.
 */
static int
find_password(struct run *r)
{
	const char *given = getenv("PPTP_PASSWORD");
	FILE *f = NULL;
	char *typed;

	if (r->password_file != NULL) {
		f = strcmp(r->password_file, "-") == 0 ? stdin : fopen(r->password_file, "re");
		if (f == NULL || fgets(r->password, sizeof(r->password), f) == NULL)
			return hagent_fail("%s: %s", r->password_file,
			    f == NULL ? strerror(errno) : "got nothing, want a password");
		r->password[strcspn(r->password, "\n")] = '\0';
		if (f != stdin)
			fclose(f);
		return HAGENT_OK;
	}
	if (given == NULL && isatty(STDIN_FILENO)) {
		typed = getpass("Password: ");
		snprintf(r->password, sizeof(r->password), "%s", typed != NULL ? typed : "");
		if (typed != NULL)
			explicit_bzero(typed, strlen(typed));
		return HAGENT_OK;
	}
	if (given == NULL)
		return hagent_usage("got no password, want --password-file FILE (- for standard "
				    "input) or $PPTP_PASSWORD");
	snprintf(r->password, sizeof(r->password), "%s", given);
	return HAGENT_OK;
}

static int
complete(const struct hagent *h, struct run *r)
{
	if (r->server == NULL || r->all) {
		r->cluster = hagent_cluster(h);
		if (r->cluster == NULL)
			return HAGENT_FAIL;
	}
	if (r->server == NULL)
		r->o.client.server = r->cluster->vip_wan.address;
	else if ((r->o.client.server = address_of("SERVER", r->server)) == 0)
		return HAGENT_USAGE;
	if (r->all)
		r->o.n_targets = probe_targets_of(r->cluster, r->targets);
	r->o.targets = r->targets;
	if (r->o.client.user == NULL)
		return hagent_usage("got no name, want --user NAME");
	if (r->o.for_ms > 0)
		r->o.client.echo_s = ECHO_S;
	r->o.client.password = r->password;
	return find_password(r);
}

/* ---- one probe after the other ---- */

/* One line, for a log or an eye: when, whether, how long, and why not. */
static void
print_line(const json_t *report)
{
	const json_t *ms = json_object_get(report, "ms");
	time_t now = time(NULL);
	char at[32];
	struct tm tm;

	strftime(at, sizeof(at), "%FT%TZ", gmtime_r(&now, &tm));
	if (words_is(report, "ok"))
		printf("%s %s ok up_ms=%.1f ping_ms=%.1f\n", at, words_text(report, "server"),
		    json_number_value(json_object_get(ms, "up")),
		    json_number_value(json_object_get(ms, "ping")));
	else
		printf("%s %s FAILED step=%s why=%s: %s\n", at, words_text(report, "server"),
		    words_text(report, "step"), words_text(report, "why"),
		    words_text(report, "text"));
}

static void
show(const struct run *r, const json_t *report)
{
	if (r->json) {
		json_dumpf(report, stdout,
		    JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9) |
			(r->watch_s > 0 ? JSON_COMPACT : JSON_INDENT(2)));
		putchar('\n');
	} else if (r->watch_s > 0) {
		print_line(report);
	} else {
		probe_print(report);
	}
	fflush(stdout);
}

/* What it is at, for who waits at a terminal. */
static void
tick_cb(void *arg)
{
	struct run *r = arg;
	char text[80];

	probe_say(r->probe, text);
	progress_say(&r->progress, "%s", text);
	timer_set(&r->tick, TICK_MS);
}

/* On a gateway of the pair that was probed its agent keeps the result, for status and metrics. */
static void
tell_agent(const struct run *r, json_t *report)
{
	char *path;

	if (!r->cluster || r->o.client.server != r->cluster->vip_wan.address)
		return;
	path = hagent_path(r->h, HAGENT_SOCKET);
	json_decref(answer_call(path, "probed", json_pack("{s:O}", "report", report), TELL_MS));
	free(path);
}

static void
done_cb(void *arg)
{
	struct run *r = arg;
	json_t *report = probe_report(r->probe);

	timer_cancel(&r->tick);
	progress_end(&r->progress);
	r->ok = probe_ok(r->probe);
	show(r, report);
	tell_agent(r, report);
	json_decref(report);
	if (r->watch_s == 0 || r->stopping)
		loop_stop(r->loop);
	else
		timer_set(&r->again, r->watch_s * 1000u);
}

static const struct probe_ops ops = {.done = done_cb};

static void
begin(struct run *r)
{
	probe_free(r->probe);
	r->probe = probe_new(r->loop, &r->o, &ops, r);
	if (r->probe != NULL && probe_start(r->probe, -1) == 0) {
		progress_begin(&r->progress);
		timer_set(&r->tick, TICK_MS);
		return;
	}
	if (errno == EPERM)
		hagent_fail(
		    "cannot open a raw socket for GRE: run it as root, or with CAP_NET_RAW");
	else
		hagent_fail("cannot begin: %s", strerror(errno));
	r->ok = false;
	loop_stop(r->loop);
}

static void
again_cb(void *arg)
{
	begin(arg);
}

/* The first time it says goodbye to the server, the second time it does not. */
static void
sig_cb(int signo, void *arg)
{
	struct run *r = arg;

	if (r->stopping || timer_pending(&r->again)) {
		loop_stop(r->loop);
		return;
	}
	r->stopping = true;
	probe_stop(r->probe);
}

static int
run_loop(struct run *r)
{
	r->loop = loop_new();
	if (r->loop == NULL || sig_init(&r->sigs[0], r->loop, SIGINT, sig_cb, r) < 0 ||
	    sig_init(&r->sigs[1], r->loop, SIGTERM, sig_cb, r) < 0)
		return hagent_fail("%s", strerror(errno));
	timer_init(&r->again, r->loop, again_cb, r);
	timer_init(&r->tick, r->loop, tick_cb, r);
	timer_set(&r->again, 0);
	loop_run(r->loop);
	probe_free(r->probe);
	timer_cancel(&r->again);
	timer_cancel(&r->tick);
	sig_fini(&r->sigs[0]);
	sig_fini(&r->sigs[1]);
	loop_free(r->loop);
	return r->ok ? HAGENT_OK : HAGENT_FAIL;
}

int
cmd_probe(const struct hagent *h, int argc, char **argv)
{
	struct run *r = calloc(1, sizeof(*r));
	int status;

	if (r == NULL)
		return hagent_fail("%s", strerror(errno));
	r->h = h;
	status = take_words(r, argc, argv);
	if (status == HAGENT_OK)
		status = complete(h, r);
	if (status == HAGENT_OK)
		status = run_loop(r);
	cluster_free(r->cluster);
	probe_url_fini(&r->url);
	explicit_bzero(r, sizeof(*r));
	free(r);
	return status;
}
