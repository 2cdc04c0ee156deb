/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * key-check on captures made here: a clean takeover passes, and each planted fault is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/keycheck/calls.c"
#include "tests/keycheck/capture.c"
#include "tests/keycheck/check.c"
#include "tests/keycheck/keys.c"

#define VIP     0xc633640au
#define CLIENT  0xc6120101u
#define CALL_ID 77
#define GW1     0x020000000101u
#define GW2     0x020000000102u
#define SECOND  1000000u
#define BEGIN   (1000 * (uint64_t)SECOND)

static const uint8_t start_key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* A gateway as it should be: numbers and keys go up. */
struct gateway {
	uint64_t mac;
	uint32_t number;
	struct mppe key;
};

struct bench {
	struct calls *calls;
	struct check check;
	uint64_t now_us;
	unsigned payload; /* makes every packet another */
	uint8_t last[256];
	size_t last_len;
	FILE *pcap; /* NULL: frames go straight to the check */
};

static const char key_lines[] =
    "{\"event\":\"call\",\"at\":999.5,\"session\":3,\"client\":\"198.18.1.1\",\"port\":4000,"
    "\"call_id\":77,\"peer_call_id\":5,\"send_key\":\"ffffffffffffffffffffffffffffffff\","
    "\"recv_key\":\"000102030405060708090a0b0c0d0e0f\"}\n";

static struct calls *
read_calls(const char *more)
{
	char path[] = "/tmp/test_keycheck.XXXXXX";
	int fd = mkstemp(path);
	struct calls *calls;
	unsigned line;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, key_lines, strlen(key_lines)), strlen(key_lines));
	assert_int_equal(write(fd, more, strlen(more)), strlen(more));
	close(fd);
	calls = calls_read(path, &line);
	unlink(path);
	return calls;
}

static void
begin(struct bench *b, const char *more)
{
	memset(b, 0, sizeof(*b));
	b->now_us = BEGIN;
	b->calls = read_calls(more);
	assert_non_null(b->calls);
	check_init(&b->check, b->calls, VIP);
}

static void
end_bench(struct bench *b)
{
	calls_free(b->calls);
}

static struct gateway
gateway(uint64_t mac, uint32_t number, uint64_t index)
{
	struct gateway g = {.mac = mac, .number = number};

	mppe_init(&g.key, start_key);
	mppe_step(&g.key, index);
	return g;
}

/* An IPv4 packet from the VIP around what w holds from byte 20 on. */
static void
send_ip(struct bench *b, uint64_t mac, uint8_t protocol, uint8_t *packet, size_t len)
{
	struct wr w = wr_init(packet, 20);
	struct frame f = {.at_us = b->now_us, .sender = mac, .ip = packet, .len = len};
	uint8_t head[30];
	struct wr p = wr_init(head, sizeof(head));

	wr_u16(&w, 0x4500);
	wr_u16(&w, (uint16_t)len);
	wr_u32(&w, 0x4000);
	wr_u8(&w, 64);
	wr_u8(&w, protocol);
	wr_u16(&w, 0);
	wr_u32(&w, VIP);
	wr_u32(&w, CLIENT);
	assert_true(wr_ok(&w));
	if (b->pcap == NULL) {
		check_frame(&b->check, &f);
		return;
	}
	/* Little-endian record, then Ethernet. */
	wr_u32(&p, __builtin_bswap32((uint32_t)(b->now_us / SECOND)));
	wr_u32(&p, __builtin_bswap32((uint32_t)(b->now_us % SECOND)));
	wr_u32(&p, __builtin_bswap32((uint32_t)len + 14));
	wr_u32(&p, __builtin_bswap32((uint32_t)len + 14));
	wr_zero(&p, 6);
	wr_u16(&p, (uint16_t)(mac >> 32));
	wr_u32(&p, (uint32_t)mac);
	wr_u16(&p, 0x0800);
	assert_int_equal(fwrite(head, sizeof(head), 1, b->pcap), 1);
	assert_int_equal(fwrite(packet, len, 1, b->pcap), 1);
}

