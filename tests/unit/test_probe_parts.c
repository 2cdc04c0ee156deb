/* link: hagentcore pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The probe's small parts: sentences, packets of the tunnel, addresses of pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/cursor.h"
#include "hagent/client.h"
#include "hagent/client_packet.h"
#include "hagent/probe_http.h"
#include "hagent/probe_words.h"

#define INNER  0x0a08000au
#define BEHIND 0xc0a80114u

static uint16_t
checksum(const uint8_t *bytes, size_t len)
{
	uint32_t total = 0;

	for (size_t i = 0; i < len; i++)
		total += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
	while (total >> 16 != 0)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)~total;
}

static void
test_every_word(void **state)
{
	const struct probe_facts f = {.server = "SERVER"};
	char text[PROBE_TEXT_MAX], advice[PROBE_TEXT_MAX];

	for (enum pptp_why w = PPTP_WHY_LOCAL; w < PPTP_WHY_MAX; w++) {
		probe_words(pptp_why_name(w), &f, text, advice);
		if (strcmp(text, pptp_why_name(w)) == 0)
			fail_msg("no sentence for %s", text);
		assert_null(strchr(text, '?'));
	}
	probe_words("no such word", &f, text, advice);
	assert_string_equal(text, "no such word");
	assert_string_equal(probe_result_name("call-refused", 4), "busy");
	assert_string_equal(probe_result_name("call-refused", 99), "");
}

static void
test_packets(void **state)
{
	uint8_t bytes[256];
	struct client_packet p;
	size_t len = client_packet_echo(INNER, BEHIND, 7, 9, 56, bytes, sizeof(bytes));

	assert_int_equal(len, 84);
	assert_int_equal(client_packet_parse(bytes, len, &p), 0);
	assert_int_equal(p.from, INNER);
	assert_int_equal(p.to, BEHIND);
	assert_int_equal(p.type, 8);
	assert_int_equal(p.id, 7);
	assert_int_equal(p.seq, 9);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(client_packet_parse(bytes, cut, &p), -1);
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 0x10;
		assert_int_equal(client_packet_parse(bytes, len, &p), -1);
		bytes[i] ^= 0x10;
	}
	assert_int_equal(client_packet_echo(INNER, BEHIND, 7, 9, 56, bytes, 83), 0);

	len = client_packet_tcp(
	    INNER, BEHIND, 1000, 443, 0x01020304, CLIENT_PACKET_SYN, bytes, sizeof(bytes));
	assert_int_equal(client_packet_parse(bytes, len, &p), 0);
	assert_int_equal(p.dport, 443);
	assert_int_equal(p.tcp_seq, 0x01020304);
	assert_int_equal(p.flags, CLIENT_PACKET_SYN);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(client_packet_parse(bytes, cut, &p), -1);
}

/* Port unreachable, as a router sends it: the header and 8 bytes of what it is about. */
static void
test_icmp_error(void **state)
{
	uint8_t about[64], bytes[128];
	struct wr w = wr_init(bytes, sizeof(bytes)), sum;
	struct client_packet p;

	assert_int_equal(client_packet_udp(INNER, BEHIND, 50000, 7000, about, sizeof(about)), 28);
	assert_int_equal(client_packet_echo(BEHIND, INNER, 0, 0, 28, bytes, sizeof(bytes)), 56);
	w.p += 28;
	wr_copy(&w, about, 28);
	bytes[20] = 3;
	bytes[21] = 3;
	bytes[22] = bytes[23] = 0;
	sum = wr_init(bytes + 22, 2);
	wr_u16(&sum, checksum(bytes + 20, 36));
	assert_int_equal(client_packet_parse(bytes, 56, &p), 0);
	assert_true(p.is_error);
	assert_int_equal(p.about_to, BEHIND);
	assert_int_equal(p.about_protocol, CLIENT_PACKET_UDP);
	assert_int_equal(p.about_sport, 50000);
	assert_int_equal(p.about_dport, 7000);
}

static void
test_urls(void **state)
{
	static const char *const bad[] = {"", "ftp://127.0.0.1/", "http://", "http://:80/",
	    "http://127.0.0.1:0/", "http://127.0.0.1:70000/", "http://u@127.0.0.1/",
	    "http://127.0.0.1:80x/"};
	struct probe_url u = {0};
	char why[160];

	assert_int_equal(probe_url_parse(&u, "https://127.0.0.1/a?b", why), 0);
	assert_string_equal(u.host, "127.0.0.1");
	assert_int_equal(u.port, 443);
	assert_int_equal(u.address, 0x7f000001);
	probe_url_fini(&u);
	assert_int_equal(probe_url_parse(&u, "http://127.0.0.1:8080", why), 0);
	assert_int_equal(u.port, 8080);
	probe_url_fini(&u);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(probe_url_parse(&u, bad[i], why), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_word),
	    cmocka_unit_test(test_packets),
	    cmocka_unit_test(test_icmp_error),
	    cmocka_unit_test(test_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
