#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
usage() {
  cat <<'EOT'
Usage: tests/run-avx512-emulated.sh [OPTION…] [TEST…]

Runs tests on an emulated CPU with AVX-512 and VNNI (Bochs, Ice Lake), for
machines without: those named, or else the kernels' (but that of OpenBLAS).
A Debian kernel boots from a CD image that holds nothing but the test programs
of this machine's build and the libraries that they are linked with. Takes
minutes.

  --no-install     install nothing and download nothing
  --keep FOLDER    work in FOLDER and leave the image and logs there
  --timeout S      give up after S seconds (1800)
  --help           this text

Exit status: 0 all passed, 77 cannot run here (it says why), else failed.

Environment:
  BUILD_DIR        where to build (build-tests)
EOT
}

set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit 1
folder=${BUILD_DIR:-$top/build-tests}/plain
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/gst-sae
install=yes
keep=no
work=
timeout=1800
tests=(kernels-products kernels-elementwise kernels-levels kernels-screening)
packages=(bochs bochs-term xorriso isolinux syslinux-common cpio)
isolinux=/usr/lib/ISOLINUX/isolinux.bin
ldlinux=/usr/lib/syslinux/modules/bios/ldlinux.c32
# Linux 6.1 on Bochs 2.7: the size that CPUID gives for XSAVES' format is that
# of the other one, and the place of the protection keys in it is wrong, upon
# either of which Linux switches AVX off; and without fast strings (ERMS) its
# memmove() must not believe in fast short ones (FSRM).
kernel_options='console=ttyS0,115200 quiet nokaslr mitigations=off panic=-1
  clearcpuid=xsaves,xsavec,pku,ospke,fsrm'

skip() {
  echo "Not run: $*"
  exit 77
}

while [ $# -gt 0 ]; do
  case $1 in
    --no-install) install=no ;;
    --keep)
      keep=yes
      work=$2
      shift
      ;;
    --timeout)
      timeout=$2
      shift
      ;;
    --help)
      usage
      exit 0
      ;;
    -*)
      usage >&2
      exit 2
      ;;
    *) break ;;
  esac
  shift
done
if [ $# -gt 0 ]; then
  tests=("$@")
fi

# Debian's smallest kernel, unpacked and not installed.
fetch_kernel() { # fetch_kernel FILE
  local name folder=$1.new
  name=$(apt-cache depends linux-image-cloud-amd64 |
    sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  rm -rf "$folder"
  mkdir -p "$folder"
  echo "Downloading ${name:-linux-image-cloud-amd64} (27 MB)"
  (cd "$folder" &&
    apt-get -q -o APT::Sandbox::User=root download "$name" &&
    dpkg-deb -x "$name"_*.deb . && mv boot/vmlinuz-* "$1") > "$1.log" 2>&1
  local status=$?
  rm -rf "$folder"
  [ $status -eq 0 ] || tail -n 5 "$1.log"
  return $status
}

copy_with_libraries() { # copy_with_libraries ROOT PROGRAM…
  local root=$1
  shift
  ldd "$@" | sed -n 's/.*\(=> \|\t\)\(\/[^ ]*\) (0x.*/\2/p' | sort -u |
    xargs cp -L --parents -t "$root"
}

make_image() { # make_image WORK-FOLDER KERNEL
  local root=$1/root cd=$1/cd
  rm -rf "$root" "$cd"
  mkdir -p "$root"/{bin,dev,proc,tmp,tests} "$cd/isolinux"
  for name in "${tests[@]}"; do
    cp "$folder/tests/${name%%-*}/test-$name" "$root/tests/" || return 1
  done
  copy_with_libraries "$root" "$root"/tests/* /bin/sh /bin/mount /bin/grep
  cp -L /bin/sh /bin/mount /bin/grep "$root/bin/"
  cp -r tests/goldens "$root/goldens"
  cp tests/cross/avx512-init "$root/init"
  cp "$isolinux" "$ldlinux" "$cd/isolinux/"
  cp "$2" "$cd/vmlinuz"
  (cd "$root" && find . | cpio --quiet -o -H newc) > "$cd/initrd"
  printf 'DEFAULT tests\nLABEL tests\n  KERNEL /vmlinuz\n  INITRD /initrd\n' \
    > "$cd/isolinux/isolinux.cfg"
  echo "  APPEND" $kernel_options >> "$cd/isolinux/isolinux.cfg"
  xorriso -as mkisofs -quiet -o "$1/cd.iso" -b isolinux/isolinux.bin \
    -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table \
    "$cd" 2> "$1/xorriso.txt"
}

# Its debugger asks for a command first, and its display wants a terminal, whose
# end it outlives.
run_bochs() { # run_bochs WORK-FOLDER
  (
    cd "$1" || exit 1
    rm -f serial.txt
    echo c > commands
    TERM=vt100 BXSHARE=/usr/share/bochs timeout "$timeout" script -qec \
      "echo \$\$ > pid; exec bochs -q -f '$top/tests/cross/avx512.bochsrc' \
        -rc commands" /dev/null < /dev/null > screen.txt 2>&1
  )
}

clean_up() {
  [ -e "$work/pid" ] && kill -KILL "$(cat "$work/pid")" 2> /dev/null
  [ "$keep" = yes ] || rm -rf "$work"
}

if [ "$(uname -m)" != x86_64 ]; then
  skip 'needs test programs of x86-64'
fi
if [ "$install" = yes ]; then
  bash tests/install-packages.sh "${packages[@]}" ||
    skip "cannot install ${packages[*]}"
fi
for tool in bochs xorriso cpio script; do
  command -v "$tool" > /dev/null || skip "$tool is not here"
done
for file in "$isolinux" "$ldlinux"; do
  [ -e "$file" ] || skip "$file is not here"
done
kernel=$cache/vmlinuz-cloud
mkdir -p "$cache"
if [ ! -e "$kernel" ]; then
  [ "$install" = yes ] || skip "no kernel in $kernel"
  fetch_kernel "$kernel" || skip 'cannot download a kernel'
fi

log=$folder.log
mkdir -p "$(dirname "$folder")"
if { [ ! -e "$folder/build.ninja" ] && ! meson setup "$folder" > "$log" 2>&1; } ||
  ! meson compile -C "$folder" "${tests[@]/#/test-}" > "$log" 2>&1; then
  tail -n 60 "$log"
  exit 1
fi

[ "$keep" = yes ] || work=$(mktemp -d)
mkdir -p "$work"
trap clean_up EXIT
if ! make_image "$work" "$kernel"; then
  echo 'The image was not made'
  exit 1
fi
echo "Running ${tests[*]}"
SECONDS=0
run_bochs "$work"
if [ $? -eq 124 ]; then
  echo "Gave up after $timeout s"
else
  rm -f "$work/pid"
fi
touch "$work/serial.txt"
tr -d '\r' < "$work/serial.txt" | sed -n '/^== run/,$p'
printf '%d s\n' "$SECONDS"

failed=0
check() { # check WHAT PATTERN
  grep -q "$2" <(tr -d '\r' < "$work/serial.txt") && return
  echo "failed: $1"
  failed=1
}
check 'the emulated machine ended' '^== end$'
check 'its CPU has AVX-512' '^== flags.* avx512vl.* avx512_vnni'
for name in "${tests[@]}"; do
  check "$name" "^== status 0 test-$name$"
  [ "$name" = kernels-levels ] &&
    check 'the level avx512 was run' 'this CPU runs avx512$'
done
exit $failed
