import { version } from '../../package.json';

/** The version of everything here, which stands in package.json alone; a test compares what has to repeat it. */
export const VERSION: string = version;
