/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the monitor sets in the system: routes and proxies as ip sees them, the firewall's set of
 * known calls as nft sees it. Skipped without root.
 */
#include <net/if.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor_rig.h"

#include "common/loop.h"
#include "pptpd/priv/announce.h"
#include "pptpd/priv/calls.h"
#include "pptpd/priv/netlink.h"

static void
netlink_body(void *arg)
{
	struct netlink_networks w = {0};
	struct netlink nl;
	unsigned tun, lan;

	MUST(system("ip link add x-tun type veth peer name x-peer && ip link set x-peer up && "
		    "ip link add x-lan type veth peer name x-lan2 && ip link set x-lan2 up && "
		    "ip link set x-lan up && ip addr add 192.168.1.1/24 dev x-lan && "
		    "ip addr add 192.168.0.1/16 dev x-peer") == 0);
	tun = if_nametoindex("x-tun");
	lan = if_nametoindex("x-lan");
	MUST(netlink_open(&nl) == 0);
	MUST(netlink_link_up(&nl, tun, 1400) == 0);
	MUST(netlink_address_add(&nl, tun, IP(10, 8, 0, 1)) == 0);
	MUST(netlink_address_add(&nl, tun, IP(10, 8, 0, 1)) == 0); /* twice is fine */
	MUST(strstr(output("ip -o addr show dev x-tun"), "inet 10.8.0.1/32") != NULL);
	MUST(strstr(output("ip -o link show dev x-tun"), "mtu 1400") != NULL);
	MUST(strstr(output("ip -o link show dev x-tun"), ",UP") != NULL);

	MUST(netlink_route_add(&nl, tun, IP(10, 8, 0, 10)) == 0);
	MUST(strstr(output("ip route show proto 112"), "10.8.0.10 dev x-tun scope link") != NULL);
	MUST(netlink_route_add(&nl, tun, IP(10, 8, 0, 10)) == -1 && errno == EEXIST);
	MUST(netlink_route_delete(&nl, tun, IP(10, 8, 0, 10)) == 0);
	MUST(strcmp(output("ip route show proto 112"), "") == 0);
	MUST(netlink_route_delete(&nl, tun, IP(10, 8, 0, 10)) == -1 && errno == ESRCH);
	MUST(system("ip route add 10.8.0.11/32 dev x-lan") == 0);
	MUST(netlink_route_add(&nl, tun, IP(10, 8, 0, 11)) == -1 && errno == EEXIST);
	MUST(netlink_route_delete(&nl, tun, IP(10, 8, 0, 11)) == -1); /* not ours */

	MUST(netlink_networks_read(&w, tun) == 0);
	MUST(netlink_networks_find(&w, IP(192, 168, 1, 50)) == lan); /* the narrower one */
	MUST(netlink_networks_find(&w, IP(192, 168, 2, 50)) == if_nametoindex("x-peer"));
	MUST(netlink_networks_find(&w, IP(10, 8, 0, 1)) == 0); /* the TUN's */
	MUST(netlink_networks_find(&w, IP(127, 0, 0, 1)) == 0);
	netlink_networks_fini(&w);
	MUST(netlink_proxy_add(&nl, lan, IP(192, 168, 1, 50)) == 0);
	MUST(netlink_proxy_add(&nl, lan, IP(192, 168, 1, 50)) == 0);
	MUST(strstr(output("ip neigh show proxy"), "192.168.1.50 dev x-lan") != NULL);
	MUST(netlink_proxy_delete(&nl, lan, IP(192, 168, 1, 50)) == 0);
	MUST(strcmp(output("ip neigh show proxy"), "") == 0);

	MUST(system("ip neigh add proxy 192.168.1.7 dev x-lan") == 0);
	for (unsigned i = 0; i < 1000; i++) /* several datagrams of a dump */
		MUST(netlink_proxy_add(&nl, lan, IP(192, 168, 16, 0) + i) == 0);
	MUST(netlink_proxies_forget(&nl) == 0);
	MUST(strncmp(output("ip neigh show proxy"), "192.168.1.7 dev x-lan", 21) == 0);
	MUST(strchr(output("ip neigh show proxy"), '\n')[1] == '\0'); /* not ours, and alone */
	MUST(netlink_proxies_forget(&nl) == 0);
	MUST(netlink_proxy_add(&nl, lan, IP(192, 168, 1, 50)) == 0); /* in step still */
	MUST(netlink_proxies_forget(&nl) == 0);
	MUST(netlink_link_up(&nl, 9999, 1400) == -1 && errno == ENODEV);
	netlink_close(&nl);
}

