/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inner IPv4 packets: what is sound, the MSS clamp, fragments and what they put together again, and
 * the ICMP error.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pptpd/data/ipmtu.h"

#define A 0x0a080001 /* 10.8.0.1 */
#define B 0x0a08000a

static void
put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned
get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static void
seal_header(uint8_t *p)
{
	put16(p + 10, 0);
	put16(p + 10, ipmtu_checksum(p, (p[0] & 15u) * 4));
}

/* An IPv4 packet of total bytes; its payload is a pattern. */
static void
make_ip(uint8_t *p, unsigned header_len, unsigned total, unsigned flags, uint8_t protocol)
{
	memset(p, 0, header_len);
	p[0] = (uint8_t)(0x40 | header_len / 4);
	put16(p + 2, total);
	put16(p + 4, 0x1234);
	put16(p + 6, flags);
	p[8] = 64;
	p[9] = protocol;
	put32(p + 12, A);
	put32(p + 16, B);
	for (unsigned i = header_len; i < total; i++)
		p[i] = (uint8_t)(i * 7);
	seal_header(p);
}

static uint16_t
tcp_sum(const uint8_t *ip, unsigned header_len, unsigned tcp_len)
{
	uint8_t buf[2048] = {0};

	memcpy(buf, ip + 12, 8);
	buf[9] = IPPROTO_TCP;
	put16(buf + 10, tcp_len);
	memcpy(buf + 12, ip + header_len, tcp_len);
	return ipmtu_checksum(buf, 12 + tcp_len);
}

/* A SYN whose options are given; checksum right. Its length. */
static unsigned
make_syn(uint8_t *p, uint8_t flags, const uint8_t *options, unsigned options_len)
{
	unsigned tcp_len = 20 + options_len;
	uint8_t *tcp = p + 20;

	make_ip(p, 20, 20 + tcp_len, 0x4000, IPPROTO_TCP);
	memset(tcp, 0, tcp_len);
	put16(tcp, 40000);
	put16(tcp + 2, 443);
	put32(tcp + 4, 0xdeadbeef);
	tcp[12] = (uint8_t)(tcp_len / 4 << 4);
	tcp[13] = flags;
	put16(tcp + 14, 64240);
	memcpy(tcp + 20, options, options_len);
	put16(tcp + 16, tcp_sum(p, 20, tcp_len));
	assert_int_equal(tcp_sum(p, 20, tcp_len), 0);
	return 20 + tcp_len;
}

static void
test_parse(void **state)
{
	uint8_t p[128];
	struct ip4 ip;

	make_ip(p, 24, 100, 0x6000 | 5, IPPROTO_UDP);
	assert_int_equal(ipmtu_parse(p, 128, &ip), 0); /* padding behind is fine */
	assert_int_equal(ip.header_len, 24);
	assert_int_equal(ip.total, 100);
	assert_int_equal(ip.protocol, IPPROTO_UDP);
	assert_int_equal(ip.offset, 40);
	assert_true(ip.dont_fragment);
	assert_true(ip.more_fragments);
	assert_int_equal(ip.src, A);
	assert_int_equal(ip.dst, B);
}

