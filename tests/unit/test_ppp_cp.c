/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The automaton of RFC 1661 §4.1, cell by cell against the table as the RFC prints it, and what
 * goes with it: restart timer, identifiers, packet framing, options.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "pptpd/ppp/link.h"

/* RFC 1661 §4.1. "-" cannot happen; p and r mark options that we do not use. */
static const char *const rfc_1661[CP_N_EVENTS][CP_N_STATES] = {
    {"2", "irc,scr/6", "-", "-", "-", "-", "-", "-", "-", "-"},
    {"-", "-", "0", "tls/1", "0", "1", "1", "1", "1", "tld/1"},
    {"tls/1", "1", "irc,scr/6", "3r", "5r", "5r", "6", "7", "8", "9r"},
    {"0", "tlf/0", "2", "2", "4", "4", "irc,str/4", "irc,str/4", "irc,str/4", "tld,irc,str/4"},

    {"-", "-", "-", "-", "str/4", "str/5", "scr/6", "scr/6", "scr/8", "-"},
    {"-", "-", "-", "-", "tlf/2", "tlf/3", "tlf/3p", "tlf/3p", "tlf/3p", "-"},

    {"-", "-", "sta/2", "irc,scr,sca/8", "4", "5", "sca/8", "sca,tlu/9", "sca/8", "tld,scr,sca/8"},
    {"-", "-", "sta/2", "irc,scr,scn/6", "4", "5", "scn/6", "scn/7", "scn/6", "tld,scr,scn/6"},
    {"-", "-", "sta/2", "sta/3", "4", "5", "irc/7", "scr/6x", "irc,tlu/9", "tld,scr/6x"},
    {"-", "-", "sta/2", "sta/3", "4", "5", "irc,scr/6", "scr/6x", "irc,scr/8", "tld,scr/6x"},

    {"-", "-", "sta/2", "sta/3", "sta/4", "sta/5", "sta/6", "sta/6", "sta/6", "tld,zrc,sta/5"},
    {"-", "-", "2", "3", "tlf/2", "tlf/3", "6", "6", "8", "tld,scr/6"},

    {"-", "-", "scj/2", "scj/3", "scj/4", "scj/5", "scj/6", "scj/7", "scj/8", "scj/9"},
    {"-", "-", "2", "3", "4", "5", "6", "6", "8", "9"},
    {"-", "-", "tlf/2", "tlf/3", "tlf/2", "tlf/3", "tlf/3", "tlf/3", "tlf/3", "tld,irc,str/5"},

    {"-", "-", "2", "3", "4", "5", "6", "7", "8", "ser/9"},
};

/* What was seen, in the order in which it happened: "tld scr sca ". */
static char seen[128];
static uint8_t last[1504];
static size_t last_len;

static void
saw(const char *what)
{
	size_t used = strlen(seen);

	snprintf(seen + used, sizeof(seen) - used, "%s ", what);
}

static void
on_send(void *arg, uint16_t protocol, const uint8_t *bytes, size_t len)
{
	static const char *const by_code[] = {"?", "scr", "sca", "scn", "scn", "str", "sta", "scj"};

	assert_int_equal(protocol, 0x80ff);
	assert_true(len >= 4 && bytes[0] < 8);
	assert_int_equal(bytes[2] << 8 | bytes[3], len);
	memcpy(last, bytes, len);
	last_len = len;
	saw(by_code[bytes[0]]);
}

static void
on_finished(void *arg, enum ppp_cause cause, const char *detail)
{
	fail();
}

static void
up(struct ppp *p)
{
	saw("tlu");
}

static void
down(struct ppp *p)
{
	saw("tld");
}

static void
started(struct ppp *p)
{
	saw("tls");
}

static void
finished(struct ppp *p)
{
	saw("tlf");
}

static void
echo(struct ppp *p, const struct cp_packet *pk)
{
	saw("ser");
}

/* Options of the protocol under test: 1 is a number that we want to be 7, 2 is a flag that we
 * take, 3 is known and asked for but never granted. */
static uint16_t number;

static void
put_number(struct ppp *p, uint8_t type, struct wr *w)
{
	wr_u16(w, number);
}