static void
routes_and_proxies(void **state)
{
	need_root();
	assert_int_equal(in_child(netlink_body, NULL), 0);
}

/* ---- the firewall's set ---- */

static void
tick_cb(void *arg)
{
	loop_stop(arg);
}

struct answers {
	struct loop *loop;
	unsigned ok, failed;
	uint32_t last;
};

static void
note_answer(void *arg, uint32_t id, int err)
{
	struct answers *a = arg;

	if (err == 0)
		a->ok++;
	else
		a->failed++;
	a->last = id;
}

static void
run_ms(struct loop *l, uint64_t ms)
{
	struct timer t;

	timer_init(&t, l, tick_cb, l);
	timer_set(&t, ms);
	loop_run(l);
}

static void
calls_body(void *arg)
{
	struct answers a = {.loop = loop_new()};
	struct calls *c = calls_new(a.loop, note_answer, &a);

	MUST(system(CALLS_TABLE) == 0);
	calls_change(c, true, IP(198, 51, 100, 100), 0x1234, 1);
	calls_change(c, false, IP(198, 51, 100, 100), 0x9999, 2); /* was never there */
	calls_change(c, true, IP(198, 51, 100, 101), 1, 3);
	calls_change(c, true, IP(198, 51, 100, 101), 1, 4);
	calls_change(c, true, IP(198, 51, 100, 102), 1, 5);
	calls_change(c, false, IP(198, 51, 100, 102), 1, 6);
	MUST(a.ok == 0); /* one transaction, after the turn */
	run_ms(a.loop, 20);
	MUST(a.ok == 6 && a.failed == 0 && a.last == 6);
	MUST(strstr(output(CALLS_LIST), "198.51.100.100 . 0x1234") != NULL);
	MUST(strstr(output(CALLS_LIST), "198.51.100.101 . 0x1") != NULL);
	MUST(count_calls(output(CALLS_LIST)) == 2 && calls_count(c) == 2);
	calls_change(c, true, IP(198, 51, 100, 100), 0x1234, 7); /* again, in another turn */
	calls_change(c, false, IP(198, 51, 100, 101), 1, 8);
	run_ms(a.loop, 20);
	MUST(a.ok == 8 && count_calls(output(CALLS_LIST)) == 1);

	for (unsigned i = 1; i <= 2000; i++) /* several batches */
		calls_change(c, true, IP(10, 0, 0, 0) + i, (uint16_t)i, i);
	run_ms(a.loop, 20);
	MUST(a.ok == 2008 && count_calls(output(CALLS_LIST)) == 2001);

	MUST(system("nft delete table inet pptp_ha") == 0); /* the firewall went */
	calls_change(c, true, IP(1, 2, 3, 4), 5, 1);
	run_ms(a.loop, 20);
	MUST(a.ok == 2009 && a.failed == 0);
	MUST(system(CALLS_TABLE) == 0); /* and came back: everything is known again */
	run_ms(a.loop, 1500);
	MUST(count_calls(output(CALLS_LIST)) == 2002);

	MUST(system("nft 'add element inet pptp_ha calls { 9.9.9.9 . 0x9 }'") == 0);
	calls_free(c); /* takes back its own and no other */
	MUST(count_calls(output(CALLS_LIST)) == 1 && strstr(output(CALLS_LIST), "9.9.9.9") != NULL);
	c = calls_new(a.loop, note_answer, &a); /* of one that was killed */
	MUST(count_calls(output(CALLS_LIST)) == 0);
	calls_free(c);
	loop_free(a.loop);
}

