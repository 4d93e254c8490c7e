// SPDX-License-Identifier: MIT
/*
 * Shows that the lab's /dev/kvm is what husk expects of a KVM host, with real
 * mode guests of a few instructions: probe vm|smp|ioeventfd|irqfd|msi-smp|once
 * Status 0 and no output when it works, 1 and one line when it does not.
 * `probe forkexec` prints the median nanoseconds of 31 fork + exec + wait of
 * itself, to see whether a clock repeats.
 *
 * Knows nothing of husk, so that a failure here is the lab's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEM_SIZE   0x10000u
#define CODE	   0x1000u /* CODE + 0x100 * vCPU is where each starts */
#define HANDLER	   0x2000u
#define VECTOR	   0x21
#define APIC_SVR   0xf0
#define PORT_DONE  0x10
#define PORT_READY 0x11
#define PORT_EVENT 0x20
#define GSI	   5u

struct vm {
	int kvm;
	int fd;
	unsigned char *mem;
};

struct vcpu {
	int fd;
	struct kvm_run *run;
	int port; /* of the last out, -1 if it ended otherwise */
	int value;
};

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void __attribute__((noreturn)) wrong(const char *what, int got)
{
	fprintf(stderr, "probe: %s: %d\n", what, got);
	exit(1);
}

static int call(const char *what, int fd, unsigned long request, void *arg)
{
	int rc = ioctl(fd, request, arg);

	if (rc < 0)
		fail(what);
	return rc;
}

static struct vm vm_make(bool irqchip)
{
	struct kvm_userspace_memory_region slot = { .memory_size = MEM_SIZE };
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP,
				      .args = { 24 } };
	struct vm vm = { .kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC) };

	if (vm.kvm < 0)
		fail("open '/dev/kvm'");
	vm.fd = call("KVM_CREATE_VM", vm.kvm, KVM_CREATE_VM, NULL);
	vm.mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (vm.mem == MAP_FAILED)
		fail("mmap");
	slot.userspace_addr = (__u64)(unsigned long)vm.mem;
	call("KVM_SET_USER_MEMORY_REGION", vm.fd, KVM_SET_USER_MEMORY_REGION,
	     &slot);
	if (irqchip)
		call("KVM_CAP_SPLIT_IRQCHIP", vm.fd, KVM_ENABLE_CAP, &cap);
	return vm;
}

static struct vcpu vcpu_make(const struct vm *vm, unsigned int id,
			     const void *code, size_t len)
{
	struct kvm_regs regs = { .rip = CODE + 0x100 * id,
				 .rflags = 2,
				 .rsp = 0x8000 + 0x100 * id };
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	int size = call("KVM_GET_VCPU_MMAP_SIZE", vm->kvm,
			KVM_GET_VCPU_MMAP_SIZE, NULL);
	struct kvm_sregs sregs;
	struct vcpu v = { .port = -1 };

	memcpy(vm->mem + regs.rip, code, len);
	v.fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
	if (v.fd < 0)
		fail("KVM_CREATE_VCPU");
	v.run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED,
		     v.fd, 0);
	if (v.run == MAP_FAILED)
		fail("mmap kvm_run");
	call("KVM_GET_SREGS", v.fd, KVM_GET_SREGS, &sregs);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	call("KVM_SET_SREGS", v.fd, KVM_SET_SREGS, &sregs);
	call("KVM_SET_REGS", v.fd, KVM_SET_REGS, &regs);
	if (id)
		call("KVM_SET_MP_STATE", v.fd, KVM_SET_MP_STATE, &mp);
	return v;
}

/* Runs to the next exit and keeps the port of an out and its byte. */
static void vcpu_run(struct vcpu *v)
{
	v->port = -1;
	call("KVM_RUN", v->fd, KVM_RUN, NULL);
	if (v->run->exit_reason != KVM_EXIT_IO)
		return;
	v->port = v->run->io.port;
	v->value = *((unsigned char *)v->run + v->run->io.data_offset);
}

static void vcpu_expect(struct vcpu *v, int port, int value)
{
	vcpu_run(v);
	if (v->port < 0)
		wrong("expected an out, got exit", (int)v->run->exit_reason);
	if (v->port != port || v->value != value)
		wrong("an out went elsewhere", v->port);
}

/* mov al, 'A'; out 0x10, al; hlt */
static const unsigned char code_out[] = { 0xb0, 'A', 0xe6, PORT_DONE, 0xf4 };

