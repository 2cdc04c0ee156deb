/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cluster.conf: the lab's file is read right, thirty-odd mistakes each give their one message, and
 * the rendered rulesets say what the file says. A mistake is one replacement in a good file.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hagent/cluster.h"
#include "hagent/outline.h"
#include "hagent/pubkey.h"
#include "hagent/render.h"

/* Lines are numbered in the expectations below: keep them where they are. */
static const char good[] =
    "format = 1\n"                                                       /* 1 */
    "client-networks = { 8.8.0.0/16, 9.9.9.0/24 }\n"                     /* 2 */
    "not-bogon = { 198.51.100.0/24 }\n"                                  /* 3 */
    "pair { name = office vrrp-id = 7 }\n"                               /* 4 */
    "node gw1 {\n"                                                       /* 5 */
    "  wan-address = 198.51.100.11\n"                                    /* 6 */
    "  lan-address = 192.168.1.2\n"                                      /* 7 */
    "  sync-address = 10.255.0.1\n"                                      /* 8 */
    "  wan-interface = eth0\n"                                           /* 9 */
    "  lan-interface = eth1\n"                                           /* 10 */
    "  sync-interface = eth2.7\n"                                        /* 11 */
    "}\n"                                                                /* 12 */
    "node gw2 {\n"                                                       /* 13 */
    "  wan-address = 198.51.100.12\n"                                    /* 14 */
    "  lan-address = 192.168.1.3\n"                                      /* 15 */
    "  sync-address = 10.255.0.2\n"                                      /* 16 */
    "  wan-interface = eth0\n"                                           /* 17 */
    "  lan-interface = eth1\n"                                           /* 18 */
    "  sync-interface = eth2.7\n"                                        /* 19 */
    "}\n"                                                                /* 20 */
    "vip {\n"                                                            /* 21 */
    "  wan = 198.51.100.10/24\n"                                         /* 22 */
    "  lan = 192.168.1.1/24\n"                                           /* 23 */
    "}\n"                                                                /* 24 */
    "tunnel { network = 10.8.0.0/24 local = 10.8.0.1 }\n"                /* 25 */
    "sync { network = 10.255.0.0/30 }\n"                                 /* 26 */
    "api web {\n"                                                        /* 27 */
    "  address = 192.168.1.20\n"                                         /* 28 */
    "  protocol = tcp\n"                                                 /* 29 */
    "  ports = { 443, 8000-8010 }\n"                                     /* 30 */
    "}\n"                                                                /* 31 */
    "api ping { address = 192.168.1.20 protocol = icmp }\n"              /* 32 */
    "nat { tunnel-to-wan = yes }\n"                                      /* 33 */
    "limits { connections-per-minute = 30 }\n"                           /* 34 */
    "management { networks = { 192.168.1.0/24 } tcp-ports = { 22 } }\n"; /* 35 */

