/**
 * Walking over the maps of epochs side by side. A walk is drawn: it yields a page that has to be loaded, or
 * `turn` where others may have theirs. Pages are asked for again after every pause.
 */
import type { Content } from './content.ts';
import type { Epoch } from './epochs.ts';
import { lastLeafOf, type Page } from './page.ts';
import type { Missing } from './pages.ts';

export type Pause = Missing | 'turn';

export class Looker {
  protected readonly content: Content;

  constructor(content: Content) {
    this.content = content;
  }

  /** Page `id`, which may have to be loaded. */
  protected *here(id: number, level: number, index: number): Generator<Pause, Page> {
    for (;;) {
      const page = this.content.pages.get(id);
      if (page !== undefined) return page;
      yield { id, level, index };
    }
  }

  /** The page of `of` at the same place; null: it has none. */
  protected *there(of: Epoch, level: number, index: number): Generator<Pause, Page | null> {
    for (;;) {
      const page = this.#now(of, level, index);
      if (page !== undefined) return page;
      yield this.content.trees.wanted;
    }
  }

  /** Both of them, in one turn. */
  protected *both(
    id: number,
    level: number,
    index: number,
    of: Epoch | undefined,
  ): Generator<Pause, [Page, Page | null]> {
    for (;;) {
      const page = yield* this.here(id, level, index);
      const other = of === undefined ? null : this.#now(of, level, index);
      if (other !== undefined) return [page, other];
      yield this.content.trees.wanted;
    }
  }

  /** Undefined: a page has to be loaded. */
  #now(of: Epoch, level: number, index: number): Page | null | undefined {
    let at: Epoch | undefined = of;
    // What a doomed epoch is done with is as the one behind it has it.
    while (at?.isDone(lastLeafOf(level, index))) [at] = at.children;
    return at === undefined ? null : this.content.trees.page(at, level, index);
  }
}