static void probe_vm(void)
{
	struct vm vm = vm_make(false);
	struct vcpu v = vcpu_make(&vm, 0, code_out, sizeof(code_out));

	vcpu_expect(&v, PORT_DONE, 'A');
	vcpu_run(&v);
	if (v.run->exit_reason != KVM_EXIT_HLT)
		wrong("expected hlt, got exit", (int)v.run->exit_reason);
}

/*
 * Each tells the other through memory and waits for it, so this ends only
 * when both make progress at once:
 *	mov byte [0x3000 + id], 1; wait: cmp byte [0x3001 - id], 1; jne wait;
 *	mov al, 'A'; out 0x10, al
 */
static const unsigned char code_meet[] = { 0xc6,      0x06, 0x00, 0x30, 0x01,
					   0x80,      0x3e, 0x01, 0x30, 0x01,
					   0x75,      0xf9, 0xb0, 'A',	0xe6,
					   PORT_DONE, 0xf4 };

static void *meet_run(void *arg)
{
	vcpu_expect(arg, PORT_DONE, 'A');
	return NULL;
}

static void probe_smp(void)
{
	struct vm vm = vm_make(true);
	unsigned char other[sizeof(code_meet)];
	struct vcpu v[2];
	pthread_t thread;

	memcpy(other, code_meet, sizeof(other));
	other[2] = 1;
	other[7] = 0;
	v[0] = vcpu_make(&vm, 0, code_meet, sizeof(code_meet));
	v[1] = vcpu_make(&vm, 1, other, sizeof(other));
	if (pthread_create(&thread, NULL, meet_run, &v[1]))
		fail("pthread_create");
	meet_run(&v[0]);
	pthread_join(thread, NULL);
}

/* mov al, 'E'; out 0x20, al; mov al, 'A'; out 0x10, al */
static const unsigned char code_event[] = { 0xb0,	'E',	   0xe6,
					    PORT_EVENT, 0xb0,	   'A',
					    0xe6,	PORT_DONE, 0xf4 };

static void probe_ioeventfd(void)
{
	struct vm vm = vm_make(false);
	struct vcpu v = vcpu_make(&vm, 0, code_event, sizeof(code_event));
	struct kvm_ioeventfd io = { .addr = PORT_EVENT,
				    .len = 1,
				    .flags = KVM_IOEVENTFD_FLAG_PIO };
	eventfd_t count = 0;

	io.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	call("KVM_IOEVENTFD", vm.fd, KVM_IOEVENTFD, &io);
	vcpu_expect(&v, PORT_DONE, 'A');
	if (eventfd_read(io.fd, &count) < 0 || count != 1)
		wrong("the ioeventfd was not signalled, count", (int)count);
}

/* sti; mov al, 'R'; out 0x11, al; wait: hlt; jmp wait */
static const unsigned char code_wait[] = { 0xfb,       0xb0, 'R',  0xe6,
					   PORT_READY, 0xf4, 0xeb, 0xfd };

static void apic_enable(struct vcpu *v)
{
	struct kvm_lapic_state apic;
	__u32 svr = 0x1ff;

	call("KVM_GET_LAPIC", v->fd, KVM_GET_LAPIC, &apic);
	memcpy(apic.regs + APIC_SVR, &svr, sizeof(svr));
	call("KVM_SET_LAPIC", v->fd, KVM_SET_LAPIC, &apic);
}

/* An eventfd becomes a message to the APIC of vCPU `target`. */
static int irqfd_route(const struct vm *vm, unsigned int target)
{
	struct kvm_irq_routing *r =
		calloc(1, sizeof(*r) + sizeof(r->entries[0]));
	struct kvm_irqfd irq = { .gsi = GSI };
	int fd = eventfd(0, EFD_CLOEXEC);

	if (!r)
		fail("calloc");
	r->nr = 1;
	r->entries[0].gsi = GSI;
	r->entries[0].type = KVM_IRQ_ROUTING_MSI;
	r->entries[0].u.msi.address_lo = 0xfee00000u | target << 12;
	r->entries[0].u.msi.data = VECTOR;
	call("KVM_SET_GSI_ROUTING", vm->fd, KVM_SET_GSI_ROUTING, r);
	free(r);
	irq.fd = (__u32)fd;
	call("KVM_IRQFD", vm->fd, KVM_IRQFD, &irq);
	return fd;
}

