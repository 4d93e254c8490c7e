// SPDX-License-Identifier: MIT
/*
 * The probe guest, in two steps of a few instructions each, 64-bit:
 *
 *  1. ring 0: int3 with a handler, as Linux tests itself early in its boot,
 *     and OUT to a port that is nobody's;
 *  2. ring 3: cpuid of a signature that only we gave it.
 *
 * Software KVM emulates ring 0 and gives up at int3; it runs ring 3 directly
 * on the CPU, whose cpuid knows nothing of our signature. Hardware KVM does
 * both right. (Measured; cpuid in ring 0 and any 16-bit code come out right on
 * software KVM, too, and stac is only there on some CPUs.)
 *
 * A fault that the guest has no handler for becomes a triple fault, which is
 * an answer as well. There is no loop in it, so it always ends.
 */
#include "arch/host.h"

#include "lib/cleanup.h"

#include <linux/kvm.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* Guest memory, mapped 1:1 and open to ring 3: tables, code, results. */
#define RAM_SIZE    0x10000u
#define PML4_AT	    0x1000u
#define PDPT_AT	    0x2000u
#define PD_AT	    0x3000u
#define GDT_AT	    0x4000u
#define IDT_AT	    0x5000u
#define STACK_AT    0x7000u
#define KERNEL_AT   0x8000u
#define HANDLER_AT  0x8100u
#define USER_AT	    0x8200u
#define RESULT_AT   0x9000u
#define MMIO_AT	    0x100000u /* no memory there: a write leaves the guest */
#define MAX_CPUID   256u
#define TSS_ADDR    0xfffbd000ul
#define NR_PINS	    2u
#define MAX_RETRIES 100

#define PTE_ALL		7u /* present, writable, user */
#define PTE_HUGE	0x80u
#define CR0_PE_ET_NE_PG 0x80000031u
#define CR4_PAE		0x20u
#define EFER_LME_LMA	0x500u
#define CODE_SELECTOR	8u
#define CODE_DESCRIPTOR 0x00209b0000000000ull /* 64-bit, ring 0, accessed */
#define DATA_SELECTOR	16u
#define DATA_DESCRIPTOR 0x00cf93000000ffffull /* writable, accessed */
#define GATE_TYPE	0x8e00u		      /* interrupt gate, present */
#define INT3_VECTOR	3u

#define HYPERVISOR_LEAF 0x40000000u
#define END_MARK	0x55u

/* What cpuid shall say in ebx, ecx, edx. */
static const char signature[] = "husk probe 1";

static const uint8_t kernel_code[] = {
	0xcc,		/* int3 */
	0xe6, 0xf4,	/* out 0xf4, al: HLT would wait in KVM */
};

static const uint8_t handler_code[] = {
	0xc6, 0x04, 0x25, 0x0c, 0x90, 0x00, 0x00, 0x55, /* movb 0x55, 0x900c */
	0x48, 0xcf,					/* iretq */
};

static const uint8_t user_code[] = {
	0xb8, 0x00, 0x00, 0x00, 0x40,		  /* mov eax, leaf */
	0x0f, 0xa2,				  /* cpuid */
	0x89, 0x1c, 0x25, 0x00, 0x90, 0x00, 0x00, /* mov [0x9000], ebx */
	0x89, 0x0c, 0x25, 0x04, 0x90, 0x00, 0x00, /* mov [0x9004], ecx */
	0x89, 0x14, 0x25, 0x08, 0x90, 0x00, 0x00, /* mov [0x9008], edx */
	0x89, 0x04, 0x25, 0x00, 0x00, 0x10, 0x00, /* mov [MMIO], eax */
};

struct probe_result {
	bool kernel_works;   /* an exception in ring 0 came to its handler */
	bool user_works;     /* ring 3 ran to its last instruction */
	bool cpuid_honoured; /* ring 3 saw the CPUID that it was given */
};

/* All that a probe holds; released in one place. */
struct probe {
	int vm_fd, vcpu_fd;
	uint8_t *ram;
	struct kvm_run *run;
	size_t run_size;
};

