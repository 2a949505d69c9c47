import type { Logger } from '#base/log.ts';
import type { HostPlan } from '#host/plan.ts';
import { surprise } from '#host/surprise.ts';
import { NETLINK } from '#netlink/connection.ts';
import type { NetlinkMessage } from '#netlink/message.ts';
import { NetlinkMonitor } from '#netlink/monitor.ts';
import { RT_TABLE } from '#rtnetlink/constants.ts';
import { decodeNotification, RTNLGRP, type RtNotification } from '#rtnetlink/notification.ts';

export interface HostMonitorOptions {
  readonly plan: () => HostPlan;
  readonly log: Logger;
  /** Name of the external interface. */
  readonly external: string;
  /** Its state or its addresses have changed. */
  readonly onExternal: () => void;
  /** Somebody else's route through it came or went. */
  readonly onForeignRoute: () => void;
  /** Notifications were lost: called before `onSurprise` is. */
  readonly onOverrun: () => void;
  /** Something is not as planned. */
  readonly onSurprise: (what: string) => void;
  /** Names of links by index, read anew. */
  readonly linkNames: () => Map<number, string>;
}

/** Watches the kernel and speaks up when something of ours is not as planned. */
export class HostMonitor implements Disposable {
  readonly #options: HostMonitorOptions;
  readonly #monitor: NetlinkMonitor;
  #names: Map<number, string>;

  constructor(options: HostMonitorOptions) {
    this.#options = options;
    this.#names = options.linkNames();
    this.#monitor = new NetlinkMonitor({
      protocol: NETLINK.ROUTE,
      groups: [
        RTNLGRP.LINK,
        RTNLGRP.NEIGH,
        RTNLGRP.IPV4_IFADDR,
        RTNLGRP.IPV6_IFADDR,
        RTNLGRP.IPV4_ROUTE,
        RTNLGRP.IPV6_ROUTE,
      ],
      onMessage: (message) => this.#take(message),
      onOverrun: () => {
        this.#names = options.linkNames();
        options.onOverrun();
        options.onSurprise('notifications of the kernel were lost');
      },
    });
  }

  close(): void {
    this.#monitor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #isExternal(notification: RtNotification): boolean {
    const { external } = this.#options;
    if (notification.type === 'link') {
      const { index, name } = notification.link;
      // Renamed, it is still the one.
      return name === external || this.#names.get(index) === external;
    }
    return notification.type === 'address' && this.#names.get(notification.address.link) === external;
  }

  #isForeignRoute(notification: RtNotification): boolean {
    if (notification.type !== 'route') return false;
    const { link, table, dst } = notification.route;
    if (table !== RT_TABLE.MAIN || link === undefined || this.#names.get(link) !== this.#options.external)
      return false;
    return dst === undefined || !this.#options.plan().entries.has(`r ${dst}`);
  }

  #take(message: NetlinkMessage): void {
    let notification: RtNotification | undefined;
    try {
      notification = decodeNotification(message);
    } catch (error) {
      this.#options.log.debug('a notification cannot be read', { error });
      return;
    }
    if (notification === undefined) return;
    const what = surprise(notification, {
      plan: this.#options.plan(),
      nameOf: (index) => this.#names.get(index),
    });
    if (this.#isExternal(notification)) this.#options.onExternal();
    if (this.#isForeignRoute(notification)) this.#options.onForeignRoute();
    // A link's name is needed for the entries that go with it, so the map follows only afterwards.
    if (notification.type === 'link') {
      const { index, name } = notification.link;
      if (notification.action === 'new') this.#names.set(index, name);
      else this.#names.delete(index);
    }
    if (what !== undefined) this.#options.onSurprise(what);
  }
}
