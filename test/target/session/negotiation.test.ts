/** Every offer of a key gets the answer of RFC 7143 6.2 and 13, and the parameters follow it. */
import test from 'ava';
import { Host, pairs, world } from './kit.ts';

const cases: [offer: Record<string, string>, answer: Record<string, string>][] = [
  [{ HeaderDigest: 'CRC32C,None' }, { HeaderDigest: 'CRC32C' }],
  [{ HeaderDigest: 'None,CRC32C' }, { HeaderDigest: 'None' }],
  [{ DataDigest: 'Unheard' }, { DataDigest: 'Reject' }],
  [{ MaxConnections: '8' }, { MaxConnections: '1' }],
  [{ MaxConnections: '0' }, { MaxConnections: 'Reject' }],
  [{ InitialR2T: 'No' }, { InitialR2T: 'No' }],
  [{ InitialR2T: 'Yes' }, { InitialR2T: 'Yes' }],
  [{ InitialR2T: 'yes' }, { InitialR2T: 'Reject' }],
  [{ ImmediateData: 'No' }, { ImmediateData: 'No' }],
  [{ MaxBurstLength: '16776192' }, { MaxBurstLength: '1048576' }],
  [{ MaxBurstLength: '0x1000' }, { MaxBurstLength: '4096' }],
  [{ MaxBurstLength: '511' }, { MaxBurstLength: 'Reject' }],
  [{ MaxBurstLength: '1e5' }, { MaxBurstLength: 'Reject' }],
  [{ FirstBurstLength: '16777215' }, { FirstBurstLength: '262144' }],
  [{ DefaultTime2Wait: '2' }, { DefaultTime2Wait: '2' }],
  [{ DefaultTime2Retain: '20' }, { DefaultTime2Retain: '0' }],
  [{ MaxOutstandingR2T: '64' }, { MaxOutstandingR2T: '2' }],
  [{ DataPDUInOrder: 'No' }, { DataPDUInOrder: 'Yes' }],
  [{ DataSequenceInOrder: 'No' }, { DataSequenceInOrder: 'Yes' }],
  [{ ErrorRecoveryLevel: '2' }, { ErrorRecoveryLevel: '0' }],
  [{ TaskReporting: 'FastAbort,RFC3720' }, { TaskReporting: 'RFC3720' }],
  [{ iSCSIProtocolLevel: '2' }, { iSCSIProtocolLevel: '1' }],
  [{ IFMarker: 'Yes' }, { IFMarker: 'No' }],
  [{ OFMarkInt: '2048' }, { OFMarkInt: 'Irrelevant' }],
  [{ MaxRecvDataSegmentLength: '262144' }, {}],
  [{ 'X-com.example.colour': 'blue' }, { 'X-com.example.colour': 'NotUnderstood' }],
  [{ InitiatorAlias: 'a host' }, {}],
  [{ TargetAlias: 'mine' }, { TargetAlias: 'Reject' }],
];

for (const [offer, answer] of cases) {
  test(JSON.stringify(offer), async (t) => {
    const { server } = world();
    const reply = await new Host(server).login(offer);
    const { TargetPortalGroupTag, ...rest } = pairs(reply.data);
    t.is(TargetPortalGroupTag, '1');
    const own =
      rest.MaxRecvDataSegmentLength === '262144' ? { MaxRecvDataSegmentLength: '262144' } : {};
    t.deepEqual(rest, { ...own, ...answer });
  });
}

test('an initiator that goes through every stage gets there', async (t) => {
  const { server } = world();
  const host = new Host(server);
  const { pdu, text, INITIATOR, NAME } = await import('./kit.ts');
  const stages = [
    pdu(0x43, {
      flags: 0x40,
      data: text({ InitiatorName: INITIATOR, TargetName: NAME }).subarray(0, 20),
    }),
    pdu(0x43, {
      flags: 0x81,
      data: Buffer.concat([
        text({ InitiatorName: INITIATOR, TargetName: NAME }).subarray(20),
        text({ AuthMethod: 'CHAP,None' }),
      ]),
    }),
    pdu(0x43, { flags: 0x04, data: text({ HeaderDigest: 'None' }) }),
    pdu(0x43, { flags: 0x87, data: text({ DataDigest: 'None' }) }),
  ];
  const seen: [number, string, Record<string, string>][] = [];
  for (const stage of stages) {
    host.send(stage);
    const [reply] = await host.receive();
    seen.push([reply!.flags, reply!.head.subarray(36, 38).toString('hex'), pairs(reply!.data)]);
  }
  t.deepEqual(seen, [
    [0x00, '0000', {}],
    [0x81, '0000', { TargetPortalGroupTag: '1', AuthMethod: 'None' }],
    [0x04, '0000', { HeaderDigest: 'None', MaxRecvDataSegmentLength: '262144' }],
    [0x87, '0000', { DataDigest: 'None' }],
  ]);
  t.is(server.sessions().length, 1);
});
