import { expect, test } from 'bun:test';
import { AgentWorld, N2 } from '../support/agent-world.ts';
import { must } from '../support/netns.ts';
import { describeInBrowser, expectQuiet } from './in-browser.ts';

const NET_CONF = '{"Network":"10.244.0.0/16","EnableNFTables":true,"Backend":{"Type":"vxlan"}}';
const ADDRESS = '127.0.0.1:8474';

describeInBrowser(import.meta.path, 'the page of an agent', (pages) => {
  test('shows its node, compares with the kernel, follows changes, and outlives a restart', async () => {
    await using world = await AgentWorld.create({ netConf: NET_CONF });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    world.addPeer('n2', N2);
    const first = await world.startReady([`--ui-addr=${ADDRESS}`]);
    await using tab = await pages.open(`http://${ADDRESS}/`, { view: 'peers' });
    const { page } = tab;
    expect(await page.locator('header').innerText()).toMatch(/n1\s+10\.244\.1\.0\/24\s+Ready/);
    await page.getByRole('row', { name: /10\.244\.2\.0\/24/ }).click();
    await page.waitForSelector('.detail .entry');
    const detail = page.locator('.detail');
    expect(await detail.locator('.entry.ok').count()).toBe(3);
    expect(await detail.innerText()).toContain('10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink');
    await tab.picture('agent-peer');

    world.addPeer('n3', { podCidrs: ['10.244.3.0/24'], publicIp: '192.168.50.13', mac: 'ba:35:f7:c1:34:9b' });
    await page.getByRole('row', { name: /10\.244\.3\.0\/24/ }).waitFor();

    await tab.show('repairs');
    must(['ip', 'route', 'del', '10.244.2.0/24']);
    await page.getByText('route 10.244.2.0/24').first().waitFor();

    await tab.show('rules');
    await page.waitForSelector('.verdict.ok');
    expect(await page.locator('ol.rules li').count()).toBeGreaterThan(3);
    await tab.show('map');
    await tab.picture('agent-map');
    expectQuiet(tab);

    await first.stop('SIGTERM');
    await page.waitForSelector('.stale');
    await using second = await world.startReady([`--ui-addr=${ADDRESS}`]);
    await page.waitForSelector('.page:not(.stale)', { timeout: 20_000 });
    await tab.show('repairs');
    // It is another run, which has repaired nothing yet.
    await page.getByText('Nothing had to be repaired').waitFor();
    expect(second.running).toBe(true);
    expect([...tab.trouble.dialogs, ...tab.trouble.strangers]).toEqual([]);
  });
});
