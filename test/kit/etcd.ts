/**
 * Real etcd clusters of three on loopback with mutual TLS, of a Debian release's own binary: members
 * can be killed, frozen, started again and cut off from one another; so can a client from them.
 *
 * Members find one another through a proxy in front of each. Which member a connection comes from
 * is looked up in /proc, so that one can be cut off in both directions without root.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { realClock } from '#storage/base/clock.ts';
import { silentLog } from '#storage/base/log.ts';
import { realRandom } from '#storage/base/random.ts';
import { type EtcdOptions, formatEtcd } from '#storage/cluster/etcd.ts';
import { type Certificates, makeCertificates } from './certificates.ts';
import { until } from './process.ts';
import { TcpProxy } from './tcp-proxy.ts';
import { freePort, makeDirectory, removeDirectory } from './temp.ts';

const run = promisify(execFile);

/** Debian's releases whose etcd we run against: 3.4 and 3.5. test/tools/etcd puts them there. */
export type Release = 'bookworm' | 'trixie';

export function program(release: Release, name: 'etcd' | 'etcdctl'): string {
  const caches = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const cache = process.env.PETAL_ETCD_CACHE ?? join(caches, 'petal-etcd');
  return join(cache, release, 'usr/bin', name);
}

export const clusterId = '00112233445566778899aabbccddeeff';
const memberCount = 3;
/** Of heartbeats and elections: short, but not for a machine that does other things as well. */
const heartbeatMs = 200;
const electionMs = 2000;
const startMs = 60_000;

class Member {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly peers: TcpProxy;
  readonly clients: TcpProxy;
  /** Where the others, and where clients, find it. */
  peerProxyPort = 0;
  clientProxyPort = 0;
  process: ChildProcess | null = null;

  constructor(
    name: string,
    clientPort: number,
    peerPort: number,
    whoIs: (port: number) => Promise<string>,
  ) {
    this.name = name;
    this.clientPort = clientPort;
    this.peerPort = peerPort;
    this.peers = new TcpProxy(peerPort, whoIs);
    this.clients = new TcpProxy(clientPort);
  }
}

export class EtcdCluster {
  readonly release: Release;
  readonly directory: string;
  readonly certificates: Certificates;
  readonly members: readonly Member[];
  #generation = 0;

  private constructor(
    release: Release,
    directory: string,
    certificates: Certificates,
    members: readonly Member[],
  ) {
    this.release = release;
    this.directory = directory;
    this.certificates = certificates;
    this.members = members;
  }

  static async start(release: Release): Promise<EtcdCluster> {
    const directory = await makeDirectory('petal-etcd-');
    const members: Member[] = [];
    const whoIs = (port: number): Promise<string> => ownerOf(port, members);
    for (let index = 0; index < memberCount; index += 1) {
      const member = new Member(`m${index}`, await freePort(), await freePort(), whoIs);
      member.peerProxyPort = await member.peers.listen();
      member.clientProxyPort = await member.clients.listen();
      members.push(member);
    }
    const certificates = await makeCertificates(directory);
    const cluster = new EtcdCluster(release, directory, certificates, members);
    for (const member of members) cluster.startMember(member);
    await cluster.healthy();
    return cluster;
  }

  /** How a client under `name` reaches it: through the proxies in front of the members. */
  options(prefix: string, name = 'one'): EtcdOptions {
    const { ca, cert, key } = this.certificates;
    return {
      endpoints: this.members.map(({ clientProxyPort }) => `https://127.0.0.1:${clientProxyPort}`),
      tls: { ca, cert, key },
      prefix,
      client: name,
      clock: realClock,
      random: realRandom,
      log: silentLog,
      atLeast: null,
      failed: () => {},
    };
  }

  /** The same with an empty Directory below `prefix`. */
  async formatted(prefix: string, name = 'one'): Promise<EtcdOptions> {
    const options = this.options(prefix, name);
    await formatEtcd(options, clusterId);
    return options;
  }

  startMember(member: Member): void {
    const log = openSync(join(this.directory, `${member.name}.log`), 'a');
    // A test that is killed leaves no member behind.
    const last = ['--pdeathsig', 'KILL', program(this.release, 'etcd')];
    const child = spawn('setpriv', [...last, ...this.#flags(member)], {
      stdio: ['ignore', log, log],
      env: { PATH: process.env.PATH ?? '', GOMAXPROCS: '2' },
    });
    child.once('exit', () => {
      if (member.process === child) member.process = null;
    });
    member.process = child;
  }

