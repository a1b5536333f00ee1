/** The Directory is not on the path of reads and writes (replication.md, section 4). */
import test from 'ava';
import { Story } from './kit.ts';

test('with the Directory away and no server failing, reads and writes go on for a minute', async (t) => {
  const story = await new Story(4, 3).begin();
  story.cluster.global.cut('*');
  const end = story.cluster.world.now() + 60_000;
  for (let value = 1; story.cluster.world.now() < end; value = (value % 250) + 1) {
    const block = value % 40;
    t.is(await story.write(block, value, value % 2), 'good');
    t.is(await story.read(block, (value + 1) % 2), value);
  }
  // Changes work again afterwards.
  story.cluster.global.heal();
  story.cluster.crash(story.server('A'));
  await story.insync('B');
  t.is(await story.writeAgain(0, 7), 'good');
});

test('a server that restarts while the Directory is away waits for it', async (t) => {
  const story = await new Story(5).begin();
  t.is(await story.write(0, 1), 'good');
  story.cluster.global.cut('*');
  story.cluster.crash(story.server('A'));
  story.cluster.restart(story.server('A'));
  await story.cluster.pass(5000);
  t.is(story.server('A').replica.groups[0]!.member.stage, 'starting');
  story.cluster.global.heal();
  while (!story.cluster.whole) await story.cluster.pass(100);
  t.is(await story.read(0), 1);
});
