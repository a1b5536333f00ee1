/** The Directory on etcd keeps the contract, on a real cluster of three: etcd 3.5. */
import test from 'ava';
import { directoryContract } from '#test/kit/directory-contract.ts';
import { directoryFaultsContract } from '#test/kit/directory-contract-faults.ts';
import { EtcdCluster } from '#test/kit/etcd.ts';
import { etcdBoundsContract, etcdSubject } from '#test/kit/etcd-subject.ts';

let cluster: EtcdCluster;
test.before(async () => {
  cluster = await EtcdCluster.start('trixie');
});
test.after.always(() => cluster?.stop());

const make = () => etcdSubject(cluster);
// Compacting is for a whole cluster, and so is losing answers: one promise at a time.
directoryContract(test.serial, make);
directoryFaultsContract(test.serial, make);
etcdBoundsContract(test.serial, make);
