// SPDX-License-Identifier: MIT
/*
 * See state_box.h. Memory is laid out here as the loader lays it out for a
 * kernel, so that arch_vcpu_init can enter it, with tables of our own above.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "state_box.h"

#include "arch/host.h"
#include "arch/x86_64/layout.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PTE_ALL	  7u /* present, writable, user */
#define PTE_LARGE 0x80u

#define CODE_RING0 0x00af9b000000ffffull
#define DATA_RING0 0x00cf93000000ffffull
#define DATA_RING3 0x00cff3000000ffffull
#define CODE_RING3 0x00affb000000ffffull
#define TSS_FREE   0x00008900ull /* type and present bit, at bit 32 */
#define GATE	   0x8e00ull

/* All that the guest has lies below. */
#define BOX_USED (SG_CODE + 0x1000u)

#define IO_MAP	  104u
#define TSS_LIMIT (IO_MAP + 8192u)
#define NR_GDT	  7u
#define NR_IDT	  0x42u

static void must(int r, const struct err *e)
{
	if (r < 0)
		fail_msg("%s", e->msg);
}

static void *at(const struct box *b, gpa_t gpa, uint64_t len)
{
	void *p = gmem_ptr(&b->mem, gpa, len);

	assert_non_null(p);
	return p;
}

struct sg_report *box_report(const struct box *b)
{
	return at(b, SG_REPORT, sizeof(struct sg_report));
}

static uint64_t code_at(const char *symbol)
{
	return SG_CODE + (uint64_t)(symbol - sg_start);
}

const struct sg_msr box_msrs[BOX_NR_MSRS] = {
	{ 0xc0000102, 0x00001234deadbeefull, 0 }, /* KERNEL_GS */
	{ 0xc0000081, 0x0023001000000000ull, 0 }, /* STAR */
	{ 0xc0000082, 0xffffffff81000040ull, 0 }, /* LSTAR */
	{ 0xc0000084, 0x0000000000257fd5ull, 0 }, /* SFMASK */
	{ 0x174, 0x10, 0 },			  /* SYSENTER_CS */
	{ 0x175, 0x1000, 0 },			  /* SYSENTER_ESP */
	{ 0x277, 0x0407050600070106ull, 0 },	  /* PAT */
	{ 0x2ff, 0x806, 0 },			  /* MTRR default type */
	{ 0x4b564d01, SG_CLOCK | 1, 0 },	  /* kvm-clock */
};

uint64_t box_can(void)
{
	return host_has_software_kvm()
		       ? 0
		       : SG_AVX | SG_IRQ | SG_USER | BOX_TSC | BOX_CPUID;
}

/* ---- memory ---- */

static void set_gate(uint64_t *idt, unsigned vector, const char *handler)
{
	uint64_t to = code_at(handler);

	idt[2 * vector] = (to & 0xffff) | SG_SEL_CODE << 16 | GATE << 32 |
			  (to >> 16 & 0xffff) << 48;
	idt[2 * vector + 1] = to >> 32;
}

static void fill_tables(const struct box *b)
{
	uint64_t *gdt = at(b, SG_GDT, NR_GDT * 8);
	uint64_t *idt = at(b, SG_IDT, NR_IDT * 16);
	uint8_t *tss = at(b, SG_TSS, TSS_LIMIT + 1);
	uint64_t *pml4 = at(b, LAYOUT_PML4, GMEM_PAGE);
	uint64_t *pdpt = at(b, LAYOUT_PDPT, GMEM_PAGE);
	uint64_t *pd = at(b, LAYOUT_PD, GMEM_PAGE);
	const uint64_t rsp0 = SG_STACK;
	const uint16_t map = IO_MAP;

	pml4[0] = LAYOUT_PDPT | PTE_ALL;
	pdpt[0] = LAYOUT_PD | PTE_ALL;
	pd[0] = PTE_ALL | PTE_LARGE;
	gdt[SG_SEL_CODE / 8] = CODE_RING0;
	gdt[SG_SEL_DATA / 8] = DATA_RING0;
	gdt[SG_SEL_UDATA / 8] = DATA_RING3;
	gdt[SG_SEL_UCODE / 8] = CODE_RING3;
	gdt[SG_SEL_TSS / 8] =
		TSS_LIMIT | (uint64_t)SG_TSS << 16 | TSS_FREE << 32;
	set_gate(idt, 13, sg_fault);
	set_gate(idt, SG_VECTOR_TIMER, sg_timer);
	set_gate(idt, SG_VECTOR_IPI, sg_ipi);
	memcpy(tss + 4, &rsp0, sizeof(rsp0));
	memcpy(tss + 102, &map, sizeof(map));
	tss[TSS_LIMIT] = 0xff; /* the map's end; all ports are allowed */
	memcpy(at(b, SG_CODE, (uint64_t)(sg_end - sg_start)), sg_start,
	       (size_t)(sg_end - sg_start));
}

