/** Every planted fault of replication is found, and without one nothing is. */
import { replicaFaults } from './replica-faults.ts';
import { catches } from './suite.ts';

catches(replicaFaults);