static const struct mistake {
	const char *from, *to; /* the first `from` in the good file becomes `to` */
	const char *message;   /* all that may be said about it */
} mistakes[] = {
    /* scalars */
    {"format = 1", "format = 2", "c:1: format: got \"2\", want 1\n"},
    {"format = 1\n", "\n", "c: format: got nothing, want 1\n"},
    {"vrrp-id = 7", "vrrp-id = 256", "c:4: vrrp-id: got \"256\", want 1..255\n"},
    {"vrrp-id = 7", "vrrp-id = -1", "c:4: vrrp-id: got \"-1\", want 1..255\n"},
    {"vrrp-id = 7", "vrrp-id = 7x", "c:4: vrrp-id: got \"7x\", want 1..255\n"},
    {"vrrp-id = 7", "advert-interval-ms = 15",
	"c:4: advert-interval-ms: got \"15\", want a multiple of 10\n"},
    {"name = office", "name = \"an office\"",
	"c:4: name: got \"an office\", want 1..31 letters, digits, - or _\n"},
    {"198.51.100.11\n", "198.51.100\n",
	"c:6: wan-address: got \"198.51.100\", want an IPv4 address\n"},
    {"  wan-address = 198.51.100.11\n", "\n",
	"c:5: wan-address: got nothing, want an IPv4 address\n"},
    {"wan-interface = eth0", "wan-interface = \"a;b\"",
	"c:9: wan-interface: got \"a;b\", want an interface name of 1..15 characters\n"},
    {"wan-interface = eth0", "wan-interface = abcdefghijklmnop",
	"c:9: wan-interface: got \"abcdefghijklmnop\", want an interface name of 1..15 "
	"characters\n"},
    {"198.51.100.10/24", "198.51.100.10",
	"c:22: wan: got \"198.51.100.10\", want an address with its prefix such as "
	"198.51.100.10/24\n"},
    {"10.8.0.0/24", "10.8.0.1/24",
	"c:25: network: got \"10.8.0.1/24\", want a network such as 192.168.1.0/24\n"},
    {"protocol = tcp", "protocol = sctp", "c:29: protocol: got \"sctp\", want tcp, udp or icmp\n"},
    {"tunnel-to-wan = yes", "tunnel-to-wan = true",
	"c:33: tunnel-to-wan: got \"true\", want yes or no\n"},
    {"tunnel-to-wan = yes", "ports = 60000-20000",
	"c:33: ports: got \"60000-20000\", want a range of ports such as 20000-60000\n"},
    {"connections-per-minute = 30", "connections-per-minute = 0",
	"c:34: connections-per-minute: got \"0\", want 1..1000000\n"},
    {"vrrp-id = 7", "priority = 255", "c:4: priority: got \"255\", want 2..252\n"},
    {"vrrp-id = 7", "garp-repeat = 0", "c:4: garp-repeat: got \"0\", want 1..50\n"},
    {"10.255.0.0/30 }", "10.255.0.0/30 ssh-port = 70000 }",
	"c:26: ssh-port: got \"70000\", want 1024..65535\n"},
    {"10.255.0.0/30 }", "10.255.0.0/30 conntrackd-port = 0 }",
	"c:26: conntrackd-port: got \"0\", want 1..65535\n"},
    {"limits {", "limits { sessions = 65536 ", "c:34: sessions: got \"65536\", want 1..65535\n"},
    {"limits {", "drill d { kind = fire } limits {",
	"c:34: kind: got \"fire\", want planned, crash, link, daemon or load\n"},
    {"limits {", "drill d { schedule = \"Sun 25:00\" } limits {",
	"c:34: schedule: got \"Sun 25:00\", want " CALENDAR_WANT "\n"},
    {"limits {", "drill d { blackout = { \"Mon\", \"08:00\" } } limits {",
	"c:34: blackout: got \"08:00\", want at most 8 windows such as Mon..Fri 08:00-18:00 or "
	"12-20..01-06\n"},
    {"limits {", "drill d { after-failure = hope } limits {",
	"c:34: after-failure: got \"hope\", want stop or continue\n"},
    {"limits {", "drill d { outage-s = 2 } limits {", "c:34: outage-s: got \"2\", want 3..60\n"},
    {"limits {", "drill crash { } limits {",
	"c:34: drill: got \"crash\", want at most 16, not called as a kind is\n"},
    {"limits {", "drill { kind = crash } limits {",
	"c:34: drill: got \" {\", want \"drill NAME {\"\n"},
    {"limits {", "health { failures = 0 } limits {", "c:34: failures: got \"0\", want 1..100\n"},
    {"limits {", "health { pptpd-timeout-ms = 5 } limits {",
	"c:34: pptpd-timeout-ms: got \"5\", want 10..60000\n"},
    {"limits {", "split { peer-loss = hope } limits {",
	"c:34: peer-loss: got \"hope\", want continue or fence\n"},
    {"limits {", "split { peer-loss = fence } limits {",
	"c:34: fence-command: got nothing, want a command for peer-loss = fence\n"},
    {"limits {", "split { fence-command = fence-peer } limits {",
	"c:34: fence-command: got \"fence-peer\", want an absolute path of at most 127 letters, "
	"digits, -, _, . and /\n"},
    {"limits {", "split { fence-timeout-ms = 99 } limits {",
	"c:34: fence-timeout-ms: got \"99\", want 100..60000\n"},
    {"limits {", "timeouts { commit-ms = 1s } limits {",
	"c:34: commit-ms: got \"1s\", want 10..60000\n"},
    {"limits {", "timeouts { yield-ms = 9 } limits {",
	"c:34: yield-ms: got \"9\", want 10..60000\n"},
    {"tunnel-to-wan = yes", "tunnel-to-lan = y",
	"c:33: tunnel-to-lan: got \"y\", want yes or no\n"},
    /* lists */
    {"10.255.0.0/30 }", "10.255.0.0/30 files = { etc/passwd } }",
	"c:26: files: got \"etc/passwd\", want at most 16 absolute paths of at most 127 letters, "
	"digits, -, _, . and /\n"},
    {"10.255.0.0/30 }", "10.255.0.0/30 files = { /etc/../root/x } }",
	"c:26: files: got \"/etc/../root/x\", want at most 16 absolute paths of at most 127 "
	"letters, digits, -, _, . and /\n"},
    {"10.255.0.0/30 }", "10.255.0.0/30 files = { \"/etc//x\", /etc/x/ } }",
	"c:26: files: got \"/etc//x\", want at most 16 absolute paths of at most 127 letters, "
	"digits, -, _, . and /\n"
	"c:26: files: got \"/etc/x/\", want at most 16 absolute paths of at most 127 letters, "
	"digits, -, _, . and /\n"},
    {"10.255.0.0/30 }", "10.255.0.0/30 files = { /etc/pptp-ha/ssh/id_ed25519, /etc/x, /etc/x } }",
	"c:26: files: got \"/etc/pptp-ha/ssh/id_ed25519\", want a file outside of /etc/pptp-ha/\n"
	"c:26: files: got \"/etc/x\" again, want it once\n"},
    {"9.9.9.0/24", "9.9.9.9/24",
	"c:2: client-networks: got \"9.9.9.9/24\", want at most 64 networks such as "
	"192.168.1.0/24\n"},
    {"9.9.9.0/24", "9.9.9.0/33",
	"c:2: client-networks: got \"9.9.9.0/33\", want at most 64 networks such as "
	"192.168.1.0/24\n"},
    {"{ 8.8.0.0/16, 9.9.9.0/24 }", "{ }",
	"c:2: client-networks: got an empty list, want at most 64 networks such as "
	"192.168.1.0/24\n"},
    {"443,", "0,",
	"c:30: ports: got \"0\", want at most 64 ports 1..65535 or ranges such as 8000-8010\n"},
    {"443,", "65536,",
	"c:30: ports: got \"65536\", want at most 64 ports 1..65535 or ranges such as 8000-8010\n"},
    /* names, repeats, shape */
    {"vrrp-id = 7", "vrid = 7", "c:4: pair: got \"vrid\", want a directive of this section\n"},
    {"format = 1", "format = 1 colour = red",
	"c:1: cluster.conf: got \"colour\", want a directive of the top level\n"},
    {"pair {", "pear {", "c:4: cluster.conf: got \"pear\", want a known section\n"},
    {"vip {", "vip west {", "c:21: vip: got \"west {\", want \"vip {\"\n"},
    {"api web {", "api {", "c:27: api: got \" {\", want \"api NAME {\"\n"},
    {"api web {", "api \"a b\" {", "c:27: api: got \"a b\", want 1..31 letters, digits, - or _\n"},
    {"vrrp-id = 7", "vrrp-id = 7 vrrp-id = 8",
	"c:4: vrrp-id: got it again, want it once (line 4 has it)\n"},
    {"nat {", "pair { } nat {", "c:33: pair: got it again, want it once (line 4 has it)\n"},
    {"api ping", "api web",
	"c:32: api: got it again, want it once (line 27 has it)\n"
	"c:32: address: got it again, want it once (line 28 has it)\n"
	"c:32: protocol: got it again, want it once (line 29 has it)\n"},
    {"192.168.1.1/24\n}", "192.168.1.1/24\n",
	"c:25: tunnel: got a section inside \"vip\" of line 21, want \"}\" first\n"},
    {"tcp-ports = { 22 } }", "tcp-ports = { 22 }",
	"c:35: management: got the end of the file, want \"}\"\n"},
    {"tcp-ports = { 22 } }", "tcp-ports = { 22 ",
	"c:36: tcp-ports: got the end of the file, want \",\" or \"}\"\n"},
    {"tcp-ports = { 22 } }", "tcp-ports = { 22 } } }",
	"c:35: syntax: got \"}\", want a directive or \"}\"\n"},
    {"name = office", "name office =", "c:4: name: got \"=\", want \"{\"\n"},
    {"name = office", "name = ${HOME}", "c:4: syntax: got \"${\", want a plain value\n"},
    {"name = office", "name = \"${HOME}\"", "c:4: syntax: got \"${\", want a plain value\n"},
    {"name = office", "name = \"a\\x41\"",
	"c:4: syntax: got \"\\x5c\" in quotes, want printable characters without \"\\\"\n"},
    {"name = office", "name = \"office",
	"c:4: syntax: got the end of the line in quotes, want \" before it\n"},
    {"name = office", "name = office;",
	"c:4: syntax: got \";\", want a word, a quoted string, =, {, } or a comma\n"},
    {"nat {", "/* nat {", "c:33: syntax: got a comment without end, want \"*/\"\n"},
    /* what values are to each other */
    {"vip {", "node gw3 {} vip {", NULL},
    {"198.51.100.11\n", "198.51.101.11\n",
	"c:6: wan-address: got \"198.51.101.11\", want a host address of 198.51.100.0/24\n"},
    {"192.168.1.2\n", "192.168.1.255\n",
	"c:7: lan-address: got \"192.168.1.255\", want a host address of 192.168.1.0/24\n"},
    {"10.255.0.2\n", "10.255.0.9\n",
	"c:16: sync-address: got \"10.255.0.9\", want a host address of 10.255.0.0/30\n"},
    {"198.51.100.12\n", "198.51.100.11\n",
	"c:14: wan-address: got \"198.51.100.11\", want an address of its own (line 6 has it)\n"},
    {"192.168.1.1/24", "192.168.1.3/24",
	"c:15: lan-address: got \"192.168.1.3\", want an address of its own (line 23 has it)\n"},
    {"lan-interface = eth1", "lan-interface = eth0",
	"c:9: wan-interface: got \"eth0\", want another interface than lan-interface\n"},
    {"lan-interface = eth1", "lan-interface = pppha0",
	"c:10: lan-interface: got \"pppha0\", want another interface than the tunnels'\n"},
    {"198.51.100.10/24", "198.51.100.0/24",
	"c:22: wan: got \"198.51.100.0\", want a host address of 198.51.100.0/24\n"},
    {"network = 10.8.0.0/24 local = 10.8.0.1", "network = 192.168.1.128/25 local = 192.168.1.129",
	"c:25: network: got \"192.168.1.128/25\", want a network outside of the LAN "
	"192.168.1.0/24\n"},
    {"local = 10.8.0.1", "local = 10.9.0.1",
	"c:25: local: got \"10.9.0.1\", want a host address of 10.8.0.0/24\n"},
    {"192.168.1.20\n", "192.168.2.20\n",
	"c:28: address: got \"192.168.2.20\", want a host address of 192.168.1.0/24\n"},
    {"  ports = { 443, 8000-8010 }\n", "\n",
	"c:27: ports: got none, want at least one with protocol tcp\n"},
    {"protocol = tcp", "protocol = icmp", "c:30: ports: got some, want none with protocol icmp\n"},
    {"9.9.9.0/24", "172.16.4.0/24",
	"c:2: client-networks: got \"172.16.4.0/24\", want a network outside of 172.16.0.0/12 or "
	"named in not-bogon\n"},
    {"tcp-ports = { 22 }", "",
	"c:35: management: got only networks, want networks and tcp-ports\n"},
};

