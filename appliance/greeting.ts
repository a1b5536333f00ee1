/**
 * What petald says on stdout when it serves: after the first start everything that one needs to use
 * the new disk, to be pasted; later a short reminder.
 */
import { type Address, bindsLoopback, formatAddress, isWildcard } from './addresses.ts';
import { sizeAndKind } from './describe.ts';
import type { DiskView } from './disk-view.ts';
import { formatSize } from './sizes.ts';
import { version } from './version.ts';

export interface Greeting {
  /** Whether the store is served for the first time. */
  readonly first: boolean;
  readonly dataDirectory: string;
  readonly storePath: string;
  readonly storeSize: number;
  readonly iscsi: readonly Address[];
  readonly api: Address;
  readonly disks: readonly DiskView[];
}

/** The last line is what scripts wait for. */
export const readyLine = 'petald is ready';

export function greet(greeting: Greeting): string {
  const [disk] = greeting.disks;
  const [portal] = greeting.iscsi;
  const lines =
    greeting.first && disk && portal ? newStore(greeting, disk, portal) : later(greeting);
  return `${[...lines, readyLine].join('\n')}\n`;
}

function later({ dataDirectory, iscsi, disks }: Greeting): string[] {
  const count = disks.length === 1 ? '1 virtual disk' : `${disks.length} virtual disks`;
  const shown = disks.slice(0, 8).map((disk) => `  ${disk.iqn}  ${sizeAndKind(disk)}`);
  const more = disks.length > shown.length ? [`  … petal disk ls shows all`] : [];
  return [
    `Petal ${version}: ${count} on ${iscsi.map(formatAddress).join(', ')}, data in ${dataDirectory}`,
    ...shown,
    ...more,
  ];
}

function newStore(greeting: Greeting, disk: DiskView, portal: Address): string[] {
  const { dataDirectory, storePath, storeSize, iscsi, api } = greeting;
  return [
    `Petal ${version} made a new store.`,
    '',
    `  data directory  ${dataDirectory}`,
    `  store           ${storePath}, ${formatSize(storeSize)}`,
    `  virtual disk    ${disk.name}, ${sizeAndKind(disk)}`,
    `  target          ${disk.iqn}, LUN ${disk.lun}`,
    `  iSCSI           ${iscsi.map(formatAddress).join(', ')}`,
    `  control API     ${formatAddress(api)} (for petal, the command line)`,
    '',
    ...pasteLines(disk, portal),
  ];
}

/** For each host what connects it; tried or taken from its vendor's documentation. */
function pasteLines(disk: DiskView, portal: Address): string[] {
  const at = isWildcard(portal.host)
    ? { ...portal, host: portal.host === '::' ? '::1' : '127.0.0.1' }
    : portal;
  const address = formatAddress(at);
  const url = `iscsi://${address}/${disk.iqn}/${disk.lun}`;
  return [
    'Linux (open-iscsi), as root:',
    `  iscsiadm -m discovery -t sendtargets -p ${address}`,
    `  iscsiadm -m node -T ${disk.iqn} -p ${address} --login`,
    '',
    'QEMU:',
    `  qemu-img info ${url}`,
    `  qemu-system-x86_64 -drive file=${url},format=raw,if=virtio`,
    '',
    'Windows (PowerShell as administrator):',
    '  Start-Service MSiSCSI',
    `  New-IscsiTargetPortal -TargetPortalAddress ${at.host} -TargetPortalPortNumber ${at.port}`,
    `  Connect-IscsiTarget -NodeAddress ${disk.iqn} -IsPersistent $true`,
    '',
    "VMware ESXi (vmhba64: as 'esxcli iscsi adapter list' names it):",
    '  esxcli iscsi software set --enabled=true',
    `  esxcli iscsi adapter discovery sendtarget add -A vmhba64 -a ${address}`,
    '  esxcli storage core adapter rescan -A vmhba64',
    '',
    ...elsewhere(disk, portal),
  ];
}

function elsewhere(disk: DiskView, portal: Address): string[] {
  const start = bindsLoopback(portal.host)
    ? [`  petald --iscsi ADDRESS:${portal.port || 3260}`]
    : [];
  return [
    'Hosts on this machine see every disk. For others, serve on an address that they reach and let',
    'them in, by the name of their initiator or by their address:',
    ...start,
    `  petal access allow ${disk.name} iqn.1993-08.org.debian:01:abcdef`,
    `  petal access allow ${disk.name} 192.0.2.0/24`,
    '',
  ];
}