static enum cp_verdict
judge_number(struct ppp *p, uint8_t type, struct rd *data, struct wr *nak)
{
	if (rd_u16(data) == 7)
		return CP_ACK;
	wr_u16(nak, 7);
	return CP_NAK;
}

static void
naked_number(struct ppp *p, uint8_t type, struct rd *data)
{
	number = rd_u16(data);
}

static void
put_flag(struct ppp *p, uint8_t type, struct wr *w)
{
}

static enum cp_verdict
judge_flag(struct ppp *p, uint8_t type, struct rd *data, struct wr *nak)
{
	return CP_ACK;
}

static const struct cp_option options[] = {
    {1, 2, put_number, judge_number, naked_number, NULL},
    {2, 0, put_flag, judge_flag, NULL, NULL},
    {3, CP_ANY_LEN, put_flag, NULL, NULL, NULL},
};

static uint16_t
asks(struct ppp *p)
{
	number = 1;
	return 7;
}

static const struct cp_protocol protocol = {
    .number = 0x80ff,
    .name = "TEST",
    .options = options,
    .n_options = 3,
    .heeds_strays = true,
    .asks = asks,
    .up = up,
    .down = down,
    .started = started,
    .finished = finished,
    .echo = echo,
};

static const struct ppp_ops ops = {.send = on_send, .finished = on_finished};

struct bench {
	struct loop *loop;
	struct ppp_config config;
	struct ppp *p;
	struct cp cp;
};

static void
bench_init(struct bench *b)
{
	b->loop = loop_new_virtual();
	ppp_config_defaults(&b->config);
	b->config.is_server = true;
	b->p = ppp_new(b->loop, &b->config, &ops, b);
	cp_init(&b->cp, &protocol, b->p);
	seen[0] = '\0';
	last_len = 0;
}

static void
bench_fini(struct bench *b)
{
	cp_fini(&b->cp);
	ppp_free(b->p);
	loop_free(b->loop);
}

static bool
has(const char *set, const char *action)
{
	return strstr(set, action) != NULL;
}

static void
one_cell(enum cp_event event, uint8_t state)
{
	static const char *const actions[] = {
	    "tlu", "tld", "tls", "tlf", "scr", "sca", "scn", "str", "sta", "scj", "ser"};
	const char *want = rfc_1661[event][state];
	const char *slash = strchr(want, '/');
	const struct cp_packet pk = {
	    event == CP_RCR_PLUS ? CP_CONF_ACK : CP_CONF_NAK, 9, rd_init(NULL, 0)};
	int next = want[0] == '-' ? state : atoi(slash != NULL ? slash + 1 : want);
	bool sends = has(want, "scr") || has(want, "str");
	struct bench b;

	bench_init(&b);
	b.cp.state = state;
	b.cp.restarts = 77;
	if (state >= CP_CLOSING && state < CP_OPENED)
		timer_set(&b.cp.timer, 5000);
	cp_event(&b.cp, event, &pk);
	assert_int_equal(b.cp.state, next);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		assert_int_equal(has(seen, actions[i]), has(want, actions[i]));
	if (has(want, "irc"))
		assert_int_equal(b.cp.restarts, (has(want, "str") ? 2 : 10) - sends);
	else if (has(want, "zrc"))
		assert_int_equal(b.cp.restarts, 0);
	else
		assert_int_equal(b.cp.restarts, 77 - sends);
	assert_int_equal(timer_pending(&b.cp.timer), next >= CP_CLOSING && next < CP_OPENED);
	bench_fini(&b);
}

static void
every_cell(void **state)
{
	for (int event = 0; event < CP_N_EVENTS; event++)
		for (int s = 0; s < CP_N_STATES; s++)
			one_cell((enum cp_event)event, (uint8_t)s);
}

