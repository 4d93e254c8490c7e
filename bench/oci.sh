# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What adaptors of OCI runtimes share: oci_bundle CMD... makes a bundle for the
# command, once, and prints its folder. The same walls as the other sandboxes:
# all namespaces, an ordinary user, no capabilities, a root that is only read.

json_list() {
	local word out=
	for word; do
		word=${word//\\/\\\\}
		word=${word//\"/\\\"}
		out+=${out:+, }\"${word//$'\n'/\\n}\"
	done
	printf '[%s]' "$out"
}

oci_bundle() {
	local args bundle
	args=$(json_list "$@")
	bundle=$BENCH_STATE/bundle-$(cksum <<<"$args" | tr ' ' -)
	mkdir -p "$bundle"
	cat >"$bundle/config.json" <<-END
	{"ociVersion": "1.0.2",
	 "process": {"user": {"uid": 65534, "gid": 65534}, "cwd": "/",
	  "args": $args, "noNewPrivileges": true,
	  "env": ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp"]},
	 "root": {"path": "$BENCH_ROOT", "readonly": true}, "hostname": "bench",
	 "mounts": [
	  {"destination": "/proc", "type": "proc", "source": "proc"},
	  {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
	   "options": ["nosuid", "mode=755", "size=64k"]},
	  {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
	   "options": ["nosuid", "nodev", "mode=1777"]}],
	 "linux": {"namespaces": [{"type": "pid"}, {"type": "network"},
	  {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
	  {"type": "cgroup"}]}}
	END
	echo "$bundle"
}
