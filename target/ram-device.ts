/**
 * A BlockDevice in memory, for examples, tests and benchmarks. It keeps nothing after the process.
 *
 * Thin: 64 KiB pieces are allocated on the first write to them and given back when unmapped whole.
 * Every call completes before it returns, so writes are "durable" in the only sense RAM has. Long reads
 * are lent: a piece that is lent is replaced by a copy before it is changed.
 */
import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import {
  type BlockDevice,
  type Completion,
  type DeviceAllocation,
  type DeviceCapabilities,
  type DeviceChange,
  DeviceError,
  type DeviceIdentity,
  type DeviceListener,
  type DeviceProvisioning,
} from './scsi/device.ts';

const PIECE_BYTES = 64 * 1024;
/** What a piece that is not there reads as. */
const ZEROES = new Uint8Array(PIECE_BYTES);

export interface RamDeviceOptions {
  /** Size; a multiple of `sectorBytes`. */
  readonly bytes: number;
  readonly sectorBytes?: 512 | 4096;
  readonly physicalSectorBytes?: number;
  readonly identity?: Partial<DeviceIdentity>;
  readonly capabilities?: Partial<DeviceCapabilities>;
  /** Hosts are warned when fewer bytes than this are left to allocate; absent: they are not. */
  readonly warnBelowBytes?: number;
}

export class RamDevice implements BlockDevice {
  readonly identity: DeviceIdentity;
  readonly sectorBytes: number;
  readonly physicalSectorBytes: number;
  #sectors: number;
  #capabilities: DeviceCapabilities;
  #pieces: (Uint8Array | undefined)[] = [];
  #allocated = 0;
  /** Allocated MiB that listeners know of. */
  #told = 0;
  readonly #warnBelowBytes: number;
  /** How often the memory of a piece is lent. */
  readonly #lent = new Map<ArrayBufferLike, number>();
  readonly #listeners = new Set<DeviceListener>();

