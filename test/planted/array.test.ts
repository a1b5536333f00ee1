/** Every planted fault of the layer of several disks is found, and without one nothing is. */
import { arrayFaults } from './array-faults.ts';
import { catches } from './suite.ts';

catches(arrayFaults);
