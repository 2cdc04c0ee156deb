/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Both packet paths of a worker without its thread. The input is a list of records {what, length,
 * bytes}: outer packets as they are, frames with a sound header, plaintext sealed with the right
 * keys (so that what stands behind MPPE is reached), packets from the TUN, and time. Whatever comes
 * out at the TUN must be a sound packet of the session; whatever goes out must be whole GRE.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "pptpd/data/internal.h"
#include "tests/unit/dp_peer.h"

#define CLIENT   0xcb007105
#define SERVER   0xc6336464
#define INNER    0x0a08000a
#define INNER_GW 0x0a080001
#define CALL     77
#define CHUNK    2300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct worker w;
static struct dp_config config = {.workers = 1,
    .steer_map_fd = -1,
    .reorder_window = 8,
    .reorder_timeout_us = 1000,
    .ack_delay_us = 500};
static int gre_out, tun_out;
static struct dp_session *s;
static struct peer p;

static void
init(void)
{
	int gre[2], tun[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, gre) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, tun) < 0)
		abort();
	config.gre_fds[0] = gre[0];
	config.tun_fds[0] = tun[0];
	gre_out = gre[1];
	tun_out = tun[1];
	if (worker_init(&w, &config, 0) < 0)
		abort();
}

static void
start_session(uint16_t mtu)
{
	const struct dp_up up = {
	    .peer_ip = INNER, .local_ip = INNER_GW, .mtu = mtu, .pfc = mtu & 1, .acfc = mtu & 2};

	s = aligned_alloc(alignof(struct dp_session), sizeof(*s));
	assert(s != NULL);
	memset(s, 0, sizeof(*s));
	s->call_id = CALL;
	s->peer_call_id = s->tx.gre.peer_call_id = 5;
	s->peer_ip = CLIENT;
	s->local_ip = SERVER;
	gre_rx_init(&s->rx.gre, config.reorder_window, config.reorder_timeout_us);
	s->rx.gap.owner = s->rx.ack.owner = s;
	mppe_init(&s->rx.mppe, peer_key_up);
	mppe_init(&s->tx.mppe, peer_key_down);
	s->rx.armed = s->tx.armed = true;
	s->rx.source = INNER;
	s->rx.mtu = mtu;
	w.calls[CALL] = s;
	tx_link(&w, s, true, &up);
	p = (struct peer){.ip = CLIENT, .server_ip = SERVER, .call_id = CALL, .own_call_id = 5};
	mppe_init(&p.send, peer_key_up);
	mppe_init(&p.recv, peer_key_down);
}

static void
end_session(void)
{
	rx_detach(&w, s);
	tx_link(&w, s, false, NULL);
	gre_rx_fini(&s->rx.gre);
	free(s);
}

/* What came out, checked against what may. */
static void
check_output(void)
{
	static uint8_t buf[TUN_ROOM + TUN_READ_MAX];
	struct peer_got got;
	const struct note *n;
	struct ip4 ip;
	ssize_t len;
	size_t note_len;

	outbox_flush(&w.outbox);
	while ((len = recv(tun_out, buf, sizeof(buf), 0)) >= 0) {
		assert(len >= TUN_VNET_LEN);
		assert(ipmtu_parse(buf + TUN_VNET_LEN, (size_t)len - TUN_VNET_LEN, &ip) == 0);
		assert(ip.total == len - TUN_VNET_LEN);
		assert(ip.src == INNER || (ip.src == INNER_GW && ip.protocol == IPPROTO_ICMP));
	}
	while ((len = recv(gre_out, buf, sizeof(buf), 0)) >= 0) {
		assert(peer_open(&p, buf, (size_t)len, &got));
		if (got.h.length == 0)
			continue;
		assert(got.encrypted && got.protocol == PPP_IP);
		assert(ipmtu_parse(got.bytes, got.len, &ip) == 0);
		assert(ip.total == got.len && got.len <= s->tx.link.mtu && ip.dst == INNER);
	}
	while ((n = ring_peek(&w.notes, &note_len)) != NULL) {
		assert(n->session == s && sizeof(*n) + n->len == note_len);
		atomic_fetch_add(&s->notes_read, 1);
		ring_pop(&w.notes);
	}
}

static void
pass_time(uint64_t us)
{
	struct due *d;

	w.now_us += us;
	while ((d = due_pop(&w.gaps, w.now_us)) != NULL)
		rx_gap_due(&w, d->owner);
	while ((d = due_pop(&w.acks, w.now_us)) != NULL)
		rx_ack_due(&w, d->owner);
}

/* The header checksum made right, so that more than the checksum is looked at. */
static void
mend_header(uint8_t *packet, size_t len)
{
	size_t header_len = len > 0 ? (packet[0] & 15u) * 4 : 0;
	uint16_t sum;

	if (header_len < 20 || header_len > len)
		return;
	packet[10] = packet[11] = 0;
	sum = ipmtu_checksum(packet, header_len);
	packet[10] = (uint8_t)(sum >> 8);
	packet[11] = (uint8_t)sum;
}

static void
send_plain(const uint8_t *bytes, size_t len, bool mend)
{
	uint8_t plain[CHUNK], sealed[PEER_MAX], out[PEER_MAX + 64];

	if (len > DP_FRAME_MAX - 8)
		return;
	memcpy(plain, bytes, len);
	if (mend)
		mend_header(plain, len);
	len = peer_seal(&p, sealed, PPP_IP, plain, len);
	rx_input(&w, out, peer_numbered(&p, out, p.seq++, sealed, len));
}

static void
run_record(uint8_t what, const uint8_t *bytes, size_t len)
{
	uint8_t out[PEER_MAX], *packet;

	switch (what % 8) {
	case 0: /* as it is, in a buffer of its exact size */
		packet = malloc(len + 1);
		memcpy(packet, bytes, len);
		rx_input(&w, packet, len);
		free(packet);
		break;
	case 1: /* a frame in a sound header */
		rx_input(&w, out, peer_numbered(&p, out, p.seq++, bytes, len));
		break;
	case 2: /* the same, out of order */
		rx_input(&w, out, peer_numbered(&p, out, p.seq + what / 8, bytes, len));
		break;
	case 3:
	case 4:
		send_plain(bytes, len, what % 8 == 4);
		break;
	case 5: /* from the TUN */
	case 6:
		packet = w.tun_buf + TUN_ROOM;
		memcpy(packet, bytes, len);
		if (what % 8 == 6)
			mend_header(packet, len);
		tx_input(&w, packet, len);
		break;
	case 7:
		if (what >= 128) { /* lost on the way */
			p.seq += what & 127;
			mppe_step(&p.send, p.send.index + (what & 127));
		}
		pass_time(100 * what);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_init(data, size);
	uint16_t mtu = rd_u16(&r);

	if (w.calls == NULL)
		init();
	start_session((uint16_t)(mtu % (DP_FRAME_MAX + 1)));
	while (rd_left(&r) >= 3) {
		uint8_t what = rd_u8(&r);
		size_t len = rd_u16(&r) % (CHUNK + 1);
		const uint8_t *bytes;

		if (len > rd_left(&r))
			len = rd_left(&r);
		bytes = rd_bytes(&r, len);
		run_record(what, bytes, len);
		check_output();
	}
	pass_time(1000000);
	check_output();
	end_session();
	return 0;
}
