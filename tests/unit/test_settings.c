/* link: pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pptpd.conf and options.pptpd: values, defaults, every error's text, and print -> parse -> print.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pptpd/conf/settings.h"
#include "pptpd/conf/words.h"

struct parsed {
	struct settings *s;
	struct conf_errors e;
};

static struct parsed
parse(const char *main_text, const char *options_text)
{
	struct parsed p = {.s = settings_new()};
	unsigned before;
	int result;

	assert_non_null(p.s);
	if (main_text != NULL) {
		result = settings_parse_main(p.s, "m", main_text, &p.e);
		assert_int_equal(result, p.e.errors > 0 ? -1 : 0);
	}
	before = p.e.errors;
	if (options_text != NULL) {
		result = settings_parse_options(p.s, "o", options_text, &p.e);
		assert_int_equal(result, p.e.errors > before ? -1 : 0);
	}
	return p;
}

static void
parsed_fini(struct parsed *p)
{
	settings_free(p->s);
	conf_errors_fini(&p->e);
}

static void
expect(const char *main_text, const char *options_text, const char *messages)
{
	struct parsed p = parse(main_text, options_text);

	if (messages == NULL)
		assert_null(p.e.text);
	else
		assert_string_equal(p.e.text != NULL ? p.e.text : "", messages);
	parsed_fini(&p);
}

static char *
read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text;

	assert_true(fd >= 0);
	text = conf_read_fd(fd, NULL);
	assert_non_null(text);
	close(fd);
	return text;
}

static void
assert_list(const struct ip_list *l, const char *text)
{
	char *got;
	size_t len;
	FILE *f = open_memstream(&got, &len);

	ip_list_print(l, f);
	fclose(f);
	assert_string_equal(got, text);
	free(got);
}

static void
without(const char *list, const uint32_t *ips, size_t n, const char *text, uint32_t total)
{
	struct ip_list l, out;
	const char *want;

	assert_int_equal(ip_list_parse(list, &l, &want), 0);
	assert_int_equal(ip_list_without(&l, ips, n, &out), 0);
	assert_list(&out, text);
	assert_int_equal(out.total, total);
	ip_list_fini(&l);
	ip_list_fini(&out);
}

static void
test_list_without(void **state)
{
	static const uint32_t ips[] = {
	    0x09000001, 0x0a000002, 0x0a000002, 0x0a000004, 0x0a000005, 0x0a000009, 0x0b000001};

	without("10.0.0.2-9", ips, 0, "10.0.0.2-9", 8);
	without("10.0.0.2-9", ips, 7, "10.0.0.3,10.0.0.6-8", 4);
	without("11.0.0.1-3,10.0.0.1-3", ips, 7, "11.0.0.2-3,10.0.0.1,10.0.0.3", 4);
	without("10.0.0.4-5", ips, 7, "", 0);
	without("11.0.0.1-11.0.0.1", ips, 1, "11.0.0.1", 1);
}

static void
test_defaults(void **state)
{
	struct parsed p = parse("", "");
	struct settings *s = p.s;

	assert_null(p.e.text);
	assert_string_equal(s->option_file, "/etc/ppp/options.pptpd");
	assert_string_equal(s->secrets_file, "/etc/ppp/chap-secrets");
	assert_string_equal(s->name, "");
	assert_int_equal(s->connections, 100);
	assert_int_equal(s->stimeout_s, 10);
	assert_int_equal(s->max_per_address, 0);
	assert_int_equal(s->max_half_open, 1024);
	assert_int_equal(s->echo_interval_s, 60);
	assert_int_equal(s->echo_timeout_s, 60);
	assert_int_equal(s->workers, 0);
	assert_int_equal(s->reorder_window, 32);
	assert_int_equal(s->reorder_timeout_ms, 50);
	assert_int_equal(s->ack_delay_ms, 100);
	assert_int_equal(s->receive_window, 64);
	assert_int_equal(s->control_timeout_s, 60);
	assert_int_equal(s->mtu, 1400);
	assert_int_equal(s->mru, 1400);
	assert_int_equal(s->lcp_echo_interval_s, 0);
	assert_int_equal(s->lcp_restart_s, 3);
	assert_int_equal(s->lcp_max_configure, 10);
	assert_true(s->require_mschap_v2 && s->require_mppe_128);
	assert_false(s->standby || s->proxyarp || s->debug || s->logwtmp);
	assert_null(s->ignored);
	parsed_fini(&p);
}

static void
test_moved_server(void **state)
{
	char *m = read_file("../config/pptpd.conf.moved");
	char *o = read_file("../config/options.pptpd.moved");
	struct parsed p = parse(m, o);
	struct settings *s = p.s;

	assert_null(p.e.text);
	assert_true(s->logwtmp && s->debug && s->ppp_debug && s->proxyarp);
	assert_true(s->refuse_pap && s->refuse_chap && s->refuse_mschap && !s->refuse_eap);
	assert_list(&s->local_ips, "10.8.0.1");
	assert_list(&s->remote_ips, "192.168.0.234-238,192.168.0.245,10.8.0.2-254");
	assert_int_equal(s->remote_ips.total, 5 + 1 + 253);
	assert_int_equal(s->connections, 200);
	assert_int_equal(s->stimeout_s, 5);
	assert_int_equal(s->listen, 0xcb00710a);
	assert_string_equal(s->name, "pptpd");
	assert_int_equal(s->n_dns, 2);
	assert_int_equal(s->dns[0], 0x08080808);
	assert_int_equal(s->dns[1], 0x08080404);
	assert_int_equal(s->n_wins, 1);
	assert_int_equal(s->wins[0], 0xc0a80103);
	assert_int_equal(s->lcp_echo_interval_s, 30);
	assert_int_equal(s->lcp_echo_failure, 4);
	assert_int_equal(s->idle_s, 3600);
	assert_int_equal(s->maxconnect_s, 86400);
	assert_int_equal(settings_check(s, "m", &p.e), 0);
	assert_string_equal(p.e.text,
	    "m: warning: ignored, since they mean nothing here: speed, ppp, bcrelay, noipparam, "
	    "pidfile, lock, nologfd, crtscts, asyncmap\n");
	parsed_fini(&p);
	free(m);
	free(o);
}

static void
test_full(void **state)
{
	char *m = read_file("../config/pptpd.conf.full");
	char *o = read_file("../config/options.pptpd.full");
	struct parsed p = parse(m, o);
	struct settings *s = p.s;

	assert_null(p.e.text);
	assert_list(
	    &s->remote_ips, "10.0.0.2-254,10.0.1.0-10.0.2.255,10.9.0.7,10.9.1.7,10.9.2.7,10.9.3.7");
	assert_string_equal(s->option_file, "/srv/options");
	assert_string_equal(s->secrets_file, "/srv/secrets");
	assert_int_equal(s->max_per_address, 8);
	assert_int_equal(s->max_half_open, 64);
	assert_int_equal(s->control_timeout_s, 30);
	assert_int_equal(s->echo_interval_s, 20);
	assert_int_equal(s->echo_timeout_s, 10);
	assert_int_equal(s->workers, 4);
	assert_int_equal(s->reorder_window, 0);
	assert_int_equal(s->reorder_timeout_ms, 20);
	assert_int_equal(s->ack_delay_ms, 10);
	assert_int_equal(s->receive_window, 128);
	assert_true(s->standby);
	assert_string_equal(s->name, "my \"server\"\n");
	assert_true(s->refuse_pap && s->refuse_chap && s->refuse_mschap && s->refuse_eap);
	assert_int_equal(s->mtu, 1300);
	assert_int_equal(s->mru, 1310);
	assert_int_equal(s->lcp_max_configure, 5);
	assert_int_equal(settings_check(s, "m", &p.e), 0);
	assert_string_equal(s->name, ""); /* usehostname */
	parsed_fini(&p);
	free(m);
	free(o);
}

