/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Packets wait in the socket for up to BATCH_MS, so that a cut is known before what came behind it
 * is counted: where the network of this node is cut, its packet sockets still see what arrives.
 */
#include "hagent/drill_sniff.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH_MS 50
#define BATCH    64
#define BUFFER   (16 << 20)
#define IP_GRE   47

static volatile sig_atomic_t ended;

static void
end(int signo)
{
	ended = signo;
}

static int64_t
clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
drill_now_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

int64_t
drill_wall_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

volatile int64_t *
drill_cut_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	void *p = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(int64_t)) == 0)
		p = mmap(NULL, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/* GRE from or to the address; the first bytes of it. */
static int
attach_filter(int fd, uint32_t address)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 7),
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IP_GRE, 0, 5),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, address, 2, 0),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, address, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, DRILL_SNAP),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/*
 * The filter stands before the socket is bound: it sees nothing that is not meant. What leaves is
 * seen by sockets for all protocols only.
 */
static int
open_socket(const struct drill_sniff *s)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ALL),
	    .sll_ifindex = (int)if_nametoindex(s->interface)};
	const int on = 1, size = BUFFER;

	if (fd < 0)
		return -1;
	/* Without the first a burst may overrun what the second gives. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (to.sll_ifindex != 0 && attach_filter(fd, s->address) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) == 0 &&
	    bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* The kernel's time of arrival, which is the wall clock's, on the monotonic clock. */
static int64_t
arrival_us(struct msghdr *m, int64_t wall_ahead_us)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct timespec t;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPNS)
			continue;
		memcpy(&t, CMSG_DATA(c), sizeof(t));
		return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000 - wall_ahead_us;
	}
	return drill_now_us();
}

/* False: there is nothing more at present. */
static bool
read_some(struct drill_watch *w, int fd)
{
	uint8_t bytes[BATCH][DRILL_SNAP], control[BATCH][64];
	struct sockaddr_ll from[BATCH];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec io[BATCH];
	int64_t ahead_us = drill_wall_us() - drill_now_us();
	int n;

	for (unsigned i = 0; i < BATCH; i++) {
		io[i] = (struct iovec){bytes[i], DRILL_SNAP};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
		    .msg_namelen = sizeof(from[i]),
		    .msg_iov = &io[i],
		    .msg_iovlen = 1,
		    .msg_control = control[i],
		    .msg_controllen = sizeof(control[i])};
	}
	n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		drill_watch_feed(w, bytes[i], messages[i].msg_len,
		    from[i].sll_pkttype == PACKET_OUTGOING,
		    arrival_us(&messages[i].msg_hdr, ahead_us));
	return n == BATCH;
}

static void
watch(struct drill_watch *w, int fd, volatile int64_t *cut_us, unsigned seconds)
{
	const struct timespec pause = {.tv_nsec = BATCH_MS * 1000000L};
	int64_t end_us = w->begun_us + (int64_t)seconds * 1000000;
	struct tpacket_stats lost;
	socklen_t len = sizeof(lost);

	while (!ended && drill_now_us() < end_us) {
		nanosleep(&pause, NULL);
		w->cut_us = *cut_us;
		while (read_some(w, fd))
			;
	}
	w->cut_us = *cut_us;
	while (read_some(w, fd))
		;
	w->ended_us = drill_now_us();
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &lost, &len) == 0)
		w->dropped = lost.tp_drops;
}

static int
write_result(const struct drill_watch *w, const char *path)
{
	char temporary[4096];
	FILE *f;
	int result;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	f = fopen(temporary, "we");
	if (!f)
		return -1;
	drill_watch_write(w, f);
	result = ferror(f) ? -1 : 0;
	if (fclose(f) != 0 || result < 0)
		return -1;
	return rename(temporary, path);
}

int
drill_sniff_run(const struct drill_sniff *s)
{
	const struct sigaction action = {.sa_handler = end};
	volatile int64_t *cut_us = drill_cut_map(s->cut);
	int fd = open_socket(s), result = -1;
	struct drill_watch w = {0};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	unlink(s->result);
	if (fd < 0 || !cut_us || drill_watch_init(&w, drill_now_us()) < 0) {
		fprintf(stderr, "watching %s: %s\n", s->interface, strerror(errno));
		goto out;
	}
	watch(&w, fd, cut_us, s->seconds);
	result = write_result(&w, s->result);
	if (result < 0)
		fprintf(stderr, "%s: %s\n", s->result, strerror(errno));
out:
	drill_watch_fini(&w);
	if (fd >= 0)
		close(fd);
	return result;
}