  constructor(options: RamDeviceOptions) {
    this.sectorBytes = options.sectorBytes ?? 512;
    this.physicalSectorBytes = options.physicalSectorBytes ?? 4096;
    if (!Number.isSafeInteger(options.bytes) || options.bytes % this.sectorBytes !== 0) {
      throw new RangeError(`size must be a multiple of ${this.sectorBytes} bytes`);
    }
    this.#sectors = options.bytes / this.sectorBytes;
    this.#warnBelowBytes = options.warnBelowBytes ?? 0;
    this.identity = { ...randomIdentity(), ...options.identity };
    this.#capabilities = {
      readOnly: false,
      thin: true,
      unmapGranularity: PIECE_BYTES,
      writeBack: false,
      removable: false,
      solidState: true,
      atomicBytes: 0,
      ...options.capabilities,
    };
  }

  get sectors(): number {
    return this.#sectors;
  }

  get capabilities(): DeviceCapabilities {
    return this.#capabilities;
  }

  /** Change the size; what lies beyond a smaller one is gone. */
  resize(bytes: number): void {
    if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes % this.sectorBytes !== 0) {
      throw new RangeError(`size must be a multiple of ${this.sectorBytes} bytes`);
    }
    const old = this.#sectors * this.sectorBytes;
    if (bytes < old) this.#clear(bytes, old - bytes);
    this.#sectors = bytes / this.sectorBytes;
    this.#tell('capacity');
  }

  setCapabilities(change: Partial<DeviceCapabilities>): void {
    this.#capabilities = { ...this.#capabilities, ...change };
    this.#tell('capabilities');
  }

  readNow(offset: number, length: number, into: Uint8Array, at: number): boolean {
    let done = 0;
    while (done < length) {
      const inPiece = (offset + done) % PIECE_BYTES;
      const step = Math.min(PIECE_BYTES - inPiece, length - done);
      const piece = this.#pieces[Math.floor((offset + done) / PIECE_BYTES)];
      if (piece === undefined) into.fill(0, at + done, at + done + step);
      else if (step === PIECE_BYTES) into.set(piece, at + done);
      else into.set(piece.subarray(inPiece, inPiece + step), at + done);
      done += step;
    }
    return true;
  }

  lend(offset: number, length: number, slices: Uint8Array[]): boolean {
    let done = 0;
    while (done < length) {
      const inPiece = (offset + done) % PIECE_BYTES;
      const step = Math.min(PIECE_BYTES - inPiece, length - done);
      const piece = this.#pieces[Math.floor((offset + done) / PIECE_BYTES)] ?? ZEROES;
      slices.push(step === PIECE_BYTES ? piece : piece.subarray(inPiece, inPiece + step));
      this.#lent.set(piece.buffer, (this.#lent.get(piece.buffer) ?? 0) + 1);
      done += step;
    }
    return true;
  }

  takeBack({ buffer }: Uint8Array): void {
    const times = this.#lent.get(buffer);
    assert(times !== undefined, 'more was given back than lent');
    if (times === 1) this.#lent.delete(buffer);
    else this.#lent.set(buffer, times - 1);
  }

  read(offset: number, length: number, into: Uint8Array, at: number, done: Completion): void {
    this.readNow(offset, length, into, at);
    done.complete(null);
  }

  write(offset: number, data: Uint8Array, _fua: boolean, done: Completion): void {
    if (this.#capabilities.readOnly) {
      done.complete(new DeviceError('readOnly', 'the device is read-only'));
      return;
    }
    this.#put(offset, data);
    done.complete(null);
  }

  flush(done: Completion): void {
    done.complete(null);
  }

  unmap(offset: number, length: number, done: Completion): void {
    this.#clear(offset, length);
    done.complete(null);
  }

  writeZeroes(offset: number, length: number, _mayUnmap: boolean, done: Completion): void {
    this.#clear(offset, length);
    done.complete(null);
  }

  compareAndWrite(offset: number, compare: Uint8Array, write: Uint8Array, done: Completion): void {
    const now = new Uint8Array(compare.length);
    this.readNow(offset, compare.length, now, 0);
    const differs = now.findIndex((byte, i) => byte !== compare[i]);
    if (differs >= 0) {
      done.complete(new DeviceError('miscompare', 'the data differ', differs));
      return;
    }
    this.#put(offset, write);
    done.complete(null);
  }

  allocation(offset: number, length: number): DeviceAllocation {
    const first = Math.floor(offset / PIECE_BYTES);
    const mapped = this.#pieces[first] !== undefined;
    const end = offset + length;
    let piece = first + 1;
    while (piece * PIECE_BYTES < end && (this.#pieces[piece] !== undefined) === mapped) piece++;
    return { mapped, length: Math.min(end, piece * PIECE_BYTES) - offset };
  }

  provisioning(): DeviceProvisioning {
    const usedBytes = this.#allocated * PIECE_BYTES;
    const availableBytes = Math.max(0, this.#sectors * this.sectorBytes - usedBytes);
    return { usedBytes, availableBytes, shared: false, warnBelowBytes: this.#warnBelowBytes };
  }

  /** RAM has nothing behind a cache; what changes is what hosts are told. */
  setWriteBack(on: boolean, done: Completion): void {
    if (on !== this.#capabilities.writeBack) this.setCapabilities({ writeBack: on });
    done.complete(null);
  }

  /** There is no key, but RAM that was let go is not to be had again. */
  erase(done: Completion): void {
    this.#pieces = [];
    this.#count(-this.#allocated);
    done.complete(null);
  }

  listen(listener: DeviceListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #put(offset: number, data: Uint8Array): void {
    let done = 0;
    while (done < data.length) {
      const index = Math.floor((offset + done) / PIECE_BYTES);
      const inPiece = (offset + done) % PIECE_BYTES;
      const step = Math.min(PIECE_BYTES - inPiece, data.length - done);
      const piece = this.#pieces[index] === undefined ? this.#add(index) : this.#own(index)!;
      piece.set(step === data.length ? data : data.subarray(done, done + step), inPiece);
      done += step;
    }
  }

  #clear(offset: number, length: number): void {
    let done = 0;
    while (done < length) {
      const index = Math.floor((offset + done) / PIECE_BYTES);
      const inPiece = (offset + done) % PIECE_BYTES;
      const step = Math.min(PIECE_BYTES - inPiece, length - done);
      if (step === PIECE_BYTES) {
        if (this.#pieces[index] !== undefined) this.#count(-1);
        this.#pieces[index] = undefined;
      } else this.#own(index)?.fill(0, inPiece, inPiece + step);
      done += step;
    }
  }

  #count(pieces: number): void {
    this.#allocated += pieces;
    const now = Math.floor((this.#allocated * PIECE_BYTES) / 2 ** 20);
    if (now === this.#told) return;
    this.#told = now;
    this.#tell('provisioning');
  }

  #add(index: number): Uint8Array {
    const piece = new Uint8Array(PIECE_BYTES);
    this.#pieces[index] = piece;
    this.#count(1);
    return piece;
  }

  /** A piece that may be changed, when there is one. */
  #own(index: number): Uint8Array | undefined {
    const piece = this.#pieces[index];
    if (piece === undefined || this.#lent.size === 0 || !this.#lent.has(piece.buffer)) return piece;
    const copy = piece.slice();
    this.#pieces[index] = copy;
    return copy;
  }

  #tell(change: DeviceChange): void {
    for (const listener of this.#listeners) listener.changed(change);
  }
}

/** An identity of its own for each device: NAA type 6 (SPC-4 7.8.6.6.5) and the same as a serial. */
function randomIdentity(): DeviceIdentity {
  const naa = new Uint8Array(randomBytes(16));
  naa[0] = 0x60 | (naa[0]! & 0x0f);
  return {
    naa,
    serial: Buffer.from(naa).toString('hex'),
    vendor: 'NODE',
    product: 'RAM DISK',
    revision: '0001',
  };
}
