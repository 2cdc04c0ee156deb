/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the agent looks at on its own gateway besides pptpd's answers: interfaces, sockets, /proc,
 * the disk, and processes, each held by a pidfd so that a number used again deceives nobody.
 * Everything is a read of the kernel's memory; nothing waits.
 */
#ifndef HAGENT_FACTS_H
#define HAGENT_FACTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hagent/health.h"

/* One process. Zeroed is not usable: facts_process_init(). */
struct facts_process {
	pid_t pid;
	int pidfd; /* < 0 = none held */
	bool seen; /* there was one since the agent began */
};
void facts_process_init(struct facts_process *p);
void facts_process_fini(struct facts_process *p);
/* Holds pid from now on; false: there is no such process. */
bool facts_process_hold(struct facts_process *p, pid_t pid);
/* The held process still runs; lets go of it otherwise. */
bool facts_process_alive(struct facts_process *p);
enum health_process facts_process_state(struct facts_process *p);

/* The number in a pid file, 0 if there is none. */
pid_t facts_pid_file(const char *path);
/* The process that listens on the UNIX socket, 0 if nobody does. */
pid_t facts_socket_owner(const char *path);
/* As /proc names it (comm). */
bool facts_is_called(pid_t pid, const char *name);

int facts_tun(const char *interface);
int facts_gre_sockets(void);
int facts_ip_forward(void);
int facts_arp_ignore(void); /* net.ipv4.conf.all.arp_ignore */
int64_t facts_files_free(void);
int64_t facts_memory_free_kib(void);
int64_t facts_disk_free_kib(const char *folder);
/* Of the process and its children, the least; HEALTH_UNKNOWN if it cannot be read. */
int64_t facts_process_files_free(pid_t pid);

#endif
