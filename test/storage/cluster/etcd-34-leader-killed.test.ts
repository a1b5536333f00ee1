/** The leader is killed in the middle of commits and comes back later: none is lost or doubled. etcd 3.4. */
import test from 'ava';
import { leaderKilled } from '#test/kit/etcd-load.ts';

test('etcd 3.4: the leader is killed during commits', (t) => leaderKilled(t, 'bookworm'));