/* good with the first `from` replaced, malloc'd. */
static char *
replaced(const char *from, const char *to)
{
	const char *at = strstr(good, from);
	char *text;

	assert_non_null(at);
	assert_true(asprintf(&text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from)) > 0);
	return text;
}

static struct cluster *
parse_good(const char *text)
{
	struct conf_errors e = {0};
	struct cluster *c = cluster_parse("c", text, &e);

	if (e.text)
		print_error("%s", e.text);
	assert_non_null(c);
	assert_int_equal(e.errors, 0);
	conf_errors_fini(&e);
	return c;
}

static void
test_values(void **state)
{
	struct cluster *c = parse_good(good);

	assert_int_equal(c->clients.n, 2);
	assert_int_equal(c->clients.v[1].address, 0x09090900);
	assert_int_equal(c->clients.v[1].prefix, 24);
	assert_string_equal(c->pair.name, "office");
	assert_int_equal(c->pair.vrrp_id, 7);
	assert_int_equal(c->pair.advert_interval_ms, 100);
	assert_int_equal(c->n_nodes, 2);
	const struct cluster_node *gw2 = cluster_node(c, "gw2");
	assert_non_null(gw2);
	assert_int_equal(gw2->wan, 0xc633640c);
	assert_string_equal(gw2->sync_if, "eth2.7");
	assert_string_equal(cluster_peer(c, gw2)->name, "gw1");
	assert_null(cluster_node(c, "gw3"));
	assert_int_equal(c->vip_wan.address, 0xc633640a);
	assert_int_equal(c->vip_wan.prefix, 24);
	assert_int_equal(c->tunnel.mtu, 1400);
	assert_int_equal(c->sync.ssh_port, 2222);
	assert_int_equal(c->sync.conntrackd_port, 3780);
	assert_int_equal(c->sync.files.n, 0);
	assert_int_equal(cluster_priority(c, &c->nodes[0]), 250);
	assert_int_equal(cluster_priority(c, gw2), 249);
	assert_int_equal(c->limits.sessions, 1000);
	assert_int_equal(c->health.pptpd_timeout_ms, 300);
	assert_int_equal(c->health.failures, 2);
	assert_int_equal(c->health.moves_per_10_minutes, 2);
	assert_int_equal(c->health.hold_down_s, 10);
	assert_int_equal(c->health.hold_down_max_s, 300);
	assert_int_equal(c->health.ride_out_s, 10);
	assert_int_equal(c->split.peer_loss, CLUSTER_CONTINUE);
	assert_string_equal(c->split.fence_command, "");
	assert_int_equal(c->split.fence_timeout_ms, 5000);
	assert_int_equal(c->timeouts.commit_ms, 100);
	assert_int_equal(c->timeouts.copy_ms, 1000);
	assert_int_equal(c->timeouts.yield_ms, 2000);
	assert_int_equal(c->timeouts.resync_ms, 1000);
	assert_int_equal(c->timeouts.check_ms, 3000);
	assert_int_equal(c->timeouts.prepare_ms, 2000);
	assert_int_equal(c->timeouts.handover_ms, 1500);
	assert_int_equal(c->timeouts.address_ms, 3000);
	assert_int_equal(gw2->if_lines[2], 19);
	assert_int_equal(c->n_apis, 2);
	assert_int_equal(c->apis[0].ports.v[1].last, 8010);
	assert_int_equal(c->apis[1].protocol, CLUSTER_ICMP);
	assert_true(c->nat.tunnel_to_wan);
	assert_false(c->nat.lan_to_wan);
	assert_int_equal(c->nat.ports.first, 20000);
	assert_int_equal(c->limits.connections_per_minute, 30);
	assert_int_equal(c->limits.connection_burst, 60);
	assert_int_equal(c->management.tcp_ports.v[0].first, 22);
	cluster_free(c);
}

