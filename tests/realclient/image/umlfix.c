/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Preloaded into User-Mode Linux. Debian's linux.uml keeps a process's floating-point state in
 * 2,696 bytes, which is too little on processors with wide registers (AMX: about 11 KB): the kernel
 * refuses to set a truncated area, and the first program of every guest dies. So the whole area of
 * each process is kept here; what UML hands over replaces its beginning.
 */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

#define AREA_SIZE 16384
#define N_AREAS   8192 /* power of two; a guest runs far fewer processes */

static struct area {
	int pid;
	size_t len; /* bytes that the kernel gave; 0 = not yet asked */
	char *bytes;
} areas[N_AREAS];

static long
raw_ptrace(long request, long pid, unsigned long addr, unsigned long data)
{
	return syscall(SYS_ptrace, request, pid, addr, data);
}

static struct area *
area_of(int pid)
{
	unsigned start = (unsigned)pid * 2654435761u;

	for (unsigned i = 0; i < N_AREAS; i++) {
		struct area *a = &areas[(start + i) % N_AREAS];

		if (a->pid == pid)
			return a;
		if (a->pid == 0) {
			a->bytes = malloc(AREA_SIZE);
			if (a->bytes == NULL)
				return NULL;
			a->pid = pid;
			return a;
		}
	}
	return NULL;
}

static long
fetch(struct area *a)
{
	struct iovec whole = {a->bytes, AREA_SIZE};
	long r = raw_ptrace(PTRACE_GETREGSET, a->pid, NT_X86_XSTATE, (unsigned long)&whole);

	if (r >= 0)
		a->len = whole.iov_len;
	return r;
}

static long
get_state(struct area *a, struct iovec *want)
{
	long r = fetch(a);

	if (r < 0)
		return r;
	if (want->iov_len > a->len)
		want->iov_len = a->len;
	memcpy(want->iov_base, a->bytes, want->iov_len);
	return r;
}

static long
set_state(struct area *a, const struct iovec *from)
{
	struct iovec whole;

	if (a->len == 0 && fetch(a) < 0)
		return -1;
	memcpy(a->bytes, from->iov_base, from->iov_len < a->len ? from->iov_len : a->len);
	whole = (struct iovec){a->bytes, a->len};
	return raw_ptrace(PTRACE_SETREGSET, a->pid, NT_X86_XSTATE, (unsigned long)&whole);
}

long
ptrace(enum __ptrace_request request, ...)
{
	va_list ap;
	long pid, r;
	unsigned long addr, data;

	va_start(ap, request);
	pid = va_arg(ap, pid_t);
	addr = va_arg(ap, unsigned long);
	data = va_arg(ap, unsigned long);
	va_end(ap);
	if ((request == PTRACE_GETREGSET || request == PTRACE_SETREGSET) && addr == NT_X86_XSTATE) {
		struct area *a = area_of((int)pid);

		if (a == NULL) {
			errno = ENOMEM;
			return -1;
		}
		return request == PTRACE_GETREGSET ? get_state(a, (struct iovec *)data)
						   : set_state(a, (const struct iovec *)data);
	}
	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA ||
	    request == PTRACE_PEEKUSER) {
		/* The system call stores the word; the library function returns it. */
		long word;

		r = raw_ptrace(request, pid, addr, (unsigned long)&word);
		if (r < 0)
			return r;
		errno = 0;
		return word;
	}
	return raw_ptrace(request, pid, addr, data);
}
