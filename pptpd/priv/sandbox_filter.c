/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine's system call filter: what is not listed kills the process. It works on descriptors
 * that the monitor gave it and on memory; it opens nothing, makes no socket, executes nothing and
 * maps no code. Calls whose arguments cannot be looked at through the filter answer with an error
 * that makes the C library take its older way (clone3), or that it ignores (newfstatat).
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pptpd/priv/sandbox.h"

/* libseccomp's comparison macros leave the second operand out where there is none. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

static const int plain_calls[] = {
    /* the packet path first: the filter's tree is built from all, but this is also to be read */
    SCMP_SYS(recvmmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(futex),
    SCMP_SYS(sched_yield),
    SCMP_SYS(membarrier),
    /* sockets that others made */
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(accept4),
    SCMP_SYS(accept),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    /* descriptors */
    SCMP_SYS(close),
    SCMP_SYS(fcntl),
    SCMP_SYS(lseek),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(fstat),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime),
    /* memory */
    SCMP_SYS(munmap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(mremap),
    /* threads and signals */
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(restart_syscall),
    /* time, chance, who and what we are */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrusage),
    SCMP_SYS(times),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getcpu),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getppid),
#ifdef PHA_SANITIZE
    /* reports read maps and symbols; the leak checker stops the threads from outside */
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(access),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents),
    SCMP_SYS(getdents64),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(clone),
    SCMP_SYS(prctl),
    SCMP_SYS(ptrace),
    SCMP_SYS(wait4),
    SCMP_SYS(kill),
    SCMP_SYS(tgkill),
    SCMP_SYS(prlimit64),
    SCMP_SYS(getrlimit),
    SCMP_SYS(ioctl),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(pipe),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(personality),
    SCMP_SYS(arch_prctl),
#endif
};

struct argument_rule {
	int call;
	unsigned n;
	struct scmp_arg_cmp args[2];
};

static const struct argument_rule argument_rules[] = {
    {SCMP_SYS(bpf), 1, {SCMP_A0_32(SCMP_CMP_EQ, BPF_MAP_UPDATE_ELEM)}},
    {SCMP_SYS(bpf), 1, {SCMP_A0_32(SCMP_CMP_EQ, BPF_MAP_DELETE_ELEM)}},
    /* all but IP_HDRINCL: the raw sockets must not forge, and the sniffer's not send at all */
    {SCMP_SYS(setsockopt), 1, {SCMP_A1_32(SCMP_CMP_NE, IPPROTO_IP)}},
    {SCMP_SYS(setsockopt), 1, {SCMP_A2_32(SCMP_CMP_NE, IP_HDRINCL)}},
#ifndef PHA_SANITIZE
    {SCMP_SYS(mmap), 1, {SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
    {SCMP_SYS(mprotect), 1, {SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
    {SCMP_SYS(clone), 1, {SCMP_A0_32(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)}},
    {SCMP_SYS(prctl), 1, {SCMP_A0_32(SCMP_CMP_EQ, PR_SET_NAME)}},
    {SCMP_SYS(prctl), 1, {SCMP_A0_32(SCMP_CMP_EQ, PR_SET_VMA)}},
    {SCMP_SYS(prlimit64), 2, {SCMP_A0_32(SCMP_CMP_EQ, 0), SCMP_A2_64(SCMP_CMP_EQ, 0)}},
    {SCMP_SYS(ioctl), 1, {SCMP_A1_32(SCMP_CMP_EQ, FIONREAD)}}, /* SIOCINQ */
    {SCMP_SYS(ioctl), 1, {SCMP_A1_32(SCMP_CMP_EQ, FIONBIO)}},
    {SCMP_SYS(ioctl), 1, {SCMP_A1_32(SCMP_CMP_EQ, SIOCOUTQ)}},
#endif
};

struct error_rule {
	int call;
	int err;
};

static const struct error_rule error_rules[] = {
    {SCMP_SYS(clone3), ENOSYS},
#ifndef PHA_SANITIZE
    {SCMP_SYS(newfstatat), EACCES}, {SCMP_SYS(open), EACCES},
    {SCMP_SYS(openat), EACCES}, /* malloc looks for overcommit_memory when it gives memory back */
#endif
};

/* abort() signals this process and nobody else. */
static int
allow_abort(scmp_filter_ctx f)
{
#ifdef PHA_SANITIZE
	return 0;
#else
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
	    SCMP_A0_32(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
#endif
}

static int
add_rules(scmp_filter_ctx f)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(plain_calls) / sizeof(plain_calls[0]); i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, plain_calls[i], 0);
	for (size_t i = 0; rc == 0 && i < sizeof(argument_rules) / sizeof(argument_rules[0]); i++)
		rc = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, argument_rules[i].call,
		    argument_rules[i].n, argument_rules[i].args);
	for (size_t i = 0; rc == 0 && i < sizeof(error_rules) / sizeof(error_rules[0]); i++)
		rc = seccomp_rule_add(
		    f, SCMP_ACT_ERRNO((uint32_t)error_rules[i].err), error_rules[i].call, 0);
	return rc == 0 ? allow_abort(f) : rc;
}

int
sandbox_filter(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc = -ENOMEM;

	if (f == NULL)
		goto out;
	rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
	if (rc == 0)
		rc = add_rules(f);
	if (rc == 0)
		rc = seccomp_load(f);
out:
	seccomp_release(f);
	errno = -rc;
	return rc == 0 ? 0 : -1;
}