/* ---- machine ---- */

static void create(struct box *b, unsigned nr)
{
	struct err e = { 0 };

	*b = (struct box){ .nr = nr };
	must(kvm_open(&b->kvm, &e), &e);
	must(gmem_init(&b->mem, BOX_MEMORY, LAYOUT_HOLE, LAYOUT_HOLE_END, &e),
	     &e);
	must(kvm_create_vm(&b->kvm, &b->mem, 2, &e), &e);
	for (unsigned i = 0; i < nr; i++) {
		b->fd[i] = kvm_create_vcpu(&b->kvm, i, &e);
		must(b->fd[i], &e);
		b->run[i] = kvm_map_run(&b->kvm, b->fd[i], &e);
		must(b->run[i] ? 0 : -1, &e);
	}
}

/* As arch_vcpu_init leaves vCPU 0, with our tables, stack and code. */
static void enter(const struct box *b, unsigned cpu)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = {
		.rip = code_at(cpu ? sg_ap : sg_main),
		.rsp = SG_STACK - 0x800ull * cpu,
		.rflags = 2,
	};
	struct kvm_sregs sregs, own;

	assert_int_equal(ioctl(b->fd[0], KVM_GET_SREGS, &sregs), 0);
	assert_int_equal(ioctl(b->fd[cpu], KVM_GET_SREGS, &own), 0);
	sregs.apic_base = own.apic_base;
	sregs.gdt.base = SG_GDT;
	sregs.gdt.limit = NR_GDT * 8 - 1;
	sregs.idt.base = SG_IDT;
	sregs.idt.limit = NR_IDT * 16 - 1;
	sregs.cs.selector = SG_SEL_CODE;
	sregs.ss.selector = SG_SEL_DATA;
	assert_int_equal(ioctl(b->fd[cpu], KVM_SET_SREGS, &sregs), 0);
	assert_int_equal(ioctl(b->fd[cpu], KVM_SET_REGS, &regs), 0);
	assert_int_equal(ioctl(b->fd[cpu], KVM_SET_MP_STATE, &mp), 0);
}

void box_boot(struct box *b, unsigned nr, uint64_t flags)
{
	const struct arch_entry entry = { .start = SG_CODE };
	struct err e = { 0 };

	create(b, nr);
	fill_tables(b);
	box_report(b)->flags = flags;
	for (unsigned i = 0; i < nr; i++) {
		must(arch_vcpu_init(b->kvm.fd, b->fd[i], i, nr, &entry, &e),
		     &e);
		enter(b, i);
	}
}

void box_like(struct box *b, const struct box *from)
{
	create(b, from->nr);
	memcpy(at(b, 0, BOX_USED), at(from, 0, BOX_USED), BOX_USED);
}

void box_fini(struct box *b)
{
	for (unsigned i = 0; i < b->nr; i++) {
		munmap(b->run[i], (size_t)b->kvm.run_size);
		close(b->fd[i]);
	}
	kvm_fini(&b->kvm);
	gmem_fini(&b->mem);
	b->nr = 0;
}

int box_set_up(void **state)
{
	for (struct box **b = *state; *b; b++)
		memset(*b, 0, sizeof(**b));
	return 0;
}

int box_tear_down(void **state)
{
	for (struct box **b = *state; *b; b++)
		box_fini(*b);
	return 0;
}

/* ---- running ---- */

#define HANG_S 600u

static volatile sig_atomic_t is_hung;

static void on_alarm(int sig)
{
	(void)sig;
	is_hung = 1;
}

void box_watch(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &sa, NULL);
	alarm(HANG_S);
}