static void
test_mistakes(void **state)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		const struct mistake *m = &mistakes[i];
		struct conf_errors e = {0};
		char *text = replaced(m->from, m->to);

		assert_null(cluster_parse("c", text, &e));
		assert_true(e.errors > 0);
		assert_non_null(e.text);
		if (m->message)
			assert_string_equal(e.text, m->message);
		else
			assert_non_null(strstr(e.text, "c:21: node: got 3 sections, want 2\n"));
		conf_errors_fini(&e);
		free(text);
	}
}

static void
test_all_mistakes_of_a_run(void **state)
{
	struct conf_errors e = {0};
	static const char text[] = "format = 7 colour = red shapes = { d, e }\n"
				   "client-networks = { 8.8.8.8, 9.9.9.0/24, x }\n"
				   "vip { wan = 1.2.3.4/99 lan = 192.168.1.1/24 }\n"
				   "tunnel { network = 192.168.1.0/24 local = 192.168.1.7 }\n";

	assert_null(cluster_parse("c", text, &e));
	assert_string_equal(e.text,
	    "c:1: cluster.conf: got \"colour\", want a directive of the top level\n"
	    "c:1: cluster.conf: got \"shapes\", want a directive of the top level\n"
	    "c:1: format: got \"7\", want 1\n"
	    "c:2: client-networks: got \"8.8.8.8\", want at most 64 networks such as "
	    "192.168.1.0/24\n"
	    "c:2: client-networks: got \"x\", want at most 64 networks such as 192.168.1.0/24\n"
	    "c: node: got nothing, want a section \"node NAME {}\"\n"
	    "c:3: wan: got \"1.2.3.4/99\", want an address with its prefix such as "
	    "198.51.100.10/24\n"
	    "c: sync: got nothing, want a section \"sync {}\"\n"
	    "c:4: network: got \"192.168.1.0/24\", want a network outside of the LAN "
	    "192.168.1.0/24\n");
	assert_int_equal(e.errors, 9);
	conf_errors_fini(&e);
}