static void
test_parse_bad(void **state)
{
	uint8_t p[128], *exact;
	struct ip4 ip;

	make_ip(p, 20, 100, 0, IPPROTO_UDP);
	for (size_t len = 0; len < 100; len++) {
		exact = malloc(len + 1);
		memcpy(exact, p, len);
		errno = 0;
		assert_int_equal(ipmtu_parse(exact, len, &ip), -1);
		assert_int_equal(errno, EBADMSG);
		free(exact);
	}
	for (unsigned bit = 0; bit < 160; bit++) { /* any flipped bit of the header */
		p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(ipmtu_parse(p, 128, &ip), -1);
		p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(ipmtu_parse(p, 128, &ip), 0);
	p[0] = 0x65;
	seal_header(p);
	assert_int_equal(ipmtu_parse(p, 128, &ip), -1);
	make_ip(p, 20, 19, 0, IPPROTO_UDP); /* total shorter than the header */
	assert_int_equal(ipmtu_parse(p, 128, &ip), -1);
	make_ip(p, 20, 100, 0, IPPROTO_UDP);
	p[0] = 0x44; /* header length 16 */
	put16(p + 10, 0);
	put16(p + 10, ipmtu_checksum(p, 16));
	assert_int_equal(ipmtu_parse(p, 128, &ip), -1);
}

/* Clamps and says what the MSS became; checks both sums. */
static unsigned
clamp(uint8_t *p, unsigned len, uint16_t mtu, unsigned at, bool changed)
{
	struct ip4 ip;

	assert_int_equal(ipmtu_parse(p, len, &ip), 0);
	assert_int_equal(ipmtu_clamp_mss(p, &ip, mtu), changed);
	assert_int_equal(ipmtu_parse(p, len, &ip), 0);
	assert_int_equal(tcp_sum(p, 20, len - 20), 0);
	return get16(p + 40 + at);
}

static void
test_clamp(void **state)
{
	static const uint8_t even[] = {2, 4, 0x05, 0xb4, 4, 2, 1, 1};
	static const uint8_t odd[] = {1, 2, 4, 0x05, 0xb4, 4, 2, 0};
	uint8_t p[128];
	unsigned len;

	for (unsigned flags = 0x02; flags <= 0x12; flags += 0x10) { /* SYN, SYN+ACK */
		len = make_syn(p, (uint8_t)flags, even, sizeof(even));
		assert_int_equal(clamp(p, len, 1400, 2, true), 1360);
		assert_int_equal(clamp(p, len, 1400, 2, false), 1360);
		assert_int_equal(clamp(p, len, 1500, 2, false), 1360); /* never raised */
		len = make_syn(p, (uint8_t)flags, odd, sizeof(odd));
		for (uint16_t mtu = 1499; mtu >= 68; mtu--)
			assert_int_equal(clamp(p, len, mtu, 3, true), mtu - 40);
	}
	len = make_syn(p, 0x10, even, sizeof(even)); /* no SYN */
	assert_int_equal(clamp(p, len, 1400, 2, false), 1460);
	len = make_syn(p, 0x02, even, sizeof(even));
	assert_int_equal(clamp(p, len, 67, 2, false), 1460); /* no such MTU */
}

/* Options that lie about their lengths change nothing and are not read beyond the segment. */
static void
test_clamp_bad(void **state)
{
	static const uint8_t bad[][4] = {{2, 3, 5, 0xb4}, {2, 5, 5, 0xb4}, {2, 0, 5, 0xb4},
	    {0, 2, 4, 5}, {8, 1, 2, 4}, {8, 200, 2, 4}, {1, 1, 2, 4}, {1, 2, 4, 0xff},
	    {1, 1, 1, 2}};
	uint8_t p[128], before[128], *exact;
	struct ip4 ip;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		unsigned len = make_syn(p, 0x02, bad[i], 4);

		memcpy(before, p, len);
		exact = malloc(len);
		memcpy(exact, p, len);
		assert_int_equal(ipmtu_parse(exact, len, &ip), 0);
		assert_false(ipmtu_clamp_mss(exact, &ip, 600));
		assert_memory_equal(exact, before, len);
		free(exact);
	}
	for (unsigned tcp_len = 0; tcp_len < 24; tcp_len++) { /* header length beyond the data */
		static const uint8_t mss[] = {2, 4, 5, 0xb4};

		make_syn(p, 0x02, mss, 4);
		put16(p + 2, 20 + tcp_len);
		seal_header(p);
		exact = malloc(20 + tcp_len);
		memcpy(exact, p, 20 + tcp_len);
		assert_int_equal(ipmtu_parse(exact, 20 + tcp_len, &ip), 0);
		assert_false(ipmtu_clamp_mss(exact, &ip, 600));
		free(exact);
	}
}

