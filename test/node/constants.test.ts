import { expect, test } from 'bun:test';
import { comparedConstants } from '../support/constants.ts';

/** The cross compilers of Debian's; a static program needs no C library of that machine. */
const MACHINES = [
  { arch: 'ppc64', compiler: ['powerpc64le-linux-gnu-gcc', '-static'], runner: ['qemu-ppc64le'] },
  { arch: 's390x', compiler: ['s390x-linux-gnu-gcc', '-static'], runner: ['qemu-s390x'] },
];

for (const machine of MACHINES) {
  test(`${machine.arch}: every number of the wire is the one in the C headers for it`, () => {
    const { ours, theirs } = comparedConstants(machine);
    expect(ours).toEqual(theirs);
    expect(ours.length).toBeGreaterThan(200);
  });
}