/* Every prefix of a good file is an error or complete, and never more than that. */
static void
test_truncated(void **state)
{
	size_t accepted = 0;

	for (size_t len = 0; len < sizeof(good) - 1; len++) {
		struct conf_errors e = {0};
		char *text = strndup(good, len);
		struct cluster *c = cluster_parse("c", text, &e);

		assert_int_equal(c == NULL, e.errors > 0);
		accepted += c != NULL;
		cluster_free(c);
		conf_errors_fini(&e);
		free(text);
	}
	/* Between api ping's end and the end of the file stand three optional sections and
	 * newlines. */
	assert_in_range(accepted, 6, 16);
}

static void
test_comments_and_quotes(void **state)
{
	char *text = replaced("pair {", "# ${x} } \"\n// ; \\\n/* {{ \n */ pair {");
	struct cluster *c = parse_good(text);

	assert_string_equal(c->pair.name, "office");
	cluster_free(c);
	free(text);
	text = replaced("name = office", "name = 'office'");
	cluster_free(parse_good(text));
	free(text);
	/* The line after a comment of several lines is still right. */
	struct conf_errors e = {0};
	text = replaced("pair { name", "/* a\n b */ pair { name = x nome");
	assert_null(cluster_parse("c", text, &e));
	assert_string_equal(e.text, "c:5: pair: got \"nome\", want a directive of this section\n");
	conf_errors_fini(&e);
	free(text);
}