static void
test_clamp_fragment(void **state)
{
	static const uint8_t mss[] = {2, 4, 5, 0xb4};
	uint8_t p[128];
	struct ip4 ip;
	unsigned len = make_syn(p, 0x02, mss, 4);

	put16(p + 6, 1); /* a later fragment: no TCP header here */
	seal_header(p);
	assert_int_equal(ipmtu_parse(p, len, &ip), 0);
	assert_false(ipmtu_clamp_mss(p, &ip, 600));
}

struct pile {
	uint8_t data[65536];
	unsigned n, end, header_len[64];
	uint16_t mtu;
	bool last;
};

static void
collect(void *arg, uint8_t *fragment, size_t len)
{
	struct pile *pile = arg;
	struct ip4 ip;

	assert_int_equal(ipmtu_parse(fragment, len, &ip), 0);
	assert_int_equal(ip.total, len);
	assert_true(len <= pile->mtu);
	assert_false(pile->last);
	assert_int_equal(ip.offset, pile->end);
	assert_int_equal(get16(fragment + 4), 0x1234);
	memcpy(pile->data + ip.offset, fragment + ip.header_len, len - ip.header_len);
	pile->end = ip.offset + (unsigned)len - ip.header_len;
	pile->header_len[pile->n++] = ip.header_len;
	pile->last = !ip.more_fragments;
	memset(fragment - IPMTU_EMIT_ROOM, 0xee, IPMTU_EMIT_ROOM); /* promised to be ours */
}

static void
test_fragment(void **state)
{
	static const uint16_t mtus[] = {68, 576, 1280, 1396, 1400, 1500, 2048};
	static uint8_t p[65535];
	static struct pile pile;
	struct ip4 ip;

	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		for (unsigned total = 2049; total < 2200; total += 1) {
			memset(&pile, 0, sizeof(pile));
			pile.mtu = mtus[i];
			make_ip(p, 20, total, 0, IPPROTO_UDP);
			assert_int_equal(ipmtu_parse(p, total, &ip), 0);
			assert_int_equal(ipmtu_fragment(p, &ip, mtus[i], collect, &pile), 0);
			assert_true(pile.last);
			assert_int_equal(pile.end, total - 20);
			assert_memory_equal(pile.data, p + 20, total - 20);
			if (i == 0)
				break; /* many fragments: once */
		}
	}
}

/* A fragment is cut further: offsets go on, and only the last of the last clears the flag. */
static void
test_fragment_of_fragment(void **state)
{
	static struct pile pile;
	uint8_t p[2000];
	struct ip4 ip;

	make_ip(p, 20, 1500, 0x2000 | 100, IPPROTO_UDP);
	assert_int_equal(ipmtu_parse(p, 1500, &ip), 0);
	pile.mtu = 600;
	pile.end = 800;
	assert_int_equal(ipmtu_fragment(p, &ip, 600, collect, &pile), 0);
	assert_int_equal(pile.n, 3);
	assert_false(pile.last);
	assert_int_equal(pile.end, 800 + 1480);
	assert_memory_equal(pile.data + 800, p + 20, 1480);
	/* Beyond 64 KiB: would wrap the offset. */
	make_ip(p, 20, 1500, 8100, IPPROTO_UDP);
	assert_int_equal(ipmtu_parse(p, 1500, &ip), 0);
	assert_int_equal(ipmtu_fragment(p, &ip, 600, collect, &pile), -1);
	assert_int_equal(errno, EMSGSIZE);
}

