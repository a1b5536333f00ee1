/**
 * A process of its own that collects facts about this machine through systeminformation and prints
 * them as one line of JSON. Apart from the daemon, because the collection burns hundreds of
 * milliseconds of CPU and runs tools that may hang.
 */
import { setPriority } from 'node:os';
import si from 'systeminformation';
import type { HostFacts } from './host.ts';

async function collect(): Promise<HostFacts> {
  const [os, cpu, memory, disks, fileSystems, interfaces] = await Promise.all([
    si.osInfo(),
    si.cpu(),
    si.mem(),
    si.diskLayout(),
    si.fsSize(),
    si.networkInterfaces(),
  ]);
  return {
    collected: new Date().toISOString(),
    os: {
      name: [os.distro, os.release].filter((part) => part !== '').join(' '),
      kernel: os.kernel,
      arch: os.arch,
      hostname: os.hostname,
    },
    cpu: { model: [cpu.manufacturer, cpu.brand].join(' ').trim(), cores: cpu.cores },
    memory: { total: memory.total, available: memory.available },
    disks: disks.map((disk) => ({
      device: disk.device,
      model: disk.name,
      type: disk.type,
      size: disk.size,
      smart: disk.smartStatus,
    })),
    fileSystems: fileSystems.map((one) => ({
      mount: one.mount,
      type: one.type,
      size: one.size,
      used: one.used,
    })),
    interfaces: [interfaces].flat().map((one) => ({
      name: one.iface,
      state: one.operstate,
      address4: one.ip4,
      address6: one.ip6,
      mac: one.mac,
      mtu: one.mtu ?? 0,
      speedMbps: one.speed ?? 0,
    })),
  };
}

// Whatever the daemon does comes first.
setPriority(10);
process.stdout.write(`${JSON.stringify(await collect())}\n`);
