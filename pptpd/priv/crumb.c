/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The page is an anonymous file in memory, so that it outlives the engine's re-execution. A signal
 * handler has no argument of ours: the page's place is the one thing here that stands in a global.
 */
#include "pptpd/priv/crumb.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct crumb_page *
map(int fd)
{
	void *p = mmap(NULL, sizeof(struct crumb_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p != MAP_FAILED ? p : NULL;
}

struct crumb_page *
crumb_make(int *fd)
{
	struct crumb_page *p = NULL;

	*fd = memfd_create("pptpd-crumbs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd >= 0 && ftruncate(*fd, sizeof(struct crumb_page)) == 0 &&
	    fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		p = map(*fd);
	if (p == NULL && *fd >= 0) {
		int error = errno;

		close(*fd);
		*fd = -1;
		errno = error;
	}
	return p;
}

struct crumb_page *
crumb_take(int fd)
{
	struct crumb_page *p = map(fd);
	int error = errno;

	close(fd);
	errno = error;
	return p;
}

void
crumb_free(struct crumb_page *p)
{
	if (p != NULL)
		munmap(p, sizeof(*p));
}

/* ---- the fall of a thread ---- */

static struct crumb_page *watched;

/* What the kernel found it doing, or a signal to it alone, as abort() sends one. */
static bool
is_about_thread(const siginfo_t *info)
{
	return info->si_code > 0 || info->si_code == SI_TKILL;
}

static void
on_deadly(int signo, siginfo_t *info, void *context)
{
	int32_t self = (int32_t)gettid();

	(void)context;
	for (unsigned i = 0; is_about_thread(info) && i < CRUMB_SLOTS; i++) {
		if (atomic_load(&watched->slots[i].thread) == self)
			atomic_fetch_or(&watched->fell, 1u << i);
	}
	if (info->si_code <= 0) /* sent: again, and this time it kills */
		raise(signo);
	/* Else the instruction fails again, and that kills. */
}

/* A sanitizer's own handlers tell more of what it knows to handle. */
static const int deadly[] = {
    SIGABRT,
    SIGTRAP,
#ifndef PHA_SANITIZE
    SIGSEGV,
    SIGBUS,
    SIGILL,
    SIGFPE,
#endif
};

int
crumb_watch(struct crumb_page *p)
{
	struct sigaction a = {.sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER};

	a.sa_sigaction = on_deadly;
	sigemptyset(&a.sa_mask);
	watched = p;
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
		if (sigaction(deadly[i], &a, NULL) < 0)
			return -1;
	}
	return 0;
}

/* ---- afterwards ---- */

void
crumb_read(const struct crumb_page *p, bool hung, struct crash *out)
{
	uint32_t fell = hung ? 1u << CRUMB_MAIN : atomic_load(&p->fell);

	for (unsigned i = 0; i < CRUMB_SLOTS; i++) {
		if (fell == 0 || (fell & 1u << i) != 0)
			crash_add_id(out, atomic_load(&p->slots[i].id) & INT64_MAX);
	}
}
