/** A server that missed writes serves nothing of them, whatever its disk says (replication.md, section 5). */
import test from 'ava';
import { Story } from './kit.ts';

test('kill A, write, kill B, start A: the disk does not serve; B is back: it does', async (t) => {
  const story = await new Story(1).begin();
  t.is(await story.write(0, 1), 'good');
  story.cluster.crash(story.server('A'));
  await story.insync('B');
  t.is(await story.writeAgain(0, 2), 'good');
  story.cluster.crash(story.server('B'));
  story.cluster.restart(story.server('A'));
  await story.cluster.pass(10_000);
  t.is(await story.read(0), null);
  t.is(await story.write(0, 3, 1), 'busy');
  story.cluster.restart(story.server('B'));
  await story.insync('A', 'B');
  t.is(await story.read(0), 2);
  t.is(await story.read(0, 1), 2);
});

test('both lose power at once: whoever comes first waits for the other or takes it out, and all is there', async (t) => {
  for (const first of ['A', 'B']) {
    const story = await new Story(2).begin();
    for (let block = 0; block < 8; block += 1) t.is(await story.write(block, block + 1), 'good');
    for (const name of ['A', 'B']) story.cluster.crash(story.server(name));
    story.cluster.restart(story.server(first));
    await story.insync(first);
    for (let block = 0; block < 8; block += 1) t.is(await story.read(block), block + 1);
    story.cluster.restart(story.server(first === 'A' ? 'B' : 'A'));
    await story.insync('A', 'B');
    for (let block = 0; block < 8; block += 1) t.is(await story.read(block, 1), block + 1);
  }
});

test('a server that comes back with empty disks is filled again', async (t) => {
  const story = await new Story(3).begin();
  for (let block = 0; block < 20; block += 1) t.is(await story.write(block, block + 1), 'good');
  story.cluster.loseDisks(story.server('A'));
  await story.insync('B');
  story.cluster.restart(story.server('A'));
  await story.insync('A', 'B');
  story.cluster.crash(story.server('B'));
  await story.insync('A');
  for (let block = 0; block < 20; block += 1) t.is(await story.read(block), block + 1);
});