static void
test_fragment_options(void **state)
{
	static struct pile pile;
	uint8_t p[2000];
	struct ip4 ip;

	make_ip(p, 32, 1500, 0, IPPROTO_UDP);
	p[20] = 7; /* record route: not copied */
	p[21] = 7;
	p[27] = 0x94; /* router alert: copied */
	p[28] = 4;
	p[31] = 0;
	seal_header(p);
	assert_int_equal(ipmtu_parse(p, 1500, &ip), 0);
	pile.mtu = 700;
	assert_int_equal(ipmtu_fragment(p, &ip, 700, collect, &pile), 0);
	assert_int_equal(pile.n, 3);
	assert_int_equal(pile.header_len[0], 32);
	assert_int_equal(pile.header_len[1], 24);
	assert_int_equal(pile.header_len[2], 24);
	assert_memory_equal(pile.data, p + 32, 1468);
	p[28] = 200; /* an option that lies: dropped, not followed */
	seal_header(p);
	memset(&pile, 0, sizeof(pile));
	pile.mtu = 700;
	assert_int_equal(ipmtu_fragment(p, &ip, 700, collect, &pile), 0);
	assert_int_equal(pile.header_len[1], 20);
	assert_int_equal(ipmtu_fragment(p, &ip, 67, collect, &pile), -1);
	assert_int_equal(ipmtu_fragment(p, &ip, IPMTU_FRAGMENT_MAX + 1, collect, &pile), -1);
}

static void
test_frag_needed(void **state)
{
	uint8_t p[2000], out[IPMTU_ICMP_MAX];
	struct ip4 ip, got;
	size_t len;

	make_ip(p, 20, 1500, 0x4000, IPPROTO_UDP);
	assert_int_equal(ipmtu_parse(p, 1500, &ip), 0);
	len = ipmtu_frag_needed(p, &ip, 0x0a080002, 1396, out);
	assert_int_equal(len, 576);
	assert_int_equal(ipmtu_parse(out, len, &got), 0);
	assert_int_equal(got.total, len);
	assert_int_equal(got.protocol, IPPROTO_ICMP);
	assert_int_equal(got.src, 0x0a080002);
	assert_int_equal(got.dst, A);
	assert_int_equal(out[20], 3);
	assert_int_equal(out[21], 4);
	assert_int_equal(get16(out + 26), 1396);
	assert_int_equal(ipmtu_checksum(out + 20, len - 20), 0);
	assert_memory_equal(out + 28, p, len - 28);
}

static void
test_frag_needed_never(void **state)
{
	static const uint32_t sources[] = {0, 0xffffffff, 0xe0000001, 0x7f000001, 0xf0000001};
	uint8_t p[2000], out[IPMTU_ICMP_MAX];
	struct ip4 ip;

	make_ip(p, 20, 1500, 0x4000, IPPROTO_ICMP);
	for (unsigned type = 0; type < 20; type++) {
		bool error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;

		p[20] = (uint8_t)type;
		assert_int_equal(ipmtu_parse(p, 1500, &ip), 0);
		assert_int_equal(ipmtu_frag_needed(p, &ip, A, 1396, out) == 0, error);
	}
	make_ip(p, 20, 1500, 0x4001, IPPROTO_UDP); /* a later fragment */
	assert_int_equal(ipmtu_parse(p, 1500, &ip), 0);
	assert_int_equal(ipmtu_frag_needed(p, &ip, A, 1396, out), 0);
	for (unsigned i = 0; i < 5; i++) {
		make_ip(p, 20, 1500, 0x4000, IPPROTO_UDP);
		put32(p + 12, sources[i]);
		seal_header(p);
		assert_int_equal(ipmtu_parse(p, 1500, &ip), 0);
		assert_int_equal(ipmtu_frag_needed(p, &ip, A, 1396, out), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_parse_bad),
	    cmocka_unit_test(test_clamp),
	    cmocka_unit_test(test_clamp_bad),
	    cmocka_unit_test(test_clamp_fragment),
	    cmocka_unit_test(test_fragment),
	    cmocka_unit_test(test_fragment_of_fragment),
	    cmocka_unit_test(test_fragment_options),
	    cmocka_unit_test(test_frag_needed),
	    cmocka_unit_test(test_frag_needed_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