static void
print(const struct settings *s, char **m, char **o)
{
	size_t m_len, o_len;
	FILE *mf = open_memstream(m, &m_len), *of = open_memstream(o, &o_len);

	settings_print(s, mf, of);
	fclose(mf);
	fclose(of);
}

static void
check_fixpoint(const char *m, const char *o)
{
	struct parsed first = parse(m, o), second;
	char *m1, *o1, *m2, *o2;

	print(first.s, &m1, &o1);
	second = parse(m1, o1);
	assert_null(second.e.text);
	print(second.s, &m2, &o2);
	assert_string_equal(m1, m2);
	assert_string_equal(o1, o2);
	parsed_fini(&first);
	parsed_fini(&second);
	free(m1);
	free(o1);
	free(m2);
	free(o2);
}

static void
test_fixpoint(void **state)
{
	static const char *const kinds[] = {"moved", "full"};
	char path[64], *m, *o, *printed_m, *printed_o;
	struct parsed p;

	check_fixpoint("", "");
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "../config/pptpd.conf.%s", kinds[i]);
		m = read_file(path);
		snprintf(path, sizeof(path), "../config/options.pptpd.%s", kinds[i]);
		o = read_file(path);
		check_fixpoint(m, o);
		if (i == 1) { /* the full file prints every directive, in the order of the table */
			p = parse(m, o);
			print(p.s, &printed_m, &printed_o);
			assert_non_null(strstr(printed_m, "receive-window 128\nrole standby\n"));
			assert_non_null(
			    strstr(printed_o, "name \"my \\\"server\\\"\\012\"\nusehostname\n"));
			parsed_fini(&p);
			free(printed_m);
			free(printed_o);
		}
		free(m);
		free(o);
	}
}

