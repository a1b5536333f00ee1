/** A write that sat in a frozen gateway does not come back over a later one (replication.md, section 6). */
import test from 'ava';
import { Story } from './kit.ts';

for (const frozenMs of [300, 1500, 3000, 6000]) {
  test(`a gateway is frozen for ${frozenMs} ms with a write in its socket`, async (t) => {
    const story = await new Story(6).begin();
    const { gateways } = story.cluster;
    t.is(await story.write(3, 1, 0), 'good');
    gateways[0]!.node.freeze();
    // The host gives up, takes the other path and writes something newer.
    t.is(await story.write(3, 2, 0, 100), null);
    t.is(await story.write(3, 3, 1), 'good');
    await story.cluster.pass(frozenMs);
    gateways[0]!.node.thaw();
    await story.cluster.pass(8000);
    t.is(await story.read(3, 0), 3);
    t.is(await story.read(3, 1), 3);
  });
}

test('also when the coordinator changed meanwhile and remembers nothing', async (t) => {
  const story = await new Story(7).begin();
  const { gateways } = story.cluster;
  t.is(await story.write(0, 1, 0), 'good');
  gateways[0]!.node.freeze();
  t.is(await story.write(0, 2, 0, 100), null);
  t.is(await story.write(0, 3, 1), 'good');
  // Chunk 0 is A's.
  story.cluster.crash(story.server('A'));
  await story.insync('B');
  gateways[0]!.node.thaw();
  await story.cluster.pass(8000);
  t.is(await story.read(0, 1), 3);
});
