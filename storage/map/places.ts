/** Where the sheets of the newest checkpoint are, and the sheets of epochs as they are there. */
import { type SheetPlace, sheetKey } from './contents.ts';
import { SheetKind } from './sheets.ts';

export class Places {
  readonly #places = new Map<number, SheetPlace>();
  /** As they were written last; undefined: to be written in any case. */
  #epochs: (Uint8Array | undefined)[] = [];

  get count(): number {
    return this.#places.size;
  }

  get(kind: SheetKind, number: number): SheetPlace | undefined {
    return this.#places.get(sheetKey(kind, number));
  }

  all(): Iterable<SheetPlace> {
    return this.#places.values();
  }

  *addresses(): Generator<number> {
    for (const { address } of this.#places.values()) yield address;
  }

  /** Returns the address before; 0: none. */
  set(place: SheetPlace): number {
    const key = sheetKey(place.kind, place.number);
    const before = this.#places.get(key)?.address ?? 0;
    this.#places.set(key, place);
    return before;
  }

  /** There is no such sheet any more; returns its address, 0: there was none. */
  remove(kind: SheetKind, number: number): number {
    const key = sheetKey(kind, number);
    const address = this.#places.get(key)?.address ?? 0;
    this.#places.delete(key);
    return address;
  }

  isEpochs(number: number, bytes: Uint8Array): boolean {
    const known = this.#epochs[number];
    return known !== undefined && Buffer.compare(known, bytes) === 0;
  }

  /** The sheets of epochs are these from now on; returns the places of those that there are no more. */
  setEpochs(sheets: readonly Uint8Array[]): SheetPlace[] {
    const gone: SheetPlace[] = [];
    for (let number = sheets.length; ; number += 1) {
      const place = this.get(SheetKind.epochs, number);
      if (place === undefined) break;
      this.#places.delete(sheetKey(SheetKind.epochs, number));
      gone.push(place);
    }
    this.#epochs = [...sheets];
    return gone;
  }

  forgetEpochs(number: number): void {
    this.#epochs[number] = undefined;
  }
}