/* The samples and the lab's own file, which the namespace test loads into the kernel. */
static void
test_files(void **state)
{
	static const char *const files[] = {
	    "../config/cluster.minimal.conf", "../config/cluster.full.conf", "../lab/cluster.conf"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int fd = open(files[i], O_RDONLY);
		size_t len;

		assert_true(fd >= 0);
		char *text = conf_read_fd(fd, &len);
		assert_non_null(text);
		close(fd);
		struct cluster *c = parse_good(text);
		if (i == 1) {
			assert_int_equal(c->limits.ban_seconds, 86400);
			assert_int_equal(c->sync.ssh_port, 22022);
			assert_string_equal(c->nodes[0].lan_if, "bond0");
			assert_int_equal(c->sync.files.n, 2);
			assert_string_equal(c->sync.files.v[1], "/etc/ppp/ip-up.d/0account.sh");
			assert_int_equal(c->timeouts.pull_ms, 20000);
			assert_int_equal(c->timeouts.copy_ms, 800);
			assert_int_equal(c->timeouts.yield_ms, 900);
			assert_true(c->nat.tunnel_to_lan);
		}
		cluster_free(c);
		free(text);
	}
}

static void
test_nets_merge(void **state)
{
	struct cluster_nets n = {.n = 5,
	    .v = {{0x0a000100, 24}, {0x0a000000, 8}, {0x0b000000, 8}, {0x0b000000, 8},
		{0x0a000000, 9}}};

	cluster_nets_merge(&n);
	assert_int_equal(n.n, 2);
	assert_int_equal(n.v[0].address, 0x0a000000);
	assert_int_equal(n.v[0].prefix, 8);
	assert_int_equal(n.v[1].address, 0x0b000000);
	n = (struct cluster_nets){.n = 2, .v = {{0, 0}, {0x0a000000, 8}}};
	cluster_nets_merge(&n);
	assert_int_equal(n.n, 1);
	assert_int_equal(n.v[0].prefix, 0);
}

#define PEER_ID                                                                                    \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"                                                    \
	"A2345678901234567890123456789012345678901A"                                               \
	"w"
#define PEER_HOST                                                                                  \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"                                                    \
	"B2345678901234567890123456789012345678901B"                                               \
	"w"

static void
assert_renders(const struct cluster *c, const char *node, size_t file, const char *line)
{
	const struct render r = {.cluster = c,
	    .us = cluster_node(c, node),
	    .root = "/r/x",
	    .hagent = "/usr/sbin/hagent",
	    .pptpd = "/usr/sbin/pptpd",
	    .peer_id = PEER_ID " root@gw2\n",
	    .peer_host = PEER_HOST};
	char *text = render_text(&r, &render_files[file]);

	assert_non_null(text);
	if (!strstr(text, line)) {
		print_error("%s lacks: %s\n", render_files[file].path, line);
		fail();
	}
	free(text);
}

static void
test_render(void **state)
{
	struct cluster *c = parse_good(good);

	assert_renders(
	    c, "gw1", 0, "# Rendered by hagent from /etc/pptp-ha/cluster.conf for node gw1;");
	assert_renders(c, "gw1", 0, "\t\tip saddr != 198.51.100.10 accept\n");
	assert_renders(c, "gw1", 0, "meta mark 0x70701724 tcp flags & (fin | rst) != 0");
	assert_renders(
	    c, "gw1", 1, "ip saddr { 198.51.100.12, 192.168.1.3 } tcp dport 2222 accept\n");
	assert_renders(
	    c, "gw2", 1, "ip saddr { 198.51.100.11, 192.168.1.2 } tcp dport 2222 accept\n");
	assert_renders(c, "gw1", 1, "\t\tip saddr { 192.168.1.0/24 } tcp dport { 22 } accept\n");
	assert_renders(c, "gw1", 1,
	    "\t\tip daddr 192.168.1.20 tcp dport { 443, 8000-8010 } counter accept comment \"api "
	    "web\"\n"
	    "\t\tip daddr 192.168.1.20 icmp type echo-request counter accept comment \"api "
	    "ping\"\n");
	assert_renders(c, "gw1", 1,
	    "limit rate over 30/minute burst 60 packets } counter name drop_syn_rate drop\n");
	assert_renders(c, "gw1", 1, "\t\tiifname \"pppha0\" oifname \"eth0\" accept\n");
	assert_renders(c, "gw1", 1, "snat ip to 198.51.100.10:20000-60000\n");
	assert_renders(c, "gw1", 1, "maxseg size set 1360\n");
	assert_renders(c, "gw1", 2, "-net/ipv4/conf/eth2.7/rp_filter = 0\n");
	assert_renders(c, "gw1", 2, "-net.netfilter.nf_conntrack_max = 262144\n");
	c->limits.sessions = 10000;
	assert_renders(c, "gw1", 2, "-net.netfilter.nf_conntrack_max = 1048576\n");
	assert_renders(c, "gw1", 2, "-net.core.somaxconn = 10000\n");
	c->nat.tunnel_to_lan = true;
	assert_renders(
	    c, "gw1", 1, "\t\toifname \"eth1\" ip saddr 10.8.0.0/24 snat ip to 192.168.1.1\n");
	c->nat.tunnel_to_lan = false;
	c->limits.ban_seconds = 600;
	assert_renders(c, "gw1", 1, "drop_syn_rate add @banned { ip saddr timeout 600s } drop\n");
	c->nat.tunnel_to_wan = false;
	assert_renders(c, "gw1", 1,
	    "\t\tiifname \"pppha0\" oifname \"eth1\" goto api\n\t\tcounter name drop_forward "
	    "drop\n");
	assert_renders(c, "gw1", 1, "\tchain postrouting {\n\t}\n");
	/* A port range that another one covers would be an overlap to nft. */
	c->apis[0].ports =
	    (struct cluster_ports){.n = 3, .v = {{443, 443}, {440, 450}, {445, 460}}};
	assert_renders(c, "gw1", 1, "tcp dport { 440-460 } ");
	cluster_free(c);
}

