# Windows' offloaded data transfer (ODX), sent by ddpt and ddptctl: POPULATE TOKEN, RECEIVE ROD TOKEN INFORMATION,
# WRITE USING TOKEN, within a disk and between two; the token of zeros; a token that is no longer good.
#   [OD]  Microsoft, "Windows storage offloaded data transfer" (Windows drivers, storage)
#   [OT]  Microsoft, STORAGE_OFFLOAD_TOKEN (winioctl.h): the token of zeros
#   [DD]  ddpt(8), ddptctl(8)     SBC-3 4.28, 5.6, 5.45; SPC-4 6.26, 7.8.17 (VPD page 8Fh)
# The addresses are in docs/guest-tests.md.
# shellcheck shell=bash disable=SC1091
. ./lib.sh
. ./nodes.sh
MIB=2048
second=$(host another odx-second 256MiB)
start_nodes
login_nodes
login_nodes "$second" SECOND_
forget
for path in $PATHS; do
  name=SECOND_$path
  told "${!name}" >/dev/null || fail "unit attentions on $name do not end"
done
read_at() { dd if="$1" bs=1M skip="$2" count="$3" iflag=direct status=none; }
dd if=/dev/urandom of="$BLOCK_A1" bs=1M seek=8 count=32 oflag=direct status=none
wanted=$(read_at "$BLOCK_A1" 8 32 | sha256sum)

say '1. What the disk says of itself [OD; DD; VPD page 8Fh]'
ddptctl --info "$A1" >/out/odx-info 2>&1 || fail "$(cat /out/odx-info)"
grep -q 'Third Party Copy VPD page' /out/odx-info || fail "$(cat /out/odx-info)"
grep -q 'Block Device ROD Token Limits' /out/odx-info || fail "no ROD token limits: $(cat /out/odx-info)"

say '2. A token of two ranges, written elsewhere on the disk by the other path [OD; DD]'
status 0 'POPULATE TOKEN' ddptctl --pt=$((8 * MIB)),$MIB,$((10 * MIB)),$MIB --rtf=/tmp/token "$A1"
is 'the size of the token' "$(stat -c %s /tmp/token)" 512
ddptctl --info --rtf=/tmp/token >/out/odx-token
status 0 'WRITE USING TOKEN' ddptctl --rtf=/tmp/token --wut=$((64 * MIB)),$((2 * MIB)) "$A2"
is 'the first mebibyte' "$(read_at "$BLOCK_B1" 64 1 | sha256sum)" "$(read_at "$BLOCK_B1" 8 1 | sha256sum)"
is 'the second mebibyte' "$(read_at "$BLOCK_B1" 65 1 | sha256sum)" "$(read_at "$BLOCK_B1" 10 1 | sha256sum)"

say '3. Full copies, within a disk and to the other [OD; DD]'
status 0 'within the disk' ddpt --odx if="$A1" bs=512 skip=$((8 * MIB)) count=$((32 * MIB)) of="$A1" seek=$((96 * MIB))
is 'the checksum' "$(read_at "$BLOCK_B2" 96 32 | sha256sum)" "$wanted"
status 0 'to the other disk' ddpt --odx if="$A1" bs=512 skip=$((8 * MIB)) count=$((32 * MIB)) of="$SECOND_A1" seek=$((16 * MIB))
is 'the checksum' "$(read_at "$BLOCK_SECOND_B2" 16 32 | sha256sum)" "$wanted"
status 0 'to the other disk, not waiting' ddpt --odx if="$B1" bs=512 iflag=immed oflag=immed skip=$((8 * MIB)) count=$((32 * MIB)) of="$SECOND_B1" seek=$((64 * MIB))
is 'the checksum' "$(read_at "$BLOCK_SECOND_A2" 64 32 | sha256sum)" "$wanted"

say '4. The token of zeros [OT; SBC-3 4.28]'
status 0 'zero 8 MiB' ddpt if=/dev/null rtype=zero bs=512 count=$((8 * MIB)) of="$A1" seek=$((96 * MIB))
read_at "$BLOCK_B1" 96 8 | cmp -n 8388608 - /dev/zero || fail 'what was zeroed is not zero'

say '5. A token that was tampered with, and one from before a restart, are refused [OD; SPC-4 6.26, sense 23/xx]'
status 0 'POPULATE TOKEN' ddptctl --pt=$((8 * MIB)),$MIB --rtf=/tmp/token "$B1"
{ head -c 300 /tmp/token; printf 'X'; tail -c 211 /tmp/token; } >/tmp/forged
if ddptctl --rtf=/tmp/forged --wut=$((160 * MIB)),$MIB "$A1" >/tmp/status 2>&1; then fail 'a forged token was taken'; fi
host kill
host start
within 90 'all sessions are back' all_sessions_are LOGGED_IN 8
forget
told "$SECOND_A1" >/dev/null
if ddptctl --rtf=/tmp/token --wut=$((160 * MIB)),$MIB "$A1" >/tmp/status 2>&1; then
  is 'a token that outlived the restart has its data' "$(read_at "$BLOCK_B1" 160 1 | sha256sum)" "$(read_at "$BLOCK_B1" 8 1 | sha256sum)"
else
  say "refused: $(tail -n 1 /tmp/status)"
  read_at "$BLOCK_B1" 160 1 | cmp -n 1048576 - /dev/zero || fail 'a refused token wrote'
fi
iscsiadm -m node -T "$TARGET" --logout
iscsiadm -m node -T "$second" --logout
