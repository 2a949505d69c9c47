import { expect, test } from 'bun:test';
import { cureOf, ERRNO, ErrnoError, type ErrnoName } from '#base/errors.ts';
import { NetlinkError } from '#netlink/message.ts';
import { testKernel, testLink } from './fixtures.ts';
import { explainDown, explainRefusal } from './refusal.ts';

function cure(errno: ErrnoName, link = testLink(), others = [testLink({ name: 'vx0' })]): string {
  const kernel = testKernel();
  kernel.apply(others.map((other) => ({ op: 'create-vxlan', link: other })));
  const error = explainRefusal(new NetlinkError('newlink', ERRNO[errno]), link, () => kernel.links());
  return error === undefined ? '' : (cureOf(error) ?? 'none');
}

test('who holds the VNI or the port is named', () => {
  expect(cure('EEXIST')).toBe(
    'Device vx0 holds VNI 1 on UDP port 8472: remove it with "ip link delete vx0", or set Backend.VNI or Backend.Port',
  );
  expect(cure('EEXIST', testLink(), [testLink({ name: 'vx0', vni: 2 })])).toContain(
    'Another device holds VNI 1',
  );
  expect(cure('EADDRINUSE', testLink({ vni: 7 }))).toContain('UDP port 8472 is taken by device vx0');
  expect(cure('EADDRINUSE', testLink(), [])).toContain('taken by a program: see "ss -lunp"');
});

test('what is missing is named; other answers stay as they are', () => {
  expect(cure('EOPNOTSUPP')).toBe('Load the kernel module: modprobe vxlan');
  expect(cure('EAFNOSUPPORT')).toBe('Enable ipv4 in this kernel');
  expect(cure('EPERM')).toContain('CAP_NET_ADMIN');
  expect(cure('ENOMEM')).toBe('none');
  expect(explainRefusal(undefined, testLink(), () => [])).toBeUndefined();
  const other = new ErrnoError('read', ERRNO.EPERM);
  expect(explainRefusal(other, testLink(), () => [])).toBe(other);
});

test('a port that is taken shows only when the device goes up', () => {
  const kernel = testKernel();
  kernel.apply([{ op: 'create-vxlan', link: testLink() }]);
  const explained = (errno: ErrnoName, name = 'flannel.1') => {
    const error = explainDown(new NetlinkError('set', ERRNO[errno]), name, () => kernel.links());
    return error === undefined ? '' : (cureOf(error) ?? 'none');
  };
  expect(explained('EADDRINUSE')).toBe(
    'UDP port 8472 is taken by a program: see "ss -lunp", or set Backend.Port',
  );
  expect([explained('EADDRINUSE', 'eth0'), explained('EPERM')]).toEqual(['none', 'none']);
  expect(explainDown(undefined, 'flannel.1', () => [])).toBeUndefined();
});
