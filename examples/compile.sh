# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# The job of `make run`, given to sh -c inside the microVM: compiles the C
# program on stdin and runs it with its own source as input. What the compiler
# says goes to fd 3, the result stream, so that it cannot be mistaken for what
# the program says.
set -eu

cat >main.c
echo "gcc $(gcc -dumpfullversion) takes $(wc -l <main.c) lines" >&3
gcc -O2 -Wall -Wextra -o main main.c 2>&3
echo "compiled to $(wc -c <main) bytes" >&3
exec ./main <main.c