static void
test_main_errors(void **state)
{
	expect("conections 5\n", NULL, "m:1: unknown directive \"conections\"\n");
	expect("\n\nconnections\n", NULL, "m:3: connections: got 0 arguments, want 1\n");
	expect("connections 1 2\n", NULL, "m:1: connections: got 2 arguments, want 1\n");
	expect("connections 1 # a comment\n", NULL, NULL);
	expect("connections 0\n", NULL, "m:1: connections: got \"0\", want 1..65535\n");
	expect("connections 5x\n", NULL, "m:1: connections: got \"5x\", want 1..65535\n");
	expect("stimeout 3601\n", NULL, "m:1: stimeout: got \"3601\", want 1..3600\n");
	expect("listen here\n", NULL, "m:1: listen: got \"here\", want an IPv4 address\n");
	expect("option options\n", NULL, "m:1: option: got \"options\", want an absolute path\n");
	expect("chap-secrets x\n", NULL, "m:1: chap-secrets: got \"x\", want an absolute path\n");
	expect("role master\n", NULL, "m:1: role: got \"master\", want active or standby\n");
	expect("workers 17\n", NULL, "m:1: workers: got \"17\", want 0..16\n");
	expect("reorder-window 65\n", NULL, "m:1: reorder-window: got \"65\", want 0..64\n");
	expect("ack-delay 0\n", NULL, "m:1: ack-delay: got \"0\", want 1..1000\n");
	expect(
	    "receive-window 70000\n", NULL, "m:1: receive-window: got \"70000\", want 1..65535\n");
	expect("debug yes\n", NULL, "m:1: debug: got 1 arguments, want 0\n");
	expect("bcrelay\n", NULL, "m:1: bcrelay: got 0 arguments, want 1\n");
	expect(
	    "connections \x1b[2J\n", NULL, "m:1: connections: got \"\\x1b[2J\", want 1..65535\n");
	expect(" localip 1.2.3.4\n # a comment\n\t\n", NULL,
	    "m:1: warning: begins with a blank: ignored, as poptop does\n");
	expect("connections 7\nconnections 8\n", NULL,
	    "m:2: warning: connections: given again, the first one stands, as with poptop\n");
}

static void
test_first_one_stands(void **state)
{
	struct parsed p = parse("connections 7\nconnections 8\ndebug\r\n", NULL);

	assert_int_equal(p.s->connections, 7);
	assert_true(p.s->debug);
	assert_int_equal(p.e.warnings, 1);
	parsed_fini(&p);
}

#define WANT_FORM "addresses and ranges (a.b.c.d, a.b.c.d-e or a.b.c.d-a.b.c.e) joined by commas"
#define BACKWARDS "ranges that do not run backwards"
#define OUTSIDE   "addresses outside 0.0.0.0/8, 127.0.0.0/8 and 224.0.0.0/3"