static void handler_install(const struct vm *vm, const void *code, size_t len)
{
	const unsigned short entry[2] = { HANDLER, 0 };

	memcpy(vm->mem + VECTOR * 4, entry, sizeof(entry));
	memcpy(vm->mem + HANDLER, code, len);
}

static void probe_irqfd(void)
{
	struct vm vm = vm_make(true);
	struct vcpu v = vcpu_make(&vm, 0, code_wait, sizeof(code_wait));
	int fd;

	handler_install(&vm, code_out, sizeof(code_out));
	apic_enable(&v);
	fd = irqfd_route(&vm, 0);
	vcpu_expect(&v, PORT_READY, 'R');
	if (eventfd_write(fd, 1) < 0)
		fail("write the irqfd");
	vcpu_expect(&v, PORT_DONE, 'A');
}

/* The interrupt has to wake a second vCPU that sleeps in KVM_RUN. */
static void probe_msi_smp(void)
{
	struct vm vm = vm_make(true);
	struct vcpu v[2];
	pthread_t thread;
	int fd;

	handler_install(&vm, code_out, sizeof(code_out));
	v[0] = vcpu_make(&vm, 0, code_wait, sizeof(code_wait));
	v[1] = vcpu_make(&vm, 1, code_wait, sizeof(code_wait));
	apic_enable(&v[1]);
	fd = irqfd_route(&vm, 1);
	vcpu_expect(&v[1], PORT_READY, 'R');
	if (pthread_create(&thread, NULL, meet_run, &v[1]))
		fail("pthread_create");
	if (eventfd_write(fd, 1) < 0)
		fail("write the irqfd");
	pthread_join(thread, NULL);
}

/* int VECTOR; and on as code_wait */
static const unsigned char code_int[] = { 0xcd, VECTOR,	    0xfb, 0xb0, 'R',
					  0xe6, PORT_READY, 0xf4, 0xeb, 0xfd };

/*
 * Counts how often it was entered, then computes without an exit for longer
 * than a tick of the host, interrupts off, and tells the count:
 *	inc byte [0x3000]; mov ecx, 5000000; again: dec ecx; jnz again;
 *	mov al, [0x3000]; out 0x10, al; iret
 */
static const unsigned char code_count[] = { 0xfe, 0x06, 0x00, 0x30,	 0x66,
					    0xb9, 0x40, 0x4b, 0x4c,	 0x00,
					    0x66, 0x49, 0x75, 0xfc,	 0xa0,
					    0x00, 0x30, 0xe6, PORT_DONE, 0xcf };

/*
 * One message is one interrupt, also if the host's timer fires after it and
 * before anything else makes the guest exit: it has touched all its pages.
 */
static void probe_once(void)
{
	struct vm vm = vm_make(true);
	struct vcpu v = vcpu_make(&vm, 0, code_int, sizeof(code_int));
	int fd;

	handler_install(&vm, code_count, sizeof(code_count));
	apic_enable(&v);
	fd = irqfd_route(&vm, 0);
	vcpu_expect(&v, PORT_DONE, 1);
	vcpu_expect(&v, PORT_READY, 'R');
	if (eventfd_write(fd, 1) < 0)
		fail("write the irqfd");
	vcpu_run(&v);
	if (v.port != PORT_DONE)
		wrong("expected an out, got exit", (int)v.run->exit_reason);
	if (v.value != 2)
		wrong("more than one interrupt came of one", v.value - 1);
}

#define ROUNDS 31

static long ns_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int long_compare(const void *a, const void *b)
{
	const long *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void probe_forkexec(void)
{
	long ns[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		long start = ns_now();
		pid_t pid = fork();

		if (!pid) {
			execl("/proc/self/exe", "probe", "nothing", NULL);
			_exit(1);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			fail("fork");
		ns[i] = ns_now() - start;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), long_compare);
	printf("%ld\n", ns[ROUNDS / 2]);
}

static void probe_nothing(void)
{
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} probes[] = { { "vm", probe_vm },
		       { "smp", probe_smp },
		       { "ioeventfd", probe_ioeventfd },
		       { "irqfd", probe_irqfd },
		       { "msi-smp", probe_msi_smp },
		       { "once", probe_once },
		       { "forkexec", probe_forkexec },
		       { "nothing", probe_nothing } };

	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		if (argc != 2 || strcmp(argv[1], probes[i].name))
			continue;
		probes[i].run();
		return 0;
	}
	fputs("usage: probe vm|smp|ioeventfd|irqfd|msi-smp|once|forkexec\n",
	      stderr);
	return 125;
}