static void
send_gre(struct bench *b, uint64_t mac, uint32_t number, const uint8_t *frame, size_t len)
{
	struct wr w = wr_init(b->last + 20, sizeof(b->last) - 20);

	gre_encode(
	    &w, &(struct gre_header){
		    .call_id = CALL_ID, .length = (uint16_t)len, .has_seq = true, .seq = number});
	wr_copy(&w, frame, len);
	assert_true(wr_ok(&w));
	b->last_len = 20 + wr_len(&w);
	send_ip(b, mac, 47, b->last, b->last_len);
	b->now_us += 1000;
}

/* The next packet of a gateway; walk: a frame that only moves the key on. */
static void
send_data(struct bench *b, struct gateway *g, bool walk)
{
	uint8_t plain[64] = {0x00, 0x21, 0x45, 0x00, 0x00, 0x3e, 0, 0, 0, 0, 64, 17};
	uint8_t frame[4 + MPPE_HEADER_LEN + sizeof(plain)] = {0xff, 0x03, 0x00, 0xfd};
	uint32_t sum = 0;

	plain[30] = (uint8_t)(b->payload >> 8);
	plain[31] = (uint8_t)b->payload++;
	for (int i = 2; i < 22; i += 2)
		sum += (uint32_t)plain[i] << 8 | plain[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	plain[12] = (uint8_t)(sum >> 8);
	plain[13] = (uint8_t)sum;
	if (walk)
		plain[2] = 0x07;
	mppe_encrypt(&g->key, plain, sizeof(plain), frame + 4);
	send_gre(b, g->mac, g->number++, frame, sizeof(frame));
}

static void
send_many(struct bench *b, struct gateway *g, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		send_data(b, g, false);
}

static void
send_echo(struct bench *b, struct gateway *g)
{
	static const uint8_t echo[] = {0xff, 0x03, 0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4};

	send_gre(b, g->mac, g->number++, echo, sizeof(echo));
}

static uint64_t
all_faults(const struct check *c)
{
	uint64_t n = 0;

	for (int i = 0; i < FAULT_MAX; i++)
		n += c->faults[i];
	return n + c->unknown_encrypted + c->out_of_memory;
}

/* ---- nothing wrong ---- */

/* Far beyond one turn of the 12-bit count, with takeovers back and forth. */
static void
test_clean(void **state)
{
	struct gateway one = gateway(GW1, 1, 0), two;
	struct bench b;

	begin(&b, "");
	send_many(&b, &one, 5000);
	two = gateway(GW2, 5001 + 100, 5000 + 140);
	send_echo(&b, &two);
	send_many(&b, &two, 5000);
	b.now_us += 10 * SECOND;
	one = gateway(GW1, two.number + 127, two.key.index + 254);
	send_many(&b, &one, 10);
	assert_int_equal(all_faults(&b.check), 0);
	assert_int_equal(b.check.frames, 10011);
	assert_int_equal(b.check.encrypted, 10010);
	assert_int_equal(b.check.n_takeovers, 2);
	assert_int_equal(b.check.takeovers[0].numbers_max, 100);
	assert_int_equal(b.check.takeovers[0].keys_max, 140);
	assert_int_equal(b.check.takeovers[0].calls, 1);
	assert_int_equal(b.check.takeovers[1].numbers_max, 127);
	assert_int_equal(b.check.takeovers[1].keys_max, 254);

	assert_int_equal(b.check.within_numbers, 0);
	assert_int_equal(b.check.within_keys, 0);
	end_bench(&b);
}

/* Two captures saw one frame. */
static void
test_seen_twice(void **state)
{
	struct gateway one = gateway(GW1, 1, 0);
	struct bench b;

	begin(&b, "");
	send_many(&b, &one, 3);
	send_ip(&b, GW1, 47, b.last, b.last_len);
	assert_int_equal(all_faults(&b.check), 0);
	assert_int_equal(b.check.repeated, 1);
	end_bench(&b);
}

static void
test_walk(void **state)
{
	struct gateway one = gateway(GW1, 1, 0);
	struct bench b;

	begin(&b, "");
	send_many(&b, &one, 3);
	mppe_step(&one.key, 2000);
	send_data(&b, &one, true);
	mppe_step(&one.key, 3900);
	send_data(&b, &one, true);
	send_many(&b, &one, 3);
	assert_int_equal(all_faults(&b.check), 0);
	assert_int_equal(b.check.walks, 2);
	assert_int_equal(b.check.within_keys, 1997);
	end_bench(&b);
}

/* A whole turn of the count was jumped over: found by what makes sense. */
static void
test_turn(void **state)
{
	struct gateway one = gateway(GW1, 1, 0);
	struct bench b;

	begin(&b, "");
	send_many(&b, &one, 10);
	mppe_step(&one.key, 10 + 2 * COUNT_SPACE);
	send_many(&b, &one, 10);
	assert_int_equal(all_faults(&b.check), 0);
	assert_int_equal(b.check.within_keys, 2 * COUNT_SPACE);
	end_bench(&b);
}

/* Control frames fill the gap before the mark, from where the new gateway knows numbers to be used.
 */
static void
test_filled(void **state)
{
	struct gateway one = gateway(GW1, 1, 0), two = gateway(GW2, 95, 228);
	struct bench b;

	begin(&b, "");
	send_many(&b, &one, 100);
	while (two.number < 229)
		send_echo(&b, &two);
	send_many(&b, &two, 5);
	assert_int_equal(all_faults(&b.check), 0);
	assert_int_equal(b.check.filled, 6);
	assert_int_equal(b.check.takeovers[0].calls, 1);
	assert_int_equal(b.check.takeovers[0].numbers_max, 0);
	assert_int_equal(b.check.takeovers[0].keys_max, 128);
	end_bench(&b);
}

/* The old gateway's last frames come after the new one's first. */
static void
test_stragglers(void **state)
{
	struct gateway one = gateway(GW1, 1, 0), two = gateway(GW2, 200, 300);
	struct bench b;

	begin(&b, "");
	send_many(&b, &one, 100);
	send_many(&b, &two, 1);
	send_many(&b, &one, 3);
	send_many(&b, &two, 3);
	assert_int_equal(all_faults(&b.check), 0);
	assert_int_equal(b.check.n_takeovers, 1);
	assert_int_equal(b.check.takeovers[0].stragglers, 3);
	assert_int_equal(b.check.takeovers[0].numbers_max, 99);
	end_bench(&b);
}

/* ---- planted faults ---- */

static void
test_key_reused(void **state)
{
	struct gateway one = gateway(GW1, 1, 0), two = gateway(GW2, 200, 99);
	struct bench b;

	begin(&b, "");
	send_many(&b, &one, 100); /* keys 0..99 */
	send_many(&b, &two, 5);   /* 99 once more */
	assert_int_equal(b.check.faults[FAULT_KEY], 1);
	assert_int_equal(all_faults(&b.check), 1);
	assert_int_equal(b.check.examples[0].index, 99);
	assert_int_equal(b.check.examples[0].sender, GW2);
	assert_int_equal(b.check.examples[0].before_sender, GW1);
	assert_int_equal(b.check.examples[0].session, 3);
	end_bench(&b);
}

/* The same plaintext with the same key under another number: not the same frame. */
static void
test_key_reused_alike(void **state)
{
	struct gateway one = gateway(GW1, 1, 0), two = gateway(GW2, 200, 0);
	struct bench b;

	begin(&b, "");
	send_data(&b, &one, false);
	b.payload = 0;
	send_data(&b, &two, false);
	assert_int_equal(b.check.faults[FAULT_KEY], 1);
	end_bench(&b);
}

static void
test_key_reused_long_ago(void **state)
{
	struct gateway one = gateway(GW1, 1, 0), two = gateway(GW2, 4000, 1500);
	struct bench b;

	begin(&b, "");
	send_many(&b, &one, 3000);
	send_many(&b, &two, 7);
	assert_int_equal(b.check.faults[FAULT_KEY], 7);
	end_bench(&b);
}

static void
test_number_reused(void **state)
{
	struct gateway one = gateway(GW1, 1, 0), two = gateway(GW2, 101, 200);
	struct bench b;

	begin(&b, "");
	send_many(&b, &one, 100);
	two.number = 99;
	send_many(&b, &two, 4);
	assert_int_equal(b.check.faults[FAULT_NUMBER], 2);
	assert_int_equal(b.check.faults[FAULT_BACKWARD], 2);
	assert_int_equal(all_faults(&b.check), 4);
	assert_int_equal(b.check.takeovers[0].calls, 1);
	assert_int_equal(b.check.takeovers[0].numbers_max, 0);
	end_bench(&b);
}

static void
test_unreadable(void **state)
{
	static const uint8_t other[16] = {9};
	struct gateway one = gateway(GW1, 1, 0);
	struct bench b;

	begin(&b, "");
	send_many(&b, &one, 10);
	mppe_init(&one.key, other);
	mppe_step(&one.key, 10);
	send_many(&b, &one, 1);
	assert_int_equal(b.check.faults[FAULT_UNREADABLE], 1);
	assert_int_equal(all_faults(&b.check), 1);
	end_bench(&b);
}

static void
send_tcp(struct bench *b, uint16_t port, uint8_t flags)
{
	uint8_t packet[40] = {0};
	struct wr w = wr_init(packet + 20, 20);

	wr_u16(&w, 1723);
	wr_u16(&w, port);
	wr_zero(&w, 8);
	wr_u8(&w, 0x50);
	wr_u8(&w, flags);
	send_ip(b, GW1, 6, packet, sizeof(packet));
	b->now_us += 1000;
}

static void
test_closed(void **state)
{
	static const char ended[] =
	    "{\"event\":\"end\",\"at\":1005.0,\"session\":3,\"client\":\"198.18.1.1\","
	    "\"port\":4000,\"call_id\":77,\"peer_call_id\":5,\"by\":\"client\",\"reason\":"
	    "\"close\"}\n";
	struct bench b;

	begin(&b, ended);
	send_tcp(&b, 4000, 0x18);
	send_tcp(&b, 4001, 0x04); /* nobody's */
	assert_int_equal(all_faults(&b.check), 0);
	send_tcp(&b, 4000, 0x11);
	send_tcp(&b, 4000, 0x14);
	assert_int_equal(b.check.faults[FAULT_CLOSED], 2);
	b.now_us = BEGIN + 5 * SECOND; /* the client has said good-bye */
	send_tcp(&b, 4000, 0x11);
	assert_int_equal(b.check.faults[FAULT_CLOSED], 2);
	end_bench(&b);
}

/* The server's own end of a call is no excuse. */
static void
test_closed_by_server(void **state)
{
	static const char ended[] =
	    "{\"event\":\"end\",\"at\":999.9,\"session\":3,\"client\":\"198.18.1.1\","
	    "\"port\":4000,\"call_id\":77,\"peer_call_id\":5,\"by\":\"server\",\"reason\":"
	    "\"reset\"}\n";
	struct bench b;

	begin(&b, ended);
	send_tcp(&b, 4000, 0x14);
	assert_int_equal(b.check.faults[FAULT_CLOSED], 1);
	end_bench(&b);
}

static void
test_unreachable(void **state)
{
	uint8_t packet[28] = {0};
	struct bench b;

	begin(&b, "");
	packet[20] = 3;
	for (uint8_t code = 0; code < 5; code++) {
		packet[21] = code;
		send_ip(&b, GW1, 1, packet, sizeof(packet));
	}
	assert_int_equal(b.check.faults[FAULT_UNREACHABLE], 2);
	assert_int_equal(all_faults(&b.check), 2);
	end_bench(&b);
}

static void
test_cut(void **state)
{
	struct gateway one = gateway(GW1, 1, 0);
	struct frame f;
	struct bench b;

	begin(&b, "");
	send_many(&b, &one, 1);
	f = (struct frame){.at_us = b.now_us, .sender = GW1, .ip = b.last, .len = b.last_len - 1};
	check_frame(&b.check, &f);
	assert_int_equal(b.check.faults[FAULT_CUT], 1);
	end_bench(&b);
}

/* ---- files ---- */

static void
start_pcap(struct bench *b, char *path, uint32_t magic)
{
	uint8_t head[FILE_HEADER];
	struct wr w = wr_init(head, sizeof(head));
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	b->pcap = fdopen(fd, "w");
	assert_non_null(b->pcap);
	wr_u32(&w, __builtin_bswap32(magic));
	wr_u32(&w, 0x02000400);
	wr_zero(&w, 12);
	wr_u32(&w, __builtin_bswap32(LINK_ETHERNET));
	assert_int_equal(fwrite(head, sizeof(head), 1, b->pcap), 1);
}

static void
stop_pcap(struct bench *b)
{
	fclose(b->pcap);
	b->pcap = NULL;
}

/* One capture a gateway; together they are in order, and the reuse between the two is found. */
static void
test_files(void **state)
{
	char first[] = "/tmp/test_keycheck.XXXXXX", second[] = "/tmp/test_keycheck.XXXXXX";
	const char *const paths[] = {second, first};
	struct gateway one = gateway(GW1, 1, 0), two = gateway(GW2, 60, 49);
	struct capture *c;
	struct frame f;
	struct bench b;
	unsigned n = 0;

	begin(&b, "");
	start_pcap(&b, first, MAGIC_US);
	send_many(&b, &one, 50);
	stop_pcap(&b);
	start_pcap(&b, second, MAGIC_US);
	send_many(&b, &two, 50);
	assert_int_equal(fwrite("half", 4, 1, b.pcap), 1); /* its writer was killed */
	stop_pcap(&b);
	assert_non_null(c = capture_open(paths, 2));
	for (; capture_next(c, &f); n++) {
		assert_int_equal(f.sender, n < 50 ? GW1 : GW2);
		check_frame(&b.check, &f);
	}
	assert_int_equal(n, 100);
	assert_int_equal(capture_cut(c), 1);
	assert_int_equal(b.check.faults[FAULT_KEY], 1);
	assert_int_equal(all_faults(&b.check), 1);
	assert_int_equal(b.check.n_takeovers, 1);
	assert_int_equal(b.check.takeovers[0].numbers_max, 9);
	capture_close(c);
	unlink(first);
	unlink(second);
	end_bench(&b);
}

static void
test_no_capture(void **state)
{
	char path[] = "/tmp/test_keycheck.XXXXXX";
	const char *const paths[] = {path};
	struct bench b;

	begin(&b, "");
	start_pcap(&b, path, 0x12345678);
	stop_pcap(&b);
	assert_null(capture_open(paths, 1));
	assert_int_equal(errno, EBADMSG);
	unlink(path);
	assert_null(capture_open(paths, 1));
	assert_int_equal(errno, ENOENT);
	end_bench(&b);
}

static void
test_no_keylog(void **state)
{
	static const char *const bad[] = {"nonsense\n", "{\"event\":\"call\"}\n", "[]\n",
	    "{\"event\":\"call\",\"at\":1.0,\"session\":3,\"client\":\"198.18.1.1\",\"port\":4000,"
	    "\"call_id\":77,\"recv_key\":\"00\"}\n"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(read_calls(bad[i]));
		assert_int_equal(errno, EBADMSG);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_clean),
	    cmocka_unit_test(test_seen_twice),
	    cmocka_unit_test(test_walk),
	    cmocka_unit_test(test_turn),
	    cmocka_unit_test(test_filled),
	    cmocka_unit_test(test_stragglers),
	    cmocka_unit_test(test_key_reused),
	    cmocka_unit_test(test_key_reused_alike),
	    cmocka_unit_test(test_key_reused_long_ago),
	    cmocka_unit_test(test_number_reused),
	    cmocka_unit_test(test_unreadable),
	    cmocka_unit_test(test_closed),
	    cmocka_unit_test(test_closed_by_server),
	    cmocka_unit_test(test_unreachable),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_no_capture),
	    cmocka_unit_test(test_no_keylog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