/* Where a cell has several actions, their order is the RFC's. */
static void
order_of_actions(void **state)
{
	static const struct {
		enum cp_event event;
		uint8_t state;
		const char *seen;
	} rows[] = {
	    {CP_RCR_PLUS, CP_OPENED, "tld scr sca "},
	    {CP_RCR_MINUS, CP_OPENED, "tld scr scn "},
	    {CP_RCR_PLUS, CP_ACK_RCVD, "sca tlu "},
	    {CP_RTR, CP_OPENED, "tld sta "},
	    {CP_CLOSE, CP_OPENED, "tld str "},
	    {CP_RCR_PLUS, CP_STOPPED, "scr sca "},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t code = rows[i].event == CP_RCR_PLUS ? CP_CONF_ACK : CP_CONF_NAK;
		const struct cp_packet pk = {code, 9, rd_init(NULL, 0)};
		struct bench b;

		bench_init(&b);
		b.cp.state = rows[i].state;
		cp_event(&b.cp, rows[i].event, &pk);
		assert_string_equal(seen, rows[i].seen);
		bench_fini(&b);
	}
}

static void
feed(struct bench *b, const char *bytes, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);

	memcpy(exact, bytes, len);
	seen[0] = '\0';
	cp_input(&b->cp, exact, len);
	free(exact);
}

#define FEED(b, s) feed(b, s, sizeof(s) - 1)

static void
expect_sent(const char *bytes, size_t len)
{
	assert_int_equal(last_len, len);
	assert_memory_equal(last, bytes, len);
}

#define EXPECT_SENT(s) expect_sent(s, sizeof(s) - 1)

static void
start(struct bench *b)
{
	bench_init(b);
	cp_event(&b->cp, CP_OPEN, NULL);
	cp_event(&b->cp, CP_UP, NULL);
	assert_string_equal(seen, "tls scr ");
	EXPECT_SENT("\1\1\0\14"
		    "\1\4\0\1"
		    "\2\2"
		    "\3\2");
}

static void
restart_timer(void **state)
{
	struct bench b;

	start(&b);
	seen[0] = '\0';
	loop_advance(b.loop, 2999);
	assert_string_equal(seen, "");
	for (int n = 0; n < 9; n++) {
		loop_advance(b.loop, n == 0 ? 1 : 3000);
		assert_string_equal(seen, "scr ");
		assert_int_equal(last[1], 1); /* the same identifier: the same request */
		seen[0] = '\0';
	}
	loop_advance(b.loop, 3000);
	assert_string_equal(seen, "tlf ");
	assert_int_equal(b.cp.state, CP_STOPPED);
	assert_false(timer_pending(&b.cp.timer));
	bench_fini(&b);
}

static void
answers_to_our_request(void **state)
{
	struct bench b;

	start(&b);
	FEED(&b, "\2\2\0\14\1\4\0\1\2\2\3\2"); /* wrong identifier */
	assert_int_equal(b.cp.state, CP_REQ_SENT);
	FEED(&b, "\2\1\0\14\1\4\0\2\2\2\3\2"); /* not what we asked */
	FEED(&b, "\2\1\0\12\1\4\0\1\2\2");
	assert_int_equal(b.cp.state, CP_REQ_SENT);
	assert_int_equal(b.p->counters.malformed, 2);
	FEED(&b,
	    "\3\1\0\12\1\4\0\5\2\2"); /* Nak: 5; and a flag cannot be naked, so it is given up */
	assert_string_equal(seen, "scr ");
	EXPECT_SENT("\1\2\0\12\1\4\0\5\3\2");
	FEED(&b, "\3\1\0\10\1\4\0\6"); /* late, for the first request */
	assert_string_equal(seen, "");
	FEED(&b, "\4\2\0\6\3\2");
	EXPECT_SENT("\1\3\0\10\1\4\0\5");
	FEED(&b, "\3\3\0\12\2\2\11\4\0\0"); /* wishes for what we do not ask: nothing changes */
	EXPECT_SENT("\1\4\0\10\1\4\0\5");
	FEED(&b, "\2\4\0\10\1\4\0\5");
	assert_int_equal(b.cp.state, CP_ACK_RCVD);
	FEED(&b, "\2\4\0\10\1\4\0\5"); /* doubled */
	assert_int_equal(b.cp.state, CP_ACK_RCVD);
	bench_fini(&b);
}

