/** The map of a space finds what was put in, counts its pages, and is gone when it is empty. */
import test from 'ava';
import fc from 'fast-check';
import { Segments } from '../../../storage/log/segments.ts';
import { Account } from '../../../storage/map/account.ts';
import { Content } from '../../../storage/map/content.ts';
import { fanout, type Page } from '../../../storage/map/page.ts';
import { heightFor, pagesFor } from '../../../storage/map/tree.ts';

const far = fc.constantFrom(0, 511, 512, 2 ** 18, 2 ** 27 + 5, 2 ** 36, 2 ** 44);
const block = fc.tuple(far, fc.nat(1200)).map(([base, more]) => base + more);
const command = fc.oneof(
  fc.record({ set: block }),
  fc.record({ clear: block, count: fc.constantFrom(1, 3, 600, 2 ** 20, 2 ** 44) }),
);

test('against a plain map', (t) => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 120 }), (commands) => {
      const content = new Content(new Segments(600, () => {}), new Account(600));
      const space = content.create(1, 0);
      const model = new Map<number, number>();
      let address = 256;
      for (const each of commands) {
        if ('set' in each) {
          address += address % 256 === 255 ? 2 : 1;
          content.set(space, each.set, address, 1);
          model.set(each.set, address);
          continue;
        }
        const end = each.clear + each.count;
        for (const leaf of [...space.tree.leaves(each.clear, each.count)]) {
          content.clear(space, leaf, each.clear, end);
        }
        for (const known of [...model.keys()]) {
          if (known >= each.clear && known < end) model.delete(known);
        }
      }
      for (const [known, at] of model) {
        t.is(space.tree.leaf(known)?.words[(known % fanout) * 2], at);
      }
      t.is(space.share.mapped, model.size);
      const pages = reachable(space.tree.root);
      t.is(content.pages.pages, pages.length);
      t.is(content.pages.dirty, pages.length, 'never written: all are dirty');
      t.is(pages.filter((page) => page.used === 0).length, 0);
      for (const _ of content.drop(space));
      t.is(content.pages.pages, 0);
      t.is(content.pages.dirty, 0);
      t.is(content.account.usage().used, 0);
    }),
    { numRuns: 200 },
  );
});

function reachable(page: Page | null): Page[] {
  if (page === null) return [];
  const below = (page.children ?? []).flatMap((child) => reachable(child ?? null));
  return [page, ...below];
}

test('how high and how large a map becomes', (t) => {
  t.is(heightFor(0), 1);
  t.is(heightFor(511), 2);
  t.is(heightFor(512), 3);
  t.is(pagesFor(0), 0);
  t.is(pagesFor(1), 1);
  t.is(pagesFor(513), 3);
  t.is(pagesFor(512 * 512), 513);
});