  /** SIGKILL, and gone. */
  async kill(member: Member): Promise<void> {
    const child = member.process;
    if (child === null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  freeze(member: Member): void {
    member.process?.kill('SIGSTOP');
  }

  thaw(member: Member): void {
    member.process?.kill('SIGCONT');
  }

  /** From the other members, in both directions; clients still reach it. */
  isolate(member: Member): void {
    for (const to of this.members) {
      to.peers.cut((from) => (to === member) !== (from === member.name));
    }
  }

  heal(): void {
    for (const { peers } of this.members) peers.cut(() => false);
  }

  /** A majority takes writes. */
  async healthy(members: readonly Member[] = this.members): Promise<void> {
    await until('a healthy etcd cluster', startMs, async () => {
      for (const { name, process } of members) {
        if (process === null)
          throw new Error(`${name} of etcd has ended:\n${await this.log(name)}`);
      }
      try {
        for (const member of members) await this.ctl(['endpoint', 'health'], member);
        return true;
      } catch {
        return false;
      }
    });
  }

  async leader(among: readonly Member[] = this.members): Promise<Member> {
    let leader: Member | undefined;
    await until('a leader', startMs, async () => {
      for (const member of among) {
        try {
          const text = await this.ctl(['endpoint', 'status', '-w', 'json'], member);
          const [{ Status }] = JSON.parse(text);
          if (Status.leader === Status.header.member_id) leader = member;
        } catch {
          // Not now.
        }
      }
      return leader !== undefined;
    });
    return leader!;
  }

  /** What etcdctl prints, asked of one member directly. */
  async ctl(command: readonly string[], member: Member = this.members[0]!): Promise<string> {
    const { caFile, certFile, keyFile } = this.certificates;
    const endpoint = `--endpoints=https://127.0.0.1:${member.clientPort}`;
    const files = [`--cacert=${caFile}`, `--cert=${certFile}`, `--key=${keyFile}`];
    const flags = [endpoint, ...files, '--command-timeout=3s', '--dial-timeout=3s'];
    const environment = { ...process.env, ETCDCTL_API: '3' };
    const { stdout } = await run(program(this.release, 'etcdctl'), [...flags, ...command], {
      env: environment,
    });
    return stdout;
  }

  /** Everything forgotten but what is there now. */
  async compact(): Promise<void> {
    const [{ Status }] = JSON.parse(await this.ctl(['endpoint', 'status', '-w', 'json']));
    await this.ctl(['compact', `${Status.header.revision}`]);
  }

  /** All stopped, their data replaced by the backup in `file`, started again. */
  async restore(file: string): Promise<void> {
    for (const member of this.members) await this.kill(member);
    this.#generation += 1;
    for (const member of this.members) {
      await run(
        program(this.release, 'etcdctl'),
        ['snapshot', 'restore', file, ...this.#identity(member), '--data-dir', this.#data(member)],
        { env: { ...process.env, ETCDCTL_API: '3' } },
      );
    }
    for (const member of this.members) this.startMember(member);
    await this.healthy();
  }

  async stop(): Promise<void> {
    for (const member of this.members) {
      this.thaw(member);
      await this.kill(member);
      member.peers.close();
      member.clients.close();
    }
    await removeDirectory(this.directory);
  }

  log(name: string): Promise<string> {
    return readFile(join(this.directory, `${name}.log`), 'utf8').then((text) => text.slice(-4000));
  }

  #data(member: Member): string {
    return join(this.directory, `${member.name}.${this.#generation}`);
  }

  #identity(member: Member): string[] {
    const address = ({ peerProxyPort }: Member): string => `https://127.0.0.1:${peerProxyPort}`;
    const all = this.members.map((one) => `${one.name}=${address(one)}`).join(',');
    return [
      ...['--name', member.name],
      ...['--initial-cluster', all],
      ...['--initial-advertise-peer-urls', address(member)],
    ];
  }

  #flags(member: Member): string[] {
    const { caFile, certFile, keyFile } = this.certificates;
    const listen = `https://127.0.0.1:${member.clientPort}`;
    return [
      ...this.#identity(member),
      ...['--data-dir', this.#data(member)],
      ...['--listen-client-urls', listen, '--advertise-client-urls', listen],
      ...['--listen-peer-urls', `https://127.0.0.1:${member.peerPort}`],
      ...['--client-cert-auth', '--trusted-ca-file', caFile],
      ...['--cert-file', certFile, '--key-file', keyFile],
      ...['--peer-client-cert-auth', '--peer-trusted-ca-file', caFile],
      ...['--peer-cert-file', certFile, '--peer-key-file', keyFile],
      ...['--heartbeat-interval', `${heartbeatMs}`, '--election-timeout', `${electionMs}`],
      ...['--logger', 'zap', '--log-level', 'warn'],
    ];
  }
}

/** The member that has a connection from this port of 127.0.0.1; '' for others. */
async function ownerOf(port: number, members: readonly Member[]): Promise<string> {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const table = await readFile('/proc/net/tcp', 'utf8');
  const line = table.split('\n').find((line) => line.trim().split(/\s+/)[1] === local);
  const inode = line?.trim().split(/\s+/)[9];
  for (const { name, process } of members) {
    const directory = `/proc/${process?.pid}/fd`;
    for (const file of await readdir(directory).catch(() => [])) {
      const target = await readlink(join(directory, file)).catch(() => '');
      if (target === `socket:[${inode}]`) return name;
    }
  }
  return '';
}
