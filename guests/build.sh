#!/bin/sh
# Builds our guest: guests/build.sh [OUTPUT]. The same gcc and binutils give the same bytes wherever this is run:
# no paths, times, build id or compiler identification get into the image.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/image/dbt-guest.elf}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-m32 -std=gnu11 -ffreestanding -nostdlib -static -fno-pic -fno-pie -O2 -march=i686 -mno-sse -mno-mmx
 -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables -fcf-protection=none -fno-ident
 -fno-tree-loop-distribute-patterns -fno-omit-frame-pointer -fno-strict-aliasing -fno-common
 -Wall -Wextra -Wno-unused-parameter -Werror -ffile-prefix-map=$here=. -Isrc"
link="-m elf_i386 -static --build-id=none -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments"
cd "$here"
export LC_ALL=C
object() { echo "$work/$(echo "${1%.*}" | tr / -).o"; }
compile() { gcc $flags -Wa,-I"$work" -c "$1" -o "$(object "$1")"; }

# The ring-3 program is linked at its own address and goes into the kernel as data.
compile user/program.c
ld $link -Ttext=0x08048000 -e program -o "$work/user.elf" "$(object user/program.c)"
objcopy -O binary "$work/user.elf" "$work/user.bin"

objects=
for file in src/start.S src/*.c selftest/*.c; do
    compile "$file"
    objects="$objects $(object "$file")"
done
mkdir -p "$(dirname "$out")"
ld $link -T kernel.ld -o "$work/kernel.elf" $objects
strip --strip-debug "$work/kernel.elf"
cp "$work/kernel.elf" "$out"
chmod 644 "$out"
(cd "$(dirname "$out")" && sha256sum "$(basename "$out")" > "$(basename "$out").sha256")