static void probe_fini(struct probe *p)
{
	if (p->run)
		munmap(p->run, p->run_size);
	if (p->vcpu_fd >= 0)
		close(p->vcpu_fd);
	if (p->vm_fd >= 0)
		close(p->vm_fd);
	if (p->ram)
		munmap(p->ram, RAM_SIZE);
}

static int map_ram(struct probe *p, struct err *e)
{
	void *m = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED)
		return err_sys(e, "map %u bytes for the probe guest", RAM_SIZE);
	p->ram = m;
	return 0;
}

static void put_word(struct probe *p, uint32_t at, uint64_t value)
{
	memcpy(p->ram + at, &value, sizeof(value));
}

static void fill_ram(struct probe *p)
{
	put_word(p, PML4_AT, PDPT_AT | PTE_ALL);
	put_word(p, PDPT_AT, PD_AT | PTE_ALL);
	put_word(p, PD_AT, 0 | PTE_ALL | PTE_HUGE);
	put_word(p, GDT_AT + CODE_SELECTOR, CODE_DESCRIPTOR);
	put_word(p, GDT_AT + DATA_SELECTOR, DATA_DESCRIPTOR);
	put_word(p, IDT_AT + 16 * INT3_VECTOR,
		 HANDLER_AT | CODE_SELECTOR << 16 | (uint64_t)GATE_TYPE << 32);
	memcpy(p->ram + KERNEL_AT, kernel_code, sizeof(kernel_code));
	memcpy(p->ram + HANDLER_AT, handler_code, sizeof(handler_code));
	memcpy(p->ram + USER_AT, user_code, sizeof(user_code));
}

static int make_vm(struct probe *p, int kvm_fd, struct err *e)
{
	struct kvm_userspace_memory_region slot = {
		.memory_size = RAM_SIZE,
	};
	struct kvm_enable_cap split = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.args = {NR_PINS},
	};
	int size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *m;

	if (size < (int)sizeof(struct kvm_run))
		return err_sys(e, "KVM_GET_VCPU_MMAP_SIZE");
	p->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (p->vm_fd < 0)
		return err_sys(e, "KVM_CREATE_VM");
	slot.userspace_addr = (uintptr_t)p->ram;
	if (ioctl(p->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return err_sys(e, "KVM_SET_USER_MEMORY_REGION");
	/* As runs have it: local APICs in KVM are other paths into a guest. */
	if (ioctl(p->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDR) < 0)
		return err_sys(e, "KVM_SET_TSS_ADDR");
	if (ioctl(p->vm_fd, KVM_ENABLE_CAP, &split) < 0)
		return err_sys(e, "KVM_CAP_SPLIT_IRQCHIP");
	p->vcpu_fd = ioctl(p->vm_fd, KVM_CREATE_VCPU, 0);
	if (p->vcpu_fd < 0)
		return err_sys(e, "KVM_CREATE_VCPU");
	m = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED,
		 p->vcpu_fd, 0);
	if (m == MAP_FAILED)
		return err_sys(e, "map struct kvm_run");
	p->run = m;
	p->run_size = (size_t)size;
	return 0;
}

/* Supported CPUID, with our signature. */
static int set_cpuid(struct probe *p, int kvm_fd, struct err *e)
{
	auto_free struct kvm_cpuid2 *id = NULL;
	bool has_leaf = false;

	id = calloc(1, sizeof(*id) + MAX_CPUID * sizeof(id->entries[0]));
	if (!id)
		return err_set(e, ENOMEM, "probe guest: out of memory");
	id->nent = MAX_CPUID;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, id) < 0)
		return err_sys(e, "KVM_GET_SUPPORTED_CPUID");
	for (uint32_t i = 0; i < id->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &id->entries[i];

		if (entry->function != HYPERVISOR_LEAF)
			continue;
		memcpy(&entry->ebx, signature, 4);
		memcpy(&entry->ecx, &signature[4], 4);
		memcpy(&entry->edx, &signature[8], 4);
		has_leaf = true;
	}
	if (!has_leaf)
		return err_set(e, ENODATA,
			       "KVM_GET_SUPPORTED_CPUID: no hypervisor leaf");
	if (ioctl(p->vcpu_fd, KVM_SET_CPUID2, id) < 0)
		return err_sys(e, "KVM_SET_CPUID2");
	return 0;
}