/* What a guest waits for that doesn't come. */
static void fail_hung(const struct box *b, unsigned cpu)
{
	struct kvm_mp_state mp = { 0 };
	struct kvm_lapic_state lapic;
	struct kvm_regs regs = { 0 };
	uint32_t irr, isr, lvtt;

	ioctl(b->fd[cpu], KVM_GET_REGS, &regs);
	ioctl(b->fd[cpu], KVM_GET_MP_STATE, &mp);
	ioctl(b->fd[cpu], KVM_GET_LAPIC, &lapic);
	memcpy(&irr, lapic.regs + 0x220, sizeof(irr));
	memcpy(&isr, lapic.regs + 0x120, sizeof(isr));
	memcpy(&lvtt, lapic.regs + 0x320, sizeof(lvtt));
	fail_msg("hangs at code + 0x%llx, flags 0x%llx, run state %u, "
		 "TSC %llu, deadline %llu, LVTT 0x%x, requested 0x%x, in "
		 "service 0x%x, ticks %llu",
		 regs.rip - SG_CODE, regs.rflags, mp.mp_state,
		 (unsigned long long)box_msr(b, cpu, 0x10),
		 (unsigned long long)box_msr(b, cpu, 0x6e0), lvtt, irr, isr,
		 (unsigned long long)box_report(b)->ticks);
}

unsigned box_run(struct box *b, unsigned cpu)
{
	const struct kvm_run *run = b->run[cpu];

	while (ioctl(b->fd[cpu], KVM_RUN, 0) < 0) {
		if (errno != EINTR && errno != EAGAIN)
			fail_msg("KVM_RUN: %s", strerror(errno));
		if (is_hung)
			fail_hung(b, cpu);
	}
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		fail_msg("KVM could not emulate (%u)", run->internal.suberror);
	if (run->exit_reason != KVM_EXIT_IO)
		fail_msg("KVM_RUN ended for reason %u", run->exit_reason);
	return run->io.port;
}

void box_settle(struct box *b, unsigned cpu)
{
	b->run[cpu]->immediate_exit = 1;
	assert_int_equal(ioctl(b->fd[cpu], KVM_RUN, 0), -1);
	assert_int_equal(errno, EINTR);
	b->run[cpu]->immediate_exit = 0;
}

/* One at a time is all that the tests need. */
static struct {
	pthread_t thread;
	int fd;
	bool is_out;
} runner;

static void ignore(int sig)
{
	(void)sig;
}

static void *run_thread(void *arg)
{
	(void)arg;
	ioctl(runner.fd, KVM_RUN, 0);
	__atomic_store_n(&runner.is_out, true, __ATOMIC_RELEASE);
	return NULL;
}

void box_start(struct box *b, unsigned cpu)
{
	struct sigaction sa = { .sa_handler = ignore };
	sigset_t alarm_only, before;

	sigaction(SIGUSR1, &sa, NULL);
	runner.fd = b->fd[cpu];
	runner.is_out = false;
	/* The alarm is for the thread that can say what hangs. */
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm_only, &before);
	assert_int_equal(pthread_create(&runner.thread, NULL, run_thread, NULL),
			 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void box_stop(struct box *b, unsigned cpu)
{
	const struct timespec tick = { 0, 1000000 };

	__atomic_store_n(&b->run[cpu]->immediate_exit, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&runner.is_out, __ATOMIC_ACQUIRE)) {
		pthread_kill(runner.thread, SIGUSR1);
		nanosleep(&tick, NULL);
	}
	pthread_join(runner.thread, NULL);
	b->run[cpu]->immediate_exit = 0;
}

/* ---- up to where it is saved ---- */

/* DE_CFG, LFENCE waits: KVM freezes it at the first run; AMD only. */
static void set_frozen_msr(const struct box *b)
{
	struct {
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entry[1];
	} m = { .nmsrs = 1, .entry = { { .index = 0xc0011029, .data = 2 } } };

	ioctl(b->fd[0], KVM_SET_MSRS, &m);
}

void box_ready(struct box *b, unsigned nr, uint64_t flags, uint64_t delta)
{
	struct sg_report *r;

	box_boot(b, nr, flags);
	set_frozen_msr(b);
	r = box_report(b);
	r->delta = delta;
	r->nr_msrs = BOX_NR_MSRS;
	memcpy(r->msr, box_msrs, sizeof(box_msrs));
	for (unsigned i = 0; i < sizeof(r->ymm_in); i++)
		r->ymm_in[i] = (uint8_t)(i * 7 + 1);
	assert_int_equal(box_run(b, 0), SG_PORT_READY);
	box_settle(b, 0);
}