static void
test_ip_lists(void **state)
{
	static const struct {
		const char *text, *want;
	} bad[] = {
	    {"", WANT_FORM},
	    {",", WANT_FORM},
	    {"1.2.3.4,", WANT_FORM},
	    {"1.2.3", WANT_FORM},
	    {"1.2.3.4.5", WANT_FORM},
	    {"1.2.3.4-", WANT_FORM},
	    {"1.2.3.4-256", WANT_FORM},
	    {"1.2.3.4-5-6", WANT_FORM},
	    {"1.2.3-4.5.6-7", WANT_FORM},
	    {"1.2.3.-5", WANT_FORM},
	    {"1.2.3.04-5", WANT_FORM},
	    {"1.2.3.4-05", WANT_FORM},
	    {"1.2.3.4-5.6", WANT_FORM},
	    {"host.example", WANT_FORM},
	    {"1.2.3.4/24", WANT_FORM},
	    {"100.200.100.200-100.200.100.2000", WANT_FORM},
	    {"192.168.0.234-8", BACKWARDS},
	    {"10.0.0.9-10.0.0.8", BACKWARDS},
	    {"10.2-1.0.1", BACKWARDS},
	    {"0.0.0.1", OUTSIDE},
	    {"126.0.0.0-128.0.0.0", OUTSIDE},
	    {"127.0.0.1", OUTSIDE},
	    {"223.255.255.255-224.0.0.0", OUTSIDE},
	    {"10.0.0.5,10.0.0.1-9", "each address once"},
	    {"10.0.0.1-9,10.0.0.9-11", "each address once"},
	    {"10.0.0.0-10.15.255.255,1.1.1.1", "at most 1048576 addresses"},
	};
	const char *want = NULL;
	struct ip_list l;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(ip_list_parse(bad[i].text, &l, &want), -1);
		assert_string_equal(want, bad[i].want);
		assert_null(l.ranges);
	}
	expect(
	    "remoteip 1.2.3.4,\n", NULL, "m:1: remoteip: got \"1.2.3.4,\", want " WANT_FORM "\n");

	assert_int_equal(ip_list_parse("10.0.0.0-10.15.255.255", &l, &want), 0);
	assert_int_equal(l.total, 1u << 20);
	ip_list_fini(&l);
	assert_int_equal(ip_list_parse("10.0.0.7-9,10.0.0.1,10.1-2.0.4,10.0.0.5-5", &l, &want), 0);
	assert_int_equal(l.total, 7);
	assert_int_equal(ip_list_at(&l, 0), 0x0a000007);
	assert_int_equal(ip_list_at(&l, 2), 0x0a000009);
	assert_int_equal(ip_list_at(&l, 3), 0x0a000001);
	assert_int_equal(ip_list_at(&l, 5), 0x0a020004);
	assert_int_equal(ip_list_at(&l, 6), 0x0a000005);
	assert_true(ip_list_has(&l, 0x0a000008));
	assert_true(ip_list_has(&l, 0x0a010004));
	assert_false(ip_list_has(&l, 0x0a00000a));
	assert_false(ip_list_has(&l, 0x0a000006));
	ip_list_fini(&l);
}

