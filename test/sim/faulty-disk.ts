/** A disk whose n-th call goes wrong in one of the ways in which disks do. */
import { StorageError } from '../../storage/base/errors.ts';
import type { Disk } from '../../storage/disk/disk.ts';

export const faultKinds = [
  'read error',
  'write error',
  'no space',
  'flip read',
  'flip written',
] as const;
export type FaultKind = (typeof faultKinds)[number];

export class FaultyDisk implements Disk {
  readonly name: string;
  readonly size: number;
  readonly allocatesOnWrite: boolean;
  readonly #disk: Disk;
  readonly #kind: FaultKind;
  readonly #at: number;
  /** Calls made. */
  calls = 0;
  /** The call came and was one that can go wrong so. */
  struck = false;
  #failed = false;

  constructor(disk: Disk, kind: FaultKind, at: number) {
    this.name = disk.name;
    this.size = disk.size;
    this.allocatesOnWrite = disk.allocatesOnWrite;
    this.#disk = disk;
    this.#kind = kind;
    this.#at = at;
  }

  #strikes(kinds: readonly FaultKind[]): boolean {
    this.calls += 1;
    const strikes = this.calls === this.#at && kinds.includes(this.#kind);
    if (strikes) this.struck = true;
    return strikes;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    const strikes = this.#strikes(['read error', 'flip read']);
    if (strikes && this.#kind === 'read error') throw new StorageError('MEDIUM_ERROR', 'planned');
    await this.#disk.read(offset, into);
    if (strikes) into[(this.#at * 997) % into.length]! ^= 1 << (this.#at & 7);
  }

  async write(offset: number, data: readonly Uint8Array[], durable: boolean): Promise<void> {
    const strikes = this.#strikes(['write error', 'no space', 'flip written']);
    this.#alive(strikes);
    if (!strikes) return await this.#disk.write(offset, data, durable);
    const flipped = Buffer.concat(data);
    flipped[(this.#at * 997) % flipped.length]! ^= 1 << (this.#at & 7);
    await this.#disk.write(offset, [flipped], durable);
  }

  async sync(): Promise<void> {
    this.#alive(this.#strikes(['write error', 'no space']));
    await this.#disk.sync();
  }

  /** After a failed write or sync the disk is failed for good. */
  #alive(strikes: boolean): void {
    if (strikes && this.#kind !== 'flip written') this.#failed = true;
    if (!this.#failed) return;
    const why = this.#kind === 'no space' ? 'no space left on device' : 'input/output error';
    throw new StorageError('DISK_FAILED', `planned: ${why}`);
  }

  async close(): Promise<void> {
    await this.#disk.close();
  }
}
