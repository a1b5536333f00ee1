/**
 * petal status: the daemon, its store and its machine at a glance.
 */
import type { Command } from 'commander';
import type { HostFacts } from '../host.ts';
import { formatSize } from '../sizes.ts';
import type { Status } from '../status.ts';
import { Client, ExitStatus } from './client.ts';
import { type GlobalOptions, withGlobals } from './options.ts';
import { type Cell, printFields, printJson, time } from './print.ts';

export function statusCommand(program: Command): void {
  withGlobals(program.command('status'))
    .description('the daemon, its store and its machine')
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const status = await Client.find(options.data).call<Status>('GET', '/status');
      if (options.json) printJson(status);
      else printFields([...daemonFields(status), ...hostFields(status.host)]);
      if (status.alarms.length > 0) process.exitCode = ExitStatus.alarm;
    });
}

function daemonFields(status: Status): [string, Cell][] {
  const { store } = status;
  return [
    ['state', store.failed === null ? status.state : `${status.state}: ${store.failed}`],
    ['version', `${status.version}, process ${status.pid}, since ${time(status.started)}`],
    ['iscsi', status.iscsi.join(', ')],
    ['api', status.api],
    ['installation', status.installation],
    ['data', status.dataDirectory],
    ['store', `${store.path}, ${formatSize(store.size)}`],
    [
      'space',
      [
        `${formatSize(store.used)} used (${formatSize(store.removed)} by removed disks)`,
        `${formatSize(store.reserved)} reserved`,
        `${formatSize(store.free)} free of ${formatSize(store.capacity)}`,
      ].join(', '),
    ],
    [
      'promised',
      `${formatSize(store.provisioned)} to hosts, ${(store.overcommit * 100).toFixed(0)} % of what can be filled`,
    ],
    [
      'power',
      `${status.power.state}, ${formatSize(status.power.dirty)} held back by ` +
        `${status.power.disks} disks with write-back`,
    ],
    ...status.alarms.map(({ message }): [string, Cell] => ['ALARM', message]),
    ['disks', `${status.disks}, ${status.snapshots} snapshots`],
    ['sessions', status.sessions],
  ];
}

function hostFields(host: HostFacts | null): [string, Cell][] {
  if (host === null) return [['machine', 'facts are being collected']];
  const { memory } = host;
  return [
    ['machine', `${host.os.hostname}, ${host.os.name}, Linux ${host.os.kernel}, ${host.os.arch}`],
    ['cpu', `${host.cpu.model}, ${host.cpu.cores} cores`],
    ['memory', `${formatSize(memory.available)} available of ${formatSize(memory.total)}`],
    ...host.disks.map((disk): [string, Cell] => [
      'disk',
      `${disk.device} ${formatSize(disk.size)} ${disk.type} ${disk.model}, SMART ${disk.smart}`,
    ]),
    ...host.fileSystems.map((one): [string, Cell] => [
      'file system',
      `${one.mount} ${one.type} ${formatSize(one.used)} used of ${formatSize(one.size)}`,
    ]),
    ...host.interfaces.map((one): [string, Cell] => [
      'interface',
      `${one.name} ${one.state} ${[one.address4, one.address6].filter((a) => a !== '').join(' ')}`,
    ]),
  ];
}
