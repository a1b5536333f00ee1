/** A disk whose n-th call goes wrong in one of the ways in which disks do. */
import { StorageError } from '../../storage/base/errors.ts';
import { bytesIn, type Disk } from '../../storage/disk/disk.ts';

/** Short: half of it is there and the call fails; torn: the same, and the disk says that all is well. */
const readFaults = ['read error', 'flip read'] as const;
const writeFaults = ['write error', 'no space', 'short write'] as const;
const silentFaults = ['flip written', 'torn write'] as const;
const anyWriteFault = [...writeFaults, ...silentFaults] as const;
const syncFaults = ['write error', 'no space', 'sync error'] as const;
export const faultKinds = [...readFaults, ...writeFaults, 'sync error', ...silentFaults] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Whether the disk holds something else than it said. */
export const isSilent = (kind: FaultKind): boolean =>
  (silentFaults as readonly FaultKind[]).includes(kind);

export class FaultyDisk implements Disk {
  readonly name: string;
  readonly size: number;
  readonly allocatesOnWrite: boolean;
  readonly #disk: Disk;
  readonly #kind: FaultKind;
  readonly #at: number;
  /** The calls made, in order: what can go wrong with each. */
  readonly calls: (readonly FaultKind[])[] = [];
  /** The call came. */
  struck = false;
  #failed = false;

  /** `at`: the number of the call, from 1; 0: none goes wrong. */
  constructor(disk: Disk, kind: FaultKind, at: number) {
    this.name = disk.name;
    this.size = disk.size;
    this.allocatesOnWrite = disk.allocatesOnWrite;
    this.#disk = disk;
    this.#kind = kind;
    this.#at = at;
  }

  #strikes(kinds: readonly FaultKind[]): boolean {
    this.calls.push(kinds);
    const strikes = this.calls.length === this.#at && kinds.includes(this.#kind);
    if (strikes) this.struck = true;
    return strikes;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    const strikes = this.#strikes(readFaults);
    if (strikes && this.#kind === 'read error') throw new StorageError('MEDIUM_ERROR', 'planned');
    await this.#disk.read(offset, into);
    if (strikes) into[(this.#at * 997) % into.length]! ^= 1 << (this.#at & 7);
  }

  async write(offset: number, data: readonly Uint8Array[], durable: boolean): Promise<void> {
    const strikes = this.#strikes(anyWriteFault);
    if (strikes && (this.#kind === 'short write' || this.#kind === 'torn write')) {
      await this.#half(offset, data, durable);
      if (this.#kind === 'torn write') return;
    }
    this.#alive(strikes);
    if (!strikes) return await this.#disk.write(offset, data, durable);
    const flipped = Buffer.concat(data);
    flipped[(this.#at * 997) % flipped.length]! ^= 1 << (this.#at & 7);
    await this.#disk.write(offset, [flipped], durable);
  }

  /** The first half of the blocks; of a single one nothing. */
  async #half(offset: number, data: readonly Uint8Array[], durable: boolean): Promise<void> {
    const bytes = Math.floor(bytesIn(data) / 2 / 4096) * 4096;
    if (bytes === 0) return;
    await this.#disk.write(offset, [Buffer.concat(data).subarray(0, bytes)], durable);
  }

  async sync(): Promise<void> {
    this.#alive(this.#strikes(syncFaults));
    await this.#disk.sync();
  }

  /** After a failed write or sync the disk is failed for good. */
  #alive(strikes: boolean): void {
    if (strikes && !isSilent(this.#kind)) this.#failed = true;
    if (!this.#failed) return;
    const why = this.#kind === 'no space' ? 'no space left on device' : 'input/output error';
    throw new StorageError('DISK_FAILED', `planned: ${why}`);
  }

  async close(): Promise<void> {
    await this.#disk.close();
  }
}

/** The numbers of the calls that can go wrong so. */
export const callsFor = ({ calls }: FaultyDisk, kind: FaultKind): number[] =>
  calls.flatMap((kinds, index) => (kinds.includes(kind) ? [index + 1] : []));
