/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * key-check: reads what the gateways sent to the clients during a run of pptp-client, and its key
 * log, and tells whether any key or GRE number was used for two different frames, how far numbers
 * and keys jumped at each takeover, and whether anything was sent that ends a live call. JSON on
 * stdout. Exit 0: nothing of the kind, no jump beyond the bounds, and there was something to judge.
 *
 * Capture where a gateway's death does not end the capture: at the switch. In the lab:
 *   lab exec wan tcpdump -i any -Q in -U -w FILE 'src host 198.51.100.10'
 */
#include <arpa/inet.h>
#include <err.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/keycheck/check.h"

#define EXIT_USAGE    2
#define GATEWAYS_MAX  8
#define DEFAULT_VIP   "198.51.100.10"
#define NUMBERS_BOUND 128

struct options {
	uint32_t vip;
	const char *keylog;
	uint64_t max_numbers, max_keys;
	struct {
		const char *name;
		uint64_t mac;
	} gateways[GATEWAYS_MAX];
	unsigned n_gateways;
};

static const char usage[] =
    "usage: key-check --keylog FILE [--vip IP] [--gateway NAME=MAC]... [--max-numbers N]\n"
    "                 [--max-keys N] CAPTURE...\n"
    "A jump of N left out N numbers or keys: at most 128, and twice as many keys, if not said.\n";

static bool
parse_mac(const char *text, uint64_t *mac)
{
	unsigned b[6];
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		&end) != 6 ||
	    text[end] != '\0')
		return false;
	*mac = 0;
	for (int i = 0; i < 6; i++)
		*mac = *mac << 8 | b[i];
	return true;
}

static void
add_gateway(struct options *o, char *text)
{
	char *equals = strchr(text, '=');

	if (equals == NULL || o->n_gateways == GATEWAYS_MAX ||
	    !parse_mac(equals + 1, &o->gateways[o->n_gateways].mac))
		errx(EXIT_USAGE, "--gateway: got \"%s\", want NAME=MAC", text);
	*equals = '\0';
	o->gateways[o->n_gateways++].name = text;
}

static uint64_t
integer(const char *name, const char *text)
{
	char *end;
	uint64_t v = strtoull(text, &end, 10);

	if (end == text || *end != '\0')
		errx(EXIT_USAGE, "--%s: got \"%s\", want a number", name, text);
	return v;
}

static void
parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {{"keylog", 1, NULL, 'k'}, {"vip", 1, NULL, 'v'},
	    {"gateway", 1, NULL, 'g'}, {"max-numbers", 1, NULL, 'n'}, {"max-keys", 1, NULL, 'm'},
	    {"help", 0, NULL, 'h'}, {0}};
	const char *vip = DEFAULT_VIP;
	struct in_addr a;
	int c;

	*o = (struct options){.max_numbers = NUMBERS_BOUND};
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'k':
			o->keylog = optarg;
			break;
		case 'v':
			vip = optarg;
			break;
		case 'g':
			add_gateway(o, optarg);
			break;
		case 'n':
			o->max_numbers = integer("max-numbers", optarg);
			break;
		case 'm':
			o->max_keys = integer("max-keys", optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			exit(EXIT_USAGE);
		}
	if (inet_pton(AF_INET, vip, &a) != 1)
		errx(EXIT_USAGE, "--vip: got \"%s\", want an IPv4 address", vip);
	if (o->keylog == NULL || optind == argc) {
		fputs(usage, stderr);
		exit(EXIT_USAGE);
	}
	o->vip = ntohl(a.s_addr);
	o->max_keys = o->max_keys != 0 ? o->max_keys : 2 * o->max_numbers;
}

/* ---- the report ---- */

static json_t *
seconds(uint64_t us)
{
	return json_real((double)us / 1e6);
}

static json_t *
gateway(const struct options *o, uint64_t mac)
{
	char text[24];

	for (unsigned i = 0; i < o->n_gateways; i++)
		if (o->gateways[i].mac == mac)
			return json_string(o->gateways[i].name);
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", (unsigned)(mac >> 40) & 255,
	    (unsigned)(mac >> 32) & 255, (unsigned)(mac >> 24) & 255, (unsigned)(mac >> 16) & 255,
	    (unsigned)(mac >> 8) & 255, (unsigned)mac & 255);
	return json_string(text);
}