static struct kvm_segment flat_segment(bool is_code, uint8_t ring)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector =
			(uint16_t)((is_code ? CODE_SELECTOR : DATA_SELECTOR) |
				   ring),
		.type = is_code ? 0xb : 3, /* accessed; readable or writable */
		.present = 1,
		.dpl = ring & 3u,
		.s = 1,
		.g = 1,
		.l = is_code,
		.db = !is_code,
	};
}

static int set_registers(struct probe *p, uint32_t rip, uint8_t ring,
			 struct err *e)
{
	struct kvm_regs regs = {.rip = rip, .rsp = STACK_AT, .rflags = 2};
	struct kvm_sregs sregs;

	if (ioctl(p->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return err_sys(e, "KVM_GET_SREGS");
	sregs.cs = flat_segment(true, ring);
	sregs.ds = sregs.es = sregs.ss = flat_segment(false, ring);
	sregs.gdt = (struct kvm_dtable){.base = GDT_AT, .limit = 23};
	sregs.idt = (struct kvm_dtable){.base = IDT_AT, .limit = 0xfff};
	sregs.cr0 = CR0_PE_ET_NE_PG;
	sregs.cr3 = PML4_AT;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME_LMA;
	if (ioctl(p->vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return err_sys(e, "KVM_SET_SREGS");
	if (ioctl(p->vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return err_sys(e, "KVM_SET_REGS");
	return 0;
}

/* Runs from `rip` in `ring` to the first exit; its reason goes to *reason. */
static int run_step(struct probe *p, uint32_t rip, uint8_t ring,
		    unsigned *reason, struct err *e)
{
	int r = set_registers(p, rip, ring, e);

	if (r)
		return r;
	r = -1;
	for (int i = 0; r < 0 && i < MAX_RETRIES; i++) {
		r = ioctl(p->vcpu_fd, KVM_RUN, 0);
		if (r < 0 && errno != EINTR && errno != EAGAIN)
			break;
	}
	if (r < 0)
		return err_sys(e, "KVM_RUN");
	*reason = p->run->exit_reason;
	return 0;
}

/* What the last exit left undone would change the next step's registers. */
static void complete_exit(struct probe *p)
{
	p->run->immediate_exit = 1;
	ioctl(p->vcpu_fd, KVM_RUN, 0);
	p->run->immediate_exit = 0;
}

static int run_steps(struct probe *p, struct probe_result *out, struct err *e)
{
	unsigned reason;
	int r = run_step(p, KERNEL_AT, 0, &reason, e);

	if (r)
		return r;
	out->kernel_works =
		reason == KVM_EXIT_IO && p->ram[RESULT_AT + 12] == END_MARK;
	complete_exit(p);
	r = run_step(p, USER_AT, 3, &reason, e);
	if (r)
		return r;
	out->user_works =
		reason == KVM_EXIT_MMIO && p->run->mmio.phys_addr == MMIO_AT;
	out->cpuid_honoured =
		!memcmp(p->ram + RESULT_AT, signature,
			sizeof(signature) - 1);
	return 0;
}

static int try_guest(int kvm_fd, struct probe_result *out, struct err *e)
{
	struct probe p = {.vm_fd = -1, .vcpu_fd = -1};
	int r = map_ram(&p, e);

	if (!r)
		r = make_vm(&p, kvm_fd, e);
	if (!r)
		r = set_cpuid(&p, kvm_fd, e);
	if (!r) {
		fill_ram(&p);
		r = run_steps(&p, out, e);
	}
	probe_fini(&p);
	return r;
}

int host_probe(int kvm_fd, enum host_answer *out, struct text *tried,
	       struct err *e)
{
	struct probe_result p = { .kernel_works = false };
	int r = try_guest(kvm_fd, &p, e);

	if (r)
		return r;
	*out = p.kernel_works && p.user_works && p.cpuid_honoured ?
		       HOST_RUNS_LINUX : HOST_RUNS_NONE;
	text_printf(tried, "guest kernel %s, guest user %s, CPUID %s",
		    p.kernel_works ? "ok" : "fails",
		    p.user_works ? "ok" : "fails",
		    p.cpuid_honoured ? "ok" : "of the host");
	return 0;
}
