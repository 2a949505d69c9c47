/** Where the reader is: kept in the address behind `#`, so that links, reload and the back button work. */

export const VIEWS = ['map', 'peers', 'pods', 'rules', 'repairs'] as const;
export type View = (typeof VIEWS)[number];

export interface Route {
  readonly view: View;
  /** The chosen peer, of the views `map` and `peers`; in the lab's map a node. */
  readonly name?: string;
  /** In the lab: whose peers, pods and repairs. */
  readonly node?: string;
}

/** What `location.hash` says; what cannot be read is the map. */
export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [first = '', second = ''] = path.split('/', 2);
  const view = VIEWS.find((known) => known === first) ?? 'map';
  const name = decode(second);
  const node = query.startsWith('node=') ? decode(query.slice('node='.length)) : undefined;
  return {
    view,
    ...(name === undefined || (view !== 'map' && view !== 'peers') ? {} : { name }),
    ...(node === undefined ? {} : { node }),
  };
}

export function formatRoute({ view, name, node }: Route): string {
  const path = name === undefined ? view : `${view}/${encode(name)}`;
  return `#/${path}${node === undefined ? '' : `?node=${encode(node)}`}`;
}

/** Percent-encoded; a lone surrogate, which cannot be, becomes U+FFFD. */
export function encode(name: string): string {
  return encodeURIComponent(name.toWellFormed());
}

function decode(text: string): string | undefined {
  if (text === '') return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