static void
judges_requests(void **state)
{
	struct bench b;

	start(&b);
	FEED(&b, "\1\5\0\4");
	EXPECT_SENT("\2\5\0\4");
	FEED(&b, "\1\6\0\12\1\4\0\7\2\2");
	EXPECT_SENT("\2\6\0\12\1\4\0\7\2\2");
	FEED(&b, "\1\7\0\12\2\2\1\4\0\10"); /* Nak holds only what is not agreed */
	EXPECT_SENT("\3\7\0\10\1\4\0\7");
	FEED(&b, "\1\10\0\25\1\4\0\10\3\3\0\2\2\143\5abc\2\3\0"); /* Reject goes before Nak */
	EXPECT_SENT("\4\10\0\17\3\3\0\143\5abc\2\3\0");
	FEED(&b, "\1\11\0\7\1\3\0"); /* known, with a wrong length */
	EXPECT_SENT("\4\11\0\7\1\3\0");
	FEED(&b, "\1\12\0\4trailing padding");
	EXPECT_SENT("\2\12\0\4");
	assert_int_equal(b.p->counters.malformed, 0);
	bench_fini(&b);
}

static void
naks_end_in_rejects(void **state)
{
	struct bench b;

	start(&b);
	for (int n = 0; n < 5; n++) {
		FEED(&b, "\1\5\0\10\1\4\0\10");
		EXPECT_SENT("\3\5\0\10\1\4\0\7");
	}
	FEED(&b, "\1\5\0\12\2\2\1\4\0\10");
	EXPECT_SENT("\4\5\0\10\1\4\0\10");
	bench_fini(&b);
}

/* Each prefix of a good packet, once with its length as it was and once with a length that fits. */
static void
truncated_at_each_byte(void **state)
{
	static const char good[] = "\1\5\0\17\1\4\0\7\2\2\143\5abc";
	const size_t len = sizeof(good) - 1;
	struct bench b;

	for (size_t n = 0; n < len; n++) {
		bool whole = n == 4 || n == 8 || n == 10; /* where an option ends */
		char cut[sizeof(good)];

		start(&b);
		feed(&b, good, n);
		assert_string_equal(seen, "");
		assert_int_equal(b.p->counters.malformed, 1);
		memcpy(cut, good, n);
		if (n >= 4) {
			cut[3] = (char)n;
			feed(&b, cut, n);
			assert_string_equal(seen, whole ? "sca " : "");
			assert_int_equal(b.p->counters.malformed, whole ? 1 : 2);
		}
		bench_fini(&b);
	}
	start(&b);
	FEED(&b, "\1\5\0\3\1\4\0\7");  /* a length below the header's */
	FEED(&b, "\1\5\0\10\1\1\0\7"); /* an option shorter than its own header */
	FEED(&b, "\1\5\0\10\1\0\0\7");
	FEED(&b, "\3\1\0\10\1\5\0\7"); /* an option that leaves the packet */
	FEED(&b, "\4\1\0\5\1");
	FEED(&b, "\7\1\0\4"); /* a Code-Reject of nothing */
	assert_int_equal(b.p->counters.malformed, 6);
	assert_int_equal(b.cp.state, CP_REQ_SENT);
	bench_fini(&b);
}

static void
huge_requests(void **state)
{
	struct bench b;
	uint8_t big[4 + 3000] = {1, 5, (4 + 3000) >> 8, (4 + 3000) & 0xff};

	start(&b);
	for (size_t i = 4; i < sizeof(big); i += 4)
		memcpy(big + i, "\1\4\0\10", 4);
	feed(&b, (const char *)big, sizeof(big));
	assert_string_equal(seen, "");
	big[2] = 1496 >> 8;
	big[3] = 1496 & 0xff;
	feed(&b, (const char *)big, 1496);
	assert_string_equal(seen, "scn ");
	assert_int_equal(last_len, 1496);
	bench_fini(&b);
}

static void
open_up(struct bench *b)
{
	start(b);
	FEED(b, "\1\5\0\10\1\4\0\10"); /* refused */
	FEED(b, "\1\6\0\10\1\4\0\7");
	FEED(b, "\2\1\0\14\1\4\0\1\2\2\3\2");
	assert_string_equal(seen, "tlu ");
	assert_int_equal(b->cp.state, CP_OPENED);
}