void box_ready_two(struct box *b, uint64_t flags)
{
	struct timespec wait = { 0, 1000000 };
	struct kvm_mp_state mp = { 0 };

	box_ready(b, 2, SG_MP | flags, 0);
	assert_int_equal(box_run(b, 1), SG_PORT_AP);
	box_settle(b, 1);
	if (!(flags & SG_IRQ))
		return;
	/* Longer each time, until it gets as far as its HLT. */
	do {
		box_start(b, 1);
		nanosleep(&wait, NULL);
		box_stop(b, 1);
		ioctl(b->fd[1], KVM_GET_MP_STATE, &mp);
		if (wait.tv_nsec < 500000000)
			wait.tv_nsec *= 2;
	} while (mp.mp_state != KVM_MP_STATE_HALTED && !is_hung);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_HALTED);
}

/* ---- state ---- */

void box_save(const struct box *b, struct box_state *s)
{
	struct err e = { 0 };

	struct arch_fresh *fresh = arch_fresh_ask(b->kvm.fd, b->fd[0], &e);

	must(fresh ? 0 : -e.code, &e);
	for (unsigned i = 0; i < b->nr; i++)
		must(arch_vcpu_save(fresh, b->kvm.vm_fd, b->fd[i], s->vcpu[i],
				    &s->len[i], &e),
		     &e);
	free(fresh);
	must(arch_clock_save(b->kvm.vm_fd, s->clock, &s->clock_len, &e), &e);
}

int box_give(struct box *b, const struct box_state *s, unsigned cpu,
	     struct err *e)
{
	int r = arch_vcpu_prepare(b->kvm.vm_fd, b->fd[cpu], cpu, s->vcpu[cpu],
				  s->len[cpu], e);

	return r ? r : arch_vcpu_restore(b->kvm.vm_fd, b->fd[cpu], cpu,
					 s->vcpu[cpu], s->len[cpu], e);
}

void box_restore(struct box *b, const struct box_state *s)
{
	struct err e = { 0 };

	for (unsigned i = 0; i < b->nr; i++)
		must(box_give(b, s, i, &e), &e);
	must(arch_clock_restore(b->kvm.vm_fd, s->clock, s->clock_len, &e), &e);
	for (unsigned i = 0; i < b->nr; i++)
		must(arch_vcpu_resume(b->fd[i], &e), &e);
}

void box_rewind(struct box *b, const struct box_state *s)
{
	struct err e = { 0 };

	for (unsigned i = 0; i < b->nr; i++)
		must(arch_vcpu_rewind(b->fd[i], i, s->vcpu[i], s->len[i], &e),
		     &e);
	must(arch_clock_restore(b->kvm.vm_fd, s->clock, s->clock_len, &e), &e);
}

void box_copy(struct box *to, const struct box *from, const struct box_state *s)
{
	box_like(to, from);
	box_restore(to, s);
}

struct vcpu_state box_parts(const struct box_state *s, unsigned cpu)
{
	struct err e = { 0 };
	struct vcpu_state v;

	if (vcpu_state_read(&v, s->vcpu[cpu], s->len[cpu], &e))
		fail_msg("%s", e.msg);
	return v;
}

void *box_part(struct box_state *s, unsigned cpu, enum vcpu_part part)
{
	struct vcpu_state v = box_parts(s, cpu);

	return s->vcpu[cpu] +
	       ((const uint8_t *)v.part[part].data - s->vcpu[cpu]);
}

uint64_t box_msr(const struct box *b, unsigned cpu, uint32_t index)
{
	struct {
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entry[1];
	} m = { .nmsrs = 1, .entry = { { .index = index } } };

	assert_int_equal(ioctl(b->fd[cpu], KVM_GET_MSRS, &m), 1);
	return m.entry[0].data;
}

void box_set_msr(const struct box *b, unsigned cpu, uint32_t index,
		 uint64_t value)
{
	struct {
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entry[1];
	} m = { .nmsrs = 1, .entry = { { .index = index, .data = value } } };

	assert_int_equal(ioctl(b->fd[cpu], KVM_SET_MSRS, &m), 1);
}