static json_t *
takeovers(const struct options *o, const struct check *c)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < c->n_takeovers; i++) {
		const struct takeover *t = &c->takeovers[i];

		json_array_append_new(list,
		    json_pack("{s:o,s:o,s:o,s:i,s:I,s:I,s:I}", "at", seconds(t->at_us), "from",
			gateway(o, t->from), "to", gateway(o, t->to), "calls", (int)t->calls,
			"numbers_jumped", (json_int_t)t->numbers_max, "keys_jumped",
			(json_int_t)t->keys_max, "stragglers", (json_int_t)t->stragglers));
	}
	return list;
}

static json_t *
examples(const struct options *o, const struct check *c)
{
	json_t *list = json_array(), *one;

	for (unsigned i = 0; i < c->n_examples; i++) {
		const struct example *e = &c->examples[i];

		one = json_pack("{s:s,s:o,s:o,s:i,s:I,s:I}", "fault", fault_name(e->fault), "at",
		    seconds(e->at_us), "by", gateway(o, e->sender), "session", (int)e->session,
		    "number", (json_int_t)e->number, "key", (json_int_t)e->index);
		if (e->before_us != 0) {
			json_object_set_new(one, "before_at", seconds(e->before_us));
			json_object_set_new(one, "before_by", gateway(o, e->before_sender));
		}
		json_array_append_new(list, one);
	}
	return list;
}

static bool
within_bounds(const struct options *o, const struct check *c)
{
	for (unsigned i = 0; i < c->n_takeovers; i++)
		if (c->takeovers[i].numbers_max > o->max_numbers ||
		    c->takeovers[i].keys_max > o->max_keys)
			return false;
	return true;
}

static bool
report(const struct options *o, const struct check *c, unsigned cut)
{
	bool bounds = within_bounds(o, c), ok = bounds && c->encrypted > 0 && !c->out_of_memory;
	json_t *r, *faults = json_object();

	for (enum fault f = 0; f < FAULT_MAX; f++) {
		json_object_set_new(faults, fault_name(f), json_integer((json_int_t)c->faults[f]));
		ok = ok && c->faults[f] == 0;
	}
	ok = ok && c->unknown_encrypted == 0;
	r = json_pack("{s:b,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:o,s:b,s:o,s:I,s:I,s:o}", "ok", ok,
	    "calls", (int)c->calls->n, "frames", (json_int_t)c->frames, "encrypted",
	    (json_int_t)c->encrypted, "walks", (json_int_t)c->walks, "repeated",
	    (json_int_t)c->repeated, "filled", (json_int_t)c->filled, "of_no_call",
	    (json_int_t)c->unknown, "encrypted_of_no_call", (json_int_t)c->unknown_encrypted,
	    "captures_cut", (int)cut, "faults", faults, "within_bounds", bounds, "takeovers",
	    takeovers(o, c), "other_numbers_jumped", (json_int_t)c->within_numbers,
	    "other_keys_jumped", (json_int_t)c->within_keys, "examples", examples(o, c));
	json_dumpf(r, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(16));
	putchar('\n');
	json_decref(r);
	if (c->out_of_memory)
		warnx("out of memory, or numbers that no session can have reached");
	return ok;
}

int
main(int argc, char **argv)
{
	static struct check c;
	struct options o;
	struct calls *calls;
	struct capture *capture;
	struct frame f;
	unsigned line = 0, cut;
	bool ok;

	parse(&o, argc, argv);
	if ((calls = calls_read(o.keylog, &line)) == NULL)
		err(EXIT_USAGE, "%s:%u", o.keylog, line);
	capture = capture_open((const char *const *)(argv + optind), (unsigned)(argc - optind));
	if (capture == NULL)
		err(EXIT_USAGE, "cannot read the captures");
	check_init(&c, calls, o.vip);
	while (capture_next(capture, &f))
		check_frame(&c, &f);
	cut = capture_cut(capture);
	ok = report(&o, &c, cut);
	capture_close(capture);
	calls_free(calls);
	return ok ? 0 : 1;
}