static void
set_of_calls(void **state)
{
	need_root();
	assert_int_equal(in_child(calls_body, NULL), 0);
}

static void
full_set_body(void *arg)
{
	struct answers a = {.loop = loop_new()};
	struct calls *c = calls_new(a.loop, note_answer, &a);

	MUST(system("nft 'add table inet pptp_ha; add set inet pptp_ha calls "
		    "{ typeof ip saddr . @th,48,16; size 10; }'") == 0);
	for (unsigned i = 1; i <= 12; i++)
		calls_change(c, true, IP(10, 0, 0, 0) + i, 1, i);
	run_ms(a.loop, 50);
	MUST(a.ok == 10 && a.failed == 2 && calls_count(c) == 10);
	calls_free(c);
	loop_free(a.loop);
}

static void
one_bad_call_costs_only_itself(void **state)
{
	need_root();
	assert_int_equal(in_child(full_set_body, NULL), 0);
}

/* ---- figures ---- */

static double
ms_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* As the monitor reads them: 64 verbs a turn. */
static void
bench_changes(struct answers *a, struct calls *c, bool add)
{
	double from = ms_now();
	unsigned before = a->ok;

	for (unsigned i = 0; i < 10000; i++) {
		calls_change(c, add, IP(10, 0, 0, 0) + i, (uint16_t)(i + 1), i + 1);
		if (i % 64 == 63)
			run_ms(a->loop, 0);
	}
	while (a->ok < before + 10000)
		run_ms(a->loop, 1);
	printf("%s 10000 calls: %.1f ms\n", add ? "add" : "delete", ms_now() - from);
}

static void
bench_body(void *arg)
{
	struct answers a = {.loop = loop_new()};
	struct calls *c = calls_new(a.loop, note_answer, &a);
	double from;

	setvbuf(stdout, NULL, _IOLBF, 0);
	MUST(system(CALLS_TABLE) == 0);
	bench_changes(&a, c, true);
	from = ms_now();
	for (unsigned i = 0; i < 100; i++) {
		unsigned before = a.ok;

		calls_change(c, true, IP(11, 0, 0, 0) + i, 1, i + 1);
		while (a.ok == before)
			run_ms(a.loop, 0);
	}
	printf("one call more: %.2f ms\n", (ms_now() - from) / 100);
	bench_changes(&a, c, false);
	calls_free(c);
	loop_free(a.loop);
}

/* As at a promotion: an address a session, each found, proxied and announced. */
static void
bench_proxies_body(void *arg)
{
	struct netlink_networks w = {0};
	struct netlink nl;
	int fd = announce_open();
	double from;

	setvbuf(stdout, NULL, _IOLBF, 0);
	MUST(fd >= 0 && netlink_open(&nl) == 0);
	MUST(system("ip link add x-lan type veth peer name x-lan2 && ip link set x-lan2 up && "
		    "ip link set x-lan up && ip addr add 10.8.0.1/16 dev x-lan") == 0);
	from = ms_now();
	MUST(netlink_networks_read(&w, 0) == 0);
	for (unsigned i = 0; i < 10000; i++) {
		uint32_t ip = IP(10, 8, 1, 0) + i;
		unsigned lan = netlink_networks_find(&w, ip);

		MUST(lan != 0 && netlink_proxy_add(&nl, lan, ip) == 0);
		MUST(announce_address(fd, lan, ip) == 0);
	}
	printf("proxy ARP for 10000 addresses: %.1f ms\n", ms_now() - from);
	netlink_networks_fini(&w);
	netlink_close(&nl);
	close(fd);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(routes_and_proxies),
	    cmocka_unit_test(set_of_calls),
	    cmocka_unit_test(one_bad_call_costs_only_itself),
	};

	if (argc == 2 && strcmp(argv[1], "bench") == 0)
		return in_child(bench_body, NULL) != 0 || in_child(bench_proxies_body, NULL) != 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