static void
test_option_errors(void **state)
{
	expect(NULL, "refuse-papp\nmtu 1400\n", "o:1: unknown directive \"refuse-papp\"\n");
	/* what follows an unknown option on its line may be its argument, even a password */
	expect(NULL, "passwrod geheim 12\nmtu 5\n",
	    "o:1: unknown directive \"passwrod\"\no:2: mtu: got \"5\", want 128..2048\n");
	expect(NULL, "mtu", "o:1: mtu: got 0 arguments, want 1\n");
	expect(NULL, "mtu\nmru 1400", "o:1: mtu: got \"mru\", want 128..2048\n");
	expect(NULL, "mtu 127 mru 2049\n",
	    "o:1: mtu: got \"127\", want 128..2048\no:1: mru: got \"2049\", want 128..2048\n");
	expect(NULL, "\nms-dns dns.example\n",
	    "o:2: ms-dns: got \"dns.example\", want an IPv4 address\n");
	expect(NULL, "ms-wins 1.2.3", "o:1: ms-wins: got \"1.2.3\", want an IPv4 address\n");
	expect(NULL, "idle -1\n", "o:1: idle: got \"-1\", want 0..2147483647\n");
	expect(NULL, "lcp-echo-interval 65535 lcp-echo-failure 255", NULL);
	expect(NULL, "lcp-echo-interval 65536 lcp-echo-failure 256",
	    "o:1: lcp-echo-interval: got \"65536\", want 0..65535\n"
	    "o:1: lcp-echo-failure: got \"256\", want 0..255\n");
	expect(NULL, "lcp-restart 0\n", "o:1: lcp-restart: got \"0\", want 1..3600\n");
	expect(NULL, "mppe required,no128\n",
	    "o:1: mppe: got \"required,no128\", want required, stateless, no40, no56 or 128, "
	    "joined "
	    "by commas\n");
	expect(NULL, "name \"a b\nmtu 1\n",
	    "o:1: name: a quote is not closed on its line\n"
	    "o:2: mtu: got \"1\", want 128..2048\n");
	expect(NULL, "'open\n", "o:1: a quote is not closed on its line\n");
	expect(NULL, "user \\x00", "o:1: user: a backslash makes a NUL character\n");
	expect(NULL, "mtu 1400 mtu 1300", "o:1: warning: mtu: given again, the last one wins\n");
	expect(NULL, "debug debug refuse-pap refuse-pap", NULL);
}

static void
test_refused_options(void **state)
{
#define MSCHAP2  ": refused: clients authenticate with MS-CHAPv2 and nothing else\n"
#define ANY_MPPE ": refused: no tunnel goes without encryption\n"
#define MPPE_128 ": refused: MPPE keys have 128 bits and nothing less\n"
	expect(NULL, "noauth require-pap +pap require-chap +chap",
	    "o:1: noauth" MSCHAP2 "o:1: require-pap" MSCHAP2 "o:1: +pap" MSCHAP2
	    "o:1: require-chap" MSCHAP2 "o:1: +chap" MSCHAP2);
	expect(NULL, "require-mschap +mschap +chapms require-eap login allow-ip 1.2.3.4",
	    "o:1: require-mschap" MSCHAP2 "o:1: +mschap" MSCHAP2 "o:1: +chapms" MSCHAP2
	    "o:1: require-eap" MSCHAP2 "o:1: login" MSCHAP2 "o:1: allow-ip" MSCHAP2);
	expect(NULL, "nomppe -mppe noccp -ccp",
	    "o:1: nomppe" ANY_MPPE "o:1: -mppe" ANY_MPPE "o:1: noccp" ANY_MPPE
	    "o:1: -ccp" ANY_MPPE);
	expect(NULL, "require-mppe-40 +mppe-40 mppe-40 nomppe-128 -mppe-128",
	    "o:1: require-mppe-40" MPPE_128 "o:1: +mppe-40" MPPE_128 "o:1: mppe-40" MPPE_128
	    "o:1: nomppe-128" MPPE_128 "o:1: -mppe-128" MPPE_128);
	expect(NULL, "mppe-stateful",
	    "o:1: mppe-stateful: refused: a stateful key stream breaks at each lost packet and "
	    "cannot "
	    "be taken over\n");
	expect(NULL, "noip", "o:1: noip: refused: the tunnels carry IPv4 and nothing else\n");
	expect(NULL, "-ip", "o:1: -ip: refused: the tunnels carry IPv4 and nothing else\n");
	expect(NULL, "allow-number *",
	    "o:1: allow-number: refused: it would restrict nothing here: name the client networks "
	    "in "
	    "cluster.conf\n");
	expect(NULL, "pass-filter 'tcp port 80'",
	    "o:1: pass-filter: refused: it would filter nothing here: filtering is the firewall's, "
	    "see "
	    "cluster.conf\n");
	expect(NULL, "file /x\ncall peer",
	    "o:1: file: refused: options are not read from further files: write them into this "
	    "one\n"
	    "o:2: call: refused: options are not read from further files: write them into this "
	    "one\n");
}

