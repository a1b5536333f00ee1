/** Every planted fault of write-back and of the block cache is found, and without one nothing is. */
import { catches } from './suite.ts';
import { writeBackFaults } from './write-back-faults.ts';

catches(writeBackFaults);