/* keepalived, conntrackd, sshd and the keys: paths below the root, programs at their own place. */
static void
test_render_pair(void **state)
{
	struct cluster *c = parse_good(good);

	for (size_t i = 0; i < render_n_files; i++)
		assert_renders(c, "gw2", i,
		    "# Rendered by hagent from /etc/pptp-ha/cluster.conf for node gw2;");
	assert_renders(c, "gw1", 3, "\tpriority 250\n\tadvert_int 0.10\n");
	assert_renders(c, "gw2", 3, "\tpriority 249\n");
	assert_renders(c, "gw2", 3, "\tinterface eth0\n\tvirtual_router_id 7\n");
	assert_renders(c, "gw2", 3, "\tdont_track_primary\n");
	assert_renders(c, "gw2", 3,
	    "\tunicast_src_ip 198.51.100.12\n\tunicast_peer {\n\t\t198.51.100.11\n\t}\n");
	assert_renders(c, "gw1", 3, "\t\t198.51.100.10/24 dev eth0\n");
	assert_renders(c, "gw1", 3, "\t\t192.168.1.1/24 dev eth1 no_track\n");
	assert_renders(c, "gw2", 3, "\tprocess \"/usr/sbin/pptpd\" \"engine\" \"gw2\"\n");
	assert_renders(c, "gw2", 3, "\tscript \"/usr/sbin/hagent --node gw2 --root /r/x check\"\n");
	assert_renders(
	    c, "gw2", 3, "\tvrrp_notify_fifo /r/x/run/pptp-ha/keepalived.fifo root root\n");
	assert_renders(c, "gw2", 3, "\tfile \"/r/x/run/pptp-ha/health\"\n");
	c->pair.advert_interval_ms = 20;
	assert_renders(c, "gw1", 3, "\tadvert_int 0.02\n");
	c->pair.advert_interval_ms = 40950;
	assert_renders(c, "gw1", 3, "\tadvert_int 40.95\n");

	assert_renders(c, "gw2", 4,
	    "\t\tIPv4_address 10.255.0.2\n\t\tIPv4_Destination_Address 10.255.0.1\n\t\tPort 3780\n"
	    "\t\tInterface eth2.7\n");
	assert_renders(c, "gw1", 4, "\tHashSize 65536\n\tHashLimit 524288\n");
	assert_renders(c, "gw1", 4,
	    "\t\t\tIPv4_address 198.51.100.11\n\t\t\tIPv4_address 192.168.1.2\n"
	    "\t\t\tIPv4_address 198.51.100.12\n\t\t\tIPv4_address 192.168.1.3\n");
	assert_renders(c, "gw1", 5,
	    "ListenAddress 10.255.0.1:2222\nListenAddress 192.168.1.2:2222\n"
	    "ListenAddress 198.51.100.11:2222\n");
	assert_renders(c, "gw1", 5,
	    "AllowUsers pptp-ha@10.255.0.2 pptp-ha@192.168.1.3 pptp-ha@198.51.100.12\n");
	assert_renders(
	    c, "gw1", 5, "\nForceCommand /usr/sbin/hagent --node gw1 --root /r/x serve\n");
	assert_renders(c, "gw1", 6,
	    "\nrestrict,from=\"10.255.0.2,192.168.1.3,198.51.100.12\",command=\"/usr/sbin/hagent "
	    "--node gw1 --root /r/x serve\" " PEER_ID " gw2\n");
	assert_renders(c, "gw1", 7,
	    "\n[10.255.0.2]:2222 " PEER_HOST "\n[192.168.1.3]:2222 " PEER_HOST
	    "\n[198.51.100.12]:2222 " PEER_HOST "\n");
	cluster_free(c);
}