static void
test_options(void **state)
{
	struct parsed p = parse(NULL,
	    "+mschap-v2 require-mppe +mppe mppe-128 mppe-stateless nomppe-40 nomppe-stateful\n"
	    "auth novj nobsdcomp nodefaultroute chapms-strip-domain noipv6\n"
	    "proxyarp -proxyarp ms-dns 1.1.1.1 dns-addr 2.2.2.2 ms-dns 3.3.3.3\n"
	    "115200 /dev/ttyS0 10.0.0.1: : name a#rest is a comment\n"
	    "\"mtu\" 13\\\n00 plugin radius.so password geheim plugin winbind.so\n");

	assert_false(p.s->proxyarp);
	assert_int_equal(p.s->n_dns, 2);
	assert_int_equal(p.s->dns[0], 0x01010101);
	assert_int_equal(p.s->dns[1], 0x03030303);
	assert_string_equal(p.s->name, "a");
	assert_int_equal(p.s->mtu, 1300);
	assert_string_equal(
	    p.s->ignored, "line speed, device name, local:remote addresses, plugin, password");
	assert_int_equal(p.e.errors, 0);
	assert_string_equal(p.e.text,
	    "o:3: warning: ms-dns: given more than twice, the last one is the secondary\n");
	parsed_fini(&p);
	expect(NULL, "10.0.0.1:host", "o:1: unknown directive \"10.0.0.1:host\"\n");
}

static void
check(const char *m, const char *o, int result, const char *messages)
{
	struct parsed p = parse(m, o);

	assert_null(p.e.text);
	assert_int_equal(settings_check(p.s, "m", &p.e), result);
	if (messages == NULL)
		assert_null(p.e.text);
	else
		assert_string_equal(p.e.text, messages);
	parsed_fini(&p);
}

static void
test_check(void **state)
{
	check("connections 1\n", "", -1,
	    "m: localip: not given, want the gateway's tunnel address\n"
	    "m: remoteip: not given, want the clients' addresses\n");
	check("localip 10.0.0.4\nremoteip 10.0.0.2-9\nconnections 8\n", "", -1,
	    "m: remoteip: has an address of localip\n");
	check("localip 10.0.0.1\nremoteip 10.0.0.2-9\nconnections 8\n", "", 0, NULL);
	check("localip 10.0.0.1\nremoteip 10.0.0.2-9\n", "", 0,
	    "m: warning: remoteip: 8 addresses for 100 connections\n");
	check("localip 10.0.0.1\nremoteip 10.0.0.2-9\nconnections 8\n", "lcp-echo-failure 3", 0,
	    "/etc/ppp/options.pptpd: warning: lcp-echo-failure: no effect without "
	    "lcp-echo-interval\n");
}

static void
test_needs_restart(void **state)
{
	struct parsed a = parse("listen 10.0.0.1\n", ""),
		      b = parse("listen 10.0.0.1\nstimeout 3\n", "");

	assert_null(settings_needs_restart(a.s, b.s));
	b.s->workers = 2;
	assert_string_equal(settings_needs_restart(a.s, b.s), "workers");
	b.s->listen = 0;
	assert_string_equal(settings_needs_restart(a.s, b.s), "listen");
	parsed_fini(&a);
	parsed_fini(&b);
}

