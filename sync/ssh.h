/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The pair's SSH client, over libssh2: ed25519 keys only, the peer's host key known beforehand from
 * a known_hosts file of our own, one public key for authentication, commands on channels. Every
 * call has a deadline or does not block. Several channels may share a connection: whoever waits for
 * one must serve all of them, because reading for one may bring another's data into memory, where
 * poll() does not see it. One connection belongs to one thread.
 */
#ifndef SYNC_SSH_H
#define SYNC_SSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ssh;
struct ssh_channel;

enum ssh_fault {
	SSH_FINE,
	SSH_UNREACHABLE,    /* no connection: another address may do better */
	SSH_WRONG_HOST_KEY, /* the peer is not who we know */
	SSH_KEY_REFUSED,    /* the peer does not want our key */
	SSH_LATE,           /* connected, but the deadline passed */
	SSH_BROKEN,         /* the connection or the protocol failed */
	SSH_LOCAL           /* our own files or memory */
};

struct ssh_error {
	enum ssh_fault fault;
	char text[256]; /* "peer unreachable: 10.255.0.2 port 2222: Connection refused" */
};

struct ssh_target {
	uint32_t address; /* host order */
	uint32_t source;  /* host order; 0 = as the kernel likes */
	uint16_t port;
	const char *user;
	const char *key;         /* file of our private key */
	const char *known_hosts; /* file with "[ADDRESS]:PORT ssh-ed25519 KEY" */
};

/* Connected and authenticated, or NULL with *e. The descriptor is closed on exec. */
struct ssh *ssh_connect(const struct ssh_target *t, int timeout_ms, struct ssh_error *e);
/* Closes the connection with all channels on it, which must not be used any more. */
void ssh_free(struct ssh *s);
/* For a loop: the descriptor, and what to wait for on it (POLLIN, perhaps POLLOUT). */
int ssh_fd(const struct ssh *s);
short ssh_wants(const struct ssh *s);

/* Starts a command on the other side: a channel, or NULL with *e. */
struct ssh_channel *ssh_exec(
    struct ssh *s, const char *command, int timeout_ms, struct ssh_error *e);
/* Sends the close and forgets the channel; does not wait for the other side. */
void ssh_channel_free(struct ssh_channel *c);
struct ssh *ssh_of(const struct ssh_channel *c);

#define SSH_STDOUT 0
#define SSH_STDERR 1
/*
 * As read(2) and write(2) on a non-blocking descriptor: 0 = end of the stream, -1 with EAGAIN, or
 * with EPIPE when the connection or the channel is gone.
 */
ssize_t ssh_read(struct ssh_channel *c, int stream, void *buf, size_t len);
ssize_t ssh_write(struct ssh_channel *c, const void *buf, size_t len);
/* No more input: 0, or -1 with errno as above. */
int ssh_write_eof(struct ssh_channel *c);
/* After both streams ended: the command's exit status (0..255), or -1 with EAGAIN or EPIPE. */
int ssh_exit_status(struct ssh_channel *c);

/*
 * Joins a channel with three descriptors until the command ends. in may be -1: no input. in and out
 * are non-blocking meanwhile. Returns the exit status, or -1 with *e; idle_ms without a byte in any
 * direction is SSH_LATE.
 */
int ssh_pump(struct ssh_channel *c, int in, int out, int err, int idle_ms, struct ssh_error *e);

/*
 * Joins a channel with a connected socket (made non-blocking) until either side ends or stop() says
 * so, which is asked at least every 50 ms. What the command says on its stderr goes into e->text. 0
 * = one side ended or stop(); -1 = the connection broke.
 */
int ssh_join(
    struct ssh_channel *c, int sock, bool (*stop)(void *arg), void *arg, struct ssh_error *e);

/*
 * One question: runs the command, sends the line (with its '\n'), returns the first line of the
 * answer, malloc'd and without its '\n', or NULL with *e; what the command said on stderr stands in
 * e->text if it answered nothing.
 */
char *ssh_ask(
    struct ssh *s, const char *command, const char *line, int timeout_ms, struct ssh_error *e);
/* The same of a command that runs already and answers each line with one. */
char *ssh_ask_on(struct ssh_channel *c, const char *line, int timeout_ms, struct ssh_error *e);

#endif