/* The deviation in cp.c: in Opened, a repeated request is no renegotiation. */
static void
repetitions_in_opened(void **state)
{
	struct bench b;

	open_up(&b);
	FEED(&b, "\1\6\0\10\1\4\0\7"); /* our Ack was lost */
	assert_string_equal(seen, "sca ");
	EXPECT_SENT("\2\6\0\10\1\4\0\7");
	FEED(&b, "\1\5\0\10\1\4\0\10"); /* late */
	assert_string_equal(seen, "");
	FEED(&b, "\2\1\0\14\1\4\0\1\2\2\3\2"); /* doubled Ack */
	assert_string_equal(seen, "");
	assert_int_equal(b.cp.state, CP_OPENED);
	FEED(&b, "\1\7\0\10\1\4\0\7"); /* the same, asked anew */
	assert_string_equal(seen, "tld scr sca ");
	bench_fini(&b);
	open_up(&b);
	FEED(&b, "\1\6\0\4"); /* other options under the old identifier */
	assert_string_equal(seen, "tld scr sca ");
	bench_fini(&b);
}

static void
other_codes(void **state)
{
	struct bench b;

	open_up(&b);
	FEED(&b, "\143\11\0\6ab");
	assert_string_equal(seen, "scj ");
	EXPECT_SENT(
	    "\7\2\0\12\143\11\0\6ab"); /* the rejected packet, under an identifier of ours */
	assert_int_equal(b.p->counters.rejects_sent, 1);
	FEED(&b, "\7\11\0\10\14\1\0\4"); /* they do not know Identification */
	assert_int_equal(b.cp.state, CP_OPENED);
	FEED(&b, "\11\11\0\10\0\0\0\1");
	assert_string_equal(seen, "ser ");
	FEED(&b, "\7\11\0\10\1\1\0\4"); /* they do not know Configure-Request */
	assert_string_equal(seen, "tld str ");
	assert_int_equal(b.cp.state, CP_STOPPING);
	bench_fini(&b);
}

/* A Code-Reject is cut to what the peer can receive. */
static void
rejects_fit_the_mru(void **state)
{
	struct bench b;
	uint8_t big[1000] = {99, 1, 1000 >> 8, 1000 & 0xff};

	open_up(&b);
	b.p->peer.mru = PPP_MRU_MIN;
	feed(&b, (const char *)big, sizeof(big));
	assert_string_equal(seen, "scj ");
	assert_int_equal(last_len, PPP_MRU_MIN);
	bench_fini(&b);
}

static void
terminates(void **state)
{
	struct bench b;

	open_up(&b);
	FEED(&b, "\5\11\0\7bye");
	assert_string_equal(seen, "tld sta ");
	EXPECT_SENT("\6\11\0\4");
	seen[0] = '\0';
	loop_advance(b.loop, 2999);
	assert_string_equal(seen, "");
	loop_advance(b.loop, 1);
	assert_string_equal(seen, "tlf ");
	bench_fini(&b);
	open_up(&b);
	seen[0] = '\0';
	cp_event(&b.cp, CP_CLOSE, NULL);
	assert_int_equal(last[1], 2);
	loop_advance(b.loop, 3000);
	assert_int_equal(last[1], 2);
	loop_advance(b.loop, 3000);
	assert_string_equal(seen, "tld str str tlf ");
	assert_int_equal(b.cp.state, CP_CLOSED);
	bench_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_cell),
	    cmocka_unit_test(order_of_actions),
	    cmocka_unit_test(restart_timer),
	    cmocka_unit_test(answers_to_our_request),
	    cmocka_unit_test(judges_requests),
	    cmocka_unit_test(naks_end_in_rejects),
	    cmocka_unit_test(truncated_at_each_byte),
	    cmocka_unit_test(huge_requests),
	    cmocka_unit_test(repetitions_in_opened),
	    cmocka_unit_test(other_codes),
	    cmocka_unit_test(rejects_fit_the_mru),
	    cmocka_unit_test(terminates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