/* What stands in the file when the daemon starts, and nothing else, asks for a restart. */
static void
test_each_that_needs_restart(void **state)
{
	static const struct {
		const char *a, *b;
		bool restart;
	} cases[] = {
	    {"localip 10.0.0.1", "localip 10.0.0.3", true},
	    {"localip 10.0.0.1", "localip 10.0.0.1,10.0.0.3", true},
	    {"localip 10.0.0.1,10.0.0.3", "localip 10.0.0.1,10.0.0.3", false},
	    {"reorder-window 3", "reorder-window 4", true},
	    {"reorder-timeout 3", "reorder-timeout 4", true},
	    {"ack-delay 3", "ack-delay 4", true},
	    {"workers 1", "workers 2", true},
	    {"role active", "role standby", true},
	    {"role standby", "role standby", false},
	    {"remoteip 10.0.0.2", "remoteip 10.0.0.3", false},
	    {"option /a", "option /b", false},
	    {"debug", "logwtmp", false},
	    {"connections 3", "connections 4", false},
	    {"receive-window 3", "receive-window 4", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct parsed a = parse(cases[i].a, ""), b = parse(cases[i].b, "");
		const char *name = settings_needs_restart(a.s, b.s);

		if (cases[i].restart) {
			assert_non_null(name);
			assert_memory_equal(name, cases[i].a, strlen(name));
		} else {
			assert_null(name);
		}
		parsed_fini(&a);
		parsed_fini(&b);
	}
}

/* The manual page has every directive that is printed, and for numbers the default that holds. */
static void
test_documented(void **state)
{
	char *manual = read_file("../../docs/pptpd.conf.5");
	struct parsed p = parse("", "");
	char *texts[2], *rest, *line, entry[64], value[64], *at;
	unsigned number;

	print(p.s, &texts[0], &texts[1]);
	for (size_t i = 0; i < 2; i++)
		for (line = strtok_r(texts[i], "\n", &rest); line != NULL;
		     line = strtok_r(NULL, "\n", &rest)) {
			snprintf(
			    entry, sizeof(entry), "\n.It Ic %.*s", (int)strcspn(line, " "), line);
			at = strstr(manual, entry);
			if (at == NULL) /* one of several under one heading */
				at = strstr(manual, entry + strlen("\n.It Ic"));
			assert_non_null(at);
			if (sscanf(line, "%*s %u%c", &number, value) != 1)
				continue;
			snprintf(value, sizeof(value), "Default: %u", number);
			at = strstr(at, "\nDefault: ");
			assert_non_null(at);
			assert_memory_equal(at + 1, value, strlen(value));
		}
	parsed_fini(&p);
	free(texts[0]);
	free(texts[1]);
	free(manual);
}

static void
assert_words(const char *text, const char *const *expected)
{
	struct words w;

	words_init(&w, text);
	for (; *expected != NULL; expected++) {
		assert_int_equal(words_next(&w), WORDS_WORD);
		assert_string_equal(w.word, *expected);
	}
	assert_int_equal(words_next(&w), WORDS_END);
	words_fini(&w);
}

/* Each of these was compared with what pppd 2.4.9 itself makes of it. */
static void
test_words(void **state)
{
	char longest[WORD_MAX + 3];
	struct words w;

	assert_words(
	    "a 'b c'\"d'\"e\\ f#g\n#h\ni", (const char *const[]){"a", "b cd'e f", "i", NULL});
	assert_words("\\a\\b\\f\\n\\r\\s\\t\\q", (const char *const[]){"\a\b\f\n\r \tq", NULL});
	assert_words("\\1018 \\x41g \\#x '\\'' \"\"",
	    (const char *const[]){"A8", "Ag", "#x", "'", "", NULL});
	assert_words("Very$trongP@ss a\\\nb \\\nc",
	    (const char *const[]){"Very$trongP@ss", "ab", "c", NULL});

	words_init(&w, "a \\\nb\nc");
	assert_int_equal(words_next(&w), WORDS_WORD);
	assert_true(w.first && w.line == 1);
	assert_int_equal(words_next(&w), WORDS_WORD);
	assert_true(!w.first && w.line == 2);
	assert_int_equal(words_next(&w), WORDS_WORD);
	assert_true(w.first && w.line == 3);
	words_fini(&w);

	memset(longest, 'x', sizeof(longest));
	longest[WORD_MAX] = '\0';
	words_init(&w, longest);
	assert_int_equal(words_next(&w), WORDS_WORD);
	longest[WORD_MAX] = 'x';
	longest[WORD_MAX + 1] = '\0';
	words_init(&w, longest);
	assert_int_equal(words_next(&w), WORDS_BAD);
	assert_string_equal(w.why, "a word is longer than 1023 bytes");
	words_init(&w, "a\\");
	assert_int_equal(words_next(&w), WORDS_BAD);
	assert_string_equal(w.why, "a backslash ends the file");
	assert_int_equal(words_next(&w), WORDS_END);
	words_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_list_without),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_moved_server),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_fixpoint),
	    cmocka_unit_test(test_main_errors),
	    cmocka_unit_test(test_first_one_stands),
	    cmocka_unit_test(test_ip_lists),
	    cmocka_unit_test(test_option_errors),
	    cmocka_unit_test(test_refused_options),
	    cmocka_unit_test(test_options),
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_needs_restart),
	    cmocka_unit_test(test_each_that_needs_restart),
	    cmocka_unit_test(test_documented),
	    cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
