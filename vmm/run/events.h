/* SPDX-License-Identifier: MIT */
/*
 * What the set-up wires into devices, vCPUs and the loop: each is called with
 * its struct run (or port_watch) as `opaque`, and events.c decides.
 */
#ifndef HUSK_RUN_EVENTS_H
#define HUSK_RUN_EVENTS_H

#include "run/run.h"

/* Callbacks of devices and vCPUs, in a vCPU's thread or ours. */
void run_on_changed(void *opaque);
void run_on_stream(void *opaque, struct stream *s, enum stream_event ev);
void run_on_control(void *opaque);
void run_on_disk_failed(void *opaque);
void run_on_served(void *opaque);
void run_on_vcpu_end(void *opaque, enum vcpu_end end, const char *text);
void run_on_console(void *opaque, const char *buf, size_t len);

/* The loop's callbacks, loop thread. */
void run_step(void *opaque);
short run_port_wants(void *opaque);
void run_port_ready(void *opaque, short revents);
short run_signal_wants(void *opaque);
void run_signal_ready(void *opaque, short revents);

#endif
