/** Every planted fault of the volumes is found, and without one nothing is. */
import { catches } from './suite.ts';
import { volumeFaults } from './volume-faults.ts';

catches(volumeFaults);
