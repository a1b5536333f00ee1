# ESXi clones from one disk to another of the same appliance (Storage vMotion, "Full Copy"): EXTENDED COPY that
# names both by their NAA designators. Two hosts, two portals, two disks, each a target of its own.
#   [WN]  wahlnetwork.com, "The Many Names and Aliases of VAAI Primitives": Clone, 83h
#   [VA]  VMware, "vSphere APIs: Array Integration (VAAI)": Full Copy     SPC-4 6.4, 6.4.5.1 (CSCD descriptor E4h)
# That a copy reaches no disk which its initiator may not use is in the tests of target/ (CVE-2020-28374).
# The addresses are in docs/guest-tests.md.
# shellcheck shell=bash disable=SC1091
. ./lib.sh
. ./nodes.sh
MIB=2048
second=$(host another clone-second 256MiB)
start_nodes
login_nodes
login_nodes "$second" SECOND_
forget
for path in $PATHS; do
  name=SECOND_$path
  told "${!name}" >/dev/null || fail "unit attentions on $name do not end"
done
read_at() { dd if="$1" bs=1M skip="$2" count="$3" iflag=direct status=none; }
dd if=/dev/urandom of="$BLOCK_A1" bs=1M seek=8 count=48 oflag=direct status=none
wanted=$(read_at "$BLOCK_A1" 8 48 | sha256sum)

say 'Clone from the first disk to the second, sent to the second [WN; VA]'
status 0 'copy 48 MiB' sg_xcopy if="$A1" of="$SECOND_A1" bs=512 bpt=8192 skip=$((8 * MIB)) seek=$((16 * MIB)) count=$((48 * MIB))
is 'the checksum, read by the other host' "$(read_at "$BLOCK_SECOND_B2" 16 48 | sha256sum)" "$wanted"
say 'and back, sent to the source'
status 0 'copy 48 MiB' sg_xcopy --on_src if="$SECOND_B1" of="$B1" bs=512 bpt=8192 skip=$((16 * MIB)) seek=$((128 * MIB)) count=$((48 * MIB))
is 'the checksum, read by the other host' "$(read_at "$BLOCK_A2" 128 48 | sha256sum)" "$wanted"

iscsiadm -m node -T "$TARGET" --logout
iscsiadm -m node -T "$second" --logout