static void
assert_refuses(const struct render *r, size_t file, int error)
{
	errno = 0;
	assert_null(render_text(r, &render_files[file]));
	assert_int_equal(errno, error);
}

static void
test_render_refuses(void **state)
{
	struct cluster *c = parse_good(good);
	const struct render fine = {.cluster = c,
	    .us = &c->nodes[0],
	    .root = "",
	    .hagent = "/usr/sbin/hagent",
	    .pptpd = "/usr/sbin/pptpd"};
	struct render r = fine;
	char *text, root[128];

	/* Without the peer's keys nobody is let in; without a root no option names one. */
	text = render_text(&r, &render_files[6]);
	assert_non_null(text);
	assert_null(strstr(text, "ssh-ed25519"));
	free(text);
	text = render_text(&r, &render_files[5]);
	assert_non_null(strstr(text, "\nForceCommand /usr/sbin/hagent --node gw1 serve\n"));
	free(text);
	r.root = "/a b";
	assert_refuses(&r, 0, EINVAL);
	r = fine;
	r.hagent = "/usr/sbin/hagent;id";
	assert_refuses(&r, 5, EINVAL);
	r = fine;
	r.peer_id = "ssh-rsa AAAA";
	assert_refuses(&r, 6, EBADMSG);
	/* A socket's path has 107 bytes: "/run/pptp-ha/conntrackd.sock" is 28 of them. */
	r = fine;
	r.root = root;
	memset(root, 'r', sizeof(root));
	root[0] = '/';
	root[79] = '\0';
	text = render_text(&r, &render_files[4]);
	assert_non_null(text);
	free(text);
	root[79] = 'r';
	root[80] = '\0';
	assert_refuses(&r, 4, ENAMETOOLONG);
	cluster_free(c);
}

static void
test_pubkey(void **state)
{
	static const char *const good_keys[] = {
	    PEER_ID, PEER_ID "\n", PEER_ID " a comment\n", PEER_ID " "};
	static const char *const bad_keys[] = {"", "\n", PEER_ID "w", PEER_ID "=", PEER_ID "\n\n",
	    PEER_ID "\n" PEER_HOST "\n", " " PEER_ID, "#" PEER_ID,
	    "ecdsa-sha2-nistp256 "
	    "AAAAC3NzaC1lZDI1NTE5AAAAIA2345678901234567890123456789012345678901Aw",
	    "ssh-ed25519 BAAAC3NzaC1lZDI1NTE5AAAAIA2345678901234567890123456789012345678901Aw",
	    "command=\"x\" " PEER_ID};
	char key[PUBKEY_MAX];

	for (size_t i = 0; i < sizeof(good_keys) / sizeof(good_keys[0]); i++) {
		assert_int_equal(pubkey_parse(good_keys[i], key), 0);
		assert_string_equal(key, PEER_ID);
	}
	for (size_t i = 0; i < sizeof(bad_keys) / sizeof(bad_keys[0]); i++) {
		errno = 0;
		assert_int_equal(pubkey_parse(bad_keys[i], key), -1);
		assert_int_equal(errno, EBADMSG);
	}
	for (size_t len = 0; len < strlen(PEER_ID); len++) {
		char *text = strndup(PEER_ID, len);

		assert_int_equal(pubkey_parse(text, key), -1);
		free(text);
	}
}

static void
test_unknown_interface(void **state)
{
	struct cluster *c = parse_good(good);
	struct cluster_node *us = &c->nodes[1];
	struct conf_errors e = {0};

	strcpy(us->wan_if, "lo");
	strcpy(us->sync_if, "lo");
	strcpy(us->lan_if, "none-such");
	assert_int_equal(cluster_check_interfaces(us, "c", &e), -1);
	assert_int_equal(e.errors, 1);
	assert_string_equal(e.text,
	    "c:18: lan-interface: got \"none-such\", want an interface that exists on node gw2\n");
	conf_errors_fini(&e);
	strcpy(us->lan_if, "lo");
	assert_int_equal(cluster_check_interfaces(us, "c", &e), 0);
	cluster_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_mistakes),
	    cmocka_unit_test(test_all_mistakes_of_a_run),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_comments_and_quotes),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_nets_merge),
	    cmocka_unit_test(test_render),
	    cmocka_unit_test(test_render_pair),
	    cmocka_unit_test(test_render_refuses),
	    cmocka_unit_test(test_pubkey),
	    cmocka_unit_test(test_unknown_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
