/**
 * Locks on ranges of chunks: writers alone, readers together, in the order in which they came. `dispose` lets all
 * go at once, for a server that is out: those who wait are told so.
 */
import type { Chunk } from './store.ts';

interface Claim {
  readonly from: number;
  readonly to: number;
  readonly exclusive: boolean;
  granted: boolean;
  readonly tell: (granted: boolean) => void;
}

export interface Lock {
  release(): void;
}

export class Locks {
  readonly #chunks = new Map<Chunk, Claim[]>();

  /** Bytes [from, to) of a chunk; null: given up by `dispose` before it was granted. */
  acquire(chunk: Chunk, from: number, to: number, exclusive: boolean): Promise<Lock | null> {
    return new Promise((resolve) => {
      const claim: Claim = {
        ...{ from, to, exclusive, granted: false },
        tell: (granted) => resolve(granted ? { release: () => this.#release(chunk, claim) } : null),
      };
      const claims = this.#chunks.get(chunk);
      if (claims === undefined) this.#chunks.set(chunk, [claim]);
      else claims.push(claim);
      this.#grant(chunk);
    });
  }

  #release(chunk: Chunk, claim: Claim): void {
    const claims = this.#chunks.get(chunk);
    const at = claims?.indexOf(claim) ?? -1;
    if (claims === undefined || at < 0) return;
    claims.splice(at, 1);
    if (claims.length === 0) this.#chunks.delete(chunk);
    else this.#grant(chunk);
  }

  #grant(chunk: Chunk): void {
    const claims = this.#chunks.get(chunk) ?? [];
    for (const [at, claim] of claims.entries()) {
      if (claim.granted || claims.slice(0, at).some((before) => collide(before, claim))) continue;
      claim.granted = true;
      claim.tell(true);
    }
  }

  dispose(): void {
    const all = [...this.#chunks.values()].flat();
    this.#chunks.clear();
    for (const claim of all) if (!claim.granted) claim.tell(false);
  }
}

const collide = (a: Claim, b: Claim): boolean =>
  (a.exclusive || b.exclusive) && a.from < b.to && b.from < a.to;
